"""`neurogen benchmark speed SCAN`: seconds and memory of `detect`, and how much of the machine its networks use.

Each job runs in a child process of its own, so that its peak resident memory is its own. The machine's rate is that of
a large float32 matrix product; a network stage's fraction is its floating-point operations per second over that rate.
"""

import json
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import neurogen
from neurogen.environment import choose_device
from neurogen.errors import InputRefused, NeuroGenError, UsageError
from neurogen.evaluation.provenance import provenance
from neurogen.evaluation.tables import Table
from neurogen.models import ModelStore
from neurogen.progress import Progress, portion, silent

MODEL = "adult-reflect"
# The rows that the design holds on two CPU cores: seconds, GiB.
TARGETS = {"network": (75.0, 3.0), "detect": (180.0, float("nan"))}
# The other methods, where their models are present: model, steps (None = its own), seconds, GiB.
OTHERS = {
    "network mad-ad": ("adult-mad-ad", 5, 150.0, float("nan")),
    "network deco-diff": ("adult-deco-diff", 5, 150.0, float("nan")),
    "network gaussian": ("adult-gaussian", None, 30.0, 3.0),
}
COLUMNS = (
    "seconds",
    "target_seconds",
    "cpu_seconds",
    "peak_gib",
    "target_gib",
    "calls",
    "gflop",
    "gflop_per_second",
    "fraction",
)
_JOBS = "neurogen.evaluation.speed_jobs"


def run(
    scan: Path | str,
    *,
    methods: Sequence[str] | None = None,
    json_path: Path | str | None = None,
    seed: int = 0,
    device: str = "auto",
    progress: Progress = silent,
) -> Table:
    """Measure on this machine: `network` (a whole 1 mm T1w, after preparation) and `detect` (SCAN from its file on).

    methods : which of the two; None = both. seed : part of every benchmark's signature; nothing here is drawn.
    Raises InputRefused, ModelUnavailable, UsageError.
    """
    chosen = tuple(methods or TARGETS)
    unknown = [name for name in chosen if name not in TARGETS]
    if unknown:
        raise UsageError(f"The speed of {unknown[0]!r} is not measured. Choose from {', '.join(TARGETS)}.")
    if "detect" in chosen and not Path(scan).exists():
        raise InputRefused(f"There is no scan {scan}. Give a whole T1w head or brain of about 1 mm.")
    ModelStore().get(MODEL)
    device = choose_device(device)
    progress("matrix product", 0.0)
    rate = in_child(f"{_JOBS}:matrix_rate", {"device": device})["value"]
    rows: dict[str, dict[str, float]] = {"matrix product": {"gflop_per_second": rate, "fraction": 1.0}}
    if "network" in chosen:
        progress("network", 0.1)
        rows["network"] = _row(TARGETS["network"], in_child(f"{_JOBS}:network", {"model": MODEL, "device": device}))
        rows |= _other_rows(device, portion(progress, 0.2, 0.4))
    if "detect" in chosen:
        progress("detect", 0.4)
        whole = in_child(f"{_JOBS}:detect", {"scan": str(scan), "model": MODEL, "device": device})
        rows["detect"] = _row(TARGETS["detect"], whole)
    progress("stages", 0.7)
    rows |= stage_rows(in_child(f"{_JOBS}:stages", {"model": MODEL, "device": device})["value"], rate)
    table = Table(rows, COLUMNS, {}, _notes(rate, device), _facts(device))
    if json_path is not None:
        table.write_json(Path(json_path))
    progress("speed", 1.0)
    return table


def in_child(target: str, arguments: Mapping[str, object]) -> dict:
    """Call `module:function` with keyword arguments in a child Python: {"value": ..., "cpu_seconds": ...,
    "peak_gib": ...}.

    What the function returns must be JSON. A failure comes back as the exception class of its exit code.
    """
    command = [sys.executable, "-m", _JOBS, target, json.dumps(dict(arguments))]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=_import_folder())
    if done.returncode:
        kinds = {kind.exit_code: kind for kind in NeuroGenError.__subclasses__()}
        reason = done.stderr.strip().splitlines() or [f"the child process ended with code {done.returncode}"]
        raise kinds.get(done.returncode, NeuroGenError)(reason[-1])
    return json.loads(done.stdout.splitlines()[-1])


def stage_rows(stages: Mapping[str, Mapping[str, float]], rate: float) -> dict[str, dict[str, float]]:
    """A row for each network: calls, seconds, GFLOP, GFLOP/s and its fraction of the machine's matrix-product rate."""
    rows = {}
    for name, stage in stages.items():
        reached = stage["gflop"] / stage["seconds"]
        rows[name] = {**stage, "gflop_per_second": reached, "fraction": reached / rate}
    return rows


def _other_rows(device: str, progress: Progress) -> dict[str, dict[str, float]]:
    rows = {}
    for k, (name, (model, steps, *target)) in enumerate(OTHERS.items()):
        progress(name, k / len(OTHERS))
        if model in ModelStore().ids():
            job = {"model": model, "device": device, "steps": steps}
            rows[name] = _row(target, in_child(f"{_JOBS}:network", job))
    return rows


def _row(target: Sequence[float], measured: Mapping) -> dict[str, float]:
    seconds, gib = target
    return {
        "seconds": measured["value"], "target_seconds": seconds, "cpu_seconds": measured["cpu_seconds"],
        "peak_gib": measured["peak_gib"], "target_gib": gib,
    }  # fmt: skip


def _import_folder() -> Path:
    """Where `neurogen` lies: the child finds the same code, also in a source tree."""
    return Path(neurogen.__file__).resolve().parents[1]


def _notes(rate: float, device: str) -> tuple[str, ...]:
    return (
        f"Matrix product of 2048 x 2048 float32 on {device}: {rate:.0f} GFLOP/s; fraction = GFLOP/s over that.",
        "network: a whole 1 mm T1w after preparation (80 slabs of 2 mm, one Euler step, flips averaged); mad-ad and "
        "deco-diff with 5 steps, gaussian on cells of 2 mm. detect: from "
        "the file on, with brain mask, bias field, registration and results. Targets are for two CPU cores.",
        "seconds: on the clock, longer when other work runs; cpu_seconds: processor time of all cores, "
        "loading the libraries included.",
    )


def _facts(device: str) -> dict[str, object]:
    from neurogen.environment import versions

    return {"benchmark": "speed", "device": device, "versions": versions(), **provenance(())}
