"""What goes wrong: each fault by its name, as a context that strikes at its beginning and is healed at its end."""

from __future__ import annotations

import os
import random
import resource
import signal
import subprocess
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, suppress
from functools import partial
from pathlib import Path

import psutil

from chaos.farm import Farm
from chaos.peer import Peer
from chaos.processes import WORDS
from tests.waiting import wait_until

Fault = Callable[[Farm | Peer, random.Random], AbstractContextManager[None]]

#: Of Debian's package `libfaketime`: gives one process a clock of its own.
FAKE_TIME = Path("/usr/lib/x86_64-linux-gnu/faketime/libfaketimeMT.so.1")

KINDS = (*WORDS, "broker")

#: All that it has started ends with it, as it shall: `test_up.py` kills it.
NOT_KILLED = {"launcher"}


def faults(farm: Farm | Peer) -> Mapping[str, Fault]:
    """Every fault that can be made on this machine, of what there is."""
    kinds = KINDS if isinstance(farm, Farm) else ("worker", "child", "broker")
    killed = [kind for kind in kinds if kind not in NOT_KILLED]
    found: dict[str, Fault] = {f"kill -9 of a {kind}": partial(_kill, kind) for kind in killed}
    found |= {f"SIGSTOP of a {kind}": partial(_stop, kind) for kind in kinds}
    found |= {
        "broker away": _broker_away,
        "broker restarted": _broker_restarted,
        "broker read only": partial(_command, "REPLICAOF 127.0.0.1 1", "REPLICAOF NO ONE"),
        "broker full": partial(_command, "CONFIG SET maxmemory 1", "CONFIG SET maxmemory 0"),
        "broker without replicas": partial(
            _command, "CONFIG SET min-replicas-to-write 5", "CONFIG SET min-replicas-to-write 0"
        ),
        "broker failed over": _failed_over,
        "slow link": _slow_link,
        "half-open link": _half_open,
        "few descriptors of a worker": partial(_limited, "worker", resource.RLIMIT_NOFILE),
        "little memory of a worker": partial(_limited, "worker", resource.RLIMIT_AS),
    }
    if farm.brokers.link.can_be_cut:
        found["cut link"] = _cut_link
    if farm.brokers.disk.is_small:
        found["full disk of the broker"] = _full_disk
    if isinstance(farm, Peer):
        return found
    if _may_limit(farm.pids("page")[0]):
        found["few descriptors of a page"] = partial(_limited, "page", resource.RLIMIT_NOFILE)
    if FAKE_TIME.exists():
        found["clock jumps of a worker"] = _clock_jumps
    if farm.memory.is_small:
        found["full shared memory"] = _full_memory
    return found


@contextmanager
def _kill(kind: str, farm: Farm | Peer, chance: random.Random) -> Iterator[None]:
    if kind == "broker":
        farm.brokers.primary.kill()
    else:
        _signal(_one(farm, kind, chance), signal.SIGKILL)
    yield
    if kind == "broker":
        farm.brokers.primary.start()


@contextmanager
def _stop(kind: str, farm: Farm | Peer, chance: random.Random) -> Iterator[None]:
    pid = _one(farm, kind, chance)
    _signal(pid, signal.SIGSTOP)
    yield
    _signal(pid, signal.SIGCONT)


def _one(farm: Farm | Peer, kind: str, chance: random.Random) -> int:
    pids = farm.pids(kind)
    return chance.choice(pids) if pids else 0


def _signal(pid: int, number: int) -> None:
    with suppress(ProcessLookupError):
        if pid:
            os.kill(pid, number)


@contextmanager
def _broker_away(farm: Farm | Peer, _chance: random.Random) -> Iterator[None]:
    farm.brokers.primary.kill()
    yield
    farm.brokers.primary.start()


@contextmanager
def _broker_restarted(farm: Farm | Peer, _chance: random.Random) -> Iterator[None]:
    farm.brokers.primary.kill()
    farm.brokers.primary.start()
    yield


@contextmanager
def _command(begin: str, end: str, farm: Farm | Peer, _chance: random.Random) -> Iterator[None]:
    wait_until(farm.brokers.primary.answers)  # a full disk is noticed to be empty a second later
    with farm.brokers.primary.connection() as redis:
        redis.execute_command(*begin.split())
        yield
        redis.execute_command(*end.split())


@contextmanager
def _failed_over(farm: Farm | Peer, _chance: random.Random) -> Iterator[None]:
    farm.brokers.fail_over()
    yield


@contextmanager
def _slow_link(farm: Farm | Peer, chance: random.Random) -> Iterator[None]:
    farm.brokers.link.slow(chance)
    yield
    farm.brokers.link.hurry()


@contextmanager
def _cut_link(farm: Farm | Peer, _chance: random.Random) -> Iterator[None]:
    farm.brokers.link.cut()
    yield
    farm.brokers.link.mend()


@contextmanager
def _half_open(farm: Farm | Peer, _chance: random.Random) -> Iterator[None]:
    farm.brokers.link.half_open()
    yield


def _may_limit(pid: int) -> bool:
    """Whether this process may limit another: without CAP_SYS_RESOURCE only those of its own user."""
    try:
        resource.prlimit(pid, resource.RLIMIT_NOFILE, resource.prlimit(pid, resource.RLIMIT_NOFILE))
    except PermissionError:
        return False
    return True


@contextmanager
def _limited(kind: str, limit: int, farm: Farm | Peer, chance: random.Random) -> Iterator[None]:
    """The process may have no more than it has."""
    before = (resource.RLIM_INFINITY, resource.RLIM_INFINITY)
    pid = _one(farm, kind, chance)
    with suppress(psutil.NoSuchProcess, ProcessLookupError):
        process = psutil.Process(pid)
        used = process.num_fds() if limit == resource.RLIMIT_NOFILE else process.memory_info().vms
        before = resource.prlimit(pid, limit)
        resource.prlimit(pid, limit, (used, before[1]))
    yield
    with suppress(ProcessLookupError):
        resource.prlimit(pid, limit, before)


@contextmanager
def _clock_jumps(farm: Farm | Peer, chance: random.Random) -> Iterator[None]:
    """One more worker, whose clock goes forward and back by up to an hour."""
    assert isinstance(farm, Farm)
    clock = farm.folder / "clock"
    _set(clock, "+0")
    preloaded = {"LD_PRELOAD": str(FAKE_TIME), "FAKETIME_TIMESTAMP_FILE": str(clock), "FAKETIME_NO_CACHE": "1"}
    with farm.one_more_worker(preloaded | {"FAKETIME_DONT_FAKE_MONOTONIC": "1"}):
        _set(clock, f"{chance.choice('+-')}{chance.randrange(5, 3600)}")
        yield
        _set(clock, "+0")


def _set(clock: Path, seconds: str) -> None:
    """In a process of its own: a file that a caller writes to a temporary folder travels with its calls."""
    subprocess.run(["tee", str(clock)], input=seconds.encode(), stdout=subprocess.DEVNULL, check=True)


@contextmanager
def _full_disk(farm: Farm | Peer, _chance: random.Random) -> Iterator[None]:
    farm.brokers.disk.fill()
    yield
    farm.brokers.disk.empty()
    farm.brokers.rewrite()


@contextmanager
def _full_memory(farm: Farm | Peer, _chance: random.Random) -> Iterator[None]:
    farm.memory.fill()
    yield
    farm.memory.empty()
