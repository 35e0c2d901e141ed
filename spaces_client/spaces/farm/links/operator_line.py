"""How operators' programs reach the `zerofarm up` of a state directory: the commands, and the operator's page.

`control.sock` there is a unix socket that the farm's user and root may use. A request is one line of JSON, and so is
each answer; the last one has `done` or `fault`:

    {"action": "add", "by": "ada on gpu-host", "with": {"source": "/srv/painter", "name": "painter"}}
    {"note": "starting revision 1 (2f6ea1b0c9d3)"}
    {"done": {"space": "painter", "revision": 1, "url": "http://127.0.0.1:7860/spaces/painter"}}

`up/control/actions.py` has the actions.
"""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from spaces.errors import SpacesError

#: The name of the socket in a state directory.
SOCKET = "control.sock"


class OperatorFault(SpacesError):
    """`zerofarm up` does not run, or has refused; the message says why."""


def ask(
    state_dir: Path,
    action: str,
    by: str,
    on_note: Callable[[str], None] = lambda _: None,
    patience: float | None = None,
    /,
    **arguments: object,
) -> Any:  # Any: JSON
    """Have an action done, and return what it says. `on_note` gets what it says meanwhile.

    Raises OperatorFault, and TimeoutError if nothing comes for `patience` seconds.
    """
    with _connected(state_dir, patience) as sock:
        sock.sendall(json.dumps({"action": action, "by": by, "with": arguments}).encode() + b"\n")
        for answer in map(json.loads, sock.makefile("rb")):
            if "note" in answer:
                on_note(answer["note"])
            elif "fault" in answer:
                raise OperatorFault(answer["fault"])
            else:
                return answer["done"]
    raise OperatorFault(f"zerofarm up has ended before it answered {action}; see the output of zerofarm up")


def runs(state_dir: Path) -> bool:
    """Whether a `zerofarm up` of a state directory runs, and this user may ask it."""
    try:
        with _connected(state_dir, patience=None):
            return True
    except OperatorFault:
        return False


@contextmanager
def in_folder(state_dir: Path) -> Iterator[str]:
    """A path of the socket that is short enough, however long that of the folder is: the kernel takes 107 bytes."""
    folder = os.open(state_dir, os.O_PATH | os.O_DIRECTORY)
    try:
        yield f"/proc/self/fd/{folder}/{SOCKET}"
    finally:
        os.close(folder)


@contextmanager
def _connected(state_dir: Path, patience: float | None) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_UNIX) as sock:
        sock.settimeout(patience)
        try:
            with in_folder(state_dir) as path:
                sock.connect(path)
        except PermissionError:
            raise OperatorFault(
                f"the farm in {state_dir} belongs to another user: run this command as that user, or as root"
            ) from None
        except OSError:
            raise OperatorFault(f"no zerofarm up runs in {state_dir}: start it, or give its --state-dir") from None
        yield sock


def told(answer: Mapping[str, Any]) -> bytes:  # Any: JSON
    """An answer, as a line."""
    return json.dumps(answer).encode() + b"\n"
