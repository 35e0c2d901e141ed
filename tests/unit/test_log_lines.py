"""The lines of a Space's log on a worker: each carries its time and its task."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator

import pytest

from spaces.farm import log_lines

STAMP = r"\d\d:\d\d:\d\d"


class Log:
    """A stream of Python over bytes that can be read."""

    def __init__(self) -> None:
        self._bytes = io.BytesIO()
        self._stream = io.TextIOWrapper(self._bytes, encoding="utf-8")
        self.lines = log_lines.MarkedLines(self._stream)

    def text(self) -> str:
        self.lines.flush()
        return self._bytes.getvalue().decode()


@pytest.fixture
def log() -> Iterator[Log]:
    made = Log()
    yield made
    log_lines.of_task("")


def test_a_line_has_the_time_and_the_task(log: Log) -> None:
    print("before", file=log.lines)
    log_lines.of_task("3f2a9c11d4e5")
    print("loading", "weights", file=log.lines)
    assert re.fullmatch(f"{STAMP} - before\n{STAMP} 3f2a9c11 loading weights\n", log.text())


def test_each_line_of_a_text_is_marked_once(log: Log) -> None:
    log.lines.write("one\ntw")
    log.lines.write("o\n\n")
    log.lines.write("")
    log.lines.write("three")
    assert re.fullmatch(f"{STAMP} - one\n{STAMP} - two\n{STAMP} - \n{STAMP} - three", log.text())


def test_a_progress_bar_is_one_line(log: Log) -> None:
    for text in ("\r 0 %", "\r 50 %", "\r100 %", "\n"):
        log.lines.write(text)
    assert re.fullmatch(f"{STAMP} - \r 0 %\r 50 %\r100 %\n", log.text())


def test_a_writer_hears_the_length_of_its_own_text(log: Log) -> None:
    assert log.lines.write("one\ntwo") == 7


def test_bytes_are_left_as_they_are(log: Log) -> None:
    log.lines.flush()
    log.lines.buffer.write(b"raw\n")
    assert log.text() == "raw\n"


def test_a_log_is_read_as_it_was_written(log: Log) -> None:
    log_lines.of_task("3f2a9c11d4e5")
    text = 'Traceback (most recent call last):\n  File "app.py", line 3\n\n12:00 is no mark\n'
    log.lines.write(text)
    assert log_lines.unmarked(log.text()) == text
    assert log_lines.unmarked(f"{log_lines.marked('one')}\ntwo") == "one\ntwo"
