"""The sleepers of all workers of a host together take at most half of the memory that its zygotes leave."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from pathlib import Path
from subprocess import Popen

import psutil
import pytest

from spaces.farm.queue.control.controls import Controls
from spaces_workers.nursery import roster
from spaces_workers.worker.gpu_memory.host_listing import HostListing
from spaces_workers.worker.gpu_memory.host_share import zygote_bytes
from tests.harness import SPACES, Farm, farm
from tests.waiting import START_PATIENCE, wait_until

MEGABYTES = 120
BYTES = MEGABYTES << 20
NAMES = ("first", "second", "third", "fourth")

#: One Space fits on each worker's part of the stand-in. Every Space keeps its own copies.
CARD, PART = 2.6 * BYTES, 0.6

SETTINGS = f"""
[isolation]
level = "none"

[memory]
sleep = "on"
share = "space"
stand_in_gb = {CARD / 1e9}
stand_in_gb_per_second = 10
"""


def let_others_hear_of(quiet: Popen[bytes], listing: HostListing) -> None:
    """Wait until the other workers have read what this one has told last."""
    stale = listing._folder / "4194305-1"  # of a process that cannot be: who reads the folder deletes it
    quiet.send_signal(signal.SIGSTOP)
    try:
        stale.touch()
        wait_until(lambda: not stale.exists())
    finally:
        quiet.send_signal(signal.SIGCONT)


@pytest.fixture
def four_spaces(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Farm]:
    (tmp_path / "farm.toml").write_text(SETTINGS)
    monkeypatch.setenv("ZEROFARM_CONFIG", str(tmp_path / "farm.toml"))
    monkeypatch.setenv("SLEEPY_MB", str(MEGABYTES))
    with farm(tmp_path) as made:
        for name in NAMES:
            made.register(name, SPACES / "sleepy" / "app.py")
        yield made


def told_bytes(listing: HostListing) -> int:
    """The host memory of sleepers that all workers have told of."""
    listing.read()
    return listing.bytes_of_others


def pid(farm: Farm, space: str) -> int:
    """The child of a Space, after a task of it."""
    with farm.client("first") as client:
        return int(client.submit(space, "facts").result(timeout=START_PATIENCE)[0])


def test_the_sleepers_of_two_workers_share_the_memory_of_their_host(four_spaces: Farm, tmp_path: Path) -> None:
    host, log_dir = tmp_path / "host_bytes", four_spaces.state_dir / "logs"
    host.write_text(str(1 << 50))
    listing = HostListing(four_spaces.run_dir, log_dir)
    one = four_spaces.start_worker("cpu0", memory_fraction=PART, host_bytes=host)
    zygotes = roster.roster_path(four_spaces.run_dir, log_dir)
    wait_until(lambda: {each.space for each in roster.read(zygotes) if each.is_ready} == {*NAMES}, START_PATIENCE)
    host.write_text(str(zygote_bytes(four_spaces.run_dir, log_dir) + 3 * BYTES))  # half of this: a sleeper and a half
    first, second = pid(four_spaces, "first"), pid(four_spaces, "second")
    assert psutil.pid_exists(first)  # it sleeps
    wait_until(lambda: told_bytes(listing) >= BYTES)

    four_spaces.start_worker("cpu1", memory_fraction=PART, host_bytes=host)
    Controls(four_spaces.queue, "ada on here").drain("cpu0@test-host")
    third = pid(four_spaces, "third")
    let_others_hear_of(one, listing)
    fourth = pid(four_spaces, "fourth")
    assert not psutil.pid_exists(third)  # there was no room for two sleepers
    assert all(map(psutil.pid_exists, (first, second, fourth)))

    one.kill()  # and its sleepers end with it
    one.wait()
    wait_until(lambda: not any(map(psutil.pid_exists, (first, second))))
    let_others_hear_of(one, listing)
    pid(four_spaces, "third")
    assert psutil.pid_exists(fourth)
    assert pid(four_spaces, "fourth") == fourth
