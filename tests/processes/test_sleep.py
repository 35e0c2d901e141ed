"""Children that sleep: Spaces that do not fit on a stand-in together take turns without losing their processes."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import psutil
import pytest

from spaces.farm.celery.celery_app import make_celery
from spaces.farm.farm_status import ResidentStatus
from spaces.farm.links.loading import load, outcome
from spaces.farm.page_addresses import Pages
from spaces.farm.queue.control.controls import ControlFault, Controls
from spaces.farm.queue.status import StatusReader
from spaces_workers.gpu.standin_memory import StandInMemory
from tests.harness import SPACES, Farm, farm
from tests.waiting import PATIENCE, wait_until

MEGABYTES = 40
BYTES = MEGABYTES << 20

#: One of two Spaces fits, with a few small tensors of its task.
CARD_BYTES = int(BYTES * 1.6)

SETTINGS = f"""
[isolation]
level = "none"  # a Space of another user has no access to the account of the stand-in

[memory]
sleep = "on"
stand_in_gb = {CARD_BYTES / 1e9}
stand_in_gb_per_second = 10
"""


Call = Callable[..., Any]


@contextmanager
def two_spaces(folder: Path, settings: str, pieces: int = 0) -> Iterator[Farm]:
    """A farm with two Spaces that take turns on a small stand-in; each has so many of its megabytes in `pieces`."""
    with pytest.MonkeyPatch.context() as patch, farm(folder) as made:
        patch.setenv("SLEEPY_MB", str(MEGABYTES - pieces))
        patch.setenv("SLEEPY_PIECES", str(pieces))
        patch.setenv("ZEROFARM_CONFIG", str(folder / "farm.toml"))
        (folder / "farm.toml").write_text(settings)
        for name in ("first", "second"):
            made.register(name, SPACES / "sleepy" / "app.py")
        made.start_worker()
        yield made


@contextmanager
def caller(farm: Farm) -> Iterator[Call]:
    """Calls a function of a Space, and checks that no task leaves more on the card than fits. Kills all it has met."""
    met: set[int] = set()
    with farm.client("first") as client:

        def call(space: str, function: str, *arguments: object) -> Any:
            value = client.submit(space, function, *arguments).result(timeout=PATIENCE)
            met.update([value[0]] if function == "facts" else [])
            assert held(farm) <= CARD_BYTES
            return value

        yield call
    for pid in met:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


@pytest.fixture(scope="module")
def sleepy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Farm]:
    with two_spaces(tmp_path_factory.mktemp("farm"), SETTINGS) as made:
        yield made


@pytest.fixture
def call(sleepy: Farm) -> Iterator[Call]:
    with caller(sleepy) as call:
        yield call


def held(farm: Farm) -> int:
    return StandInMemory(farm.run_dir / "standin-0.memory", CARD_BYTES).used_bytes


def log(farm: Farm) -> str:
    return (farm.folder / "cpu0.log").read_text()


def test_what_does_not_fit_sleeps_and_wakes_as_it_was(call: Call) -> None:
    first, second = call("first", "facts"), call("second", "facts")
    assert first[0] != second[0]
    assert first[1:] == second[1:]
    call("first", "change", 7, -1)
    changed = call("first", "facts")
    assert changed[:2] == (first[0], True)
    assert changed[2] != first[2]
    assert call("second", "facts") == second
    assert call("first", "facts") == changed
    assert call("second", "facts") == second


def test_an_operator_wakes_a_sleeper_before_it_is_called(call: Call, sleepy: Farm) -> None:
    facts = call("first", "facts")
    call("second", "facts")

    def levels() -> dict[str, str]:
        [worker] = StatusReader(sleepy.queue).read(Pages()).workers
        return {} if worker.busy else {each.space: each.level for each in worker.residents}

    wait_until(lambda: levels().get("first") not in (None, "on the device"))
    with make_celery(sleepy.broker.url) as app:
        task = load(sleepy.queue, app, "first", "ada on here")
    assert outcome(sleepy.queue, task, 60) == "first is loaded on cpu0@test-host"
    wait_until(lambda: levels().get("first") == "on the device")
    assert call("first", "facts") == facts


def test_a_pinned_space_makes_no_room_for_one_that_an_operator_loads(call: Call, sleepy: Farm) -> None:
    controls = Controls(sleepy.queue, "ada on here")
    controls.pin("first")

    def told() -> str:
        call("first", "facts")
        try:
            with make_celery(sleepy.broker.url) as app:
                return outcome(sleepy.queue, load(sleepy.queue, app, "second", "ada on here"), 60)
        except ControlFault as fault:
            return str(fault)

    reason = "Space 'second' does not fit: it has 40 MiB of weights, and the worker's device 64 MiB, where first keep"
    wait_until(lambda: reason in told())  # the worker hears of the pin in a second
    controls.unpin("first")
    wait_until(lambda: told() == "second is loaded on cpu0@test-host")


def test_status_and_flower_show_who_sleeps_and_in_which_memory(call: Call, sleepy: Farm) -> None:
    call("first", "facts")
    call("second", "facts")

    def residents() -> dict[str, ResidentStatus]:
        [worker] = StatusReader(sleepy.queue).read(Pages()).workers
        return {each.space: each for each in worker.residents}

    wait_until(lambda: residents().keys() == {"first", "second"} and residents()["first"].level != "on the device")
    assert residents()["first"] == ResidentStatus("first", "asleep, pinned", 0, BYTES)
    assert residents()["second"].level == "on the device"
    assert residents()["second"].held_bytes >= BYTES
    with sleepy.client("first") as client, client.submit("second", "nap", 600):
        wait_until(lambda: StatusReader(sleepy.queue).read(Pages()).workers[0].busy)
        assert {space: each.level for space, each in residents().items()} == {
            "first": "asleep, pinned",
            "second": "on the device",
        }
    [pool] = [reply["pool"] for reply in make_celery(sleepy.broker.url).control.inspect(timeout=10).stats().values()]
    assert any("asleep, pinned, 0 bytes of the device, 40 MiB of the host" in each for each in pool["children"])


@pytest.mark.parametrize("error", ["broken", "kill"])
def test_a_child_that_does_not_wake_is_replaced_and_the_task_goes_on(call: Call, sleepy: Farm, error: str) -> None:
    first = call("first", "facts")
    call("first", "fault", "restore", error, 1)
    second = call("second", "facts")
    again = call("first", "facts")
    assert again[0] != first[0]
    assert again[1:] == first[1:]
    assert call("second", "facts") == second
    assert "did not wake, a new one replaces it" in log(sleepy)


@pytest.mark.parametrize("method", ["fetch", "release"])
def test_a_child_that_dies_when_it_goes_to_sleep_loses_no_memory(call: Call, sleepy: Farm, method: str) -> None:
    first = call("first", "facts")
    call("first", "fault", method, "kill", 1)
    second = call("second", "facts")
    wait_until(lambda: held(sleepy) == BYTES)
    again = call("first", "facts")
    assert again[0] != first[0]
    assert again[1:] == second[1:]


def test_a_child_that_cannot_sleep_is_killed_as_ever(call: Call, sleepy: Farm) -> None:
    first = call("first", "facts")
    call("first", "fault", "fetch", "broken", 2)  # once before, while nobody needs the device
    call("second", "facts")
    assert call("first", "facts")[0] != first[0]
    assert "cannot sleep: RuntimeError: the bus broke" in log(sleepy)


def test_a_child_that_stays_on_the_device_in_its_sleep_is_killed(call: Call, sleepy: Farm) -> None:
    first = call("first", "facts")
    call("first", "keep_all")
    call("second", "facts")
    assert call("first", "facts")[0] != first[0]
    assert "of tensors left the device, and it holds" in log(sleepy)


def test_a_device_that_is_full_against_the_account_is_tried_once_more(call: Call) -> None:
    first = call("first", "facts")
    call("first", "fault", "restore", "full", 1)
    call("second", "facts")
    assert call("first", "facts") == first


def test_a_device_that_stays_full_costs_the_child_only(call: Call) -> None:
    first = call("first", "facts")
    call("first", "fault", "restore", "full", 2)
    call("second", "facts")
    again = call("first", "facts")
    assert again[0] != first[0]
    assert again[1:] == first[1:]


def test_without_host_memory_one_sleeper_is_killed_for_another(tmp_path: Path) -> None:
    with two_spaces(tmp_path, SETTINGS + f"host_gb = {BYTES * 1.5 / 1e9}\n") as small, caller(small) as call:
        small.register("third", SPACES / "sleepy" / "app.py")
        pids = {space: call(space, "facts")[0] for space in ("first", "second")}
        assert len(list(filter(psutil.pid_exists, pids.values()))) == 2
        call("third", "facts")
        wait_until(lambda: len(list(filter(psutil.pid_exists, pids.values()))) == 1)
        [kept] = [space for space, pid in pids.items() if psutil.pid_exists(pid)]
        assert call(kept, "facts")[0] == pids[kept]


def common(pids: Collection[int]) -> dict[int, set[str]]:
    """Inodes of the sealed copies that processes have mapped, and may not write to."""
    found: dict[int, set[str]] = {}
    for pid in pids:
        lines = [line.split() for line in Path(f"/proc/{pid}/maps").read_text().splitlines()]
        found[pid] = {fields[4] for fields in lines if "/memfd:copies" in fields and fields[1] == "r--s"}
    return found


def test_two_spaces_with_the_same_weights_keep_one_copy(tmp_path: Path) -> None:
    with two_spaces(tmp_path, SETTINGS) as small, caller(small) as call:
        first, second = call("first", "facts"), call("second", "facts")
        pids = (first[0], second[0])
        wait_until(lambda: all(common(pids).values()))
        assert common(pids)[pids[0]] == common(pids)[pids[1]]
        for name, facts in (("first", first), ("second", second), ("first", first)):
            assert call(name, "facts") == facts
        call("first", "change", 7, -1)
        changed = call("first", "facts")
        assert changed[2] != first[2]
        assert call("second", "facts") == second
        assert call("first", "facts") == changed
        os.kill(pids[0], signal.SIGKILL)
        assert call("second", "facts") == second


def test_two_workers_of_a_host_keep_one_copy_which_outlives_the_one_that_made_it(tmp_path: Path) -> None:
    settings = SETTINGS.replace(f"stand_in_gb = {CARD_BYTES / 1e9}", "stand_in_gb = 1")
    with two_spaces(tmp_path, settings) as pair, pair.client("first") as client:
        first = client.submit("first", "facts").result(timeout=PATIENCE)
        other, controls = pair.start_worker("cpu1"), Controls(pair.queue, "ada on here")
        controls.drain("cpu0@test-host")
        second = client.submit("second", "facts").result(timeout=PATIENCE)
        controls.undrain("cpu0@test-host")
        wait_until(lambda: all(common([first[0], second[0]]).values()))
        assert common([first[0]])[first[0]] == common([second[0]])[second[0]]
        other.kill()
        other.wait()
        wait_until(lambda: not psutil.pid_exists(second[0]))
        assert client.submit("first", "facts").result(timeout=PATIENCE) == first
        again = client.submit("second", "facts").result(timeout=PATIENCE)
        assert again[1:] == second[1:]
        wait_until(lambda: all(common([first[0], again[0]]).values()))
        assert common([first[0]])[first[0]] == common([again[0]])[again[0]]


def test_what_a_thread_changes_between_two_tasks_is_not_lost(tmp_path: Path) -> None:
    """A child that had saved its tensors slept without reading them again, and woke with the bytes from before."""
    file = tmp_path / "until"
    file.touch()
    with two_spaces(tmp_path, SETTINGS) as small, caller(small) as call:
        pid, _ = call("first", "first")
        call("first", "change_later", str(file), 41)
        wait_until(
            lambda: any(each.host_bytes for each in StatusReader(small.queue).read(Pages()).workers[0].residents)
        )
        file.unlink()
        wait_until(file.exists)
        call("second", "facts")
        assert call("first", "first") == (pid, 41)


def open_page(farm: Farm, space: str) -> None:
    """Somebody opens the page of a Space, and no other Space was called lately."""
    farm.queue.redis.delete(farm.queue.keys.demand())
    farm.registry.tell_of_visit(space)


def levels(farm: Farm) -> dict[str, str]:
    [worker] = StatusReader(farm.queue).read(Pages()).workers
    return {each.space: each.level for each in worker.residents}


def test_a_sleeper_that_dies_gives_up_its_room_without_a_task(tmp_path: Path) -> None:
    """It counted as asleep, with all its memory of the host, until the next task."""
    with two_spaces(tmp_path, SETTINGS + 'share = "space"\n') as small, caller(small) as call:
        first, _ = call("first", "facts"), call("second", "facts")
        wait_until(lambda: levels(small).get("first") == "asleep, pinned")
        os.kill(first[0], signal.SIGKILL)
        wait_until(lambda: "first" not in levels(small))
        assert call("first", "facts")[1:] == first[1:]


def test_a_page_that_is_opened_wakes_its_space(call: Call, sleepy: Farm) -> None:
    first, second = call("first", "facts"), call("second", "facts")

    def is_awake() -> bool:
        open_page(sleepy, "first")
        return levels(sleepy).get("first") == "on the device"

    wait_until(is_awake)
    assert call("first", "facts") == first
    assert call("second", "facts") == second


def test_a_task_of_another_space_halts_a_wake_that_nobody_waits_for(tmp_path: Path) -> None:
    settings = SETTINGS.replace("per_second = 10", "per_second = 0.006")
    with two_spaces(tmp_path, settings, pieces=36) as slow, caller(slow) as call:
        first, second = call("first", "facts"), call("second", "facts")

        def makes_room() -> bool:
            open_page(slow, "first")
            return levels(slow).get("second") != "on the device"

        def halts() -> bool:
            """Not if the wake had ended before the worker's beat told that it had begun."""
            wait_until(makes_room)
            assert call("second", "facts") == second
            return "a task needs the device: the child of Space first did not wake" in log(slow)

        wait_until(halts, patience=240)
        assert call("first", "facts") == first


@pytest.mark.parametrize("settings", [SETTINGS.replace('"on"', '"auto"'), ""])
def test_nothing_sleeps_on_a_stand_in_unless_that_is_asked_for(tmp_path: Path, settings: str) -> None:
    with two_spaces(tmp_path, settings) as usual, usual.client("first") as client:
        pids = [
            client.submit(name, "facts").result(timeout=PATIENCE)[0] for name in ("first", "second", "first", "second")
        ]
        assert pids[:2] == pids[2:]
        assert not (usual.run_dir / "standin-0.memory").exists()
