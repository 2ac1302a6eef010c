"""`neurogen brain-age` and `neurogen benchmark age`: what they write, what they refuse, and the exit codes."""

import csv
import json
import logging
from pathlib import Path

import numpy as np
import pytest
from builders import as_head, blobs
from test_age_regression import synthetic

from neurogen import cli
from neurogen.brain_age import growth
from neurogen.brain_age.age_model import load_age_model
from neurogen.brain_age.estimate import AgeSettings, estimate_age
from neurogen.brain_age.regions import FEATURE_NAMES
from neurogen.commands import age_charts, brain_age
from neurogen.errors import UsageError
from neurogen.evaluation.age import cross_validation_table, low_data_table, scores
from neurogen.models import ModelStore
from neurogen.volumes import Volume, load_volume, save_volume


@pytest.fixture(autouse=True)
def quiet_logging(monkeypatch):
    """`main` takes over the root logger; here pytest keeps it."""
    monkeypatch.setattr(logging, "basicConfig", lambda **options: None)
    yield
    logging.captureWarnings(False)


@pytest.fixture
def pictures(monkeypatch):
    """Empty pictures: drawing is slow, and one test looks at real ones."""
    for name in ("region_picture", "striking_charts", "leading_charts", "importance_bars", "contribution_bars"):
        monkeypatch.setattr(age_charts, name, lambda *args, **options: b"picture")


@pytest.fixture(scope="module")
def head() -> Volume:
    return as_head(blobs())


@pytest.fixture(scope="module")
def model():
    return load_age_model(ModelStore().get("neonatal-age"))


@pytest.fixture
def scan(tmp_path, head) -> Path:
    save_volume(head.with_array(head.array.astype(np.uint8)), tmp_path / "sub-1_dseg.nii.gz")
    return tmp_path / "sub-1_dseg.nii.gz"


def test_one_scan_gives_age_regions_and_report(scan, tmp_path, model, head):
    assert cli.main(["brain-age", str(scan), "--age", "40", "--out", str(tmp_path / "out")]) == 0
    assert {path.name for path in (tmp_path / "out").iterdir()} == {"age.json", "regions.tsv", "report.html"}
    record = json.loads((tmp_path / "out" / "age.json").read_text())
    expected = estimate_age(head, model, AgeSettings(40.0))
    assert record["predicted_weeks"] == pytest.approx(expected.predicted, abs=1e-9)
    assert record["gap_weeks"] == pytest.approx(expected.predicted - 40)
    low, high = record["interval_90_weeks"]
    assert low < record["interval_50_weeks"][0] < record["predicted_weeks"] < high
    assert any("farther from the training scans" in warning for warning in record["warnings"])
    with (tmp_path / "out" / "regions.tsv").open() as file:
        rows = list(csv.DictReader(file, delimiter="\t"))
    assert len(rows) == 86 and sum(float(row["rv"]) for row in rows) == pytest.approx(1, abs=1e-4)
    report = (tmp_path / "out" / "report.html").read_text()
    assert "Research use only" in report and report.count("data:image/png;base64,") == 5
    assert "http" not in report


def test_a_folder_gives_one_table(scan, tmp_path, pictures, capsys):
    head = load_volume(scan, as_labels=True)
    broken = head.with_array(np.where(head.array == 5, 0, head.array))
    save_volume(broken, tmp_path / "sub-2_dseg.nii.gz")
    (tmp_path / "T2w.nii.gz").write_bytes(b"not looked at: label maps are there")
    assert cli.main(["brain-age", str(tmp_path), "--out", str(tmp_path / "out")]) == 6
    lines = (tmp_path / "out" / "brain_age.tsv").read_text().splitlines()
    assert len(lines) == 2 and lines[1].startswith("sub-1_dseg\t")
    assert (tmp_path / "out" / "sub-1_dseg" / "age.json").is_file()
    assert not (tmp_path / "out" / "sub-2_dseg").exists()


