"""The file a training continues from: weights, their average, optimizer, random states, step, history and best weights.

It is written beside its final name and renamed when whole, so that a killed run leaves the previous one intact. It
holds tensors and plain Python values only and is read with `weights_only=True`: a foreign file cannot run code.
"""

import os
import pickle
from pathlib import Path

import torch

from neurogen.errors import InputRefused, UsageError

FILE_NAME = "checkpoint.pt"
FORMAT = 1


def save_checkpoint(folder: Path, state: dict) -> Path:
    """Write `state` to folder/checkpoint.pt atomically and return the path."""
    path = Path(folder) / FILE_NAME
    part = path.with_suffix(".part")
    torch.save({"format": FORMAT, **state}, part)
    os.replace(part, path)
    return path


def load_checkpoint(folder: Path) -> dict:
    """The state saved in `folder`, on the CPU. Raises UsageError when absent and InputRefused when unreadable."""
    path = Path(folder) / FILE_NAME
    if not path.is_file():
        raise UsageError(f"{folder} holds no checkpoint to resume from. Start this training without resuming.")
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except (RuntimeError, EOFError, pickle.UnpicklingError) as error:
        raise InputRefused(f"{path} is not a readable checkpoint ({error}). Remove it and start again.") from error
    if not isinstance(state, dict) or state.get("format") != FORMAT:
        raise InputRefused(f"{path} is no checkpoint of format {FORMAT}. Remove it and start again.")
    return state


def refuse_to_overwrite(folder: Path) -> None:
    """Raise UsageError when `folder` already holds a training that a fresh start would destroy."""
    if (Path(folder) / FILE_NAME).exists():
        raise UsageError(f"{folder} already holds a training. Resume it, or choose another folder.")
