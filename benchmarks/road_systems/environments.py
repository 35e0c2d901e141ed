"""The peers, each with the packages of an environment of its own."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Peer:
    """A system of others."""

    packages: tuple[str, ...]
    command: tuple[str, ...]  #: a file of this folder, and its arguments


CELERY = ("celery[redis]>=5.7,<6", "hiredis")

PEERS = {
    "celery solo": Peer(CELERY, ("celery_system.py", "solo")),
    "celery prefork": Peer(CELERY, ("celery_system.py", "prefork")),
    "celery prefork with events": Peer(CELERY, ("celery_system.py", "prefork-events")),
    "dramatiq": Peer(("dramatiq[redis]", "hiredis"), ("dramatiq_system.py",)),
    "arq": Peer(("arq", "hiredis"), ("arq_system.py",)),
    "taskiq": Peer(("taskiq", "taskiq-redis", "hiredis"), ("taskiq_system.py",)),
}


def python_of(name: str, folder: Path) -> Path:
    """The interpreter of a peer's environment, which is made unless it is there."""
    peer = PEERS[name]
    environment = folder / peer.command[0].partition("_")[0]
    python = environment / "bin" / "python"
    if not (environment / "made").exists():
        uv = [sys.executable, "-m", "uv"]
        subprocess.run([*uv, "venv", "--quiet", "--clear", "--python", sys.executable, str(environment)], check=True)
        subprocess.run([*uv, "pip", "install", "--quiet", "--python", str(python), *peer.packages], check=True)
        (environment / "made").touch()
    return python
