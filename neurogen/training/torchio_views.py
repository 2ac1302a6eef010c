"""The altered view of SimCLR, by TorchIO: geometric, intensity and small corruptions (section 2.1 of the report).

Ranges are the report's. Its voxels are of 1 mm and ours of 2 mm, so lengths stay the same in millimetres. TorchIO is
needed for this training alone: `pip install neurogen[training]`.
"""

import numpy as np
import torch
from torch import Tensor

from neurogen.errors import UsageError

VOXEL_MM = 2.0


class AlteredViews:
    """Draws the altered view of volumes (1, 80, 96, 80) in [0, 1], axial slabs first.

    Raises UsageError without TorchIO.
    """

    def __init__(self, shape: tuple[int, int, int]):
        try:
            import torchio
        except ImportError as error:
            raise UsageError(
                "This training needs TorchIO, which is not installed. Run: pip install 'neurogen[training]'"
            ) from error
        self._torchio = torchio
        self._alter = torchio.Compose(_transforms(torchio, shape))

    def __call__(self, volume: Tensor, generator: torch.Generator) -> Tensor:
        """One altered view; all draws come from `generator`, although TorchIO draws from torch's global state."""
        image = self._torchio.ScalarImage(tensor=volume, affine=np.diag([VOXEL_MM] * 3 + [1.0]))
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(int(torch.randint(2**62, (1,), generator=generator)))
            return self._alter(image).data.float()


def _transforms(tio, shape: tuple[int, int, int]) -> list:
    depth, height, width = shape
    margin = int(16 / VOXEL_MM)
    return [
        tio.CropOrPad((depth, height + margin, width + margin)),
        tio.RandomFlip(axes=(1, 2), flip_probability=0.5),
        tio.RandomAffine(scales=(0.8, 1.3), degrees=15, translation=12, p=0.9),
        tio.RandomElasticDeformation(num_control_points=7, max_displacement=6, p=0.4),
        tio.RandomMotion(degrees=8, translation=3, num_transforms=2, p=0.2),
        tio.RandomGamma(log_gamma=(-0.5, 0.5), p=0.6),
        tio.RandomNoise(std=(0, 0.04), p=0.5),
        tio.RandomBiasField(coefficients=0.5, p=0.3),
        tio.RandomBlur(std=(0.5, 1.0), p=0.2),
        tio.RandomSwap(patch_size=(min(int(28 / VOXEL_MM), depth), 1, 1), num_iterations=12, p=0.4),
        tio.CropOrPad(shape),
        tio.RescaleIntensity((0, 1)),
    ]
