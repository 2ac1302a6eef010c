"""Checkpoints: whole or absent, refused when foreign, never overwritten by mistake."""

import pickle

import pytest
import torch
from torch import nn

from neurogen.errors import InputRefused, UsageError
from neurogen.training.checkpoint import load_checkpoint, save_checkpoint
from neurogen.training.loop import LoopSettings, fit


class TinyTask:
    def __init__(self, width: int = 2):
        self.network = nn.Linear(width, 1)
        self.width = width

    def training_loss(self, step, generator):
        return self.network(torch.randn((4, self.width), generator=generator)).square().mean()

    def validate(self):
        return {"score": 0.0}

    def export(self, out, network_state, record):
        (out / "exported").touch()


SETTINGS = LoopSettings(steps=3, device="cpu")


def test_round_trip_keeps_values(tmp_path):
    state = {"step": 4, "network": {"w": torch.arange(3.0)}, "history": [{"score": 0.5}]}
    save_checkpoint(tmp_path, state)
    back = load_checkpoint(tmp_path)
    assert back["step"] == 4 and back["history"] == [{"score": 0.5}]
    assert torch.equal(back["network"]["w"], torch.arange(3.0))


def test_failed_write_keeps_the_previous_checkpoint(tmp_path, monkeypatch):
    save_checkpoint(tmp_path, {"step": 1})

    def disk_full(state, path):
        path.write_bytes(b"half")
        raise OSError("No space left on device")

    monkeypatch.setattr(torch, "save", disk_full)
    with pytest.raises(OSError, match="No space"):
        save_checkpoint(tmp_path, {"step": 2})
    assert load_checkpoint(tmp_path)["step"] == 1


def test_foreign_files_are_refused_without_running_their_code(tmp_path):
    class Bomb:
        def __reduce__(self):
            return (pytest.fail, ("the pickle was executed",))

    (tmp_path / "checkpoint.pt").write_bytes(pickle.dumps(Bomb()))
    with pytest.raises(InputRefused, match="checkpoint"):
        load_checkpoint(tmp_path)
    (tmp_path / "checkpoint.pt").write_bytes(b"")
    with pytest.raises(InputRefused, match="checkpoint"):
        load_checkpoint(tmp_path)


def test_a_fresh_start_never_destroys_a_training_and_resume_needs_one(tmp_path):
    with pytest.raises(UsageError, match="no checkpoint"):
        fit(TinyTask(), SETTINGS, tmp_path, resume=True)
    fit(TinyTask(), SETTINGS, tmp_path)
    with pytest.raises(UsageError, match="already holds a training"):
        fit(TinyTask(), SETTINGS, tmp_path)


def test_resume_refuses_other_settings_and_other_networks(tmp_path):
    fit(TinyTask(), SETTINGS, tmp_path)
    with pytest.raises(UsageError, match="seed 0"):
        fit(TinyTask(), LoopSettings(steps=3, device="cpu", seed=1), tmp_path, resume=True)
    with pytest.raises(UsageError, match="another network"):
        fit(TinyTask(width=5), SETTINGS, tmp_path, resume=True)
