"""Exceptions across processes: what a task's last event says of one, and how its caller raises it again.

The caller gets the exception that the function raised, with the remote traceback as its cause. What cannot be rebuilt,
or would do something to the caller that its author never meant (`SystemExit`), becomes a RemoteError with its text.
"""

from __future__ import annotations

import builtins
import importlib
import sys
import traceback
from contextlib import suppress
from typing import Any

import spaces.errors
from spaces.errors import EncodingError, RemoteError, RemoteTraceback, ScriptFailed
from spaces.farm.events import Failed
from spaces.farm.payloads.payload import INLINE_BYTES, Payload
from spaces.farm.values.codec import Codec, Encoded
from spaces.farm.values.glance import LONGEST_TEXT, module_of, own_attributes, qualname_of, text_of

#: Exceptions of these modules are rebuilt from their arguments alone, which needs no pickle.
_BY_ARGUMENTS = {"builtins": builtins, "spaces.errors": spaces.errors}
_GRADIO_FIELDS = ("message", "title", "duration", "visible", "print_exception")
_OUR_PACKAGES = ("spaces", "spaces_workers")
_STARTERS = ("threading.py", "concurrent/futures/thread.py", "asyncio/")


def describe(error: BaseException, codec: Codec) -> Failed:
    """What the end of a task says about the exception that ended it."""
    return Failed(
        type_name=_type_name(error),
        text=_text(error),
        traceback=format_traceback(error),
        error=_payload(error, codec),
    )


def rebuild(failed: Failed, codec: Codec) -> BaseException:
    """The exception to raise, with a RemoteTraceback as its cause."""
    if failed.type_name == _type_of(ScriptFailed):
        return _script_failed(failed.text)
    error = _rebuilt(failed, codec)
    error.__cause__ = RemoteTraceback(failed.traceback)
    return error


def format_traceback(error: BaseException) -> str:
    """The traceback as the author of a Space wants it: the first frame is one of theirs."""
    try:
        report = traceback.TracebackException.from_exception(error)
        _strip(report)
        text = "".join(report.format())
    except Exception:  # attributes and notes of an exception may be anything, and are read by the traceback module
        text = f"{''.join(traceback.format_tb(error.__traceback__))}{_type_name(error)}: {text_of(error)}"
    return text if len(text) <= LONGEST_TEXT else f"{text[:LONGEST_TEXT]}…"


def _script_failed(text: str) -> ScriptFailed:
    """Visitors read that it failed; where is for the log."""
    words, _, traceback_of_script = text.partition("\n")
    error = ScriptFailed(words)
    error.__cause__ = RemoteTraceback(traceback_of_script)
    return error


def _payload(error: BaseException, codec: Codec) -> Payload | None:
    """The exception in the first form that can be sent, small enough for an event, and read again."""
    for form in (_by_arguments, _as_gradio_error_itself, _by_value, _as_gradio_error):
        with suppress(EncodingError):
            fields = form(error)
            encoded = codec.encode(fields) if fields else None
            if encoded and encoded.size_bytes <= INLINE_BYTES and _read(encoded, codec) is not None:
                return Payload(bytes(encoded.body), tuple(map(bytes, encoded.buffers)))
    return None


def _by_arguments(error: BaseException) -> list[object] | None:
    cls = type(error)
    module = _BY_ARGUMENTS.get(cls.__module__)
    if getattr(module, cls.__name__, None) is not cls:
        return None
    reduced = error.__reduce__()  # not `args`: an OSError's file name is only here
    state = _public(*reduced[2:])
    return ["arguments", f"{cls.__module__}.{cls.__name__}", reduced[1], state, _notes(error)]


def _as_gradio_error_itself(error: BaseException) -> list[object] | None:
    return _as_gradio_error(error) if type(error) is _gradio_error() else None


def _as_gradio_error(error: BaseException) -> list[object] | None:
    gradio_error = _gradio_error()
    if gradio_error is None or not isinstance(error, gradio_error):
        return None
    fields = {name: getattr(error, name) for name in _GRADIO_FIELDS if hasattr(error, name)}
    return ["gradio", {**fields, "message": str(fields.get("message", error))}, _notes(error)]


