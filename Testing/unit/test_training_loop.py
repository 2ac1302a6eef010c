"""The loop: a resumed run equals an uninterrupted one, the best state is kept, the schedule ends where it says."""

import json
import math
import os
import signal
from pathlib import Path

import pytest
import torch
from torch import nn

from neurogen.errors import Cancelled, InputRefused, UsageError
from neurogen.training.curve import has_plateaued
from neurogen.training.loop import LoopSettings, export_best, fit
from neurogen.training.schedule import WeightAverage, learning_rate_factor

TRUE_SLOPE = 3.0


class LineTask:
    """Fit y = 3 x with one weight and dropout (which draws from torch's global generator)."""

    def __init__(self, *, fail_at: int | None = None, scores: list[float] | None = None):
        torch.manual_seed(5)
        self.network = nn.Sequential(nn.Linear(4, 8), nn.Dropout(0.3), nn.Linear(8, 1))
        self.fail_at, self.scores, self.draws = fail_at, scores, []

    def training_loss(self, step, generator):
        x = torch.randn((16, 4), generator=generator)
        self.draws.append(float(x[0, 0]))
        loss = (self.network(x)[:, 0] - TRUE_SLOPE * x[:, 0]).square().mean()
        return loss * (math.nan if step == self.fail_at else 1)

    def validate(self):
        if self.scores:
            return {"score": self.scores.pop(0)}
        x = torch.linspace(-1, 1, 32).reshape(8, 4)
        return {"score": -float((self.network(x)[:, 0] - TRUE_SLOPE * x[:, 0]).square().mean())}

    def export(self, out, network_state, record):
        torch.save(network_state, out / "weights.pt")
        (out / "record.json").write_text(json.dumps(record, allow_nan=False))


def settings(**changes) -> LoopSettings:
    defaults = {"steps": 20, "warmup_steps": 4, "validate_every": 4, "patience_gain": 0.0, "device": "cpu"}
    return LoopSettings(**(defaults | changes))


def cancel_at(step: int):
    def progress(stage: str, fraction: float) -> None:
        if f"step {step}," in stage:
            raise Cancelled("stop here")

    return progress


def checkpoint(folder: Path) -> dict:
    return torch.load(folder / "checkpoint.pt", weights_only=True)


def test_interrupted_and_resumed_equals_straight_bit_for_bit(tmp_path):
    straight = LineTask()
    fit(straight, settings(), tmp_path / "straight")
    first, second = LineTask(), LineTask()
    with pytest.raises(Cancelled):
        fit(first, settings(), tmp_path / "halves", progress=cancel_at(10))
    result = fit(second, settings(), tmp_path / "halves", resume=True)
    assert first.draws + second.draws == straight.draws
    a, b = checkpoint(tmp_path / "straight"), checkpoint(tmp_path / "halves")
    for part in ("network", "average"):
        assert all(torch.equal(a[part][name], b[part][name]) for name in a[part])
    assert all(torch.equal(a["best"]["network"][name], b["best"]["network"][name]) for name in a["network"])
    drop = {"minutes"}
    rows = [[{k: v for k, v in row.items() if k not in drop} for row in c["history"]] for c in (a, b)]
    assert rows[0] == rows[1]
    assert result.steps == 20 and result.stopped == "steps"


def test_training_learns_the_line_and_leaves_the_global_generator_alone(tmp_path):
    task = LineTask()
    torch.manual_seed(77)
    expected = torch.rand(3)
    torch.manual_seed(77)
    result = fit(task, settings(steps=300, learning_rate=2e-2, validate_every=50, ema_decay=0.9), tmp_path)
    assert torch.equal(torch.rand(3), expected)
    assert result.history[0]["score"] < -1 and result.best_score > -0.1


def test_best_state_is_exported_not_the_last(tmp_path):
    result = fit(LineTask(scores=[0.1, 0.9, 0.3, 0.2]), settings(steps=12), tmp_path)
    assert (result.best_step, result.best_score) == (4, 0.9)
    exported = torch.load(tmp_path / "weights.pt", weights_only=True)
    last = checkpoint(tmp_path)["average"]
    assert not torch.equal(exported["0.weight"], last["0.weight"])
    record = json.loads((tmp_path / "record.json").read_text(encoding="utf-8"))
    assert record["best_step"] == 4 and record["settings"]["seed"] == 0 and len(record["history"]) == 4
    (tmp_path / "weights.pt").unlink()
    export_best(LineTask(), tmp_path)
    assert torch.equal(torch.load(tmp_path / "weights.pt", weights_only=True)["0.weight"], exported["0.weight"])


