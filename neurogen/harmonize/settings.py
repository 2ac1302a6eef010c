"""What a user may choose about a harmonization; imports nothing heavy, for command line and panels."""

from dataclasses import dataclass

from neurogen.errors import UsageError

PLANES = ("axial", "coronal", "sagittal", "mean")
ADAPTS = ("site", "scan", "none")
STOPS = ("bits", "entropy", "cap")


@dataclass(frozen=True)
class HarmonizationSettings:
    """How to harmonize. Every default is a choice of ours unless it names its origin."""

    model: str = "harmonize-t1-adult"
    adapt: str = "site"  # all scans given together (thesis) | every "scan" by itself | "none"
    together: bool = False  # one curve for all scans of a call: differences between them stay; not with adapt "scan"
    own_curve: bool = False  # the network's curve of each scan: nearer to the reference, but segmented worse
    stop: str = "bits"  # "bits" of the source | "entropy" of a segmenter (both thesis) | "cap"
    plane: str = "axial"  # in which the harmonizer looks at a scan; "mean" of all three
    most_steps: int = 40  # of the adaptation
    slices: int = 20  # of a site that the adaptation looks at
    shading: bool = True  # a smooth shading over the head is taken off, and adaptation moves it
    curve: bool = False  # adaptation moves the intensity curve as well: likelier, but measured worse
    registered: bool = False  # the scans already lie in MNI152 space
    bias_correction: bool = True
    device: str = "auto"  # "auto" | "cpu" | "cuda"
    seed: int = 0

    def __post_init__(self) -> None:
        for name, choices in (("adapt", ADAPTS), ("stop", STOPS), ("plane", PLANES)):
            if getattr(self, name) not in choices:
                raise UsageError(f"{name} {getattr(self, name)!r} is unknown. Choose one of {', '.join(choices)}.")
        if self.most_steps < 1 or self.slices < 1:
            raise UsageError("most_steps and slices must be at least 1.")
        if not (self.shading or self.curve or self.adapt == "none"):
            raise UsageError("Adaptation has nothing to move: allow shading or curve, or choose adapt 'none'.")
