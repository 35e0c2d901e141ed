"""Carries out the worker's orders to save, to sleep and to wake, for `child/main.py`."""

from __future__ import annotations

import select
from concurrent.futures import ThreadPoolExecutor

from spaces.farm.memory_errors import lacks_gpu_memory
from spaces_workers.child.memory_meter import Meter
from spaces_workers.child.sleep.sleeper import Halted, Sleeper
from spaces_workers.link.channel import Channel
from spaces_workers.link.sleep_messages import Asleep, Awake, Save, Saved, Sleep, Unable, Wake


class Orders:
    """Obeys in a thread of its own, because in a fork the first parallel operation of the forking thread hangs.

    Any message that arrives on `channel` meanwhile halts it; `child/main.py` reads it afterwards.
    """

    def __init__(self, sleeper: Sleeper | None, meter: Meter, channel: Channel) -> None:
        self._sleeper = sleeper
        self._meter = meter
        self._channel = channel

    def task_begins(self) -> None:
        """Nothing that is known of tensors is certain from now on."""
        if self._sleeper is not None:
            self._sleeper.forget()

    def obey(self, order: Save | Sleep | Wake) -> Saved | Asleep | Awake | Unable:
        """The answer to an order. A child that is unable is as it was before."""
        if self._sleeper is None:
            return Unable("it had not imported torch when it began", out_of_memory=False)
        with ThreadPoolExecutor(max_workers=1, thread_name_prefix="sleep") as own_thread:
            try:
                return own_thread.submit(self._carry_out, self._sleeper, order).result()
            except Halted as error:
                return Unable(str(error), out_of_memory=False, halted=True)
            except Exception as error:
                name, text = type(error).__name__, str(error)
                return Unable(f"{name}: {text}", lacks_gpu_memory(name, text))

    def _carry_out(self, sleeper: Sleeper, order: Save | Sleep | Wake) -> Saved | Asleep | Awake:
        match order:
            case Save(pinned=pinned):
                sleeper.save(pinned=pinned, unchanged=True, halted=self._is_halted)
                return Saved(sleeper.host_bytes, sleeper.pinned_bytes)
            case Sleep(pinned=pinned):
                sleeper.sleep(pinned=pinned, unchanged=True, halted=self._is_halted)
                return Asleep(self._meter.trim(), sleeper.left_bytes, sleeper.host_bytes, sleeper.pinned_bytes)
            case Wake(keep=keep):
                sleeper.wake(keep=keep, halted=self._is_halted)
                return Awake(self._meter.read(), sleeper.host_bytes)

    def _is_halted(self) -> bool:
        return bool(select.select([self._channel], [], [], 0)[0])
