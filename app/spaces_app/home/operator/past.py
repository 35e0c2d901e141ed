"""The past on the operator's page: charts, and the ended tasks that the farm remembers."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from fastapi import APIRouter, HTTPException, Request

from spaces.farm.queue.counters.bounds import HISTORY
from spaces.farm.queue.counters.history import read_history
from spaces.farm.queue.counters.samples import read_samples
from spaces_app.home.operator import view
from spaces_app.home.operator.charts import points
from spaces_app.home.operator.guard import Guard
from spaces_app.home.snapshots import Snapshots

SPANS = {"hour": 3600.0, "day": 86400.0}

Json = dict[str, Any]  # Any: JSON


def pages_of_the_past(snapshots: Snapshots, guard: Guard) -> APIRouter:
    """The requests that the page makes now and then."""
    router = APIRouter()

    @router.get("/farm/charts")
    def charts(request: Request, span: str = "hour") -> list[Json]:
        guard.viewer(request)
        queue = snapshots.queue
        return [asdict(each) for each in points(read_samples(queue.redis, queue.keys, SPANS.get(span, 3600.0)))]

    @router.get("/farm/history")
    def history(request: Request, words: str = "") -> list[Json]:
        guard.viewer(request)
        queue = snapshots.queue
        found = view.search(read_history(queue.redis, queue.keys, HISTORY), words)
        return [view.task_as_json(each) for each in found]

    @router.get("/farm/history/{task}")
    def ended_task(request: Request, task: str) -> Json:
        guard.viewer(request)
        queue = snapshots.queue
        for each in read_history(queue.redis, queue.keys, HISTORY):
            if each.id == task:
                return view.task_as_json(each)
        raise HTTPException(404, "The farm has forgotten this task")

    return router
