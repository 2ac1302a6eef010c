"""Weights in 8 bits: half the size of half precision, for networks that ship beside others.

Of each kernel or matrix, every output channel has its own scale: w = q s, q in -127..127, s = max |w| / 127. The error
is at most half a step, s / 2. Small tensors (biases, norms) stay as they are.
"""

from collections.abc import Mapping

import torch
from torch import Tensor

LEAST = 1024  # values; below it nothing is gained
SCALE = ".scale"


def reduced(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Large float tensors as int8, a scale `<name>.scale` (channels,) beside each; the others in half precision."""
    result = {}
    for name, value in weights.items():
        if not value.is_floating_point() or value.ndim < 2 or value.numel() < LEAST:
            result[name] = value.half() if value.is_floating_point() else value
            continue
        scale = (value.float().flatten(1).abs().amax(1) / 127).clamp(min=1e-7).half()
        steps = value.float() / scale.float().view(-1, *[1] * (value.ndim - 1))
        result[name] = steps.round().clamp(-127, 127).to(torch.int8)
        result[name + SCALE] = scale
    return result


def restored(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Undo `reduced`: float32 of every float; weights that never were reduced only change their precision."""
    result = {}
    for name, value in weights.items():
        scale = weights.get(name + SCALE)
        if scale is not None and value.dtype == torch.int8:
            result[name] = value.float() * scale.float().view(-1, *[1] * (value.ndim - 1))
        elif not (name.endswith(SCALE) and name.removesuffix(SCALE) in weights):
            result[name] = value.float() if value.is_floating_point() else value
    return result
