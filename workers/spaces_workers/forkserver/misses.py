"""The packages that libraries look for in vain while they are imported: with them they would be something else."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.abc import MetaPathFinder
from importlib.metadata import Distribution, DistributionFinder
from types import ModuleType


class _Misses(MetaPathFinder):
    """Is asked last for modules and packages, and has none."""

    def __init__(self) -> None:
        self.names: set[str] = set()

    def find_spec(self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None) -> None:
        if path is None:
            self.names.add(name)

    def find_distributions(self, context: DistributionFinder.Context | None = None) -> Iterator[Distribution]:
        if context is not None and context.name is not None:
            self.names.add(re.sub(r"[-_.]+", "_", context.name).lower())
        return iter(())


@contextmanager
def observed_misses() -> Iterator[set[str]]:
    """Within this, the names of top-level modules and of packages that are looked for and not found are noted."""
    misses = _Misses()
    sys.meta_path.append(misses)
    try:
        yield misses.names
    finally:
        sys.meta_path.remove(misses)
