"""Replaces a command's process by the process that it starts, which then handles signals, output and exit code."""

from __future__ import annotations

import os
import sys
from typing import NoReturn

from spaces.role import ROLE, URL, Role
from spaces.withheld_variables import without_secrets


def become(arguments: list[str], environment: dict[str, str]) -> NoReturn:
    """Replace this process by Python with these arguments (exec)."""
    os.execve(sys.executable, [sys.executable, *arguments], environment)


def own_environment(url: str) -> dict[str, str]:
    """The environment of the farm's own processes: the broker's URL, and no variable of a Space."""
    return without_secrets() | {ROLE: Role.NONE, URL: url}