def _by_value(error: BaseException) -> list[object] | None:
    return ["value", error]


def _rebuilt(failed: Failed, codec: Codec) -> BaseException:
    error: BaseException | None = None
    if failed.error is not None:
        with suppress(EncodingError):
            error = _read(Encoded(failed.error.body, failed.error.buffers), codec)
    if error is None:
        error = _by_text(failed)
    # A KeyboardInterrupt or SystemExit of the remote process is news to its caller, not an order.
    return error if isinstance(error, Exception) else RemoteError(f"{failed.type_name}: {failed.text}")


def _read(encoded: Encoded, codec: Codec) -> BaseException | None:
    """The exception that was sent; None if its class refuses what it was sent as."""
    match codec.decode(encoded.body, encoded.buffers):
        case ["value", BaseException() as error]:
            return error
        case ["arguments", str(type_name), tuple(arguments), dict(state), list(notes)]:
            return _with(_raised_by_arguments(type_name, arguments), state, notes)
        case ["gradio", dict(fields), list(notes)]:
            return _with(_new_gradio_error(fields), fields, notes)
    return None


def _raised_by_arguments(type_name: str, arguments: tuple[object, ...]) -> BaseException | None:
    module, _, name = type_name.rpartition(".")
    cls: Any = getattr(_BY_ARGUMENTS.get(module), name, None)  # any: named by a peer
    if not isinstance(cls, type) or not issubclass(cls, Exception):
        return None
    with suppress(Exception):  # a class may refuse any arguments in any way
        return cls(*arguments)
    return None


def _new_gradio_error(fields: dict[str, Any]) -> BaseException | None:  # any: what a peer says
    try:
        cls: Any = importlib.import_module("gradio.exceptions").Error  # any: gradio is untyped here
    except ImportError:
        return None
    error: BaseException = cls(str(fields.get("message", "")))
    return error


def _with(error: BaseException | None, state: dict[str, Any], notes: list[str]) -> BaseException | None:  # any: as sent
    """The exception with its attributes; those that it does not let us set are left out."""
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


def _by_text(failed: Failed) -> BaseException | None:
    """A builtin exception of the same name, if a text is all that it takes."""
    name = failed.type_name if "." in failed.type_name else f"builtins.{failed.type_name}"
    return _raised_by_arguments(name, (failed.text,))


def _type_name(error: BaseException) -> str:
    return _type_of(type(error))


def _type_of(cls: type[BaseException]) -> str:
    return qualname_of(cls) if module_of(cls) == "builtins" else f"{module_of(cls)}.{qualname_of(cls)}"


def _text(error: BaseException) -> str:
    message = _field(error, "message") if isinstance(error, _gradio_error() or ()) else None
    return message if type(message) is str else text_of(error)


def _notes(error: BaseException) -> list[str]:
    notes = own_attributes(error).get("__notes__")
    return [note for note in notes if type(note) is str] if type(notes) is list else []


def _field(error: BaseException, name: str) -> object:
    try:
        return getattr(error, name, None)
    except Exception:  # a property of the author's
        return None


def _gradio_error() -> type[BaseException] | None:
    error: type[BaseException] | None = getattr(sys.modules.get("gradio.exceptions"), "Error", None)
    return error


def _strip(report: traceback.TracebackException) -> None:
    """Drop the frames that lead to the Space's code, in this exception and in those that it came from."""
    ours = [f"{path}/" for name in _OUR_PACKAGES for path in getattr(sys.modules.get(name), "__path__", ())]
    frames = [frame for frame in report.stack if not frame.filename.startswith(tuple(ours))]
    while len(frames) > 1 and any(starter in frames[0].filename for starter in _STARTERS):
        del frames[0]
    if frames:
        report.stack = traceback.StackSummary.from_list(frames)
    for other in (report.__cause__, report.__context__, *(report.exceptions or ())):
        if other is not None:
            _strip(other)
