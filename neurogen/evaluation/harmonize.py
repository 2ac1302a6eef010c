"""`neurogen benchmark harmonize DATA`: does a segmenter of the reference site work on other scanners' scans?

Targets: the kept-apart scans of the reference site under eight simulated scanners, and kept-apart scans of a real other
scanner with given labels. Each target is one site: all its scans are harmonized together.
"""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

import neurogen
from neurogen.errors import InputRefused, UsageError
from neurogen.evaluation.harmonize_lesions import lesion_keeping, worst_of
from neurogen.evaluation.harmonize_measures import (
    changes,
    mean_of,
    overlap,
    segmented_volumes,
    surface_distance_95,
)
from neurogen.evaluation.harmonize_methods import NAMES, Method, methods_of
from neurogen.evaluation.harmonize_scanners import SCANNERS, apply_scanner
from neurogen.evaluation.harmonize_segmenter import (
    KINDS,
    PLAIN,
    ROBUST,
    SegmenterSettings,
    TissueUNet,
    load_or_train,
    segment,
)
from neurogen.evaluation.harmonize_truth import grouped_labels, mixture_truth, repeated, to_cells
from neurogen.evaluation.planted_scans import ScanFile, default_cache, list_scans, prepared
from neurogen.evaluation.provenance import commit
from neurogen.evaluation.tables import Table
from neurogen.harmonize.anatomy import ventricles_ml
from neurogen.harmonize.settings import HarmonizationSettings
from neurogen.harmonize.similarity import ssim, wasserstein
from neurogen.harmonize.site import SiteModel, load_site
from neurogen.harmonize.slices import to_levels
from neurogen.models import ModelStore
from neurogen.preprocess.grid import GRID_AFFINE, GRID_SHAPE
from neurogen.progress import Progress, portion, silent
from neurogen.volumes import Volume, load_volume, resample_to

REFERENCE, OTHER = "1mm", "2mm"
UNDISTORTED = "undistorted"
REAL = "real 3T (IXI)"
COLUMNS = (
    "DSC plain", "DSC augmented", "HD95 mm", "Wasserstein", "SSIM to truth", "ventricles change %",
    "segmented brain change %", "segmented ventricles change %",
    "ventricles change ml", "segmented brain change ml", "segmented ventricles change ml", "given back", "s a volume",
)  # fmt: skip
REFERENCE_VOXELS = 2000  # of each training scan, pooled for histogram matching


@dataclass(frozen=True, eq=False)
class Target:
    """Scans of one site: images (160, 192, 160) in [0, 1], their true classes on cells of 2 mm, and for simulated
    scanners the undistorted images with their `segmented_volumes`."""

    name: str
    images: tuple[np.ndarray, ...]
    truth: tuple[np.ndarray, ...]
    undistorted: tuple[np.ndarray, ...] = ()
    volumes: tuple[tuple[float, float], ...] = ()


def run(
    data_folder: Path | str,
    *,
    methods: Sequence[str] | None = None,
    json_path: Path | str | None = None,
    cache: Path | str | None = None,
    model: str = "harmonize-t1-adult",
    scans: int = 5,
    segmenters: SegmenterSettings = SegmenterSettings(),
    seed: int = 0,
    device: str = "auto",
    progress: Progress = silent,
    store: ModelStore | None = None,
) -> Table:
    """Tabulate every method on every target. scans: how many test scans of each site.

    Raises InputRefused, ModelUnavailable, UsageError.
    """
    chosen = _chosen(methods)
    data_folder = Path(data_folder)
    cache = Path(cache) if cache is not None else default_cache(data_folder)
    files = list_scans(data_folder)
    site = load_site((store or ModelStore()).get(model), device="cpu" if device == "auto" else device)
    training = _levels(
        [f for f in files if f.source == REFERENCE and f.role == "train"], cache, portion(progress, 0, 0.1)
    )
    truth = {name: mixture_truth(levels, seed=seed)[0] for name, levels in training.items()}
    judges = {
        kind: load_or_train(kind, training, truth, cache, segmenters, portion(progress, 0.1 + 0.2 * k, 0.3 + 0.2 * k))
        for k, kind in enumerate(KINDS)
    }
    pooled = pooled_intensities(training, seed=seed)
    doors = methods_of(site, HarmonizationSettings(model=model, seed=seed), pooled)
    rows, by_scan, notes = {}, {}, []
    targets = list(_targets(files, cache, judges[ROBUST], scans, seed))
    for t, target in enumerate(targets):
        for m, name in enumerate(chosen):
            progress(f"{target.name}: {name}", 0.5 + 0.5 * (t + m / len(chosen)) / len(targets))
            row = f"{target.name} / {name}"
            per_scan, rest, note = judged(target, doors[name], judges, site)
            rows[row] = mean_of(per_scan) | rest
            by_scan[row] = [scan["DSC plain"] for scan in per_scan]
            notes += [f"{row}: {note}"] if note else []
    lesions = _lesions(files, cache, doors[NAMES[-1]], seed) if NAMES[-1] in chosen else []
    told = (*_notes(scans), *gains(by_scan), *([worst_of(lesions)] if lesions else []))
    facts = _facts(site, seed, notes, segmenters) | {"lesions": lesions, "DSC plain by scan": by_scan}
    facts["split"] = {"test": [f.id for source in (REFERENCE, OTHER) for f in _tested(files, source, scans)]}
    table = Table(rows, COLUMNS, notes=told, facts=facts)
    if json_path is not None:
        table.write_json(Path(json_path))
    progress("harmonize", 1.0)
    return table


