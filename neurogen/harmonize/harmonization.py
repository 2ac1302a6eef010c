"""`harmonize_site`: scans of one site in, the same scans as the reference site would have taken them out."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor

from neurogen.environment import choose_device
from neurogen.errors import InputRefused, UsageError
from neurogen.harmonize.adapt import Adaptation, AdaptationSettings, Segmenter, SiteStack, adapt, spread_over_scans
from neurogen.harmonize.anatomy import AnatomyCheck, check_anatomy
from neurogen.harmonize.flow import scan_bits
from neurogen.harmonize.scan import SiteScan, prepare_scan
from neurogen.harmonize.settings import HarmonizationSettings
from neurogen.harmonize.shading import places_of_cells, places_of_pictures
from neurogen.harmonize.similarity import ssim, wasserstein
from neurogen.harmonize.site import SiteModel, load_site
from neurogen.harmonize.slices import PLANES, pictures, to_levels, voxels_of_pictures, worth_judging
from neurogen.harmonize.transform import CurveTransform, NetworkTransform
from neurogen.models import ModelStore
from neurogen.progress import Progress, portion, silent
from neurogen.volumes import Volume

ALREADY = "already like the reference"
GIVEN_BACK = "given back"


@dataclass(frozen=True, eq=False)
class Harmonization:
    """The result of one scan; `harmonized` lies on the scan's own grid, in the reference's intensity unit.

    Where `problem` is not empty the scan was given back: `harmonized` is the input itself.
    bits_* : per brain pixel; ssim: of the prepared scan before and after; wasserstein_* : to the reference's
    intensities, share of the range; all on cells of 2 mm
    histograms : shares of 2 mm brain cells by level 0..255: "before", "after" (256,)
    """

    harmonized: Volume
    brain: Volume
    bits_before: float
    bits_after: float
    bits_source: float
    steps: int
    stop_reason: str
    problem: str
    ssim: float
    wasserstein_before: float
    wasserstein_after: float
    anatomy: AnatomyCheck
    curve: tuple[tuple[int, float, float], ...]
    histograms: dict[str, np.ndarray]
    facts: dict
    warnings: tuple[str, ...] = ()
    seconds: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class SiteResult:
    """All scans in the order given (None: refused), and what adaptation found, to be applied to later scans."""

    scans: tuple[Harmonization | None, ...]
    adapted: dict[str, Tensor]


def harmonize_site(
    volumes: Sequence[Volume],
    settings: HarmonizationSettings = HarmonizationSettings(),
    progress: Progress = silent,
    *,
    masks: Sequence[Volume | None] | None = None,
    adapted: dict[str, Tensor] | None = None,
    segmenter: Segmenter | None = None,
    on_refused: Callable[[int, InputRefused], None] | None = None,
    store: ModelStore | None = None,
) -> SiteResult:
    """Harmonize scans of one unknown site (Harmonizing Flows, thesis chapter 2).

    masks : the brains on the scans' grids; where there is none, the brain-mask network is used
    adapted : what an earlier run found for this site; it is applied as it is, without adapting anew
    on_refused : told of every scan that cannot be used, which is then left out; None raises
    Raises InputRefused, ModelUnavailable, OutOfMemory, UsageError; Cancelled where `progress` raises it.
    """
    if not volumes:
        raise UsageError("No scan was given. Give at least one.")
    model = (store or ModelStore()).get(settings.model)
    site = load_site(model, device=choose_device(settings.device))
    masks = masks or [None] * len(volumes)
    scans = _prepare_all(volumes, masks, site, settings, on_refused, portion(progress, 0.0, 0.7))
    usable = [scan for scan in scans if scan is not None]
    found = harmonize_prepared(
        usable, site, settings, portion(progress, 0.7, 1.0), adapted=adapted, segmenter=segmenter
    )
    done = {id(scan): one for scan, one in zip(usable, found.scans, strict=True)}
    progress("done", 1.0)
    return SiteResult(tuple(done.get(id(scan)) for scan in scans), found.adapted)


def harmonize_prepared(
    scans: Sequence[SiteScan],
    site: SiteModel,
    settings: HarmonizationSettings,
    progress: Progress = silent,
    *,
    adapted: dict[str, Tensor] | None = None,
    segmenter: Segmenter | None = None,
) -> SiteResult:
    """The same for scans that are prepared already."""
    groups = [[scan] for scan in scans] if settings.adapt == "scan" else [list(scans)] if scans else []
    done, kept = [], adapted or {}
    for g, group in enumerate(groups):
        part = portion(progress, g / len(groups), (g + 1) / len(groups))
        transform, adaptation = _fit(group, site, settings, adapted, segmenter, part)
        done += [_finish(scan, transform, adaptation, site) for scan in group]
        kept = transform.adapted()
    return SiteResult(tuple(done), kept)


def _prepare_all(
    volumes: Sequence[Volume],
    masks: Sequence[Volume | None],
    site: SiteModel,
    settings: HarmonizationSettings,
    on_refused: Callable[[int, InputRefused], None] | None,
    progress: Progress,
) -> list[SiteScan | None]:
    scans: list[SiteScan | None] = []
    for k, (volume, mask) in enumerate(zip(volumes, masks, strict=True)):
        part = portion(progress, k / len(volumes), (k + 1) / len(volumes))
        try:
            scans.append(prepare_scan(volume, site, settings, mask=mask, progress=part))
        except InputRefused as error:
            if on_refused is None:
                raise
            on_refused(k, error)
            scans.append(None)
    return scans


def _fit(
    scans: Sequence[SiteScan],
    site: SiteModel,
    settings: HarmonizationSettings,
    adapted: dict[str, Tensor] | None,
    segmenter: Segmenter | None,
    progress: Progress,
) -> tuple[CurveTransform | NetworkTransform, Adaptation | None]:
    """The transform of a site: as trained, as found earlier, or adapted now. Raises UsageError for a foreign one."""
    transform = _read(scans, site, settings, adapted)
    if adapted is not None:
        return transform, None
    strangers = [scan for scan in scans if not is_reference(scan, site)]
    if settings.adapt == "none" or not strangers:
        return transform, None
    plane = flow_plane(site, settings)
    chosen = AdaptationSettings(
        stop=settings.stop, most_steps=settings.most_steps, slices=settings.slices, seed=settings.seed,
        must_reach=settings.stop == "bits" and isinstance(transform, CurveTransform),
    )  # fmt: skip
    stack = site_stack(strangers, plane, chosen.slices)
    # Half of the reference's own scans cost more than their mean: the goal is what the costliest of them cost.
    goal = site.most_bits(plane)
    return transform, adapt(transform, site.flow, stack, goal, chosen, segmenter=segmenter, progress=progress)


def _read(
    scans: Sequence[SiteScan], site: SiteModel, settings: HarmonizationSettings, adapted: dict[str, Tensor] | None
) -> CurveTransform | NetworkTransform:
    """The transform before it is adapted, or as found earlier; what it reads from each scan is set there."""
    transform = _transform(site, settings)
    if adapted is None:
        transform.begin([scan.levels for scan in scans])
    else:
        try:
            transform.take(adapted)
        except (KeyError, RuntimeError) as error:
            raise UsageError(f"The saved adaptation does not fit the model {site.model.id!r}: {error}") from error
    planes = PLANES if settings.plane == "mean" else (settings.plane,)
    owns = [transform.read(scan.prepared.image, scan.prepared.brain, planes) for scan in scans]
    if adapted is None and len(scans) > 1:
        transform.pool(owns, together=settings.together)
    for scan, own in zip(scans, owns, strict=True):
        scan.read = transform.pooled(own)
        if isinstance(transform, CurveTransform):
            scan.change = mean_change(scan.levels, transform, scan.read)
    return transform


def _transform(site: SiteModel, settings: HarmonizationSettings) -> CurveTransform | NetworkTransform:
    """What the harmonizer's head calls for."""
    if site.harmonizer.head != "curve":
        return NetworkTransform(site.harmonizer)
    return CurveTransform(
        site.harmonizer, site.landmarks, site.tissues,
        shading=settings.shading, curve=settings.curve, own_curve=settings.own_curve,
    )  # fmt: skip


