"""DICOM SEG from a label array, by highdicom; run as `python -m NeuroGenLib.dicom_seg REQUEST` in a child process.

The request is a folder with `request.json` (fields of `SegRequest`) and `labels.npy`. `dicom_export.py` makes it from
nodes. Nothing of Slicer is imported here.
"""

import argparse
import json
import sys
from dataclasses import asdict, dataclass
from importlib import metadata
from pathlib import Path

import numpy as np

import neurogen
from neurogen.console import Console
from neurogen.errors import InputRefused, NeuroGenError, UsageError
from NeuroGenLib.i18n import tr as _
from NeuroGenLib.terminology import Code, Terminology

LEAST_HIGHDICOM = (0, 27)
RAS_TO_LPS = np.diag([-1.0, -1.0, 1.0, 1.0])
DESCRIPTION = "NeuroGen marked regions. Research use only. Not a diagnosis."


@dataclass(frozen=True)
class SegSegment:
    """A label of the array, the name of its segment and what it is."""

    label: int
    name: str
    terminology: Terminology


@dataclass(frozen=True)
class SegRequest:
    """What is written where: `ras` maps (i, j, k) of the array `[k, j, i]` to RAS mm of the patient, row by row."""

    path: str
    sources: tuple[str, ...]
    ras: tuple[tuple[float, ...], ...]
    segments: tuple[SegSegment, ...]
    model: str = ""


def highdicomProblem() -> str:
    """Why DICOM SEG cannot be written in this Python; empty when it can."""
    try:
        version = metadata.version("highdicom")
    except metadata.PackageNotFoundError:
        return _("DICOM SEG needs the Python package highdicom 0.27 or newer, which comes with Slicer 5.12.")
    if tuple(int(part) for part in version.split(".")[:2]) < LEAST_HIGHDICOM:
        text = _("DICOM SEG needs highdicom 0.27 or newer, but {version} is installed. Slicer 5.12 brings a newer one.")
        return text.format(version=version)
    return ""


def writeDicomSeg(request: SegRequest, labels: np.ndarray) -> None:
    """Write a binary DICOM SEG on the grid of `labels` [k, j, i], with references to the source images.

    Raises InputRefused when highdicom is missing or too old, when no segment has a voxel, or when a source is no image
    of one frame of reference.
    """
    problem = highdicomProblem()
    if problem:
        raise InputRefused(problem)
    import highdicom as hd
    import pydicom

    present = [segment for segment in request.segments if (labels == segment.label).any()]
    if not present:
        raise InputRefused(_("Nothing is marked, so there is nothing to write as DICOM SEG."))
    sources = [pydicom.dcmread(path) for path in request.sources]
    frames = {getattr(source, "FrameOfReferenceUID", "") for source in sources}
    if len(frames) != 1 or "" in frames:
        text = _("The source images do not lie in one frame of reference. Load the series anew from DICOM.")
        raise InputRefused(text)
    number = np.zeros(max(int(labels.max()), *(s.label for s in present)) + 1, np.uint8)
    number[[segment.label for segment in present]] = np.arange(1, len(present) + 1)
    volume = hd.Volume(
        number[np.maximum(labels, 0)],
        _affineOfArray(np.array(request.ras)),
        coordinate_system="PATIENT",
        frame_of_reference_uid=frames.pop(),
    )
    hd.seg.Segmentation(
        source_images=sources,
        pixel_array=volume,
        segmentation_type=hd.seg.SegmentationTypeValues.BINARY,
        segment_descriptions=[_description(k, s, request.model) for k, s in enumerate(present, 1)],
        series_instance_uid=hd.UID(),
        series_number=900,
        sop_instance_uid=hd.UID(),
        instance_number=1,
        manufacturer="NeuroGen",
        manufacturer_model_name=request.model or "NeuroGen",
        software_versions=neurogen.__version__,
        device_serial_number="none",
        content_label="MARKED_REGIONS",
        content_description=DESCRIPTION,
        series_description=DESCRIPTION,
    ).save_as(request.path)


def main(argv: list[str] | None = None) -> int:
    """Write what the request says; progress and errors as the command line of NeuroGen tells them."""
    parser = argparse.ArgumentParser(prog="dicom_seg", description=__doc__)
    parser.add_argument("request", type=Path)
    parser.add_argument("--json-progress", action="store_true")
    args = parser.parse_args(argv)
    console = Console(json_mode=args.json_progress)
    try:
        console.progress("DICOM SEG", 0.0)
        request, labels = readRequest(args.request)
        writeDicomSeg(request, labels)
    except NeuroGenError as error:
        console.event(error=str(error), exit_code=error.exit_code)
        return error.exit_code
    console.event(result=request.path)
    return 0


def saveRequest(folder: Path, request: SegRequest, labels: np.ndarray) -> None:
    """Write a request for `main` into an existing folder."""
    np.save(folder / "labels.npy", labels)
    (folder / "request.json").write_text(json.dumps(asdict(request)), encoding="utf-8")


def readRequest(folder: Path) -> tuple[SegRequest, np.ndarray]:
    """What `saveRequest` wrote. Raises UsageError."""
    try:
        content = json.loads((folder / "request.json").read_text(encoding="utf-8"))
        labels = np.load(folder / "labels.npy", allow_pickle=False)
    except (OSError, ValueError) as error:
        raise UsageError(f"{folder} holds no request for a DICOM SEG ({error}).") from error
    segments = tuple(_segment(each) for each in content.pop("segments"))
    ras = tuple(map(tuple, content.pop("ras")))
    return SegRequest(**{**content, "sources": tuple(content["sources"])}, ras=ras, segments=segments), labels


def _affineOfArray(ras: np.ndarray) -> np.ndarray:
    """Index (k, j, i) of the array to LPS mm, from (i, j, k) to RAS mm."""
    return RAS_TO_LPS @ ras[:, [2, 1, 0, 3]]


def _segment(content: dict) -> SegSegment:
    codes = {name: Code(**code) for name, code in content["terminology"].items()}
    return SegSegment(content["label"], content["name"], Terminology(**codes))


def _description(number: int, segment: SegSegment, model: str):
    import highdicom as hd
    from pydicom.sr.codedict import codes

    terminology = segment.terminology
    return hd.seg.SegmentDescription(
        segment_number=number,
        segment_label=segment.name[:64],
        segmented_property_category=_concept(terminology.category),
        segmented_property_type=_concept(terminology.type),
        algorithm_type=hd.seg.SegmentAlgorithmTypeValues.AUTOMATIC,
        algorithm_identification=hd.AlgorithmIdentificationSequence(
            name=f"NeuroGen {model}".strip(),
            version=neurogen.__version__,
            family=codes.cid7162.ArtificialIntelligence,
        ),
        anatomic_regions=[_concept(terminology.region)],
    )


def _concept(code: Code):
    import highdicom as hd

    return hd.sr.CodedConcept(code.value, code.scheme, code.meaning)


if __name__ == "__main__":
    sys.exit(main())