def judged(
    target: Target, method: Method, judges: Mapping[str, TissueUNet], site: SiteModel
) -> tuple[list[dict[str, float]], dict[str, float], str]:
    """(measures of each scan, measures of all, how it went). A scan given back counts as it is: unharmonized."""
    start = time.perf_counter()
    done = method(target.images)
    seconds = (time.perf_counter() - start) / len(target.images)
    per_scan = []
    for k, image in enumerate(done.images):
        brain = target.images[k] > 0
        levels = to_levels(image, brain)
        found = {kind: segment(network, levels) for kind, network in judges.items()}
        row = {f"DSC {kind}": mean_of([overlap(f, target.truth[k])]) for kind, f in found.items()}
        row = {name: float(np.nanmean(list(values.values()))) for name, values in row.items()}
        row["HD95 mm"] = surface_distance_95(found[PLAIN], target.truth[k])
        cells = levels > 0
        row["Wasserstein"] = wasserstein(levels[cells] / 255, site.quantiles)
        if target.undistorted:
            row["SSIM to truth"] = ssim(levels / 255, to_levels(target.undistorted[k], brain) / 255, cells)
            row |= changes("ventricles", *ventricles_ml((target.undistorted[k], image), brain, site.quantiles))
            volumes = zip(target.volumes[k], segmented_volumes(found[ROBUST]), strict=True)
            for name, pair in zip(("segmented ventricles", "segmented brain"), volumes, strict=True):
                row |= changes(name, *pair)
        per_scan.append(row)
    return per_scan, {"given back": float(done.given_back), "s a volume": seconds}, done.note


def pooled_intensities(training: Mapping[str, np.ndarray], *, seed: int) -> np.ndarray:
    """(n,) brain intensities in [0, 1] of all training scans, as many from each."""
    rng = np.random.default_rng(seed)
    parts = [rng.choice(levels[levels > 0], REFERENCE_VOXELS) for levels in training.values()]
    return np.concatenate(parts).astype(np.float32) / 255


def _targets(files: Sequence[ScanFile], cache: Path, robust: TissueUNet, scans: int, seed: int):
    test = _tested(files, REFERENCE, scans)
    if not test:
        raise InputRefused("The data folder has no kept-apart scan of the reference site (adult_t1_1mm).")
    images = tuple(prepared(f, cache).image for f in test)
    on_cells = [to_levels(image, image > 0) for image in images]
    volumes = tuple(segmented_volumes(segment(robust, levels)) for levels in on_cells)
    truths = [mixture_truth(levels, seed=seed) for levels in on_cells]
    classes = tuple(one for one, _ in truths)
    yield Target(UNDISTORTED, images, classes, images, volumes)
    for scanner in SCANNERS:
        shown = tuple(
            apply_scanner(scanner, image, image > 0, repeated(shares)) for image, (_, shares) in zip(images, truths)
        )
        yield Target(scanner.name, shown, classes, images, volumes)
    others = _tested(files, OTHER, scans)
    if others:
        on_grid = [prepared(f, cache) for f in others]
        labels = tuple(_labels(f, scan.scan_from_grid) for f, scan in zip(others, on_grid, strict=True))
        yield Target(REAL, tuple(scan.image for scan in on_grid), labels)


