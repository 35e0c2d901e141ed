"""A child as its worker sees it: tied to the worker, spoken to over a channel, ended by killing."""

from __future__ import annotations

import contextlib
import os
import select
import signal
import time
from functools import cached_property
from typing import Protocol

from spaces.errors import SpacesError
from spaces_workers.link.bond import Bond
from spaces_workers.link.channel import Channel, ChannelClosed
from spaces_workers.link.messages import Exited, MemoryUse, RunTask, Tie, TimeUp, Trim, Trimmed, Unfit, ZygoteSpec
from spaces_workers.worker import oom_kills

#: Seconds in which an idle child gives memory back.
TRIM_PATIENCE = 10.0

#: Signals that tell a process to end. The farm sends none of them to a child; some libraries raise them themselves.
_ORDERS_TO_END = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGQUIT)
_NOT_OURS = ", which the farm did not send: a library ends its process like this where it cannot go on"


class Zygote(Protocol):
    """The parent of a child."""

    def word_of(self, pid: int) -> Exited | None:
        """How a child ended, once it is known; None when nobody can tell any more."""


class UnfitChild(SpacesError):
    """A child could not take the worker's device. Callers of tasks read the message."""

    def __init__(self, space: str, unfit: Unfit) -> None:
        remedy = "" if unfit.out_of_memory else ". A torch that it brings itself must have CUDA and fit the driver"
        super().__init__(f"Space {space!r} could not take the GPU: {unfit.reason}{remedy}")
        self.out_of_memory = unfit.out_of_memory


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

    def begin(self, run: RunTask) -> None:
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
