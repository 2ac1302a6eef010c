"""The anomaly models that the panel offers, by method."""

import logging
from dataclasses import dataclass

from neurogen.errors import ModelUnavailable
from neurogen.models import Model
from NeuroGenLib.i18n import tr as _
from NeuroGenLib.models_logic import ages, modelsFor, modelStore

TASK, CONTRAST = "anomaly", "t1w"
METHODS = {"reflect": "REFLECT", "mad-ad": "MAD-AD", "deco-diff": "DeCo-Diff", "gaussian": "Gaussian"}


@dataclass(frozen=True)
class ModelChoice:
    """A model that detects anomalies in T1-weighted volumes."""

    id: str
    title: str
    method: str
    methodTitle: str
    description: str


def anomalyModels() -> tuple[ModelChoice, ...]:
    """The usable models for T1-weighted volumes, shipped ones first; others appear when they are installed."""
    store = modelStore()
    models = [_open(store, row.id) for row in modelsFor(TASK, store)]
    return tuple(_choice(model) for model in models if model is not None and CONTRAST in model.manifest["calibration"])


def _open(store, name: str) -> Model | None:
    try:
        return store.get(name)
    except ModelUnavailable as error:  # deleted a moment ago
        logging.warning("%s", error)
        return None


def _choice(model: Model) -> ModelChoice:
    manifest = model.manifest
    text = _("For T1-weighted scans, {ages}. Weights under {licence}.")
    method = manifest["method"]
    return ModelChoice(
        model.id,
        f"{model.id} {manifest['version']}",
        method,
        METHODS.get(method, method),
        text.format(ages=ages(manifest), licence=manifest["licence"]),
    )
