"""The region atlas names places of the template as an anatomist would."""

import numpy as np
import pytest

from neurogen.preprocess.atlas import OUTSIDE, region_at, region_atlas, region_names
from neurogen.preprocess.template import template_on_grid
from neurogen.volumes import resample_to


@pytest.mark.parametrize(
    ("ras_mm", "name"),
    [
        ((-12, -18, 8), "left thalamus"),
        ((12, -18, 8), "right thalamus"),
        ((-26, 4, 2), "left putamen"),
        ((26, -22, -16), "right hippocampus"),
        ((-36, -28, 28), "left cerebral white matter"),
        ((0, -30, -35), "brainstem"),
        ((30, -65, -40), "right cerebellum"),
        ((-4, 58, 10), "left frontal cortex"),
        ((64, -18, -12), "right temporal cortex"),
        ((-8, -92, 4), "left occipital cortex"),
        ((-52, -50, 44), "left parietal cortex"),
        ((-18, -36, 18), "left lateral ventricle"),
    ],
)
def test_known_places_have_their_names(ras_mm, name):
    assert region_at(ras_mm) == name


def test_places_far_away_are_outside():
    assert region_at((0, 0, 300)) == OUTSIDE and region_at((-79, 100, 84)) == OUTSIDE


def test_every_label_has_a_name_and_left_mirrors_right():
    labels, counts = np.unique(region_atlas().array, return_counts=True)
    size = dict(zip(labels.tolist(), counts.tolist(), strict=True))
    assert set(size) - {0} == set(region_names())
    number = {name: label for label, name in region_names().items()}
    for name, label in number.items():
        if name.startswith("left "):
            other = size[number[name.replace("left", "right")]]
            assert 0.7 < size[label] / other < 1.4, name


def test_the_atlas_covers_the_template_brain_and_keeps_the_sides_apart():
    atlas = region_atlas()
    brain = resample_to(template_on_grid(), atlas.shape, atlas.affine).array > 0
    assert (atlas.array[brain] > 0).mean() > 0.99
    x = atlas.affine[0, 0] * np.arange(atlas.shape[0]) + atlas.affine[0, 3]
    left = np.isin(atlas.array, [label for label, name in region_names().items() if name.startswith("left")])
    assert left[x > 6].sum() < 0.005 * left.sum()