def site_stack(scans: Sequence[SiteScan], plane: str, slices: int) -> SiteStack:
    """The pictures that adaptation looks at: evenly spread over scans and levels."""
    places = places_of_pictures(plane)
    stacks = [pictures(scan.levels, plane) for scan in scans]
    voxels = [voxels_of_pictures(scan.prepared.image * scan.prepared.brain, plane) for scan in scans]
    judged = [worth_judging(stack) for stack in stacks]
    chosen = [j[c] for j, c in zip(judged, spread_over_scans([len(j) for j in judged], slices))]
    return SiteStack(
        np.concatenate([stack[c] for stack, c in zip(stacks, chosen)]),
        np.concatenate([255 * stack[c] for stack, c in zip(voxels, chosen)]),
        np.concatenate([places[c] for c in chosen]),
        torch.cat([scan.read.expand(len(c), -1) for scan, c in zip(scans, chosen)]),
    )


def flow_plane(site: SiteModel, settings: HarmonizationSettings) -> str:
    """The plane that likelihood is measured in: the asked one where the flow knows it, or the flow's first."""
    return settings.plane if settings.plane in site.planes else site.planes[0]


def is_reference(scan: SiteScan, site: SiteModel) -> bool:
    """Whether a scan is one of the reference site as far as flow and harmonizer can tell: as likely as its least
    likely scans, and the harmonizer wants to change it no more than it changes those."""
    most_change = site.model.manifest["calibration"].get("most_change", np.inf)
    return scan.bits_before <= site.most_bits(site.planes[0]) and scan.change <= most_change


