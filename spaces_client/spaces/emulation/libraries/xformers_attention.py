"""xformers' attention by torch's own: diffusers tries it when a pipeline is told to use it, at import."""

from __future__ import annotations

from typing import Any  # xformers and torch are not typed here

import torch

from spaces.emulation.emulated_device import EmulatedDevice
from spaces.emulation.patching.constant_functions import replace
from spaces.emulation.patching.patches import Patches


def install(patches: Patches, module: Any, _device: EmulatedDevice) -> None:
    replace(patches, {"memory_efficient_attention": _attention}, module)


def _attention(
    query: Any,
    key: Any,
    value: Any,
    attn_bias: Any = None,
    p: float = 0.0,
    scale: float | None = None,
    *,
    op: object = None,  # noqa: ARG001 - which of its kernels to take
    output_dtype: Any = None,
) -> Any:
    """Of (batch, length, heads, width), or without heads, or with groups of heads before them."""
    by_head = [_by_head(each) for each in (query, key, value)]
    if not (attn_bias is None or isinstance(attn_bias, torch.Tensor)):
        shape = (*by_head[0].shape[:3], by_head[1].shape[2])
        attn_bias = attn_bias.materialize(shape, dtype=query.dtype, device=query.device)
    result = torch.nn.functional.scaled_dot_product_attention(*by_head, attn_mask=attn_bias, dropout_p=p, scale=scale)
    return result.transpose(1, 2).reshape(*query.shape[:-1], value.shape[-1]).to(output_dtype or query.dtype)


def _by_head(operand: Any) -> Any:
    batch, length, *heads, width = operand.shape
    return operand.reshape(batch, length, -1 if heads else 1, width).transpose(1, 2)
