"""The flair-stroke benchmark: golden numbers on the real slices, known answers on made ones."""

import json
from dataclasses import dataclass, field

import numpy as np
import pytest
from sklearn.metrics import average_precision_score

from neurogen.errors import InputRefused, ModelUnavailable, UsageError
from neurogen.evaluation import flair_stroke
from neurogen.evaluation.flair_slices import load_slices, split
from neurogen.models import ModelStore, write_model

SHAPE = (44, 36)
LESION_VALUE = 250


@dataclass
class Oracle:
    """Knows that lesions have one value; adds noise where asked."""

    name: str = "oracle"
    threshold: float | None = None
    noise: float = 0.0
    rng: np.random.Generator = field(default_factory=lambda: np.random.default_rng(0))

    def score_slices(self, images, brain):
        return (images == LESION_VALUE) + self.noise * self.rng.normal(size=images.shape).astype(np.float32)


def brain_disc():
    rows, columns = np.indices(SHAPE)
    return ((rows - 21.5) / 21) ** 2 + ((columns - 17.5) / 17) ** 2 < 1


def write_slices(path, *, stroke_free, evaluated=20, seed=0):
    """Discs of noise; each evaluated slice has a 12 x 12 lesion, medium by size."""
    rng = np.random.default_rng(seed)
    count = stroke_free + evaluated
    flair = np.where(brain_disc(), rng.integers(80, 160, (count, *SHAPE)), 0).astype(np.uint8)
    lesion = np.zeros(flair.shape, bool)
    for k in range(evaluated):
        row, column = rng.integers(8, 24), rng.integers(8, 16)
        lesion[k, row : row + 12, column : column + 12] = True
    flair[lesion] = LESION_VALUE
    area = lesion.sum((1, 2))
    np.savez(path, flair=flair, lesion_packed=np.packbits(lesion, axis=-1), lesion_area_mm2=area)
    return path


def store_with_statistics(folder, *, calibration):
    """A model store whose adult-reflect carries healthy statistics of the made slices."""
    import torch

    manifest = {
        "id": "adult-reflect", "version": "1", "task": "anomaly", "method": "REFLECT", "contrasts": ["t1w", "flair"],
        "age_range": [20, 82], "spacing_mm": 1.0, "network": {"factory": "velocity_unet", "arguments": {}},
        "training_data": [], "training": {}, "calibration": calibration, "measured": [], "seconds": {},
        "licence": "CC0",
    }  # fmt: skip
    statistics = {"flair_reference_mean": torch.zeros(SHAPE), "flair_reference_sd": torch.ones(SHAPE)}
    write_model(folder / "shipped" / "adult-reflect", manifest, {"w": torch.zeros(1)}, extra={"healthy": statistics})
    return ModelStore(folder / "shipped", folder / "user")


@pytest.fixture(scope="module")
def slices_path(tmp_path_factory):
    return write_slices(tmp_path_factory.mktemp("slices") / "slices.npz", stroke_free=280)


@pytest.fixture
def empty_store(tmp_path):
    return ModelStore(tmp_path / "none", tmp_path / "nobody")


@pytest.mark.slow
def test_references_reproduce_their_golden_numbers(shared_data, empty_store):
    # Golden: what the development data's own script for the plain references prints on its 445 slices.
    golden = {
        "reference-intensity": (0.461, 0.367, 0.493, 0.305),
        "reference-zscore": (0.520, 0.397, 0.532, 0.368),
    }
    path = shared_data / "stroke_flair_axial" / "slices.npz"
    table = flair_stroke.run(path, methods=list(golden), store=empty_store)
    columns = ("auprc", "dice_mean_oracle", "dice_pooled_oracle", "dice_mean_calibrated")
    for method, expected in golden.items():
        measured = [table.rows[method][column] for column in columns]
        assert measured == pytest.approx(expected, abs=0.005)
        for column, value in zip(columns, measured, strict=True):
            low, high = table.intervals[method][column]
            assert value - 0.08 < low < value < high < value + 0.08


