"""The home page's server: one static page, and the status that the page requests while it is visible."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fastapi import FastAPI
from fastapi.responses import FileResponse, JSONResponse
from fastapi.staticfiles import StaticFiles
from redis import RedisError

from spaces.errors import FarmUnavailable
from spaces_app.home.hosts import KnownHosts
from spaces_app.home.metrics.page import metrics_page
from spaces_app.home.operator.mounting import add_operator_page
from spaces_app.home.snapshots import Snapshots

if TYPE_CHECKING:
    from spaces_app.home.operator.openid.provider import Provider

STATIC = Path(__file__).parent / "static"

#: The page loads nothing from other hosts, and no other page may frame it.
HEADERS = {
    "Content-Security-Policy": "default-src 'self'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
}


def make_app(
    snapshots: Snapshots,
    hosts: Collection[str] = (),
    metrics_token: str = "",
    state_dir: Path | None = None,
    *,
    provider: Provider | None = None,
    address: str = "",
) -> FastAPI:
    """Make the application on a source of snapshots; `hosts` are more names by which its API may be asked.

    With the `state_dir` of a farm that has operators, it has their page too: `add_operator_page` has the rest.
    """
    app = FastAPI(title="ZeroFarm", docs_url=None, redoc_url=None, openapi_url=None)
    app.add_middleware(KnownHosts, names=hosts)
    has_operators = state_dir is not None and add_operator_page(
        app, snapshots, state_dir, STATIC / "farm", provider=provider, address=address
    )

    @app.get("/")
    def page() -> FileResponse:
        return FileResponse(STATIC / "index.html", headers=HEADERS | {"Cache-Control": "no-cache"})

    @app.get("/favicon.ico")
    def icon() -> FileResponse:
        """Browsers ask for it at the root of an address, whichever Space they show."""
        return FileResponse(STATIC / "icon.svg")

    @app.get("/api/status")
    def status() -> dict[str, Any]:  # Any: the status as JSON
        return asdict(snapshots.latest()) | {"operators": has_operators}

    @app.get("/healthz")
    def health() -> dict[str, str]:
        """Report that this server is alive; `/api/status` reports on the broker."""
        return {"status": "ok"}

    @app.exception_handler(FarmUnavailable)
    def without_broker(_request: Any, error: FarmUnavailable) -> JSONResponse:  # Any: starlette's request
        return JSONResponse({"problem": str(error)}, status_code=503)

    @app.exception_handler(RedisError)
    def broker_fails(_request: Any, error: RedisError) -> JSONResponse:  # Any: starlette's request
        return JSONResponse({"detail": f"the broker does not answer: {error}"}, status_code=503)

    app.include_router(metrics_page(snapshots, metrics_token))
    app.mount("/static", StaticFiles(directory=STATIC), name="static")
    return app
