"""The module that a program was exported from, by name: how a compiled model finds its weights in another process.

Not every Space gives a compiled model to its module by `aoti_apply`: many put several, for several shapes, behind a
`forward` of their own.
"""

from __future__ import annotations

from typing import Any
from weakref import WeakSet

import torch

from spaces import config
from spaces.config import Role
from spaces.errors import EncodingError
from spaces.farm.values.references import Reference, References, space_modules
from spaces.space import space_source

_captured: WeakSet[torch.nn.Module] = WeakSet()


def note(module: Any) -> None:
    """Remember a module whose call was captured: it is about to be exported."""
    if isinstance(module, torch.nn.Module):
        _captured.add(module)


def place_of(program: torch.export.ExportedProgram) -> Reference | None:
    """Where the Space keeps the captured module whose parameters the program has; None if that is not known."""
    if config.current().role is not Role.WORKER:
        return None
    module = next((module for module in _captured if _has_parameters_of(program, module)), None)
    return None if module is None else _references().finder()(module)


def module_at(place: Reference | None) -> torch.nn.Module | None:
    """The module there in this process; None where there is none."""
    try:
        return None if place is None else _references().resolve(place)
    except EncodingError:
        return None


def _has_parameters_of(program: torch.export.ExportedProgram, module: torch.nn.Module) -> bool:
    own = dict(module.named_parameters(remove_duplicate=False))
    wanted = {name: value for name, value in program.state_dict.items() if isinstance(value, torch.nn.Parameter)}
    return bool(wanted) and all(own.get(name) is value for name, value in wanted.items())


def _references() -> References:
    return References(space_modules(space_source().root))
