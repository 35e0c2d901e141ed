"""The description of a child's end: a signal, an exit code, or a lack of memory, with the memory that it held."""

from __future__ import annotations

import signal
from pathlib import Path
from typing import cast

import pytest

from spaces.farm.events import CrashCause
from spaces_workers.link.channel import Channel
from spaces_workers.link.messages import Exited, RunTask, ZygoteSpec
from spaces_workers.worker import oom_kills
from spaces_workers.worker.child_death import Death
from spaces_workers.worker.child_link import ChildLink


class Zygote:
    """Knows how its child ended."""

    is_gone = False

    def __init__(self, exited: Exited | None) -> None:
        self._exited = exited

    def word_of(self, pid: int) -> Exited | None:
        return self._exited


class Socket:
    """Collects the sent messages."""

    def send(self, message: object) -> None:
        pass


def child(exited: Exited | None) -> ChildLink:
    """A child that runs a task and will end so."""
    made = ChildLink(cast(ZygoteSpec, None), 0, cast(Channel, Socket()), Zygote(exited))
    made._bond.given()
    made._bond.cut()  # nobody is at its other end
    made.begin(cast(RunTask, None))
    return made


ENDS: list[tuple[Exited | None, str, CrashCause]] = [
    (None, "died together with its zygote", CrashCause.FARM),
    (Exited(1, 3, 0), "exited with code 3", CrashCause.FUNCTION),
    (Exited(1, -signal.SIGSEGV, 10**9), "was killed by SIGSEGV", CrashCause.FUNCTION),
    (Exited(1, -signal.SIGKILL, 312 * 2**20), "was killed by SIGKILL (it held up to 312 MiB)", CrashCause.KILLED),
]


@pytest.mark.parametrize(("exited", "words", "cause"), ENDS)
def test_the_end_of_a_child_in_words_and_by_cause(exited: Exited | None, words: str, cause: CrashCause) -> None:
    assert child(exited).how_it_ended() == Death(words, cause)


def test_a_kill_for_want_of_memory_is_told_as_one(monkeypatch: pytest.MonkeyPatch) -> None:
    killed = child(Exited(1, -signal.SIGKILL, int(12.3 * 2**30)))
    monkeypatch.setattr(oom_kills, "kills", lambda: 10**9)
    words = "was killed by SIGKILL because the machine ran out of memory (it held up to 12.3 GiB)"
    assert killed.how_it_ended() == Death(words, CrashCause.OUT_OF_MEMORY)


def test_a_kill_for_want_of_memory_before_the_task_is_another_one_s(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(oom_kills, "kills", lambda: 10**9)
    monkeypatch.setattr(oom_kills, "recent_kills", lambda: 10**9)
    words = "was killed by SIGKILL (it held up to 0 bytes)"
    assert child(Exited(1, -signal.SIGKILL, 0)).how_it_ended() == Death(words, CrashCause.KILLED)


def test_the_kernel_s_count_of_kills_is_read(tmp_path: Path) -> None:
    (tmp_path / "vmstat").write_text("pgfault 17\noom_kill 4\nnr_free_pages 9\n")
    assert oom_kills.kills(tmp_path / "vmstat") == 4
    assert oom_kills.kills(tmp_path / "nothing") == 0
