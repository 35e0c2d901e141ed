"""A Landlock domain around a process: it can neither trace, inspect nor signal processes outside. landlock(7)

The kernel lets a process read the environment and memory of another of the same user by /proc, unless the reader is
in a domain that the other is not in. Signals are kept inside since Linux 6.12.
"""

from __future__ import annotations

import errno
import os
import struct

from spaces_workers.sandbox import system_calls

#: A right that nobody has without privileges anyway: a domain must withhold something. From <linux/landlock.h>.
_MAKE_BLOCK_DEVICE = 1 << 11

#: To move and link files from one folder to another. A domain that does not allow it forbids it.
_REFER = 1 << 13

#: The first version of the interface that can allow it.
_WITH_REFER = 2

_ABSTRACT_SOCKETS, _SIGNALS = 1, 2

#: The first version of the interface that knows signals.
_WITH_SCOPES = 6


def confine() -> None:
    """Put this process, and all that it starts, in a domain of its own. It must have no_new_privs. Raises OSError."""
    version = system_calls.landlock_version()
    if version < 1:
        raise OSError(errno.ENOSYS, "this kernel has no Landlock")
    scopes = (_ABSTRACT_SOCKETS | _SIGNALS,) if version >= _WITH_SCOPES else ()
    handled = _MAKE_BLOCK_DEVICE | (_REFER if version >= _WITH_REFER else 0)
    rules = struct.pack("QQQ", handled, 0, *scopes) if scopes else struct.pack("Q", handled)
    ruleset = system_calls.landlock_rules(rules)
    try:
        if version >= _WITH_REFER:
            _allow_everywhere(ruleset, _REFER)
        system_calls.landlock_restrict(ruleset)
    finally:
        os.close(ruleset)


def _allow_everywhere(ruleset: int, right: int) -> None:
    root = os.open("/", os.O_PATH | os.O_CLOEXEC)
    try:
        system_calls.landlock_allow(ruleset, struct.pack("=Qi", right, root))
    finally:
        os.close(root)
