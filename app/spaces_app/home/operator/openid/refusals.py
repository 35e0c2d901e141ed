"""The messages for people whose login by the provider has failed. The home page's log has the rest."""

from __future__ import annotations

import httpx2
from authlib.common.errors import AuthlibBaseError
from joserfc.errors import ClaimError, ExpiredTokenError, JoseError

from spaces.errors import SpacesError

#: Errors of a login that are no fault of the farm's own: of the way, of the provider, and of what it answers.
FAILURES = (
    httpx2.HTTPError,
    httpx2.InvalidURL,
    AuthlibBaseError,
    JoseError,
    KeyError,
    TimeoutError,
    TypeError,
    ValueError,
)


class LoginRefused(SpacesError):
    """The login page tells this message, and offers the password."""


class NotBegun(LoginRefused):
    """The browser has not begun this login. Any web page can send it here, so this counts as no failure."""


def in_words(error: Exception, provider: str) -> str:
    """The failure, without anything that a stranger could have written into the request."""
    match error:
        case httpx2.HTTPStatusError():
            return f"{provider} answers with an error ({error.response.status_code}). Use a password, or try again."
        case httpx2.HTTPError() | TimeoutError():
            return f"{provider} does not answer ({type(error).__name__}). Use a password, or try again."
        case ExpiredTokenError():
            return f"The answer of {provider} had expired. Try again, or compare its clock with the farm's."
        case ClaimError():
            return f"The answer of {provider} is not meant for this login: its {error.claim!r} is wrong. Try again."
        case JoseError():
            return f"The answer of {provider} is not signed by its keys ({error.error}). Try again."
        case AuthlibBaseError():
            return f"{provider} refused the login ({error.error})."
    return f"{provider} answered in a form that was not expected ({type(error).__name__})."
