"""The messages between the processes of one host. Events of a task (`spaces.farm.events`) travel here unchanged.

worker  -> nursery   Prepare, Retire, Connect    nursery -> worker   Connected (with a socket), Unmade, ZygoteLost
nursery -> zygote    Adopt (with a socket)       zygote  -> nursery  ZygoteReady, ZygoteFailed
worker  -> zygote    Fork (with a socket)        zygote  -> worker   Forked, Exited
launcher, nursery -> fork server   Spawn (with a socket), answered by Spawned or Refused, and Exited
worker  -> child     Tie, RunTask, Close, TimeUp, Trim
child   -> worker    ChildReady or Unfit, events, one end, Idle, Trimmed

`sleep_messages.py` has those of children that leave their device.
"""

from __future__ import annotations

from dataclasses import dataclass

from spaces.farm.payloads.payload import Payload
from spaces.farm.queue.registry import ImportCall
from spaces.farm.task import FunctionName
from spaces.farm.wire import message
from spaces_workers.link.sizes import Sizes


@message
@dataclass(frozen=True, slots=True)
class ZygoteSpec:
    """The facts that define a zygote; different specs need different zygotes."""

    space: str
    revision: str
    app_file: str
    python: str
    key: bytes  #: the Space's key; the farm's own never leaves the worker
    forks: bool | None = None  #: whether children are forks of the zygote; None: as it finds when the script has run
    calls: tuple[ImportCall, ...] = ()  #: recorded results of the calls that the script makes before its launch


@message
@dataclass(frozen=True, slots=True)
class Spawn:
    """Fork a process of a Space. The descriptor with this message is a zygote's channel, or a web process's bond."""

    app_file: str
    environment: tuple[tuple[str, str], ...]
    log: str  #: the file that its standard output and error go to
    is_zygote: bool
    sandbox: str = ""  #: the description of what encloses it, as text; empty: nothing
    python: str = ""  #: the interpreter of the Space's own environment; empty: it has none


@message
@dataclass(frozen=True, slots=True)
class Spawned:
    """The process exists."""

    pid: int


@message
@dataclass(frozen=True, slots=True)
class Refused:
    """This Space must be started the plain way. The reason is a part of a sentence."""

    reason: str


@message
@dataclass(frozen=True, slots=True)
class Retire:
    """End the zygotes of a Space, which nobody uses; no answer is sent."""

    space: str
    but: str = ""  #: the revision whose zygote stays; empty: none does


@message
@dataclass(frozen=True, slots=True)
class Prepare:
    """Make a zygote if there is memory for it; no answer is sent."""

    zygote: ZygoteSpec


@message
@dataclass(frozen=True, slots=True)
class Connect:
    """Ask for a socket to this Space's zygote, which is made first if it does not exist."""

    zygote: ZygoteSpec


@message
@dataclass(frozen=True, slots=True)
class Connected:
    """The zygote is ready; its socket comes with this message."""

    pid: int
    weights_bytes: int
    version: int = 0  #: of the formats of the nursery


@message
@dataclass(frozen=True, slots=True)
class Unmade:
    """No zygote could be made: the Space's script failed. The text is the script's traceback."""

    traceback: str


@message
@dataclass(frozen=True, slots=True)
class ZygoteLost:
    """No zygote could be made: something killed its process, which is not the fault of the Space's script."""

    reason: str  #: a clause


@message
@dataclass(frozen=True, slots=True)
class Adopt:
    """Serve one more worker, on the socket that comes with this message."""


@message
@dataclass(frozen=True, slots=True)
class ZygoteReady:
    """The script has run as far as its launch."""

    weights_bytes: int  #: of all tensors that it put on emulated cuda


@message
@dataclass(frozen=True, slots=True)
class ZygoteFailed:
    """The script raised."""

    traceback: str


@message
@dataclass(frozen=True, slots=True)
class StandIn:
    """A CPU stand-in whose memory and bus have limits, like a GPU's."""

    memory_file: str  #: the account of its memory, which all its children share
    memory_bytes: int
    bus_speed: float  #: bytes a second, from pinned memory


@message
@dataclass(frozen=True, slots=True)
class Fork:
    """Make a child for this device; its end of the worker's socket comes with this message."""

    visible_devices: str  #: for CUDA_VISIBLE_DEVICES; empty: a CPU stand-in, where CUDA stays emulated
    memory_fraction: float  #: share of the device's memory that the child may take
    stand_in: StandIn | None = None  #: the stand-in's limits; None: a real device, or a stand-in without limits


@message
@dataclass(frozen=True, slots=True)
class Tie:
    """The first message to a child: die when the other end of the socket that comes with this closes."""


@message
@dataclass(frozen=True, slots=True)
class Forked:
    """A child exists; it sends ChildReady itself."""

    pid: int


@message
@dataclass(frozen=True, slots=True)
class Exited:
    """A child has ended. `status` is that of `os.waitstatus_to_exitcode`: negative for a signal."""

    pid: int
    status: int
    peak_bytes: int  #: the most memory that it held at one time


@message
@dataclass(frozen=True, slots=True)
class MemoryUse(Sizes):
    """The device memory that a child holds."""

    held_bytes: int
    peak_bytes: int | None  #: the most that the last task needed at one time; None if unknown


@message
@dataclass(frozen=True, slots=True)
class ChildReady:
    """The child holds its device and waits for tasks."""

    pid: int
    memory: MemoryUse


@message
@dataclass(frozen=True, slots=True)
class Unfit:
    """The child could not take its device, and ends. The text is the error that it got."""

    reason: str
    out_of_memory: bool


@message
@dataclass(frozen=True, slots=True)
class RunTask:
    """Run a function."""

    task_id: str
    label: str
    function: FunctionName
    arguments: Payload
    far: bool  #: the caller is on another host: files travel as bytes
    traceparent: str = ""  #: the span that the function's own spans belong to; empty: none


@message
@dataclass(frozen=True, slots=True)
class Close:
    """Close the running generator at its next yield, because its reader has stopped."""


@message
@dataclass(frozen=True, slots=True)
class TimeUp:
    """Stop the running function: its time limit has run out. A child that cannot hear this is killed after a grace."""

    hung_for: float = 0.0  #: seconds in which it has only waited for locks, as the worker sees it


@message
@dataclass(frozen=True, slots=True)
class Idle:
    """The child can take the next task, unless a thread of the last task still runs."""

    clean: bool
    memory: MemoryUse


@message
@dataclass(frozen=True, slots=True)
class Trim:
    """Free the device memory that is only cached: another Space needs it."""


@message
@dataclass(frozen=True, slots=True)
class Trimmed:
    """The answer to Trim: the memory that the child still holds."""

    memory: MemoryUse
