"""Children as their worker sees them: made through a Space's zygote, spoken to over a channel, ended by killing."""

from __future__ import annotations

import contextlib
import os
import select
import signal
import subprocess
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property
from pathlib import Path

from spaces.errors import SpacesError
from spaces_workers.link.bond import Bond
from spaces_workers.link.channel import Channel, ChannelClosed
from spaces_workers.link.messages import (
    ChildReady,
    Exited,
    Fork,
    Forked,
    MemoryUse,
    Run,
    Tie,
    TimeUp,
    Trim,
    Trimmed,
    Unfit,
    ZygoteSpec,
)
from spaces_workers.nursery import client as nursery
from spaces_workers.worker import oom_kills

#: Seconds within which a child must say that it is ready, else it hangs in something that the fork left locked.
READY_PATIENCE = 30.0

#: Seconds in which an idle child gives memory back.
TRIM_PATIENCE = 10.0

#: Times that a child is forked again before its Space is given up.
FORK_ATTEMPTS = 3

#: Seconds to wait for word of how a child ended; the zygote may be gone itself.
EXIT_PATIENCE = 5.0

#: Signals that tell a process to end. The farm sends none of them to a child; some libraries raise them themselves.
_ORDERS_TO_END = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGQUIT)
_NOT_OURS = ", which the farm did not send: a library ends its process like this where it cannot go on"


class UnfitChild(SpacesError):
    """A child could not take the worker's device. Callers of tasks read the message."""

    def __init__(self, space: str, unfit: Unfit) -> None:
        remedy = "" if unfit.out_of_memory else ". A torch that it brings itself must have CUDA and fit the driver"
        super().__init__(f"Space {space!r} could not take the GPU: {unfit.reason}{remedy}")
        self.out_of_memory = unfit.out_of_memory


class Child:
    """One process that holds the device for one Space."""

    def __init__(self, spec: ZygoteSpec, pid: int, channel: Channel, zygote: ZygoteLink) -> None:
        self.spec = spec
        self._bond = Bond()
        self.pid = pid
        self.channel = channel
        self.tasks_done = 0
        self.memory = MemoryUse(0, 0)
        self.is_trimmed = False
        self.used_at = time.monotonic()
        self._zygote = zygote
        self._kills = oom_kills.kills()

    def tie(self) -> None:
        """Have the child die with this worker. Raises ChannelClosed if it is dead already."""
        self.channel.send(Tie(), fd=self._bond.fileno())
        self._bond.given()

    @property
    def gone(self) -> bool:
        """Whether an idle child has died: it has nothing to say until it is given a task."""
        return bool(select.select([self.channel], [], [], 0)[0])

    def begin(self, run: Run) -> None:
        """Have it run a task. Raises ChannelClosed if it is gone."""
        self._kills = oom_kills.kills()
        self.is_trimmed = False
        self.channel.send(run)

    def trim(self) -> None:
        """Have it give back the device's memory that it only keeps for later. Raises ChannelClosed, TimeoutError.

        One that says anything else has a thread of an earlier task still at work, and is as good as gone.
        """
        self.channel.send(Trim())
        match self.channel.receive(TRIM_PATIENCE):
            case Trimmed(use):
                self.memory, self.is_trimmed = use, True
            case other:
                raise ChannelClosed(f"an idle child says {type(other).__name__}")

    def terminate(self) -> None:
        """Ask the running function to stop; its `finally` clauses run."""
        with contextlib.suppress(ChannelClosed):
            self.channel.send(TimeUp())

    def kill(self) -> None:
        """End the child and everything that its tasks started."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.pid, signal.SIGKILL)
        self.channel.abandon()

    def discard(self) -> None:
        """Kill the child and let go of what belongs to it."""
        self.kill()
        self.how_it_ended()
        self.channel.close()
        self._bond.cut()

    @cached_property
    def _exited(self) -> Exited | None:
        return self._zygote.word_of(self.pid)

    def how_it_ended(self) -> str:
        """In words: `was killed by SIGSEGV`, `exited with code 3`; of what may be want of memory, with its size."""
        exited = self._exited
        if exited is None:
            return "died together with its zygote"
        if exited.status >= 0:
            return f"exited with code {exited.status}"
        if exited.status != -signal.SIGKILL:
            why = _NOT_OURS if -exited.status in _ORDERS_TO_END else ""
            return f"was killed by {signal.Signals(-exited.status).name}{why}"
        why = " because the machine ran out of memory" if oom_kills.kills() > self._kills else ""
        return f"was killed by SIGKILL{why} (it held up to {oom_kills.words(exited.peak_bytes)})"


class ZygoteLink:
    """A worker's connection to one zygote."""

    def __init__(self, nursery_socket: Path, spec: ZygoteSpec) -> None:
        self._channel, self.weights_bytes = nursery.connect(nursery_socket, spec)
        self._spec = spec
        self._words: dict[int, Exited] = {}  #: of children that have ended
        self._receiving = threading.Lock()

    def fork(self, visible_devices: str, memory_fraction: float) -> Child:
        """A child that is ready for tasks. Raises UnfitChild, SpacesError when none gets ready, ChannelClosed."""
        for _ in range(FORK_ATTEMPTS):
            child = self._fork_once(Fork(visible_devices, memory_fraction))
            try:
                child.tie()
                match child.channel.receive(READY_PATIENCE):
                    case ChildReady(memory=held):
                        child.memory = held
                        return child
                    case Unfit() as unfit:
                        child.discard()
                        raise UnfitChild(self._spec.space, unfit)
                    case other:
                        raise TypeError(f"a child does not begin with {type(other).__name__}")
            except (TimeoutError, ChannelClosed):
                child.discard()
                reason = child.how_it_ended()
        raise SpacesError(f"no child of Space {self._spec.space!r} got ready in {FORK_ATTEMPTS} attempts: it {reason}")

    def word_of(self, pid: int) -> Exited | None:
        """How a child ended, once it is known; None when the zygote cannot tell any more."""
        deadline = time.monotonic() + EXIT_PATIENCE
        with self._receiving, contextlib.suppress(ChannelClosed, TimeoutError):
            while pid not in self._words:
                self._note(self._channel.receive(max(0.0, deadline - time.monotonic())))
        return self._words.pop(pid, None)

    def close(self) -> None:
        """Let go of the zygote, which kills the children that it made for this link."""
        self._channel.close()

    def _fork_once(self, request: Fork) -> Child:
        ours, theirs = Channel.pair()
        with self._receiving:
            self._channel.send(request, fd=theirs.fileno())
            theirs.close()
            while True:
                message = self._channel.receive()
                if isinstance(message, Forked):
                    return Child(self._spec, message.pid, ours, self)
                self._note(message)

    def _note(self, message: object) -> None:
        match message:
            case Exited() as word:
                self._words[word.pid] = word
            case _:
                raise TypeError(f"a zygote does not say {type(message).__name__} here")


