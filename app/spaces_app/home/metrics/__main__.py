"""`python -m spaces_app.home.metrics`: prints `docs/metrics.md`, the reference of all metrics."""

from __future__ import annotations

from spaces.farm.queue.counters.bounds import BOUNDS
from spaces_app.home.metrics.catalogue import METRICS, Metric

INTRODUCTION = """\
# Metrics

The home page serves them at `/metrics`, in the form of Prometheus. This page is made from the code, by
`make reference`. [deploy/README.md](../deploy/README.md#metrics) says how to scrape them, and has a dashboard and alert
rules.

Counters are kept in the broker, by the scripts that make the change: a killed process takes none of them along, and
each event is counted once. What a worker alone knows (evictions, busy seconds) it reports with its beat, each second.
A Space that is removed has no series any more. No label has a value that a visitor chooses.

`space` is the name of a Space, `size` is `large` or `xlarge`, `worker` is the worker's name in Celery and Flower, and
`UUID` is that of its GPU, as DCGM's exporter writes it, so that `on (UUID)` joins the two. For a MIG slice it is the
slice's own; DCGM's exporter has that of the whole GPU there.
"""


def reference() -> str:
    """The page."""
    rows = [f"| `{each.name}` | {each.kind} | {_labels(each)} | {each.help}. |" for each in METRICS]
    bounds = ", ".join(f"{bound:g}" for bound in BOUNDS)
    return "\n".join(
        [
            INTRODUCTION,
            "| metric | kind | labels | meaning |",
            "|---|---|---|---|",
            *rows,
            "",
            f"The buckets of all histograms end at {bounds} seconds.",
        ]
    )


def _labels(metric: Metric) -> str:
    return ", ".join(f"`{label}`" for label in metric.labels)


if __name__ == "__main__":
    print(reference())
