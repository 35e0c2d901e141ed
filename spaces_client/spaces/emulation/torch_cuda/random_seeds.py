"""`torch.cuda.manual_seed` and related functions: emulated CUDA uses the CPU's generator, so seeding either makes a run
repeatable."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any  # torch is not typed here

import torch

from spaces.emulation.patching.constant_functions import replace
from spaces.emulation.patching.patches import Patches

_cpu = torch.default_generator


def install(patches: Patches) -> None:
    answers = {
        "manual_seed": _manual_seed,
        "manual_seed_all": _manual_seed,
        "seed": _seed,
        "seed_all": _seed,
        "initial_seed": _cpu.initial_seed,
        "get_rng_state": _get_rng_state,
        "get_rng_state_all": lambda: [_cpu.get_state()],
        "set_rng_state": _set_rng_state,
        "set_rng_state_all": _set_rng_state_all,
    }
    replace(patches, answers, torch.cuda, torch.cuda.random)
    patches.value(torch.cuda, "default_generators", (_cpu,))


def _manual_seed(seed: int) -> None:
    _cpu.manual_seed(int(seed))


def _seed() -> None:
    _cpu.seed()


def _get_rng_state(*_device: object, **_named: object) -> Any:
    return _cpu.get_state()


def _set_rng_state(new_state: Any, *_device: object, **_named: object) -> None:
    _cpu.set_state(new_state)


def _set_rng_state_all(new_states: Iterable[Any]) -> None:
    for state in new_states:
        _cpu.set_state(state)
