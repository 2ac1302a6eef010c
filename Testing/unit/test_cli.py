"""The command line: what it writes, what it refuses, and the exit code of each."""

import argparse
import json
import logging
import os
import signal
import subprocess
import sys
import threading
import time
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
from builders import affine_of, phantom
from fakes import fake_detect, install_fake_model

import neurogen
from neurogen import anomaly, cli, environment
from neurogen.commands import detect as detect_command
from neurogen.commands import train as train_command
from neurogen.commands.demo import Answer, answer
from neurogen.console import Console
from neurogen.errors import Cancelled, InputRefused, UsageError
from neurogen.training.loop import FitResult, LoopSettings
from neurogen.volumes import Volume, load_volume, save_volume

FILES = {
    "pseudo_healthy.nii.gz", "anomaly_map.nii.gz", "lesions.nii.gz", "lesions.tsv", "report.html", "detect.json",
    "pseudo_healthy.json", "anomaly_map.json", "lesions.json", "report.json",
}  # fmt: skip
REPOSITORY = Path(__file__).parents[2]
GRID = ((40, 48, 36), affine_of((40, 48, 36), (4, 4, 4), axes="LAS"))
VOXEL_ML = 0.064


@pytest.fixture(autouse=True)
def quiet_logging(monkeypatch):
    """`main` takes over the root logger; here pytest keeps it."""
    monkeypatch.setattr(logging, "basicConfig", lambda **options: None)
    yield
    logging.captureWarnings(False)


@pytest.fixture
def work(tmp_path, monkeypatch) -> Path:
    """A folder with a scan and a model whose detection is faked."""
    monkeypatch.setenv("NEUROGEN_MODELS", str(tmp_path / "models"))
    monkeypatch.setattr("neurogen.models.resource_path", lambda *parts: tmp_path / "no-shipped")
    monkeypatch.setattr(anomaly, "detect", fake_detect)
    monkeypatch.setattr("neurogen.report_pictures.make_pictures", lambda detection, volume: ())  # slow; see test_report
    monkeypatch.chdir(tmp_path)
    install_fake_model(tmp_path / "models")
    for name in ("a", "b"):
        save_volume(phantom(*GRID)[0], tmp_path / f"{name}.nii.gz")
    return tmp_path


def run(*words: object) -> int:
    return cli.main([str(word) for word in words])


def test_detect_writes_every_file_with_what_made_it(work, capsys):
    assert run("detect", "a.nii.gz", "--out", "out", "--seed", 7, "--device", "cpu") == 0
    assert {path.name for path in (work / "out").iterdir()} == FILES
    assert not list(work.glob(".*"))
    record = json.loads((work / "out" / "detect.json").read_text(encoding="utf-8"))
    scan = load_volume(work / "a.nii.gz")
    assert record["seed"] == 7 and record["device"] == "cpu"
    assert record["input"]["sha256"] == scan.facts["sha256"]
    np.testing.assert_allclose(record["input"]["affine"], scan.affine)
    assert record["versions"]["neurogen"] == neurogen.__version__
    assert len(record["lesions"]) == 2
    for name in FILES:
        sidecar = json.loads((work / "out" / f"{name.split('.')[0]}.json").read_text(encoding="utf-8"))
        for key in ("model", "settings", "seed", "device", "versions", "input"):
            assert sidecar[key] == record[key]
        assert len(sidecar["model"]["weights_sha256"]) == 64
    assert "2 marked regions" in capsys.readouterr().out


def test_the_volumes_lie_on_the_scans_grid(work):
    run("detect", "a.nii.gz", "--out", "out")
    scan = load_volume("a.nii.gz")
    for name in ("pseudo_healthy", "anomaly_map", "lesions"):
        volume = load_volume(work / "out" / f"{name}.nii.gz", as_labels=name == "lesions")
        assert volume.shape == scan.shape
        np.testing.assert_allclose(volume.affine, scan.affine, atol=1e-5)


