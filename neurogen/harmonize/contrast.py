"""Other scanners, pretended: random changes of contrast that leave every edge where it is.

A change is a curve over the levels 0..255, so that families can be chained before any picture is touched. The same
families make the negatives of the flow (thesis eq. 2.4) and the pictures that the harmonizer learns to undo (eq. 2.5).
Everything is computed in float: in the published code the distance between picture and negative wraps around in uint8.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

LEVELS = 256
TOP = float(LEVELS - 1)


@dataclass(frozen=True)
class ContrastSettings:
    """Ranges of the families; a curve takes a level x in 0..255 to a level, clipped to 0..255."""

    brightness: tuple[float, float] = (-60.0, 60.0)  # x + b; published +-30, which 2 mm slices hardly show
    multiplicative: tuple[float, float] = (0.5, 1.5)  # a x; published, negatives
    contrast: tuple[float, float] = (0.5, 1.6)  # pivot + c (x - pivot); ours
    gamma: tuple[float, float] = (0.5, 1.8)  # 255 (x / 255)^g; published 0.5 to 1.5
    gap: tuple[float, float] = (0.2, 0.8)  # where in the gap a midpoint of a monotone map falls; published
    depth: int = 3  # halvings of 0..255 by a monotone map; published 8, which merges levels
    distance: float = 20.0  # mean + 2 deviations of |change| over the brain that makes a negative; published code


NEGATIVES = ContrastSettings()
TO_UNDO = ContrastSettings(brightness=(-40.0, 60.0), contrast=(0.6, 1.5), gamma=(0.5, 2.0), gap=(0.3, 0.7))
"""Milder where a detail would be lost: no restriction in the thesis but that the picture stays logical."""


def _brightness(pivot: float, settings: ContrastSettings, rng: np.random.Generator) -> np.ndarray:
    return np.arange(LEVELS) + rng.uniform(*settings.brightness)


def _multiplicative(pivot: float, settings: ContrastSettings, rng: np.random.Generator) -> np.ndarray:
    return np.arange(LEVELS) * rng.uniform(*settings.multiplicative)


def _contrast(pivot: float, settings: ContrastSettings, rng: np.random.Generator) -> np.ndarray:
    return pivot + rng.uniform(*settings.contrast) * (np.arange(LEVELS) - pivot)


def _gamma(pivot: float, settings: ContrastSettings, rng: np.random.Generator) -> np.ndarray:
    low, high = np.log(settings.gamma)
    return TOP * (np.arange(LEVELS) / TOP) ** np.exp(rng.uniform(low, high))


def _monotone(pivot: float, settings: ContrastSettings, rng: np.random.Generator) -> np.ndarray:
    """Binary subdivision: f(0) = 0, f(255) = 255, every midpoint somewhere in its gap; linear in between."""
    nodes = np.array([0.0, TOP])
    for _ in range(settings.depth):
        share = rng.uniform(*settings.gap, size=len(nodes) - 1)
        middle = nodes[:-1] + share * np.diff(nodes)
        nodes = np.insert(nodes, np.arange(1, len(nodes)), middle)
    return np.interp(np.arange(LEVELS), np.linspace(0, TOP, len(nodes)), nodes)


FAMILIES: dict[str, Callable[[float, ContrastSettings, np.random.Generator], np.ndarray]] = {
    "contrast": _contrast,
    "brightness": _brightness,
    "multiplicative": _multiplicative,
    "gamma": _gamma,
    "monotone": _monotone,
}


def draw_curve(
    families: Sequence[str], pivot: float, settings: ContrastSettings, rng: np.random.Generator
) -> np.ndarray:
    """(256,) levels in [0, 255]: the named families one after the other; `pivot` is the mean level of the brain."""
    curve = np.arange(LEVELS, dtype=float)
    for name in families:
        curve = np.interp(curve, np.arange(LEVELS), np.clip(FAMILIES[name](pivot, settings, rng), 0, TOP))
    return curve


def rescaled(curve: np.ndarray) -> np.ndarray:
    """The curve followed by the preparation: what was the 98th percentile, level 255, is level 255 again."""
    return np.clip(curve * (TOP / max(curve[-1], 1.0)), 0, TOP)


def apply_curves(levels: Tensor, curves: np.ndarray) -> Tensor:
    """(B, 1, H, W) whole levels and (B, 256) curves -> the curve's values, at least 1 in the brain; background 0."""
    table = torch.from_numpy(np.asarray(curves, np.float32)).clamp(1, TOP)
    mapped = torch.gather(table, 1, levels.flatten(1).long()).reshape(levels.shape)
    return torch.where(levels > 0, mapped, torch.zeros_like(mapped))


def distance(levels: np.ndarray, curve: np.ndarray) -> float:
    """Mean + 2 standard deviations of |curve(x) - x| over the brain, in levels (published code, in float)."""
    inside = levels[levels > 0].astype(int)
    change = np.abs(curve[inside] - inside)
    return float(change.mean() + 2 * change.std())


def milder(levels: np.ndarray, curve: np.ndarray, settings: ContrastSettings, rng: np.random.Generator) -> np.ndarray:
    """The curve drawn toward no change, to between once and twice the distance that makes a negative of `levels`."""
    identity = np.arange(LEVELS, dtype=float)
    wanted = settings.distance * rng.uniform(1.0, 2.0)
    return identity + min(wanted / distance(levels, curve), 1.0) * (curve - identity)


def draw_negative(
    levels: np.ndarray,
    settings: ContrastSettings,
    rng: np.random.Generator,
    *,
    families: Sequence[str] | None = None,
    tries: int = 50,
) -> np.ndarray:
    """(256,) curve that makes `levels` (H, W) look like another site's, by at least `settings.distance`.

    families : what is chained; None draws one to three of all. Curves that change too little are drawn again (the
    published code takes those pictures for positives). Raises ValueError when no try reaches the distance.
    """
    pivot = float(levels[levels > 0].mean())
    for _ in range(tries):
        names = families or rng.choice(list(FAMILIES), size=rng.integers(1, 4), replace=False)
        curve = draw_curve(names, pivot, settings, rng)
        curve = rescaled(curve) if families is None and rng.random() < 0.5 else curve
        if distance(levels, curve) > settings.distance:
            return curve
    raise ValueError(f"No curve of {families} changes the picture by {settings.distance} levels: widen its range.")
