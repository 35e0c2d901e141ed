"""`python -m tests.provider PORT SECRET REDIRECT...`: serves the provider until it is told to stop."""

from __future__ import annotations

import sys
from typing import Any

import uvicorn
from fastapi import FastAPI, Request, Response
from fastapi.responses import HTMLResponse

from tests.provider.grants import Asked, Client, Server
from tests.provider.people import TOLD, is_known

Json = dict[str, Any]  # Any: JSON

FORM = """<!doctype html><title>The lab's accounts</title><form method="post">
<label>Account <input name="account" autofocus></label><button>Continue</button></form>"""


def serve(server: Server, path: str) -> FastAPI:
    app, issuer = FastAPI(), server.issuer

    @app.get(f"{path}/.well-known/openid-configuration")
    def metadata() -> Json:
        return {
            "issuer": issuer,
            "authorization_endpoint": f"{issuer}/authorize",
            "token_endpoint": f"{issuer}/token",
            "userinfo_endpoint": f"{issuer}/userinfo",
            "end_session_endpoint": f"{issuer}/logout",
            "token_endpoint_auth_methods_supported": ["client_secret_basic", "client_secret_post"],
            "jwks_uri": f"{issuer}/keys",
            "id_token_signing_alg_values_supported": ["RS256", "HS256", "none"],
        }

    @app.get(f"{path}/keys")
    def keys() -> Json:
        return server.keys()

    @app.get(f"{path}/authorize")
    async def ask(request: Request) -> Response:
        server.get_consent_grant(await _asked(request))
        return HTMLResponse(FORM)

    @app.post(f"{path}/authorize")
    async def authorize(request: Request) -> Any:  # Any: Authlib's answer
        asked = await _asked(request)
        account = asked.form.get("account", "")
        grant = server.get_consent_grant(asked)
        return server.create_authorization_response(asked, account if is_known(account) else None, grant)

    @app.post(f"{path}/token")
    async def token(request: Request) -> Any:  # Any: Authlib's answer
        return server.create_token_response(await _asked(request))

    @app.get(f"{path}/userinfo")
    def userinfo(request: Request) -> Json:
        user = server.tokens[request.headers["authorization"].removeprefix("Bearer ")]
        return TOLD.get(user, {"sub": user})

    @app.get(f"{path}/logout")
    def logout(client_id: str, post_logout_redirect_uri: str) -> HTMLResponse:
        return HTMLResponse(f'<a href="{post_logout_redirect_uri}">Back to {client_id}</a>')

    return app


async def _asked(request: Request) -> Asked:
    form = dict(await request.form()) if request.method == "POST" else {}
    return Asked(request.method, str(request.url), dict(request.headers), dict(request.query_params), form)


if __name__ == "__main__":
    port, secret, *redirects = sys.argv[1:]
    server = Server(f"http://127.0.0.1:{port}/realms/lab", Client(secret, tuple(redirects)))
    uvicorn.run(serve(server, "/realms/lab"), port=int(port), log_level="warning")
