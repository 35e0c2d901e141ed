"""The first moments of a fork of the fork server: it becomes a process as if it had been started by itself.

The list of what a fork inherits, and of what is undone, is here.
"""

from __future__ import annotations

import atexit
import logging
import multiprocessing
import multiprocessing.util
import os
import random
import signal
import sys
import tempfile
import threading
import weakref
from collections.abc import Callable, Mapping, Set
from pathlib import Path
from typing import Any, NoReturn

from spaces import config, launch
from spaces_workers import forkserver
from spaces_workers.forkserver import own_environment
from spaces_workers.forkserver.process_name import show_environment
from spaces_workers.link.messages import Spawn
from spaces_workers.link.orphans import adopt_orphans
from spaces_workers.sandbox.description import Sandbox
from spaces_workers.sandbox.enter import enter


def begin(spawn: Spawn, keep: Set[int]) -> None:
    """Become the process that `spawn` describes. Of the descriptors, `keep` and the three standard ones stay open."""
    os.setsid()
    adopt_orphans()  # what a page leaves behind then comes to the fork server when the page ends, not before
    _reset_signals()
    _close_descriptors(keep)
    _open_standard_streams(spawn.log)
    if spawn.sandbox:
        enter(Sandbox.from_text(spawn.sandbox))
    _take_environment(dict(spawn.environment))
    if spawn.python:
        own_environment.enter(Path(spawn.python))
    sys.argv = [spawn.app_file]
    _reseed()
    _forget_exit_handlers()
    _forget_logging()
    config.reread()
    launch.prepare()


def live(work: Callable[[], object]) -> NoReturn:
    """Run `work` as a program: report an error as Python does, run its exit handlers, and end.

    The interpreter is not finalized. That would first copy most of the fork server's memory.
    """
    status = 1
    try:
        work()
        status = 0
    except SystemExit as leaving:
        status = _status_of(leaving.code)
    except BaseException:
        sys.excepthook(*sys.exc_info())
    finally:
        try:
            threading._shutdown()  # type: ignore[attr-defined] # waits for threads that are no daemons, as at any exit
            atexit._run_exitfuncs()
            sys.stdout.flush()
            sys.stderr.flush()
        finally:
            os._exit(status)


def _status_of(code: object) -> int:
    if code is None:
        return 0
    if isinstance(code, int):
        return code & 0xFF
    print(code, file=sys.stderr)
    return 1


def _reset_signals() -> None:
    signal.set_wakeup_fd(-1)
    for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGCHLD):
        signal.signal(number, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.default_int_handler)


def _close_descriptors(keep: Set[int]) -> None:
    for name in os.listdir("/proc/self/fd"):
        if (number := int(name)) > 2 and number not in keep:
            try:
                os.close(number)
            except OSError:
                pass  # the descriptor of the listing itself


def _open_standard_streams(log: str) -> None:
    """The objects `sys.stdout` and `sys.stderr` stay, because loggers of libraries hold them."""
    nothing = os.open(os.devnull, os.O_RDONLY)
    output = os.open(log, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    os.dup2(nothing, 0)
    os.dup2(output, 1)
    os.dup2(output, 2)
    os.close(nothing)
    os.close(output)
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(line_buffering=True, write_through=True)  # type: ignore[union-attr] # TextIOWrapper


def _take_environment(environment: Mapping[str, str]) -> None:
    os.environ.clear()
    show_environment(environment)
    os.environ.update(environment)


def _reseed() -> None:
    """Forks would otherwise share random numbers, temporary folders and the key of their connections."""
    random.seed()
    if numpy := sys.modules.get("numpy"):
        numpy.random.seed()
    if torch := sys.modules.get("torch"):
        torch.seed()
    tempfile.tempdir = None
    tempfile._name_sequence = None  # type: ignore[attr-defined]
    process: Any = multiprocessing.current_process()  # Any: its key has no setter in the stubs
    process.authkey = os.urandom(32)


def _forget_logging() -> None:
    """The fork server's own. Loggers of libraries keep their handlers.

    No level is set: that would clear something in every logger, and copy the memory of all.
    """
    logging.getLogger(forkserver.__name__).handlers.clear()


def _forget_exit_handlers() -> None:
    """Those of the fork server's libraries are its own; the standard library's serve every process."""
    atexit._clear()
    atexit.register(weakref.finalize._exitfunc)  # type: ignore[attr-defined]
    atexit.register(multiprocessing.util._exit_function)  # type: ignore[attr-defined]
    atexit.register(logging.shutdown)
