"""The jobs of `speed.py`: `python -m neurogen.evaluation.speed_jobs MODULE:FUNCTION JSON_ARGUMENTS`."""

import importlib
import json
import sys
import time

from neurogen.errors import NeuroGenError
from neurogen.models import ModelStore

MATRIX = 2048
REPEATS = 8


def matrix_rate(device: str = "cpu") -> float:
    """GFLOP/s of the fastest of some 2048 x 2048 float32 matrix products (2 n^3 operations each)."""
    import torch

    generator = torch.Generator().manual_seed(0)
    a, b = (torch.randn(MATRIX, MATRIX, generator=generator).to(device) for _ in range(2))
    seconds = []
    for _ in range(REPEATS):
        start = time.perf_counter()
        torch.mm(a, b)
        _finish(device)
        seconds.append(time.perf_counter() - start)
    return 2 * MATRIX**3 / min(seconds) / 1e9


def network(model: str, device: str = "cpu", steps: int | None = None) -> float:
    """Seconds to score the template brain, a whole 1 mm T1w as preparation leaves it, model loading included."""
    start = time.perf_counter()
    _score_template(model, device, steps)
    _finish(device)
    return time.perf_counter() - start


def detect(scan: str, model: str, device: str = "cpu") -> float:
    """Seconds from the file to the results of `detect`."""
    from neurogen.anomaly import DetectionSettings
    from neurogen.anomaly import detect as detect_anomalies
    from neurogen.volumes import load_volume

    start = time.perf_counter()
    detect_anomalies(load_volume(scan), DetectionSettings(model=model, device=device))
    return time.perf_counter() - start


def stages(model: str, device: str = "cpu") -> dict[str, dict[str, float]]:
    """Calls, seconds and GFLOP of every network that brain mask and scoring of the template brain call."""
    from neurogen.evaluation.stage_clock import StageClock
    from neurogen.preprocess.brain_mask import MODEL_ID, predict_brain_mask
    from neurogen.preprocess.template import template_t1

    with StageClock(finish=lambda: _finish(device)) as clock:
        if MODEL_ID in ModelStore().ids():
            predict_brain_mask(template_t1(), device=device)
        _score_template(model, device)
    return clock.stages()


def _score_template(model: str, device: str, steps: int | None = None) -> None:
    from neurogen.anomaly.detector import ScoreSettings
    from neurogen.anomaly.score import score_volume
    from neurogen.preprocess.intensity import percentile_scale
    from neurogen.preprocess.template import template_on_grid

    raw = template_on_grid().array
    brain = raw > 0
    image = percentile_scale(raw, brain).apply(raw).clip(0, 1)
    score_volume(ModelStore().get(model), image, brain, settings=ScoreSettings(steps=steps), device=device)


def _finish(device: str) -> None:
    """Wait for what the device still computes."""
    if device == "cuda":
        import torch

        torch.cuda.synchronize()


def _peak_gib() -> float:
    """Peak resident memory of this process so far; NaN on Windows, which does not tell."""
    try:
        import resource
    except ImportError:
        return float("nan")
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 2**30


def main(target: str, arguments: str) -> int:
    module, function = target.split(":")
    job = importlib.import_module(module)
    start = time.process_time()
    try:
        value = getattr(job, function)(**json.loads(arguments))
    except NeuroGenError as error:
        print(error, file=sys.stderr)
        return error.exit_code
    cpu_seconds = time.process_time() - start
    print(json.dumps({"value": value, "cpu_seconds": cpu_seconds, "peak_gib": _peak_gib()}))
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
