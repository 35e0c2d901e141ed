"""The ranked queues as Celery names them."""

from __future__ import annotations

from spaces.farm.task import Size

#: Names of the ranked queues in Celery, each with the size that it holds.
RANKED = {f"zerofarm.{size}": size for size in Size}


def is_ranked(queue: str) -> bool:
    """Whether a queue of Celery's is kept by rank."""
    return queue in RANKED
