"""Streams, events and graphs. The work of an emulated stream is always complete.

Streams and events become real ones in a child with a GPU.
"""

from __future__ import annotations

import itertools
import time
from typing import Any  # torch's constructors take any option

import torch

from spaces.emulation.errors import needs_gpu
from spaces.emulation.patching.becoming_real import Becoming, base_of
from spaces.emulation.patching.constant_functions import nothing, refuses, replace, says
from spaces.emulation.patching.patches import Patches
from spaces.emulation.patching.stand_in_classes import StandIn, replace_class
from spaces.emulation.tensors.marks import CUDA_DEVICE

_ids = itertools.count(1)


class Stream(Becoming, base_of("_CudaStreamBase"), metaclass=StandIn):  # type: ignore[misc]  # torch is untyped here
    """A stream on which work is always complete; also `torch.Stream("cuda")`."""

    # These hide read-only members of the C class, so that they can be set in an instance.
    device = CUDA_DEVICE
    device_index = 0
    device_type = 1
    priority = stream_id = cuda_stream = native_handle = 0

    def __init__(self, device: object = None, priority: int = 0, *, stream_id: int | None = None, **_: object) -> None:
        self.priority = priority
        self.stream_id = next(_ids) if stream_id is None else stream_id
        self.cuda_stream = self.native_handle = self.stream_id

    def real(self) -> Any:
        return torch.cuda.Stream(priority=self.priority) if self.stream_id else torch.cuda.default_stream()

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

    def __exit__(self, *error: object) -> None:
        pass

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Stream) and self.stream_id == other.stream_id

    def __hash__(self) -> int:
        return hash((Stream, self.stream_id))

    def __repr__(self) -> str:
        return f"<torch.cuda.Stream device={self.device} cuda_stream={self.cuda_stream:#x}>"


class ExternalStream(Stream):
    """A stream made elsewhere, known by its pointer."""

    def __init__(self, stream_ptr: int, _device: object = None, **_: object) -> None:
        super().__init__(stream_id=stream_ptr)

    def real(self) -> Any:
        return torch.cuda.ExternalStream(self.stream_id)


class Event(Becoming, base_of("_CudaEventBase"), metaclass=StandIn):  # type: ignore[misc]  # torch is untyped here
    """A time on the host's clock; `elapsed_time` is in milliseconds, as in torch."""

    # As in `Stream`.
    device = CUDA_DEVICE
    cuda_event = event_id = 0

    def __init__(self, *args: Any, device: object = None, **options: Any) -> None:
        self._arguments = args, options
        self._recorded_at = time.perf_counter()

    def real(self) -> Any:
        args, options = self._arguments
        return torch.cuda.Event(*args, **options)

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

    def __exit__(self, *error: object) -> None:
        pass


class CUDAGraph(metaclass=StandIn):
    """Refuses to record kernels, which cannot be emulated."""

    def __init__(self, *_args: object, **_options: object) -> None:
        raise needs_gpu("torch.cuda.CUDAGraph()")


class graph(metaclass=StandIn):  # noqa: N801 - torch's own spelling
    """`with torch.cuda.graph(g):`"""

    def __init__(self, *_args: object, **_options: object) -> None:
        raise needs_gpu("torch.cuda.graph()")


DEFAULT_STREAM = Stream(stream_id=0)


def install(patches: Patches) -> None:
    cuda = torch.cuda
    for timing in (Stream, ExternalStream, Event):
        replace_class(patches, [cuda, cuda.streams], timing)
    for recording in (CUDAGraph, graph):
        replace_class(patches, [cuda, cuda.graphs], recording)
    for generic in (Stream, Event):
        replace_class(patches, [torch], _of_any_device(generic))
    graphs = {
        "make_graphed_callables": refuses("torch.cuda.make_graphed_callables()"),
        "is_current_stream_capturing": says(False),
        "graph_pool_handle": says((0, 0)),
    }
    replace(patches, graphs, cuda, cuda.graphs)
    streams = {
        "current_stream": says(DEFAULT_STREAM),
        "default_stream": says(DEFAULT_STREAM),
        "set_stream": nothing,
        "stream": StreamContext,
        "get_stream_from_external": ExternalStream,
    }
    replace(patches, streams, cuda)
    # Torch checks the type of the stream before it calls any mode.
    replace(patches, {"record_stream": nothing}, torch.Tensor)


def _of_any_device(emulated: StandIn) -> StandIn:
    """`torch.Stream` and `torch.Event` take a device: emulated for cuda, real for every other."""
    name = emulated.__name__
    real = getattr(torch, name)

    def new(_class: type, device: Any = None, *args: Any, **options: Any) -> Any:
        kind = "cuda" if device is None else torch.device(device).type
        if kind != "cuda":
            return real(device, *args, **options)
        return emulated(*args, device=device, **options)

    return StandIn(name, (emulated,), {"__new__": new, "__module__": "torch"})
