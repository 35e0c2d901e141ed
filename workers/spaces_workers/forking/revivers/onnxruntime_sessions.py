"""onnxruntime: in a fork a session computes with one thread. Setting its providers remakes it from its file or bytes.

That takes as long as making it, so a child does it at the first use of a session, not after the fork.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable
from functools import partial
from typing import Any

from spaces_workers.forking.revivers.objects import Objects
from spaces_workers.forking.revivers.reviver import Revive

#: The methods that use a session's threads, or return an object that does.
_USES = ("run", "run_async", "run_with_iobinding", "run_with_ort_values", "io_binding")

_renewing = threading.Lock()
_lost: list[object] = []  #: the replaced C++ sessions, kept because deleting one waits for its lost threads for ever


def prepare(objects: Objects) -> Revive | None:
    """Sessions with several threads are remade in a child, each at its first use."""
    onnxruntime: Any = sys.modules["onnxruntime"]  # Any: it is not typed here
    sessions = [each for each in objects.of(onnxruntime.InferenceSession) if _has_threads(each)]

    def revive() -> None:
        for each in sessions:
            _renew_at_use(each)

    return revive if sessions else None


def _has_threads(session: Any) -> bool:
    options = session.get_session_options()
    return bool(options.intra_op_num_threads != 1 or options.inter_op_num_threads > 1)


def _renew_at_use(session: Any) -> None:
    for name in _USES:
        if hasattr(session, name):
            setattr(session, name, partial(_first_use, session, name))
    session.set_providers = partial(_set_providers, session)  # whoever calls it makes the session anew


def _first_use(session: Any, name: str, *args: Any, **kwargs: Any) -> Any:
    with _renewing:
        if name in vars(session):  # unless another thread has just remade it
            options = session.get_provider_options()
            providers = session.get_providers()
            session.set_providers(providers, [options.get(each, {}) for each in providers])
    method: Callable[..., Any] = getattr(session, name)
    return method(*args, **kwargs)


def _set_providers(session: Any, *args: Any, **kwargs: Any) -> None:
    _lost.append(session._sess)
    for name in (*_USES, "set_providers"):
        vars(session).pop(name, None)
    session.set_providers(*args, **kwargs)