def test_a_perfect_method_gets_perfect_numbers(slices_path, empty_store):
    row = flair_stroke.run(slices_path, methods=[Oracle()], store=empty_store).rows["oracle"]
    assert row["prevalence"] == pytest.approx(144 / brain_disc().sum())
    for column in ("auprc", "dice_mean_oracle", "dice_pooled_oracle", "dice_mean_calibrated", "recall_medium"):
        assert row[column] == pytest.approx(1.0)
    assert row["fp_ml"] == 0 and row["seconds"] > 0
    assert np.isnan(row["recall_small"]) and np.isnan(row["recall_large"])  # there are none


def test_a_noisy_method_gets_what_the_formulas_written_out_give(slices_path, empty_store):
    scored = []

    class Recorded(Oracle):
        def score_slices(self, images, brain):
            scored.append(super().score_slices(images, brain))
            return scored[-1]

    row = flair_stroke.run(slices_path, methods=[Recorded(noise=0.7)], store=empty_store).rows["oracle"]
    slices = load_slices(slices_path)
    parts = split(slices.area_mm2)
    scores = np.concatenate(scored)
    count = len(parts.evaluated)
    brain, lesion = slices.brain[parts.evaluated], slices.lesion[parts.evaluated]
    pooled, truth = scores[:count][brain], lesion[brain]
    assert row["auprc"] == pytest.approx(average_precision_score(truth[::5], pooled[::5]))
    calibration = scores[count : count + 30][slices.brain[parts.calibration]]
    marked = (scores[:count] > np.quantile(calibration, 0.99)) & brain
    dices = 2 * (marked & lesion).sum((1, 2)) / (marked.sum((1, 2)) + lesion.sum((1, 2)))
    assert row["dice_mean_calibrated"] == pytest.approx(dices.mean())
    assert row["dice_mean_oracle"] >= row["dice_mean_calibrated"] - 0.02


def test_an_uninformed_method_gets_the_prevalence(slices_path, empty_store):
    class Blind(Oracle):
        def score_slices(self, images, brain):
            return self.rng.random(images.shape)

    row = flair_stroke.run(slices_path, methods=[Blind()], store=empty_store).rows["oracle"]
    assert row["auprc"] == pytest.approx(row["prevalence"], abs=0.02)
    assert row["dice_mean_calibrated"] < 0.05


def test_every_cell_has_an_interval_around_it_and_the_same_seed_repeats(slices_path, empty_store, tmp_path):
    tables = [
        flair_stroke.run(
            slices_path, methods=[Oracle(noise=0.5)], store=empty_store, seed=3, json_path=tmp_path / f"{k}.json"
        )
        for k in range(2)
    ]
    row, intervals = tables[0].rows["oracle"], tables[0].intervals["oracle"]
    assert set(row) == set(intervals) == set(flair_stroke.COLUMNS)
    for column in ("auprc", "dice_mean_oracle", "dice_mean_calibrated", "recall_medium"):
        low, high = intervals[column]
        assert low <= row[column] + 2e-3 and row[column] - 2e-3 <= high
    first, second = (json.loads((tmp_path / f"{k}.json").read_text(encoding="utf-8")) for k in range(2))
    first["rows"]["oracle"]["seconds"] = second["rows"]["oracle"]["seconds"] = None
    first["intervals"]["oracle"]["seconds"] = second["intervals"]["oracle"]["seconds"] = None
    for each in (first, second):
        del each["commit"]  # of the source tree, in which somebody may be working
    assert first == second
    assert first["rows"]["oracle"]["auprc"] == pytest.approx(row["auprc"])
    assert first["split"] == {"evaluated": 20, "training": 245, "calibration": 30, "stroke_free": 5}
    assert len(first["data"]["sha256"]) == 64


def test_a_share_of_the_slices_is_drawn_once_and_for_all(slices_path, empty_store):
    half, again = (flair_stroke.run(slices_path, methods=[Oracle()], store=empty_store, share=0.5) for _ in range(2))
    assert half.facts["split"]["evaluated"] == 10 and half.facts["evaluated_share"] == 0.5
    assert half.rows["oracle"]["auprc"] == again.rows["oracle"]["auprc"]
    with pytest.raises(UsageError, match="above 0"):
        flair_stroke.run(slices_path, methods=[Oracle()], store=empty_store, share=0.0)


