"""The published map as a row of the benchmarks: units, geometry, and that both doors use it."""

import numpy as np
import pytest

from neurogen.anomaly.codec import PixelCodec
from neurogen.anomaly.contrast_scale import FLAIR, T1W
from neurogen.anomaly.detector import SliceCorrection
from neurogen.anomaly.published import published_slices, published_volume
from neurogen.evaluation.methods import METHODS, ReflectPublished, crop_from_grid, slice_method, volume_method
from neurogen.models import ModelStore
from neurogen.preprocess.grid import GRID_SHAPE

SLICE_SHAPE = (192, 160)


class Brighter:
    """Stands in for a detector: every picture is `change` of the picture's range brighter than pseudo-healthy."""

    contrasts = {"t1w": T1W, "flair": FLAIR}

    def __init__(self, change: float, codec: object = PixelCodec()):
        self.change, self.codec, self.levels = change, codec, []

    def correct_slices(self, standardized, contrast, settings, *, slabs=None):
        scale = self.contrasts[contrast]
        moved = self.change * (scale.top - scale.background)
        self.levels.append(slabs)
        code = np.full((len(standardized), 1, 96, 80), moved, np.float32)
        return SliceCorrection(standardized - moved, code, 2)


def middle(maps: np.ndarray) -> float:
    return float(maps[..., maps.shape[-2] // 2, maps.shape[-1] // 2].mean())


@pytest.mark.parametrize("contrast", ["t1w", "flair"])
@pytest.mark.parametrize("change", [0.02, -0.1, 0.19, 0.35])
def test_pixel_space_gives_the_clipped_difference_of_pictures_in_minus_one_to_one(contrast, change):
    """Eq. 5.10 written out: both terms are min(2 |change|, 0.4) x 2.5 where everything is equally different."""
    slices = np.full((2, *SLICE_SHAPE), 0.6, np.float32)
    maps = published_slices(Brighter(change), slices, slices > 0, contrast=contrast)
    assert maps.shape == slices.shape
    assert middle(maps) == pytest.approx(2.5 * min(2 * abs(change), 0.4), rel=1e-4)
    assert 0 <= maps.min() and maps.max() <= 1 + 1e-6


def test_latents_are_compared_as_they_are():
    """The latent change is 5 x 0.02 = 0.1 standardized units, the pixel change 0.04 of [-1, 1]."""
    slices = np.full((1, *SLICE_SHAPE), 0.6, np.float32)
    maps = published_slices(Brighter(0.02, codec=object()), slices, slices > 0, contrast="t1w")
    assert middle(maps) == pytest.approx(0.5 * 2.5 * 0.04 + 0.5 * 2.5 * 0.1, rel=1e-4)


def test_a_volume_is_scored_slab_by_slab_where_there_is_brain():
    image = np.zeros(GRID_SHAPE, np.float32)
    image[40:120, 50:140, 76:86] = 0.6
    brain = image > 0
    detector = Brighter(0.05)
    score = published_volume(detector, image, brain)
    assert score.shape == GRID_SHAPE and not score[~brain].any()
    assert score[80, 95, 80] == pytest.approx(0.25, rel=1e-3)
    assert [list(levels) for levels in detector.levels] == [[38, 39, 40, 41, 42]]


def test_both_benchmarks_know_the_row():
    assert "reflect-published" in METHODS
    store = ModelStore()
    if "adult-reflect" not in store.ids():
        pytest.skip("the model adult-reflect is not in this tree")
    for method in (
        slice_method("reflect-published", store, None, device="cpu"),
        volume_method("reflect-published", store, lambda: None, device="cpu"),
    ):
        assert isinstance(method, ReflectPublished) and method.threshold is None and method.name == "reflect-published"
    assert crop_from_grid(np.zeros((1, *SLICE_SHAPE)), (189, 157)).shape == (1, 189, 157)
