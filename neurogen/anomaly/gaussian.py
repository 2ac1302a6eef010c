"""A Gaussian of healthy features at every place: Welford's update, Mahalanobis distance, and the published scaling.

Feature Modeling for Anomaly Detection in Neuroimaging Data (D. Kovacevic), sections 2.2, 2.3 and A.5. Features are
(B, V, C): C channels at V places of B scans. The networks that give them stay outside; this file is the mathematics.
"""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

COVARIANCES = ("full", "diagonal", "shared")
LOW, HIGH = 0.05, 0.95


@dataclass
class Welford:
    """Count, mean (V, C) and sum of outer products of deviations (V, C, C) of all scans so far, in 64 bits.

    For batches (B. P. Welford 1962; Chan, Golub and LeVeque 1979): with d = mean_b - mean and N = n + n_b,
    mean += d n_b / N,  M += M_b + d d^T n n_b / N. Exact for any split into batches, and to merge across workers.
    """

    count: int
    mean: Tensor
    moment: Tensor

    @classmethod
    def empty(cls, places: int, channels: int) -> "Welford":
        return cls(0, torch.zeros(places, channels).double(), torch.zeros(places, channels, channels).double())

    def update(self, features: Tensor) -> None:
        """Add a batch (B, V, C)."""
        features = features.double()
        mean = features.mean(0)
        centered = features - mean
        self.merge(Welford(len(features), mean, torch.einsum("bvc,bvd->vcd", centered, centered)))

    def merge(self, other: "Welford") -> None:
        """Add what another worker saw."""
        total = self.count + other.count
        step = other.mean - self.mean
        between = torch.einsum("vc,vd->vcd", step, step) * (self.count * other.count / total)
        self.mean = self.mean + step * (other.count / total)
        self.moment = self.moment + other.moment + between
        self.count = total

    def covariance(self) -> Tensor:
        """(V, C, C), divided by count - 1. Raises ValueError for fewer than two scans."""
        if self.count < 2:
            raise ValueError(f"{self.count} scans have no covariance; at least 2 are needed.")
        return self.moment / (self.count - 1)


def shrunk(covariance: Tensor, *, kind: str = "full", shrinkage: float = 0.1) -> Tensor:
    """(V, C, C) covariances that can be inverted: (1 - s) S + s tr(S) / C I.

    With n scans a covariance has rank n - 1 at most; without shrinkage, C channels from fewer scans have no inverse.
    kind : "full"; "diagonal", channels on their own; "shared", the mean over all places at each of them
    """
    if kind not in COVARIANCES:
        raise ValueError(f"The covariance is {kind!r}; choose one of {', '.join(COVARIANCES)}.")
    if kind == "diagonal":
        covariance = torch.diag_embed(covariance.diagonal(dim1=1, dim2=2))
    elif kind == "shared":
        covariance = covariance.mean(0, keepdim=True).expand_as(covariance)
    level = covariance.diagonal(dim1=1, dim2=2).mean(1).clamp(min=1e-12)
    identity = torch.eye(covariance.shape[-1], dtype=covariance.dtype)
    return (1 - shrinkage) * covariance + shrinkage * level[:, None, None] * identity


@dataclass(frozen=True, eq=False)
class VoxelGaussian:
    """Mean (V, C) and lower Cholesky factor (V, C, C) of the covariance at each of V places."""

    mean: Tensor
    factor: Tensor

    @classmethod
    def fit(cls, seen: Welford, *, kind: str = "full", shrinkage: float = 0.1) -> "VoxelGaussian":
        factor = torch.linalg.cholesky(shrunk(seen.covariance(), kind=kind, shrinkage=shrinkage))
        return cls(seen.mean.float(), factor.float())

    def distance(self, features: Tensor) -> Tensor:
        """(V,) Mahalanobis distance of features (V, C), eq. 1: the length of L^-1 (x - mean)."""
        centered = (features - self.mean)[..., None]
        return torch.linalg.solve_triangular(self.factor, centered, upper=False)[..., 0].norm(dim=1)

    def tensors(self) -> dict[str, Tensor]:
        """As a model file holds it: the mean, and the C (C + 1) / 2 numbers of each triangle, for half precision."""
        rows, columns = torch.tril_indices(*self.factor.shape[1:])
        return {"mean": self.mean, "triangle": self.factor[:, rows, columns]}

    @classmethod
    def of_tensors(cls, mean: Tensor, triangle: Tensor) -> "VoxelGaussian":
        rows, columns = torch.tril_indices(mean.shape[1], mean.shape[1])
        factor = torch.zeros(len(mean), mean.shape[1], mean.shape[1])
        factor[:, rows, columns] = triangle.float()
        return cls(mean.float(), factor)


@dataclass(frozen=True)
class PrincipalChannels:
    """Features on their first principal axes. 240 channels at every voxel would be a gigabyte of covariances, of rank
    n - 1 with n scans; 16 keep most of the variance."""

    center: Tensor  # (C,)
    axes: Tensor  # (C, K), divided by the standard deviation of the channel

    @classmethod
    def fit(cls, features: Tensor, channels: int) -> "PrincipalChannels":
        """From features (N, C) of many voxels of many scans; channels are standardized first."""
        features = features.double()
        center, deviation = features.mean(0), features.std(0).clamp(min=1e-6)
        standardized = (features - center) / deviation
        _, vectors = torch.linalg.eigh(standardized.T @ standardized / len(standardized))
        axes = vectors.flip(1)[:, :channels] / deviation[:, None]
        return cls(center.float(), axes.float())

    def apply(self, features: Tensor) -> Tensor:
        """(..., C) -> (..., K)."""
        return (features - self.center) @ self.axes


@dataclass(frozen=True)
class QuantileScale:
    """log(1 + d) against healthy quantiles: the median, and the width from 5 to 95 % (section 2.3)."""

    median: float
    width: float

    @classmethod
    def fit(cls, distances: np.ndarray) -> "QuantileScale":
        low, median, high = np.quantile(np.log1p(distances), [LOW, 0.5, HIGH])
        return cls(float(median), float(max(high - low, 1e-6)))

    def standardize(self, distances: np.ndarray) -> np.ndarray:
        """(log(1 + d) - median) / (p95 - p5)."""
        return (np.log1p(distances) - self.median) / self.width

    def published(self, distances: np.ndarray) -> np.ndarray:
        """The score of the report in (0, 1): the sigmoid of the above."""
        return 1 / (1 + np.exp(-self.standardize(distances)))
