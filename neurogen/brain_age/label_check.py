"""Whether a label map is one that brain age can be read from; a refusal names what it seems to be instead."""

import numpy as np

from neurogen.affines import voxel_volume_ml
from neurogen.brain_age.regions import LABELS, LAST_LABEL, region_of
from neurogen.errors import InputRefused
from neurogen.volumes import Volume

PUBLISHED_SPACING_MM = 0.5
AS_IS_MM = (0.45, 0.55)
"""Spacings that are measured as they are."""
LARGEST_MM = 0.8
"""The largest spacing that is resampled; above it SVR no longer holds what 0.5 mm showed."""
PLAUSIBLE_ML = (60.0, 900.0)
"""Brain with cerebrospinal fluid: fetal averages have 120 ml at 23 and 510 ml at 38 weeks, adults above 1100 ml."""
FEWEST_REGIONS = 57
"""With fewer of the 86 regions a map is taken for one of another scheme, not for an incomplete one."""
LEAST_ALIKE = 0.5
"""Share of equal neighbors: 0.9 in label maps of 0.5 mm, 0.1 in scans of 128 gray levels."""
_ROUNDING_MM = 0.005
_SCHEME = "the Draw-EM scheme with 87 regions (labels 1-83 and 85-87; 84 may be there)"
_FREESURFER_PAIRS = ({2, 3, 41, 42}, {3, 17, 42, 53}, {10, 49, 11, 50})


def check_labels(volume: Volume) -> None:
    """Raise InputRefused unless the volume is a Draw-EM label map of a newborn's head at a usable spacing."""
    if volume.array.dtype.kind not in "iub":
        raise InputRefused(f"A label map of whole numbers is needed, in {_SCHEME}, but this is an image.")
    present = np.flatnonzero(np.bincount(volume.array.ravel())) if volume.array.min() >= 0 else np.unique(volume.array)
    found = {int(label) for label in present} - {0}
    _check_scheme(found)
    _check_spacing(volume.spacing_mm)
    _check_complete(found)
    _check_size(volume)


def is_image(array: np.ndarray) -> bool:
    """Whether an array (I, J, K) holds intensities rather than labels: fractions, more different values than a scheme
    has, or neighbors that mostly differ, as those of coarsely rounded scans do."""
    if array.dtype.kind not in "iub":
        return True
    one, next_one = array[:-1], array[1:]
    inside = (one != 0) & (next_one != 0)
    alike = float((one == next_one)[inside].mean()) if inside.any() else 1.0
    return alike < LEAST_ALIKE or _too_many({int(value) for value in np.unique(array)})


def needs_resampling(volume: Volume) -> bool:
    """Whether any voxel side is outside 0.45-0.55 mm."""
    return not all(AS_IS_MM[0] - 1e-3 <= size <= AS_IS_MM[1] + 1e-3 for size in volume.spacing_mm)


def _check_spacing(spacing_mm: tuple[float, float, float]) -> None:
    if max(spacing_mm) > LARGEST_MM + _ROUNDING_MM:
        words = " x ".join(f"{size:.3g}" for size in spacing_mm)
        raise InputRefused(
            f"The label map has voxels of {words} mm, but at most {LARGEST_MM} mm are needed: the surface-to-volume "
            "ratio depends on the voxel size. Segment the scan at 0.5 mm; a coarser map cannot be repaired."
        )


def _check_scheme(present: set[int]) -> None:
    if not present:
        raise InputRefused(f"The label map is empty: every voxel is 0. {_needed()}")
    wrong = sorted(label for label in present if not 0 < label <= LAST_LABEL)
    if wrong or len(present.intersection(LABELS.tolist())) < FEWEST_REGIONS:
        raise InputRefused(f"{_guess(present)} {_needed()}")


def _check_complete(present: set[int]) -> None:
    missing = [int(label) for label in LABELS if label not in present]
    if missing:
        names = ", ".join(f"{label} ({region_of(label).name})" for label in missing[:5])
        more = f" and {len(missing) - 5} more" if len(missing) > 5 else ""
        raise InputRefused(
            f"The label map lacks {len(missing)} of the 86 regions: {names}{more}. The age is read from all of them. "
            "Correct the segmentation, or segment the whole brain again."
        )


def _too_many(values: set[int]) -> bool:
    """Schemes for adults have 207 labels at most that are dense, and below 300 with gaps between them."""
    return len(values) > 300 or len(values) > max(150, 0.5 * max(values))


def _guess(present: set[int]) -> str:
    """What a label map with these labels is, in a sentence."""
    highest = max(present)
    if min(present) < 0:
        return f"The label map holds negative labels (down to {min(present)})."
    if len(present) == 1:
        return f"The label map holds one label ({highest}): it is a mask."
    if _too_many(present):
        return f"The file holds {len(present)} different whole numbers: it is an image, not a label map."
    if highest <= 10:
        return f"The label map holds {len(present)} labels up to {highest}: it is a tissue map."
    if any(pair <= present for pair in _FREESURFER_PAIRS) and len(present & set(LABELS.tolist())) < 60:
        return f"The labels (up to {highest}, among them 2, 3, 41, 42 or the like) are those of FreeSurfer, for adults."
    return f"The label map holds {len(present)} labels up to {highest}: it is of another scheme, perhaps for adults."


def _needed() -> str:
    return f"Needed is {_SCHEME}, as in the dHCP's desc-drawem87_dseg files. Give that file."


def _check_size(volume: Volume) -> None:
    counted = volume.array > 0
    voxels = np.count_nonzero(counted) - np.count_nonzero(volume.array == 84)
    size_ml = voxels * voxel_volume_ml(volume.affine)
    low, high = PLAUSIBLE_ML
    if not low <= size_ml <= high:
        raise InputRefused(
            f"The labeled head has {size_ml:.0f} ml, but a newborn's has {low:.0f} to {high:.0f} ml. "
            "Check the voxel size in the file's header, and that the whole head of a newborn is labeled."
        )
