"""The worker's side of a child: ties it to the worker, exchanges messages over a channel, kills it."""

from __future__ import annotations

import contextlib
import os
import signal
import threading
import time
from collections.abc import Iterator
from functools import cached_property
from typing import Protocol

import psutil

from spaces.errors import SpacesError
from spaces_workers.child.hang import SHOW_STACKS
from spaces_workers.link.channel import Channel, ChannelClosed
from spaces_workers.link.kill_on_close import Bond
from spaces_workers.link.messages import (
    Close,
    Exited,
    MemoryUse,
    RunTask,
    Tie,
    TimeUp,
    Trim,
    Trimmed,
    Unfit,
    ZygoteSpec,
)
from spaces_workers.link.orphans import descendants
from spaces_workers.link.readiness import is_readable
from spaces_workers.link.sleep_messages import (
    Asleep,
    Awake,
    Halt,
    Save,
    Saved,
    ShareCopy,
    ShowCopy,
    Sleep,
    Unable,
    Wake,
)
from spaces_workers.worker import oom_kills
from spaces_workers.worker.child_copies import Copies
from spaces_workers.worker.child_death import Death, death_of
from spaces_workers.worker.run.stillness import Activity, activity_of

#: Seconds for an idle child to free cached memory.
TRIM_PATIENCE = 10.0

#: The same to go to sleep or to wake: seconds for a copy of all its weights, also over a bus that others use.
SLEEP_PATIENCE = 120.0

#: The part of its bytes that a sleeper must have given back; the rest is what rounding and fragments may keep.
GIVEN_BACK = 0.9


class Zygote(Protocol):
    """The parent of a child."""

    def word_of(self, pid: int) -> Exited | None:
        """How a child ended, once that is known; None if it cannot be known any more."""

    @property
    def is_gone(self) -> bool:
        """Whether nobody else will end what a child leaves behind."""


class UnfitChild(SpacesError):
    """A child could not take the worker's device. The callers of tasks see the message."""

    def __init__(self, space: str, unfit: Unfit) -> None:
        remedy = (
            ""
            if unfit.out_of_memory
            else ". If the Space installs its own torch, that must have CUDA and fit the driver"
        )
        super().__init__(f"Space {space!r} could not take the GPU: {unfit.reason}{remedy}")
        self.out_of_memory = unfit.out_of_memory


class StaysAwake(SpacesError):
    """A child did not leave the device when it was told to sleep."""


class Halted(SpacesError):
    """A child was told to halt while it went to sleep or woke, and is as it was before."""


