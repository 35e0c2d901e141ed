"""Forbids a process, and all that it starts, the system calls that only serve to get out: seccomp(2).

No program needs them without privileges, but the kernel's most dangerous errors were in them: user namespaces, mounts,
BPF. A Space makes no program that runs as its owner either: its folder may belong to root on the host.

The numbers are from <asm/unistd.h>. On a machine that is not in the tables nothing is forbidden.
"""

from __future__ import annotations

import errno
import platform
import struct
from collections.abc import Iterator
from dataclasses import dataclass

from spaces_workers.sandbox import system_calls

#: setuid; the kinds of open(2) that make a file; a new user namespace.
_AS_OWNER, _MAKES, _NEW_USERS = 0o4000, 0o100 | 0o20000000, system_calls.CLONE_NEWUSER

#: Numbers that all architectures share, for which programs have older calls: they go on with these.
_UNKNOWN = {"clone3": 435, "io_uring_setup": 425, "openat2": 437}

_FORBIDDEN = {
    "open_tree": 428,
    "move_mount": 429,
    "fsopen": 430,
    "fsconfig": 431,
    "fsmount": 432,
    "fspick": 433,
    "mount_setattr": 442,
}

#: Conditions of a call: the bits that must be set in an argument, for some of its arguments.
Conditions = tuple[tuple[int, int], ...]

_FCHMODAT2 = (452, ((2, _AS_OWNER),))


@dataclass(frozen=True, slots=True)
class Machine:
    """The calls of one architecture."""

    audit: int  #: its number in <linux/audit.h>
    forbidden: tuple[int, ...]
    conditional: tuple[tuple[int, Conditions], ...]
    first_foreign: int = 0  #: calls of another ABI begin here; 0: there are none


#: mount, umount2, pivot_root, setns, bpf, add_key, request_key, keyctl, perf_event_open, userfaultfd; then unshare,
#: clone, chmod, fchmod, fchmodat, open, openat, creat, mknod, mknodat.
_MACHINES = {
    "x86_64": Machine(
        0xC000003E,
        (165, 166, 155, 308, 321, 248, 249, 250, 298, 323),
        (
            *((272, ((0, _NEW_USERS),)), (56, ((0, _NEW_USERS),))),
            *((90, ((1, _AS_OWNER),)), (91, ((1, _AS_OWNER),)), (268, ((2, _AS_OWNER),)), _FCHMODAT2),
            *((2, ((1, _MAKES), (2, _AS_OWNER))), (257, ((2, _MAKES), (3, _AS_OWNER)))),
            *((85, ((1, _AS_OWNER),)), (133, ((1, _AS_OWNER),)), (259, ((2, _AS_OWNER),))),
        ),
        first_foreign=0x40000000,
    ),
    "aarch64": Machine(
        0xC00000B7,
        (40, 39, 41, 268, 280, 217, 218, 219, 241, 282),
        (
            *((97, ((0, _NEW_USERS),)), (220, ((0, _NEW_USERS),))),
            *((52, ((1, _AS_OWNER),)), (53, ((2, _AS_OWNER),)), _FCHMODAT2),
            *((56, ((2, _MAKES), (3, _AS_OWNER))), (33, ((2, _AS_OWNER),))),
        ),
    ),
}

# Instructions of classic BPF, and answers of the filter: <linux/bpf_common.h>, <linux/seccomp.h>.
_LOAD, _JUMP_IF_EQUAL, _JUMP_IF_AT_LEAST, _JUMP_IF_ANY, _RETURN = 0x20, 0x15, 0x35, 0x45, 0x06
_ALLOW, _ERROR = 0x7FFF0000, 0x00050000
_NUMBER, _ARCHITECTURE, _FIRST_ARGUMENT = 0, 4, 16


def install() -> None:
    """Install the filter for this process, for good. It must have no_new_privs."""
    if (machine := _MACHINES.get(platform.machine())) is not None:
        system_calls.filter_calls(b"".join(_program(machine)))


def _program(machine: Machine) -> Iterator[bytes]:
    yield _instruction(_LOAD, _ARCHITECTURE)
    yield from _unless(_JUMP_IF_EQUAL, machine.audit, errno.ENOSYS)
    yield _instruction(_LOAD, _NUMBER)
    if machine.first_foreign:
        yield from _if(_JUMP_IF_AT_LEAST, machine.first_foreign, errno.ENOSYS)
    for number in _UNKNOWN.values():
        yield from _if(_JUMP_IF_EQUAL, number, errno.ENOSYS)
    for number in (*_FORBIDDEN.values(), *machine.forbidden):
        yield from _if(_JUMP_IF_EQUAL, number, errno.EPERM)
    for number, conditions in machine.conditional:
        yield from _under(number, conditions)
    yield _instruction(_RETURN, _ALLOW)


def _if(jump: int, value: int, error: int) -> Iterator[bytes]:
    yield _instruction(jump, value, 0, 1)
    yield _instruction(_RETURN, _ERROR | error)


def _unless(jump: int, value: int, error: int) -> Iterator[bytes]:
    yield _instruction(jump, value, 1, 0)
    yield _instruction(_RETURN, _ERROR | error)


def _under(number: int, conditions: Conditions) -> Iterator[bytes]:
    """Refuse a call whose conditions all hold."""
    length = 3 * len(conditions) + 1
    yield _instruction(_JUMP_IF_EQUAL, number, 0, length)
    for argument, bits in conditions:
        yield _instruction(_LOAD, _FIRST_ARGUMENT + 8 * argument)  # the low half, on little-endian machines
        yield _instruction(_JUMP_IF_ANY, bits, 1, 0)
        yield _instruction(_RETURN, _ALLOW)
    yield _instruction(_RETURN, _ERROR | errno.EPERM)


def _instruction(code: int, value: int, if_true: int = 0, if_false: int = 0) -> bytes:
    return struct.pack("HBBI", code, if_true, if_false, value)
