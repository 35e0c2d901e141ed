"""What operators may set for Spaces and workers while tasks wait and run: it holds from the next claim on, exactly."""

from __future__ import annotations

import threading

import pytest

from spaces.farm.events import Succeeded
from spaces.farm.farm_status import SpaceTerms
from spaces.farm.payloads.payload import Payload
from spaces.farm.queue.control.audit import Action, Audit
from spaces.farm.queue.control.controls import ControlFault, Controls, drained, pinned, terms
from spaces.farm.queue.keys import WAITING
from spaces.farm.queue.outlook import Place
from spaces.farm.queue.queue import Queue
from spaces.farm.queue.warmth import Warmth
from spaces.farm.task import Lease, State

from .support import SIZES, claimed, expire_worker, pushed, state_of

DONE = Succeeded(Payload(b"done"), 1.0)


@pytest.fixture
def controls(queue: Queue) -> Controls:
    return Controls(queue, "ada on here")


def taken(queue: Queue, worker: str = "w1", **options: object) -> str | None:
    found = queue.claim(worker, SIZES, **options)  # type: ignore[arg-type] # the options of a claim
    return None if found is None else found.lease.task.id


def test_tasks_of_a_paused_space_wait_and_say_so_and_others_run(queue: Queue, controls: Controls) -> None:
    first, second, other = pushed(queue), pushed(queue), pushed(queue, space="names", estimate=99.0)
    assert controls.pause("digits")
    later = pushed(queue)
    assert queue.outlook.places([first.id, later.id, other.id]) == [
        Place(0, 3, None, paused=True),
        Place(2, 3, None, paused=True),
        Place(0, 1, None),
    ]
    assert [state_of(queue, task) for task in (first, later)] == [State.QUEUED] * 2
    assert queue.position(second.id) == 1
    assert [taken(queue), taken(queue)] == [other.id, None]
    assert taken(queue, warmth=Warmth({"digits": 0.0}, unseen=9.0)) is None, "a warm worker took a paused task"
    assert controls.resume("digits")
    assert [taken(queue) for _ in range(4)] == [first.id, second.id, later.id, None]


def test_a_task_that_runs_goes_on_when_its_space_is_paused_and_returns_to_those_that_wait(
    queue: Queue, controls: Controls
) -> None:
    pushed(queue)
    lease = claimed(queue).lease
    controls.pause("digits")
    assert queue.append(lease, []) == 0
    assert queue.release(lease)
    assert taken(queue) is None
    controls.resume("digits")
    again = claimed(queue).lease
    assert again.task.id == lease.task.id
    assert queue.end(again, DONE)


def test_a_paused_task_can_be_cancelled_and_leaves_nothing(queue: Queue, controls: Controls) -> None:
    task = pushed(queue)
    controls.pause("digits")
    assert queue.cancel(task.id, "no need").value == "removed"
    controls.resume("digits")
    assert taken(queue) is None
    assert queue.waiting("digits") == queue.depth("large") == 0


def test_the_queue_keeps_its_lifetime_when_spaces_are_paused_and_resumed(queue: Queue, controls: Controls) -> None:
    """The commands that make the difference and the union of sets drop the lifetime."""
    pushed(queue)
    pushed(queue, space="names")
    controls.pause("digits")
    assert queue.redis.ttl(queue.keys.queue("large")) > WAITING - 5
    controls.resume("digits")
    assert queue.redis.ttl(queue.keys.queue("large")) > WAITING - 5


def test_resuming_wakes_as_many_workers_as_tasks_wait(queue: Queue, controls: Controls) -> None:
    controls.pause("digits")
    for _ in range(3):
        pushed(queue)
    assert queue.redis.llen(queue.keys.bell("large")) == 0
    controls.resume("digits")
    assert queue.redis.llen(queue.keys.bell("large")) == 3


