"""What a segment is, in the codes that DICOM SEG and Slicer's terminologies share (SNOMED CT)."""

from dataclasses import dataclass

CATEGORIES = "Segmentation category and type - 3D Slicer General Anatomy list"
ANATOMY = "Anatomic codes - DICOM master list"
SEGMENT_TAG = "TerminologyEntry"


@dataclass(frozen=True)
class Code:
    """A coded concept: scheme, value, meaning."""

    value: str
    meaning: str
    scheme: str = "SCT"

    def __str__(self) -> str:
        return f"{self.scheme}^{self.value}^{self.meaning}"


@dataclass(frozen=True)
class Terminology:
    """The category and type of a segment, and the region that it lies in."""

    category: Code
    type: Code
    region: Code


BRAIN = Code("12738006", "Brain")
_ALTERED = Code("49755003", "Morphologically Altered Structure")
_TISSUE = Code("85756007", "Tissue")
# A marked region is coded as "lesion" in the sense of SNOMED CT: a structure that differs, of whatever nature.
LESION = Terminology(_ALTERED, Code("52988006", "Lesion"), BRAIN)
BRAIN_TISSUE = Terminology(_TISSUE, _TISSUE, BRAIN)


def terminologyEntry(terminology: Terminology) -> str:
    """The text that Slicer stores: list~category~type~modifier~list~region~modifier."""
    parts = (CATEGORIES, terminology.category, terminology.type, "^^", ANATOMY, terminology.region, "^^")
    return "~".join(map(str, parts))


def setTerminology(segment, terminology: Terminology) -> None:
    """Code a segment."""
    segment.SetTag(SEGMENT_TAG, terminologyEntry(terminology))
