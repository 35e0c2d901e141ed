"""The libraries that a fork server imports once for all Spaces, and what it observes while it imports them.

Only libraries of this table are imported ahead: each was seen to leave no thread of Python's, no socket and no file
behind. onnxruntime (a thread and a database), OpenCV (writes LD_LIBRARY_PATH) and numba (reads the whole environment)
are not in it.
"""

from __future__ import annotations

import importlib
import importlib.util
import logging
import os
import sys
import threading
from collections import deque
from collections.abc import Callable, Collection, Iterable, Iterator, Set
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from spaces_workers.forkserver.misses import observed_misses

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Library:
    """One library, and the cost of its import: seconds of one core and megabytes, after those above it."""

    name: str
    modules: tuple[str, ...]  #: parts that libraries import only when they are used, named here to be shared too
    seconds: float
    megabytes: int
    uses: tuple[str, ...] = ()  #: the libraries of this table that it imports, some only when it is used


#: In the order of import: torch before the libraries that import it, and the costly parts of each. Source of the costs:
#: CPython 3.11, torch 2.13 for CPUs, transformers 5.23, diffusers 0.42, Gradio 6.31, one core of a server.
LIBRARIES = (
    Library("torch", ("torch", "torch._dynamo"), 1.7, 205),
    Library("gradio", ("gradio", "gradio.themes", "gradio.routes", "uvicorn", "pydantic.v1"), 1.3, 110),
    Library(
        "transformers",
        (
            "transformers",
            "transformers.models.auto.modeling_auto",
            "transformers.models.auto.tokenization_auto",
            "transformers.modeling_utils",
            "transformers.generation.utils",
            "transformers.generation.streamers",
            "transformers.modeling_layers",
        ),
        0.8,
        165,
        uses=("torch", "accelerate"),
    ),
    Library(
        "diffusers",
        ("diffusers", "diffusers.pipelines.pipeline_utils", "diffusers.loaders", "diffusers.guiders"),
        1.1,
        45,
        uses=("transformers",),
    ),
    Library("accelerate", ("accelerate",), 0.1, 5, uses=("torch",)),
    Library(
        "sentence_transformers",
        ("sentence_transformers", "sentence_transformers.models"),
        0.3,
        70,
        uses=("transformers",),
    ),
    Library("peft", ("peft",), 0.3, 20, uses=("transformers",)),
)

#: Parts of the farm that a web process or a zygote needs when it launches.
OURS = (
    *("spaces.web.client", "spaces.web.gradio_queue", "spaces.farm.links.gateway_link"),
    *(
        "spaces.farm.payloads.packer",
        "spaces.state.outgoing",
        "spaces.state.incoming",
        "spaces.farm.values.lone_models",
    ),
)


@dataclass(slots=True)
class Preloaded:
    """The libraries that a fork server has in memory, and the names that their imports looked up."""

    environment: dict[str, str] = field(default_factory=lambda: dict(os.environ))  #: before the imports changed it
    modules: frozenset[str] = frozenset()  #: names of top-level modules outside the standard library
    variables: set[str] = field(default_factory=set)  #: names of the environment variables that imports have read
    missed: set[str] = field(default_factory=set)  #: names of modules and packages that imports have looked for in vain
    packages: frozenset[str] = frozenset()  #: canonical names of their packages, once somebody has asked


class _ObservedEnviron(os._Environ):  # type: ignore[type-arg]  # not generic at run time
    """The environment, which notes the names that are looked up in it, though not those of a copy of all of it."""

    read: set[str]
    copied: deque[str]  #: names that a copy will look up next

    def __getitem__(self, key: str) -> Any:
        if _ObservedEnviron.copied and _ObservedEnviron.copied[0] == key:
            _ObservedEnviron.copied.popleft()
        else:
            _ObservedEnviron.read.add(key)
        return super().__getitem__(key)

    def __iter__(self) -> Iterator[Any]:
        _ObservedEnviron.copied = deque(super().__iter__())
        return iter(list(_ObservedEnviron.copied))


@contextmanager
def observed_environment() -> Iterator[set[str]]:
    """Within this, the names of all variables that Python code looks up are noted."""
    plain = type(os.environ)
    _ObservedEnviron.read, _ObservedEnviron.copied = set(), deque()
    os.environ.__class__ = _ObservedEnviron  # the object stays: libraries hold it by name
    try:
        yield _ObservedEnviron.read
    finally:
        os.environ.__class__ = plain


class Preloading:
    """Imports libraries one by one, so that a Space can be forked as soon as its own are there."""

    def __init__(self, libraries: Iterable[Library] = LIBRARIES) -> None:
        self.preloaded = Preloaded()
        self.is_over = False  #: nothing will be imported any more
        self._waiting = [each for each in libraries if importlib.util.find_spec(each.name) is not None]

    def missing(self, named: Set[str]) -> list[Library]:
        """Those of these libraries, and of the libraries that they use, that are still to be imported."""
        all_named = _with_used(named)
        return [library for library in self._waiting if library.name in all_named]

    def import_next(self, waiting: Collection[Set[str]] = (), tell: Callable[[str], None] = lambda _: None) -> bool:
        """Import one library; returns False if all have been imported. One that fails is logged and left out.

        `tell` hears its name before.

        `waiting` has the names of libraries for which Spaces wait. The one that waits for the least comes first.
        """
        if not self._waiting:
            self.is_over = True
            return False
        wanted = [missing for named in waiting if (missing := self.missing(named))]
        library = min(wanted, key=_seconds, default=self._waiting)[0]
        self._waiting.remove(library)
        tell(library.name)
        self._observed(lambda: _import(library))
        return True

    def complete(self) -> None:
        """Import the farm's own modules."""
        self._observed(lambda: [importlib.import_module(module) for module in OURS])

    def _observed(self, work: Callable[[], object]) -> None:
        with observed_environment() as read, observed_misses() as missed:
            work()
        self.preloaded.variables |= read
        self.preloaded.missed |= missed
        names = {name.partition(".")[0] for name in list(sys.modules)} - sys.stdlib_module_names
        self.preloaded.modules = frozenset(name for name in names if not name.startswith("_"))
        self.preloaded.packages = frozenset()


def _seconds(libraries: list[Library]) -> float:
    return sum(library.seconds for library in libraries)


def _with_used(named: Set[str]) -> set[str]:
    found: set[str] = set()
    new = set(named)
    while new:
        found |= new
        new = {name for library in LIBRARIES if library.name in new for name in library.uses} - found
    return found


def preload(libraries: Iterable[Library] = LIBRARIES) -> Preloaded:
    """Import the libraries that are installed, and the farm's own modules."""
    preloading = Preloading(libraries)
    preloading.complete()
    while preloading.import_next():
        pass
    return preloading.preloaded


def _import(library: Library) -> None:
    before = threading.active_count()
    for module in library.modules:
        try:
            importlib.import_module(module)
        except Exception as error:
            logger.warning("%s is not imported ahead: %s: %s", module, type(error).__name__, error)
            return
    if threading.active_count() > before:
        logger.warning("%s starts a thread while it is imported, which no fork has", library.name)
