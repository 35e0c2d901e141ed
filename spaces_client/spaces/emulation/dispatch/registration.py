"""`@handles(...)`: registers what functions of torch do under the emulation."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any  # functions of torch are not typed here

from spaces.emulation.dispatch.mode import HANDLERS, Handler

Function = Callable[..., Any]


def handles(*functions: Function) -> Callable[[Handler], Handler]:
    def register(handler: Handler) -> Handler:
        for function in functions:
            HANDLERS[function] = handler
        return handler

    return register
