"""Training slices are leveled by the field that detection finds in the whole scan."""

import numpy as np
import pytest
from builders import phantom

from neurogen.anomaly.detector import SLAB, to_slabs
from neurogen.anomaly.leveling import Leveling
from neurogen.preprocess.grid import GRID_AFFINE, GRID_SHAPE, to_slices
from neurogen.training.cache import SliceCache, to_uint8, write_index, write_scan
from neurogen.training.healthy_context import volume_of
from neurogen.training.level_slices import SliceLeveling


@pytest.fixture(scope="module")
def scans(tmp_path_factory):
    """A cache of a phantom, `even`, and of the same phantom under a smooth field, `shaded`; with its leveling."""
    folder = tmp_path_factory.mktemp("cache")
    image, brain = phantom(GRID_SHAPE, GRID_AFFINE, noise=0.0, rng=np.random.default_rng(0))
    even = 0.7 * np.clip(image.array, 0, 1)
    slope = np.exp(0.15 * np.linspace(-1, 1, GRID_SHAPE[2], dtype=np.float32))
    rows = []
    for name, array in (("even", even), ("shaded", even * slope)):
        write_scan(folder, name, to_uint8(np.clip(array, 0, 1), brain.array), GRID_AFFINE)
        rows.append({"id": name, "source": "phantom", "split": "train", "contrast": "t1w"})
    write_index(folder, "t1", rows)
    cache = SliceCache.load(folder)
    slabs, inside = to_slabs(*volume_of(cache, "even"))
    cells = (slabs * inside).reshape(80, 96, 2, 80, 2).mean((2, 4))
    share = inside.reshape(80, 96, 2, 80, 2).mean((2, 4))
    mean = np.maximum(cells / np.maximum(share, 1e-3), 0.1)
    return cache, Leveling(np.log(mean).astype(np.float32), np.full(mean.shape, 0.05, np.float32), sigma_cells=8.0)


def slices_of(cache, name):
    index = np.flatnonzero((cache.subject == name) & (cache.coverage > 0.1))
    return cache.images[index].astype(np.float32) / 255, index


def test_an_even_scan_stays(scans):
    cache, leveling = scans
    slices, index = slices_of(cache, "even")
    np.testing.assert_allclose(SliceLeveling(cache, leveling)(slices, index), slices, atol=0.005)


def test_a_shaded_scan_comes_nearer_to_the_even_one(scans):
    cache, leveling = scans
    even, _ = slices_of(cache, "even")
    shaded, index = slices_of(cache, "shaded")
    leveled = SliceLeveling(cache, leveling)(shaded, index)
    brain = shaded > 0
    assert np.abs(leveled - even)[brain].mean() < 0.4 * np.abs(shaded - even)[brain].mean()


def test_slices_are_leveled_as_the_volume_is(scans):
    """The slab that detection sees, divided by the field that detection finds."""
    cache, leveling = scans
    image, brain = volume_of(cache, "shaded")
    slabs, inside = to_slabs(image, brain)
    field = leveling.field_of_slabs(slabs, inside)
    shaded, index = slices_of(cache, "shaded")
    level = int(cache.level[index[5]])
    ratio = shaded[5] / np.maximum(SliceLeveling(cache, leveling)(shaded[5:6], index[5:6])[0], 1e-6)
    inner = to_slices(brain)[level]
    expected = field[level // SLAB].repeat(2, 0).repeat(2, 1)
    np.testing.assert_allclose(ratio[inner], expected[inner], rtol=0.01)


def test_a_field_is_found_once(scans):
    cache, leveling = scans
    level = SliceLeveling(cache, leveling)
    assert level.field_of("shaded") is level.field_of("shaded")
    assert level.field_of("shaded").dtype == np.float16
