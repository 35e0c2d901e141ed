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

from spaces.farm import log_lines
from spaces.space import source_at
from spaces_workers.isolation import MODULE, IsolationError, SpaceEnvironment, build_log, prepare


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
    app_file, note = given.app_file.resolve(), build_log.inherited()

    def tell(line: str) -> None:
        note(line)
        print(log_lines.marked(line), flush=True)

    try:
        environment = prepare(source_at(app_file), given.state_dir, tell, name=given.name)
    except IsolationError as error:
        note(str(error))
        sys.exit(str(error))
    line = command(environment, app_file)
    os.execve(line[0], line, os.environ | environment.variables)


if __name__ == "__main__":
    main()
