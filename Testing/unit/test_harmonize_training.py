"""The recipes of flow and harmonizer: margin and negatives, one call for the pair, and what the manifest says."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from site_builders import FLOW, LOOP, build_site, write_site_cache

from neurogen.commands.train import RECIPES, build_settings
from neurogen.harmonize.flow import bits, fixed_noise
from neurogen.harmonize.site import load_site
from neurogen.harmonize.slices import pictures, site_scans, spread
from neurogen.manifest import check_manifest
from neurogen.models import ModelStore
from neurogen.training.cache import SliceCache
from neurogen.training.recipe_flow import FlowTask, area_under_curve, mean_logit
from neurogen.training.recipe_harmonizer import HarmonizerSettings, HarmonizerTask, reconstruction_loss, run


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    return write_site_cache(tmp_path_factory.mktemp("cache"))


@pytest.fixture(scope="module")
def slices(cache):
    return SliceCache.load(cache)


def test_area_under_curve_equals_scikit_learn():
    from sklearn.metrics import roc_auc_score

    rng = np.random.default_rng(0)
    low, high = rng.normal(0, 1, 40).round(1), rng.normal(1, 1, 30).round(1)
    expected = roc_auc_score([0] * 40 + [1] * 30, np.concatenate([low, high]))
    assert area_under_curve(low, high) == pytest.approx(expected)


def test_the_loss_is_source_minus_clipped_negatives(slices):
    task = FlowTask(slices, FLOW, facts={})

    def flow(levels, noise):
        count = (levels > 0).flatten(1).sum(1)
        return -costs * np.log(2) * count

    task.network.forward = flow
    # Two changed slices, then their sources: the first is told apart by more than the margin, the second by 0.5 bits.
    costs = torch.tensor([9.0, 5.5, 4.0, 5.0])
    loss = task.training_loss(0, torch.Generator().manual_seed(0))
    assert float(loss) == pytest.approx(4.5 + FLOW.negative_weight * (FLOW.margin - 0.5) / 2, abs=1e-4)


def test_negatives_are_changed_copies_of_source_slices(slices):
    task = FlowTask(slices, FLOW, facts={})
    levels, negatives = task.draw(6, torch.Generator().manual_seed(4))
    changed, source = levels[:negatives], levels[negatives : 2 * negatives]
    assert negatives == 3 and torch.equal(changed > 0, source > 0)
    for one, other in zip(changed.flatten(1), source.flatten(1), strict=True):
        order = other[other > 0].argsort()
        assert (one[other > 0][order].diff() >= 0).all() and not torch.equal(one, other)


def test_the_same_draw_of_a_generator_is_the_same_batch(slices):
    task = FlowTask(slices, FLOW, facts={})
    first, negatives = task.draw(4, torch.Generator().manual_seed(1))
    again, _ = task.draw(4, torch.Generator().manual_seed(1))
    assert torch.equal(first, again) and negatives == 2
    assert torch.equal(first, first.round()) and first.min() >= 0 and first.max() <= 255


def test_mean_logit_is_that_of_the_levels():
    levels = np.array([0, 127, 128, 0], np.uint8)
    offset, scale = mean_logit({"a": levels})
    assert offset == pytest.approx(0.0, abs=1e-3) and scale == pytest.approx(np.log(128.5 / 127.5), abs=1e-3)


def test_bits_are_repeatable_and_independent_of_the_batch(cache, slices, tmp_path_factory):
    task = FlowTask(slices, FLOW, facts={})
    stack = spread(pictures(site_scans(slices, "t1w", "calibrate")["s2"], "axial"), 5)
    whole, single = bits(task.network, stack), bits(task.network, stack, batch_size=1)
    assert np.allclose(whole.brain, single.brain, atol=1e-4)
    assert np.allclose(whole.frame, whole.brain * (stack > 0).mean((1, 2)))
    assert torch.equal(fixed_noise((3, 1, 4, 4))[0], fixed_noise((1, 1, 4, 4))[0])


def test_changed_and_source_slices_share_their_brain(slices, tmp_path):
    task = HarmonizerTask(slices, HarmonizerSettings(widths=(4, 6), nodes=8, loop=LOOP), facts={}, flow=tmp_path)
    changed, source = task.draw(6, torch.Generator().manual_seed(2))
    assert torch.equal(changed > 0, source > 0) and not torch.equal(changed, source)
    for a, b in zip(changed, source, strict=True):  # monotone: order of levels is kept
        order = b.flatten()[b.flatten() > 0].argsort()
        assert (a.flatten()[b.flatten() > 0][order].diff() >= -1e-4).all()


def test_the_loss_of_a_perfect_harmonizer_is_0():
    source = torch.rand(2, 1, 24, 24, generator=torch.Generator().manual_seed(3))
    assert float(reconstruction_loss(source, source)) == pytest.approx(0.0, abs=1e-5)
    assert float(reconstruction_loss(source * 0.5, source)) > 0.2


@pytest.mark.slow
def test_one_call_makes_the_pair(cache, tmp_path):
    settings = HarmonizerSettings(model_id="pair", flow_steps=1, widths=(4, 6), nodes=8, loop=LOOP)
    result = run(cache, tmp_path, settings)
    assert result.steps == 1
    site = load_site(ModelStore().get(str(tmp_path / "pair")))
    assert site.planes == ("axial",) and site.histogram.sum() == pytest.approx(1.0, abs=1e-2)
    assert (np.diff(site.quantiles) >= 0).all() and site.source_bits["axial"]["scans"] == 1


@pytest.mark.parametrize("head", ["image", "affine", "curve"])
def test_every_head_trains_and_is_exported(cache, tmp_path, head):
    model = build_site(cache, tmp_path, head=head)
    assert check_manifest(model.manifest) == []
    assert model.manifest["network"]["arguments"]["head"] == head
    assert {"most_bits", "source_bits", "reference_unit"} <= set(model.manifest["calibration"])
    protocols = [row["protocol"] for row in model.manifest["measured"]]
    assert any("whole scans" in p for p in protocols) and any("harmonizer alone" in p for p in protocols)
    site = load_site(model)
    assert site.harmonizer.head == head
    calibration = model.manifest["calibration"]
    assert site.most_bits("axial") == max(calibration["most_bits"], calibration["source_bits"]["axial"]["brain_most"])


def test_settings_reach_the_recipes_from_the_command_line():
    assert RECIPES["harmonizer"].endswith("recipe_harmonizer") and RECIPES["flow"].endswith("recipe_flow")
    settings = build_settings(HarmonizerSettings, {"head": "affine", "flow_steps": 7, "steps": 3})
    assert (settings.head, settings.flow_steps, settings.loop.steps) == ("affine", 7, 3)
    assert replace(settings, head="curve").head == "curve"
