"""An operator loads a Space: a worker makes room for its weights alone, and nothing is learned of its functions."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from spaces import config
from spaces.farm.payloads.payload import Payload
from spaces.farm.queue.keys import Keys
from spaces.farm.queue.registry import SpaceRecord
from spaces.farm.queue.rules import SpaceRules
from spaces.farm.task import LOAD, Task
from spaces_workers.gpu.devices import GIB, Device
from spaces_workers.link.messages import Unfit
from spaces_workers.worker.child_link import ChildLink, UnfitChild
from spaces_workers.worker.gpu_memory import host_capacity
from spaces_workers.worker.gpu_memory.device_memory import DeviceMemory, DoesNotFit
from spaces_workers.worker.gpu_memory.eviction import Eviction
from spaces_workers.worker.gpu_memory.host_capacity import Capacity
from spaces_workers.worker.gpu_memory.residency import Residency
from spaces_workers.worker.gpu_memory.sleepers import HostMemoryBudget
from spaces_workers.worker.workplace import Workplace

from .test_residency import Dozing, spec_of

CARD = Device("GPU-1", 0, "NVIDIA H200", 40 * GIB, "gpu", ("large",))


class FullCard:
    """Zygotes whose children never get ready, because the card is full against the account."""

    def __init__(self) -> None:
        self.forks = 0

    def weights_bytes(self, _spec: object) -> int:
        return 10 * GIB

    def knows(self, _spec: object) -> bool:
        return True

    def fork(self, spec: Any, _fork: object) -> ChildLink:  # Any: of a zygote
        self.forks += 1
        raise UnfitChild(spec.space, Unfit("CUDA out of memory", True))


@pytest.fixture
def workplace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Workplace:
    monkeypatch.setattr(host_capacity, "capacity", lambda: Capacity(total=1 << 50, available=1 << 50))
    (tmp_path / "app.py").touch()
    here = replace(config.current(), host="here", run_dir=tmp_path)
    record = SpaceRecord("loaded", "1", str(tmp_path / "app.py"), str(tmp_path), True, "here", "/python", False, ())
    eviction = Eviction(rules=lambda space: SpaceRules(pin=space == "pinned"))
    residency = Residency(
        8, DeviceMemory(CARD, reading=lambda _: None), HostMemoryBudget(1 << 40, 1 << 40), eviction=eviction
    )
    found = Workplace(
        here,
        cast(Any, SimpleNamespace(redis=None, keys=Keys())),  # Any: no task is read or written
        cast(Any, SimpleNamespace(find=lambda *_: record)),
        CARD,
        farm_key=b"key",
        state_dir=tmp_path,
        zygotes=cast(Any, FullCard()),
        residency=residency,
    )
    monkeypatch.setattr(found, "spec_of", lambda _: spec_of("loaded"))
    return found


def kept(workplace: Workplace, child: Dozing) -> Dozing:
    workplace.residency.keep(cast(ChildLink, child))
    return child


def load(workplace: Workplace) -> ChildLink:
    return workplace.child_for(Task("loaded", LOAD, Payload(), revision="1"))


@contextmanager
def peak(child: Dozing, gigabytes: int) -> Iterator[None]:
    """Within this the worker is told that a task of the child has once held so much."""
    memory, child.memory = child.memory, replace(child.memory, peak_bytes=gigabytes * GIB)
    yield
    child.memory = memory


def test_a_pinned_space_stays_beside_a_sleeper_that_is_loaded_and_whose_tasks_need_much(workplace: Workplace) -> None:
    """Room was made for the sleeper's next task: the whole GPU was emptied, and the pinned Space with it."""
    sleeper = Dozing("loaded", 10)
    with peak(sleeper, 30):
        kept(workplace, sleeper)
    sleeper.put_to_sleep(pinned=True)
    pinned, other = kept(workplace, Dozing("pinned", 20)), kept(workplace, Dozing("other", 5))
    assert load(workplace) is cast(ChildLink, sleeper)
    assert [child.sleep for child in (sleeper, pinned, other)] == [None, None, None]


def test_a_load_that_runs_out_of_memory_is_not_repeated_and_teaches_nothing(workplace: Workplace) -> None:
    """No function has run: the next task of the Space would have emptied the GPU for nothing."""
    pinned = kept(workplace, Dozing("pinned", 20))
    with pytest.raises(UnfitChild):
        load(workplace)
    assert cast(FullCard, workplace.zygotes).forks == 1
    workplace.residency.make_room_for_new(spec_of("loaded"), 10 * GIB)
    assert (pinned.sleep, pinned.discarded) == (None, False)


def test_a_load_counts_what_sleepers_keep_of_the_device(workplace: Workplace) -> None:
    sleeper = kept(workplace, Dozing("asleep", 35, rest=31))
    sleeper.put_to_sleep(pinned=True)
    with pytest.raises(DoesNotFit, match="where asleep keep their places"):
        load(workplace)
    assert not sleeper.discarded
