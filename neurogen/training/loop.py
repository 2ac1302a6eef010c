"""The one training loop: every recipe gives it a Task and gets back the best weights by validation score.

AdamW, linear warm-up, cosine decay to 5 %, gradients clipped at norm 1, an average of the weights that is what gets
validated and exported. All draws come from one `torch.Generator`, so that a resumed run equals an uninterrupted one
(bit for bit on a CPU, as long as the run is bounded by steps and not by minutes).
"""

import math
import threading
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Protocol

import torch
from torch import Tensor, nn

from neurogen.environment import choose_device
from neurogen.errors import Cancelled, InputRefused, UsageError
from neurogen.progress import Progress, silent
from neurogen.training.checkpoint import load_checkpoint, refuse_to_overwrite, save_checkpoint
from neurogen.training.curve import Clock, has_plateaued, write_curve
from neurogen.training.schedule import WeightAverage, decaying_adamw, learning_rate_factor
from neurogen.training.signals import stop_signals

PRECISIONS = ("auto", "float32", "bf16")
SAME_ON_RESUME = ("seed", "batch_size", "learning_rate", "weight_decay", "warmup_steps", "ema_decay", "precision")


class Task(Protocol):
    """What a recipe must provide."""

    network: nn.Module
    """Everything that is optimized."""

    def training_loss(self, step: int, generator: torch.Generator) -> Tensor:
        """Scalar loss of one batch, drawn with `generator` (a CPU generator) only."""

    def validate(self) -> dict[str, float]:
        """Measures of the network as it is now (averaged weights, eval mode), among them `score`, higher is better."""

    def export(self, out: Path, network_state: dict[str, Tensor], record: dict) -> None:
        """Write the model to a folder inside `out` from the best weights and the JSON-able record of the run."""


@dataclass(frozen=True)
class LoopSettings:
    """How long and how to train. A run is bounded by `steps`, by `minutes`, or by both."""

    steps: int | None = 2000
    batch_size: int = 16
    learning_rate: float = 5e-4
    warmup_steps: int = 100
    weight_decay: float = 1e-4
    seed: int = 0
    validate_every: int = 200
    checkpoint_minutes: float = 2.0
    minutes: float | None = None
    patience_share: float = 0.2  # of the run
    patience_gain: float = 0.01  # of the score; 0 never stops before the end
    device: str = "auto"  # "auto" | "cpu" | "cuda"
    precision: str = "auto"  # float32 on a CPU, bfloat16 autocast on CUDA
    ema_decay: float = 0.999
    threads: int | None = None  # of the CPU; None leaves torch's choice

    def __post_init__(self) -> None:
        if not self.steps and not self.minutes:
            raise UsageError("A training needs an end: give steps, minutes, or both.")
        if self.precision not in PRECISIONS:
            raise UsageError(f"Precision {self.precision!r} is unknown. Choose one of {', '.join(PRECISIONS)}.")
        if self.validate_every < 1 or self.batch_size < 1:
            raise UsageError("validate_every and batch_size must be at least 1.")


@dataclass(frozen=True)
class FitResult:
    """How a training ended. `history` has one row a validation; `stopped` is 'steps', 'minutes' or 'plateau'."""

    folder: Path
    steps: int
    minutes: float
    best_step: int
    best_score: float
    stopped: str
    history: tuple[dict[str, float], ...]


def fit(
    task: Task, settings: LoopSettings, out: Path, *, resume: bool = False, progress: Progress = silent
) -> FitResult:
    """Train `task` and export its best state to `out`, where checkpoint.pt and curve.tsv are kept as well.

    Raises Cancelled after saving a checkpoint when SIGTERM or SIGINT came or `progress` raised it, UsageError when
    `out` holds a training and `resume` is False (or the reverse), InputRefused when the loss is no longer finite.
    """
    out = Path(out)
    out.mkdir(parents=True, exist_ok=True)
    if settings.threads:
        torch.set_num_threads(settings.threads)
    with torch.random.fork_rng():
        torch.manual_seed(settings.seed)  # for dropout, which takes no generator
        run = _Run(task, settings, out, progress)
        if resume:
            run.restore(load_checkpoint(out))
        else:
            refuse_to_overwrite(out)
        with stop_signals() as stop:
            run.train(stop)
    return run.finish()


def export_best(task: Task, out: Path) -> None:
    """Export the best state of the checkpoint in `out`, for a training that was stopped early."""
    state = load_checkpoint(out)
    task.export(Path(out), state["best"]["network"], _record(state))


