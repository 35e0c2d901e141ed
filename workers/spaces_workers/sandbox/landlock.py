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

_ABSTRACT_SOCKETS, _SIGNALS = 1, 2

#: The first version of the interface that knows signals.
_WITH_SCOPES = 6


def confine() -> None:
    """Put this process, and all that it starts, in a domain of its own. It must have no_new_privs. Raises OSError."""
    version = system_calls.landlock_version()
    if version < 1:
        raise OSError(errno.ENOSYS, "this kernel has no Landlock")
    scopes = (_ABSTRACT_SOCKETS | _SIGNALS,) if version >= _WITH_SCOPES else ()
    rules = struct.pack("QQQ", _MAKE_BLOCK_DEVICE, 0, *scopes) if scopes else struct.pack("Q", _MAKE_BLOCK_DEVICE)
    ruleset = system_calls.landlock_rules(rules)
    try:
        system_calls.landlock_restrict(ruleset)
    finally:
        os.close(ruleset)
