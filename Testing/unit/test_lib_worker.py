"""The worker against real child processes: what they say, how they end, and that nothing of them is left."""

import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest

from NeuroGenLib import outcome, paths, worker
from NeuroGenLib.worker import WorkerProcess

posix = pytest.mark.skipif(os.name != "posix", reason="signals are POSIX's")
CANCEL_LIMIT = 5.0
POLL_LIMIT = 1.0  # microseconds when the machine is idle; the silence below is far longer


class Watcher:
    """Records what a worker calls."""

    def __init__(self):
        self.progress, self.log, self.events, self.outcomes = [], [], [], []

    def callbacks(self):
        return {
            "onProgress": lambda stage, fraction: self.progress.append((stage, fraction)),
            "onLog": self.log.append,
            "onEvent": self.events.append,
            "onFinished": self.outcomes.append,
        }


@pytest.fixture
def job(tmp_path):
    """A worker whose `neurogen` is the given script; its Watcher beside it."""

    def make(script, *arguments, folder=tmp_path / "fake"):
        package = folder / "neurogen"
        package.mkdir(parents=True)
        (package / "__init__.py").write_text("")
        (package / "__main__.py").write_text(textwrap.dedent(script), encoding="utf-8")
        watcher = Watcher()
        made = WorkerProcess(
            list(arguments), **watcher.callbacks(), environment={"PYTHONPATH": str(folder), "SCRATCH": str(tmp_path)}
        )
        return made, watcher

    return make


