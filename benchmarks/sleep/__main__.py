"""What does a call wait for whose Space made room? `python -m benchmarks.sleep [GB]`

Two Spaces, of which one fits, are called in turn, with the pause of a visitor between: after each was killed, after
sleep in pinned memory, and with no memory that may be pinned; on a stand-in with a bus of 1 GB/s. Every byte is
compared at the end. Takes 3 minutes.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from statistics import median

import spaces
from benchmarks.sleep.farms import small_card

ROUNDS, PAUSE = 3, 4.0

#: Settings of `[memory]`.
WAYS = {"killed": {"host_gb": 0.0}, "asleep, pinned": {}, "none pinned": {"pinned_gb": 0.0}}


def main(gigabytes: float) -> None:
    """One line for each way; the bus alone needs a second for each GB."""
    killed = 0.0
    for way, memory in WAYS.items():
        with (
            small_card(2, gigabytes, 1.5 * gigabytes, 1.0, memory) as farm,
            farm.client("space-0", near=True) as client,
        ):
            seconds, warm, same = _calls(client)
        killed = killed or seconds
        print(
            f"{gigabytes:g} GB, {way:14}: {seconds:.2f} s, {seconds / killed:.2f} of a kill, "
            f"{seconds / gigabytes:.2f} of the bus alone; on the device {warm * 1e3:.1f} ms, {warm / killed:.4f}; "
            f"bytes {'same' if same else 'DIFFER'}",
            flush=True,
        )


def _calls(client: spaces.Farm) -> tuple[float, float, bool]:
    """Seconds of a call whose Space made room, and of a warm one; whether all bytes are the same after all turns."""
    names = ("space-0", "space-1")

    def call(name: str, function: str = "touch") -> object:
        return client.submit(name, function).result(timeout=120)

    before = [call(name, "digest") for name in names]
    turns, warm = [], []
    for name in names * ROUNDS:
        time.sleep(PAUSE)
        turns.append(_seconds(call, name))
        warm.append(_seconds(call, name))
    return median(turns), median(warm), [call(name, "digest") for name in names] == before


def _seconds(call: Callable[[str], object], name: str) -> float:
    began = time.perf_counter()
    call(name)
    return time.perf_counter() - began


if __name__ == "__main__":
    main(float(sys.argv[1]) if len(sys.argv) > 1 else 1.0)
