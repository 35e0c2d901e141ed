"""Celery's names of the ranked queues."""

from __future__ import annotations

from spaces.farm.size import Size

#: Names of the ranked queues in Celery, each with the size that it holds.
RANKED = {f"zerofarm.{size}": size for size in Size}


def is_ranked(queue: str) -> bool:
    """Whether the Celery queue of this name is ranked."""
    return queue in RANKED
