"""Many scans: what becomes of them, what the table says, and how a batch ends."""

import csv
import json
import logging
import os
import signal
import stat
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from builders import as_head, blobs
from test_batch_inputs import touch

from neurogen import cli
from neurogen.batch.jobs import COMMANDS, read_summary
from neurogen.commands import batch as batch_command
from neurogen.volumes import save_volume

REPOSITORY = Path(__file__).resolve().parents[2]
SCRIPT = REPOSITORY / "Resources" / "Batch" / "neurogen_batch.py"
posix = pytest.mark.skipif(os.name == "nt", reason="the fake interpreter is a script with a first line")


@pytest.fixture(autouse=True)
def quiet_logging(monkeypatch):
    """`main` takes over the root logger; here pytest keeps it."""
    monkeypatch.setattr(logging, "basicConfig", lambda **options: None)
    yield
    logging.captureWarnings(False)


@pytest.fixture(scope="module")
def fake_python(tmp_path_factory) -> Path:
    """An interpreter that runs Testing/fake_python.py whatever it is asked for."""
    path = tmp_path_factory.mktemp("bin") / "python"
    path.write_text(f'#!/bin/sh\nexec "{sys.executable}" -S "{REPOSITORY / "Testing" / "fake_python.py"}" "$@"\n')
    path.chmod(path.stat().st_mode | stat.S_IEXEC)
    return path


@pytest.fixture
def batch(tmp_path, fake_python):
    """Runs `neurogen batch detect` on the folder `in` with the fake interpreter."""
    (tmp_path / "in").mkdir()

    def run(*words: object, scans: dict[str, str] | None = None, job: str = "detect") -> int:
        for name, text in (scans or {}).items():
            (tmp_path / "in" / f"{name}.nii").write_text(text)
        given = ["--input", tmp_path / "in"] if "--input" not in words else []
        command = ["batch", job, *given, "--output", tmp_path / "out", "--python", fake_python, *words]
        return cli.main([str(word) for word in command])

    return run


def table(folder: Path) -> dict[str, dict[str, str]]:
    with (folder / "out" / "batch.csv").open(newline="") as stream:
        return {row["name"]: row for row in csv.DictReader(stream)}


def calls(folder: Path) -> list[list]:
    return [json.loads(line) for line in (folder / "in" / "calls.txt").read_text().splitlines()]


def test_the_tables_of_commands_agree():
    assert set(COMMANDS) == set(batch_command.MODULES)
    for name, module in batch_command.MODULES.items():
        assert COMMANDS[name].record == module.RECORD


def test_the_page_names_every_column():
    page = (REPOSITORY / "Docs" / "batch.md").read_text(encoding="utf-8")
    for command in COMMANDS.values():
        assert all(f"`{name}`" in page for name in (*command.columns, *command.scan_options))


def test_what_a_harmonized_scan_tells(tmp_path):
    row = {"bits_before": 3.0, "bits_after": 2.0, "bits_reference": 1.9, "steps": 40, "stop_reason": "bits"}
    record = {"scans": [{"scan": "a", **row}], "warnings": {"a": ["thick slices"]}}
    (tmp_path / "harmonize.json").write_text(json.dumps(record))
    assert read_summary(tmp_path, COMMANDS["harmonize"]) == (row, "thick slices")


# What becomes of them


@posix
def test_a_bad_scan_does_not_stop_the_others(batch, tmp_path, caplog):
    scans = {"a": "ok", "b": "3 The scan is flat.", "c": "killed", "d": "crash", "e": "trace", "f": "ok"}
    assert batch(scans=scans) == 6
    rows = table(tmp_path)
    assert [rows[name]["status"] for name in "abcdef"] == ["done", "failed", "failed", "failed", "failed", "done"]
    assert [rows[name]["exit_code"] for name in "abcdef"] == ["0", "3", "5", "1", "1", "0"]
    assert rows["b"]["message"] == "The scan is flat." and "memory" in rows["c"]["message"]
    assert "SIGSEGV" in rows["d"]["message"] and "ZeroDivisionError: a defect" in rows["e"]["message"]
    assert (rows["a"]["lesions"], rows["a"]["volume_ml"], rows["a"]["largest_ml"]) == ("2", "3.5", "2.5")
    assert rows["a"]["message"] == "thick slices" and rows["b"]["lesions"] == ""
    assert {path.name for path in (tmp_path / "out").iterdir()} == {"a", "f", "batch.csv"}
    assert "4 of 6 scans" in caplog.text


