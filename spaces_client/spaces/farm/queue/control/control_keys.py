"""The keys of what operators set and did; `keys.py` has the table of all keys."""

from __future__ import annotations

from dataclasses import dataclass

from spaces.farm.queue.counters.counter_keys import CounterKeys


@dataclass(frozen=True, slots=True)
class ControlKeys(CounterKeys):
    """A part of `Keys`."""

    def paused(self) -> str:
        """SET of the Spaces whose tasks wait until an operator resumes them; permanent."""
        return f"{self.prefix}:paused"

    def drained(self) -> str:
        """SET of the workers that take no task, by the name of their node, or by their id until they end; permanent."""
        return f"{self.prefix}:drained"

    def pinned(self) -> str:
        """SET of the Spaces that keep their room on a GPU until an operator unpins them; permanent."""
        return f"{self.prefix}:pinned"

    def max_gpus(self) -> str:
        """HASH of the tasks that may run at once, by Space; permanent."""
        return f"{self.prefix}:max_gpus"

    def priority(self) -> str:
        """HASH of the seconds of waiting that a Space's tasks are given ahead; permanent."""
        return f"{self.prefix}:priority"

    def audit(self) -> str:
        """STREAM of what operators did; AUDIT after the last action."""
        return f"{self.prefix}:audit"

    def retryable(self) -> str:
        """LIST of the latest failed tasks whose arguments are kept, the last one first; ENDED after the last one."""
        return f"{self.prefix}:retryable"

    def logged_out(self, session: str) -> str:
        """STRING, a mark: an operator has ended this session; until its time is over."""
        return f"{self.prefix}:logged_out:{session}"
