"""Alarms of running tasks: each rings once at its moment, unless it was cleared."""

from __future__ import annotations

import threading
import time

from spaces_workers.worker.run.alarms import Alarms
from spaces_workers.worker.run.attendants import Attendants
from tests.waiting import PATIENCE, wait_until


def test_alarms_ring_in_the_order_of_their_moments_whatever_the_order_in_which_they_are_set() -> None:
    alarms, rung, done = Alarms(), list[str](), threading.Event()
    now = time.monotonic()

    def ring_late() -> None:
        rung.append("late")
        done.set()

    alarms.set("late", now + 0.4, ring_late)
    alarms.set("early", now + 0.05, lambda: rung.append("early"))
    assert done.wait(PATIENCE)
    assert rung == ["early", "late"]
    assert time.monotonic() >= now + 0.4


def test_an_alarm_that_is_cleared_does_not_ring() -> None:
    alarms, rung, done = Alarms(), list[str](), threading.Event()
    now = time.monotonic()
    alarms.set("cleared", now + 0.05, lambda: rung.append("cleared"))
    alarms.set("kept", now + 0.2, done.set)
    alarms.clear("cleared")
    assert done.wait(PATIENCE)
    assert rung == []


def test_an_alarm_that_takes_long_delays_no_other() -> None:
    alarms, release, done = Alarms(), threading.Event(), threading.Event()
    now = time.monotonic()

    def take_long() -> None:
        release.wait(2 * PATIENCE)

    alarms.set("long", now, take_long)
    alarms.set("other", now + 0.05, done.set)
    assert done.wait(PATIENCE)
    release.set()


def test_runs_after_each_other_share_a_thread_and_runs_at_once_have_one_each() -> None:
    attendants, names = Attendants(), list[int]()
    meeting = threading.Barrier(3)

    def note() -> None:
        names.append(threading.get_ident())

    def meet() -> None:
        meeting.wait(PATIENCE)

    for _ in range(3):
        attendants.give(note)
        wait_until(lambda: attendants._idle == 1)
    assert len(names) == 3
    assert len(set(names)) == 1

    for _ in range(2):
        attendants.give(meet)
    meet()
