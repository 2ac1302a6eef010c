"""Healthy statistics in small files: brain cells only, and contexts that one model lends another.

The context of a contrast is what healthy codes look like at every level; it depends on the training scans and the codec
alone, so that models trained on the same scans need it once. Where its deviation is 0, no training scan has brain:
statistics there say nothing and are left out.
"""

from collections.abc import Mapping

import torch
from torch import Tensor

from neurogen.errors import ModelUnavailable
from neurogen.models import Model, ModelStore


def context_tensors(model: Model, store: ModelStore) -> dict[str, Tensor]:
    """The contexts of a model: its own, or those of the model that its manifest refers to by id and SHA-256.

    Raises ModelUnavailable when that model is missing or holds another context by now.
    """
    lender = model.manifest.get("context")
    if lender is None:
        return model.tensors("context")
    other = store.get(lender["model"])
    found = other.manifest["files"].get("context.safetensors", {}).get("sha256")
    if found != lender["sha256"]:
        raise ModelUnavailable(
            f"The model {model.id!r} was trained with the healthy context of {other.id!r}, which has changed since. "
            "Install the two models that belong together."
        )
    return other.tensors("context")


def brain_cells(context: Tensor) -> Tensor:
    """(K, h, w) bool: cells that lie in the brain of any training scan, from a context (K, 2 C, h, w)."""
    return (context[:, context.shape[1] // 2 :] > 0).any(1)


def packed(values: Tensor, context: Tensor) -> Tensor:
    """(K, h, w) statistics on the cells of a context -> (M,): the brain cells alone."""
    return values[brain_cells(context)]


def packed_statistics(statistics: Mapping[str, Tensor], contexts: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Statistics named `<contrast>_<what>`, those of volumes packed; the slices of a single level stay as they are."""
    result = {}
    for name, value in statistics.items():
        context = contexts[name.split("_")[0]].half()  # as it is stored
        fits = value.shape == (len(context), *context.shape[2:]) and len(context) > 1
        result[name] = packed(value, context) if fits else value
    return result


def unpacked(tensors: Mapping[str, Tensor], context: Tensor) -> dict[str, Tensor]:
    """Undo `packed` for every flat tensor that fits; others stay as they are. Outside, means are 0 and deviations are
    the largest there is."""
    cells = brain_cells(context)
    count = int(cells.sum())
    return {name: _spread(name, value, cells) if value.shape == (count,) else value for name, value in tensors.items()}


def _spread(name: str, values: Tensor, cells: Tensor) -> Tensor:
    outside = values.max() if name.endswith("_deviation") else values.new_zeros(())
    full = torch.full(cells.shape, float(outside), dtype=values.dtype)
    full[cells] = values
    return full
