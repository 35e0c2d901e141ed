"""`python -m spaces_workers.isolation --state-dir DIR [--name SPACE] APP_FILE`: the web process of a Space, in its own
environment.

It makes the environment if it is missing, prints its progress, and then execs the Space's process: the launcher watches
one process and one log throughout.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

from spaces.space import source_at
from spaces_workers.isolation import MODULE, IsolationError, SpaceEnvironment, prepare


def command(environment: SpaceEnvironment, app_file: Path) -> list[str]:
    """The command line of a Space's web process."""
    return [str(environment.python), *MODULE, "spaces.script", str(app_file)]


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Prepare the environment and become the web process; exits with the reason if that fails."""
    parser = argparse.ArgumentParser(prog="python -m spaces_workers.isolation")
    parser.add_argument("--state-dir", type=Path, required=True)
    parser.add_argument("--name", default="")
    parser.add_argument("app_file", type=Path)
    given = parser.parse_args(arguments)
    app_file = given.app_file.resolve()
    try:
        environment = prepare(
            source_at(app_file), given.state_dir, lambda line: print(line, flush=True), name=given.name
        )
    except IsolationError as error:
        sys.exit(str(error))
    line = command(environment, app_file)
    os.execve(line[0], line, os.environ | environment.variables)


def _tell(line: str) -> None:
    print(line, flush=True)


if __name__ == "__main__":
    main()
