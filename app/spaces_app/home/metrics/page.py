"""`/metrics`: answers Prometheus, in the form that it asks for."""

from __future__ import annotations

from fastapi import APIRouter, Request, Response
from prometheus_client import CollectorRegistry
from prometheus_client.exposition import choose_encoder

from spaces.errors import FarmUnavailable
from spaces_app.home.metrics.access import may_read
from spaces_app.home.metrics.collector import FarmCollector
from spaces_app.home.snapshots import Snapshots

FORBIDDEN = (
    "Metrics are for programs of this host. Others send `Authorization: Bearer TOKEN`, with the token in "
    "metrics.token in the farm's state directory.\n"
)


def metrics_page(snapshots: Snapshots, token: str) -> APIRouter:
    """The page, which is read from the broker at each request. Only those that `may_read` get it."""
    router = APIRouter()

    @router.get("/metrics")
    def metrics(request: Request) -> Response:
        if not may_read(request, token):
            return Response(FORBIDDEN, status_code=403, media_type="text/plain", headers={"WWW-Authenticate": "Bearer"})
        registry = CollectorRegistry()
        try:
            registry.register(FarmCollector(snapshots.readings()))
        except FarmUnavailable as error:
            return Response(f"{error}\n", status_code=503, media_type="text/plain")
        encode, content_type = choose_encoder(request.headers.get("accept", ""))
        return Response(encode(registry), headers={"Content-Type": content_type})

    return router