class _Run:
    """One training in progress: everything a checkpoint holds, and the steps that change it."""

    def __init__(self, task: Task, settings: LoopSettings, out: Path, progress: Progress):
        self.task, self.settings, self.out, self.progress = task, settings, out, progress
        self.device = torch.device(choose_device(settings.device))
        self.network = task.network.to(self.device)
        self.optimizer = decaying_adamw(self.network, settings.learning_rate, settings.weight_decay)
        self.average = WeightAverage(self.network, decay=settings.ema_decay)
        self.generator = torch.Generator().manual_seed(settings.seed)
        self.step, self.minutes = 0, 0.0
        self.loss_sum, self.loss_count = 0.0, 0
        self.history: list[dict[str, float]] = []
        self.best: dict = {"score": -math.inf, "step": 0, "network": {}}
        self.stopped = ""
        self._clock = Clock()

    def train(self, stop: threading.Event) -> None:
        """Step until the end of the run, saving now and then, and in any case before leaving."""
        self._clock = Clock(self.minutes)
        saved = self._clock.minutes()
        if not self.history:
            self._validate()
        try:
            while not self._ended():
                self._one_step()
                if self.step % self.settings.validate_every == 0:
                    self._validate()
                if stop.is_set():
                    raise Cancelled(f"Training stopped at step {self.step}. Resume to continue.")
                self._report()
                if self._clock.minutes() - saved >= self.settings.checkpoint_minutes:
                    saved = self._clock.minutes()
                    self._save()
        except Cancelled:
            self._save()
            raise
        if self.history[-1]["step"] != self.step:
            self._validate()
        self._save()

    def finish(self) -> FitResult:
        """Export the best state and sum the run up."""
        record = _record(self._state())
        self.task.export(self.out, self.best["network"], record)
        self.progress("training", 1.0)
        return FitResult(
            self.out, self.step, self.minutes, self.best["step"], self.best["score"], self.stopped, tuple(self.history)
        )

    def fraction(self) -> float:
        """Share of the run that is done, by steps or by minutes, whichever is further."""
        by_steps = self.step / self.settings.steps if self.settings.steps else 0.0
        by_minutes = self._clock.minutes() / self.settings.minutes if self.settings.minutes else 0.0
        return max(by_steps, by_minutes)

    def restore(self, state: dict) -> None:
        """Continue from a checkpoint. Raises UsageError when it belongs to another network or other settings."""
        mine = asdict(self.settings)
        different = [name for name in SAME_ON_RESUME if state["settings"][name] != mine[name]]
        if different:
            was = ", ".join(f"{name} {state['settings'][name]}" for name in different)
            raise UsageError(f"The checkpoint was trained with {was}. Resume with the same, or start afresh.")
        try:
            self.network.load_state_dict(state["network"])
        except RuntimeError as error:
            raise UsageError(f"The checkpoint in {self.out} belongs to another network: {error}") from error
        self.average.load(state["average"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.generator.set_state(state["generator"])
        torch.set_rng_state(state["global_rng"])
        self.step, self.minutes = state["step"], state["minutes"]
        self.loss_sum, self.loss_count = state["loss_sum"], state["loss_count"]
        self.history, self.best, self.stopped = list(state["history"]), state["best"], ""

    def _one_step(self) -> None:
        settings = self.settings
        factor = learning_rate_factor(self.step, self.fraction(), warmup_steps=settings.warmup_steps)
        for group in self.optimizer.param_groups:
            group["lr"] = settings.learning_rate * factor
        self.network.train()
        with _autocast(self.device, settings.precision):
            loss = self.task.training_loss(self.step, self.generator)
        value = float(loss.detach())
        if not math.isfinite(value):
            raise InputRefused(f"The loss became {value} at step {self.step}. Lower the learning rate and start again.")
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(self.network.parameters(), 1.0)
        self.optimizer.step()
        self.average.update(self.network, self.step)
        self.step += 1
        self.loss_sum, self.loss_count = self.loss_sum + value, self.loss_count + 1

    def _validate(self) -> None:
        with self.average.applied_to(self.network), torch.no_grad():
            measures = {name: float(value) for name, value in self.task.validate().items()}
        row = {"step": self.step, "minutes": round(self._clock.minutes(), 3), "fraction": round(self.fraction(), 4)}
        if self.loss_count:
            row["loss"] = self.loss_sum / self.loss_count
        self.loss_sum, self.loss_count = 0.0, 0
        self.history.append(row | measures)
        if measures["score"] > self.best["score"]:
            weights = {name: value.cpu().clone() for name, value in self.average.state.items()}
            self.best = {"score": measures["score"], "step": self.step, "network": weights}
        write_curve(self.out, self.history)

    def _ended(self) -> bool:
        self.minutes = self._clock.minutes()
        if self.settings.steps and self.step >= self.settings.steps:
            self.stopped = "steps"
        elif self.settings.minutes and self.minutes >= self.settings.minutes:
            self.stopped = "minutes"
        elif has_plateaued(self.history, share=self.settings.patience_share, gain=self.settings.patience_gain):
            self.stopped = "plateau"
        return bool(self.stopped)

    def _report(self) -> None:
        left = self._clock.minutes_left(self.fraction())
        loss = f", loss {self.loss_sum / self.loss_count:.4g}" if self.loss_count else ""
        stage = f"training: step {self.step}{loss}, best score {self.best['score']:.4g}"
        self.progress(stage + ("" if left is None else f", {left:.0f} min left"), min(self.fraction(), 1.0))

    def _state(self) -> dict:
        return {
            "settings": asdict(self.settings),
            "step": self.step,
            "minutes": self.minutes,
            "network": self.network.state_dict(),
            "average": self.average.state,
            "optimizer": self.optimizer.state_dict(),
            "generator": self.generator.get_state(),
            "global_rng": torch.get_rng_state(),
            "loss_sum": self.loss_sum,
            "loss_count": self.loss_count,
            "history": self.history,
            "best": self.best,
            "stopped": self.stopped,
        }

    def _save(self) -> None:
        self.minutes = self._clock.minutes()
        save_checkpoint(self.out, self._state())


def _autocast(device: torch.device, precision: str) -> torch.autocast:
    wanted = precision == "bf16" or (precision == "auto" and device.type == "cuda")
    return torch.autocast(device.type, dtype=torch.bfloat16, enabled=wanted)


def _record(state: dict) -> dict:
    """What a manifest's `training` says of a run: seed, steps, hours, the best step, all settings, the curve."""
    best = state["best"]
    return {
        "seed": state["settings"]["seed"],
        "steps": state["step"],
        "hours": round(state["minutes"] / 60, 3),
        "stopped": state["stopped"],
        "best_step": best["step"],
        "best_score": best["score"],
        "settings": state["settings"],
        "history": state["history"],
    }
