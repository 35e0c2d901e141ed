"""The forms in which an exception is encoded, from the most exact to the simplest; `failure` sends and raises them.

Exceptions of Python, of the farm and of Gradio need no pickle. Others are sent by value or, if they hold a value that
cannot be sent, by their other parts.
"""

from __future__ import annotations

import builtins
import importlib
import sys
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import spaces.errors
from spaces.errors import EncodingError
from spaces.farm.payloads.payload import INLINE_BYTES
from spaces.farm.texts import cut
from spaces.farm.values.codec import Codec, Encoded
from spaces.farm.values.exceptions import ExceptionParts, native_fields
from spaces.farm.values.glance import module_of, own_attributes, qualname_of, text_of

#: Exceptions of these modules are rebuilt from their arguments alone, which needs no pickle.
_BY_ARGUMENTS = {"builtins": builtins, "spaces.errors": spaces.errors}
_GRADIO_FIELDS = ("message", "title", "duration", "visible", "print_exception")

Form = list[Any]  # any: whatever the codec can write


def write(error: BaseException, codec: Codec) -> Encoded | None:
    """The exception in the first form that can be encoded, fits an event, and can be decoded; None if there is none."""
    for form in _FORMS:
        with suppress(EncodingError):
            fields = form(error, codec)
            encoded = codec.encode(fields) if fields else None
            if encoded and encoded.size_bytes <= INLINE_BYTES and read(encoded, codec) is not None:
                return encoded
    return None


def read(encoded: Encoded, codec: Codec) -> BaseException | None:
    """Decode an exception; None if this process cannot make it."""
    with suppress(EncodingError, TypeError):
        match codec.decode(encoded.body, encoded.buffers):
            case ["value", BaseException() as error, list(notes)]:
                return _with(error, {}, [] if _notes(error) else notes)
            case ["parts", ExceptionParts() as parts]:
                return parts.together()
            case ["arguments", str(type_name), tuple(arguments), dict(state), list(notes)]:
                return _with(by_arguments(type_name, arguments), state, notes)
            case ["gradio", dict(fields), list(notes)]:
                return _with(_new_gradio_error(fields), fields, notes)
    return None


def by_arguments(type_name: str, arguments: tuple[object, ...]) -> BaseException | None:
    """An exception of Python or of the farm; None if the name is no such class, or the class refuses the arguments."""
    module, _, name = type_name.rpartition(".")
    cls: Any = getattr(_BY_ARGUMENTS.get(module or "builtins"), name, None)  # any: named by a peer
    if not isinstance(cls, type) or not issubclass(cls, Exception):
        return None
    with suppress(Exception):  # a class may refuse any arguments in any way
        return cls(*arguments)
    return None


def type_name_of(cls: type) -> str:
    """The name of a class: `ValueError`, `app.Refused`."""
    return qualname_of(cls) if module_of(cls) == "builtins" else f"{module_of(cls)}.{qualname_of(cls)}"


def words_of(error: BaseException) -> str:
    """An exception's text for people; of one of Gradio's, the message alone."""
    message = _field(error, "message") if isinstance(error, _gradio_error() or ()) else None
    return cut(message) if type(message) is str else text_of(error)


def _by_arguments(error: BaseException, codec: Codec) -> Form | None:
    del codec
    cls = type(error)
    module = _BY_ARGUMENTS.get(module_of(cls))
    if getattr(module, qualname_of(cls), None) is not cls:
        return None
    reduced = error.__reduce__()  # not `args`: an OSError's file name is only here
    state = _public(*reduced[2:]) | dict(native_fields(error))
    return ["arguments", f"{cls.__module__}.{cls.__name__}", reduced[1], state, _notes(error)]


def _as_gradio_error_itself(error: BaseException, codec: Codec) -> Form | None:
    return _as_gradio_error(error, codec) if type(error) is _gradio_error() else None


def _by_value(error: BaseException, codec: Codec) -> Form:
    del codec
    return ["value", error, _notes(error)]  # a class with its own `__reduce__` may omit the notes


def _by_parts(error: BaseException, codec: Codec) -> Form:
    return ["parts", ExceptionParts.of(error, _small(codec))]


def _as_gradio_error(error: BaseException, codec: Codec) -> Form | None:
    del codec
    if not isinstance(error, _gradio_error() or ()):
        return None
    fields = {name: _field(error, name) for name in _GRADIO_FIELDS}
    return ["gradio", {**fields, "message": words_of(error)}, _notes(error)]


_FORMS: tuple[Callable[[BaseException, Codec], Form | None], ...] = (
    _by_arguments,
    _as_gradio_error_itself,
    _by_value,
    _by_parts,
    _as_gradio_error,
)


def _small(codec: Codec) -> Callable[[object], bool]:
    def keep(value: object) -> bool:
        with suppress(EncodingError):
            return codec.encode(value).size_bytes <= INLINE_BYTES // 4
        return False

    return keep


def _new_gradio_error(fields: dict[str, Any]) -> BaseException | None:  # any: what a peer says
    try:
        cls: Any = importlib.import_module("gradio.exceptions").Error  # any: gradio is untyped here
    except ImportError:
        return None
    error: BaseException = cls(str(fields.get("message", "")))
    return error


def _with(error: BaseException | None, state: dict[str, Any], notes: list[str]) -> BaseException | None:  # any: as sent
    """Set the exception's attributes and notes, except those that it refuses."""
    if error is None:
        return None
    for name, value in _public(state).items():
        with suppress(AttributeError, TypeError):
            setattr(error, name, value)
    for note in notes:
        error.add_note(note)
    return error


def _public(state: dict[str, Any] | None = None) -> dict[str, Any]:  # any: attributes of someone's exception
    return {name: value for name, value in (state or {}).items() if not name.startswith("__")}


def _notes(error: BaseException) -> list[str]:
    notes = own_attributes(error).get("__notes__")
    return [note for note in notes if type(note) is str] if type(notes) is list else []


def _field(error: BaseException, name: str) -> object:
    try:
        return getattr(error, name, None)
    except Exception:  # a property may raise anything
        return None


def _gradio_error() -> type[BaseException] | None:
    error: type[BaseException] | None = getattr(sys.modules.get("gradio.exceptions"), "Error", None)
    return error
