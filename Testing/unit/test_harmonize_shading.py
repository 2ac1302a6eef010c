"""A shading is read where there is one, whatever the contrast, and none where there is none."""

from dataclasses import replace

import numpy as np
import pytest
from site_builders import phantom_image

from neurogen.harmonize.shading import TERMS, monomials, places_of_cells
from neurogen.harmonize.slices import to_levels
from neurogen.harmonize.tissue_shading import fit_tissues, read_shading, strength, tissue_reference

KNOWN = np.zeros(len(TERMS))
KNOWN[[0, 1, 4]] = 0.25, -0.3, 0.2  # of x, y and x y


@pytest.fixture(scope="module")
def site():
    """Levels of three phantoms, and what a shading is read against."""
    scans = [to_levels(*phantom_image(seed=seed)) for seed in range(3)]
    return scans, tissue_reference(scans)


def shaded(levels, coefficients, gamma=1.0):
    """The scan under a contrast and a shading, its brightest at 255."""
    field = np.exp(np.tensordot(coefficients, monomials(places_of_cells()), axes=1))
    changed = np.where(levels > 0, (levels / 255) ** gamma * field, 0)
    return np.where(levels > 0, np.clip(np.round(changed / changed.max() * 255), 1, 255), 0).astype(np.uint8)


@pytest.mark.parametrize("gamma", [1.0, 1.4])
def test_a_known_shading_is_read(site, gamma):
    scans, reference = site
    scan, brain = shaded(scans[0], KNOWN, gamma), scans[0] > 0
    found = read_shading([scan], reference)
    assert strength(found - KNOWN, brain) < 0.4 * strength(KNOWN, brain)


@pytest.mark.parametrize("gamma", [1.0, 0.6, 1.8])
def test_another_contrast_is_no_shading(site, gamma):
    scans, reference = site
    other = shaded(to_levels(*phantom_image(seed=7)), 0 * KNOWN, gamma)
    found = read_shading([other], reference)
    assert strength(found, other > 0) < 0.15 * strength(KNOWN, other > 0)


def test_what_the_references_scans_vary_by_is_left(site):
    scans, reference = site
    scan = shaded(scans[0], KNOWN)
    varied = replace(reference, natural=strength(KNOWN, scans[0] > 0))
    assert (read_shading([scan], varied) == 0).all()
    assert (read_shading([scan, scan], reference) == read_shading([scan], reference)).all()


def test_a_mixture_without_shading_is_found():
    rng = np.random.default_rng(0)
    kind = rng.integers(0, 3, 6000)
    true = np.array([0.2, 0.5, 0.8])
    values = true[kind] + rng.normal(0, 0.05, kind.size)
    found = fit_tissues(values, np.full((3, kind.size), 1 / 3), true + 0.06, np.full(3, 0.1))
    assert found.levels == pytest.approx(true, abs=0.01) and found.spreads == pytest.approx(0.05, abs=0.01)
    assert (found.shares.argmax(0) == kind).mean() > 0.99 and (found.shading == 0).all()
