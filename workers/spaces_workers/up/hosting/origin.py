"""Where a Space comes from: a path of this host, a git repository, or the Hugging Face Hub.

./my-space    /srv/spaces/app.py
https://github.com/ada/painter@v2    git@host:ada/painter.git    ./painter.git
hf:ada/painter    hf:ada/painter@refs/pr/3
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

from spaces.errors import SpacesError

_URL = re.compile(r"(?:https?|ssh|git|file)://")
_SCP = re.compile(r"[\w.-]+@[\w.-]+:")
_HUB = re.compile(r"hf:([\w.-]+/[\w.-]+)(?:@(\S+))?")
_NAME = re.compile(r"[^a-z0-9-]+")

#: Names of Spaces, which are those of folders, hosts and paths.
_FIT = re.compile(r"[a-z0-9][a-z0-9-]{0,62}")


class OriginFault(SpacesError, ValueError):
    """No Space comes from there. The message says why, and what would do."""


@dataclass(frozen=True, slots=True)
class Local:
    """A folder or a script of this host."""

    path: Path


@dataclass(frozen=True, slots=True)
class Git:
    """A git repository, at a branch, a tag or a commit; empty: its own choice."""

    url: str
    revision: str = ""


@dataclass(frozen=True, slots=True)
class Hub:
    """A Space of the Hugging Face Hub."""

    repository: str  #: `owner/name`
    revision: str = ""


Origin: TypeAlias = Local | Git | Hub


def origin_of(text: str, folder: Path | None = None) -> Origin:
    """The origin that an operator has named; a path may be relative to `folder`. Raises OriginFault."""
    if text.startswith("hf:"):
        found = _HUB.fullmatch(text)
        if found is None:
            raise OriginFault(f"a Space of the Hub is named as hf:OWNER/NAME or hf:OWNER/NAME@REV, got {text!r}")
        return Hub(found[1], found[2] or "")
    if scheme := _URL.match(text) or _SCP.match(text):
        return _git(text, scheme.end())
    path = Path(os.path.expanduser(text))
    path = path if path.is_absolute() else (folder or Path.cwd()) / path
    if path.exists() and not _is_bare_repository(path):
        return Local(path.resolve())
    base, _, revision = str(path).partition("@")
    if _is_bare_repository(Path(base)) or (Path(base) / ".git").exists():
        return Git(base, revision)
    raise OriginFault(
        f"there is no Space at {text}: give a folder with app.py, a .py file, a git URL, or hf:OWNER/NAME"
    )


def name_from(origin: Origin) -> str:
    """The name of a Space that comes from there, for people and URLs."""
    match origin:
        case Local(path):
            last = path.stem if path.suffix == ".py" and path.name != "app.py" else _folder(path).name
        case Git(url):
            last = re.split(r"[/:]", url.rstrip("/"))[-1].removesuffix(".git")
        case Hub(repository):
            last = repository.rpartition("/")[2]
    return _NAME.sub("-", last.lower()).strip("-") or "space"


def checked_name(name: str) -> str:
    """The name, if a Space may have it. Raises OriginFault."""
    if not _FIT.fullmatch(name):
        raise OriginFault(f"the name of a Space has small letters, digits and dashes, at most 63, got {name!r}")
    return name


def check_same(name: str, before: str, now: str) -> None:
    """Raise OriginFault unless a Space of this name that came from one place may come from another."""
    try:
        is_same = _place(origin_of(before)) == _place(origin_of(now))
    except OriginFault:  # the folder that it came from is gone
        is_same = before == now
    if not is_same:
        raise OriginFault(
            f"a Space {name} is served already, from {in_words(before)}: zerofarm remove {name} first, or give --name"
        )


def in_words(text: str) -> str:
    """An origin without the password that its URL may have."""
    return re.sub(r"(://)[^/@]*@", r"\1", text)


def _place(origin: Origin) -> object:
    """The same for all revisions of one Space."""
    match origin:
        case Local(path):
            return path.parent if path.name == "app.py" else path
        case Git(url):
            return url
        case Hub(repository):
            return ("hf", repository)


def _git(text: str, start: int) -> Git:
    """The revision follows the last @ of the path: one before it is part of the host."""
    head, tail = text[:start], text[start:]
    host, slash, path = tail.partition("/") if "://" in head else ("", "", tail)
    path, _, revision = path.partition("@") if "@" in path else (path, "", "")
    return Git(f"{head}{host}{slash}{path}", revision)


def _is_bare_repository(path: Path) -> bool:
    return (path / "HEAD").is_file() and (path / "objects").is_dir()


def _folder(path: Path) -> Path:
    return path.parent if path.is_file() else path
