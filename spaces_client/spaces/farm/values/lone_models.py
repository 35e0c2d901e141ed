"""Finds models that a Space makes inside its functions, so that no module has a name for them.

    def main():
        app = App()             # holds a pipeline; its methods are GPU functions
        app.page().launch()

Every process of the Space has made such an object by its launch. It is sent by the name of its class, if it is the only
object of that class.
"""

from __future__ import annotations

import gc
import sys
from collections.abc import Iterable
from types import ModuleType

from spaces.farm.values.references import within

#: Objects by the names of their classes; a module, so that code for globals handles them too.
LONE = "the only"


def lone_models(modules: Iterable[ModuleType]) -> ModuleType:
    """Objects that are the only instance of a class that `modules` define, and that are or hold torch modules.

    Other objects are sent by value: without a model, an object is just its content.
    """
    found = _instances(modules)
    if any(len(instances) > 1 for instances in found.values()):
        found.clear()
        gc.collect()  # dead objects may not have been collected in every process
        found = _instances(modules)
    lone = ModuleType(LONE)
    for cls, instances in found.items():
        if len(instances) == 1 and _holds_module(instances[0]):
            name = cls.__qualname__ if cls.__module__ == "__main__" else f"{cls.__module__}.{cls.__qualname__}"
            vars(lone)[name] = instances[0]
    return lone


def _instances(modules: Iterable[ModuleType]) -> dict[type, list[object]]:
    own = {cls: list[object]() for module in modules for cls in _classes(module)}
    for value in gc.get_objects() if own else ():
        if type(value) in own:
            own[type(value)].append(value)
    return own


def _classes(module: ModuleType) -> list[type]:
    return [each for each in vars(module).values() if isinstance(each, type) and each.__module__ == module.__name__]


def _holds_module(value: object) -> bool:
    torch = sys.modules.get("torch")
    return torch is not None and any(issubclass(type(found), torch.nn.Module) for _, found in within(value))
