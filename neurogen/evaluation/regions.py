"""The benchmark of the region segmentation: Dice on kept-apart label maps, and what it does to the predicted age.

Protocol: the scans NAME_T2w.nii.gz whose maps NAME_regions.nii.gz the model kept apart (its manifest names them; all,
where none of them is there) are segmented on their own grid. Dice by tissue and by region against the map. The age is
read from the given map and from the found one; their difference is the shift. What each feature adds to an age sums up
to it, so the shift divides exactly into what relational volumes and what surface-to-volume ratios do.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from neurogen.brain_age.age_model import DEFAULT_MODEL, AgeModel, load_age_model
from neurogen.brain_age.estimate import estimate_age
from neurogen.brain_age.label_maps import LABEL_SUFFIX, SCAN_SUFFIX, dice_of, find_maps
from neurogen.brain_age.regions import FEATURE_NAMES, LABELS, name_of_feature, region_of
from neurogen.brain_age.segmentation import MODEL_ID, SegmentationSettings, load_segmenter, segment_regions
from neurogen.brain_age.tissues import TISSUE_OF, TISSUES
from neurogen.errors import InputRefused, UsageError
from neurogen.evaluation.tables import Table
from neurogen.models import ModelStore
from neurogen.progress import Progress, portion, silent
from neurogen.volumes import load_volume

COLUMNS = ("dice_regions", "lowest_region", "dice_tissues", *TISSUES[1:], "regions_missing", "age_given", "age_found",
           "age_shift", "shift_rv", "shift_svr")  # fmt: skip
LARGEST_SHIFTS = 12  # features that are told


@dataclass(frozen=True, eq=False)
class Agreement:
    """One scan. dice_region (86,), dice_tissue (9,), shift (172,) weeks by feature; NaN where a region is missing."""

    dice_region: np.ndarray
    dice_tissue: np.ndarray
    missing: int
    age_given: float
    age_found: float
    shift: np.ndarray

    def row(self) -> dict[str, float]:
        """By COLUMNS."""
        tissues = dict(zip(TISSUES[1:], map(float, self.dice_tissue), strict=True))
        return {
            "dice_regions": float(np.nanmean(self.dice_region)),
            "lowest_region": float(np.nanmin(self.dice_region)),
            "dice_tissues": float(np.nanmean(self.dice_tissue)),
            **tissues,
            "regions_missing": float(self.missing),
            "age_given": self.age_given,
            "age_found": self.age_found,
            "age_shift": self.age_found - self.age_given,
            "shift_rv": float(self.shift[: len(LABELS)].sum()),
            "shift_svr": float(self.shift[len(LABELS) :].sum()),
        }


def run(
    data: Path,
    *,
    methods: Sequence[str] | None = None,
    json_path: Path | None = None,
    seed: int = 0,
    device: str = "cpu",
    progress: Progress = silent,
) -> Table:
    """Measure on a folder of label maps and scans. methods: ids of models that find regions. seed: unused."""
    store = ModelStore()
    ids = list(methods or [MODEL_ID])
    if len(ids) != 1:
        raise UsageError(f"One model is measured at a time, but {len(ids)} were given.")
    made = measure(data, store.get(ids[0]), load_age_model(store.get(DEFAULT_MODEL)), device=device, progress=progress)
    if json_path is not None:
        made.write_json(json_path)
    return made


def measure(data: Path, model, ages: AgeModel, *, device: str = "cpu", progress: Progress = silent) -> Table:
    """The table of one model; `facts` holds the mean Dice of every region and the features that shift the age most."""
    network = load_segmenter(model, device)
    maps = _measured_maps(data, model.manifest["training"].get("kept_apart", ()))
    found = {}
    for k, (name, path) in enumerate(maps.items()):
        share = portion(progress, k / len(maps), (k + 1) / len(maps))
        found[name] = agreement(path, network, ages, SegmentationSettings(device=device), share)
    return _table(found, model.id)


def agreement(
    path: Path, network, ages: AgeModel, settings: SegmentationSettings, progress: Progress = silent
) -> Agreement:
    """Segment the scan that belongs to a label map, and compare."""
    given = load_volume(path, as_labels=True)
    scan = load_volume(path.with_name(path.name.replace(LABEL_SUFFIX, SCAN_SUFFIX)))
    found = segment_regions(scan, network, settings, progress)
    labels = found.labels.array
    present = np.bincount(found.measured.array.ravel(), minlength=LABELS[-1] + 1)[LABELS] > 0
    from_given = estimate_age(given, ages)
    from_found = estimate_age(found.measured, ages) if present.all() else None
    nothing = np.full(len(FEATURE_NAMES), np.nan)
    return Agreement(
        dice_of(labels, given.array, LABELS),
        dice_of(TISSUE_OF[labels], TISSUE_OF[given.array], range(1, len(TISSUES))),
        int((~present).sum()),
        from_given.predicted,
        float("nan") if from_found is None else from_found.predicted,
        nothing if from_found is None else from_found.contribution - from_given.contribution,
    )


def _measured_maps(data: Path, kept_apart: Sequence[str]) -> dict[str, Path]:
    maps = find_maps(data)
    chosen = {name: path for name, path in maps.items() if name in kept_apart} or maps
    with_scan = {
        name: path
        for name, path in chosen.items()
        if path.with_name(path.name.replace(LABEL_SUFFIX, SCAN_SUFFIX)).exists()
    }
    if not with_scan:
        raise InputRefused(f"{data} holds no scan NAME{SCAN_SUFFIX} beside a label map NAME{LABEL_SUFFIX}. Add them.")
    return with_scan


def _table(found: dict[str, Agreement], model: str) -> Table:
    rows = {name: one.row() for name, one in found.items()}
    mean = {column: float(np.nanmean([row[column] for row in rows.values()])) for column in COLUMNS}
    mean["age_shift"] = float(np.nanmean([abs(row["age_shift"]) for row in rows.values()]))
    regions = np.nanmean([one.dice_region for one in found.values()], axis=0)
    shift = np.nanmean([one.shift for one in found.values()], axis=0)
    leading = np.argsort(-np.abs(shift))[:LARGEST_SHIFTS]
    notes = (
        "Dice against the given map; ages in weeks; age_shift = shift_rv + shift_svr: what the relational volumes and "
        "the surface-to-volume ratios do to it. age_shift of the mean row: mean of the absolute shifts.",
    )
    facts = {
        "protocol": "regions",
        "model": model,
        "dice_by_region": {region_of(int(label)).name: float(x) for label, x in zip(LABELS, regions, strict=True)},
        "weeks_by_feature": {name_of_feature(FEATURE_NAMES[k]): float(shift[k]) for k in leading},
    }
    return Table(rows | {"mean": mean}, COLUMNS, notes=notes, facts=facts)
