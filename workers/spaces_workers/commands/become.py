"""How a command becomes the process that it starts: signals, output and exit code are then that process's own."""

from __future__ import annotations

import os
import sys
from typing import NoReturn

from spaces import config
from spaces.config import Role, without_secrets


def become(arguments: list[str], environment: dict[str, str]) -> NoReturn:
    """Replace this process by Python with these arguments."""
    os.execve(sys.executable, [sys.executable, *arguments], environment)


def own_environment(url: str) -> dict[str, str]:
    """The environment of a process of our own: the broker, and nothing that would make it a part of a Space."""
    return without_secrets() | {config.ROLE: Role.NONE, config.URL: url}
