"""`packages.txt`: the Debian packages that a Space asks for. A farm installs none; it says which are missing."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Sequence

from spaces.source import Source


def asked_for(source: Source) -> tuple[str, ...]:
    """The names in `packages.txt`."""
    try:
        text = (source.root / "packages.txt").read_text(encoding="utf-8-sig", errors="replace")
    except OSError:
        return ()
    lines = (line.partition("#")[0] for line in text.splitlines())
    return () if source.alone else tuple(name for line in lines for name in line.split())


def note_on(packages: Sequence[str]) -> str:
    """What is missing here, and how it is had; empty if nothing is."""
    if not packages:
        return ""
    if shutil.which("dpkg-query") is None:
        return f"packages.txt asks for {', '.join(packages)}: whether this machine has them is not known"
    missing = [package for package in packages if not _installed(package)]
    if not missing:
        return ""
    return f"packages.txt asks for what this machine lacks: apt-get install {' '.join(missing)}"


def _installed(package: str) -> bool:
    query = ["dpkg-query", "--show", "--showformat=${db:Status-Abbrev}", package]
    return subprocess.run(query, capture_output=True, text=True, check=False).stdout.startswith("ii")
