"""The system calls of Linux that enclose a process and that Python has no function for. Each raises OSError.

Numbers and flags are from <linux/mount.h>, <linux/sched.h>, <linux/prctl.h> and <asm/unistd.h>. The calls that are
newer than 2019 have the same number on every architecture.
"""

from __future__ import annotations

import ctypes
import os
import platform
import struct
from pathlib import Path

CLONE_NEWNS, CLONE_NEWIPC, CLONE_NEWUSER = 0x00020000, 0x08000000, 0x10000000

MS_RDONLY, MS_NOSUID, MS_NODEV, MS_NOEXEC = 1, 2, 4, 8
MS_REC, MS_PRIVATE = 1 << 14, 1 << 18

MOUNT_ATTR_RDONLY, MOUNT_ATTR_NOSUID, MOUNT_ATTR_NODEV, MOUNT_ATTR_IDMAP = 1, 2, 4, 1 << 20

_OPEN_TREE, _MOVE_MOUNT, _MOUNT_SETATTR = 428, 429, 442
_LANDLOCK_CREATE_RULESET, _LANDLOCK_ADD_RULE, _LANDLOCK_RESTRICT_SELF, _LANDLOCK_VERSION = 444, 445, 446, 1
_LANDLOCK_PATH_BENEATH = 1
_PIVOT_ROOT = {"x86_64": 155, "aarch64": 41}
_AT_FDCWD, _AT_EMPTY_PATH, _AT_RECURSIVE = -100, 0x1000, 0x8000
_OPEN_TREE_CLONE, _MOVE_MOUNT_EMPTY_PATHS, _MNT_DETACH = 1, 0x44, 2
_O_CLOEXEC = os.O_CLOEXEC

_PR_SET_DUMPABLE, _PR_CAPBSET_DROP, _PR_SET_NO_NEW_PRIVS, _PR_CAP_AMBIENT = 4, 24, 38, 47
_PR_CAP_AMBIENT_CLEAR_ALL = 4
_PR_SET_SECCOMP, _SECCOMP_MODE_FILTER = 22, 2
_CAPABILITY_VERSION_3 = 0x20080522

_libc = ctypes.CDLL(None, use_errno=True)


def unshare(flags: int) -> None:
    """Leave the namespaces that are named by `flags` for new ones."""
    _check(_libc.unshare(flags), f"unshare({flags:#x})")


def mount(source: str, target: str, kind: str = "", flags: int = 0, options: str = "") -> None:
    """Mount a file system of this kind, or change one."""
    data = options.encode() if options else None
    result = _libc.mount(os.fsencode(source), os.fsencode(target), kind.encode() or None, ctypes.c_ulong(flags), data)
    _check(result, f"mounting {kind or source} at {target}")


def bind(source: str, target: int, attributes: int, mapping: int | None = None, *, with_submounts: bool = True) -> None:
    """Show a file or a folder also at `target`, a descriptor of another one, with these attributes.

    `mapping` is a user namespace by which the owners of its files are shown.
    """
    recursive = _AT_RECURSIVE if with_submounts else 0
    flags = _OPEN_TREE_CLONE | _O_CLOEXEC | recursive
    tree = _call(f"opening {source}", _OPEN_TREE, _AT_FDCWD, os.fsencode(source), flags)
    try:
        mapped = MOUNT_ATTR_IDMAP if mapping is not None else 0
        wanted = struct.pack("QQQQ", attributes | mapped, 0, 0, mapping or 0)
        at = _AT_EMPTY_PATH | recursive
        _call(f"changing the mount of {source}", _MOUNT_SETATTR, tree, b"", at, wanted, ctypes.c_size_t(len(wanted)))
        _call(f"mounting {source}", _MOVE_MOUNT, tree, b"", target, b"", _MOVE_MOUNT_EMPTY_PATHS)
    finally:
        os.close(tree)


def become_root_folder(folder: str) -> None:
    """Make the mount at `folder` the root of this mount namespace; what was there before is gone."""
    os.chdir(folder)
    _call(f"making {folder} the root", _PIVOT_ROOT[platform.machine()], b".", b".")
    _check(_libc.umount2(b".", _MNT_DETACH), "unmounting the old root")
    os.chdir("/")


def forbid_capabilities() -> None:
    """No program that this process starts can get a capability. Needs CAP_SETPCAP."""
    for number in range(int(Path("/proc/sys/kernel/cap_last_cap").read_text()) + 1):
        _check(_libc.prctl(_PR_CAPBSET_DROP, number, 0, 0, 0), f"forbidding capability {number}")


def drop_capabilities() -> None:
    """Give up all capabilities that this process has."""
    _libc.prctl(_PR_CAP_AMBIENT, _PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0)
    header, nothing = struct.pack("Ii", _CAPABILITY_VERSION_3, 0), bytes(24)
    _check(_libc.capset(header, nothing), "dropping capabilities")


def gain_no_privileges() -> None:
    """From now on no program that this process starts gets more rights than it has."""
    _check(_libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), "no_new_privs")


def filter_calls(program: bytes) -> None:
    """Have the kernel ask this program of classic BPF about every system call of this process: seccomp(2)."""
    code = ctypes.create_string_buffer(program, len(program))
    filter_ = struct.pack("HxxxxxxP", len(program) // 8, ctypes.addressof(code))
    _check(_libc.prctl(_PR_SET_SECCOMP, _SECCOMP_MODE_FILTER, filter_, 0, 0), "filtering system calls")


def landlock_version() -> int:
    """The version of Landlock's interface; 0 where there is none."""
    return max(0, int(_libc.syscall(_LANDLOCK_CREATE_RULESET, None, ctypes.c_size_t(0), _LANDLOCK_VERSION)))


def landlock_rules(rules: bytes) -> int:
    """A descriptor of a set of rules."""
    return _call("making Landlock's rules", _LANDLOCK_CREATE_RULESET, rules, ctypes.c_size_t(len(rules)), 0)


def landlock_allow(rules: int, rule: bytes) -> None:
    """Add a rule that allows something beneath a path."""
    _call("adding to Landlock's rules", _LANDLOCK_ADD_RULE, rules, _LANDLOCK_PATH_BENEATH, rule, 0)


def landlock_restrict(rules: int) -> None:
    """Put this process under the rules."""
    _call("entering a Landlock domain", _LANDLOCK_RESTRICT_SELF, rules, 0)


def be_readable() -> None:
    """Let this process read its own /proc again, which the kernel forbids when the user changes."""
    _check(_libc.prctl(_PR_SET_DUMPABLE, 1, 0, 0, 0), "dumpable")


def _call(doing: str, *arguments: object) -> int:
    return _check(_libc.syscall(*arguments), doing)


def _check(result: int, doing: str) -> int:
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{doing}: {os.strerror(number)}")
    return result
