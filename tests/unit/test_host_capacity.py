"""The memory that sleepers share is that of the host, or of the container in which their worker runs."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest

from spaces_workers.sandbox import control_groups
from spaces_workers.worker.gpu_memory.host_capacity import Capacity, capacity

GB = 10**9
HOST = Capacity(100 * GB, 80 * GB)

Group = Callable[..., None]


@pytest.fixture(params=[1, 2])
def group(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Group:
    """Makes groups, of either version of the kernel's, in whose lowest this process is."""
    version: int = request.param
    kind, options = ("cgroup", ["rw", "memory"]) if version == 1 else ("cgroup2", ["rw"])
    place = tmp_path / "cgroup"
    monkeypatch.setattr(control_groups, "_mounts", lambda: [(place, kind, "/", options)])
    monkeypatch.setattr(control_groups, "_own_groups", lambda: [("memory" if version == 1 else "", "/pod/worker")])
    host = SimpleNamespace(total=HOST.total, available=HOST.available)
    monkeypatch.setattr("psutil.virtual_memory", lambda: host)
    limit_file, usage_file, cached_word = control_groups._MEMORY[version]

    def make(path: str, limit: object, used: int, cached: int) -> None:
        folder = place / path
        folder.mkdir(parents=True, exist_ok=True)
        (folder / limit_file).write_text(f"{limit}\n")
        (folder / usage_file).write_text(f"{used}\n")
        (folder / "memory.stat").write_text(f"anon 7\n{cached_word} {cached}\n")

    return make


def test_without_a_limit_it_is_the_memory_of_the_host(group: Group) -> None:
    assert capacity() == HOST
    group("pod/worker", "max", 30 * GB, 0)
    assert capacity() == HOST


def test_in_a_container_it_is_what_that_may_have(group: Group) -> None:
    """A worker in a container of 16 GB let sleepers take half of the host's memory, and was killed for it."""
    group("pod/worker", 16 * GB, 10 * GB, 3 * GB)
    assert capacity() == Capacity(16 * GB, 9 * GB)


def test_a_group_above_may_have_less(group: Group) -> None:
    group("pod/worker", 60 * GB, 1 * GB, 0)
    group("pod", 20 * GB, 19 * GB, 0)
    assert capacity() == Capacity(20 * GB, 1 * GB)
