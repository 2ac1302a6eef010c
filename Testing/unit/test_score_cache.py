"""Kept scores: computed once, the same from memory and from disk, and another entry for whatever changes a score."""

from types import SimpleNamespace

import numpy as np
import pytest

from neurogen.errors import UsageError
from neurogen.evaluation.methods import parsed
from neurogen.evaluation.score_cache import ScoreCache, identity_of

IMAGES = np.arange(24, dtype=np.uint8).reshape(2, 3, 4)
BRAIN = IMAGES > 5


class Counted:
    def __init__(self):
        self.calls = 0

    def __call__(self):
        self.calls += 1
        return IMAGES.astype(np.float32) / 7


@pytest.mark.parametrize("kept", ["memory", "disk"])
def test_what_was_scored_is_not_scored_again(tmp_path, kept):
    compute = Counted()
    folder = tmp_path / "scores" if kept == "disk" else None
    cache = ScoreCache(folder)
    first = cache.get("a", IMAGES, BRAIN, compute)
    again = (ScoreCache(folder) if kept == "disk" else cache).get("a", IMAGES, BRAIN, compute)
    assert compute.calls == 1 and again.seconds == first.seconds
    np.testing.assert_array_equal(again.scores, np.where(BRAIN, IMAGES / np.float32(7), 0))
    np.testing.assert_array_equal(again.scores, first.scores)
    if kept == "disk":
        assert not list(folder.glob("*.part"))


def test_other_images_another_brain_or_another_method_are_scored_anew():
    compute, cache = Counted(), ScoreCache()
    cache.get("a", IMAGES, BRAIN, compute)
    cache.get("b", IMAGES, BRAIN, compute)
    cache.get("a", IMAGES + 1, BRAIN, compute)
    cache.get("a", IMAGES, IMAGES > 6, compute)
    cache.get("a", IMAGES.reshape(2, 4, 3), BRAIN.reshape(2, 4, 3), lambda: compute().reshape(2, 4, 3))
    assert compute.calls == 5


def test_memory_is_bounded_and_the_oldest_goes_first(monkeypatch):
    from neurogen.evaluation import score_cache

    monkeypatch.setattr(score_cache, "MEMORY_BYTES", 2 * 4 * int(BRAIN.sum()))
    compute, cache = Counted(), ScoreCache()
    for name in "abc":
        cache.get(name, IMAGES, BRAIN, compute)
    cache.get("c", IMAGES, BRAIN, compute)
    assert compute.calls == 3
    cache.get("a", IMAGES, BRAIN, compute)
    assert compute.calls == 4


def test_a_model_is_known_by_what_decides_its_scores():
    def model(**changes):
        manifest = {"files": {"weights.safetensors": {"sha256": "a"}}, "calibration": {"t1w": 2}, "notes": []} | changes
        return SimpleNamespace(manifest=manifest)

    one = identity_of(model(), "t1w", {})
    assert one == identity_of(model(notes=["better words"], measured=[1]), "t1w", {})
    for other in (
        identity_of(model(calibration={"t1w": 3}), "t1w", {}),
        identity_of(model(files={"weights.safetensors": {"sha256": "b"}}), "t1w", {}),
        identity_of(model(), "flair", {}),
        identity_of(model(), "t1w", {"steps": 2}),
    ):
        assert other != one


def test_settings_behind_a_colon_are_read():
    assert parsed("mad-ad:source=mask,steps=5,eta=0.5") == ("mad-ad", {"source": "mask", "steps": 5, "eta": 0.5})
    assert parsed("mad-ad") == ("mad-ad", {})
    assert parsed(r"C:\models\mine") == (r"C:\models\mine", {})
    with pytest.raises(UsageError, match="name=value"):
        parsed("mad-ad:steps=2,source")