def _tested(files: Sequence[ScanFile], source: str, scans: int) -> list[ScanFile]:
    """The first test scans of a source; those of the other scanner need labels."""
    usable = [f for f in files if f.source == source and f.role == "test" and (source != OTHER or f.labels is not None)]
    return usable[:scans]


def _lesions(files: Sequence[ScanFile], cache: Path, method: Method, seed: int) -> list[dict[str, float | str]]:
    """Lesions planted in the first kept-apart scan, under the farthest trained and the last unseen scanner."""
    test = next(f for f in files if f.source == REFERENCE and f.role == "test")
    image = prepared(test, cache).image
    shares = repeated(mixture_truth(to_levels(image, image > 0), seed=seed)[1])
    return lesion_keeping(image, shares, (SCANNERS[4], SCANNERS[-1]), method, seed=seed)


def _labels(file: ScanFile, scan_from_grid: np.ndarray) -> np.ndarray:
    """(80, 96, 80) classes of a scan's given labels."""
    labels = load_volume(file.labels, as_labels=True)
    grouped = Volume(grouped_labels(labels.array), labels.affine)
    return to_cells(resample_to(grouped, GRID_SHAPE, GRID_AFFINE, order=0, transform=scan_from_grid).array)


def _levels(files: Sequence[ScanFile], cache: Path, progress: Progress) -> dict[str, np.ndarray]:
    found = {}
    for k, file in enumerate(files):
        progress(f"preparing {file.id}", k / len(files))
        image = prepared(file, cache).image
        found[file.id] = to_levels(image, image > 0)
    if not found:
        raise InputRefused("The data folder has no training scans of the reference site (adult_t1_1mm).")
    return found


def _chosen(methods: Sequence[str] | None) -> tuple[str, ...]:
    unknown = sorted(set(methods or ()) - set(NAMES))
    if unknown:
        raise UsageError(f"Unknown methods {', '.join(unknown)}. Choose among: {', '.join(NAMES)}.")
    return tuple(methods or NAMES)


def gains(by_scan: Mapping[str, Sequence[float]]) -> list[str]:
    """How far harmonizer and flow are ahead in DSC, target by target, as sentences; scans are compared in pairs."""
    ours, sentences = NAMES[-1], []
    for rival, title in (("histogram matching", "histogram matching"), ("harmonizer", "the harmonizer alone")):
        told = []
        for target in dict.fromkeys(name.rsplit(" / ", 1)[0] for name in by_scan):
            pair = [by_scan.get(f"{target} / {name}") for name in (ours, rival)]
            if None not in pair:
                ahead = 100 * np.subtract(*pair)
                error = ahead.std(ddof=1) / len(ahead) ** 0.5 if len(ahead) > 1 else float("nan")
                told.append(f"{target} {ahead.mean():+.2f} ({error:.2f})")
        if told:
            sentences.append(f"Points of DSC (standard error) by which {ours} is ahead of {title}: {'; '.join(told)}.")
    return sentences


def _notes(scans: int) -> tuple[str, ...]:
    return (
        f"Means over {scans} kept-apart scans a target, harmonized together. DSC: mean of fluid, gray, white and deep "
        "gray on cells of 2 mm, by a segmenter of the reference site trained without (plain) or with (augmented) "
        "changes of intensity; HD95 uses the plain one, segmented volumes the augmented one. Ventricles: partial "
        "volume of fluid at equal histograms, so that only which voxel is darker than which counts. Volumes are "
        "compared with the undistorted scan's. Seconds include neither preparation nor segmentation.",
        *(
            f"{s.name}: {s.description}{'' if s.trained else ' (no training draws from this family)'}."
            for s in SCANNERS
        ),
    )


def _facts(site: SiteModel, seed: int, notes: Sequence[str], segmenters: SegmenterSettings) -> dict[str, object]:
    return {
        "benchmark": "harmonize",
        "data": {"folder": "adult_t1_1mm and adult_t1_whole_head_2mm"},
        "models": {"harmonizer": {site.model.id: site.model.sha256}},
        "how": list(notes),
        "segmenters": vars(segmenters),
        "seed": seed,
        "version": neurogen.__version__,
        "commit": commit(),
    }
