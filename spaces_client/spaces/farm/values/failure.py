"""Sends exceptions between processes: encodes one in a task's last event, and rebuilds it for the caller.

The caller gets the exception that the function raised, with its causes and contexts, and the remote traceback as the
last of its causes. An exception that cannot be rebuilt, or that would end the caller's process (`SystemExit`), becomes
a RemoteError with its text.
"""

from __future__ import annotations

import sys
import traceback
from collections.abc import Sequence
from typing import Any

from spaces.errors import EncodingError, RemoteError, RemoteTraceback, ScriptFailed
from spaces.farm.events import Failed
from spaces.farm.payloads.payload import INLINE_BYTES, Payload
from spaces.farm.texts import cut, without_middle
from spaces.farm.values import exception_forms
from spaces.farm.values.codec import Codec, Encoded
from spaces.farm.values.exception_forms import by_arguments, type_name_of, words_of
from spaces.farm.values.glance import text_of

#: The most exceptions that are sent together: one, its causes, its contexts and theirs.
MOST_LINKS = 16

#: Characters of the text of a cause, which is needed only if it cannot be rebuilt.
_LONGEST_WORDS = 500

_OUR_PACKAGES = ("spaces", "spaces_workers")
_STARTERS = ("<frozen runpy>", "threading.py", "concurrent/futures/thread.py", "asyncio/")


def describe(error: BaseException, codec: Codec) -> Failed:
    """The end of a task that was ended by this exception."""
    return Failed(
        type_name=cut(type_name_of(type(error))),
        text=words_of(error),
        traceback=format_traceback(error),
        error=_payload(error, codec),
    )


def rebuild(failed: Failed, codec: Codec) -> BaseException:
    """The exception to raise, with a RemoteTraceback as its cause, or as the last of its causes."""
    if failed.type_name == type_name_of(ScriptFailed):
        return _script_failed(failed.text)
    error = _rebuilt(failed, codec)
    _first_cause(error).__cause__ = RemoteTraceback(failed.traceback)
    return error


def format_traceback(error: BaseException) -> str:
    """The traceback for the author of a Space: its first frame is in the Space's code."""
    try:
        report = traceback.TracebackException.from_exception(error)
        _strip(report)
        text = "".join(report.format())
    except Exception:  # the traceback module reads attributes and notes, which may raise anything
        frames = "".join(traceback.format_tb(error.__traceback__))
        text = f"{frames}{type_name_of(type(error))}: {text_of(error)}"
    return without_middle(text)


def _script_failed(text: str) -> ScriptFailed:
    """Visitors see only that the script failed; the traceback goes to the log."""
    words, _, traceback_of_script = text.partition("\n")
    error = ScriptFailed(words)
    error.__cause__ = RemoteTraceback(traceback_of_script)
    return error


def _payload(error: BaseException, codec: Codec) -> Payload | None:
    """An exception with as many causes and contexts as fit an event; None if it cannot be rebuilt."""
    first = exception_forms.write(error, codec)
    if first is None:
        return None
    chain = _chain(error)
    forms = [first, *(exception_forms.write(each, codec) for each in chain[1:])]
    while True:
        links = [_link(each, form, chain) for each, form in zip(chain, forms, strict=False)]
        encoded = codec.encode(links)
        if encoded.size_bytes <= INLINE_BYTES or len(chain) == 1:
            return Payload(bytes(encoded.body), tuple(map(bytes, encoded.buffers)))
        chain = chain[: len(chain) // 2]


def _chain(error: BaseException) -> list[BaseException]:
    """The exception with its causes and contexts, the nearest first."""
    chain = [error]
    for each in chain:
        for other in (each.__cause__, each.__context__):
            if other is not None and _index(other, chain) is None and len(chain) < MOST_LINKS:
                chain.append(other)
    return chain


def _index(error: BaseException | None, chain: Sequence[BaseException]) -> int | None:
    return next((index for index, each in enumerate(chain) if each is error), None)


def _link(error: BaseException, form: Encoded | None, chain: Sequence[BaseException]) -> list[Any]:  # any: plain data
    """One exception of a chain: its name and text, its form, and the indices of its cause and context."""
    return [
        type_name_of(type(error)),
        words_of(error)[:_LONGEST_WORDS],
        [bytes(form.body), *map(bytes, form.buffers)] if form else [],
        _index(error.__cause__, chain),
        _index(error.__context__, chain),
        error.__suppress_context__,
    ]


def _rebuilt(failed: Failed, codec: Codec) -> Exception:
    error = _read_chain(failed, codec) or by_arguments(failed.type_name, (failed.text,))
    # A KeyboardInterrupt or SystemExit of the remote process must not stop its caller.
    return error if isinstance(error, Exception) else RemoteError(f"{failed.type_name}: {failed.text}")


def _read_chain(failed: Failed, codec: Codec) -> BaseException | None:
    """The exception with its causes and contexts; None if it cannot be made here."""
    if failed.error is None:
        return None
    try:
        links = codec.decode(failed.error.body, failed.error.buffers)
        links[0][:2] = failed.type_name, failed.text
        errors = [_read_link(name, text, form, codec) for name, text, form, *_ in links]
        for error, (*_, cause, context, is_suppressed) in zip(errors, links, strict=True):
            error.__cause__ = None if cause is None else errors[cause]
            error.__context__ = None if context is None else errors[context]
            error.__suppress_context__ = bool(is_suppressed)
    except (EncodingError, TypeError, ValueError, LookupError):  # bytes that `_payload` did not make
        return None
    return errors[0]


def _read_link(type_name: Any, text: Any, form: Any, codec: Codec) -> BaseException:  # any: what a peer says
    read = exception_forms.read(Encoded(form[0], tuple(form[1:])), codec) if form else None
    return read or by_arguments(str(type_name), (text,)) or RemoteError(f"{type_name}: {text}")


def _first_cause(error: BaseException) -> BaseException:
    """The last of the causes of an exception; itself, if it has none."""
    seen = {id(error)}
    while (cause := error.__cause__) is not None and id(cause) not in seen:
        seen.add(id(cause))
        error = cause
    return error


def _strip(report: traceback.TracebackException) -> None:
    """Drop the frames above the Space's code, in this exception, its causes and contexts."""
    ours = [f"{path}/" for name in _OUR_PACKAGES for path in getattr(sys.modules.get(name), "__path__", ())]
    frames = [frame for frame in report.stack if not frame.filename.startswith(tuple(ours))]
    while frames and any(starter in frames[0].filename for starter in _STARTERS):
        del frames[0]
    if frames or issubclass(report.exc_type or object, SyntaxError):  # which names its place itself
        report.stack = traceback.StackSummary.from_list(frames)
    for other in (report.__cause__, report.__context__, *(report.exceptions or ())):
        if other is not None:
            _strip(other)
