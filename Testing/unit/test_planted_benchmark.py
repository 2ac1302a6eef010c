"""The planted benchmark: packing of lesions, and known answers of methods that know everything or nothing."""

import json
from dataclasses import dataclass

import numpy as np
import pytest

from neurogen.errors import InputRefused
from neurogen.evaluation import planted
from neurogen.evaluation.composites import GAP_MM, composites
from neurogen.evaluation.planted_columns import (
    LesionResult,
    PlantedResult,
    image_level,
    planted_columns,
    published_columns,
)
from neurogen.evaluation.planted_scans import brain_of_labels, list_scans
from neurogen.models import ModelStore
from neurogen.preprocess.grid import GRID_AFFINE, GRID_SHAPE
from neurogen.synth.evaluation_set import PlantedSpec, plant, planted_set
from neurogen.training.cache import to_uint8, write_scan
from neurogen.training.splits import kept_apart
from neurogen.volumes import Volume

IDS = ("sub-01", "sub-02", "sub-03", "sub-04")


@pytest.fixture(scope="module")
def head():
    """An ellipsoid of smooth tissue on the working grid, as eight bits hold it."""
    i, j, k = np.ogrid[tuple(slice(0, n) for n in GRID_SHAPE)]
    inside = ((i - 79.5) / 65) ** 2 + ((j - 95.5) / 80) ** 2 + ((k - 79.5) / 60) ** 2 < 1
    tissue = 0.5 + 0.1 * np.sin(i / 9) * np.cos(j / 11) * np.sin(k / 7)
    return np.where(inside, np.round(tissue * 255) / 255, 0).astype(np.float32)


@pytest.fixture(scope="module")
def folders(tmp_path_factory, head):
    """A data folder of four subjects, two with ages, and the cache that already holds them prepared."""
    data, cache = tmp_path_factory.mktemp("data"), tmp_path_factory.mktemp("cache")
    (data / "adult_t1_1mm").mkdir()
    for name in IDS:
        (data / "adult_t1_1mm" / f"{name}_T1w.nii.gz").touch()
        write_scan(cache, name, to_uint8(head, head > 0), np.eye(4))
    (data / "adult_t1_1mm" / "participants.csv").write_text("subject,age_years\nsub-01,25\nsub-02,29\nsub-03,\n")
    return data, cache


@dataclass
class Subtraction:
    """Knows the healthy head."""

    head: np.ndarray
    name: str = "subtraction"
    threshold: float | None = 0.004

    def score_volume(self, image, brain):
        return np.abs(image - self.head)


@dataclass
class Blind:
    """Scores noise, the same in every scan."""

    name: str = "blind"
    threshold: float | None = None

    def score_volume(self, image, brain):
        return np.random.default_rng(0).random(image.shape)


@pytest.fixture(scope="module")
def table(folders, head, tmp_path_factory):
    data, cache = folders
    target = tmp_path_factory.mktemp("json") / "planted.json"
    store = ModelStore(data / "none", data / "nobody")
    made = planted.run(data, methods=[Subtraction(head), Blind()], cache=cache, scans=1, json_path=target, store=store)
    return made, json.loads(target.read_text(encoding="utf-8"))


@pytest.mark.slow
def test_a_method_that_knows_the_healthy_head_finds_everything(table):
    row = table[0].rows["subtraction"]
    assert row["recall_1ml"] == row["recall_large"] == 1.0
    assert row["auprc"] > 0.8 and row["centroid_mm"] < 4
    assert row["fp_ml"] == 0 and row["healthy_within_3ml"] == 1.0


@pytest.mark.slow
def test_a_blind_method_finds_nothing_at_its_operating_point(table):
    row = table[0].rows["blind"]
    assert row["recall_1ml"] <= 0.2
    assert row["auprc"] == pytest.approx(row["prevalence"], rel=0.2)
    assert row["fp_ml"] <= 3 and row["healthy_within_3ml"] == 1.0


@pytest.mark.slow
def test_false_positives_are_split_by_decade_where_ages_are_known(table):
    assert "fp_ml_20s" in table[0].rows["blind"]
    assert any("No ages" in note for note in table[0].notes)


@pytest.mark.slow
def test_every_planted_lesion_is_listed_once(table):
    lesions = table[1]["lesions"]["blind"]
    assert sorted(lesion["kind"] for lesion in lesions) == sorted({s.kind for s in planted_set(2)})
    assert table[1]["split"]["test"] == ["sub-02", "sub-04"]
    assert table[1]["rows"]["subtraction"]["recall_1ml"] == 1.0


def test_lesions_in_a_composite_keep_their_distance_and_look_as_if_alone(head):
    brain = head > 0
    specs = [PlantedSpec(0, "bright", 2.0, 2.0, seed) for seed in range(4)]
    made = composites(head, brain, specs)
    assert sorted(lesion.spec.seed for c in made for lesion in c.lesions) == [0, 1, 2, 3]
    for composite in made:
        expected = head.copy()
        for lesion in composite.lesions:
            alone = plant(lesion.spec, head, brain, (1, 1, 1))
            expected[alone.support] = alone.image[alone.support]
            assert lesion.marked_voxels(alone.mask) == alone.mask.sum()
            assert np.array_equal(composite.truth & alone.mask, alone.mask)
        assert np.array_equal(composite.image, expected)
        boxes = [lesion.box for lesion in composite.lesions]
        for a, one in enumerate(boxes):
            for other in boxes[a + 1 :]:
                assert max(max(s.start - o.stop, o.start - s.stop) for s, o in zip(one, other, strict=True)) >= GAP_MM


