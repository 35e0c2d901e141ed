"""Carries out the worker's orders to save, to sleep, to wake, and to share copies, for `child/main.py`."""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from typing import TypeVar

from spaces.farm.memory_errors import lacks_gpu_memory
from spaces_workers.child.memory_meter import Meter
from spaces_workers.child.sleep.sleeper import Halted, Sleeper
from spaces_workers.link.channel import Channel
from spaces_workers.link.readiness import is_readable
from spaces_workers.link.sleep_messages import (
    Asleep,
    Awake,
    CopyShared,
    CopyShown,
    HostCopy,
    Save,
    Saved,
    Sleep,
    Unable,
    Wake,
)

T = TypeVar("T")


class Orders:
    """Obeys in a thread of its own, because in a fork the first parallel operation of the forking thread hangs.

    Any message that arrives on `channel` meanwhile halts it; `child/main.py` reads it afterwards.
    """

    def __init__(self, sleeper: Sleeper | None, meter: Meter, channel: Channel) -> None:
        self._sleeper = sleeper
        self._meter = meter
        self._channel = channel

    def task_begins(self) -> None:
        """Forget what is known of tensors: a task may change them."""
        if self._sleeper is not None:
            self._sleeper.forget()

    def obey(self, order: Save | Sleep | Wake, *, unchanged: bool) -> Saved | Asleep | Awake | Unable:
        """The answer to an order. A child that is unable is as it was before.

        `unchanged`: nothing but a task can have changed tensors.
        """
        return self._answer(partial(self._carry_out, order, unchanged))

    def show(self, name: bytes) -> tuple[CopyShown | Unable, int | None]:
        """The answer to ShowCopy, and a descriptor to send with it, which the caller must close."""
        shown = self._answer(lambda sleeper: sleeper.show(name))
        return (CopyShown(), shown) if isinstance(shown, int) else (shown, None)

    def share(self, name: bytes, fd: int) -> CopyShared | Unable:
        """The answer to ShareCopy. Closes the descriptor."""
        try:
            shared = self._answer(lambda sleeper: sleeper.share(name, fd))
        finally:
            os.close(fd)
        return CopyShared() if shared is None else shared

    def _answer(self, carry_out: Callable[[Sleeper], T]) -> T | Unable:
        if self._sleeper is None:
            return Unable("it had not imported torch when it began", out_of_memory=False)
        with ThreadPoolExecutor(max_workers=1, thread_name_prefix="sleep") as own_thread:
            try:
                return own_thread.submit(carry_out, self._sleeper).result()
            except Halted as error:
                unable = Unable(str(error), out_of_memory=False, halted=True)
            except Exception as error:
                name, text = type(error).__name__, str(error)
                unable = Unable(f"{name}: {text}", lacks_gpu_memory(name, text))
        host, pinned = self._sleeper.host_bytes, self._sleeper.pinned_bytes
        return replace(unable, host_bytes=host, pinned_bytes=pinned, copies=_copies_of(self._sleeper))

    def _carry_out(self, order: Save | Sleep | Wake, unchanged: bool, sleeper: Sleeper) -> Saved | Asleep | Awake:
        match order:
            case Save(pinned=pinned):
                sleeper.save(pinned=pinned, unchanged=unchanged, halted=self._is_halted)
                return Saved(sleeper.host_bytes, sleeper.pinned_bytes, _copies_of(sleeper))
            case Sleep(pinned=pinned):
                sleeper.sleep(pinned=pinned, unchanged=unchanged, halted=self._is_halted)
                left, host, pinned_bytes = sleeper.left_bytes, sleeper.host_bytes, sleeper.pinned_bytes
                return Asleep(self._meter.trim(), left, host, pinned_bytes, _copies_of(sleeper))
            case Wake(keep=keep):
                sleeper.wake(keep=keep, halted=self._is_halted)
                return Awake(self._meter.read(), sleeper.host_bytes)

    def _is_halted(self) -> bool:
        return is_readable(self._channel)


def _copies_of(sleeper: Sleeper) -> tuple[HostCopy, ...]:
    return tuple(HostCopy(part.name, part.size, part.is_shared) for part in sleeper.sharable)
