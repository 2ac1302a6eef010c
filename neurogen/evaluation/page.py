"""`neurogen benchmark page RESULTS`: one page of markdown from the JSON files of benchmarks, with nothing typed.

Files of one benchmark on the same data and split become one table; of a row in several files the file that is last by
name counts. What the columns mean stands in the benchmark's module, and comes from there.
"""

import importlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path

from neurogen.errors import InputRefused
from neurogen.evaluation.tables import Table

TITLES = {
    "flair-stroke": "Acute stroke on one FLAIR slice a patient",
    "planted": "Lesions planted in kept-apart healthy T1w scans",
    "harmonize": "A segmenter of the reference site on scans of other scanners",
    "choices": "What was tried when a model was made",
    "speed": "Seconds and memory",
}
EXPLAINED_IN = {
    "flair-stroke": "flair_stroke",
    "planted": "planted_columns",
    "harmonize": "harmonize",
    "choices": "choices",
    "speed": "speed",
}
# Columns of one table, or patterns of them. Columns in no group come last.
GROUPS = {
    "flair-stroke": {
        "Pixels": ("auprc", "prevalence", "auprc_rim", "aupro", "dice_mean_calibrated"),
        "Published protocol: thresholds chosen on the test masks, upper bounds": (
            "dice_mean_oracle",
            "dice_pooled_oracle",
        ),
        "Lesions by size, at the calibrated threshold": (
            "recall_small", "recall_medium", "recall_large", "f1_small", "f1_medium", "f1_large"
        ),
        "Slices, false positives and time": ("auroc_image", "auprc_image", "fp_ml", "seconds"),
    },
    "planted": {
        "Lesions found at the operating point": (
            "recall_1ml", "recall_bright", "recall_dark", "recall_textured", "recall_mass_effect", "recall_atrophy"
        ),
        "By size": ("recall_small", "recall_medium", "recall_large", "f1_small", "f1_medium", "f1_large"),
        "Voxels": ("auprc", "prevalence", "auprc_rim", "aupro", "centroid_mm"),
        "Published protocol: one slice a scan, thresholds chosen on the test masks, upper bounds": (
            "published_dice_mean",
            "published_dice_pooled",
            "published_auprc",
        ),
        "Healthy scans, scans as such, and time": (
            "healthy_within_3ml", "fp_ml", "auroc_image", "auprc_image", "seconds"
        ),
        "False marks in kept-apart healthy scans by source and age, ml": ("fp_ml_*",),
        "Patients with multiple sclerosis, without a claim": ("ms_*",),
    },
    "harmonize": {
        "Segmentation": ("DSC *", "HD95 mm", "given back", "s a volume"),
        "Intensities": ("Wasserstein", "SSIM to truth"),
        "Volumes, against the undistorted scan": ("* change ml", "* change %"),
    },
}  # fmt: skip
INTRODUCTION = """# Benchmarks

Made by `neurogen benchmark page` from the JSON files in `{folder}`, each written by `neurogen benchmark NAME ... --json
FILE`. Nothing here is typed. Brackets are 95 % intervals. Research use only; no number here says how a method does in
your patients."""


@dataclass(frozen=True)
class Result:
    """One JSON file of a benchmark."""

    file: str
    content: Mapping

    @property
    def benchmark(self) -> str:
        return self.content["benchmark"]

    @property
    def setting(self) -> str:
        """What must be equal for rows to stand in one table."""
        return json.dumps([self.content.get("data"), self.content.get("split")], sort_keys=True)


def page(folder: Path | str, *, shown_folder: str | None = None) -> str:
    """The page of all results in a folder; shown_folder: how the page calls it. Raises InputRefused."""
    results = read_results(Path(folder))
    parts = [INTRODUCTION.format(folder=shown_folder or Path(folder).as_posix())]
    for name, title in TITLES.items():
        groups: dict[str, list[Result]] = {}
        for result in results:
            if result.benchmark == name:
                groups.setdefault(result.setting, []).append(result)
        if groups:
            parts += [f"## {title}", f"`neurogen benchmark {name}`", f"```text\n{_explanation(name)}\n```"]
        parts += [part for group in groups.values() for part in _section(name, group)]
    return "\n\n".join(parts) + "\n"


