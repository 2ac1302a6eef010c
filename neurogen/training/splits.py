"""Which subjects train, which calibrate and which test: drawn by a listed seed, so that anyone can draw them again."""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

KEPT_APART_SEED = 20260101


@dataclass(frozen=True)
class SubjectSplit:
    """Ids of one source. No id is in two of them; `train` is sorted, the others are in drawn order."""

    train: tuple[str, ...]
    calibrate: tuple[str, ...]
    test: tuple[str, ...]

    def role(self, subject: str) -> str:
        """'train', 'calibrate' or 'test'. Raises KeyError for an unknown subject."""
        for name in ("train", "calibrate", "test"):
            if subject in getattr(self, name):
                return name
        raise KeyError(subject)


def kept_apart(ids: Iterable[str], *, n: int = 10, seed: int = KEPT_APART_SEED) -> SubjectSplit:
    """Keep n subjects of a source out of training: the first n of a seeded permutation of the sorted ids.

    The first half of them calibrates thresholds and chooses checkpoints, the second half tests. Raises ValueError
    when fewer than n + 1 distinct subjects are given.
    """
    subjects = sorted(set(ids))
    if n < 2 or len(subjects) <= n:
        raise ValueError(f"{len(subjects)} subjects cannot give {n} to keep apart and one to train on.")
    drawn = [subjects[k] for k in np.random.default_rng(seed).permutation(len(subjects))[:n]]
    train = tuple(s for s in subjects if s not in set(drawn))
    return SubjectSplit(train=train, calibrate=tuple(drawn[: n // 2]), test=tuple(drawn[n // 2 :]))
