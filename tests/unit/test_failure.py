"""An exception arrives at the caller as itself, with the remote traceback as its cause; an order to exit does not."""

from __future__ import annotations

import asyncio
import gc
import sys
import threading
import warnings
from collections.abc import Callable
from typing import Any

import pytest

from spaces.errors import EncodingError, RemoteError, RemoteTraceback
from spaces.farm import wire
from spaces.farm.events import Failed
from spaces.farm.payloads.payload import Payload
from spaces.farm.values.codec import Codec
from spaces.farm.values.failure import describe, format_traceback, rebuild

KEY = b"k" * 32


class AuthorsError(Exception):
    def __init__(self, text: str, code: int) -> None:
        super().__init__(text, code)
        self.code = code


class PickyError(Exception):
    """Cannot be made again from its arguments."""

    def __init__(self, *, reason: str) -> None:
        super().__init__(f"because of {reason}")


class SilentError(Exception):
    def __str__(self) -> str:
        raise RuntimeError("no")


def raised(error: BaseException) -> BaseException:
    try:
        raise error
    except BaseException as caught:
        return caught


def over_the_wire(error: BaseException, codec: Codec) -> BaseException:
    failed = wire.unpack(wire.pack(describe(raised(error), codec)))
    assert isinstance(failed, Failed)
    return rebuild(failed, codec)


@pytest.mark.parametrize(
    "error",
    [
        ValueError("bad value"),
        KeyError("name"),
        FileNotFoundError(2, "No such file or directory", "/tmp/x"),
        UnicodeDecodeError("utf-8", b"\xff", 0, 1, "invalid start byte"),
        ZeroDivisionError(),
        ImportError("no module", name="torch"),
        EncodingError("cannot be sent"),
    ],
    ids=repr,
)
@pytest.mark.parametrize("key", [KEY, b""], ids=["with a key", "without a key"])
def test_a_builtin_error_arrives_as_itself(error: Exception, key: bytes) -> None:
    result = over_the_wire(error, Codec(key))
    assert type(result) is type(error)
    assert str(result) == str(error)
    assert vars(result) == vars(error)
    assert getattr(result, "filename", None) == getattr(error, "filename", None)
    assert getattr(result, "name", None) == getattr(error, "name", None)


def test_the_remote_traceback_is_its_cause() -> None:
    result = over_the_wire(ValueError("bad value"), Codec())
    assert isinstance(result.__cause__, RemoteTraceback)
    assert "in raised\n" in str(result.__cause__)
    assert str(result.__cause__).endswith("ValueError: bad value")


def test_an_error_of_the_author_arrives_as_itself() -> None:
    result = over_the_wire(AuthorsError("out of paper", 7), Codec(KEY))
    assert isinstance(result, AuthorsError)
    assert (result.args, result.code) == (("out of paper", 7), 7)


@pytest.mark.parametrize("key", [KEY, b""], ids=["with a key", "without a key"])
def test_notes_arrive(key: bytes) -> None:
    error = ValueError("bad value")
    error.add_note("while drawing a cat")
    assert over_the_wire(error, Codec(key)).__notes__ == ["while drawing a cat"]


@pytest.mark.parametrize(
    ("error", "key", "text"),
    [
        (AuthorsError("out of paper", 7), b"", f"{__name__}.AuthorsError: ('out of paper', 7)"),
        (PickyError(reason="rain"), b"", f"{__name__}.PickyError: because of rain"),
        (SilentError(), b"", f"{__name__}.SilentError: (its text cannot be read: __str__ raised)"),
        (SystemExit(3), KEY, "SystemExit: 3"),
        (KeyboardInterrupt(), KEY, "KeyboardInterrupt: "),
        (GeneratorExit(), b"", "GeneratorExit: "),
        (asyncio.CancelledError(), KEY, "asyncio.exceptions.CancelledError: "),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, BaseException) else "",
)
def test_what_cannot_or_must_not_be_rebuilt_is_a_remote_error(error: BaseException, key: bytes, text: str) -> None:
    result = over_the_wire(error, Codec(key))
    assert type(result) is RemoteError
    assert str(result) == text
    assert isinstance(result.__cause__, RemoteTraceback)


def test_a_builtin_error_whose_arguments_cannot_be_sent_keeps_its_text() -> None:
    result = over_the_wire(ValueError("bad", threading.Lock()), Codec(KEY))
    assert type(result) is ValueError
    assert str(result).startswith("('bad', <unlocked _thread.lock")


def test_an_error_too_large_for_an_event_keeps_its_text() -> None:
    failed = describe(ValueError("x" * 100_000), Codec())
    assert failed.error is None
    assert str(rebuild(failed, Codec())) == "x" * 100_000


def test_an_error_signed_with_another_key_keeps_its_text() -> None:
    failed = describe(AuthorsError("out of paper", 7), Codec(KEY))
    result = rebuild(failed, Codec(b"x" * 32))
    assert type(result) is RemoteError


def gradio_error(**fields: Any) -> Exception:  # any: whatever gr.Error takes
    with warnings.catch_warnings():  # gradio leaves event loops open when it is imported
        warnings.simplefilter("ignore")
        gradio: Any = pytest.importorskip("gradio")  # any: gradio is untyped here
        gc.collect()
    error: Exception = gradio.Error(**fields)
    return error