def read_results(folder: Path) -> list[Result]:
    """The JSON files of a folder by name. Raises InputRefused for one that no benchmark wrote, or for none."""
    results = []
    for path in sorted(folder.glob("*.json")):
        try:
            content = json.loads(path.read_text(encoding="utf-8"))
        except ValueError as error:
            raise InputRefused(f"{path} is no JSON file ({error}). Write it with neurogen benchmark --json.") from error
        if not isinstance(content, dict) or content.get("benchmark") not in TITLES or "rows" not in content:
            raise InputRefused(
                f"{path} holds no result of {', '.join(TITLES)}. Write it with neurogen benchmark --json, or move it."
            )
        results.append(Result(path.name, content))
    if not results:
        raise InputRefused(f"{folder} holds no JSON files of benchmarks. Write some with neurogen benchmark --json.")
    return results


def _section(name: str, results: Sequence[Result]) -> list[str]:
    rows, intervals, notes = {}, {}, {}
    for result in results:
        rows |= {row: {k: _value(v) for k, v in cells.items()} for row, cells in result.content["rows"].items()}
        intervals |= {
            row: {k: tuple(map(_value, pair)) for k, pair in cells.items()}
            for row, cells in result.content.get("intervals", {}).items()
        }
        notes |= dict.fromkeys(note for note in result.content.get("notes", ()) if "left out" not in note)
    parts = [_data_of(results[0].content)]
    for heading, columns in _column_groups(name, rows):
        parts.append(f"### {heading}" if heading else "")
        parts.append(Table(rows, tuple(columns), intervals).markdown())
    return [part for part in parts if part] + ["\n".join(f"- {note}" for note in notes), _made_from(results)]


def _column_groups(name: str, rows: Mapping[str, Mapping]) -> Iterable[tuple[str, list[str]]]:
    present = list(dict.fromkeys(column for cells in rows.values() for column in cells))
    shown: set[str] = set()
    for heading, patterns in GROUPS.get(name, {}).items():
        chosen = [column for pattern in patterns for column in present if fnmatchcase(column, pattern)]
        shown.update(chosen)
        if chosen:
            yield heading, chosen
    left = [column for column in present if column not in shown]
    if left:
        yield "", left


def _data_of(content: Mapping) -> str:
    """Data and split of a table."""
    lines = []
    if content.get("data"):
        lines.append("Data: " + ", ".join(f"{key} {value}" for key, value in content["data"].items()))
    if content.get("split"):
        lines.append("Split: " + "; ".join(f"{key} {_listed(value)}" for key, value in content["split"].items()))
    if content.get("evaluated_share", 1) < 1:
        lines.append(f"Evaluated: a share of {content['evaluated_share']} of the slices with lesions, drawn once")
    return "\n".join(f"- {line}" for line in lines)


def _made_from(results: Sequence[Result]) -> str:
    """For every file its rows, the commit and the models."""
    lines = []
    for result in results:
        content = result.content
        models = {i: sha for used in content.get("models", {}).values() for i, sha in used.items()}
        named = ", ".join(f"{i} ({sha[:8]})" for i, sha in models.items())
        lines.append(
            f"`{result.file}`: NeuroGen {content['version']}, commit {content.get('commit') or 'unknown'}; rows "
            f"{', '.join(content['rows'])}" + (f"; weights {named}" if named else "")
        )
    return "\n".join(f"- {line}" for line in lines)


def _listed(value: object) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)


def _explanation(name: str) -> str:
    """What the benchmark's module says of itself."""
    module = importlib.import_module(f"neurogen.evaluation.{EXPLAINED_IN[name]}")
    return (module.__doc__ or "").strip()


def _value(value: float | None) -> float:
    return float("nan") if value is None else value
