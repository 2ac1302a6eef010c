"""Speed: known operation counts, and jobs in child processes. Nothing here asks how fast a machine is."""

import pytest
import torch
from torch import nn

from neurogen.errors import InputRefused, NeuroGenError, UsageError
from neurogen.evaluation import speed
from neurogen.evaluation.stage_clock import StageClock


class Pair(nn.Module):
    """Two linear layers: what the clock must not count apart."""

    def __init__(self):
        super().__init__()
        self.first, self.second = nn.Linear(8, 16), nn.Linear(16, 4)

    def forward(self, x):
        return self.second(self.first(x))


def test_the_clock_counts_every_operation_of_the_outermost_network():
    pair = Pair()
    with StageClock() as clock, torch.no_grad():
        for _ in range(3):
            pair(torch.ones(32, 8))
    stage = clock.stages()["Pair"]
    assert set(clock.stages()) == {"Pair"}
    assert stage["calls"] == 3 and stage["seconds"] > 0
    assert stage["gflop"] == pytest.approx(3 * 2 * 32 * (8 * 16 + 16 * 4) / 1e9)


def test_the_clock_counts_convolutions():
    conv = nn.Conv2d(3, 5, 3, padding=1)
    with StageClock() as clock, torch.no_grad():
        conv(torch.ones(2, 3, 10, 10))
    assert clock.stages()["Conv2d"]["gflop"] == pytest.approx(2 * 2 * 5 * 3 * 9 * 100 / 1e9)


def test_the_clock_counts_attention():
    class Attention(nn.Module):
        def forward(self, x):
            return nn.functional.scaled_dot_product_attention(x, x, x)

    with StageClock() as clock, torch.no_grad():
        Attention()(torch.ones(2, 4, 50, 8))
    assert clock.stages()["Attention"]["gflop"] == pytest.approx(2 * 2 * 2 * 4 * 50 * 50 * 8 / 1e9)


def test_the_clock_leaves_no_hooks_behind():
    pair = Pair()
    with StageClock() as clock:
        pass
    pair(torch.ones(1, 8))
    assert clock.stages() == {}


def test_a_stage_reaches_a_fraction_of_the_matrix_rate():
    row = speed.stage_rows({"UNet": {"calls": 2, "seconds": 4.0, "gflop": 100.0}}, rate=50.0)["UNet"]
    assert row["gflop_per_second"] == 25 and row["fraction"] == 0.5


def test_a_child_returns_its_value_and_its_memory():
    done = speed.in_child("json:dumps", {"obj": [1, 2]})
    assert done["value"] == "[1, 2]"
    assert 0 < done["peak_gib"] < 4
    assert 0 <= done["cpu_seconds"] < 60


def test_the_matrix_rate_is_measured_in_a_child():
    assert speed.in_child("neurogen.evaluation.speed_jobs:matrix_rate", {"device": "cpu"})["value"] > 0


def test_a_refusal_in_a_child_keeps_its_class_and_its_sentence(tmp_path):
    arguments = {"scan": str(tmp_path / "absent.nii.gz"), "model": "none"}
    with pytest.raises(InputRefused, match="absent.nii.gz"):
        speed.in_child("neurogen.evaluation.speed_jobs:detect", arguments)


def test_a_crash_in_a_child_says_what_it_was():
    with pytest.raises(NeuroGenError, match="TypeError"):
        speed.in_child("json:loads", {})


def test_only_known_jobs_are_measured(tmp_path):
    with pytest.raises(UsageError, match="network, detect"):
        speed.run(tmp_path, methods=["thinking"])