def test_of_several_models_the_uncertainty_is_a_file_on_the_scans_grid(work, monkeypatch):
    def joint(volume, settings, progress, *, mask=None):
        members = [{"id": name, "version": "1", "weights_sha256": ""} for name in (settings.model, *settings.ensemble)]
        found = fake_detect(volume, settings, progress, mask=mask)
        spread = Volume(np.abs(found.anomaly_map.array) / 3, volume.affine)
        return replace(found, uncertainty=spread, facts=found.facts | {"ensemble": members})

    monkeypatch.setattr(anomaly, "detect", joint)
    install_fake_model(work / "models", id="adult-mad-ad")
    assert run("detect", "a.nii.gz", "--out", "out", "--model", "adult-reflect", "--model", "adult-mad-ad") == 0
    assert {path.name for path in (work / "out").iterdir()} == FILES | {"uncertainty.nii.gz", "uncertainty.json"}
    scan, spread, score = (load_volume(p) for p in ("a.nii.gz", "out/uncertainty.nii.gz", "out/anomaly_map.nii.gz"))
    assert spread.shape == scan.shape
    np.testing.assert_allclose(spread.affine, scan.affine, atol=1e-5)
    np.testing.assert_allclose(spread.array, np.abs(score.array) / 3, atol=1e-6)
    told = json.loads((work / "out" / "uncertainty.json").read_text(encoding="utf-8"))
    assert "Standard deviation between" in told["description"]
    assert [member["id"] for member in told["ensemble"]] == ["adult-reflect", "adult-mad-ad"]


def test_the_table_agrees_with_the_labels(work):
    run("detect", "a.nii.gz", "--out", "out")
    head, *rows = [line.split("\t") for line in (work / "out" / "lesions.tsv").read_text(encoding="utf-8").splitlines()]
    labels = load_volume(work / "out" / "lesions.nii.gz", as_labels=True)
    assert len(rows) == labels.array.max() == 2
    for row in rows:
        cells = dict(zip(head, row, strict=True))
        voxels = np.argwhere(labels.array == int(cells["label"]))
        place = labels.affine[:3, :3] @ voxels.mean(0) + labels.affine[:3, 3]
        np.testing.assert_allclose([float(cells[f"{axis}_mm"]) for axis in "xyz"], place, atol=0.01)
        assert float(cells["volume_ml"]) == pytest.approx(len(voxels) * VOXEL_ML, abs=1e-3)


def test_a_given_mask_is_used_and_recorded(work):
    scan = load_volume("a.nii.gz")
    mask = Volume((scan.array > 0.5 * scan.array.max()).astype(np.uint8), scan.affine)
    save_volume(mask, work / "mask.nii.gz")
    assert run("detect", "a.nii.gz", "--mask", "mask.nii.gz", "--out", "out") == 0
    score = load_volume(work / "out" / "anomaly_map.nii.gz").array
    assert score.any() and not score[mask.array == 0].any()
    record = json.loads((work / "out" / "detect.json").read_text(encoding="utf-8"))
    assert record["mask"] == {"file": "mask.nii.gz", "sha256": load_volume("mask.nii.gz").facts["sha256"]}


def test_the_same_command_gives_the_same_files(work):
    run("detect", "a.nii.gz", "--out", "one")
    run("detect", "a.nii.gz", "--out", "two")
    for name in FILES - {"detect.json", "report.html"}:  # those two hold the time
        assert (work / "one" / name).read_bytes() == (work / "two" / name).read_bytes()


def test_several_scans_get_a_folder_each(work):
    assert run("detect", "a.nii.gz", "b.nii.gz", "--out", "out") == 0
    assert {path.name for path in (work / "out").iterdir()} == {"a", "b"}
    assert (work / "out" / "b" / "detect.json").is_file()


def test_a_batch_goes_on_after_a_bad_scan(work, caplog):
    (work / "bad.nii.gz").write_bytes(b"no image")
    assert run("detect", "bad.nii.gz", "a.nii.gz", "--out", "out") == 6
    assert {path.name for path in (work / "out").iterdir()} == {"a"}
    assert "1 of 2 scans" in caplog.text and "bad.nii.gz" in caplog.text


