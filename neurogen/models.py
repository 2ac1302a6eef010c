"""The model store: folders with a manifest and safetensors, verified by SHA-256 before anything is read from them.

A model is a folder `<id>/{manifest.json, weights.safetensors, README.md}`. Shipped models lie in `Resources/Models`;
the user's own lie in the user's data folder, or where the environment variable NEUROGEN_MODELS points.
"""

import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import neurogen
from neurogen.errors import ModelUnavailable, UsageError
from neurogen.manifest import MANIFEST, check_id, check_manifest, read_manifest
from neurogen.model_card import model_card
from neurogen.resources import resource_path

if TYPE_CHECKING:
    from torch import Tensor

MAX_FILE_BYTES = 6 * 2**20  # a weights file; with 32 MiB in all, the extension and its history stay below 100 MB
MAX_MODEL_BYTES = 64 * 2**20  # what `install` unpacks at most


@dataclass(frozen=True, eq=False)
class Model:
    """One model folder whose manifest was read and checked; its tensors are verified when asked for.

    Two are equal when folder and manifest are: what was loaded for one can be kept for the other.
    """

    id: str
    path: Path
    manifest: dict[str, Any]
    shipped: bool = False

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Model) and (self.path, self.manifest) == (other.path, other.manifest)

    def __hash__(self) -> int:
        return hash((self.path, self.sha256))

    @property
    def sha256(self) -> str:
        """SHA-256 of the weights file, as the manifest states it."""
        return self.manifest["files"]["weights.safetensors"]["sha256"]

    def weights(self) -> "dict[str, Tensor]":
        """The network's tensors as stored (half precision), on the CPU."""
        return self.tensors("weights")

    def tensors(self, name: str) -> "dict[str, Tensor]":
        """The tensors of `<name>.safetensors`. Raises ModelUnavailable unless its SHA-256 is the manifest's."""
        from safetensors import SafetensorError
        from safetensors.torch import load

        try:
            return load(self._verified_bytes(f"{name}.safetensors"))
        except SafetensorError as error:
            raise ModelUnavailable(f"{self.path / name}.safetensors is not a safetensors file: {error}") from error

    def content(self, name: str) -> bytes:
        """The bytes of a file that the manifest names. Raises ModelUnavailable unless its SHA-256 is the manifest's."""
        return self._verified_bytes(name)

    def verify(self) -> None:
        """Raise ModelUnavailable unless every file that the manifest names is present and unchanged."""
        for name in self.manifest["files"]:
            self._verified_bytes(name)

    def _verified_bytes(self, name: str) -> bytes:
        expected = self.manifest["files"].get(name)
        if expected is None:
            raise ModelUnavailable(f"The model {self.id!r} has no file {name}; its manifest names none.")
        try:
            content = (self.path / name).read_bytes()
        except OSError as error:
            raise ModelUnavailable(
                f"The model {self.id!r} needs {self.path / name}, which cannot be read ({error.strerror}). "
                "It was removed or renamed: install the model again."
            ) from error
        if hashlib.sha256(content).hexdigest() != expected["sha256"]:
            raise ModelUnavailable(
                f"{self.path / name} is not the file that the model {self.id!r} was published with: its SHA-256 "
                f"differs ({len(content)} bytes, {expected['bytes']} expected). Install the model again."
            )
        return content


@dataclass(frozen=True)
class ModelStore:
    """The shipped models and the user's own; a shipped id cannot be replaced."""

    shipped: Path = field(default_factory=lambda: resource_path("Models"))
    user: Path = field(default_factory=lambda: user_folder())

    def get(self, name: str) -> Model:
        """The model of this id, or in this folder when `name` is a path (contains a separator).

        Raises ModelUnavailable when there is none, or when its manifest is not one.
        """
        if os.sep in name or "/" in name:
            return _open(Path(name), shipped=False)
        for folder, shipped in ((self.shipped, True), (self.user, False)):
            if (folder / name).is_dir():
                return _open(folder / name, shipped=shipped)
        known = ", ".join(self.ids()) or "none"
        raise ModelUnavailable(
            f"There is no model {name!r}. Present: {known}. `neurogen models install FILE` adds one from a file."
        )

    def ids(self) -> list[str]:
        """The ids of all model folders, also of damaged ones, shipped first."""
        found = [
            entry.parent.name for root in (self.shipped, self.user) for entry in sorted(root.glob(f"*/{MANIFEST}"))
        ]
        return list(dict.fromkeys(name for name in found if not name.startswith(".")))

    def install(self, source: Path) -> Model:
        """Copy a model from a .zip file or a folder into the user's folder, whole and verified, or not at all."""
        from neurogen.archive import unpack

        self.user.mkdir(parents=True, exist_ok=True)
        work = Path(tempfile.mkdtemp(prefix=".install-", suffix=".part", dir=self.user))
        try:
            folder = unpack(Path(source), work, max_bytes=MAX_MODEL_BYTES)
            manifest = read_manifest(folder)
            self._refuse_taken(manifest["id"])
            Model(manifest["id"], folder, manifest).verify()
            os.replace(folder, self.user / manifest["id"])
        finally:
            shutil.rmtree(work, ignore_errors=True)
        return self.get(manifest["id"])

    def remove(self, name: str) -> None:
        """Delete a model of the user's folder. Raises UsageError for a shipped one, ModelUnavailable for an unknown."""
        check_id(name)
        if (self.shipped / name).is_dir():
            raise UsageError(f"{name!r} is shipped with NeuroGen and stays; only installed models can be removed.")
        if not (self.user / name).is_dir():
            raise ModelUnavailable(f"There is no installed model {name!r} in {self.user}.")
        shutil.rmtree(self.user / name)

    def _refuse_taken(self, name: str) -> None:
        for folder, remedy in ((self.shipped, "train it under another id"), (self.user, "remove that one first")):
            if (folder / name).exists():
                raise UsageError(f"A model {name!r} is already in {folder}; {remedy}.")


