"""Libraries that read weights onto cuda or look for a GPU without torch, and the module here that answers each."""

from __future__ import annotations

#: Module of the library -> module of this folder, whose `install(patches, module, device)` is called after the import.
WATCHED = {
    "safetensors.torch": "safetensors_torch",
    "transformers.core_model_loading": "transformers_loading",
    "bitsandbytes.cuda_specs": "bitsandbytes_native",
    "bitsandbytes.functional": "bitsandbytes_paged",
    "kernels.backends": "kernels_backend",
    "flash_attn.flash_attn_interface": "flash_attn_kernels",
    "xformers.ops": "xformers_attention",
    "xformers.ops.fmha": "xformers_attention",
    "triton.runtime.driver": "triton_driver",
    "numba.cuda.cudadrv.driver": "numba_driver",
    "numba.cuda": "numba_available",
    "cupy.cuda": "cupy_runtime",
    "cupy": "cupy_dlpack",
    "pynvml": "pynvml_device",
    "onnxruntime.capi.onnxruntime_inference_collection": "onnxruntime_sessions",
}