def test_lesions_in_the_same_place_go_into_different_composites(head):
    specs = [PlantedSpec(0, kind, 5.0, 2.0, 7) for kind in ("bright", "dark")]
    assert len(composites(head, head > 0, specs)) == 2


def test_recall_columns_count_what_they_say():
    def lesion(kind, ml, found):
        return LesionResult("a", kind, ml, 2.0, 0.5 if found else 0.0, found, 1.0 if found else float("nan"))

    lesions = (
        lesion("bright", 0.5, False), lesion("bright", 1.0, True), lesion("dark", 5.0, False), lesion("dark", 20, True),
    )  # fmt: skip
    planted_once = PlantedResult(
        scan="a",
        scores=np.array([0.9, 0.1, 0.2]),
        truth=np.array([True, False, False]),
        rim=np.array([False, True, True]),
        lesions=lesions,
        lesion_scores=tuple(np.array(v) for v in ([0.1], [0.9, 0.1], [0.0], [0.9])),
        slice_scores=np.array([0.1, 0.3, 0.8, 0.7]),
        slice_truth=np.array([False, False, True, True]),
        highest=0.9,
        false_components_ml=np.array([0.2, 0.3, 12.0]),
        seconds=2.0,
    )
    seen = [planted_once]
    values = {name: statistic.value for name, (statistic, _) in planted_columns(seen).items()}
    assert values["recall_1ml"] == pytest.approx(2 / 3)
    assert (values["recall_small"], values["recall_medium"], values["recall_large"]) == (0, 0.5, 1)
    assert (values["recall_bright"], values["recall_dark"]) == (1, 0.5)
    assert np.isnan(values["recall_textured"])
    assert (values["auprc"], values["prevalence"]) == (1, pytest.approx(1 / 3))
    assert (values["centroid_mm"], values["seconds"]) == (1, 2)
    # 2 TP / (2 TP + FP + FN): one small missed and two false; one of two medium found; one large found, one false
    assert [values[f"f1_{size}"] for size in ("small", "medium", "large")] == pytest.approx([0, 2 / 3, 2 / 3])
    assert np.isnan(values["auprc_rim"])  # no lesion there
    assert values["aupro"] == pytest.approx((0 + 0.5 + 0 + 1) / 4)  # above the healthy 0.2, whatever the threshold
    assert values["published_dice_mean"] == values["published_dice_pooled"] == values["published_auprc"] == 1


def test_the_published_protocol_takes_the_slice_with_the_largest_lesion():
    def once(scan, truth, scores):
        empty = np.zeros(0)
        return PlantedResult(scan, empty, empty, empty, (), (), np.array(scores), np.array(truth), 0.0, empty, 1.0)

    seen = [
        once("a", [True, False, False, False], [0.0, 1.0, 1.0, 1.0]),
        once("a", [True, True, False, False], [1.0, 1.0, 0.0, 0.0]),
    ]
    (statistic, scans) = published_columns(seen)["published_dice_mean"]
    assert scans == ["a"] and statistic.value == 1


def test_scans_with_lesions_are_told_apart_by_their_highest_score():
    empty = np.zeros(0)
    seen = [PlantedResult("a", empty, empty, empty, (), (), empty, empty, v, empty, 1.0) for v in (0.9, 0.5)]
    columns = image_level(seen, {"a": 0.4, "b": 0.6})
    assert columns["auroc_image"][0].value == pytest.approx(0.75)
    assert columns["auroc_image"][1] == ["a", "a", "a", "b"]


def test_roles_are_those_that_training_keeps_apart(tmp_path):
    folder = tmp_path / "adult_t1_whole_head_2mm"
    folder.mkdir()
    ids = [f"IXI{k:03d}" for k in range(30)]
    for name in ids:
        (folder / f"{name}_T1w.nii.gz").touch()
    split = kept_apart(ids)
    assert {scan.id: scan.role for scan in list_scans(tmp_path)} == {name: split.role(name) for name in ids}


def test_a_folder_without_scans_is_refused(tmp_path):
    with pytest.raises(InputRefused, match="adult_t1_1mm"):
        planted.run(tmp_path)


def test_brain_of_labels_fills_its_holes():
    labels = np.zeros((20, 20, 20), np.uint8)
    labels[4:16, 4:16, 4:16] = 3
    labels[8:11, 8:11, 8:11] = 0
    brain = brain_of_labels(Volume(labels, np.diag([2.0, 2, 2, 1]))).array
    assert brain[4:16, 4:16, 4:16].all() and brain.sum() == 12**3


def test_a_voxel_of_the_grid_is_a_microliter():
    assert planted.VOXEL_ML == pytest.approx(0.001) and planted.MINIMUM_VOXELS == pytest.approx(100)
    assert np.allclose(np.abs(np.diag(GRID_AFFINE)[:3]), 1)
