"""Result folders: whole or absent, whatever happens in between."""

import json
import math
import os
import shutil
import signal
import subprocess
import sys
import textwrap
import time
from collections import namedtuple
from pathlib import Path

import numpy as np
import pytest

from neurogen.errors import InputRefused, UsageError
from neurogen.outputs import check_destination, plain, result_folder, write_json


def check(folder: Path, **options) -> None:
    check_destination(folder, "detect.json", **{"overwrite": False, **options})


def test_a_new_folder_appears_whole(tmp_path):
    with result_folder(tmp_path / "a" / "out") as part:
        (part / "x.txt").write_text("1")
        assert not (tmp_path / "a" / "out").exists()
        assert part.name.startswith(".")
    assert [p.name for p in (tmp_path / "a").iterdir()] == ["out"]
    assert [p.name for p in (tmp_path / "a" / "out").iterdir()] == ["x.txt"]


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt, SystemExit])
def test_an_error_leaves_nothing(tmp_path, error):
    with pytest.raises(error), result_folder(tmp_path / "out") as part:
        (part / "x.txt").write_text("1")
        raise error
    assert list(tmp_path.iterdir()) == []


def test_an_error_keeps_the_earlier_results(tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "detect.json").write_text("old")
    with pytest.raises(ValueError), result_folder(tmp_path / "out") as part:
        (part / "detect.json").write_text("new")
        raise ValueError
    assert (tmp_path / "out" / "detect.json").read_text(encoding="utf-8") == "old"
    assert len(list(tmp_path.iterdir())) == 1


def test_new_results_replace_all_of_the_earlier(tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "detect.json").write_text("old")
    (tmp_path / "out" / "left.txt").write_text("old")
    check(tmp_path / "out", overwrite=True)
    with result_folder(tmp_path / "out") as part:
        (part / "detect.json").write_text("new")
    assert [p.name for p in (tmp_path / "out").iterdir()] == ["detect.json"]
    assert [p.name for p in tmp_path.iterdir()] == ["out"]


def test_a_full_folder_is_refused_and_a_strangers_never_replaced(tmp_path):
    (tmp_path / "thesis.doc").write_text("ten years")
    with pytest.raises(UsageError, match="--overwrite"):
        check(tmp_path)
    with pytest.raises(UsageError, match="no detect.json"):
        check(tmp_path, overwrite=True)


def test_a_file_in_the_way_is_refused(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(UsageError, match="is a file"):
        check(tmp_path / "file")
    with pytest.raises(UsageError, match="is a file"):
        check(tmp_path / "file" / "below" / "out")


def test_a_read_only_place_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    with pytest.raises(InputRefused, match="read-only"):
        check(tmp_path / "out")


def test_a_full_disk_is_refused_before_the_work(tmp_path, monkeypatch):
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage(100, 99, 2**20))
    with pytest.raises(InputRefused, match="has 1 MiB left"):
        check(tmp_path / "out", needed_bytes=5 * 2**20)


def test_a_disk_that_fills_during_the_work_is_told(tmp_path):
    with pytest.raises(InputRefused, match="is full"), result_folder(tmp_path / "out"):
        raise OSError(28, "No space left on device")
    assert list(tmp_path.iterdir()) == []


def test_two_processes_do_not_share_a_folder(tmp_path):
    with result_folder(tmp_path / "out"):
        with pytest.raises(UsageError, match="Another NeuroGen"), result_folder(tmp_path / "out"):
            pytest.fail("the second came in")
    assert (tmp_path / "out").is_dir()


def test_earlier_results_survive_a_kill_between_the_two_renames(tmp_path):
    (tmp_path / ".out.old.part").mkdir()
    (tmp_path / ".out.old.part" / "detect.json").write_text("old")
    with pytest.raises(ValueError), result_folder(tmp_path / "out"):
        raise ValueError
    assert (tmp_path / "out" / "detect.json").read_text(encoding="utf-8") == "old"


@pytest.mark.skipif(os.name == "nt", reason="POSIX kills")
def test_a_killed_process_leaves_only_the_hidden_part_and_the_next_run_works(tmp_path):
    script = textwrap.dedent("""
        import pathlib, sys, time
        from neurogen.outputs import result_folder
        with result_folder(pathlib.Path(sys.argv[1])) as part:
            (part / "detect.json").write_text("half")
            print("ready", flush=True)
            time.sleep(60)
    """)
    command = [sys.executable, "-c", script, str(tmp_path / "out")]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, cwd=Path(__file__).parents[2])
    assert process.stdout.readline().strip() == b"ready"
    process.send_signal(signal.SIGKILL)
    process.wait()
    process.stdout.close()
    assert [p.name for p in tmp_path.iterdir()] == [".out.part"]
    start = time.monotonic()
    with result_folder(tmp_path / "out") as part:
        assert [p.name for p in part.iterdir()] == [".lock"]
        (part / "detect.json").write_text("whole")
    assert time.monotonic() - start < 5
    assert [p.name for p in tmp_path.iterdir()] == ["out"]
    assert (tmp_path / "out" / "detect.json").read_text(encoding="utf-8") == "whole"


def test_json_takes_arrays_paths_and_nan(tmp_path):
    content = {"a": np.eye(2, dtype=np.float32), "b": Path("x"), "c": (1, math.nan), "d": np.float64(2), 3: {None}}
    write_json(tmp_path / "f.json", content)
    expected = {"a": [[1.0, 0.0], [0.0, 1.0]], "b": "x", "c": [1, None], "d": 2.0, "3": [None]}
    assert json.loads((tmp_path / "f.json").read_text(encoding="utf-8")) == expected == plain(content)
