"""How long takes a call that does nothing, on a warm child, beside Celery's prefork? `python -m benchmarks.latency`

`python -m benchmarks.latency --gateway`: and how long through the gateway, beside the direct way to the broker?
A program also asks for the Space's record before each call; `benchmarks.calls.page_latency` has the calls of pages.
"""

from __future__ import annotations

import sys
from math import inf

from benchmarks import counting
from benchmarks.calls.farms import celery_prefork, interleaved, our_farm, report

ROUNDS = 300
BUDGET = 1.0


def beside_celery() -> None:
    """Round trips of both, in turns, each with the events that Flower shows."""
    with our_farm() as farm, farm.client("no-op") as client, celery_prefork() as celery:
        echo = celery.tasks["benchmarks.calls.peer.echo"]
        seconds = interleaved(
            {
                "ours": lambda: client.submit("no-op", "echo", 1).result(),
                "celery": lambda: echo.delay(1).get(),
            },
            ROUNDS,
        )
    report("no-op round trip", seconds["ours"], "Celery prefork", seconds["celery"], BUDGET)


def through_the_gateway() -> None:
    """Round trips of both ways to one farm, in turns."""
    with our_farm() as farm:
        farm.start_gateway("no-op")
        with farm.client("no-op", near=True) as direct, farm.client_of_gateway("no-op") as gated:
            seconds = interleaved(
                {
                    "direct": lambda: direct.submit("no-op", "echo", 1).result(),
                    "gateway": lambda: gated.submit("no-op", "echo", 1).result(),
                },
                ROUNDS,
            )
    report("no-op through the gateway", seconds["gateway"], "direct", seconds["direct"], inf)


if __name__ == "__main__":
    if sys.argv[1:] == ["--gateway"]:
        through_the_gateway()
    else:
        beside_celery()
        counting.main()
