"""When the events of a stream are written, and how many together: each write costs as much as many events."""

from __future__ import annotations

from collections.abc import Callable

#: Events that are written together at most: a part of the window of a stream.
MOST_TOGETHER = 64

#: Writes of several events, one after the other, after which a stream counts as fast.
EAGER = 3

#: Seconds that a fast stream is left to bring more.
MOMENT = 0.001


class Pace:
    """Waits between two writes of a fast stream; `wait` waits, and returns early if the task is stopped.

    The first event is written alone, and at most twice as many in each further write. No event waits for others in a
    stream that is slower than its writes, and none of the first few of any stream.
    """

    def __init__(self, wait: Callable[[float], object]) -> None:
        self._wait = wait
        self._in_a_row = 0
        self.most = 1  #: events that may be written together now

    def wrote(self, count: int, most: int) -> None:
        """Note a write of `count` events, of at most `most`. As many as `most` mean that more have arrived already."""
        self.most = min(2 * self.most, MOST_TOGETHER)
        self._in_a_row = self._in_a_row + 1 if count > 1 else 0
        if self._in_a_row > EAGER and count < most:
            self._wait(MOMENT)
