"""`zerofarm`: the command line of a farm. It reports if another package named `spaces` breaks every command."""

from __future__ import annotations

import os
import sys


def main() -> None:
    """The console script."""
    # Where the environment names a farm, `import spaces` would take this process for a Space's page, and join the farm.
    os.environ["ZEROFARM_ROLE"] = "none"
    try:
        from spaces_workers.commands.command_table import run
    except Exception as error:  # another package of our name may raise anything
        from spaces_workers.doctor.spaces_package import installed

        found = installed()
        if found.status == "ok":
            raise
        sys.exit(f"zerofarm: {found.message} ({type(error).__name__}: {error}). {found.remedy}")
    run()


if __name__ == "__main__":
    main()
