"""What two markings share: cubes whose overlap is counted by hand, and scikit-learn as another way to Dice."""

import numpy as np
import pytest

from neurogen.anomaly.overlap import Overlap, overlap_of


def box(*sides):
    """A label map of 10 x 10 x 10 voxels with one box of label 3."""
    labels = np.zeros((10, 10, 10), np.int16)
    labels[tuple(slice(*side) for side in sides)] = 3
    return labels


def test_two_cubes():
    """4 x 4 x 4 = 64 and 4 x 4 x 6 = 96 voxels that share 2 x 4 x 4 = 32; voxels of 0.5 ml."""
    first, second = box((0, 4), (0, 4), (0, 4)), box((2, 6), (0, 4), (0, 6))
    assert overlap_of(first, second, voxel_ml=0.5) == Overlap(32.0, 48.0, 16.0, 64 / 160)


def test_neither_is_the_truth():
    first, second = box((0, 4), (0, 4), (0, 4)), box((2, 9), (1, 5), (0, 6))
    one, other = overlap_of(first, second, voxel_ml=0.1), overlap_of(second, first, voxel_ml=0.1)
    assert (one.first_ml, one.second_ml) == (other.second_ml, other.first_ml)
    assert (one.shared_ml, one.dice) == (other.shared_ml, other.dice)


def test_dice_is_the_f1_score_of_scikit_learn():
    from sklearn.metrics import f1_score

    rng = np.random.default_rng(3)
    first, second = rng.integers(0, 3, (2, 12, 9, 7))
    found = overlap_of(first, second, voxel_ml=1.0)
    assert found.dice == pytest.approx(f1_score(first.ravel() > 0, second.ravel() > 0))


def test_nothing_and_something():
    nothing, something = np.zeros((10, 10, 10)), box((0, 1), (0, 1), (0, 5))
    assert overlap_of(nothing, something, voxel_ml=2.0) == Overlap(0.0, 10.0, 0.0, 0.0)
    assert overlap_of(nothing, nothing, voxel_ml=2.0) == Overlap(0.0, 0.0, 0.0, None)


def test_different_grids_are_refused():
    with pytest.raises(ValueError, match=r"\(2, 2, 2\) and \(2, 2, 3\).*one grid"):
        overlap_of(np.ones((2, 2, 2)), np.ones((2, 2, 3)), voxel_ml=1.0)