def test_slices_with_and_without_stroke_are_told_apart_and_sizes_are_counted(slices_path, empty_store):
    row = flair_stroke.run(slices_path, methods=[Oracle()], store=empty_store).rows["oracle"]
    assert row["auroc_image"] == row["auprc_image"] == row["f1_medium"] == 1
    assert row["aupro"] == pytest.approx(1, abs=1e-6) and row["auprc_rim"] == pytest.approx(1)


def test_the_split_is_the_published_one():
    area = np.where(np.arange(863) % 3 == 0, 0, 99 + np.arange(863) % 2)
    parts = split(area)
    free = np.flatnonzero(area == 0)
    np.random.default_rng(20260101).shuffle(free)
    assert np.array_equal(np.concatenate([parts.training, parts.calibration, parts.stroke_free]), free)
    assert len(parts.training) == 245 and len(parts.calibration) == 30
    assert np.all(area[parts.evaluated] >= 100)


def test_slices_without_stroke_free_ones_use_what_travels_with_the_model(tmp_path):
    path = write_slices(tmp_path / "lesions.npz", stroke_free=0)
    calibration = {"flair": {"threshold": 1.0, "reference_thresholds": {"reference-intensity": 1.2}}}
    store = store_with_statistics(tmp_path, calibration=calibration)
    table = flair_stroke.run(
        path, methods=["reference-intensity", "reference-zscore", Oracle(threshold=0.5)], store=store
    )
    assert table.rows["oracle"]["dice_mean_calibrated"] == pytest.approx(1.0)
    assert table.rows["reference-intensity"]["dice_mean_calibrated"] > 0.5
    assert "dice_mean_calibrated" not in table.rows["reference-zscore"]  # no threshold travels for it here
    assert table.rows["reference-zscore"]["auprc"] > 0.5
    assert table.facts["thresholds"] == {"reference-intensity": 1.2, "reference-zscore": None, "oracle": 0.5}
    assert any("operating point" in note for note in table.notes)


def test_absent_models_are_left_out_unless_asked_for(slices_path, empty_store):
    table = flair_stroke.run(slices_path, store=empty_store)
    assert list(table.rows) == ["reference-intensity", "reference-zscore"]
    assert any("reflect-2" in note for note in table.notes)
    with pytest.raises(ModelUnavailable, match="adult-reflect"):
        flair_stroke.run(slices_path, methods=["reflect"], store=empty_store)


def test_a_model_of_another_contrast_is_left_out_with_the_reason(tmp_path):
    path = write_slices(tmp_path / "lesions.npz", stroke_free=0)
    table = flair_stroke.run(path, store=store_with_statistics(tmp_path, calibration={}))
    assert "reflect" not in table.rows
    assert any("flair is scored here" in note for note in table.notes)


def test_an_unknown_method_is_wrong_usage(slices_path, empty_store):
    with pytest.raises(UsageError, match="reference-zscore"):
        flair_stroke.run(slices_path, methods=["magic"], store=empty_store)


@pytest.mark.parametrize(
    "arrays, reason",
    [
        ({"flair": np.ones((1, 4, 8), np.uint8)}, "lacks lesion_packed"),
        (
            {
                "flair": np.ones((1, 4, 8), np.uint8),
                "lesion_packed": np.zeros((1, 4, 3), np.uint8),
                "lesion_area_mm2": np.array([200]),
            },
            "belong together",
        ),
        (
            {
                "flair": np.ones((1, 4, 8), np.uint8),
                "lesion_packed": np.zeros((1, 4, 1), np.uint8),
                "lesion_area_mm2": np.array([0]),
            },
            "nothing to evaluate",
        ),
    ],
)
def test_a_wrong_file_is_refused_with_the_reason(tmp_path, arrays, reason):
    np.savez(tmp_path / "wrong.npz", **arrays)
    with pytest.raises(InputRefused, match=reason):
        flair_stroke.run(tmp_path / "wrong.npz")


@pytest.mark.parametrize("content", [b"", b"no archive", b"PK\x03\x04 broken"])
def test_what_is_no_npz_is_refused(tmp_path, content):
    (tmp_path / "broken.npz").write_bytes(content)
    with pytest.raises(InputRefused, match="cannot be read"):
        flair_stroke.run(tmp_path / "broken.npz")