@posix
def test_existing_results_are_kept_and_stay_in_the_table(batch, tmp_path):
    assert batch(scans={"a": "ok", "b": "3 No."}) == 6
    (tmp_path / "in" / "b.nii").write_text("ok")
    assert batch("--skip-existing") == 0
    rows = table(tmp_path)
    assert (rows["a"]["status"], rows["b"]["status"]) == ("skipped", "done")
    assert rows["a"]["lesions"] == "2" and len(calls(tmp_path)) == 3


@posix
def test_existing_results_are_not_overwritten_unasked(batch, tmp_path, caplog):
    assert batch(scans={"a": "ok"}) == 0
    assert batch(scans={"b": "ok"}) == 2
    assert "--skip-existing" in caplog.text and len(calls(tmp_path)) == 1
    touch(tmp_path, "out/b/mine.txt")
    assert batch("--skip-existing") == 2


@posix
def test_a_damaged_record_is_a_failure(batch, tmp_path):
    touch(tmp_path, "out/a/detect.json", content="{")
    assert batch("--skip-existing", scans={"a": "ok"}) == 6
    assert "Run this scan again" in table(tmp_path)["a"]["message"]


@posix
def test_a_missing_model_ends_the_batch(batch, tmp_path):
    assert batch(scans={"a": "ok", "b": "4 There is no model.", "c": "ok"}) == 4
    assert [row["status"] for row in table(tmp_path).values()] == ["done", "failed", "not run"]


@posix
def test_options_reach_every_scan(batch, tmp_path):
    words = ["--direction", "dark", "--threshold", "2.5", "--registered", "--device", "cpu", "--threads", "1"]
    assert batch(*words, scans={"a": "ok"}) == 0
    _, *said = calls(tmp_path)[0]
    assert said[:4] == ["detect", str(tmp_path / "in" / "a.nii"), "--out", str(tmp_path / "out" / "a")]
    assert cli.build_parser().parse_args(said).direction == "dark"
    assert set(words) <= set(said) and "--steps" not in said and "--overwrite" not in said


@posix
def test_a_list_gives_each_scan_its_age(batch, tmp_path):
    touch(tmp_path, "in/a.nii", "in/b.nii")
    (tmp_path / "list.csv").write_text("scan,age\nin/a.nii,38.5\nin/b.nii,\n")
    assert batch("--input", tmp_path / "list.csv", job="brain-age") == 0
    assert [said[said.index("--age") + 1 :][:1] if "--age" in said else [] for said in calls(tmp_path)] == [
        ["38.5"],
        [],
    ]
    assert table(tmp_path)["a"]["predicted_weeks"] == "39.5"


@posix
def test_one_age_is_not_given_to_all_scans(batch, tmp_path):
    assert batch("--age", 40, job="brain-age", scans={"a": "ok"}) == 2
    touch(tmp_path, "ages.csv", content="scan,age_weeks\na,40\n")
    assert batch("--age", tmp_path / "ages.csv", job="brain-age") == 0
    assert str(tmp_path / "ages.csv") in calls(tmp_path)[0]


@posix
@pytest.mark.parametrize("words", [["--direction", "up"], ["--jobs", "0"], ["--skip-existing", "--overwrite"], ["--x"]])
def test_wrong_words_end_before_any_scan(batch, tmp_path, words):
    try:
        assert batch(*words, scans={"a": "ok"}) == 2
    except SystemExit as end:
        assert end.code == 2
    assert not (tmp_path / "out").exists()


