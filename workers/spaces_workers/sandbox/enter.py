"""The calls by which a process encloses itself, for ever: a fresh fork, or a program before it execs another.

The process must have one thread.
"""

from __future__ import annotations

import os
from pathlib import Path

from spaces_workers.sandbox import landlock, system_call_filter, view
from spaces_workers.sandbox import system_calls as calls
from spaces_workers.sandbox.description import Level, Sandbox


def enter(sandbox: Sandbox) -> None:
    """Enclose this process. Raises OSError, and leaves it unusable, if the host refuses."""
    for group in sandbox.groups:
        Path(group).write_text(str(os.getpid()))
    match sandbox.level:
        case Level.USERS:
            view.build(sandbox)
            os.setgroups([])
            os.setresgid(sandbox.uid, sandbox.uid, sandbox.uid)
            calls.forbid_capabilities()
            os.setresuid(sandbox.uid, sandbox.uid, sandbox.uid)
            _give_up_all()
        case Level.NAMESPACES:
            _enter_user_namespace()
            view.build(sandbox)
            calls.forbid_capabilities()
            _give_up_all()
            landlock.confine()
        case Level.NONE:
            return
    system_call_filter.install()
    os.chdir(sandbox.folder)


def _give_up_all() -> None:
    calls.drop_capabilities()
    calls.gain_no_privileges()
    calls.be_readable()


def _enter_user_namespace() -> None:
    """Here this process may make other namespaces. It keeps its user."""
    uid, gid = os.getuid(), os.getgid()
    calls.unshare(calls.CLONE_NEWUSER)
    Path("/proc/self/setgroups").write_text("deny")
    Path("/proc/self/uid_map").write_text(f"{uid} {uid} 1")
    Path("/proc/self/gid_map").write_text(f"{gid} {gid} 1")
