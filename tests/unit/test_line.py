"""A page's connection to a gateway that hangs: callers hear so, and are not held up without end."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from pathlib import Path

import pytest

from spaces.errors import FarmUnavailable
from spaces.farm import wire
from spaces.farm.links import line as line_module
from spaces.farm.links.frames import Frames, frame
from spaces.farm.links.gateway_address import SCHEME
from spaces.farm.links.line import Line
from spaces.farm.links.messages import Done, Welcome, WriteBlob
from spaces.farm.version import VERSION
from tests.waiting import wait_until


@pytest.fixture
def hanging(tmp_path: Path) -> Iterator[str]:
    """The address of a gateway that welcomes each page, and then reads no more."""
    with socket.socket(socket.AF_UNIX) as listener, ExitStack() as pages:
        listener.bind(str(tmp_path / "s"))
        listener.listen()
        serving = threading.Thread(target=_welcome, args=(listener, pages), daemon=True)
        serving.start()
        yield f"{SCHEME}://{tmp_path / 's'}"
        listener.shutdown(socket.SHUT_RDWR)
        serving.join()


def _welcome(listener: socket.socket, pages: ExitStack) -> None:
    with suppress(OSError):
        while True:
            page = pages.enter_context(listener.accept()[0])
            found = Frames(page).next()
            assert found is not None
            page.sendall(frame(found[0], wire.pack(Welcome("page", VERSION, 60.0, 60, counts_visitors=False))))


def test_a_call_to_a_gateway_that_reads_nothing_ends(hanging: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(line_module, "SEND_PATIENCE", 0.2)
    line = Line(
        hanging,
        on_event=lambda _: None,
        on_failure=lambda _: None,
        again=lambda _: None,
        away=lambda _: None,
        refused=lambda _: None,
    )
    assert line.welcome.client == "page"
    errors: list[Exception] = []
    calling = threading.Thread(target=_call, args=(line, errors), daemon=True)
    calling.start()
    wait_until(lambda: errors)
    assert isinstance(errors[0], FarmUnavailable)
    line.close()


def _call(line: Line, errors: list[Exception]) -> None:
    try:
        line.call(WriteBlob("a", 0, bytes(2**20)), Done, patience=1.0)
    except Exception as error:
        errors.append(error)
