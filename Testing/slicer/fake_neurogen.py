"""Answers like `python -m neurogen` without a network: marks the voxels that are far too bright or too dark.

`adult-mad-ad` marks the bright ones alone; of several models the spread is SPREAD there, and 0 elsewhere.
Run by the interpreter that stands in for PythonSlicer in tests; `plan.json` beside it says how it behaves.
It reads the exported scan itself, so a map that lies on the wrong voxels would show in the tests.
"""

import json
import runpy
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

TOO_BRIGHT, TOO_DARK = 2.0, -0.5  # the tissues of the phantom lie between 0 and 1
SCORE, SPREAD = 6.0, 2.5
# Method, threshold, and whether it marks what is dark.
MODELS = {"adult-reflect": ("reflect", 3.7, True), "adult-mad-ad": ("mad-ad", 2.0, False)}
OTHER = ("deco-diff", 3.0, True)
STAGES = ("reading", "brain mask", "bias field", "registration", "resampling", "network", "writing", "report")


def main(plan: dict, arguments: list[str]) -> int:
    """One run of the command line; the exit code."""
    if arguments[0] == "doctor":
        say(versions={}, computing={"device": "cpu (no graphics card)", "processors": "2"}, models={}, folders={})
        return 0
    if arguments[0] == "demo":
        shutil.copy(plan["demo"], _made(Path(arguments[arguments.index("--scan-only") + 1])))
        return 0
    scan, out = Path(arguments[1]), Path(arguments[arguments.index("--out") + 1])
    part = out.with_name(f".{out.name}.part")
    part.mkdir(parents=True)
    if plan.get("stubborn"):
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
    for k, stage in enumerate(STAGES):
        say(stage=stage, fraction=k / len(STAGES))
        print(f"{stage} of {scan.name}", file=sys.stderr, flush=True)
        time.sleep(plan.get("seconds", 0.0) / len(STAGES))
    if plan.get("exit"):
        say(error=plan["error"])
        return plan["exit"]
    models = [arguments[k + 1] for k, word in enumerate(arguments) if word == "--model"] or ["adult-reflect"]
    write(scan, part, plan, models)
    part.rename(out)
    say(stage="done", fraction=1.0)
    return 0


def write(scan: Path, folder: Path, plan: dict, models: list[str]) -> None:
    """The files of a detection that the module reads."""
    import nibabel
    import numpy as np

    image = nibabel.load(scan)
    voxels = image.get_fdata(dtype=np.float32)
    dark = -SCORE if MODELS.get(models[0], OTHER)[2] else 0
    score = np.where(voxels > TOO_BRIGHT, SCORE, np.where(voxels < TOO_DARK, dark, 0)).astype(np.float32)
    if plan.get("brain"):  # what is not marked deviates a little, as in a brain
        score = np.where((score == 0) & (voxels > 0.3), np.float32(0.1), score)
    healthy = np.where(np.abs(score) == SCORE, 0.9, voxels).astype(np.float32)
    volumes = {"anomaly_map": score, "pseudo_healthy": healthy}
    if len(models) > 1:
        volumes["uncertainty"] = np.where(voxels > TOO_BRIGHT, SPREAD, 0).astype(np.float32)
    for name, array in volumes.items():
        path = folder / f"{name}.nii"
        nibabel.save(nibabel.Nifti1Image(array, image.affine), path)
        _compress(path)
    if plan.get("damaged"):
        (folder / "pseudo_healthy.nii.gz").write_bytes(b"no volume at all")
    (folder / "report.html").write_text("<html><body>Research use only.</body></html>")
    (folder / "detect.json").write_text(json.dumps(record(scan, image.affine.tolist(), plan, models)))


def record(scan: Path, affine: list, plan: dict, models: list[str]) -> dict:
    """`detect.json` with what the module reads of it."""
    method, threshold, _ = MODELS.get(models[0], OTHER)
    members = [{"id": name, "version": "1.0.0"} for name in models]
    identity = [[float(row == column) for column in range(4)] for row in range(4)]
    return {
        "notice": "Research use only. Not a diagnosis.",
        "command": "detect",
        "model": {
            "id": models[0],
            "version": "1.0.0",
            "method": method,
            "weights_sha256": "0" * 64,
            "licence": "CC BY-SA 4.0",
        },
        "settings": {"direction": "both", "minimum_lesion_ml": 0.1, "device": "cpu"},
        "device": "cpu",
        "versions": {"neurogen": "0.1.0"},
        "input": {"file": scan.name, "affine": affine},
        "operating_point": {
            "threshold": threshold,
            "sentence": f"Marked is what deviates by more than {threshold:.2f}.",
        },
        "facts": {"template_from_scan": identity, **({"ensemble": members} if len(models) > 1 else {})},
        "warnings": plan.get("warnings", []),
        "finished": "2026-01-02T03:04:05+00:00",
    }


def say(**content: object) -> None:
    """One JSON object a line."""
    print(json.dumps(content), flush=True)


def _compress(path: Path) -> None:
    import gzip

    with gzip.open(f"{path}.gz", "wb", compresslevel=1) as packed:
        packed.write(path.read_bytes())
    path.unlink()


def _made(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    return path


if __name__ == "__main__":
    planFile, module, *rest = sys.argv[1], sys.argv[3], *sys.argv[4:]
    if module != "neurogen":  # what needs no network runs for real
        sys.argv = [module, *rest]
        runpy.run_module(module, run_name="__main__")
    else:
        sys.exit(main(json.loads(Path(planFile).read_text()), rest))