@posix
def test_jobs_run_side_by_side_and_share_the_processors(batch, tmp_path):
    assert batch("--jobs", 2, scans={name: "ok after 1.5" for name in "abcd"}) == 0
    starts = [said[0] for said in calls(tmp_path)]
    assert starts[1] - starts[0] < 1.4 < starts[2] - starts[0]
    threads = [said[said.index("--threads") + 1] for said in calls(tmp_path)]
    assert set(threads) == {str(max((os.cpu_count() or 1) // 2, 1))}


@posix
def test_programs_read_every_scan_as_it_ends(batch, capsys):
    assert batch("--json-progress", scans={"a": "ok", "b": "3 No."}) == 6
    events = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [event["status"] for event in events if "result" in event] == ["done"]
    assert [event["exit_code"] for event in events if "error" in event] == [3, 6]
    fractions = [event["fraction"] for event in events if "fraction" in event]
    assert fractions == sorted(fractions) and 0 < fractions[-1] <= 1


@posix
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("kind", ["hang", "deaf"])
def test_cancelling_ends_every_process_and_leaves_no_partial_folder(tmp_path, fake_python, number, kind):
    touch(tmp_path, "in/a.nii")
    touch(tmp_path, "in/b.nii", content=kind)
    touch(tmp_path, "in/c.nii")
    command = [sys.executable, SCRIPT, "detect", "--input", "in", "--output", "out", "--python", fake_python]
    process = subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    pids = tmp_path / "in" / "pids.txt"
    while not pids.exists() or not pids.read_text():
        assert process.poll() is None
        time.sleep(0.02)
    started = time.monotonic()
    process.send_signal(number)
    assert process.wait(20) == 130 and time.monotonic() - started < 10
    assert "--skip-existing goes on" in process.stderr.read()
    assert [row["status"] for row in table(tmp_path).values()] == ["done", "not run", "not run"]
    assert {path.name for path in (tmp_path / "out").iterdir()} == {"a", "batch.csv"}
    assert not any(alive(int(pid)) for pid in pids.read_text().split())


def alive(pid: int) -> bool:
    """Whether the process runs; one that has ended and is not yet collected does not."""
    try:
        return "Z" not in Path(f"/proc/{pid}/stat").read_text().split(")")[1].split()[0]
    except FileNotFoundError:
        return False


# The script


def test_label_maps_are_read_for_real(tmp_path):
    head = as_head(blobs())
    (tmp_path / "in").mkdir()
    save_volume(head.with_array(head.array.astype(np.uint8)), tmp_path / "in" / "one.nii.gz")
    touch(tmp_path, "in/two.nii.gz", content="no image")
    command = [sys.executable, SCRIPT, "brain-age", "--input", "in", "--output", "out"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 6, done.stderr
    rows = table(tmp_path)
    record = json.loads((tmp_path / "out" / "one" / "age.json").read_text())
    assert float(rows["one"]["predicted_weeks"]) == pytest.approx(record["predicted_weeks"], abs=1e-3)
    assert rows["two"]["exit_code"] == "3" and "two.nii.gz" in rows["two"]["message"]


SLICER = """
import runpy, sys, types
slicer = types.ModuleType("slicer")
slicer.app = types.SimpleNamespace(slicerHome="")
slicer.util = types.SimpleNamespace(exit=lambda code: print("Slicer ends with", code))
sys.modules["slicer"] = slicer
sys.argv = sys.argv[1:]
runpy.run_path(sys.argv[0], run_name="__main__")
print("the event loop goes on")
"""


@posix
@pytest.mark.parametrize(("scan", "code"), [("ok", 0), ("3 No.", 6), (None, 3)])
def test_in_slicer_the_application_is_told_to_end(tmp_path, fake_python, scan, code):
    """With a stand-in for the application: only that the script ends it, with the right code, and never otherwise."""
    (tmp_path / "in").mkdir()
    if scan:
        touch(tmp_path, "in/a.nii", content=scan)
    (fake_python.parent / "PythonSlicer").unlink(missing_ok=True)
    (fake_python.parent / "PythonSlicer").symlink_to(fake_python)
    environment = {**os.environ, "PATH": f"{fake_python.parent}:{os.environ['PATH']}"}
    command = [sys.executable, "-c", SLICER, SCRIPT, "--", "detect", "--input", "in", "--output", "out"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, env=environment)
    assert done.stdout.splitlines()[-2:] == [f"Slicer ends with {code}", "the event loop goes on"], done.stderr


@posix
@pytest.mark.parametrize(("words", "code"), [(["--help"], 0), (["detect", "--help"], 0), (["detect"], 2), ([], 2)])
def test_in_slicer_wrong_words_end_it_too(tmp_path, words, code):
    command = [sys.executable, "-c", SLICER, SCRIPT, "--", *words]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert f"Slicer ends with {code}" in done.stdout, done.stderr