def test_a_drained_worker_takes_nothing_finishes_and_leaves_bells_to_others(queue: Queue, controls: Controls) -> None:
    pushed(queue)
    lease = claimed(queue, "gpu0@host:1").lease
    assert controls.drain("gpu0@host")
    task = pushed(queue)
    assert taken(queue, "gpu0@host:1") is None
    assert taken(queue, "gpu0@host:2") is None, "a drained worker took a task after its restart"
    assert queue.redis.llen(queue.keys.bell("large")) >= 1
    assert taken(queue, "gpu0@host:1", in_hand=[]) == lease.task.id, "the answer to its claim was lost before"
    assert taken(queue, "gpu1@host:1") == task.id
    assert drained(queue) == {"gpu0@host"}
    assert controls.undrain("gpu0@host")
    assert taken(queue, "gpu0@host:1") is None
    last = pushed(queue)
    assert taken(queue, "gpu0@host:1") == last.id


def test_a_worker_that_is_drained_until_it_ends_takes_tasks_when_it_starts_again(
    queue: Queue, controls: Controls
) -> None:
    queue.leases.beat("gpu0@pod:1")
    assert controls.drain("gpu0@pod:1")
    assert not controls.drain("gpu0@pod:1")
    task = pushed(queue)
    assert taken(queue, "gpu0@pod:1") is None
    assert drained(queue) == {"gpu0@pod:1"}
    queue.leases.leave("gpu0@pod:1")
    assert drained(queue) == set()
    assert taken(queue, "gpu0@pod:2") == task.id


def test_a_worker_that_has_ended_is_not_drained_by_its_id(queue: Queue, controls: Controls) -> None:
    """Its mark would stay for ever: it is removed when the worker ends."""
    queue.leases.beat("gpu0@pod:1")
    queue.leases.leave("gpu0@pod:1")
    assert not controls.drain("gpu0@pod:1")
    assert drained(queue) == set()
    assert Audit(queue.redis).latest(1) == []


def test_a_worker_that_was_drained_until_its_end_and_died_leaves_no_mark(queue: Queue, controls: Controls) -> None:
    queue.leases.beat("gpu0@pod:1")
    controls.drain("gpu0@pod:1")
    expire_worker(queue, "gpu0@pod:1")
    queue.leases.beat("gpu1@pod:1")
    assert queue.redis.smembers(queue.keys.drained()) == set()


def test_an_operator_undrains_a_worker_that_was_drained_until_its_end(queue: Queue, controls: Controls) -> None:
    queue.leases.beat("gpu0@pod:1")
    controls.drain("gpu0@pod:1")
    assert controls.undrain("gpu0@pod")
    assert not controls.undrain("gpu0@pod")
    task = pushed(queue)
    assert taken(queue, "gpu0@pod:1") == task.id


def test_no_task_is_left_to_a_drained_worker(queue: Queue, controls: Controls) -> None:
    queue.leases.beat("warm@host:1")
    queue.claim("warm@host:1", SIZES, Warmth({"digits": 0.0}, unseen=30.0), hold=0.2)
    controls.drain("warm@host")
    task = pushed(queue)
    assert taken(queue, "cold@host:1", warmth=Warmth({}, unseen=30.0), hold=0.2) == task.id


