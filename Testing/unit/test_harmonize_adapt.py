"""Adaptation: goes where the likelihood is, stops by its rule, keeps its best state, and is the same every time."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from site_builders import NearTruth, phantom_image

from neurogen.errors import Cancelled, UsageError
from neurogen.harmonize.adapt import AdaptationSettings, SiteStack, adapt, mean_entropy, spread_over_scans
from neurogen.harmonize.landmarks import landmarks_of
from neurogen.harmonize.shading import places_of_pictures
from neurogen.harmonize.slices import pictures, to_levels, voxels_of_pictures
from neurogen.harmonize.transform import CurveTransform, NetworkTransform
from neurogen.networks.harmonizer_unet import build

STANDARD = torch.linspace(0.2, 0.8, 41)[None]
QUICK = AdaptationSettings(most_steps=30, evaluate_every=5, slices=8, batch_size=4, hold=0.0)


@pytest.fixture
def stack():
    rng = np.random.default_rng(0)
    levels = rng.integers(80, 160, (8, 96, 80))
    levels[:, :20] = 0
    return SiteStack(
        levels.astype(np.uint8),
        levels[:, None].repeat(8, 1).astype(np.float32),
        places_of_pictures("axial")[30:38],
        torch.cat([STANDARD.expand(8, -1), torch.zeros(8, 9)], dim=1),
    )


def curve_transform(**options):
    return CurveTransform(build(widths=(4, 6), nodes=8), STANDARD[0].numpy(), **options)


@pytest.mark.parametrize(
    "curve", [lambda x: x**1.8, lambda x: 0.4 + 0.6 * x, lambda x: x**0.5], ids=["1.8", "+", "0.5"]
)
def test_scans_that_differ_by_a_rising_curve_become_the_same(curve):
    image, brain = phantom_image()
    standard = landmarks_of(image[brain])
    changed = np.where(brain, curve(image), 0).astype(np.float32)
    transform = CurveTransform(build(widths=(4, 6), nodes=8), standard, own_curve=False)
    read = transform.read(changed, brain, ("axial",))
    harmonized = transform.on_grid(SimpleNamespace(image=changed, brain=brain), read)
    ordinary = brain & (image > standard[0]) & (image < standard[-1])
    assert np.abs(harmonized - image)[ordinary].max() < 0.03
    assert np.abs(harmonized - image)[ordinary].mean() < 0.002 < 0.05 < np.abs(changed - image)[ordinary].mean()
    assert landmarks_of(harmonized[brain]) == pytest.approx(standard, abs=1e-3)


def test_adaptation_sees_the_pictures_that_will_be_given_out():
    image, brain = phantom_image(gamma=0.6)
    transform = CurveTransform(build(widths=(4, 6), nodes=8), landmarks_of(phantom_image()[0][brain]), own_curve=False)
    with torch.no_grad():
        transform.shading[1] = 0.3
    scan = SimpleNamespace(image=image, brain=brain)
    read = transform.read(image, brain, ("axial",))
    levels = to_levels(image, brain)
    with torch.no_grad():
        seen = transform.pictures(
            torch.from_numpy(pictures(levels, "coronal")[:, None].astype(np.float32)),
            torch.from_numpy(255 * voxels_of_pictures(image * brain, "coronal")),
            torch.from_numpy(places_of_pictures("coronal")),
            read,
        )
    given = pictures(to_levels(transform.on_grid(scan, read), brain), "coronal")
    off = np.abs(np.where(given > 0, seen[:, 0].numpy(), 0) - given)
    assert (given > 0).sum() > 50_000 and off.max() < 3 and off.mean() < 0.5


def test_it_stops_at_the_source_bits(stack):
    result = adapt(curve_transform(), NearTruth(150.0), stack, 0.5, QUICK)
    assert result.reason == "source bits" and result.after <= 0.5 < result.before
    assert result.curve[0][1] == result.before and result.curve[-1][0] == result.steps


def test_what_is_likely_already_is_not_moved(stack):
    transform = curve_transform()
    result = adapt(transform, NearTruth(119.0), stack, 5.0, QUICK)
    assert result.steps == 0 and (transform.shift == 0).all() and (transform.shading == 0).all()


def test_the_cap_ends_it(stack):
    result = adapt(curve_transform(), NearTruth(150.0), stack, -1.0, replace(QUICK, stop="cap", most_steps=7))
    assert result.reason == "cap" and result.curve[-1][0] == 7


def test_no_gain_ends_it_and_the_best_state_is_kept(stack):
    """A learning rate so high that every step overshoots: the start was best."""
    transform = curve_transform()
    settings = replace(QUICK, learning_rate=50.0, patience=2)
    result = adapt(transform, NearTruth(119.4), stack, -1.0, settings)
    assert result.reason == "no further gain" and result.steps == 0
    assert (transform.shift == 0).all() and (transform.shading == 0).all()


def test_what_cannot_reach_the_source_bits_is_given_up_where_that_is_asked(stack):
    transform = curve_transform()
    settings = replace(QUICK, most_steps=5, must_reach=True)
    result = adapt(transform, NearTruth(150.0), stack, -1.0, settings)
    assert result.reason == "out of reach" and result.steps == 0 and result.after == result.before
    assert len(result.curve) > 1 and (transform.shift == 0).all() and (transform.shading == 0).all()


def test_the_same_seed_gives_the_same_result(stack):
    found = []
    for seed in (0, 0, 1):
        transform = curve_transform()
        adapt(transform, NearTruth(150.0), stack, 0.0, replace(QUICK, seed=seed, most_steps=10))
        found.append(transform.adapted()["shift"])
    assert torch.equal(found[0], found[1]) and not torch.equal(found[0], found[2])


def test_the_flow_stays_frozen(stack):
    flow = NearTruth(150.0)
    adapt(curve_transform(), flow, stack, 0.0, QUICK)
    assert float(flow.wanted) == 150.0


def test_without_shading_only_the_curve_moves(stack):
    transform = curve_transform(shading=False)
    adapt(transform, NearTruth(150.0), stack, 0.0, QUICK)
    assert (transform.shading == 0).all() and (transform.shift != 0).any()


def test_the_published_head_adapts_its_weights(stack):
    transform = NetworkTransform(build(widths=(4, 6), head="affine"))
    before = transform.adapted()
    result = adapt(transform, NearTruth(150.0), stack, 0.0, replace(QUICK, learning_rate=1e-2))
    assert result.after < result.before
    assert any(not torch.equal(before[name], value) for name, value in transform.adapted().items())


def test_the_least_entropy_ends_it(stack):
    """A segmenter surest at level 130: beyond it, doubt grows again although likelihood does."""

    def segmenter(pictures):
        sure = -200 * (pictures - 130 / 255).abs()
        return torch.cat([sure.exp() * 5, torch.zeros_like(sure)], dim=1)

    with pytest.raises(UsageError, match="segmentation network"):
        adapt(curve_transform(), NearTruth(200.0), stack, 0.0, replace(QUICK, stop="entropy"))
    settings = replace(QUICK, stop="entropy", most_steps=60, patience=3)
    result = adapt(curve_transform(), NearTruth(200.0), stack, 0.0, settings, segmenter=segmenter)
    doubts = {step: doubt for step, _, doubt in result.curve}
    assert doubts[result.steps] == min(doubts.values())


def test_entropy_of_equal_shares_is_log_of_the_classes():
    assert mean_entropy(torch.zeros(1, 4, 2, 2), np.ones((1, 2, 2))) == pytest.approx(np.log(4))


def test_cancel_goes_through(stack):
    def cancel(stage, fraction):
        raise Cancelled("stop")

    with pytest.raises(Cancelled):
        adapt(curve_transform(), NearTruth(150.0), stack, 0.0, QUICK, progress=cancel)


def test_unknown_rules_are_told():
    with pytest.raises(UsageError, match="bits, entropy, cap"):
        AdaptationSettings(stop="never")


def test_slices_are_shared_among_scans():
    chosen = spread_over_scans([60, 60, 3], 24)
    assert [len(c) for c in chosen] == [8, 8, 3]
    assert chosen[0][0] == 3 and chosen[0][-1] == 56  # middles of eight equal parts, not the ends
    assert abs(chosen[0].mean() - 29.5) <= 0.5
