"""Random slices of one reference site, in any plane, for training."""

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from torch import Tensor

from neurogen.errors import InputRefused
from neurogen.harmonize.slices import PLANES, pictures, worth_judging


class SiteSlices:
    """The pictures of all scans, by plane; a batch is of one plane.

    scans : levels (80, 96, 80) by subject; shares : of the batches, for axial, coronal and sagittal slices
    """

    def __init__(self, scans: Mapping[str, np.ndarray], shares: Sequence[float]):
        if not scans:
            raise InputRefused("There is no scan to train on. Give scans of one site and one contrast.")
        self._shares = np.array(shares) / np.sum(shares)
        used = [plane for plane, share in zip(PLANES, shares, strict=True) if share > 0]
        stacks = {plane: [pictures(levels, plane) for levels in scans.values()] for plane in used}
        kept = {plane: [worth_judging(stack) for stack in parts] for plane, parts in stacks.items()}
        self._stacks = {p: np.concatenate([s[k] for s, k in zip(parts, kept[p])]) for p, parts in stacks.items()}
        self._owners = {p: [name for name, k in zip(scans, kept[p]) for _ in k] for p in stacks}

    def draw(self, count: int, rng: np.random.Generator) -> Tensor:
        """(B, 1, rows, columns) float levels; half are mirrored left to right, but no sagittal slice."""
        return self.draw_with_owners(count, rng)[0]

    def draw_with_owners(self, count: int, rng: np.random.Generator) -> tuple[Tensor, list[str]]:
        """The same, and the subject of each slice."""
        plane = rng.choice(PLANES, p=self._shares)
        stack = self._stacks[plane]
        index = rng.integers(0, len(stack), count)
        chosen = stack[index]
        if plane != "sagittal":
            mirrored = rng.random(count) < 0.5
            chosen = np.where(mirrored[:, None, None], chosen[:, :, ::-1], chosen)
        owners = [self._owners[plane][k] for k in index]
        return torch.from_numpy(chosen.astype(np.float32))[:, None], owners
