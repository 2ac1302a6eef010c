"""Sample data: a demo case that is made on the spot.

It is the ICBM152 template, which comes with the packages, with a lesion of known place planted in it: nothing is
downloaded, and everybody can see whether it is found.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import slicer

from NeuroGenLib.i18n import tr as _
from NeuroGenLib.job import Job, makeWorkFolder, startJob
from NeuroGenLib.outcome import Outcome
from NeuroGenLib.packages import ensurePackages

CATEGORY = "NeuroGen"
DEMO = "NeuroGenDemo"


def registerSampleData() -> None:
    """Offer the demo case in the Sample Data module."""
    import SampleData

    icons = Path(__file__).resolve().parents[1] / "Resources" / "Icons"
    SampleData.SampleDataLogic.registerCustomSampleDataSource(
        category=CATEGORY,
        sampleName=DEMO,
        thumbnailFileName=str(icons / "NeuroGenDemo.png"),
        uris="",
        fileNames="planted_T1w.nii.gz",
        nodeNames=_("demo T1w"),
        customDownloader=lambda source: [loadDemoCase()],
    )


def loadDemoCase():
    """Make the demo case, wait (seconds), and load it; the scan's node.

    Raises RuntimeError when packages are missing and declined, or when it cannot be made.
    """
    nodes, reasons = [], []
    startDemoCase(nodes.append, reasons.append).wait()
    if not nodes:
        raise RuntimeError(reasons[0])
    return nodes[0]


def startDemoCase(onLoaded: Callable[[Any], None], onFailed: Callable[[str], None]) -> Job:
    """Make the demo case in a child process; return at once. Poll the job; it loads the scan and calls back.

    Raises RuntimeError when packages are missing and declined.
    """
    ensurePackages("NeuroGenAD")
    folder = makeWorkFolder()
    scan = folder / "demo" / "planted_T1w.nii.gz"

    def finish(outcome: Outcome) -> None:
        if not outcome.isDone:
            onFailed(outcome.message)
            return
        node = slicer.util.loadVolume(str(scan), {"name": _("demo T1w")})
        _forgetFile(node)
        onLoaded(node)

    return startJob(["demo", "--scan-only", str(scan)], scan.parent, onFinished=finish, workFolder=folder)


def _forgetFile(node) -> None:
    """The file is gone after loading: the scene has to save the volume itself."""
    storage = node.GetStorageNode()
    if storage is not None:
        slicer.mrmlScene.RemoveNode(storage)