def test_a_space_has_at_most_its_gpus_however_many_workers_claim_at_once(queue: Queue, controls: Controls) -> None:
    controls.limit_gpus("digits", 2)
    for _ in range(40):
        pushed(queue)
    for _ in range(20):
        pushed(queue, space="names", estimate=500.0)
    leases: list[Lease] = []

    def work(name: str) -> None:
        for _ in range(4):
            found = queue.claim(name, SIZES)
            if found is not None:
                leases.append(found.lease)

    workers = [threading.Thread(target=work, args=(f"w{number}",)) for number in range(8)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    spaces = [lease.task.space for lease in leases]
    assert (spaces.count("digits"), spaces.count("names")) == (2, 20)
    held = next(lease for lease in leases if lease.task.space == "digits")
    assert taken(queue) is None
    assert queue.end(held, DONE)
    assert taken(queue) is not None
    assert taken(queue) is None
    controls.limit_gpus("digits", None)
    assert taken(queue) is not None


def test_a_gpu_of_a_dead_worker_counts_until_its_task_is_taken_from_it(queue: Queue, controls: Controls) -> None:
    controls.limit_gpus("digits", 1)
    first, second = pushed(queue), pushed(queue, estimate=20.0)
    claimed(queue, "w1")
    assert taken(queue, "w2") is None
    expire_worker(queue, "w1")
    queue.leases.beat("observer")
    assert taken(queue, "w2") == first.id
    queue.redis.delete(queue.keys.task(first.id))  # as if its lifetime were over
    assert taken(queue, "w3") == second.id


def test_a_space_that_is_full_does_not_hide_tasks_behind_it(queue: Queue, controls: Controls) -> None:
    controls.limit_gpus("digits", 1)
    for _ in range(200):
        pushed(queue, estimate=0.0)
    claimed(queue)
    behind = pushed(queue, space="names", size="xlarge", estimate=50.0)
    assert taken(queue, warmth=Warmth({"digits": 0.0}, unseen=60.0)) == behind.id


def test_a_preferred_space_is_ahead_by_its_seconds_and_no_more(queue: Queue, controls: Controls) -> None:
    usual = pushed(queue, space="names", estimate=100.0)
    early = pushed(queue, space="names", estimate=10.0)
    controls.prefer("digits", 60.0)
    ahead = pushed(queue, estimate=100.0)
    controls.prefer("digits", -600.0)
    behind = pushed(queue, estimate=0.0)
    assert [taken(queue) for _ in range(4)] == [early.id, ahead.id, usual.id, behind.id]


@pytest.mark.parametrize("seconds", [601.0, -601.0, float("nan"), float("inf")])
def test_a_priority_that_would_starve_others_is_refused(controls: Controls, seconds: float) -> None:
    with pytest.raises(ControlFault, match="seconds from -600 to 600"):
        controls.prefer("digits", seconds)


def test_a_limit_of_no_gpu_is_refused(controls: Controls) -> None:
    with pytest.raises(ControlFault, match="must be at least 1, got 0. To stop it, pause it".replace(".", r"\.")):
        controls.limit_gpus("digits", 0)


def test_all_that_is_set_is_told_and_forgotten_with_the_space(queue: Queue, controls: Controls) -> None:
    controls.pause("digits")
    controls.limit_gpus("digits", 3)
    controls.prefer("names", 30.0)
    assert terms(queue) == {"digits": SpaceTerms(True, 3, 0.0), "names": SpaceTerms(priority=30.0)}
    for space in ("digits", "names"):
        controls.forget(space)
    assert terms(queue) == {}


def test_every_change_is_recorded_once_with_who_made_it(queue: Queue, controls: Controls) -> None:
    assert controls.pause("digits")
    assert not controls.pause("digits")
    controls.limit_gpus("digits", 2)
    controls.drain("gpu0@host")
    found = Audit(queue.redis, queue.keys).latest(10)
    assert [(each.by, each.verb, each.target, each.detail) for each in found] == [
        ("ada on here", "drain", "gpu0@host", ""),
        ("ada on here", "max_gpus", "digits", "2"),
        ("ada on here", "pause", "digits", ""),
    ]
    assert found[0].at > 1e9


def test_the_record_is_bounded_and_ends(queue: Queue) -> None:
    audit = Audit(queue.redis, queue.keys)
    for number in range(10_500):
        audit.note(Action("ada", "cancel", str(number)))
    assert queue.redis.xlen(queue.keys.audit()) < 10_400
    assert queue.redis.ttl(queue.keys.audit()) > 0
    assert audit.latest(1)[0].target == "10499"


def test_a_space_is_pinned_until_it_is_unpinned_or_forgotten(queue: Queue, controls: Controls) -> None:
    assert [controls.pin("digits"), controls.pin("digits"), controls.pin("names")] == [True, False, True]
    assert terms(queue) == {"digits": SpaceTerms(pinned=True), "names": SpaceTerms(pinned=True)}
    assert [controls.unpin("digits"), controls.unpin("digits")] == [True, False]
    controls.forget("names")
    assert pinned(queue) == set()
    assert [(each.verb, each.target) for each in Audit(queue.redis).latest(3)] == [
        ("unpin", "digits"),
        ("pin", "names"),
        ("pin", "digits"),
    ]
