"""`zerofarm`: the command line of a farm. It reports if another package named `spaces` breaks every command."""

from __future__ import annotations

import sys


def main() -> None:
    """The console script."""
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
