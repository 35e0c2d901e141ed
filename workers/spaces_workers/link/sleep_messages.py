"""The messages between a worker and a child that leaves its device and comes back.

worker -> child   Save, Sleep, Wake; Halt while it does one of them
child -> worker   Saved, Asleep, Awake, or Unable

worker -> child   ShowCopy, ShareCopy
child -> worker   CopyShown, CopyShared, or Unable
"""

from __future__ import annotations

from dataclasses import dataclass

from spaces.farm.wire import message
from spaces_workers.link.messages import MemoryUse
from spaces_workers.link.sizes import Sizes


@message
@dataclass(frozen=True, slots=True)
class HostCopy(Sizes):
    """A part of a child's host memory that it could share with other children."""

    name: bytes  #: the same for the same bytes, or so the child says
    size: int
    is_shared: bool  #: it lies in memory that the worker gave it


@message
@dataclass(frozen=True, slots=True)
class Save:
    """Copy all tensors to host memory, and keep them on the device: then a sleep takes no time until the next task."""

    pinned: bool


@message
@dataclass(frozen=True, slots=True)
class Saved(Sizes):
    """The answer to Save."""

    host_bytes: int
    pinned_bytes: int
    copies: tuple[HostCopy, ...] = ()


@message
@dataclass(frozen=True, slots=True)
class Sleep:
    """Leave the device: move all tensors to host memory, which is pinned if the driver agrees."""

    pinned: bool


@message
@dataclass(frozen=True, slots=True)
class Asleep(Sizes):
    """The answer to Sleep: the child holds little of its device, and runs no task until it is told to wake."""

    memory: MemoryUse
    left_bytes: int  #: bytes of tensors that have left the device
    host_bytes: int  #: host memory that holds copies of them
    pinned_bytes: int  #: the part of it that is pinned
    copies: tuple[HostCopy, ...] = ()


@message
@dataclass(frozen=True, slots=True)
class Wake:
    """Move all tensors back to the device."""

    keep: bool  #: keep the copies in host memory, for the next sleep


@message
@dataclass(frozen=True, slots=True)
class Awake(Sizes):
    """The answer to Wake: every tensor is what it was."""

    memory: MemoryUse
    host_bytes: int


@message
@dataclass(frozen=True, slots=True)
class Halt:
    """Stop saving, going to sleep, or waking, and be as before. A child that has done so already ignores this."""


@message
@dataclass(frozen=True, slots=True)
class Unable(Sizes):
    """The other answer to each of these: the child is still as it was, but may have copied something to the host.

    The text is the error.
    """

    reason: str
    out_of_memory: bool
    halted: bool = False
    host_bytes: int = 0
    pinned_bytes: int = 0
    copies: tuple[HostCopy, ...] = ()


@message
@dataclass(frozen=True, slots=True)
class ShowCopy:
    """Show the bytes of a part of the host memory: the answer brings a sealed copy."""

    name: bytes


@message
@dataclass(frozen=True, slots=True)
class CopyShown:
    """The answer to ShowCopy; a descriptor comes with it."""


@message
@dataclass(frozen=True, slots=True)
class ShareCopy:
    """Use the sealed memory that comes with this message for a part of the host memory, instead of its own."""

    name: bytes


@message
@dataclass(frozen=True, slots=True)
class CopyShared:
    """The answer to ShareCopy."""