def alive(pid):
    """Whether the process exists and is no zombie."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"


def wait_for(path, seconds=60.0):
    deadline = time.monotonic() + seconds
    while not (path.exists() and path.read_text()):
        assert time.monotonic() < deadline, f"{path.name} did not appear"
        time.sleep(0.02)
    return path.read_text()


def test_progress_events_log_and_the_end(job):
    made, watcher = job("""
        import json, sys, time
        assert sys.argv[1:] == ["detect", "a scan.nii", "--json-progress"], sys.argv
        print(json.dumps({"stage": "registration", "fraction": 0.25}), flush=True)
        time.sleep(0.3)
        print("a library prints")
        print("WARNING: thick slices", file=sys.stderr, flush=True)
        print(json.dumps({"result": "out", "lesions": 2}))
        print(json.dumps({"stage": "done", "fraction": 1.0}))
        """, "detect", "a scan.nii")  # fmt: skip
    assert not made.poll()
    made.start()
    assert made.wait(60).kind == "done"
    assert watcher.progress == [("registration", 0.25), ("done", 1.0)]
    assert watcher.events == [{"result": "out", "lesions": 2}]
    assert sorted(watcher.log) == ["WARNING: thick slices", "a library prints"]
    assert watcher.outcomes == [made.outcome]
    assert made.outcome.isDone
    assert not made.poll()
    assert len(watcher.outcomes) == 1


def test_progress_beyond_its_range_is_clipped_and_strange_json_is_log(job):
    made, watcher = job("""
        print('{"stage": "x", "fraction": 7}')
        print('[1, 2]')
        print('{"stage": 3, "fraction": "half"}')
        """)
    made.start()
    made.wait(60)
    assert watcher.progress == [("x", 1.0)]
    assert watcher.log == ["[1, 2]"]
    assert watcher.events == [{"stage": 3, "fraction": "half"}]


@pytest.mark.parametrize(
    ("code", "kind"),
    [(1, "crashed"), (2, "usage"), (3, "refused"), (4, "model"), (5, "memory"), (6, "partial"), (130, "cancelled")],
)
def test_exit_codes_are_told_apart_and_the_last_words_are_the_message(job, code, kind):
    made, watcher = job(f"""
        import sys
        print('{{"error": "The scan has one slice only.", "exit_code": {code}}}')
        sys.exit({code})
        """)
    made.start()
    end = made.wait(60)
    assert (end.kind, end.exit_code, end.message) == (kind, code, "The scan has one slice only.")
    assert not end.isDone


def test_wrong_usage_without_last_words_shows_what_the_parser_said(job):
    made, _ = job("""
        import argparse
        argparse.ArgumentParser(prog="neurogen").parse_args(["--no-such-option"])
        """)
    made.start()
    end = made.wait(60)
    assert end.kind == "usage"
    assert "unrecognized arguments: --no-such-option" in end.message


def test_a_crash_carries_the_end_of_the_log(job):
    made, _ = job("""
        import sys
        for k in range(200):
            print("line", k, file=sys.stderr)
        raise RuntimeError("a defect")
        """)
    made.start()
    end = made.wait(60)
    assert end.kind == "crashed"
    assert "exit code 1" in end.message
    assert end.log_tail[-1] == "RuntimeError: a defect"
    assert len(end.log_tail) == 60


@posix
@pytest.mark.parametrize(("name", "kind"), [("SIGKILL", "memory"), ("SIGSEGV", "crashed"), ("SIGABRT", "crashed")])
def test_death_by_a_signal(job, name, kind):
    made, _ = job(f"""
        import os, resource, signal
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        os.kill(os.getpid(), signal.{name})
        """)
    made.start()
    end = made.wait(60)
    assert end.kind == kind
    assert end.exit_code == -getattr(signal, name)
    assert "memory" in end.message if kind == "memory" else name in end.message


@posix
def test_cancel_ends_a_job_that_cleans_up(job, tmp_path):
    made, watcher = job("""
        import os, pathlib, signal, sys, time
        scratch = pathlib.Path(os.environ["SCRATCH"])
        def clean_up(*_):
            (scratch / "cleaned").write_text("yes")
            sys.exit(130)
        signal.signal(signal.SIGTERM, clean_up)
        (scratch / "pid").write_text(str(os.getpid()))
        time.sleep(60)
        """)
    made.start()
    pid = wait_for(tmp_path / "pid")
    made.cancel()
    assert made.wait(CANCEL_LIMIT).kind == "cancelled"
    assert (tmp_path / "cleaned").exists()
    assert not alive(pid)
    assert [end.kind for end in watcher.outcomes] == ["cancelled"]


STUBBORN_FAMILY = """
    import os, pathlib, signal, subprocess, sys, time
    scratch = pathlib.Path(os.environ["SCRATCH"])
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    if "child" not in sys.argv:
        subprocess.Popen([sys.executable, "-m", "neurogen", "child"])
    (scratch / ("child" if "child" in sys.argv else "parent")).write_text(str(os.getpid()))
    time.sleep(60)
    """


@posix
def test_cancel_ends_a_family_that_ignores_sigterm(job, tmp_path):
    made, _ = job(STUBBORN_FAMILY)
    made.start()
    pids = [wait_for(tmp_path / name) for name in ("parent", "child")]
    start = time.monotonic()
    made.cancel()
    assert time.monotonic() - start < POLL_LIMIT
    end = made.wait(10)
    assert time.monotonic() - start < CANCEL_LIMIT
    assert end.kind == "cancelled"
    assert not any(map(alive, pids))


@posix
def test_no_process_outlives_a_job_that_ends_by_itself(job, tmp_path):
    made, _ = job("""
        import os, pathlib, subprocess, sys, time
        scratch = pathlib.Path(os.environ["SCRATCH"])
        child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
        (scratch / "child").write_text(str(child.pid))
        """)
    made.start()
    end = made.wait(10)
    assert end.kind == "done"
    assert not alive((tmp_path / "child").read_text())


@posix
def test_cancel_that_comes_too_late_keeps_the_results(job, tmp_path):
    made, _ = job("""
        import os, pathlib, signal
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        pathlib.Path(os.environ["SCRATCH"], "pid").write_text(str(os.getpid()))
        """)
    made.start()
    wait_for(tmp_path / "pid")
    made.cancel()
    assert made.wait(CANCEL_LIMIT).kind == "done"


@posix
def test_the_end_of_the_application_ends_its_jobs(job, tmp_path):
    job(STUBBORN_FAMILY)
    program = "from NeuroGenLib.worker import WorkerProcess; import time, sys; w = WorkerProcess([], environment=%r)\n"
    program += "w.start()\nwhile not (sys.stdin.read(1)): time.sleep(0.1)"
    environment = {"PYTHONPATH": str(tmp_path / "fake"), "SCRATCH": str(tmp_path)}
    application = subprocess.Popen([sys.executable, "-c", program % environment], stdin=subprocess.PIPE)
    pids = [wait_for(tmp_path / name) for name in ("parent", "child")]
    application.communicate(b"q", timeout=60)
    deadline = time.monotonic() + 5
    while any(map(alive, pids)) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not any(map(alive, pids))


def test_polling_never_waits_for_a_flood_nor_for_silence(job):
    made, watcher = job("""
        import json, time
        for k in range(30000):
            print(json.dumps({"stage": "s", "fraction": k / 30000}))
            print("x" * 200)
        time.sleep(2.5)
        """)
    made.start()
    slowest = 0.0
    while True:
        start = time.monotonic()
        running = made.poll()
        slowest = max(slowest, time.monotonic() - start)
        if not running:
            break
        time.sleep(0.01)
    assert made.outcome.isDone
    assert slowest < POLL_LIMIT
    assert watcher.progress[-1] == ("s", pytest.approx(29999 / 30000))


def test_blanks_and_other_alphabets_in_paths_and_words(job, tmp_path):
    made, watcher = job(
        """
        import pathlib, sys
        pathlib.Path(sys.argv[1]).write_text("da", encoding="utf-8")
        print("Größe: 脳", file=sys.stderr)
        """,
        str(tmp_path / "Жан Müller 脳.txt"),
        folder=tmp_path / "mit Leerzeichen ü",
    )
    made.start()
    assert made.wait(60).kind == "done"
    assert (tmp_path / "Жан Müller 脳.txt").read_text() == "da"
    assert watcher.log == ["Größe: 脳"]


def test_an_interpreter_that_is_missing_is_an_outcome_not_an_exception(monkeypatch, job):
    monkeypatch.setattr(worker, "pythonExecutable", lambda: "/nowhere/PythonSlicer")
    made, watcher = job("")
    made.start()
    assert not made.poll()
    assert watcher.outcomes[0].kind == "crashed"
    assert "/nowhere/PythonSlicer" in watcher.outcomes[0].message


def test_a_worker_starts_once(job):
    made, _ = job("")
    made.start()
    with pytest.raises(RuntimeError, match="already started"):
        made.start()
    made.wait(60)
    made.cancel()
    assert made.outcome.isDone


def test_a_wait_that_is_too_short_returns_none(job):
    made, _ = job("import time; time.sleep(60)")
    made.start()
    assert made.wait(0.1) is None
    made.cancel()
    assert made.wait(CANCEL_LIMIT).kind == "cancelled"


def test_the_real_command_line_answers():
    watcher = Watcher()
    made = WorkerProcess(["models", "list"], **watcher.callbacks())
    made.start()
    assert made.wait(60).isDone
    assert "adult-reflect" in [event["id"] for event in watcher.events]


def test_the_environment_of_another_python_keeps_out_slicers_home(monkeypatch):
    monkeypatch.setenv("PYTHONHOME", "/opt/Slicer/lib/Python")
    monkeypatch.setenv("PYTHONSTARTUP", "startup.py")
    monkeypatch.delenv("OMP_WAIT_POLICY", raising=False)
    assert "PYTHONHOME" not in paths.childEnvironment("/usr/bin/python3")
    assert paths.childEnvironment("/opt/Slicer/bin/PythonSlicer")["PYTHONHOME"] == "/opt/Slicer/lib/Python"
    environment = paths.childEnvironment("/usr/bin/python3", {"OMP_NUM_THREADS": "2"})
    assert "PYTHONSTARTUP" not in environment
    assert environment["OMP_WAIT_POLICY"] == "PASSIVE"
    assert environment["OMP_NUM_THREADS"] == "2"
    assert environment["PYTHONPATH"].split(os.pathsep)[0] == str(paths.packageFolder())


def test_inside_slicer_its_own_interpreter_runs_the_jobs(monkeypatch, tmp_path):
    import types

    home = tmp_path / "Slicer 5.12"
    (home / "bin").mkdir(parents=True)
    interpreter = home / "bin" / ("PythonSlicer.exe" if os.name == "nt" else "PythonSlicer")
    interpreter.write_text("")
    monkeypatch.setitem(sys.modules, "slicer", types.SimpleNamespace(app=types.SimpleNamespace(slicerHome=str(home))))
    assert paths.pythonExecutable() == str(interpreter)
    monkeypatch.setitem(sys.modules, "slicer", types.SimpleNamespace())
    assert paths.pythonExecutable() == sys.executable


def test_every_exit_code_of_the_core_has_a_kind():
    from neurogen import errors

    for error in vars(errors).values():
        if isinstance(error, type) and issubclass(error, errors.NeuroGenError) and error is not errors.NeuroGenError:
            end = outcome.outcomeOf(error.exit_code, lastWords="", log=[], cancelled=False)
            assert end.kind != "crashed"
            assert end.message