def test_scans_of_one_name_go_to_folders_with_their_parents_name():
    jobs = detect_command.plan([Path("x/t1.nii"), Path("y/t1.nii"), Path("y/other.nrrd")], Path("out"))
    assert [job.folder.name for job in jobs] == ["x_t1", "y_t1", "other"]
    with pytest.raises(UsageError, match="Several scans"):
        detect_command.plan([Path("x/t1.nii"), Path("x/t1.nii.gz")], Path("out"))


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (["detect", "a.nii.gz"], 2),
        (["detect", "a.nii.gz", "--out", "out", "--direction", "up"], 2),
        (["detect", "a.nii.gz", "--out", "a.nii.gz"], 2),
        (["detect", "a.nii.gz", "--out", "a.nii.gz/below"], 2),
        (["detect", "a.nii.gz", "--out", "."], 2),
        (["detect", "a.nii.gz", "b.nii.gz", "--mask", "a.nii.gz", "--out", "out"], 2),
        (["detect", "a.nii.gz", "--out", "out", "--steps", "-1"], 2),
        (["detect", "a.nii.gz", "--out", "out", "--threads", "0"], 2),
        (["detect", "absent.nii.gz", "--out", "out"], 3),
        (["detect", "a.nii.gz", "--out", "out", "--model", "absent"], 4),
        (["models", "remove", "absent"], 4),
        (["models", "install", "a.nii.gz"], 4),
        (["nothing"], 2),
    ],
)
def test_wrong_requests_have_their_exit_code_and_write_nothing(work, words, code):
    before = sorted(work.rglob("*"))
    try:
        assert run(*words) == code
    except SystemExit as end:  # argparse
        assert end.code == code
    assert sorted(work.rglob("*")) == before


def test_earlier_results_are_kept_unless_overwriting_is_asked_for(work):
    run("detect", "a.nii.gz", "--out", "out")
    (work / "out" / "detect.json").write_text("old")
    assert run("detect", "a.nii.gz", "--out", "out") == 2
    assert (work / "out" / "detect.json").read_text(encoding="utf-8") == "old"
    assert run("detect", "a.nii.gz", "--out", "out", "--overwrite") == 0
    assert {path.name for path in (work / "out").iterdir()} == FILES
    assert (work / "out" / "detect.json").read_text(encoding="utf-8") != "old"


def test_corrupt_weights_end_before_any_work(work, caplog):
    (work / "models" / "adult-reflect" / "weights.safetensors").write_bytes(b"x")
    assert run("detect", "a.nii.gz", "--out", "out") == 4
    assert "SHA-256" in caplog.text and not (work / "out").exists()


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (InputRefused("no"), 3),
        (MemoryError(), 5),
        (RuntimeError("CUDA out of memory. Tried to allocate 2 GiB"), 5),
        (RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes"), 5),
        (OSError(28, "No space left on device"), 3),
        (KeyboardInterrupt(), 130),
        (Cancelled("stop"), 130),
        (ZeroDivisionError("a defect"), 1),
    ],
)
def test_every_failure_has_its_exit_code_and_leaves_nothing(work, monkeypatch, error, code, caplog):
    def failing(*args, **options):
        raise error

    monkeypatch.setattr(anomaly, "detect", failing)
    before = sorted(work.rglob("*"))
    assert run("detect", "a.nii.gz", "--out", "deep/out") == code
    assert sorted(work.rglob("*")) == before
    assert len(caplog.records) == 1
    if code == 5:
        assert "--batch-size" in caplog.text


def test_programs_read_json_lines(work, capsys):
    assert run("detect", "a.nii.gz", "--out", "out", "--json-progress") == 0
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    fractions = [line["fraction"] for line in lines if "fraction" in line]
    assert fractions == sorted(fractions) and fractions[-1] == 1.0
    assert lines[-1] == {"result": "out", "lesions": 2, "volume_ml": lines[-1]["volume_ml"]}


def test_a_log_file_gets_one_line_a_stage(capsys):
    console = Console(json_mode=False)
    for step in range(100):
        console.progress(f"training: step {step}, loss {1 / (step + 1):.3g}", step / 100)
    console.progress("writing", 1.0)
    assert capsys.readouterr().err.splitlines() == ["  0%  training: step 0, loss 1", "100%  writing"]


def test_programs_read_failures_as_json_too(work, capsys):
    assert run("detect", "absent.nii.gz", "--out", "out", "--json-progress") == 3
    last = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert last["exit_code"] == 3 and "absent.nii.gz" in last["error"]


