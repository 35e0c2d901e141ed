"""Models that a Space makes inside its functions, where no module has a name for them.

    def main():
        app = App()             # holds a pipeline; its methods are GPU functions
        app.page().launch()

Every process of the Space has made such an object by the time it launches. It goes by the name of its class, as long as
there is one of that class and no more.
"""

from __future__ import annotations

import gc
import sys
from collections.abc import Iterable
from types import ModuleType

from spaces.farm.values.references import within

#: Objects by the names of their classes; a module, so that all that knows globals knows them.
LONE = "the only"


def lone_models(modules: Iterable[ModuleType]) -> ModuleType:
    """The objects of classes that `modules` define which are alone of their class, and which are or hold torch modules.

    Others go by value: what an object is worth that holds no model is what is in it.
    """
    found = _instances(modules)
    if any(len(instances) > 1 for instances in found.values()):
        found.clear()
        gc.collect()  # some may be dead already, and not in every process
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
