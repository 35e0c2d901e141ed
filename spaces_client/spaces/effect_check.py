"""Whether `import spaces` takes effect in a Space's process, said in its log where it does not.

Gradio imports this package inside a `try`, a Space may do so too, or put something of its own in its place: the page
then works, without an error and without a GPU. `zerofarm up` repeats the lines that begin with `MARK`.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from spaces.functions.function import functions

#: How a line of a Space's log begins that its operator should read.
MARK = "ZeroFarm: "

_OURS = Path(__file__).with_name("__init__.py")


def namesakes(folder: Path) -> list[Path]:
    """Files in a script's folder that `import spaces` would find there, were it not for ours."""
    return [path for path in (folder / "spaces.py", folder / "spaces" / "__init__.py") if path.is_file()]


def tell_of_namesakes(folder: Path) -> None:
    """Before a script runs: name what it cannot import."""
    for path in namesakes(folder):
        _tell(f"{path} cannot be imported: `import spaces` finds ZeroFarm's package. Rename it")


@cache
def tell_at_launch() -> None:
    """When a script is complete: say why nothing of it will run on a GPU, if that is so. Says it once."""
    for line in _doubts():
        _tell(line)


def replaced() -> bool:
    """Whether the script has put something else in the place of this package."""
    return getattr(sys.modules.get("spaces"), "__file__", None) != str(_OURS)


def _doubts() -> Iterator[str]:
    if replaced():
        yield (
            f"the script has put {sys.modules.get('spaces')!r} in the place of the package `spaces`: its functions run "
            "in its web process, without a GPU. Remove what assigns to sys.modules['spaces']"
        )
    elif not functions:
        yield "no function is decorated with @spaces.GPU: all of the Space runs in its web process, without a GPU"


def _tell(line: str) -> None:
    print(f"{MARK}{line}", file=sys.stderr, flush=True)
