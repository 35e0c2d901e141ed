"""The code flow with PKCE, by Authlib's server parts: it checks what the farm asks for as a provider does."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from authlib.oauth2.rfc6749 import AuthorizationServer, ClientMixin, OAuth2Request
from authlib.oauth2.rfc6749.grants import AuthorizationCodeGrant
from authlib.oauth2.rfc6749.requests import BasicOAuth2Payload
from authlib.oauth2.rfc6750 import BearerTokenGenerator
from authlib.oauth2.rfc7636 import CodeChallenge
from authlib.oidc.core import AuthorizationCodeMixin
from authlib.oidc.core.grants import OpenIDCode
from joserfc import jwt
from joserfc.jwk import KeySet, OctKey, RSAKey
from starlette.responses import Response

from tests.provider.people import FAULTS, claims_of

Json = dict[str, Any]  # Any: JSON

CLIENT = "zerofarm"


@dataclass(frozen=True)
class Client(ClientMixin):  # type: ignore[misc]  # Authlib has no types
    """The farm, as it is registered."""

    secret: str
    redirects: tuple[str, ...]

    def get_client_id(self) -> str:
        return CLIENT

    def check_redirect_uri(self, redirect_uri: str) -> bool:
        return redirect_uri in self.redirects

    def check_client_secret(self, client_secret: str) -> bool:
        return client_secret == self.secret

    def check_endpoint_auth_method(self, method: str, endpoint: str) -> bool:
        return method == "client_secret_post"

    def check_response_type(self, response_type: str) -> bool:
        return response_type == "code"

    def check_grant_type(self, grant_type: str) -> bool:
        return grant_type == "authorization_code"

    def get_allowed_scope(self, scope: str) -> str:
        return scope


@dataclass(frozen=True)
class Code(AuthorizationCodeMixin):  # type: ignore[misc]  # Authlib has no types
    """A code that was given to a browser, and what it was given for."""

    code: str
    user: str
    asked: Json

    @property
    def code_challenge(self) -> str:
        return str(self.asked["code_challenge"])

    @property
    def code_challenge_method(self) -> str:
        return str(self.asked["code_challenge_method"])

    def get_redirect_uri(self) -> str:
        return str(self.asked["redirect_uri"])

    def get_scope(self) -> str:
        return str(self.asked["scope"])

    def get_nonce(self) -> str:
        return str(self.asked["nonce"])

    def get_auth_time(self) -> None: ...

    def get_acr(self) -> None: ...

    def get_amr(self) -> None: ...


class Grant(AuthorizationCodeGrant):  # type: ignore[misc]  # Authlib has no types
    """Each code is good once."""

    TOKEN_ENDPOINT_AUTH_METHODS = ("client_secret_post",)

    def save_authorization_code(self, code: str, request: Any) -> None:
        assert request.payload.data["code_challenge_method"] == "S256"
        self.server.codes[code] = Code(code, request.user, dict(request.payload.data))

    def query_authorization_code(self, code: str, client: Client) -> Code | None:
        return self.server.codes.get(code)  # type: ignore[no-any-return]

    def delete_authorization_code(self, authorization_code: Code) -> None:
        del self.server.codes[authorization_code.code]

    def authenticate_user(self, authorization_code: Code) -> str:
        return authorization_code.user


class IdToken(OpenIDCode):  # type: ignore[misc]  # Authlib has no types
    """Makes tokens of identity, right ones and others."""

    def __init__(self, server: Server) -> None:
        super().__init__(require_nonce=True)
        self._server = server

    def exists_nonce(self, nonce: str, request: Any) -> bool:
        return any(code.get_nonce() == nonce for code in self._server.codes.values())

    def get_client_claims(self, client: Client) -> Json:
        return {"iss": self._server.issuer}

    def encode_id_token(self, token: Json, request: Any) -> str:
        user = request.user
        claims = self.get_compatible_claims(request) | claims_of(user)
        claims = FAULTS.get(user, dict)(claims | {"nonce": request.authorization_code.get_nonce()})
        if user == "unsigned":
            return jwt.encode({"alg": "none"}, claims, None, ["none"])  # type: ignore[arg-type]  # it needs no key
        if user == "shared-secret":
            return jwt.encode({"alg": "HS256"}, claims, OctKey.import_key(self._server.client.secret), ["HS256"])
        key = RSAKey.generate_key() if user == "foreign-key" else self._server.key
        return jwt.encode({"alg": "RS256"}, claims, key)


class Server(AuthorizationServer):  # type: ignore[misc]  # Authlib has no types
    """The provider, apart from HTTP."""

    def __init__(self, issuer: str, client: Client) -> None:
        super().__init__()
        self.issuer, self.client = issuer, client
        self.key = RSAKey.generate_key()
        self.codes: dict[str, Code] = {}
        self.tokens: dict[str, str] = {}
        self.register_grant(Grant, [IdToken(self), CodeChallenge(required=True)])
        self.register_token_generator("default", BearerTokenGenerator(lambda *_, **__: f"access-{len(self.tokens)}"))

    def keys(self) -> Json:
        return dict(KeySet([self.key]).as_dict(private=False))

    def query_client(self, client_id: str) -> Client | None:
        return self.client if client_id == CLIENT else None

    def save_token(self, token: Json, request: Any) -> None:
        self.tokens[token["access_token"]] = request.user

    def create_oauth2_request(self, request: Asked) -> Asked:
        return request

    def handle_response(self, status: int, body: object, headers: list[tuple[str, str]]) -> Response:
        return Response(json.dumps(body) if isinstance(body, dict) else str(body), status, dict(headers))

    def send_signal(self, name: str, *args: object, **kwargs: object) -> None: ...


class Asked(OAuth2Request):  # type: ignore[misc]  # Authlib has no types
    """A request to the provider."""

    def __init__(self, method: str, uri: str, headers: dict[str, str], query: Json, form: Json) -> None:
        super().__init__(method, uri, headers=headers)
        self._query, self._form = query, form
        self.payload = BasicOAuth2Payload(query | form)

    @property
    def args(self) -> Json:
        return self._query

    @property
    def form(self) -> Json:
        return self._form