@pytest.mark.parametrize("key", [KEY, b""], ids=["with a key", "without a key"])
def test_a_gradio_error_keeps_all_that_the_visitor_sees(key: bytes) -> None:
    fields = {
        "message": "too <b>large</b>",
        "title": "Sorry",
        "duration": None,
        "visible": False,
        "print_exception": False,
    }
    result = over_the_wire(gradio_error(**fields), Codec(key))
    assert type(result).__name__ == "Error"
    assert {name: getattr(result, name) for name in fields} == fields


def test_a_subclass_of_a_gradio_error_is_one_at_least() -> None:
    base: Any = type(gradio_error(message=""))  # any: gradio is untyped here
    local = type("LocalError", (base,), {})
    result: Any = over_the_wire(local(message="no paper", title="Printer"), Codec(KEY))
    assert type(result) is base
    assert (result.message, result.title) == ("no paper", "Printer")


def test_the_text_of_a_gradio_error_is_its_message() -> None:
    assert describe(gradio_error(message="no paper"), Codec()).text == "no paper"


def test_where_gradio_is_missing_its_error_is_a_remote_error(monkeypatch: pytest.MonkeyPatch) -> None:
    failed = describe(gradio_error(message="no paper"), Codec())
    monkeypatch.setitem(sys.modules, "gradio.exceptions", None)
    result = rebuild(failed, Codec())
    assert (type(result), str(result)) == (RemoteError, "gradio.exceptions.Error: no paper")


def test_a_forged_payload_builds_no_other_class() -> None:
    codec = Codec()
    for name in ("builtins.SystemExit", "builtins.eval", "os.system", "builtins.dict", "spaces.errors.annotations", ""):
        failed = Failed("ValueError", "text", "", forged(["arguments", name, ("1",), {}, []]))
        assert type(rebuild(failed, codec)) is ValueError


def test_a_forged_state_sets_no_special_attribute() -> None:
    form: list[object] = ["arguments", "builtins.ValueError", ("text",), {"__cause__": 1, "__dict__": {}, "x": 1}, []]
    result = rebuild(Failed("ValueError", "text", "tb", forged(form)), Codec())
    assert vars(result) == {"x": 1}


def forged(form: list[object], *more: object) -> Payload:
    encoded = Codec().encode(form)
    link = ["ValueError", "text", [bytes(encoded.body)], *(more or (None, None, False))]
    return Payload(bytes(Codec().encode([link]).body))


@pytest.mark.parametrize("more", [(7, None, False), ("a", None, False), (0, 0, True), (None,)], ids=str)
def test_a_forged_chain_is_read_or_told_by_its_text(more: tuple[object, ...]) -> None:
    form: list[object] = ["arguments", "builtins.ValueError", ("text",), {}, []]
    result = rebuild(Failed("ValueError", "text", "tb", forged(form, *more)), Codec())
    assert (type(result), str(result)) == (ValueError, "text")
    assert isinstance(result.__cause__, RemoteTraceback)


def in_a_thread(function: Callable[[], object]) -> BaseException:
    caught: list[BaseException] = []

    def run() -> None:
        try:
            Codec(KEY).decode(Codec(KEY).encode(Calls(function)).body)
        except BaseException as error:
            caught.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    return caught[0]


class Calls:
    """Calls a function from inside our own code, so that our frames stand above and below those of the test."""

    def __init__(self, function: Callable[[], object]) -> None:
        self.function = function

    def __reduce__(self) -> Any:  # any: pickle's own
        return self.function()


def draw() -> None:
    raise ValueError("no ink")


def test_a_traceback_holds_no_frame_of_ours() -> None:
    text = format_traceback(in_a_thread(draw))
    assert "in draw\n" in text
    assert "ValueError: no ink" in text
    assert "threading.py" not in text
    assert "spaces/farm" not in text


def test_a_traceback_of_ours_alone_is_kept() -> None:
    with pytest.raises(EncodingError) as caught:
        Codec().decode(b"\xc1")
    assert caught.value.__traceback__ is not None
    below_the_test = caught.value.with_traceback(caught.value.__traceback__.tb_next)
    assert "codec.py" in format_traceback(below_the_test)


def test_the_middle_of_a_long_traceback_is_left_out() -> None:
    """Its end was cut off, which says what failed."""

    def recurse(depth: int) -> None:
        if depth:
            exec("\n" * depth + "recurse(depth - 1)", {"recurse": recurse, "depth": depth})  # no two lines are equal
        raise ValueError("at the bottom")

    text = format_traceback(raised_by(lambda: recurse(200)))
    assert text.startswith("Traceback (most recent call last):\n")
    assert text.rstrip().endswith("ValueError: at the bottom")
    assert "characters are left out …" in text
    assert len(text) < 51_000


def test_an_exception_of_20_mb_takes_no_more_of_the_broker_than_any_text() -> None:
    """It took 40 MB for an hour: its text, and its traceback, which ends with it."""
    huge = "x" * 20_000_000
    for error in (ValueError(huge), AuthorsError(huge, 1), type(huge[:100_000], (Exception,), {})("named")):
        assert len(wire.pack(describe(raised(error), Codec(KEY)))) < 300_000
    result = over_the_wire(ValueError(huge), Codec(KEY))
    assert type(result) is ValueError
    assert str(result) == "x" * 100_000 + "…"


def raised_by(call: Callable[[], object]) -> BaseException:
    try:
        call()
    except BaseException as caught:
        return caught
    raise AssertionError("it raised nothing")
