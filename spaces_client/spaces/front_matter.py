"""Reads the front matter of a Space's README."""

from __future__ import annotations

from pathlib import Path


def front_matter(folder: Path) -> dict[str, str]:
    """The plain `key: value` lines in the front matter of a folder's README.md; empty without one."""
    try:
        lines = (folder / "README.md").read_text(encoding="utf-8-sig", errors="replace").splitlines()
    except OSError:
        return {}
    if not lines or lines[0].strip() != "---":
        return {}
    found: dict[str, str] = {}
    for line in lines[1:]:
        if line.strip() == "---":
            return found
        key, colon, value = line.partition(":")
        if colon and key == key.strip():
            found[key] = value.partition(" #")[0].strip().strip("\"'")
    return {}
