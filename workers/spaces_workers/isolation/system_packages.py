"""Reads `packages.txt`, the Debian packages that a Space needs. A farm installs none; it reports the missing ones."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator, Sequence

from spaces.source import Source


def asked_for(source: Source) -> tuple[str, ...]:
    """The names in `packages.txt`."""
    try:
        text = (source.root / "packages.txt").read_text(encoding="utf-8-sig", errors="replace")
    except OSError:
        return ()
    lines = (line.partition("#")[0] for line in text.splitlines())
    return () if source.alone else tuple(name for line in lines for name in line.split())


def notes_on(packages: Sequence[str]) -> Iterator[str]:
    """The missing packages, and the command that installs them."""
    if shutil.which("dpkg-query") is None:
        missing = list(packages)
    else:
        missing = [package for package in packages if not _installed(package)]
    if missing:
        yield f"packages.txt asks for packages that this machine seems to lack: apt-get install {' '.join(missing)}"


def _installed(package: str) -> bool:
    query = ["dpkg-query", "--show", "--showformat=${db:Status-Abbrev}", package]
    return subprocess.run(query, capture_output=True, text=True, check=False).stdout.startswith("ii")
