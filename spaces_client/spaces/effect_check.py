"""Checks that `import spaces` takes effect in a Space's process, and writes to its log if not.

Gradio imports this package inside a `try`, and a Space may do so too, or replace the package: the page then works
without an error, but also without a GPU. `zerofarm up` repeats the lines that begin with `MARK`.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from spaces.functions.function import functions

#: The prefix of lines in a Space's log that its operator should read.
MARK = "ZeroFarm: "

_OURS = Path(__file__).with_name("__init__.py")


def namesakes(folder: Path) -> list[Path]:
    """Files in a script's folder that `import spaces` would find if our package did not come first."""
    return [path for path in (folder / "spaces.py", folder / "spaces" / "__init__.py") if path.is_file()]


def tell_of_namesakes(folder: Path) -> None:
    """Before a script runs: report files that it cannot import."""
    for path in namesakes(folder):
        _tell(f"{path} cannot be imported: `import spaces` finds ZeroFarm's package. Rename it")


@cache
def tell_at_launch() -> None:
    """When a script is complete: report, once, why none of its functions will run on a GPU, if that is so."""
    for line in _doubts():
        _tell(line)


def replaced() -> bool:
    """Whether the script has replaced this package by another object."""
    return getattr(sys.modules.get("spaces"), "__file__", None) != str(_OURS)


def _doubts() -> Iterator[str]:
    if replaced():
        yield (
            f"the script has replaced the package `spaces` by {sys.modules.get('spaces')!r}: its functions run "
            "in its web process, without a GPU. Remove the assignment to sys.modules['spaces']"
        )
    elif not functions:
        yield "no function is decorated with @spaces.GPU: the whole Space runs in its web process, without a GPU"


def _tell(line: str) -> None:
    print(f"{MARK}{line}", file=sys.stderr, flush=True)