@pytest.mark.skipif(os.name == "nt", reason="POSIX signals")
def test_a_signal_cancels_and_leaves_nothing(work, monkeypatch):
    def endless(*args, **options):
        threading.Timer(0.1, os.kill, (os.getpid(), signal.SIGTERM)).start()
        while True:
            time.sleep(0.02)

    monkeypatch.setattr(anomaly, "detect", endless)
    before = sorted(work.rglob("*"))
    assert run("detect", "a.nii.gz", "--out", "out") == 130
    assert sorted(work.rglob("*")) == before


def test_models_are_listed_verified_and_removed(work, capsys):
    assert run("models", "list") == 0
    assert "adult-reflect" in capsys.readouterr().out
    assert run("models", "verify") == 0
    (work / "models" / "adult-reflect" / "weights.safetensors").write_bytes(b"x")
    assert run("models", "verify") == 4
    assert run("models", "list") == 0
    assert run("models", "remove", "adult-reflect") == 0
    assert run("models", "verify", "adult-reflect") == 4


def test_the_doctor_names_what_is_damaged(work, capsys, caplog):
    assert run("doctor") == 0
    assert "All is well" in capsys.readouterr().out
    (work / "models" / "adult-reflect" / "weights.safetensors").unlink()
    assert run("doctor") == 4
    assert "adult-reflect" in caplog.text


def test_threads_are_limited_before_the_libraries_load(monkeypatch):
    monkeypatch.setattr(environment.os, "environ", {"OMP_WAIT_POLICY": "ACTIVE"})
    environment.use_threads(3)
    assert environment.os.environ["OMP_NUM_THREADS"] == "3"
    assert environment.os.environ["OMP_WAIT_POLICY"] == "ACTIVE"


def test_the_command_line_starts_without_heavy_imports():
    code = "import sys, neurogen.cli; neurogen.cli.build_parser(); print([m for m in ('torch', 'monai', 'numpy', "
    code += "'SimpleITK', 'matplotlib', 'nibabel') if m in sys.modules])"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=REPOSITORY, check=True)
    assert found.stdout.strip() == "[]"


@dataclass(frozen=True)
class Recipe:
    widths: tuple[int, ...] = (8, 16)
    share: float = 0.5
    loop: LoopSettings = LoopSettings()


class Training:
    """A recipe that only remembers what it was given."""

    seen: tuple = ()

    @classmethod
    def run(cls, data: Path, out: Path, settings: Recipe | None = None, *, resume: bool, progress) -> FitResult:
        cls.seen = (settings, resume)
        return FitResult(out, 5, 0.1, 4, 0.5, "steps", ())


def test_train_hands_its_options_to_the_recipe(work, monkeypatch):
    monkeypatch.setitem(train_command.RECIPES, "reflect", "recipe_of_this_test")
    monkeypatch.setitem(sys.modules, "recipe_of_this_test", Training)
    words = ["train", "reflect", "--data", ".", "--out", "o", "--minutes", "2", "--set", "widths=[4,8]", "--resume"]
    assert run(*words, "--set", "share=1", "--seed", "3") == 0
    settings, resume = Training.seen
    assert (settings.widths, settings.share, settings.loop.minutes) == ((4, 8), 1.0, 2.0)
    assert settings.loop.seed == 3 and settings.loop.steps is None and resume
    assert run(*words, "--set", "depth=3") == 2
    assert run(*words, "--set", "share=wide") == 2


def test_the_demo_measures_overlap_and_distance():
    scan, brain = phantom(*GRID)
    detection = fake_detect(scan, anomaly.DetectionSettings())
    exact = Volume((detection.lesions.array == 1).astype(np.uint8), scan.affine)
    found = answer(detection, exact)
    assert (found.overlap, found.share_marked, found.distance_mm, found.found) == (1.0, 1.0, 0.0, True)
    other = detection.lesions.array == 2
    assert found.elsewhere_ml == pytest.approx(other.sum() * VOXEL_ML)
    missed = answer(detection, Volume((brain.array & (detection.lesions.array == 0)).astype(np.uint8), scan.affine))
    assert missed == Answer(0.0, 0.0, None, pytest.approx((detection.lesions.array > 0).sum() * VOXEL_ML))
    assert not missed.found


def test_numbers_of_threads_are_whole_and_positive():
    assert cli.positive_integer("4") == 4
    for text in ("0", "-1", "x", "1.5"):
        with pytest.raises(argparse.ArgumentTypeError):
            cli.positive_integer(text)
