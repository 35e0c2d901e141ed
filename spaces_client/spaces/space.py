"""The Space that this process runs: its name, its files, its codec."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterable
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

from spaces import config
from spaces.front_matter import front_matter
from spaces.source import Source

if TYPE_CHECKING:
    from spaces.farm.payloads.space_files import SpaceFiles
    from spaces.farm.values.codec import Codec

#: Levels above a script that are searched for its Space's folder.
_DEPTH = 3


def space_source() -> Source:
    """The script that runs as `__main__`, and the files beside it."""
    path = getattr(sys.modules["__main__"], "__file__", None) or sys.argv[0]
    return source_at(Path(path).resolve())


def source_at(script: Path) -> Source:
    """A script's source: the folder whose README names it, or whose `app.py` it is; else the script alone."""
    for folder in list(script.parents)[:_DEPTH]:
        named = front_matter(folder).get("app_file")
        if named and (folder / named).resolve() == script:
            return Source(script, top=folder)
    return Source(script, alone=script.name != "app.py")


def space_name() -> str:
    """The name that the operator gave this Space, or that of its script."""
    return config.current().space or name_of(space_source())


def name_of(source: Source) -> str:
    """A name for people, queues and URLs: of the folder, or of the script if that is the whole Space."""
    name = source.app_file.stem if source.alone else source.root.name
    return re.sub(r"[^a-z0-9-]+", "-", name.lower()).strip("-") or "space"


def remember_lone_models() -> None:
    """At the first launch, remember the models that the script has made inside functions."""
    from spaces.farm.values.lone_models import lone_models

    global _lone
    if _lone is None:
        _lone = lone_models(modules())


_lone: ModuleType | None = None


def modules() -> list[ModuleType]:
    """The Space's own modules, and a module with the models that are in none of them."""
    return [*_own_modules()(), *([_lone] if _lone else [])]


@cache
def _own_modules() -> Callable[[], Iterable[ModuleType]]:
    from spaces.farm.values.references import space_modules

    return space_modules(space_source().root)


@cache
def space_codec() -> Codec:
    """The codec for the values of this Space; module-level objects are sent by name."""
    from spaces.farm.values.codec import Codec
    from spaces.farm.values.references import References

    return Codec(config.current().space_key, References(modules))


@cache
def space_files() -> SpaceFiles:
    """The files of this Space on this host, for tasks whose other side is on another host."""
    from spaces.farm.payloads.space_files import SpaceFiles

    files = SpaceFiles(space_source().root)
    files.watch()
    return files
