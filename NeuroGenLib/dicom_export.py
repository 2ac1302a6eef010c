"""A segmentation in Slicer to DICOM SEG: whether it can be done, and the job that does it in a child process."""

from collections.abc import Callable
from pathlib import Path

import slicer

from NeuroGenLib import dicom_seg
from NeuroGenLib.geometry import ijkToRas
from NeuroGenLib.i18n import tr as _
from NeuroGenLib.job import Job, makeWorkFolder, startJob
from NeuroGenLib.outcome import Outcome
from NeuroGenLib.segmentations import segmentIds, segmentLabels
from NeuroGenLib.terminology import LESION, Terminology


def whyNoDicomSeg(referenceNode) -> str:
    """Why the segments of this volume cannot be exported as DICOM SEG; empty when they can."""
    problem = dicom_seg.highdicomProblem()
    if problem:
        return problem
    if referenceNode is None or not referenceNode.GetAttribute("DICOM.instanceUIDs"):
        return _("DICOM SEG refers to DICOM images, but this volume was not loaded from DICOM.")
    missing = [path for path in sourceFiles(referenceNode) if not Path(path).is_file()]
    if missing:
        return _("DICOM SEG refers to the DICOM images of the scan, which are no longer where Slicer found them.")
    return ""


def sourceFiles(referenceNode) -> list[str]:
    """The DICOM files that a volume was loaded from, as Slicer's database knows them."""
    uids = (referenceNode.GetAttribute("DICOM.instanceUIDs") or "").split()
    return [slicer.dicomDatabase.fileForInstance(uid) for uid in uids]


def startDicomSeg(
    segmentation,
    referenceNode,
    path: str | Path,
    *,
    onFinished: Callable[[Outcome], None],
    model: str = "",
    terminology: Terminology = LESION,
) -> Job:
    """Start writing all segments as one DICOM SEG file on the grid of the volume; return at once, see `job`.

    The place is the patient's: transforms above the volume do not count. Raises ValueError for `whyNoDicomSeg`.
    """
    problem = whyNoDicomSeg(referenceNode)
    if problem:
        raise ValueError(problem)
    folder = makeWorkFolder()
    names = [segmentation.GetSegmentation().GetSegment(each).GetName() for each in segmentIds(segmentation)]
    request = dicom_seg.SegRequest(
        path=str(path),
        sources=tuple(sourceFiles(referenceNode)),
        ras=tuple(map(tuple, ijkToRas(referenceNode, world=False).tolist())),
        segments=tuple(dicom_seg.SegSegment(k, name, terminology) for k, name in enumerate(names, 1)),
        model=model,
    )
    dicom_seg.saveRequest(folder, request, segmentLabels(segmentation, referenceNode))
    return startJob(
        [str(folder)], folder / "out", onFinished=onFinished, workFolder=folder, module="NeuroGenLib.dicom_seg"
    )