class ChildLink:
    """One process that holds the device for one Space."""

    def __init__(self, spec: ZygoteSpec, pid: int, channel: Channel, zygote: Zygote) -> None:
        self.spec = spec
        self._bond = Bond()
        self.pid = pid
        self.channel = channel
        self.tasks_done = 0
        self.memory = MemoryUse(0, 0)
        self.is_trimmed = False
        self.sleep: Asleep | None = None  #: None: it is awake
        self.is_saved = False  #: its copies are up to date, so that it can sleep at once
        self.is_unable = False  #: to save its tensors, until its next task
        self.host_bytes = 0  #: host memory that holds copies of its tensors
        self.pinned_bytes = 0  #: the part of it that is pinned
        self.copies = Copies()
        self._ordering = threading.Lock()
        self._obeys = self._is_halted = False  #: an order to save, to sleep or to wake
        self.used_at = time.monotonic()
        self._zygote = zygote
        self._kills = oom_kills.kills()
        self._seen: Activity | None = None

    def tie(self) -> None:
        """Tie the child's life to this worker's. Raises ChannelClosed if it is dead already."""
        self.channel.send(Tie(), fd=self._bond.fileno())
        self._bond.given()

    @property
    def gone(self) -> bool:
        """Whether an idle child has died: its channel is readable, though an idle child sends nothing."""
        return is_readable(self.channel)

    def begin(self, run: RunTask) -> None:
        """Start a task in it. Raises ChannelClosed if it is gone."""
        self.is_trimmed = self.is_saved = self.is_unable = False
        self._seen = None
        self.channel.send(run)
        self._kills = oom_kills.recent_kills()  # after it has the task, which this would delay

    def trim(self) -> None:
        """Have it free cached device memory. Raises ChannelClosed, TimeoutError.

        A child that sends any other message still runs a thread of an earlier task, and counts as gone.
        """
        self.channel.send(Trim())
        match self.channel.receive(TRIM_PATIENCE):
            case Trimmed(use):
                self.memory, self.is_trimmed = use, True
            case other:
                raise ChannelClosed(f"an idle child sent {type(other).__name__}")

    def save(self, *, pinned: bool) -> None:
        """Have it copy its tensors to the host, and keep them. Raises StaysAwake if it cannot; ChannelClosed,
        TimeoutError; Halted.
        """
        match self._answer_to(Save(pinned)):
            case Saved(host_bytes, pinned_bytes, copies):
                self.host_bytes, self.pinned_bytes, self.is_saved = host_bytes, pinned_bytes, True
                self.copies.hear(copies, host_bytes)
            case Unable(halted=True) if self._is_halted:
                raise Halted(f"the child of Space {self.spec.space} did not save its tensors")
            case Unable(reason):
                raise StaysAwake(reason)
            case other:
                raise ChannelClosed(f"an idle child sent {type(other).__name__}")

    def put_to_sleep(self, *, pinned: bool) -> None:
        """Have its tensors leave the device. Raises StaysAwake if they do not; ChannelClosed, TimeoutError.

        After any of these the child is of no use. Raises Halted.
        """
        before = self.memory.held_bytes
        match self._answer_to(Sleep(pinned)):
            case Asleep(memory, left_bytes, host_bytes) as sleep:
                self.memory, self.sleep, self.host_bytes, self.is_trimmed = memory, sleep, host_bytes, True
                self.pinned_bytes = sleep.pinned_bytes
                self.copies.hear(sleep.copies, host_bytes)
                gave = before - memory.held_bytes
                if not left_bytes or gave < GIVEN_BACK * left_bytes:
                    raise StaysAwake(f"{left_bytes} bytes of tensors left the device, and it holds {gave} bytes less")
            case Unable(halted=True) if self._is_halted:
                raise Halted(f"the child of Space {self.spec.space} did not go to sleep")
            case Unable(reason):
                raise StaysAwake(reason)
            case other:
                raise ChannelClosed(f"an idle child sent {type(other).__name__}")

    def wake(self, *, keep: bool) -> None:
        """Have its tensors return to the device; `keep` their copies. Raises UnfitChild, ChannelClosed, TimeoutError.

        Raises Halted. A child that lacks the device's memory still sleeps, and may be told again. One that is awake
        drops its copies if they are not to be kept.
        """
        match self._answer_to(Wake(keep)):
            case Awake(memory, host_bytes):
                self.memory, self.sleep, self.host_bytes, self.is_trimmed = memory, None, host_bytes, False
                self.pinned_bytes, self.is_saved = min(self.pinned_bytes, host_bytes), host_bytes > 0
                if not host_bytes:
                    self.copies.hear(())
            case Unable(halted=True) if self._is_halted:
                raise Halted(f"the child of Space {self.spec.space} did not wake")
            case Unable(reason, out_of_memory):
                raise UnfitChild(self.spec.space, Unfit(reason, out_of_memory))
            case other:
                raise ChannelClosed(f"a sleeping child sent {type(other).__name__}")

    def ask(self, order: ShowCopy | ShareCopy, fd: int | None = None) -> tuple[object, int | None]:
        """Its answer to an order, and the descriptor that came with it, to be closed by the caller.

        Raises ChannelClosed, TimeoutError; Halted.
        """
        with self._obeying(order, fd):
            return self.channel.receive_with_fd(SLEEP_PATIENCE)

    @property
    def is_halted(self) -> bool:
        """Whether it refuses orders now."""
        return self._is_halted

    def halt(self) -> None:
        """Have it stop saving, going to sleep, or waking, and refuse such orders until `go_on`; for any thread."""
        with self._ordering, contextlib.suppress(ChannelClosed):
            self._is_halted = True
            if self._obeys:
                self.channel.send(Halt())

    def go_on(self) -> None:
        """Take such orders again."""
        with self._ordering:
            self._is_halted = False

    def _answer_to(self, order: Save | Sleep | Wake) -> object:
        with self._obeying(order):
            answer = self.channel.receive(SLEEP_PATIENCE)
        if isinstance(answer, Unable):
            self.host_bytes, self.pinned_bytes = answer.host_bytes, answer.pinned_bytes
            self.copies.hear(answer.copies, answer.host_bytes)
        return answer

    @contextlib.contextmanager
    def _obeying(self, order: Save | Sleep | Wake | ShowCopy | ShareCopy, fd: int | None = None) -> Iterator[None]:
        with self._ordering:  # a child that was told to halt before its order would not
            if self._is_halted:
                raise Halted(f"the child of Space {self.spec.space} was not told to {type(order).__name__.lower()}")
            self.channel.send(order, fd=fd)
            self._obeys = True
        try:
            yield
        finally:
            with self._ordering:
                self._obeys = False

    def look(self) -> None:
        """Record its activity so far, for `hung_for`."""
        self._seen = activity_of(self.pid)

    def hung_for(self) -> float:
        """Seconds since `look`, if it has only waited for its own locks since then; else 0."""
        now = activity_of(self.pid)
        return self._seen.still_seconds(now) if self._seen is not None and now is not None else 0.0

    def close_generator(self) -> None:
        """Ask the running generator to close at its next yield."""
        with contextlib.suppress(ChannelClosed):
            self.channel.send(Close())

    def terminate(self, hung_for: float = 0.0) -> None:
        """Ask the running function to stop, so that its `finally` clauses run. One that hung first logs its stacks."""
        with contextlib.suppress(ChannelClosed, ProcessLookupError):
            if hung_for:
                os.kill(self.pid, SHOW_STACKS)
            self.channel.send(TimeUp(hung_for))

    def kill(self) -> None:
        """Kill the child and all processes that its tasks started."""
        below = descendants(self.pid) if self._zygote.is_gone else []
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.pid, signal.SIGKILL)
        for process in below:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()
        self.channel.abandon()

    def discard(self) -> None:
        """Kill the child and close its descriptors."""
        self.kill()
        self.how_it_ended()
        self.channel.close()
        self._bond.cut()

    @cached_property
    def _exited(self) -> Exited | None:
        return self._zygote.word_of(self.pid)

    def how_it_ended(self) -> Death:
        """Its death; waits for the zygote's report. The kernel counts kills for want of memory, but not by process."""
        return death_of(self._exited, memory_ran_out=oom_kills.kills() > self._kills)
