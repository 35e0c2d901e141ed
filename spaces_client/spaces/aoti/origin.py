"""The name of the module that a program was exported from, by which a compiled model finds weights in other processes.

Not every Space uses `aoti_apply`: many call several compiled models, for several shapes, from a `forward` of their
own.
"""

from __future__ import annotations

from typing import Any
from weakref import WeakSet

import torch

from spaces import role
from spaces.errors import EncodingError
from spaces.farm.values.references import Reference, References, space_modules
from spaces.role import Role
from spaces.space import space_source

_captured: WeakSet[torch.nn.Module] = WeakSet()


def note(module: Any) -> None:
    """Remember a module whose call was captured, because it is probably exported next."""
    if isinstance(module, torch.nn.Module):
        _captured.add(module)


def place_of(program: torch.export.ExportedProgram) -> Reference | None:
    """The place in the Space of the captured module with the program's parameters; None if unknown."""
    if role.current() is not Role.WORKER:
        return None
    module = next((module for module in _captured if _has_parameters_of(program, module)), None)
    return None if module is None else _references().finder()(module)


def module_at(place: Reference | None) -> torch.nn.Module | None:
    """The module at this place in this process; None if there is none."""
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
