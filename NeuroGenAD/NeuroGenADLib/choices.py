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

# Good and bad at: planted lesions and healthy scans of Docs/benchmarks.md, at the operating point.
TOLD = {
    "reflect": _(
        "Carries each slice to a healthy one in one step. Finds most lesions of 1 ml and more, shrinkage included; "
        "misses nearly all smaller ones."
    ),
    "mad-ad": _(
        "Finds abnormal places and renews only these. Finds the most bright, dark and displacing lesions; marks the "
        "most in healthy scans too, and misses shrinkage and small lesions."
    ),
    "deco-diff": _(
        "Predicts how each place deviates and takes it back. Finds most bright, dark and displacing lesions; misses "
        "shrinkage and small lesions."
    ),
    "gaussian": _(
        "Asks how unlike healthy features a place looks. The quickest, and marks the least in healthy scans; misses "
        "more than half of the lesions of 1 ml and more, and all smaller ones."
    ),
}
TOLD_MEAN = _(
    "The mean of the scores of {models}, and how far they disagree. Marks less in healthy scans than most of them; "
    "misses more lesions of 1 to 10 ml than the best of them."
)

STAGES = {"network": _("Computing the pseudo-healthy brain")}
# Processor time of `detect` on a 1 mm T1w beside the networks of the methods, on one core: measured with all four.
OTHER_SECONDS = 18.0


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
    told += _time([model])
    return ModelChoice(
        (model.id,),
        f"{model.id} {manifest['version']}",
        method,
        METHODS.get(method, method),
        " ".join([*told, text.format(ages=ages(manifest), licence=manifest["licence"])]),
    )


def _time(models: Sequence[Model]) -> list[str]:
    """How long a scan takes, where all models tell what their networks take."""
    known = [_networkSeconds(model.manifest) for model in models]
    if None in known:
        return []
    text = _("About {seconds:.0f} s for a scan of 1 mm on one processor core.")
    return [text.format(seconds=OTHER_SECONDS + sum(known))]


def _networkSeconds(manifest: Mapping) -> float | None:
    """Of one processor core, as the model was measured."""
    return next((value for name, value in manifest.get("seconds", {}).items() if name.startswith("cpu")), None)


def _mean(models: Sequence[Model]) -> list[ModelChoice]:
    """The mean of the first model of each method, where there are at least two methods that can be averaged."""
    able = [model for model in models if model.manifest["calibration"][CONTRAST].get("healthy_quantiles")]
    first = {model.manifest["method"]: model for model in reversed(able)}
    members = [model for model in able if first[model.manifest["method"]] is model]
    if len(members) < 2:
        return []
    ids = tuple(model.id for model in members)
    titles = [METHODS.get(model.manifest["method"], model.manifest["method"]) for model in members]
    told = [TOLD_MEAN.format(models=", ".join(titles)), *_time(members)]
    title = _("{count} models").format(count=len(ids))
    return [ModelChoice(ids, title, MEAN, meanTitle(len(ids)), " ".join(told))]


def meanTitle(count: int) -> str:
    """What the mean of so many methods is called."""
    return _("Mean of {count} methods").format(count=count)
