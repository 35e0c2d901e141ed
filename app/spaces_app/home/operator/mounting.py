"""Adds the operator's page to the home page's server, where `zerofarm` has made operators."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from fastapi import FastAPI
from starlette.middleware.sessions import SessionMiddleware

from spaces.farm.queue.settings_file.login_table import LONGEST_SESSION
from spaces_app.home.operator.accounts import Accounts
from spaces_app.home.operator.guard import Guard
from spaces_app.home.operator.logged_out import LoggedOut
from spaces_app.home.operator.login import login_pages
from spaces_app.home.operator.page import operator_pages
from spaces_app.home.operator.past import pages_of_the_past
from spaces_app.home.operator.sampler import Sampler
from spaces_app.home.snapshots import Snapshots

if TYPE_CHECKING:
    from spaces_app.home.operator.openid.provider import Provider

#: The cookie is sent to the operator's page alone: the front door shows Spaces at the same address.
PATH = "/farm"


def add_operator_page(
    app: FastAPI,
    snapshots: Snapshots,
    state_dir: Path,
    folder: Path,
    *,
    provider: Provider | None = None,
    address: str = "",
) -> bool:
    """Add it, and take samples for its charts; `folder` has its files. False: no operator has been made.

    `address` is that of the home page, if browsers reach it by another one than they ask.
    """
    key = state_dir / "session.key"
    if not key.is_file():
        return False
    accounts = Accounts(state_dir)
    guard = Guard(accounts, LoggedOut(snapshots.queue), provider.rules.mark if provider else "")
    app.add_middleware(
        SessionMiddleware,
        secret_key=key.read_text().strip(),
        session_cookie="zerofarm",
        max_age=LONGEST_SESSION,
        path=f"{urlsplit(address).path}{PATH}",
        same_site="lax",
        https_only=address.startswith("https://"),
    )
    app.include_router(login_pages(accounts, guard, folder, provider))
    if provider is not None:
        from spaces_app.home.operator.openid.pages import provider_pages  # its libraries take long to import

        app.include_router(provider_pages(provider, guard))
    app.include_router(operator_pages(snapshots, guard, state_dir, folder))
    app.include_router(pages_of_the_past(snapshots, guard))
    Sampler(snapshots).start()
    return True
