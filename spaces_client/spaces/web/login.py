"""Signing in with Hugging Face, on pages that offer it.

Outside the Hub, Gradio signs in every visitor who presses the button as the owner of this machine's token, and does not
start without a token. In a farm visitors sign in as themselves, or not at all.
"""

from __future__ import annotations

import logging
from functools import cache
from types import ModuleType
from typing import Any

logger = logging.getLogger(__name__)


def stand_for_nobody(oauth: ModuleType) -> None:
    """Given `gradio.oauth`: use the operator's application on the Hub; without one, sign in no visitor."""

    def add_routes(app: Any) -> None:  # Any: a FastAPI application
        if oauth.OAUTH_CLIENT_ID:
            oauth._add_oauth_routes(app)
            return
        _tell_author()
        for path in ("/login/huggingface", "/login/callback", "/logout"):
            app.add_route(path, back_to_the_page)

    async def back_to_the_page(request: Any) -> Any:  # Any: a request and a response of starlette's
        return oauth._redirect_to_target(request, request.scope.get("root_path") or "/")

    oauth._add_mocked_oauth_routes = add_routes  # type: ignore[attr-defined] # replaced in the module


@cache
def _tell_author() -> None:
    """Warn once, because Gradio makes several applications for one page."""
    logger.warning(
        "the page offers to sign in with Hugging Face, which fails: OAUTH_CLIENT_ID is not set. Register an "
        "application on the Hub, and set what it says in OAUTH_CLIENT_ID, OAUTH_CLIENT_SECRET, OAUTH_SCOPES and "
        "OPENID_PROVIDER_URL"
    )