def user_folder() -> Path:
    """Where the user's own models lie: NEUROGEN_MODELS, or the platform's folder for a user's application data."""
    chosen = os.environ.get("NEUROGEN_MODELS")
    if chosen:
        return Path(chosen).expanduser()
    from platformdirs import user_data_path

    return user_data_path("NeuroGen", appauthor=False) / "models"


def write_model(
    folder: Path,
    manifest: Mapping[str, Any],
    weights: "Mapping[str, Tensor]",
    *,
    extra: "Mapping[str, Mapping[str, Tensor]] | None" = None,
) -> Model:
    """Write a model folder at once: half-precision weights, manifest with SHA-256, and a model card made from it.

    `manifest` holds every key of `neurogen.manifest.KEYS` but `files` and `code_version`, which are added here.
    `extra` maps further file stems to tensors, for example {"healthy": {"mean": ..., "deviation": ...}}.
    An existing folder is replaced. Raises ValueError for an incomplete manifest, values beyond half precision
    or a file above 6 MiB.
    """
    contents = {
        f"{name}.safetensors": _half_bytes(name, tensors)
        for name, tensors in {"weights": weights, **(extra or {})}.items()
    }
    return write_model_files(folder, manifest, contents)


def write_model_files(folder: Path, manifest: Mapping[str, Any], contents: Mapping[str, bytes]) -> Model:
    """Write a model folder at once from the bytes of its files, `weights.safetensors` among them; see `write_model`."""
    folder = Path(folder)
    files = {name: {"sha256": hashlib.sha256(c).hexdigest(), "bytes": len(c)} for name, c in contents.items()}
    complete = {"code_version": neurogen.__version__, **manifest, "files": files}
    problems = check_manifest(complete)
    if problems:
        raise ValueError(f"The manifest of {folder.name!r} is not complete: {'; '.join(problems)}.")
    text = json.dumps(complete, indent=2, ensure_ascii=False) + "\n"
    _replace_folder(folder, {**contents, MANIFEST: text.encode(), "README.md": model_card(complete).encode()})
    return Model(complete["id"], folder, complete)


def _half_bytes(name: str, tensors: "Mapping[str, Tensor]") -> bytes:
    from safetensors.torch import save

    half = {}
    for key, tensor in tensors.items():
        tensor = tensor.detach().cpu()
        half[key] = (tensor.half() if tensor.is_floating_point() else tensor).contiguous().clone()
        if tensor.is_floating_point() and not half[key].isfinite().all():
            raise ValueError(f"The tensor {key!r} has values that half precision cannot hold (NaN, or beyond 65504).")
    content = save(half)
    if len(content) > MAX_FILE_BYTES:
        raise ValueError(
            f"{name}.safetensors would have {len(content) / 2**20:.1f} MiB, but a file may have 6 MiB at most "
            "(about 3 million parameters). Choose a smaller network."
        )
    return content


def _replace_folder(folder: Path, contents: Mapping[str, bytes]) -> None:
    folder.parent.mkdir(parents=True, exist_ok=True)
    work = Path(tempfile.mkdtemp(prefix=f".{folder.name}-", suffix=".part", dir=folder.parent))
    try:
        new, old = work / "new", work / "old"
        new.mkdir()
        for name, content in contents.items():
            (new / name).write_bytes(content)
        if folder.exists():
            os.replace(folder, old)
        os.replace(new, folder)
    finally:
        shutil.rmtree(work, ignore_errors=True)


def _open(folder: Path, *, shipped: bool) -> Model:
    manifest = read_manifest(folder)
    if manifest["id"] != folder.resolve().name and shipped:
        raise ModelUnavailable(
            f"The folder {folder} holds the model {manifest['id']!r}: it was renamed. Give it back its own name."
        )
    return Model(manifest["id"], folder, manifest, shipped)
