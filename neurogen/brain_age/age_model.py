"""Everything that one age model holds: regressor, calibration, training cloud, growth charts, importance.

The folder: `regressor.json` (coefficients by feature name, calibration), `importance.json`, and `weights.safetensors`
(training cloud and charts, double precision). All of it is numbers and names; nothing in it can run.
"""

import json
from dataclasses import asdict, dataclass, fields
from typing import Any

import numpy as np

from neurogen.brain_age.calibration import Calibration
from neurogen.brain_age.distance import TrainingCloud
from neurogen.brain_age.growth import GrowthCharts
from neurogen.brain_age.importance import Importance
from neurogen.brain_age.regression import AgeRegressor
from neurogen.errors import ModelUnavailable
from neurogen.models import Model

DEFAULT_MODEL = "neonatal-age"
TASK = "brain-age"
_CLOUD, _CHARTS = "cloud.", "charts."


@dataclass(frozen=True, eq=False)
class AgeModel:
    """A fitted model. importance: {kind: {level: {group: Importance}}}; subjects: those trained on."""

    regressor: AgeRegressor
    calibration: Calibration
    cloud: TrainingCloud
    charts: GrowthCharts
    importance: dict[str, dict[str, dict[str, Importance]]]
    subjects: frozenset[str]


def load_age_model(model: Model) -> AgeModel:
    """Read a model folder, every file of it verified. Raises ModelUnavailable for another task or foreign content."""
    from safetensors import SafetensorError
    from safetensors.numpy import load

    if model.manifest["task"] != TASK:
        raise ModelUnavailable(
            f"The model {model.id!r} is for {model.manifest['task']}, but one for {TASK} is needed, as {DEFAULT_MODEL}."
        )
    try:
        content = json.loads(model.content("regressor.json"))
        importance = json.loads(model.content("importance.json"))
        arrays = load(model.content("weights.safetensors"))
        return _assemble(content, importance, arrays)
    except (KeyError, TypeError, ValueError, SafetensorError) as error:
        raise ModelUnavailable(f"The files of the model {model.id!r} do not hold an age model ({error}).") from error


def contents_of(model: AgeModel) -> dict[str, bytes]:
    """The files of a model folder, for `models.write_model_files`."""
    from safetensors.numpy import save

    regressor = {
        **model.regressor.to_dict(),
        "calibration": asdict(model.calibration),
        "subjects": sorted(model.subjects),
    }
    arrays = {
        **{_CLOUD + field.name: getattr(model.cloud, field.name) for field in fields(TrainingCloud)},
        **{_CHARTS + name: getattr(model.charts, name) for name in ("mean", "log_spread", "age_range")},
    }
    plain = {
        kind: {level: {name: asdict(one) for name, one in found.items()} for level, found in levels.items()}
        for kind, levels in model.importance.items()
    }
    arrays = {name: np.ascontiguousarray(array, dtype=np.float64) for name, array in arrays.items()}
    return {"regressor.json": _json(regressor), "importance.json": _json(plain), "weights.safetensors": save(arrays)}


def _assemble(content: dict[str, Any], importance: dict[str, Any], arrays: dict[str, np.ndarray]) -> AgeModel:
    cloud = {name.removeprefix(_CLOUD): array for name, array in arrays.items() if name.startswith(_CLOUD)}
    charts = {name.removeprefix(_CHARTS): array for name, array in arrays.items() if name.startswith(_CHARTS)}
    read = {
        kind: {level: {name: Importance(**one) for name, one in found.items()} for level, found in levels.items()}
        for kind, levels in importance.items()
    }
    return AgeModel(
        AgeRegressor.from_dict(content),
        _calibration_from(content["calibration"]),
        TrainingCloud(**cloud),
        GrowthCharts(**charts),
        read,
        frozenset(content["subjects"]),
    )


def _calibration_from(content: dict[str, Any]) -> Calibration:
    widths = {level: tuple(values) for level, values in content["half_width"].items()}
    return Calibration(**{**content, "edges": tuple(content["edges"]), "half_width": widths})


def _json(content: Any) -> bytes:
    return (json.dumps(content, indent=1) + "\n").encode()
