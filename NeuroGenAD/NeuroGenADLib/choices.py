"""The anomaly models that the panel offers, by method, and their mean where there are several methods."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from neurogen.anomaly import DetectionSettings
from neurogen.errors import ModelUnavailable
from neurogen.models import Model
from NeuroGenLib.i18n import tr as _
from NeuroGenLib.models_logic import ages, modelsFor, modelStore

TASK, CONTRAST, MEAN = "anomaly", "t1w", "mean"
METHODS = {"reflect": "REFLECT", "mad-ad": "MAD-AD", "deco-diff": "DeCo-Diff", "gaussian": "SimCLR + Gaussian"}

TOLD = {
    "reflect": _(
        "Carries a slice to a healthy one in one step. Good at lesions of 1 ml and more; often misses small ones."
    ),
    "mad-ad": _(
        "Finds abnormal places and renews only these. Good at lesions of 1 ml and more; often misses small ones."
    ),
    "deco-diff": _(
        "Predicts how each place deviates and takes it back. Good at acute stroke; often misses small lesions."
    ),
    "gaussian": _(
        "Asks how unlike healthy features a place looks. Fast, few false marks; coarse, misses small lesions."
    ),
}

STAGES = {"network": _("Computing the pseudo-healthy brain")}


@dataclass(frozen=True)
class ModelChoice:
    """One model that detects anomalies in T1-weighted volumes, or several whose scores are averaged."""

    ids: tuple[str, ...]
    title: str
    method: str
    methodTitle: str
    description: str

    @property
    def key(self) -> str:
        """What identifies the choice in a list."""
        return ",".join(self.ids)

    def chosenBy(self, settings: DetectionSettings) -> bool:
        """Whether these settings mean this choice."""
        return self.ids == (settings.model, *settings.ensemble)


def anomalyModels() -> tuple[ModelChoice, ...]:
    """The usable models for T1-weighted volumes, shipped ones first; others appear when they are installed."""
    store = modelStore()
    found = [_open(store, row.id) for row in modelsFor(TASK, store)]
    models = [model for model in found if model is not None and CONTRAST in model.manifest["calibration"]]
    models.sort(key=lambda model: _rank(model.manifest["method"]))
    return (*map(_choice, models), *_mean(models))


def _rank(method: str) -> int:
    """The place of a method in the list; unknown ones come last."""
    return [*METHODS, method].index(method)


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
    told = [TOLD[method]] if method in TOLD else []
    told += _seconds(manifest)
    return ModelChoice(
        (model.id,),
        f"{model.id} {manifest['version']}",
        method,
        METHODS.get(method, method),
        " ".join([*told, text.format(ages=ages(manifest), licence=manifest["licence"])]),
    )


def _seconds(manifest: Mapping) -> list[str]:
    """How long one processor core takes beside the preparation, where the model tells."""
    known = [value for name, value in manifest.get("seconds", {}).items() if name.startswith("cpu")]
    return (
        [_("About {seconds:.0f} s on one processor core, after preparation.").format(seconds=known[0])] if known else []
    )


def _mean(models: Sequence[Model]) -> list[ModelChoice]:
    """The mean of the first model of each method, where there are at least two methods that can be averaged."""
    able = [model for model in models if model.manifest["calibration"][CONTRAST].get("healthy_quantiles")]
    first = {model.manifest["method"]: model for model in reversed(able)}
    members = [model for model in able if first[model.manifest["method"]] is model]
    if len(members) < 2:
        return []
    ids = tuple(model.id for model in members)
    description = _("The mean of the calibrated scores of these models, and how far they disagree.")
    return [ModelChoice(ids, ", ".join(ids), MEAN, _("Mean of {count} methods").format(count=len(ids)), description)]