def test_unusable_maps_leave_nothing_behind(scan, tmp_path, capsys):
    head = load_volume(scan, as_labels=True)
    save_volume(Volume(head.array, np.diag([2.0, 2.0, 2.0, 1.0])), tmp_path / "coarse.nii.gz")
    assert cli.main(["brain-age", str(tmp_path / "coarse.nii.gz"), "--out", str(tmp_path / "out")]) == 3
    assert not (tmp_path / "out").exists() and not list(tmp_path.glob(".*"))


def test_wrong_ages_are_wrong_usage(scan, tmp_path):
    assert cli.main(["brain-age", str(scan), "--age", "4", "--out", str(tmp_path / "out")]) == 2
    assert cli.main(["brain-age", str(tmp_path), "--age", "40", "--out", str(tmp_path / "out")]) == 2
    assert cli.main(["brain-age", str(scan), "--model", "absent", "--out", str(tmp_path / "out")]) == 4


def test_the_command_offers_the_charts_there_are():
    assert brain_age.STRATA == growth.STRATA


def test_flipped_files_read_the_same_age(head, model):
    flipped = Volume(head.array[::-1], head.affine @ np.diag([-1, 1, 1, 1]))
    assert estimate_age(flipped, model).predicted == estimate_age(head, model).predicted


def test_strata_and_missing_age_are_told(head, model):
    estimate = estimate_age(head, model, AgeSettings(stratum="term"))
    assert estimate.gap is None and estimate.chart_age == estimate.predicted
    assert any("No age was given" in warning for warning in estimate.warnings)
    with pytest.raises(UsageError, match="twins"):
        estimate_age(head, model, AgeSettings(stratum="twins"))


def write_table(path: Path, table, *, swapped: bool = False) -> Path:
    names = FEATURE_NAMES[86:] + FEATURE_NAMES[:86] if swapped else FEATURE_NAMES
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["subject", "session", "sex", "birth_age_weeks", "scan_age_weeks", *names])
        for k in range(len(table)):
            facts = [table.subject[k], "1", table.sex[k], table.birth_weeks[k], table.age_weeks[k]]
            writer.writerow([*facts, *table.features[k]])
    return path


def test_the_benchmark_keeps_known_subjects_apart(tmp_path, model, capsys):
    table = synthetic(40)
    known = sorted(model.subjects)[0]
    object.__setattr__(table, "subject", (known, *table.subject[1:]))
    path, out = write_table(tmp_path / "table.csv", table), tmp_path / "table.json"
    assert cli.main(["benchmark", "age", str(path), "--json", str(out)]) == 0
    rows = json.loads(out.read_text())["rows"]
    assert [rows[name]["scans"] for name in rows] == [40, 39, 1]
    assert set(rows["all scans"]) >= {"mae", "rmse", "r2", "r2_pearson", "bias_slope", "coverage_90"}
    assert "subjects not in training" in capsys.readouterr().out


def test_the_benchmark_refuses_swapped_columns(tmp_path):
    assert cli.main(["benchmark", "age", str(write_table(tmp_path / "t.csv", synthetic(5), swapped=True))]) == 3
    path = write_table(tmp_path / "t.csv", synthetic(5))
    assert cli.main(["benchmark", "age", str(path), "--compare", "regressors"]) == 2
    assert cli.main(["benchmark", "age", str(path), "--compare", "nothing"]) == 2


def test_scores_are_their_formulas():
    age, predicted = np.array([36.0, 38.0, 40.0]), np.array([37.0, 38.0, 42.0])
    found = scores(predicted, age)
    assert found["mae"] == 1 and found["rmse"] == pytest.approx(np.sqrt(5 / 3))
    assert found["r2"] == pytest.approx(1 - 5 / 8)
    assert found["r2_pearson"] == pytest.approx(np.corrcoef(predicted, age)[0, 1] ** 2)


def test_comparisons_have_their_rows():
    table = synthetic(60)
    assert len(low_data_table(table, synthetic(20, seed=1)).rows) == 8
    rows = cross_validation_table(table, repeats=1).rows
    assert rows["NeuroGen's recipe"]["scans"] == 60 and "gain_se" in rows["NeuroGen's recipe"]
