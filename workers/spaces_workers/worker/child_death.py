"""The death of a child, from the zygote's report: a reason for people, and the cause, which decides who pays."""

from __future__ import annotations

import signal
from dataclasses import dataclass

from spaces.farm.events import CrashCause
from spaces.farm.units import bytes_in_words
from spaces_workers.link.messages import Exited

#: Signals that ask a process to end. The farm sends none of them to a child; some libraries send them to themselves.
_ORDERS_TO_END = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGQUIT)
_NOT_OURS = ", which the farm did not send: some libraries end their process so after a fatal error"


@dataclass(frozen=True, slots=True)
class Death:
    """The end of a child."""

    reason: str  #: a clause: `was killed by SIGSEGV`, `exited with code 3`; with the memory size after a SIGKILL
    cause: CrashCause


def death_of(exited: Exited | None, *, memory_ran_out: bool) -> Death:
    """The death in a zygote's report; None is no report. `memory_ran_out`: the kernel killed some process for that."""
    if exited is None:
        return Death("died together with its zygote", CrashCause.FARM)
    if exited.status >= 0:
        return Death(f"exited with code {exited.status}", CrashCause.FUNCTION)
    if exited.status != -signal.SIGKILL:
        why = _NOT_OURS if -exited.status in _ORDERS_TO_END else ""
        return Death(f"was killed by {signal.Signals(-exited.status).name}{why}", CrashCause.FUNCTION)
    held = f"(it held up to {bytes_in_words(exited.peak_bytes)})"
    if memory_ran_out:
        return Death(f"was killed by SIGKILL because the machine ran out of memory {held}", CrashCause.OUT_OF_MEMORY)
    return Death(f"was killed by SIGKILL {held}", CrashCause.KILLED)
