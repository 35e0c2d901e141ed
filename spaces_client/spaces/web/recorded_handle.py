"""The handle of a GPU call that a script makes before its launch: records its result for the Space's zygotes.

`spaces.functions.replay` answers the same call from the record in a zygote.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator
from functools import cached_property
from types import TracebackType
from typing import TYPE_CHECKING, Any

from spaces.farm.events import Failed, Succeeded
from spaces.farm.payloads.payload import Payload
from spaces.farm.queue.registry import ImportCall
from spaces.web.handle import Backend, TaskHandle

if TYPE_CHECKING:
    from spaces.farm.task import Task
    from spaces.farm.values.codec import Codec
    from spaces.web.waiting import Visitor


class RecordedHandle(TaskHandle):
    """The handle of a call before the launch; passes its result to `record`, once."""

    def __init__(
        self, task: Task, backend: Backend, visitor: Visitor, codec: Codec, record: Callable[[ImportCall], None]
    ) -> None:
        super().__init__(task, backend, visitor)
        self._codec = codec
        self._record = record
        self._yields: list[Payload] = []
        self._recorded = False

    @cached_property
    def _outcome(self) -> Any:
        from spaces.farm.values.failure import describe

        try:
            value = super()._outcome
        except Exception as error:
            self._note(describe(error, self._codec))
            raise
        self._note(Succeeded(_inline(self._codec, value)))
        return value

    def __iter__(self) -> Iterator[Any]:
        for value in super().__iter__():
            self._yields.append(_inline(self._codec, value))
            yield value

    async def __aiter__(self) -> AsyncIterator[Any]:
        async for value in super().__aiter__():
            self._yields.append(_inline(self._codec, value))
            yield value

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        super().__exit__(kind, error, trace)
        self._note(Succeeded(_inline(self._codec, None)))  # a generator that was left early

    def _note(self, end: Succeeded | Failed) -> None:
        if not self._recorded:
            self._recorded = True
            self._record(ImportCall(self.task.function, tuple(self._yields), end))


def _inline(codec: Codec, value: Any) -> Payload:
    """A payload without a blob, because it must last as long as the Space's record."""
    encoded = codec.encode(value)
    return Payload(bytes(encoded.body), tuple(map(bytes, encoded.buffers)))
