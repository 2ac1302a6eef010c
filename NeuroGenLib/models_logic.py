"""What the models panel shows and does, without Qt: the model store in rows and sentences."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from neurogen.errors import ModelUnavailable
from neurogen.models import Model, ModelStore
from NeuroGenLib.i18n import tr as _
from NeuroGenLib.paths import packageFolder


@dataclass(frozen=True)
class ModelRow:
    """One model as a user sees it; `problem` is empty for one that can be used."""

    id: str
    version: str = ""
    task: str = ""
    purpose: str = ""
    trainedOn: str = ""
    licence: str = ""
    origin: str = ""
    megabytes: float = 0.0
    problem: str = ""
    folder: Path | None = None
    isShipped: bool = False


def modelStore() -> ModelStore:
    """The models that are here; without the user's own while the package that knows their folder is missing."""
    try:
        return ModelStore()
    except ModuleNotFoundError:
        return ModelStore(user=packageFolder() / "no-user-models")


def modelRows(store: ModelStore | None = None) -> list[ModelRow]:
    """All models, damaged ones too, shipped first. Reads manifests only; `verifyModel` reads the weights."""
    store = store or modelStore()
    return [_row(store, name) for name in store.ids()]


def modelsFor(task: str, store: ModelStore | None = None) -> list[ModelRow]:
    """The usable models of a task: "anomaly", "brain-mask", "brain-age", ..."""
    return [row for row in modelRows(store) if row.task == task and not row.problem]


def modelTitles(task: str, store: ModelStore | None = None) -> dict[str, str]:
    """Id and title of the usable models of a task."""
    return {row.id: f"{row.id} {row.version}" for row in modelsFor(task, store)}


def manifestOf(modelId: str, store: ModelStore | None = None) -> Mapping[str, Any]:
    """What a model says about itself. Raises ModelUnavailable."""
    return (store or modelStore()).get(modelId).manifest


def modelCard(modelId: str, store: ModelStore | None = None) -> str:
    """The model card in Markdown. Raises ModelUnavailable."""
    from neurogen.model_card import model_card

    return model_card(manifestOf(modelId, store))


def verifyModel(modelId: str, store: ModelStore | None = None) -> str:
    """Compare every file of a model with its SHA-256; return what is wrong, empty when nothing is."""
    try:
        (store or modelStore()).get(modelId).verify()
    except ModelUnavailable as error:
        return str(error)
    return ""


def installModel(source: str | Path, store: ModelStore | None = None) -> ModelRow:
    """Add a model from a .zip file or a folder, whole and verified, or not at all.

    Raises ModelUnavailable and UsageError with a sentence for the user; ModuleNotFoundError before packages are there.
    """
    store = store or ModelStore()
    return _row(store, store.install(Path(source)).id)


def removeModel(modelId: str, store: ModelStore | None = None) -> None:
    """Delete a model of the user's folder. Raises UsageError for a shipped one."""
    (store or ModelStore()).remove(modelId)


def userFolder() -> Path:
    """Where installed models lie, made if need be. Raises ModuleNotFoundError before packages are there."""
    folder = ModelStore().user
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def ages(manifest: Mapping[str, Any]) -> str:
    """The ages that a model was trained for, in words."""
    low, high = manifest["age_range"]
    return _("{low:g} to {high:g} {unit}").format(low=low, high=high, unit=manifest.get("age_unit", _("years")))


def _row(store: ModelStore, name: str) -> ModelRow:
    shipped = (store.shipped / name).is_dir()
    origin = _("with NeuroGen") if shipped else _("installed")
    folder = (store.shipped if shipped else store.user) / name
    try:
        return _facts(store.get(name), origin)
    except ModelUnavailable as error:
        return ModelRow(name, problem=str(error), origin=origin, folder=folder, isShipped=shipped)


def _facts(model: Model, origin: str) -> ModelRow:
    manifest = model.manifest
    missing = [name for name in manifest["files"] if not (model.path / name).is_file()]
    trained = _("{name} ({scans} scans, {terms})")
    return ModelRow(
        id=model.id,
        version=manifest["version"],
        task=manifest["task"],
        purpose=f"{', '.join(manifest['contrasts'])}; {ages(manifest)}",
        trainedOn="; ".join(
            trained.format(**{k: d[k] for k in ("name", "scans", "terms")}) for d in manifest["training_data"]
        ),
        licence=manifest["licence"],
        origin=origin,
        megabytes=sum(entry["bytes"] for entry in manifest["files"].values()) / 1e6,
        problem=_("Missing: {files}. Install it again.").format(files=", ".join(missing)) if missing else "",
        folder=model.path,
        isShipped=model.shipped,
    )
