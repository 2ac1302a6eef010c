"""Learning rate, optimizer and weight averaging."""

import math
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn


def learning_rate_factor(step: int, fraction: float, *, warmup_steps: int, floor: float = 0.05) -> float:
    """Share of the full learning rate: linear warm-up, then half a cosine down to `floor`.

    step : steps done so far, >= 0; the first step already learns (1 / warmup_steps, never 0)
    fraction : share of the whole run that is done, in [0, 1]; of its steps or of its minutes, whichever is further
    """
    warmup = min(1.0, (step + 1) / max(warmup_steps, 1))
    cosine = 0.5 * (1 + math.cos(math.pi * min(max(fraction, 0.0), 1.0)))
    return warmup * (floor + (1 - floor) * cosine)


def decaying_adamw(network: nn.Module, learning_rate: float, weight_decay: float) -> torch.optim.AdamW:
    """AdamW that decays matrices and kernels, not biases and norms."""
    trained = [p for p in network.parameters() if p.requires_grad]
    groups = [
        {"params": [p for p in trained if p.ndim > 1], "weight_decay": weight_decay},
        {"params": [p for p in trained if p.ndim <= 1], "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(groups, lr=learning_rate)


class WeightAverage:
    """Exponential moving average of a network's weights, e <- d e + (1 - d) w, with d = min(decay, (1 + n) / (10 + n)).

    n counts the updates, so that the first steps do not keep the random start. Buffers and integers are copied.
    """

    def __init__(self, network: nn.Module, *, decay: float):
        self.decay = decay
        self.state = {name: value.detach().clone() for name, value in network.state_dict().items()}

    @torch.no_grad()
    def update(self, network: nn.Module, step: int) -> None:
        """Take in the weights after step number `step` (0 is the first)."""
        decay = min(self.decay, (1 + step) / (10 + step))
        for name, value in network.state_dict().items():
            if value.is_floating_point():
                self.state[name].lerp_(value, 1 - decay)
            else:
                self.state[name].copy_(value)

    def load(self, state: dict[str, Tensor]) -> None:
        """Continue from a saved average, on the device of the current one."""
        for name, value in self.state.items():
            value.copy_(state[name])

    @contextmanager
    def applied_to(self, network: nn.Module) -> Iterator[None]:
        """The network in eval mode with the averaged weights; its own weights and training mode afterwards."""
        own = {name: value.clone() for name, value in network.state_dict().items()}
        network.load_state_dict(self.state)
        network.eval()
        try:
            yield
        finally:
            network.load_state_dict(own)
            network.train()
