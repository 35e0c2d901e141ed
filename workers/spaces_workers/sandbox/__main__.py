"""`python -m spaces_workers.sandbox DESCRIPTION COMMAND...`: enter a sandbox and become the command."""

from __future__ import annotations

import os
import sys
from typing import NoReturn

from spaces_workers.sandbox.description import Sandbox
from spaces_workers.sandbox.enter import enter


def main() -> NoReturn:
    """Enter the sandbox and exec; exits with the reason if the host refuses."""
    _, description, *command = sys.argv
    sandbox = Sandbox.from_text(description)
    try:
        enter(sandbox)
    except OSError as error:
        sys.exit(f"ZeroFarm: Space {sandbox.space} cannot be enclosed: {error}")
    os.execv(command[0], command)


if __name__ == "__main__":
    main()
