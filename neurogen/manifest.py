"""What a model says about itself: the keys of `manifest.json` and their check. `model_card.py` makes the card."""

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from neurogen.errors import ModelUnavailable

MANIFEST = "manifest.json"
TASKS = ("brain-mask", "autoencoder", "anomaly", "brain-age", "regions", "flow", "harmonize")
KEYS: dict[str, tuple[type, ...]] = {
    "id": (str,),
    "version": (str,),
    "task": (str,),
    "method": (str,),
    "contrasts": (list,),
    "age_range": (list,),
    "spacing_mm": (int, float, list),
    "network": (dict,),
    "training_data": (list,),
    "training": (dict,),
    "calibration": (dict,),
    "measured": (list,),
    "seconds": (dict,),
    "licence": (str,),
    "code_version": (str,),
    "files": (dict,),
}
_MAX_MANIFEST_BYTES = 2**20
_ID = re.compile(r"[a-z0-9][a-z0-9-]{0,63}")
_FILE_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}\.(safetensors|json)")
_SHA256 = re.compile(r"[0-9a-f]{64}")


def read_manifest(folder: Path) -> dict[str, Any]:
    """The checked manifest of a model folder. Raises ModelUnavailable when it is missing, damaged or incomplete."""
    path = folder / MANIFEST
    try:
        if path.stat().st_size > _MAX_MANIFEST_BYTES:
            raise ModelUnavailable(f"{path} is larger than a manifest can be (1 MiB).")
        manifest = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ModelUnavailable(
            f"{folder} is not a model: {MANIFEST} cannot be read ({error.strerror}). A model is a folder with "
            f"{MANIFEST} and weights.safetensors."
        ) from error
    except ValueError as error:
        raise ModelUnavailable(f"{path} is not JSON ({error}). Install the model again.") from error
    problems = check_manifest(manifest)
    if problems:
        raise ModelUnavailable(
            f"{path} is not the manifest of a model: {'; '.join(problems)}. Install the model again."
        )
    return manifest


def check_manifest(manifest: Any) -> list[str]:
    """What is wrong with a manifest, each in a few words; an empty list when nothing is."""
    if not isinstance(manifest, Mapping):
        return ["it is no table of keys"]
    missing = [key for key in KEYS if key not in manifest]
    if missing:
        return [f"it lacks {', '.join(missing)}"]
    wrong = [key for key, types in KEYS.items() if not isinstance(manifest[key], types)]
    if wrong:
        return [f"{key!r} is of the wrong type" for key in wrong]
    return _content_problems(manifest)


def check_id(name: str) -> None:
    """Raise ModelUnavailable unless `name` can be a model's id (and so a folder's name)."""
    if not _ID.fullmatch(name):
        raise ModelUnavailable(f"{name!r} cannot be a model's id: small letters, digits and - are.")


def _content_problems(manifest: Mapping[str, Any]) -> list[str]:
    files = manifest["files"]
    bad_files = [name for name, entry in files.items() if not _FILE_NAME.fullmatch(name) or not _is_file_entry(entry)]
    data_keys = {"name", "terms", "scans"}
    checks = {
        f"the id {manifest['id']!r} is not small letters, digits and -": not _ID.fullmatch(manifest["id"]),
        f"the task {manifest['task']!r} is none of {', '.join(TASKS)}": manifest["task"] not in TASKS,
        "'contrasts' holds more than names": not all(isinstance(c, str) for c in manifest["contrasts"]),
        "'age_range' is not two numbers": not _is_age_range(manifest["age_range"]),
        "'files' does not name weights.safetensors": "weights.safetensors" not in files,
        f"'files' has a wrong entry ({', '.join(map(str, bad_files))})": bool(bad_files),
        "an entry of 'training_data' lacks name, terms or scans": not all(
            isinstance(d, Mapping) and data_keys <= set(d) for d in manifest["training_data"]
        ),
        "an entry of 'measured' is no table with a protocol": not all(
            isinstance(row, Mapping) and "protocol" in row for row in manifest["measured"]
        ),
    }
    return [problem for problem, found in checks.items() if found]


def _is_age_range(ages: list) -> bool:
    return len(ages) == 2 and all(isinstance(age, int | float) for age in ages) and ages[0] <= ages[1]


def _is_file_entry(entry: Any) -> bool:
    return (
        isinstance(entry, Mapping)
        and isinstance(entry.get("bytes"), int)
        and isinstance(entry.get("sha256"), str)
        and bool(_SHA256.fullmatch(entry["sha256"]))
    )
