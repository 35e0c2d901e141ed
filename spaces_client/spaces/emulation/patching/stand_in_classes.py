"""Replaces a class of torch: calls make stand-ins during the emulation, and real objects afterwards."""

from __future__ import annotations

from typing import Any  # constructors of torch, untyped here

from spaces.emulation.patching.patches import Patches


class StandIn(type):
    """Metaclass of replacement classes.

    `from torch.cuda import Event` puts the class into the Space's globals; there it must make real events in a child
    with a GPU, and `isinstance` must still recognise them.
    """

    patches: Patches | None = None
    original: type | None = None

    def __call__(cls, *args: Any, **kwargs: Any) -> Any:
        if cls.original is not None and cls.patches is not None and not cls.patches.active:
            return cls.original(*args, **kwargs)
        return super().__call__(*args, **kwargs)

    def __instancecheck__(cls, instance: object) -> bool:
        return cls.__subclasscheck__(type(instance))

    def __subclasscheck__(cls, subclass: type) -> bool:
        if super().__subclasscheck__(subclass):
            return True
        return cls.original is not None and issubclass(subclass, cls.original)


def replace_class(patches: Patches, owners: list[Any], stand_in: StandIn, name: str | None = None) -> None:
    """Replace a class by `stand_in` in every module that exports it."""
    name = name or stand_in.__name__
    stand_in.patches = patches
    stand_in.original = getattr(owners[0], name, None)
    for owner in owners:
        patches.value(owner, name, stand_in)
