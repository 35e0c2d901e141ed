"""The keys of counters, and of what is remembered; `keys.py` has the table of all keys."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class CounterKeys:
    """A part of `Keys`."""

    prefix: str = "{zerofarm}"

    def counts(self, space: str) -> str:
        """HASH of what became of a Space's tasks, and of their times; COUNTED after the last task.

        Without a name: of how many leases have expired.
        """
        return f"{self.prefix}:counts:{space}"

    def tally(self, node: str) -> str:
        """HASH of what a worker has done, by its name in Celery; COUNTED after its last beat."""
        return f"{self.prefix}:tally:{node}"

    def reported(self, worker: str) -> str:
        """HASH of the part of `tally` that one process of the worker has reported; WAITING after its last beat."""
        return f"{self.prefix}:reported:{worker}"

    def samples(self) -> str:
        """STREAM of how the farm was, a sample each half minute of the last day; COUNTED after the last one."""
        return f"{self.prefix}:samples"

    def history(self) -> str:
        """STREAM of the tasks that have ended, about HISTORY of them; COUNTED after the last one."""
        return f"{self.prefix}:history"
