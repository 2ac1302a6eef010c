"""Finding regions: placed exactly on any grid, refused where there is no extracted brain, trained from label maps."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from builders import blobs
from torch import nn
from torch.nn import functional

from neurogen import cli
from neurogen.brain_age.label_maps import dice_of, find_maps, split_names
from neurogen.brain_age.regions import LABELS, region_of
from neurogen.brain_age.segmentation import (
    MODEL_ID,
    SegmentationSettings,
    TissueProbabilities,
    labels_on,
    load_segmenter,
    segment_regions,
)
from neurogen.brain_age.tissues import MIRRORED, TISSUE_OF, TISSUES
from neurogen.errors import InputRefused, ModelUnavailable
from neurogen.models import ModelStore, write_model
from neurogen.networks.factory import build
from neurogen.networks.region_unet import PRIOR_REACH, PRIOR_SHAPE
from neurogen.synth.newborns import (
    NewbornSettings,
    coordinates,
    draw_newborn,
    mirrored_map,
    newborn_map,
    prior_of,
    scaled,
)
from neurogen.training import recipe_regions as recipe
from neurogen.training.loop import LoopSettings
from neurogen.volumes import Volume, load_volume, resample_to, save_volume

ONCE = SegmentationSettings(mirror=False)  # the stand-in below does not know left from right
OBLIQUE = np.array([[0.76, -0.2, 0.1, -20], [0.21, 0.75, 0.12, -31], [-0.12, -0.08, 0.78, -14], [0, 0, 0, 1.0]])


class Oracle(nn.Module):
    """Stands in for the network: the image holds the labels, 1.0 is the label `top`."""

    def __init__(self, top: float):
        super().__init__()
        self.top = top

    def forward(self, scan, *, whole=True):
        labels = (scan[:, 0] * self.top).round().long().clamp(0, 87)
        tissues = functional.one_hot(torch.from_numpy(TISSUE_OF)[labels], len(TISSUES)).movedim(-1, 1).float()
        regions = functional.one_hot(labels[:, ::2, ::2, ::2], 88).movedim(-1, 1).float()
        return 30 * tissues, 30 * regions if whole else None


@pytest.fixture(scope="module")
def labels() -> np.ndarray:
    found = blobs((78, 84, 70))
    return np.where(found == 84, 0, found)


@pytest.fixture(scope="module")
def oracle(labels) -> Oracle:
    return Oracle(float(np.percentile(labels[labels > 0], 98)))


def as_scan(labels: np.ndarray, affine: np.ndarray) -> Volume:
    return Volume(labels.astype(np.float32), affine)


def test_every_region_has_one_tissue_and_an_other_side():
    assert (TISSUE_OF[LABELS] > 0).all() and TISSUE_OF[0] == TISSUE_OF[84] == 0
    assert set(TISSUE_OF) == set(range(len(TISSUES)))
    assert (MIRRORED[MIRRORED[LABELS]] == LABELS).all()
    assert (TISSUE_OF[MIRRORED[LABELS]] == TISSUE_OF[LABELS]).all()
    assert region_of(int(MIRRORED[79])).name == "frontal lobe WM, left" and MIRRORED[48] == 48


def test_regions_lie_on_the_scan(labels, oracle):
    affine = np.diag([0.8, 0.8, 0.8, 1.0])
    scan = as_scan(labels, affine)
    found = segment_regions(scan, oracle, ONCE)
    assert found.labels.shape == labels.shape and found.labels.array.dtype == np.uint8
    assert (TISSUE_OF[found.labels.array] == TISSUE_OF[labels]).mean() > 0.99
    assert dice_of(found.labels.array, labels, LABELS).mean() > 0.93
    assert found.measured.spacing_mm == pytest.approx((0.5, 0.5, 0.5))
    again = resample_to(found.measured, labels.shape, affine, order=0).array
    assert dice_of(again, found.labels.array, LABELS).mean() > 0.85


@pytest.mark.parametrize("kind", ["flipped", "turned"])
def test_the_order_of_the_axes_does_not_matter(labels, oracle, kind):
    plain = Volume(labels.astype(np.uint8), np.diag([0.8, 0.8, 0.8, 1.0]))
    if kind == "flipped":
        mirror = np.diag([-1.0, 1, 1, 1])
        mirror[0, 3] = labels.shape[0] - 1
        given = Volume(plain.array[::-1], plain.affine @ mirror)
    else:
        given = Volume(plain.array.transpose(2, 0, 1), plain.affine[:, [2, 0, 1, 3]])
    found = segment_regions(as_scan(given.array, given.affine), oracle, ONCE).labels
    expected = segment_regions(as_scan(plain.array, plain.affine), oracle, ONCE).labels
    back = resample_to(found, plain.shape, plain.affine, order=0)
    assert (back.array == expected.array).mean() > 0.999


def test_an_oblique_grid_gets_the_labels_that_lie_there(labels):
    """Probabilities on a grid along the axes, labels on a turned and sheared one: those of the nearest voxel."""
    plain = Volume(labels.astype(np.uint8), np.diag([0.8, 0.8, 0.8, 1.0]))
    tissue = np.stack([TISSUE_OF[labels] == number for number in range(len(TISSUES))]).astype(np.float32)
    region = np.where(tissue > 0, labels, 0).astype(np.uint8)
    found = labels_on(TissueProbabilities(tissue, region, plain.affine), (110, 120, 100), OBLIQUE)
    expected = resample_to(plain, (110, 120, 100), OBLIQUE, order=0).array
    assert (found == expected)[expected > 0].mean() > 0.85
    assert dice_of(found > 0, expected > 0, [1])[0] > 0.98
    for label in (17, 80):
        places = [np.argwhere(one == label).mean(0) for one in (found, expected)]
        assert np.abs(OBLIQUE[:3, :3] @ (places[0] - places[1])).max() < 0.5


def test_what_is_no_extracted_brain_is_refused(labels, oracle):
    fine = np.diag([0.8, 0.8, 0.8, 1.0])
    with pytest.raises(InputRefused, match="without skull"):
        segment_regions(Volume(labels.astype(np.float32) + 1, fine), oracle, ONCE)
    with pytest.raises(InputRefused, match="60 to 900 ml"):
        segment_regions(
            Volume(labels[:40, :40, :40].astype(np.float32) * (labels[:40, :40, :40] == 5), fine), oracle, ONCE
        )
    with pytest.raises(InputRefused, match="at most 1 mm"):
        segment_regions(as_scan(labels, np.diag([0.8, 0.8, 2.0, 1.0])), oracle, ONCE)
    with pytest.raises(ModelUnavailable, match="one for regions is needed"):
        load_segmenter(ModelStore().get("neonatal-age"))


def test_a_perfect_answer_costs_nothing(labels):
    given = torch.from_numpy(labels[None, 10:42, 10:42, 10:42].astype(np.int64))
    tissues = 50 * functional.one_hot(torch.from_numpy(TISSUE_OF)[given], len(TISSUES)).movedim(-1, 1).float()
    assert recipe.tissue_loss(tissues, given, 1.0) == pytest.approx(0, abs=1e-3)
    for corner in ([0, 0, 0], [1, 0, 1]):
        picked = given[:, corner[0] :: 2, corner[1] :: 2, corner[2] :: 2]
        perfect = 50 * functional.one_hot(picked, 88).movedim(-1, 1).float()
        assert recipe.region_loss(perfect, given, corner) == pytest.approx(0, abs=1e-3)
    # Knowing nothing costs the logarithm of the number of regions of the tissue.
    white = torch.full((1, 4, 4, 4), 79)
    members = int((TISSUE_OF == TISSUE_OF[79]).sum())
    assert recipe.region_loss(torch.zeros(1, 88, 2, 2, 2), white, [0, 0, 0]) == pytest.approx(np.log(members))


def test_drawn_brains_are_what_the_settings_say(labels):
    image = np.where(labels > 0, 1.0 + TISSUE_OF[labels], 0)
    one = newborn_map(labels, image, fluid=(83, 85), spacing_mm=0.8, count=88)
    settings = NewbornSettings(shape=(40, 40, 40))
    drawn = [draw_newborn(one, TISSUE_OF, np.random.default_rng(seed), settings) for seed in (3, 3, 4)]
    assert np.array_equal(drawn[0].scan, drawn[1].scan) and not np.array_equal(drawn[0].scan, drawn[2].scan)
    assert drawn[0].scan.shape == (4, 40, 40, 40) and drawn[0].scan.dtype == np.float32
    assert set(np.unique(drawn[0].labels)) <= set(np.unique(labels)) and np.isfinite(drawn[0].scan).all()
    assert np.abs(drawn[0].scan[1:]).max() <= 1.5
    whole = replace(settings, trim_share=0.0, rim_share=0.0)
    kept = draw_newborn(one, TISSUE_OF, np.random.default_rng(5), whole)
    assert ((kept.scan[0] > 0) == (kept.labels > 0)).all()


def test_the_other_hand_is_mirrored(labels):
    one = newborn_map(labels, None, fluid=(83, 85), spacing_mm=0.8, count=88)
    other = mirrored_map(one, MIRRORED)
    assert (other.labels[::-1] == MIRRORED[one.labels]).all()
    assert (mirrored_map(other, MIRRORED).labels == one.labels).all()
    assert (other.labels[tuple(other.places.T)] == MIRRORED[one.labels[tuple(one.places.T)]]).all()


def test_coordinates_and_scale():
    axes = coordinates((5, 3, 3), np.array([0.0, 0, 0]), np.array([4.0, 2, 2]))
    assert axes[0, :, 0, 0] == pytest.approx([-1, -0.5, 0, 0.5, 1]) and axes[2, 0, 0, :] == pytest.approx([-1, 0, 1])
    assert np.percentile(scaled(np.arange(1000.0))[1:], 98) == pytest.approx(1, abs=1e-3)
    assert not scaled(np.zeros((2, 2))).any()


def test_every_fourth_map_is_kept_apart(tmp_path):
    with pytest.raises(InputRefused, match="at least 4"):
        find_maps(tmp_path)
    names = {f"week_{week}": tmp_path for week in range(23, 39)}
    train, kept = split_names(names)
    assert list(kept) == ["week_25", "week_29", "week_33", "week_37"] and len(train) == 12


def test_training_gives_a_model_that_finds_regions(labels, tmp_path):
    affine = np.diag([0.8, 0.8, 0.8, 1.0])
    for number in range(4):
        save_volume(Volume(labels.astype(np.uint8), affine), tmp_path / f"brain{number}_regions.nii.gz")
        save_volume(
            as_scan(np.where(labels > 0, 1 + TISSUE_OF[labels], 0), affine), tmp_path / f"brain{number}_T2w.nii.gz"
        )
    settings = recipe.RegionsSettings(
        head_steps=1,
        loop=LoopSettings(steps=2, batch_size=1, validate_every=2, patience_gain=0.0, threads=1),
        filters=(4, 8, 8),
        details=2,
        drawing=NewbornSettings(shape=(32, 32, 32)),
    )
    result = recipe.run(tmp_path, tmp_path / "out", settings)
    model = ModelStore().get(f"{tmp_path}/out/{MODEL_ID}")
    assert result.steps == 2 and model.manifest["training"]["kept_apart"] == ["brain2"]
    assert model.manifest["training_data"][0]["scans"] == 3
    found = segment_regions(as_scan(labels, affine), load_segmenter(model), ONCE)
    assert found.labels.shape == labels.shape and found.labels.array.max() <= 87


def test_the_network_is_small_and_has_no_weight_twice():
    network = build({"factory": "region_unet", "arguments": {}})
    stored = sum(value.numel() for value in network.state_dict().values() if value.is_floating_point())
    assert sum(p.numel() for p in network.parameters()) == stored < 3_000_000
    with torch.no_grad():
        tissues, regions = network(torch.rand(1, 4, 32, 48, 32))
    assert tissues.shape == (1, 10, 32, 48, 32) and regions.shape == (1, 88, 16, 24, 16)


def test_before_training_the_network_knows_places(labels):
    one = newborn_map(labels, None, fluid=(83, 85), spacing_mm=0.8, count=88)
    prior = prior_of([one, one], PRIOR_SHAPE, PRIOR_REACH, 88)
    assert prior.shape == (88, *PRIOR_SHAPE) and prior.sum(0) == pytest.approx(1, abs=1e-3)
    network = build({"factory": "region_unet", "arguments": {"filters": [4, 8, 8], "details": 2}})
    network.set_prior(torch.from_numpy(prior), torch.from_numpy(TISSUE_OF))
    shape = tuple(n + n % 2 for n in one.labels.shape)
    box = one.outline.min(axis=0), one.outline.max(axis=0)
    scan = np.concatenate([np.ones((1, *shape), np.float32), coordinates(shape, *box)])
    with torch.no_grad():
        for whole in (False, True):
            tissues, regions = network(torch.from_numpy(scan)[None, :, :72, :72, :64], whole=whole)
            given = one.labels[:72, :72, :64]
            agreement = (tissues[0].argmax(0).numpy() == TISSUE_OF[given]).mean()
            assert agreement > 0.6  # the regions of this pattern are small against the cells of the prior
    assert regions.shape == (1, 88, 36, 36, 32)


def test_a_t2w_scan_gives_regions_and_their_age(labels, tmp_path, monkeypatch, oracle):
    from neurogen.brain_age import segmentation
    from neurogen.commands import age_charts

    for name in ("region_picture", "striking_charts", "leading_charts", "importance_bars", "contribution_bars"):
        monkeypatch.setattr(age_charts, name, lambda *args, **options: b"picture")
    monkeypatch.setattr(segmentation, "load_segmenter", lambda model, device: oracle)
    description = {"factory": "region_unet", "arguments": {"filters": [4, 8, 8], "details": 2}}
    data = recipe.RegionData(("week_23",), ("week_25",), (), ())
    record = {"history": [{"step": 0, "score": 0.0}], "best_step": 0}
    model = write_model(
        tmp_path / MODEL_ID, recipe.manifest(data, description, record), build(description).state_dict()
    )
    scan = tmp_path / "sub-1_T2w.nii.gz"
    save_volume(as_scan(labels + 0.01 * (labels > 0), np.diag([0.8, 0.8, 0.8, 1.0])), scan)
    arguments = ["brain-age", str(scan), "--age", "38", "--out", str(tmp_path / "out")]
    assert cli.main([*arguments, "--segmenter", str(model.path)]) == 0
    names = {path.name for path in (tmp_path / "out").iterdir()}
    assert names == {"age.json", "regions.tsv", "report.html", "regions.nii.gz"}
    record = json.loads((tmp_path / "out" / "age.json").read_text())
    assert record["segmented_by"]["id"] == MODEL_ID and "label maps of newborn" in record["warnings"][0]
    assert "never compared" in record["warnings"][0]
    assert "found by neonatal-regions" in (tmp_path / "out" / "report.html").read_text()


def test_the_shipped_model_finds_the_regions_of_a_kept_apart_week(shared_data):
    """Week 25, a single look: mean Dice 0.82 of tissues and 0.70 of regions were measured."""
    model = ModelStore().get(MODEL_ID)
    assert "week_25" in model.manifest["training"]["kept_apart"]
    week = shared_data / "fetal_atlas_87_regions" / "week_25"
    found = segment_regions(load_volume(f"{week}_T2w.nii.gz"), load_segmenter(model), ONCE).labels.array
    given = load_volume(f"{week}_regions.nii.gz", as_labels=True).array
    assert dice_of(TISSUE_OF[found], TISSUE_OF[given], range(1, len(TISSUES))).mean() > 0.78
    assert dice_of(found, given, LABELS).mean() > 0.65