def test_curve_has_one_row_a_validation(tmp_path):
    fit(LineTask(), settings(steps=10), tmp_path)
    lines = (tmp_path / "curve.tsv").read_text(encoding="utf-8").splitlines()
    header = lines[0].split("\t")
    assert header[:3] == ["step", "minutes", "fraction"] and {"loss", "score"} <= set(header)
    assert [line.split("\t")[0] for line in lines[1:]] == ["0", "4", "8", "10"]


def test_sigterm_saves_and_cancels(tmp_path):
    def terminate(stage: str, fraction: float) -> None:
        if "step 7," in stage:
            os.kill(os.getpid(), signal.SIGTERM)

    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises(Cancelled, match="Resume"):
        fit(LineTask(), settings(), tmp_path, progress=terminate)
    assert checkpoint(tmp_path)["step"] == 8
    assert signal.getsignal(signal.SIGTERM) is before


def test_time_budget_ends_the_run_with_a_validation(tmp_path):
    result = fit(LineTask(), settings(steps=None, minutes=0.005, validate_every=10**6), tmp_path)
    assert result.stopped == "minutes" and result.history[-1]["step"] == result.steps > 0


def test_plateau_ends_the_run(tmp_path):
    scores = [0.1, 0.5] + [0.5] * 20
    result = fit(LineTask(scores=scores), settings(steps=40, patience_gain=0.01), tmp_path)
    assert result.stopped == "plateau" and result.steps == 16  # 40 % of the run, the last 20 % gained nothing


def test_plateau_needs_twice_the_share_and_counts_relative_gain():
    rows = [{"fraction": f / 10, "score": s} for f, s in enumerate([0.0, 1.0, 1.0, 1.0, 1.009])]
    assert has_plateaued(rows, share=0.2, gain=0.01)
    assert not has_plateaued(rows, share=0.2, gain=0.005)
    assert not has_plateaued(rows[:4], share=0.2, gain=0.01)


def test_learning_rate_warms_up_and_ends_at_five_percent():
    assert learning_rate_factor(0, 0.0, warmup_steps=10) == pytest.approx(0.1)
    assert learning_rate_factor(9, 0.0, warmup_steps=10) == pytest.approx(1.0)
    assert learning_rate_factor(99, 0.5, warmup_steps=10) == pytest.approx(0.525)
    assert learning_rate_factor(99, 1.0, warmup_steps=10) == pytest.approx(0.05)


def test_weight_average_follows_its_recursion():
    network = nn.Linear(1, 1, bias=False)
    expected = network.weight.item()
    average = WeightAverage(network, decay=0.5)
    for step in range(20):
        with torch.no_grad():
            network.weight.fill_(step)
        average.update(network, step)
        decay = min(0.5, (1 + step) / (10 + step))
        expected = decay * expected + (1 - decay) * step
    assert float(average.state["weight"]) == pytest.approx(expected, rel=1e-5)
    with average.applied_to(network):
        assert network.weight.item() == pytest.approx(expected, rel=1e-5) and not network.training
    assert network.weight.item() == 19 and network.training


def test_loss_that_is_not_finite_is_refused(tmp_path):
    with pytest.raises(InputRefused, match="nan at step 3"):
        fit(LineTask(fail_at=3), settings(), tmp_path)


def test_a_run_without_end_is_refused():
    with pytest.raises(UsageError, match="steps, minutes"):
        LoopSettings(steps=None)


def test_bf16_on_cpu_keeps_weights_in_float32_and_learns(tmp_path):
    options = {"steps": 200, "learning_rate": 2e-2, "precision": "bf16", "ema_decay": 0.9, "validate_every": 100}
    task = LineTask()
    result = fit(task, settings(**options), tmp_path)
    assert all(p.dtype == torch.float32 for p in task.network.parameters())
    assert result.best_score > -0.2
