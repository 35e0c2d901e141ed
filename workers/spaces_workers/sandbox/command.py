"""The command line that starts a program in a sandbox."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from spaces_workers.sandbox.description import Sandbox


def enclosed(command: Sequence[str], sandbox: Sandbox | None) -> list[str]:
    """The command that enters the sandbox and becomes `command`; that itself without one."""
    if sandbox is None:
        return list(command)
    # With -P, modules of ours are not looked for in the current folder.
    return [sys.executable, "-P", "-m", "spaces_workers.sandbox", sandbox.to_text(), *command]
