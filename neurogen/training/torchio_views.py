"""The altered view of SimCLR, by TorchIO: geometric, intensity and small corruptions (section 2.1 of the report).

Ranges are the report's. Its voxels are of 1 mm and ours of 2 mm, so lengths stay the same in millimetres. TorchIO is
needed for this training alone: `pip install neurogen[training]`. Its two slow transforms are computed here as products
over the axes, which gives the same pictures in a tenth of the time.
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
        _elastic(tio)(num_control_points=7, max_displacement=6, p=0.4),
        tio.RandomMotion(degrees=8, translation=3, num_transforms=2, p=0.2),
        tio.RandomGamma(log_gamma=(-0.5, 0.5), p=0.6),
        tio.RandomNoise(std=(0, 0.04), p=0.5),
        _bias(tio)(coefficients=0.5, p=0.3),
        tio.RandomBlur(std=(0.5, 1.0), p=0.2),
        tio.RandomSwap(patch_size=(min(int(28 / VOXEL_MM), depth), 1, 1), num_iterations=12, p=0.4),
        tio.CropOrPad(shape),
        tio.RescaleIntensity((0, 1)),
    ]


def _elastic(tio) -> type:
    """TorchIO's elastic deformation, its draws kept, its field and resampling by `deformed`."""

    class Elastic(tio.RandomElasticDeformation):
        def apply_transform(self, subject):
            points = self.get_params(self.num_control_points, self.max_displacement, self.num_locked_borders)
            for image in self.get_images(subject):
                image.set_data(deformed(image.data, torch.from_numpy(points).float()))
            return subject

    return Elastic


def _bias(tio) -> type:
    """TorchIO's bias field, its draws kept, the polynomial by `bias_field`."""

    class Bias(tio.RandomBiasField):
        def apply_transform(self, subject):
            for image in self.get_images(subject):
                coefficients = self.get_params(self.order, self.coefficients_range)
                image.set_data(image.data * bias_field(image.data.shape[1:], self.order, coefficients))
            return subject

    return Bias


def deformed(volume: Tensor, points: Tensor) -> Tensor:
    """(C, I, J, K) resampled where cubic B-splines through control points (A, B, C, 3), in mm of LPS, move it to.

    Linear; what comes from outside is the volume's minimum.
    """
    shape = torch.tensor(volume.shape[1:])
    i, j, k = (
        _spline_weights(int(n), m, mirrored=lps)
        for n, m, lps in zip(shape, points.shape[:3], (True, True, False), strict=True)
    )
    field = torch.einsum("abcd,kc->abkd", points, k)
    field = torch.einsum("ajkd,ia->ijkd", torch.einsum("abkd,jb->ajkd", field, j), i)
    field = field * torch.tensor([-1.0, -1.0, 1.0]) / VOXEL_MM
    index = torch.stack(torch.meshgrid(*[torch.arange(n) for n in shape], indexing="ij"), dim=-1) + field
    grid = ((2 * index + 1) / shape - 1).flip(-1)
    low = volume.min()
    return torch.nn.functional.grid_sample((volume - low)[None], grid[None], align_corners=False)[0] + low


def _spline_weights(voxels: int, points: int, *, mirrored: bool) -> Tensor:
    """(voxels, points) share of every control point in the displacement of a voxel. The control points span the volume
    and an eighth of a voxel more on each side, as ITK lays them."""
    u = (np.arange(voxels) + 0.625) * (points - 3) / (voxels + 0.25)
    first = np.minimum(np.floor(u).astype(int), points - 4)
    t = u - first
    cubic = [(1 - t) ** 3, 3 * t**3 - 6 * t**2 + 4, -3 * t**3 + 3 * t**2 + 3 * t + 1, t**3]
    weights = np.zeros((voxels, points), np.float32)
    for k, share in enumerate(cubic):
        weights[np.arange(voxels), first + k] = share / 6
    return torch.from_numpy(weights[::-1].copy() if mirrored else weights)


def bias_field(shape: tuple[int, ...], order: int, coefficients: list[float]) -> Tensor:
    """(I, J, K): exp of a polynomial of all terms up to `order`, coordinates from -1 to 1 over the volume."""
    cube, left = torch.zeros(order + 1, order + 1, order + 1), iter(coefficients)
    for a in range(order + 1):
        for b in range(order + 1 - a):
            for c in range(order + 1 - a - b):
                cube[a, b, c] = next(left)
    powers = [_coordinate(n)[:, None] ** torch.arange(order + 1) for n in shape]
    return torch.einsum("abc,ia,jb,kc->ijk", cube, *powers).exp()


def _coordinate(voxels: int) -> Tensor:
    steps = torch.arange(voxels) - voxels / 2 + 0.5
    return steps / steps.max()
