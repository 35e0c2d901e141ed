"""Values whose own code raises when anybody asks for more than their type. All of them can be sent."""

from __future__ import annotations

from typing import Any, NoReturn


class AttributeDict(dict[str, Any]):
    """A missing attribute is a KeyError, as in many a library's configuration."""

    def __getattr__(self, name: str) -> Any:
        return self[name]

    def __reduce__(self) -> Any:  # any: a reduce value
        return AttributeDict, (dict(self),)


class _Told:
    def __reduce__(self) -> Any:  # any: a reduce value
        return type(self), ()


def refuse(*_: object) -> NoReturn:
    raise RuntimeError("nobody asked me")


class Sized(_Told):
    size = property(refuse)


class Shaped(_Told):
    shape = property(refuse)


class Shapes(tuple[int, ...]):
    __iter__ = refuse
    __len__ = refuse


class Shapeless(_Told):
    shape = Shapes()


class Proxy(_Told):
    """Like those of werkzeug and wrapt, which ask for what they stand for, and may stand for nothing."""

    __class__ = property(refuse)


class Silent(_Told):
    __repr__ = __str__ = __format__ = __dir__ = refuse


class Opaque(_Told):
    __len__ = __iter__ = __bool__ = __eq__ = __hash__ = refuse


class Path(_Told):
    """Looks like Gradio's data of a file."""

    path = name = property(refuse)


class Text(str):
    __slots__ = ()
    __repr__ = __str__ = refuse


class Number(int):
    __repr__ = __str__ = refuse


class Items(list[int]):
    __iter__ = __len__ = refuse

    def __reduce__(self) -> Any:  # any: a reduce value
        return Items, ()


class Table(dict[str, int]):
    __iter__ = __len__ = items = keys = values = __repr__ = refuse

    def __reduce__(self) -> Any:  # any: a reduce value
        return Table, ()


class _Nameless(type):
    __name__ = __module__ = property(refuse)


class Nameless(metaclass=_Nameless):
    """Cannot be sent, for pickle asks for its name."""


class Endless(_Told):
    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return self


#: By name, for pytest asks values that it is given for their class.
HOSTILE: dict[str, Any] = {
    type(value).__name__: value
    for value in (
        *(AttributeDict(steps=20), Sized(), Shaped(), Shapeless(), Proxy(), Silent(), Opaque(), Path(), Text("a")),
        *(Number(5), Items(), Table(), Endless(), 10**5000, "\ud800"),
    )
}
