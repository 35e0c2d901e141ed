"""The errors that a caller of a `@spaces.GPU` function can get.

    SpacesError
    ├── DefinitionError      a decorated function is declared wrongly         (also a ValueError)
    ├── EncodingError        an argument or result cannot be sent             (also a TypeError)
    ├── RefusedError         the farm does not accept the task: unknown Space or function, too large, too long
    │   ├── SpaceChanged     another revision of the Space has been registered
    │   └── QuotaExceeded    its visitor has used up the quota of their tier
    │       └── IllegalDuration  it requests more than their tier ever allows
    ├── BlobGone             a payload was read already, or its lifetime is over (also a LookupError)
    ├── FarmUnavailable      the broker cannot be reached                     (also a ConnectionError)
    ├── WaitTimeout          `handle.result(timeout)` has waited long enough  (also a TimeoutError)
    └── TaskError            the task was accepted and did not succeed
        ├── TaskCancelled    a visitor, an author or an operator stopped it
        │   └── QueueTimeout it waited longer than this farm allows
        ├── TimeLimitExceeded it ran longer than the function asked for
        ├── ChildCrashed     its process died: signal, exit or lack of memory
        ├── TaskLost         the workers that took it died
        ├── ScriptFailed     the script of its Space failed in the worker
        └── RemoteError      the function raised an error that cannot be rebuilt here

An error that the function itself raised arrives as itself, with a `RemoteTraceback` as its cause.
"""

from __future__ import annotations


class SpacesError(Exception):
    """Base of every error that ZeroFarm itself raises."""

    #: The title of the message that a visitor of a page sees.
    title = "ZeroGPU client error"


class DefinitionError(SpacesError, ValueError):
    """A decorated function is declared in a way that can never work; raised at decoration if possible."""


class EncodingError(SpacesError, TypeError):
    """An argument or a result cannot be sent between processes. The message names it and the reason."""


class RefusedError(SpacesError):
    """The farm does not accept the task, which was not queued."""


class SpaceChanged(RefusedError):
    """The task is of a revision that is not the latest of its Space. `Farm` then asks for the Space and tries again."""


class QuotaExceeded(RefusedError):
    """The visitor has used or reserved their whole quota; the message has the remaining seconds and the time of more.

    Titles and words are those of ZeroGPU, which front ends and agents can parse.
    """

    title = "ZeroGPU quota exceeded"


class IllegalDuration(QuotaExceeded):
    """The task requests more seconds than the visitor's tier ever allows; a retry does not help."""

    title = "ZeroGPU illegal duration"


class BlobGone(SpacesError, LookupError):
    """A payload's bytes are gone: they were read already, or their lifetime is over."""


class FarmUnavailable(SpacesError, ConnectionError):
    """The broker did not answer."""


class WaitTimeout(SpacesError, TimeoutError):
    """The task has not ended within the caller's timeout. It still runs."""


class TaskError(SpacesError):
    """An accepted task ended without a result."""

    title = "ZeroGPU worker error"


class TaskCancelled(TaskError):
    """The task was cancelled before it ended."""


class QueueTimeout(TaskCancelled):
    """The farm cancelled the task, because no worker took it within the longest allowed wait."""

    title = "ZeroGPU queue timeout"


class TimeLimitExceeded(TaskError):
    """The task was stopped because it ran longer than the duration that its function requested."""


class ChildCrashed(TaskError):
    """The process that ran the task died: it was killed by a signal, ran out of memory, or called `os._exit`."""


class TaskLost(TaskError):
    """Every worker that took the task died, and no attempt is left."""


class ScriptFailed(TaskError):
    """The script of a Space failed in the worker, so no process can run the task.

    In the worker the text ends with the script's traceback; the caller gets the traceback as the error's cause.
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
