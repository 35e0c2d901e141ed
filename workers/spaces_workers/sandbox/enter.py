"""The calls by which a process encloses itself, for ever: a fresh fork, or a program before it execs another.

The process must have one thread.
"""

from __future__ import annotations

import os

from spaces_workers.sandbox import system_call_filter, view
from spaces_workers.sandbox import system_calls as calls
from spaces_workers.sandbox.description import Sandbox


def enter(sandbox: Sandbox) -> None:
    """Enclose this process. Raises OSError, and leaves it unusable, if the host refuses."""
    for group in sandbox.groups:
        with open(group, "w") as file:
            file.write(str(os.getpid()))
    view.build(sandbox)
    os.setgroups([])
    os.setresgid(sandbox.uid, sandbox.uid, sandbox.uid)
    calls.forbid_capabilities()
    os.setresuid(sandbox.uid, sandbox.uid, sandbox.uid)
    calls.drop_capabilities()
    calls.gain_no_privileges()
    calls.be_readable()
    os.chdir(sandbox.folder)
    system_call_filter.install()
