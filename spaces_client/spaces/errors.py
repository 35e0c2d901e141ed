"""The errors a caller of a `@spaces.GPU` function can meet, drawn as a tree.

    SpacesError
    ├── DefinitionError      a decorated function is declared wrongly         (also a ValueError)
    ├── EncodingError        an argument or result cannot travel              (also a TypeError)
    ├── RefusedError         the farm will not accept the task: unknown Space or function, too large, too long
    │   └── QuotaExceeded    its visitor has had what their tier allows
    │       └── IllegalDuration  it asks for more than their tier ever allows
    ├── BlobGone             a payload was read already, or its lifetime is over (also a LookupError; in `farm.blobs`)
    ├── FarmUnavailable      the broker cannot be reached                     (also a ConnectionError)
    ├── WaitTimeout          `handle.result(timeout)` gave up waiting         (also a TimeoutError)
    └── TaskError            the task was accepted and did not succeed
        ├── TaskCancelled    someone stopped it: visitor, author, operator
        │   └── QueueTimeout it waited longer than a task of this farm may
        ├── TimeLimitExceeded it ran longer than the function asked for
        ├── ChildCrashed     its process died: signal, exit or lack of memory
        ├── TaskLost         the workers that took it died
        ├── ScriptFailed     the script of its Space failed in the worker
        └── RemoteError      the function raised something that cannot be rebuilt here

An error that the function itself raised arrives as itself, with a `RemoteTraceback` as its cause.
"""

from __future__ import annotations


class SpacesError(Exception):
    """Base of every error that ZeroFarm raises on its own account."""

    #: Of the message that a visitor of a page sees.
    title = "ZeroGPU client error"


class DefinitionError(SpacesError, ValueError):
    """A decorated function is declared in a way that can never work; raised at decoration where possible."""


class EncodingError(SpacesError, TypeError):
    """An argument or a result cannot be sent between processes. The message names it and says why."""


class RefusedError(SpacesError):
    """The farm does not accept the task; nothing was queued."""


class QuotaExceeded(RefusedError):
    """The visitor has used, or reserved, what their tier allows; the message says what is left and when there is more.

    Titles and words are those of ZeroGPU, which front ends and agents know how to read.
    """

    title = "ZeroGPU quota exceeded"


class IllegalDuration(QuotaExceeded):
    """The task asks for more seconds than the visitor's tier ever allows; trying again later does not help."""

    title = "ZeroGPU illegal duration"


class FarmUnavailable(SpacesError, ConnectionError):
    """The broker did not answer."""


class WaitTimeout(SpacesError, TimeoutError):
    """The task has not ended within the time that the caller was willing to wait. It goes on."""


class TaskError(SpacesError):
    """An accepted task ended without a result."""

    title = "ZeroGPU worker error"


class TaskCancelled(TaskError):
    """The task was cancelled before it ended."""


class QueueTimeout(TaskCancelled):
    """The task was cancelled by the farm because no worker took it for as long as a task may wait."""

    title = "ZeroGPU queue timeout"


class TimeLimitExceeded(TaskError):
    """The task was stopped because it ran longer than the duration that its function asked for."""


class ChildCrashed(TaskError):
    """The process that ran the task died: killed by a signal, out of memory, or left by `os._exit`."""


class TaskLost(TaskError):
    """The workers that held the task died, as often as a task may be attempted."""


class ScriptFailed(TaskError):
    """The script of a Space failed where a worker ran it, so that there is nothing to run the task.

    As the worker raises it, the text goes on with the script's traceback; whoever called has that as its cause.
    """


class RemoteError(TaskError):
    """The function raised an exception that cannot be rebuilt here; the message has its type and text."""


class RemoteTraceback(Exception):  # a traceback, carried as the cause of the real error
    """The traceback of the process that raised, as text."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.text = text

    def __str__(self) -> str:
        return f"\n\n{self.text.rstrip()}"
