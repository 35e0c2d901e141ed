"""One run of one function inside a child: decodes the arguments, runs the function, encodes its values.

A plain function is a stream of events without yields, so there is one path for every kind of function.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import cache
from typing import Any

from spaces import config
from spaces.errors import SpacesError
from spaces.farm import log_lines
from spaces.farm.events import Cancelled, End, Event, Succeeded, Yielded
from spaces.farm.payloads.packer import Packer
from spaces.farm.payloads.payload import Payload
from spaces.farm.payloads.shared_memory import SharedMemoryStore
from spaces.farm.size import Size
from spaces.farm.values.failure import describe
from spaces.functions.calls import call_to_end
from spaces.functions.function import GPUFunction, functions, kind_of
from spaces.functions.gradio_relay import relay
from spaces.functions.sent_functions import Carried
from spaces.space import space_codec, space_files
from spaces.state.incoming import Incoming
from spaces.state.of_space import space_globals
from spaces_workers.child import trace_context
from spaces_workers.child.results_with_destructors import KeptResults
from spaces_workers.link.messages import RunTask

_kept = KeptResults()


class Execution:
    """A task while it runs in this process."""

    def __init__(self, run: RunTask, tell: Callable[[Event], None]) -> None:
        self._run = run
        self._tell = tell
        self._packer = _packer(run.far, has_files=bool(run.arguments.files))
        self.label = run.label
        self.thread_id = 0  #: of the thread that runs the function
        self.native_thread_id = 0  #: the same, as the system counts it
        self.closing = False  #: set by another thread: stop at the next yield
        self.ended = False  #: no more events follow
        self.is_settled = False  #: the worker is told so, together with the end

    def end(self) -> End:
        """Run the function to its end, sending its events, and return how it ended."""
        _kept.release()
        started = time.monotonic()
        log_lines.of_task(self._run.task_id)
        trace_context.enter(self._run.traceparent)
        self.thread_id, self.native_thread_id = threading.get_ident(), threading.get_native_id()
        try:
            value = self._drive()
            if self.closing:
                return Cancelled("its generator was closed")
            return Succeeded(self._pack(value, "returned"), time.monotonic() - started)
        except BaseException as error:  # SystemExit too: any exception ends this task alone
            failed = describe(error, self._packer.codec)
            return replace(failed, seconds=time.monotonic() - started)
        finally:
            self.thread_id = 0
            log_lines.of_task("")

    def _drive(self) -> Any:
        args, kwargs, *more = self._packer.unpack(self._run.arguments)
        function = _function(self._run, more)
        relay(self._tell, (*args, *kwargs.values()))
        changes = b"".join(each for each in more if isinstance(each, bytes))
        with _globals_of_web().during(changes, self._tell):
            return call_to_end(function, args, kwargs, self._take)

    def _take(self, value: Any) -> bool:
        """Send a yield; returns whether the function may continue."""
        self._tell(Yielded(self._pack(value, "yielded")))
        return not self.closing

    def _pack(self, value: Any, verb: str) -> Payload:
        _kept.keep(value)
        return self._packer.pack_result(str(self._run.function), value, verb)


@cache
def _globals_of_web() -> Incoming:
    """One for the life of a child, because it remembers the changes that it applied."""
    return Incoming(space_globals(), space_codec())


def _packer(far: bool, *, has_files: bool) -> Packer:
    """A packer on the shared memory of this host, because a child does not reach the broker.

    Callers on this host may send files too: a program has another temporary folder than a Space that is separated.
    """
    here = config.current()
    store = SharedMemoryStore(here.run_dir, here.host)
    files = space_files() if far or has_files else None
    return Packer(space_codec(), store, files=files, far=lambda: far, one_reader=True)


def _function(run: RunTask, more: Sequence[object]) -> GPUFunction:
    for each in more:
        if isinstance(each, Carried):
            made = each.function
            return GPUFunction(run.function, made, None, Size.LARGE, kind_of(made), carried=True)
    function = functions.get(run.function)
    if function is None:
        known = ", ".join(map(str, functions)) or "none"
        raise SpacesError(
            f"{run.label} does not exist in the worker, which has: {known}. The script must decorate equal functions "
            "in every process that runs it"
        )
    return function