class Zygotes:
    """The zygotes that this worker is connected to."""

    def __init__(self, run_dir: Path, log_dir: Path) -> None:
        self._run_dir = run_dir
        self._nursery_socket = nursery.socket_path(run_dir, log_dir)
        self._log_dir = log_dir
        self._links: dict[tuple[str, str], ZygoteLink] = {}
        # A process that is tied to its starter is tied to the starter's *thread*: this one lives as long as the worker.
        self._starter = ThreadPoolExecutor(max_workers=1, thread_name_prefix="nursery-starter")
        self._nursery = self._ensure_nursery()

    def weights_bytes(self, spec: ZygoteSpec) -> int:
        """The bytes of a Space's weights, whose zygote is made if need be (seconds)."""
        return self._link(spec).weights_bytes

    def fork(self, spec: ZygoteSpec, visible_devices: str, memory_fraction: float) -> Child:
        """A ready child of a Space. A zygote, or a nursery, that has died meanwhile is made anew, once."""
        try:
            return self._link(spec).fork(visible_devices, memory_fraction)
        except ChannelClosed:
            self._let_go(spec.space)
            return self._link(spec).fork(visible_devices, memory_fraction)

    def knows(self, spec: ZygoteSpec) -> bool:
        """Whether this worker has forked from a zygote of the Space's: it is ready, as far as anyone knows."""
        return (spec.space, spec.revision) in self._links

    def prepare(self, spec: ZygoteSpec) -> None:
        """Have a zygote made ahead of its first task."""
        nursery.prepare(self._nursery_socket, spec)

    def close(self) -> None:
        """Let go of every zygote, and of the nursery where this worker started it."""
        for link in self._links.values():
            link.close()
        self._links.clear()
        if self._nursery is not None:
            self._nursery.terminate()
            self._nursery.wait()
        self._starter.shutdown()

    def _ensure_nursery(self) -> subprocess.Popen[bytes] | None:
        return self._starter.submit(nursery.ensure, self._run_dir, self._log_dir).result()

    def _let_go(self, space: str) -> None:
        """Of every zygote of a Space: of one that died, or of an older revision, whose children are gone by now."""
        for key in [key for key in self._links if key[0] == space]:
            self._links.pop(key).close()

    def _link(self, spec: ZygoteSpec) -> ZygoteLink:
        key = (spec.space, spec.revision)
        if key not in self._links:
            self._let_go(spec.space)
            self._nursery = self._ensure_nursery() or self._nursery
            self._links[key] = ZygoteLink(self._nursery_socket, spec)
        return self._links[key]
