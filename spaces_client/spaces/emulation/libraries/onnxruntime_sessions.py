"""Sessions of onnxruntime that ask for CUDA compute on the CPU until a child has a GPU, and there on the GPU.

Made with CUDA at import, a session would start the driver in the process that children are forked from.
"""

from __future__ import annotations

import weakref
from collections.abc import Iterable
from typing import Any  # onnxruntime is not typed here

from spaces.emulation.emulated_device import EmulatedDevice
from spaces.emulation.errors import needs_gpu
from spaces.emulation.patching.patches import Patches

ON_GPU = ("CUDAExecutionProvider", "TensorrtExecutionProvider", "NvTensorRTRTXExecutionProvider")
ON_CPU = "CPUExecutionProvider"


def install(patches: Patches, collection: Any, _device: EmulatedDevice) -> None:
    wanted: weakref.WeakKeyDictionary[Any, tuple[Any, Any]] = weakref.WeakKeyDictionary()
    session = collection.InferenceSession
    create, get_providers = session._create_inference_session, session.get_providers

    def create_on_cpu(self: Any, providers: Any, provider_options: Any, *args: Any, **kwargs: Any) -> Any:
        kept = [(each, options) for each, options in _pairs(providers, provider_options) if _name(each) not in ON_GPU]
        if len(kept) == len(providers or ()):
            wanted.pop(self, None)
            return create(self, providers, provider_options, *args, **kwargs)
        wanted[self] = (providers, provider_options)
        options = [each for _, each in kept] if provider_options and kept else None
        return create(self, [each for each, _ in kept] or [ON_CPU], options, *args, **kwargs)

    def providers_as_wanted(self: Any) -> Any:
        if self not in wanted:
            return get_providers(self)
        available = collection.C.get_available_providers()
        names = [_name(each) for each in wanted[self][0]]
        return [name for name in dict.fromkeys([*names, *get_providers(self)]) if name in available]

    def move_to_gpu() -> None:
        for each, (providers, provider_options) in list(wanted.items()):
            each.set_providers(providers, provider_options)

    patches.function(session, "_create_inference_session", create_on_cpu)
    patches.function(collection.Session, "get_providers", providers_as_wanted)
    _no_memory_on_cuda(patches, collection.OrtValue)
    patches.afterwards(move_to_gpu)


def _no_memory_on_cuda(patches: Patches, value: Any) -> None:
    for name in ("ortvalue_from_numpy", "ortvalue_from_shape_and_type"):
        original = getattr(value, name, None)
        if original is not None:
            patches.value(value, name, staticmethod(_refusing_cuda(patches, name, original)))


def _refusing_cuda(patches: Patches, name: str, original: Any) -> Any:
    def make(*args: Any, **kwargs: Any) -> Any:
        named = [each for each in (*args, *kwargs.values()) if isinstance(each, str)]
        if patches.active and any(each.startswith("cuda") for each in named):
            raise needs_gpu(f"onnxruntime's OrtValue.{name}() on cuda")
        return original(*args, **kwargs)

    return make


def _pairs(providers: Any, provider_options: Any) -> Iterable[tuple[Any, Any]]:
    listed = list(providers or ())
    return zip(listed, provider_options or [None] * len(listed), strict=False)


def _name(provider: Any) -> str:
    return str(provider if isinstance(provider, str) else provider[0])
