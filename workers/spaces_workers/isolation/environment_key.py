"""The key of a Space's environment: a hash of everything that the environment is made from.

A Space whose key has changed gets a new environment. The Space's name is part of the key, so no two share one.
"""

from __future__ import annotations

import re
import sys
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from spaces.front_matter import front_matter
from spaces.source import Source
from spaces_workers.isolation import farm_packages, system_packages
from spaces_workers.isolation.requirements import Requirements, requirements_of

#: Increased when environments of earlier versions become unusable.
EDITION = "1"


@dataclass(frozen=True, slots=True)
class Wanted:
    """The inputs of a Space's environment, and its key."""

    name: str
    root: Path
    requirements: Requirements
    sdk_version: str  #: of Gradio, as README.md names it; empty: any
    python_version: str
    system_packages: tuple[str, ...]
    key: str  #: changes with any of these fields, and with the farm's packages


def wanted_by(source: Source, name: str) -> Wanted:
    """Read the specification from a Space's files."""
    card = {} if source.alone else front_matter(source.root)
    requirements = requirements_of(source)
    sdk_version = card.get("sdk_version", "") if card.get("sdk", "gradio") == "gradio" else ""
    python_version = card.get("python_version", "")
    packages = system_packages.asked_for(source)
    parts = [EDITION, sys.version, sys.prefix, farm_packages.fingerprint(), str(farm_packages.our_folders())]
    parts += [name, str(requirements), sdk_version, python_version, str(packages)]
    if requirements.names_local_files:
        parts += [str(source.root), source.digest()]
    digest = sha256("\0".join(parts).encode()).hexdigest()[:16]
    key = f"{re.sub(r'[^A-Za-z0-9-]+', '-', name)}-{digest}"
    return Wanted(name, source.root, requirements, sdk_version, python_version, packages, key)
