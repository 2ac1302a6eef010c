"""Time and floating-point operations of the networks that some code calls, without changing that code."""

import time
from collections import defaultdict
from collections.abc import Callable

import torch
from torch import nn
from torch.nn.modules.module import register_module_forward_hook, register_module_forward_pre_hook
from torch.utils.flop_counter import FlopCounterMode


def _attention_operations(query: tuple, key: tuple, value: tuple, *_, **__) -> int:
    """Two products a head: (B, H, S, D) x (B, H, D, T), then (B, H, S, T) x (B, H, T, E)."""
    batch, heads, length, depth = query
    return 2 * batch * heads * length * key[2] * (depth + value[3])


# torch 2.13 counts the attention kernels of CUDA only.
_CPU_ATTENTION = {torch.ops.aten._scaled_dot_product_flash_attention_for_cpu: _attention_operations}


class StageClock:
    """Inside `with`, every outermost network call is timed and counted under its class name.

    finish : called before each look at the clock, to wait for a device that computes on its own
    """

    def __init__(self, *, finish: Callable[[], None] = lambda: None):
        self._finish = finish
        self._counter = FlopCounterMode(display=False, custom_mapping=_CPU_ATTENTION)
        self._totals = defaultdict(lambda: {"calls": 0, "seconds": 0.0, "gflop": 0.0})
        self._depth = 0

    def __enter__(self) -> "StageClock":
        self._hooks = [register_module_forward_pre_hook(self._enter), register_module_forward_hook(self._leave)]
        self._counter.__enter__()
        return self

    def __exit__(self, *error) -> None:
        self._counter.__exit__(*error)
        for hook in self._hooks:
            hook.remove()

    def stages(self) -> dict[str, dict[str, float]]:
        """{class name: {"calls", "seconds", "gflop"}}; a multiplication and an addition count as two operations."""
        return {name: dict(total) for name, total in self._totals.items() if total["gflop"] > 0}

    def _enter(self, module: nn.Module, inputs: tuple) -> None:
        if self._depth == 0:
            self._finish()
            self._start = (time.perf_counter(), self._counter.get_total_flops())
        self._depth += 1

    def _leave(self, module: nn.Module, inputs: tuple, output: object) -> None:
        self._depth -= 1
        if self._depth == 0:
            self._finish()
            total = self._totals[type(module).__name__]
            total["calls"] += 1
            total["seconds"] += time.perf_counter() - self._start[0]
            total["gflop"] += (self._counter.get_total_flops() - self._start[1]) / 1e9
