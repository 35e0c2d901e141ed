"""Streams, events and graphs. Everything has already happened by the time an emulated stream is asked."""

from __future__ import annotations

import itertools
import time
from types import TracebackType
from typing import Any, NoReturn  # torch's constructors take any option

import torch

from spaces.emulation.classes import StandIn, replace_class
from spaces.emulation.errors import needs_gpu
from spaces.emulation.marks import CUDA_DEVICE
from spaces.emulation.patches import Patches

_ids = itertools.count(1)


class Stream(metaclass=StandIn):
    """A stream on which work is always complete."""

    def __init__(self, device: object = None, priority: int = 0, **options: object) -> None:
        self.device = CUDA_DEVICE
        self.device_index = 0
        self.device_type = 1
        self.priority = priority
        self.stream_id = int(str(options.get("stream_id", next(_ids))))
        self.cuda_stream = self.stream_id
        self.native_handle = self.stream_id

    def query(self) -> bool:
        return True

    def synchronize(self) -> None:
        pass

    def wait_event(self, event: object) -> None:
        pass

    def wait_stream(self, stream: object) -> None:
        pass

    def record_event(self, event: Event | None = None) -> Event:
        event = Event() if event is None else event
        event.record(self)
        return event

    def is_capturing(self) -> bool:
        return False

    def __enter__(self) -> Stream:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        pass

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Stream) and self.stream_id == getattr(other, "stream_id", None)

    def __hash__(self) -> int:
        return hash((Stream, self.stream_id))

    def __repr__(self) -> str:
        return f"<torch.cuda.Stream device={self.device} cuda_stream={self.cuda_stream:#x}>"


class ExternalStream(Stream):
    """A stream made elsewhere, known by its pointer."""

    def __init__(self, stream_ptr: int, device: object = None, **options: object) -> None:
        super().__init__(device, stream_id=stream_ptr)


class Event(metaclass=StandIn):
    """A moment, taken from the host's clock; `elapsed_time` is in milliseconds as torch has it."""

    def __init__(self, *args: object, **options: object) -> None:
        self.device = CUDA_DEVICE
        self.cuda_event = 0
        self._recorded_at = time.perf_counter()

    def record(self, stream: object = None) -> None:
        self._recorded_at = time.perf_counter()

    def elapsed_time(self, end_event: Event) -> float:
        return (end_event._recorded_at - self._recorded_at) * 1000

    def query(self) -> bool:
        return True

    def synchronize(self) -> None:
        pass

    def wait(self, stream: object = None) -> None:
        pass

    def __repr__(self) -> str:
        return "<torch.cuda.Event emulated>"


class StreamContext:
    """`with torch.cuda.stream(s):`"""

    def __init__(self, stream: object) -> None:
        self.stream = stream

    def __enter__(self) -> None:
        pass

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        pass


class CUDAGraph(metaclass=StandIn):
    """Recording kernels is the one thing that cannot be pretended."""

    def __init__(self, *args: object, **options: object) -> None:
        raise needs_gpu("torch.cuda.CUDAGraph()")


class graph(metaclass=StandIn):  # noqa: N801 - torch's own spelling
    """`with torch.cuda.graph(g):`"""

    def __init__(self, *args: object, **options: object) -> None:
        raise needs_gpu("torch.cuda.graph()")


def _make_graphed_callables(*args: object, **options: object) -> NoReturn:
    raise needs_gpu("torch.cuda.make_graphed_callables()")


DEFAULT_STREAM = Stream(stream_id=0)


def install(patches: Patches) -> None:
    cuda = torch.cuda
    replace_class(patches, [cuda, cuda.streams], Stream)
    replace_class(patches, [cuda, cuda.streams], ExternalStream)
    replace_class(patches, [cuda, cuda.streams], Event)
    replace_class(patches, [cuda, cuda.graphs], CUDAGraph)
    replace_class(patches, [cuda, cuda.graphs], graph)
    replace_class(patches, [torch], _any_device(Stream, "Stream"))
    replace_class(patches, [torch], _any_device(Event, "Event"))
    for owner in (cuda, cuda.graphs):
        patches.function(owner, "make_graphed_callables", _make_graphed_callables)
        patches.function(owner, "is_current_stream_capturing", lambda: False)
        patches.function(owner, "graph_pool_handle", lambda: (0, 0))
    for name in ("current_stream", "default_stream"):
        patches.function(cuda, name, lambda device=None: DEFAULT_STREAM)
    patches.function(cuda, "set_stream", lambda stream: None)
    patches.function(cuda, "stream", StreamContext)
    # Torch looks at the type of the stream before it asks any mode.
    patches.function(torch.Tensor, "record_stream", lambda tensor, stream: None)
    patches.function(cuda, "get_stream_from_external", lambda data_ptr, device=None: ExternalStream(data_ptr))


def _any_device(emulated: StandIn, name: str) -> StandIn:
    """`torch.Stream` and `torch.Event`, which take the device as an argument, for every device but cuda the real."""
    real = getattr(torch, name)

    def new(cls: type, device: Any = None, *args: Any, **options: Any) -> Any:
        kind = "cuda" if device is None or isinstance(device, int) else torch.device(device).type
        return emulated(device, *args, **options) if kind == "cuda" else real(device, *args, **options)

    return StandIn(name, (emulated,), {"__new__": new, "__module__": "torch"})
