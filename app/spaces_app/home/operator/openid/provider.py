"""Logs operators in by the provider: the code flow of OpenID Connect Core 1.0, section 3.1, with PKCE, by Authlib.

State, nonce and the verifier of PKCE are kept in the signed session cookie of the browser that has begun the login.
"""

from __future__ import annotations

import asyncio
import logging
import re
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import httpx2
from authlib.integrations.starlette_client import OAuth, OAuthError
from joserfc.errors import JoseError
from starlette.requests import Request
from starlette.responses import Response

from spaces.farm.queue.settings_file.login_table import LoginRules
from spaces.farm.queue.settings_file.private_file import SecretsFault
from spaces_app.home.operator.accounts import Operator
from spaces_app.home.operator.openid.metadata import Json, accepted
from spaces_app.home.operator.openid.refusals import FAILURES, LoginRefused, NotBegun, in_words
from spaces_app.home.operator.openid.roles import has, operator_of

logger = logging.getLogger(__name__)

#: The provider must know these, below the address of the home page: it sends nobody elsewhere.
LOGIN, CALLBACK = "/farm/login", "/farm/login/callback"

#: Seconds for each request to the provider, for all those of one step, and by which its clock may differ.
PATIENCE, IN_ALL, LEEWAY = 10.0, 20.0, 60

#: Seconds for which the description of the provider is believed, and within which a login must end.
FRESH, BEGUN_WITHIN = 3600.0, 3600


class Provider:
    """The provider of `[login]`. Use it on one event loop.

    `secret` reads the file with the client's secret. `address` is the home page's; empty: the one that is asked.
    """

    def __init__(self, rules: LoginRules, secret: Callable[[], str], address: str = "") -> None:
        self.rules = rules
        self._secret = secret
        self._address = address
        self._loading = asyncio.Lock()
        self._fresh_until = 0.0
        #: Authlib makes a client for each request, which would prepare TLS on the event loop each time.
        self._tls = httpx2.create_ssl_context()
        scopes = " ".join(dict.fromkeys(("openid", "profile", "email", *rules.scopes)))
        self._client = OAuth().register(
            "provider",  # without the URL of its description, which Authlib would load unchecked
            client_id=rules.client_id,
            client_kwargs={
                "scope": scopes,
                "code_challenge_method": "S256",
                "timeout": PATIENCE,
                "verify": self._tls,
            },
        )
        self._client.framework.expires_in = BEGUN_WITHIN

    async def begin(self, request: Request) -> Response:
        """Send the browser to the provider, which sends it back to CALLBACK. Raises LoginRefused."""
        async with self._told():
            await self._describe()
            answer: Response = await self._client.authorize_redirect(request, self._at(request, CALLBACK))
            return answer

    async def finish(self, request: Request) -> Operator:
        """The person who comes back from the provider. Raises LoginRefused, and NotBegun."""
        await self._check_state(request)
        async with self._told():
            await self._describe()
            self._client.client_secret = self._secret()
            token = await self._client.authorize_access_token(request, claims_options=self._expected(), leeway=LEEWAY)
            claims = dict(token["userinfo"])
            if not has(claims, self.rules.claim):
                claims = await self._more(token, claims["sub"]) | claims
        return operator_of(claims, self.rules)

    async def farewell(self, request: Request) -> str:
        """The URL that logs a browser out of the provider; empty if the provider has told none."""
        if not self._client.server_metadata.get("end_session_endpoint"):
            return ""
        made = await self._client.create_logout_url(self._at(request, LOGIN), client_id=self.rules.client_id)
        return str(made["url"])

    def _at(self, request: Request, path: str) -> str:
        """The URL of a page of the farm: below the path, if any, at which a server above has mounted it."""
        if self._address:
            return f"{self._address}{path}"
        below = f"{request.scope.get('root_path', '')}{path}"
        return str(request.url.replace(path=below, query="", fragment=""))

    async def _check_state(self, request: Request) -> None:
        """Refuse a login that this browser has not begun, before anything of the request is believed."""
        await self._client.framework.clear_state_data(request.session, "")  # those that have expired: it reads them too
        state, error = (request.query_params.get(name, "") for name in ("state", "error"))
        if not await self._client.framework.get_state_data(request.session, state):
            raise NotBegun("This login was not begun in this browser, or long ago. Begin it here.")
        if error:
            await self._client.framework.clear_state_data(request.session, state)
            code = error if re.fullmatch(r"[a-z_]{1,40}", error) else "an error"
            raise LoginRefused(in_words(OAuthError(code), self.rules.title))

    def _expected(self) -> Json:
        return {
            "iss": {"essential": True, "value": self.rules.issuer},
            "aud": {"essential": True, "value": self.rules.client_id},
        }

    async def _more(self, token: Json, subject: str) -> Json:
        """The claims that the provider tells with the access token: its ID token may have fewer."""
        if "userinfo_endpoint" not in self._client.server_metadata:
            return {}
        claims = dict(await self._client.userinfo(token=token))
        if claims.get("sub") != subject:
            raise ValueError("the provider speaks of somebody else")
        return claims

    async def _describe(self) -> None:
        """Load the description of the provider, unless it is fresh, and replace the old one once it is checked."""
        async with self._loading:
            if time.monotonic() < self._fresh_until:
                return
            async with httpx2.AsyncClient(timeout=PATIENCE, verify=self._tls) as http:
                answer = (await http.get(self.rules.metadata_url)).raise_for_status()
            self._client.server_metadata = accepted(answer.json(), self.rules)
            self._fresh_until = time.monotonic() + FRESH

    @asynccontextmanager
    async def _told(self) -> AsyncIterator[None]:
        """Limit the time, tell failures in words, and log them."""
        try:
            async with asyncio.timeout(IN_ALL):
                yield
        except SecretsFault as fault:
            logger.warning("nobody can log in by %s: %s", self.rules.title, fault)
            raise LoginRefused("The farm cannot read its secret for the provider: the farm's log says why.") from None
        except FAILURES as error:
            logger.warning("a login by %s failed: %s: %s", self.rules.title, type(error).__name__, error)
            if isinstance(error, JoseError):
                self._fresh_until = 0.0  # its keys may be others by now
            raise LoginRefused(in_words(error, self.rules.title)) from error
