"""Tells in the log of a Space which library its process imports now, because the first imports take seconds.

`zerofarm up` and the home page show it while the Space starts. Libraries that another one imports are not told.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Sequence
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any

#: Set for a process whose log is followed while it starts.
FOLLOWED = "ZEROFARM_FOLLOWS_LOG"

#: How a line begins that tells what is imported now; the name follows. Its end is told by the other one.
BEGUN, ENDED = "ZeroFarm imports ", "ZeroFarm has imported "


def watch() -> bool:
    """Tell of each import from now on, until `end`, if somebody follows the log; whether that is so."""
    if not os.environ.pop(FOLLOWED, ""):
        return False
    sys.meta_path.insert(0, _watch)
    return True


def end() -> None:
    """Tell no more: the Space is complete."""
    if _watch in sys.meta_path:
        sys.meta_path.remove(_watch)


class _Watch(MetaPathFinder):
    """Finds no module itself: asks the other finders, and wraps the loader of a library."""

    def __init__(self) -> None:
        self._is_importing = False

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if path is not None or self._is_importing or fullname in sys.stdlib_module_names:
            return None
        specs = (each.find_spec(fullname, None, target) for each in sys.meta_path if each is not self)
        spec = next((spec for spec in specs if spec is not None), None)
        if spec is not None and hasattr(spec.loader, "exec_module"):
            spec.loader = _Telling(spec.loader, self)
        return spec

    def execute(self, loader: Any, module: ModuleType) -> None:  # Any: of any kind
        if self._is_importing:
            loader.exec_module(module)
            return
        self._is_importing, began = True, time.monotonic()
        _tell(f"{BEGUN}{module.__name__}")
        try:
            loader.exec_module(module)
        finally:
            self._is_importing = False
            _tell(f"{ENDED}{module.__name__} in {time.monotonic() - began:.1f} s")


class _Telling(Loader):
    """Tells when its module is executed; in all else it is the module's own loader."""

    def __init__(self, loader: Any, watch: _Watch) -> None:  # Any: as above
        self._loader = loader
        self._watch = watch

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        return self._loader.create_module(spec)  # type: ignore[no-any-return] # as the protocol says

    def exec_module(self, module: ModuleType) -> None:
        assert module.__spec__ is not None
        module.__spec__.loader = module.__loader__ = self._loader
        self._watch.execute(self._loader, module)

    def __getattr__(self, name: str) -> Any:  # Any: as above
        return getattr(self._loader, name)


_watch = _Watch()


def _tell(line: str) -> None:
    print(line, file=sys.stderr, flush=True)
