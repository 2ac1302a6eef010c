"""Which region a voxel gets, what the mirror is for, and what the benchmark of found regions says."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from builders import as_head, blobs
from scipy.special import softmax

from neurogen.brain_age.region_choice import best_of_each_tissue, fair_regions, keep_all, volume_bias
from neurogen.brain_age.segmentation import SegmentationSettings, Segmented, probabilities
from neurogen.brain_age.tissues import MIRRORED, TISSUE_OF, TISSUES
from neurogen.models import ModelStore
from neurogen.networks.factory import build
from neurogen.progress import silent
from neurogen.volumes import Volume, save_volume


def test_a_region_that_wins_nowhere_is_kept():
    logits = np.full((88, 4, 4, 4), -9.0, np.float32)
    logits[80], logits[79] = 1.0, 0.0
    logits[79, :2, :2, :2] = 0.9
    best = best_of_each_tissue(logits)
    assert set(np.unique(best[TISSUE_OF[80]])) == {80}
    kept = keep_all(best, logits, np.full((4, 4, 4), TISSUE_OF[80]))[TISSUE_OF[80]]
    assert (kept[:2, :2, :2] == 79).all() and (kept == 80).any()
    assert {79, 80} < set(np.unique(kept))


def test_regions_get_the_volumes_of_their_probabilities():
    """Three regions of one tissue; the third is less likely than its neighbors nearly everywhere."""
    rng = np.random.default_rng(0)
    logits = (np.log([0.4, 0.4, 0.2])[:, None] + rng.normal(0, 0.5, (3, 30_000))).astype(np.float32)
    wanted = softmax(logits, axis=0).mean(axis=1)
    assert (logits.argmax(0) == 2).mean() < 0.6 * wanted[2]
    won = np.bincount((logits + volume_bias(logits)[:, None]).argmax(0), minlength=3) / logits.shape[1]
    np.testing.assert_allclose(won, wanted, atol=0.03)
    sure = np.full((2, 100), -9.0, np.float32)
    sure[0, :70], sure[1, 70:] = 9.0, 9.0
    assert np.array_equal((sure + volume_bias(sure)[:, None]).argmax(0), sure.argmax(0))


def test_fair_regions_stay_in_their_tissue():
    rng = np.random.default_rng(1)
    logits = rng.normal(size=(88, 8, 8, 8)).astype(np.float32)
    found = fair_regions(logits, rng.integers(0, len(TISSUES), (8, 8, 8)))
    for number in range(1, len(TISSUES)):
        assert set(np.unique(TISSUE_OF[found[number]])) == {number}


def test_a_mirrored_scan_gives_mirrored_regions():
    """Whatever the weights: what is seen in the mirror counts as much as what is seen directly."""
    torch.manual_seed(0)
    network = build({"factory": "region_unet", "arguments": {"filters": [4, 8, 8], "details": 2}})
    for weight in network.parameters():
        torch.nn.init.normal_(weight, std=0.3)
    image = np.zeros((40, 36, 32), np.float32)
    image[6:-6, 6:-6, 6:-6] = np.random.default_rng(2).random((28, 24, 20)).astype(np.float32) + 0.1
    one, other = (
        probabilities(Volume(array, np.diag([0.8, 0.8, 0.8, 1.0])), array > 0, network, SegmentationSettings(), silent)
        for array in (image, image[::-1].copy())
    )
    np.testing.assert_allclose(other.tissue[:, ::-1], one.tissue, atol=1e-5)
    assert one.tissue.std() > 0.01 and (MIRRORED[other.region[:, ::-1]] == one.region).mean() > 0.98


def test_the_benchmark_divides_the_shift_of_the_age(tmp_path, monkeypatch):
    """Left and right exchanged: every tissue agrees, no paired region does, and the shift is the sum of its parts."""
    from neurogen.brain_age.age_model import load_age_model
    from neurogen.evaluation import regions as benchmark

    head = as_head(blobs(), head_ml=70)
    head = head.with_array(head.array.astype(np.uint8))
    for number in range(4):
        save_volume(head, tmp_path / f"brain{number}_regions.nii.gz")
    save_volume(head.with_array(head.array.astype(np.float32)), tmp_path / "brain2_T2w.nii.gz")
    exchanged = head.with_array(MIRRORED[head.array].astype(np.uint8))
    monkeypatch.setattr(benchmark, "load_segmenter", lambda model, device: None)
    monkeypatch.setattr(benchmark, "segment_regions", lambda *given: Segmented(exchanged, exchanged))
    model = SimpleNamespace(id="fake", manifest={"training": {"kept_apart": ["brain2"]}})
    table = benchmark.measure(tmp_path, model, load_age_model(ModelStore().get("neonatal-age")))
    assert list(table.rows) == ["brain2", "mean"]
    row = table.rows["brain2"]
    assert row["dice_tissues"] == 1 and table.facts["dice_by_region"]["brainstem"] == 1
    assert table.facts["dice_by_region"]["hippocampus, left"] == 0
    assert row["shift_rv"] + row["shift_svr"] == pytest.approx(row["age_found"] - row["age_given"])
    assert abs(row["age_shift"]) > 0.1 and table.rows["mean"]["age_shift"] == abs(row["age_shift"])
