"""The slice cache: what goes in comes out, at its level, and changed scans are noticed."""

import numpy as np
import pytest

from neurogen.errors import InputRefused
from neurogen.preprocess.grid import GRID_AFFINE, GRID_SHAPE, from_slices
from neurogen.training.cache import SliceCache, pad_pictures, to_uint8, write_index, write_scan
from neurogen.training.splits import kept_apart


def head(seed: int, levels: slice) -> np.ndarray:
    """A block of brain on some levels, of random brightness in (0, 1]."""
    image = np.zeros(GRID_SHAPE, np.float32)
    block = image[40:120, 50:150, levels]
    block[:] = np.random.default_rng(seed).uniform(0.0005, 1, block.shape)
    return image


def prepared(seed: int, levels: slice) -> np.ndarray:
    image = head(seed, levels)
    return to_uint8(image, image > 0)


@pytest.fixture
def folder(tmp_path):
    for k, name in enumerate(("a", "b")):
        write_scan(tmp_path, name, prepared(k, slice(30 + k, 60)), GRID_AFFINE)
    write_index(tmp_path, "t1", [{"id": "a", "split": "train"}, {"id": "b", "split": "test", "contrast": "t2w"}])
    return tmp_path


def test_slices_come_back_at_their_levels(folder):
    cache = SliceCache.load(folder)
    assert len(cache) == 59 and cache.images.shape == (59, 192, 160)
    mine = cache.subject == "a"
    volume = np.zeros((160, 192, 160), np.uint8)
    volume[cache.level[mine]] = cache.images[mine]
    image = head(0, slice(30, 60))
    assert np.abs(from_slices(volume) / 255 - image).max() <= 1 / 255
    np.testing.assert_array_equal(from_slices(volume) > 0, image > 0)  # faint brain voxels stay brain
    np.testing.assert_allclose(cache.coverage, cache.brain.mean((1, 2)), rtol=1e-6)


def test_where_picks_split_and_contrast(folder):
    cache = SliceCache.load(folder)
    assert set(cache.subject[cache.where(split="train")]) == {"a"}
    assert set(cache.contrast[cache.where(split="test")]) == {"t2w"}
    assert len(cache.where(split="train", contrast="t2w")) == 0


def test_slices_with_little_brain_are_left_out(folder):
    assert len(SliceCache.load(folder, minimum_coverage=0.25)) == 59  # 80 x 100 of 192 x 160 is 0.26
    with pytest.raises(InputRefused, match="no slice to train on"):
        SliceCache.load(folder, minimum_coverage=0.27)


def test_a_changed_scan_is_read_again(folder):
    assert (SliceCache.load(folder).subject == "a").sum() == 30
    write_scan(folder, "a", prepared(3, slice(20, 60)), GRID_AFFINE)
    assert (SliceCache.load(folder).subject == "a").sum() == 40


def test_missing_and_damaged_scans_are_refused(folder, tmp_path):
    (folder / "a.npz").write_bytes(b"not a scan")
    with pytest.raises(InputRefused, match=r"a\.npz is not a prepared scan"):
        SliceCache.load(folder)
    (folder / "a.npz").unlink()
    with pytest.raises(InputRefused, match="lacks the scans"):
        SliceCache.load(folder)
    with pytest.raises(InputRefused, match="no index"):
        SliceCache.load(tmp_path / "empty")


def test_pictures_are_padded_and_never_rescaled():
    pictures = np.random.default_rng(0).integers(1, 255, (3, 189, 157)).astype(np.uint8)
    padded = pad_pictures(pictures)
    np.testing.assert_array_equal(padded[:, 1:190, 1:158], pictures)
    assert padded.sum() == pictures.sum(dtype=np.int64)
    with pytest.raises(InputRefused, match="do not fit"):
        pad_pictures(np.zeros((1, 193, 160), np.uint8))


def test_a_stack_of_few_levels_is_placed_at_them(folder):
    picture = np.full((160, 192, 1), 9, np.uint8)
    write_scan(folder, "x", picture, GRID_AFFINE, first_level=87)
    write_index(folder, "flair", [{"id": "x", "split": "train"}])
    cache = SliceCache.load(folder)
    k = cache.where(contrast="flair")
    assert len(cache) == 60 and list(cache.level[k]) == [87] and (cache.images[k] == 9).all()
    with pytest.raises(InputRefused, match="float32"):
        write_scan(folder, "y", picture.astype(np.float32), GRID_AFFINE)


def test_subjects_kept_apart_are_the_first_of_the_listed_permutation():
    ids = [f"sub-{k:02d}" for k in range(46)]
    split = kept_apart(reversed(ids))
    drawn = [ids[k] for k in np.random.default_rng(20260101).permutation(46)[:10]]
    assert list(split.calibrate + split.test) == drawn
    assert sorted(split.train + split.calibrate + split.test) == ids
    assert split.role(drawn[0]) == "calibrate" and split.role(drawn[9]) == "test"
    with pytest.raises(ValueError, match="cannot give"):
        kept_apart(ids[:5])
