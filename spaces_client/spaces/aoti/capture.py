"""Captures the arguments with which a pipeline calls its model, without running the model."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


class CapturedCall:
    """The arguments of the call that was stopped; empty until then."""

    def __init__(self) -> None:
        self.args: tuple[Any, ...] = ()
        self.kwargs: dict[str, Any] = {}


class _Stopped(BaseException):
    """Ends the block. It is no Exception, so that a pipeline that catches exceptions does not swallow it."""

    def __init__(self, call: CapturedCall) -> None:
        self.call = call


@contextmanager
def captured(module: Any, method: str) -> Iterator[CapturedCall]:
    """See `spaces.aoti_capture`."""
    call = CapturedCall()

    def stop(*args: Any, **kwargs: Any) -> None:
        call.args, call.kwargs = args, kwargs
        raise _Stopped(call)

    try:
        with replaced(module, method, stop):
            yield call
    except _Stopped as stopped:
        if stopped.call is not call:
            raise
        return
    raise RuntimeError(
        f"aoti_capture: {type(module).__name__}.{method} was not called within the block, so there is nothing to "
        "export. Call the pipeline that uses it"
    )


@contextmanager
def replaced(module: Any, method: str, replacement: Any) -> Iterator[None]:
    """Within this, `module.method` is `replacement`, on the instance alone, not on its class."""
    own = vars(module)
    there, before = method in own, own.get(method)
    setattr(module, method, replacement)
    try:
        yield
    finally:
        if there:
            setattr(module, method, before)
        else:
            delattr(module, method)