@torch.no_grad()
def mean_change(levels: np.ndarray, transform: CurveTransform, read: Tensor) -> float:
    """Mean |f(x) - x| over the brain cells of levels (80, 96, 80), share of the range."""
    brain = levels > 0
    x = torch.from_numpy(levels[brain].astype(np.float32))[None, None]
    place = torch.from_numpy(places_of_cells()[:, brain])[None]
    return float((transform.cpu_copy()(x, place, read.cpu()).clamp(0, 255) - x).abs().mean() / 255)


def _finish(
    scan: SiteScan,
    transform: CurveTransform | NetworkTransform,
    adaptation: Adaptation | None,
    site: SiteModel,
) -> Harmonization:
    """Bring one scan home, measure what was done to it, and give it back where that must not be given out."""
    prepared = scan.prepared
    untouched = is_reference(scan, site)
    image = prepared.image if untouched else transform.on_grid(prepared, scan.read)
    levels = scan.levels if untouched else to_levels(image, prepared.brain)
    plane = site.planes[0]
    bits_after = scan.bits_before if untouched else scan_bits(site.flow, levels, plane)
    # A shading moves no edge, but what it hides of a structure counts in partial volume.
    before = prepared.image if untouched else transform.unshaded(prepared.image, prepared.brain)
    anatomy = check_anatomy(before, image, prepared.brain, site.quantiles)
    problem = "" if untouched else _problem(scan.bits_before, bits_after, site, anatomy)
    cells = scan.levels > 0
    before, now = (found.astype(np.float32) / 255 for found in (scan.levels, levels))
    return Harmonization(
        harmonized=_brought_home(scan, transform, site, untouched=untouched, problem=problem),
        brain=Volume(prepared.native_brain.astype(np.uint8), prepared.native.affine),
        bits_before=scan.bits_before,
        bits_after=bits_after,
        bits_source=site.source_bits[plane]["brain"],
        steps=0 if untouched or adaptation is None else adaptation.steps,
        stop_reason=_reason(untouched, problem, adaptation),
        problem=problem,
        ssim=ssim(before, now, cells),
        wasserstein_before=wasserstein(before[cells], site.quantiles),
        wasserstein_after=wasserstein(now[cells], site.quantiles),
        anatomy=anatomy,
        curve=() if adaptation is None else adaptation.curve,
        histograms={"before": level_shares(scan.levels), "after": level_shares(levels)},
        facts={**prepared.native.facts, **prepared.facts},
        warnings=scan.warnings,
        seconds=dict(scan.seconds),
    )


def _brought_home(scan: SiteScan, transform, site: SiteModel, *, untouched: bool, problem: str) -> Volume:
    prepared = scan.prepared
    if problem:
        return Volume(prepared.native.array.astype(np.float32), prepared.native.affine)
    if untouched:
        scaled = np.maximum(prepared.scale.apply(prepared.corrected), 0)
        home = np.where(prepared.native_brain, scaled, 0)
    else:
        home = transform.on_scan(prepared, scan.read)
    return Volume((home * site.unit).astype(np.float32), prepared.native.affine)


def level_shares(levels: np.ndarray) -> np.ndarray:
    """(256,) shares of the brain cells by level."""
    counts = np.bincount(levels[levels > 0], minlength=256).astype(float)
    return counts / max(counts.sum(), 1.0)


def _problem(bits_before: float, bits_after: float, site: SiteModel, anatomy: AnatomyCheck) -> str:
    """Why a result must not be given out, or ''. A scan within the range of the reference's own is like them."""
    like_reference = bits_after <= site.most_bits(site.planes[0])
    if bits_after >= bits_before and not like_reference:
        return f"it became no more like the reference site ({bits_before:.3f} to {bits_after:.3f} bits per pixel)"
    return anatomy.problem()


def _reason(untouched: bool, problem: str, adaptation: Adaptation | None) -> str:
    if untouched:
        return ALREADY
    if problem:
        return GIVEN_BACK
    return "not adapted" if adaptation is None else adaptation.reason
