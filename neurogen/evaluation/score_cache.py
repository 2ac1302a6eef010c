"""Scores that models gave, kept so that no network runs twice on the same images: for the mean of several methods, for
further columns, and for a benchmark that was broken off.

An entry is named after the model's files and calibration, what was set of it, this version of NeuroGen, and the images.
Seconds are those of the run that made it.
"""

import hashlib
import json
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

import neurogen

if TYPE_CHECKING:
    from neurogen.models import Model

MEMORY_BYTES = 2**30
SAID_ABOUT_A_MODEL = ("measured", "seconds", "notes", "training", "training_data")  # changes no score


@dataclass(frozen=True, eq=False)
class TimedScores:
    """Signed scores, shaped like the images, and the seconds they took when they were made."""

    scores: np.ndarray
    seconds: float


class ScoreCache:
    """In memory up to a GiB, oldest first out, and in `folder` where one is given."""

    def __init__(self, folder: Path | str | None = None):
        self._folder = None if folder is None else Path(folder)
        self._entries: OrderedDict[str, tuple[np.ndarray, float]] = OrderedDict()

    def get(
        self, identity: str, images: np.ndarray, brain: np.ndarray, compute: Callable[[], np.ndarray]
    ) -> TimedScores:
        """What `identity` scored these images (any shape; scores are 0 outside the brain), known or computed."""
        key = hashlib.sha256(f"{identity} {images.shape} {images.dtype}".encode())
        key.update(np.ascontiguousarray(images))
        key.update(np.packbits(brain))
        inside, seconds = self._known(key.hexdigest()) or self._made(key.hexdigest(), brain, compute)
        scores = np.zeros(brain.shape, np.float32)
        scores[brain] = inside
        return TimedScores(scores, seconds)

    def _known(self, key: str) -> tuple[np.ndarray, float] | None:
        if key in self._entries:
            self._entries.move_to_end(key)
            return self._entries[key]
        if self._folder is None or not self._path(key).exists():
            return None
        with np.load(self._path(key)) as file:
            return file["inside"], float(file["seconds"])

    def _made(self, key: str, brain: np.ndarray, compute: Callable[[], np.ndarray]) -> tuple[np.ndarray, float]:
        start = time.perf_counter()
        inside = compute()[brain].astype(np.float32)
        entry = inside, time.perf_counter() - start
        self._entries[key] = entry
        while sum(values.nbytes for values, _ in self._entries.values()) > MEMORY_BYTES and len(self._entries) > 1:
            self._entries.popitem(last=False)
        if self._folder is not None:
            self._folder.mkdir(parents=True, exist_ok=True)
            part = self._path(key).with_suffix(".part")
            with part.open("wb") as file:
                np.savez(file, inside=inside, seconds=entry[1])
            part.replace(self._path(key))
        return entry

    def _path(self, key: str) -> Path:
        return self._folder / f"{key[:32]}.npz"


def identity_of(model: "Model", contrast: str, chosen: Mapping[str, object]) -> str:
    """What decides a model's scores besides the images."""
    manifest = {name: value for name, value in model.manifest.items() if name not in SAID_ABOUT_A_MODEL}
    return json.dumps([neurogen.__version__, manifest, contrast, dict(chosen)], sort_keys=True, default=str)
