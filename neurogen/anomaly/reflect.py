"""REFLECT: a rectified flow that carries abnormal brains to healthy ones in one straight step.

REFLECT: Rectified Flows for Efficient Brain Anomaly Correction Transport (thesis chapter 5; arXiv:2508.02889).
The networks and the codes they work on stay outside; this file is the mathematics.
"""

from collections.abc import Callable

import torch
from torch import Tensor

Velocity = Callable[[Tensor, Tensor], Tensor]
"""v(y, t): codes (B, C, H, W) and times (B,) in [0, 1] to velocities (B, C, H, W)."""


class RectifiedFlow:
    """Straight paths from corrupted (t = 0) to healthy (t = 1) codes.

    y_t = (1 - t) y_0 + t y_1            (eq. 5.1)
    dy_t/dt = y_1 - y_0                  (the target of eq. 5.8)

    Eq. 5.9 prints y~ = y_0 - v(y_0, 0). With the target of eq. 5.8 the velocity points *toward* the healthy code, so
    the sign must be a plus; the authors' implementation has a plus as well.
    """

    @staticmethod
    def interpolate(corrupted: Tensor, healthy: Tensor, t: Tensor) -> Tensor:
        """y_t for t of shape (B,)."""
        t = t.view(-1, *[1] * (corrupted.ndim - 1))
        return (1 - t) * corrupted + t * healthy

    @staticmethod
    def velocity_target(corrupted: Tensor, healthy: Tensor) -> Tensor:
        return healthy - corrupted

    @staticmethod
    def loss(velocity: Velocity, corrupted: Tensor, healthy: Tensor, t: Tensor) -> Tensor:
        """Mean squared error of the velocity at y_t (eq. 5.8), over all cells."""
        predicted = velocity(RectifiedFlow.interpolate(corrupted, healthy, t), t)
        return (predicted.float() - RectifiedFlow.velocity_target(corrupted, healthy)).square().mean()

    @staticmethod
    @torch.no_grad()
    def correct(velocity: Velocity, corrupted: Tensor, *, steps: int = 1) -> Tensor:
        """Euler-integrate the velocity from t = 0 to 1: the pseudo-healthy code. One step is eq. 5.9."""
        if steps < 1:
            raise ValueError(f"steps is {steps}, but at least one Euler step is needed.")
        y = corrupted
        for k in range(steps):
            t = y.new_full((len(y),), k / steps)
            y = y + velocity(y, t) / steps
        return y


@torch.no_grad()
def reflow_target(teacher: Velocity, corrupted: Tensor, *, steps: int = 5) -> Tensor:
    """Y_1 of the reflow objective (eq. 5.5): where the trained flow carries the same corrupted codes.

    A second network trained on these pairs is 2-REFLECT. Five steps as in the authors' implementation.
    """
    return RectifiedFlow.correct(teacher, corrupted, steps=steps)
