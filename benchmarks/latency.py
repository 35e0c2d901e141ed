"""How long takes a call that does nothing, on a warm child, beside Celery's prefork? `python -m benchmarks.latency`"""

from __future__ import annotations

from benchmarks.calls.farms import celery_prefork, interleaved, our_farm, report

ROUNDS = 300
BUDGET = 1.0


def main() -> None:
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


if __name__ == "__main__":
    main()
