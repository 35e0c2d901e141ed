"""Runs what a Space does when the `gr.State` of a visitor is deleted: in threads, and whatever it raises.

Gradio deletes the states of all visitors on its event loop. There, a callback that calls a GPU function would stop the
page until its task ends, and one that raises would end deletion for all visitors. Gradio is never imported here.
"""

from __future__ import annotations

import functools
import logging
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from types import ModuleType
from typing import Any

logger = logging.getLogger(__name__)

Callback = Callable[[Any], object]  # Any: the state's value

#: Callbacks that run at a time; more wait.
_threads = ThreadPoolExecutor(max_workers=8, thread_name_prefix="state-deletion")


def watch(state: ModuleType) -> None:
    """Have every `gr.State` call its `delete_callback` in a thread; for `gradio.components.state`."""
    original = state.State.__init__

    @functools.wraps(original)
    def init(self: Any, *args: Any, **options: Any) -> Any:  # Any: Gradio's own
        if callback := options.get("delete_callback"):
            options["delete_callback"] = _in_a_thread(callback)
        return original(self, *args, **options)

    state.State.__init__ = init


def _in_a_thread(callback: Callback) -> Callback:
    @functools.wraps(callback, updated=())
    def call_later(value: Any) -> None:
        _threads.submit(_call, callback, value)

    return call_later


def _call(callback: Callback, value: Any) -> None:
    try:
        callback(value)
    except Exception:
        logger.exception("a delete_callback of gr.State failed; the state is deleted all the same")
