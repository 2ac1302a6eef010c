"""A job owns its files: the work folder always goes, partial results go, earlier results stay."""

import os
import textwrap
import time

import pytest

from NeuroGenLib.job import makeWorkFolder, removeWorkFolder, startJob

posix = pytest.mark.skipif(os.name != "posix", reason="signals are POSIX's")


@pytest.fixture
def start(tmp_path):
    """Start a job whose `neurogen` is the given script; its first argument is the folder of its results."""

    def run(script, out, **options):
        package = tmp_path / "fake" / "neurogen"
        package.mkdir(parents=True)
        (package / "__init__.py").write_text("")
        head = "import os, pathlib, shutil, sys, time\nout = pathlib.Path(sys.argv[1])\n"
        head += "part = out.with_name('.' + out.name + '.part'); old = out.with_name('.' + out.name + '.old.part')\n"
        (package / "__main__.py").write_text(head + textwrap.dedent(script))
        return startJob([str(out)], out, environment={"PYTHONPATH": str(tmp_path / "fake")}, **options)

    return run


def wait_for(path):
    deadline = time.monotonic() + 60
    while not path.exists():
        assert time.monotonic() < deadline
        time.sleep(0.02)


WRITE_AND_RENAME = """
    part.mkdir(parents=True)
    (part / "detect.json").write_text("{}")
    part.rename(out)
    """


def test_results_are_there_for_the_callback_and_gone_after_it(start):
    folder = makeWorkFolder()
    seen = []
    job = start(
        WRITE_AND_RENAME,
        folder / "out",
        workFolder=folder,
        onFinished=lambda end: seen.append((end.kind, (folder / "out" / "detect.json").exists())),
    )
    assert job.outcome is None
    assert job.wait(60).isDone
    assert seen == [("done", True)]
    assert not folder.exists()


def test_results_outside_the_work_folder_stay(start, tmp_path):
    job = start(WRITE_AND_RENAME, tmp_path / "results")
    assert job.wait(60).isDone
    assert (tmp_path / "results" / "detect.json").exists()


def test_a_callback_that_fails_still_leaves_no_folder(start):
    folder = makeWorkFolder()

    def fail(end):
        raise RuntimeError("the scene was closed")

    job = start(WRITE_AND_RENAME, folder / "out", workFolder=folder, onFinished=fail)
    with pytest.raises(RuntimeError, match="scene was closed"):
        job.wait(60)
    assert not folder.exists()
    assert not job.poll()


@posix
def test_a_job_that_had_to_be_killed_leaves_no_partial_result(start, tmp_path):
    job = start(
        """
        import signal
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        part.mkdir(parents=True)
        (part / "anomaly_map.nii.gz").write_text("half")
        time.sleep(60)
        """,
        tmp_path / "results",
    )
    wait_for(tmp_path / ".results.part" / "anomaly_map.nii.gz")
    job.cancel()
    assert job.wait(10).kind == "cancelled"
    assert [path.name for path in tmp_path.iterdir()] == ["fake"]


@posix
def test_earlier_results_survive_a_kill_in_the_middle_of_replacing_them(start, tmp_path):
    results = tmp_path / "results"
    results.mkdir()
    (results / "detect.json").write_text("earlier")
    job = start(
        """
        part.mkdir()
        out.rename(old)
        os.kill(os.getpid(), 9)
        """,
        results,
    )
    assert job.wait(60).kind == "memory"
    assert (results / "detect.json").read_text() == "earlier"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["fake", "results"]


@posix
def test_a_refused_job_keeps_earlier_results(start, tmp_path):
    results = tmp_path / "results"
    results.mkdir()
    (results / "detect.json").write_text("earlier")
    assert start("sys.exit(3)", results).wait(60).kind == "refused"
    assert (results / "detect.json").read_text() == "earlier"


def test_only_our_own_folders_are_deleted(tmp_path):
    with pytest.raises(ValueError, match="not made by makeWorkFolder"):
        removeWorkFolder(tmp_path)
    assert tmp_path.exists()


def test_a_real_refusal_of_the_command_line(tmp_path):
    """No fake: a model file that does not exist ends with the sentence of the core."""
    job = startJob(["models", "install", str(tmp_path / "no model.zip")], tmp_path / "out")
    end = job.wait(60)
    assert end.kind == "model"
    assert "no model.zip does not exist" in end.message
