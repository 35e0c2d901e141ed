"""A farm whose stand-in has a small memory and a slow bus, and Spaces that fill it."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.harness import Farm, farm

SPACE = """
import hashlib, os, time
import spaces, torch

weights = [torch.arange({elements}, dtype=torch.int64).add(number).to("cuda") for number in range({first}, {last})]

@spaces.GPU
def touch():
    return os.getpid(), sum(int(each[-1]) for each in weights)

@spaces.GPU
def digest():
    whole = hashlib.sha256()
    for each in weights:
        whole.update(memoryview(each.cpu().numpy()).cast("B"))
    return whole.hexdigest()

@spaces.GPU
def work(seconds):
    began = time.time()
    time.sleep(seconds)
    return began
"""

SETTINGS = """
[isolation]
level = "none"

[memory]
sleep = "on"
stand_in_gb = {card}
stand_in_gb_per_second = {bus}
"""

#: Tensors of each Space.
PIECES = 20


@contextmanager
def small_card(spaces: int, gigabytes: float, card: float, bus: float, memory: Mapping[str, float]) -> Iterator[Farm]:
    """A farm with Spaces of so many GB each on a card of so many; `memory`: more settings of `[memory]`."""
    with tempfile.TemporaryDirectory(dir="/dev/shm") as folder, pytest.MonkeyPatch.context() as patch:
        settings = Path(folder, "farm.toml")
        more = "".join(f"{key} = {value}\n" for key, value in memory.items())
        settings.write_text(SETTINGS.format(card=card, bus=bus) + more)
        patch.setenv("ZEROFARM_CONFIG", str(settings))
        with farm(Path(folder)) as made:
            for number in range(spaces):  # each with its own weights
                script = Path(folder, f"space-{number}", "app.py")
                script.parent.mkdir()
                elements = int(gigabytes * 1e9 / PIECES / 8)
                first = number * PIECES
                script.write_text(SPACE.format(elements=elements, first=first, last=first + PIECES))
                made.register(f"space-{number}", script)
            made.start_worker()
            yield made
