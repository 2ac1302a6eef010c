"""One detection from node to nodes: export, `neurogen detect` in a child process, import. Knows nothing of Qt."""

from collections.abc import Callable
from pathlib import Path

import slicer

from neurogen.anomaly import DetectionSettings
from NeuroGenADLib.exports import safeName
from NeuroGenADLib.recut import CutSettings
from NeuroGenADLib.result import Result, importResult
from NeuroGenADLib.scan_facts import writeSidecar
from NeuroGenADLib.settings import detectArguments
from NeuroGenLib.i18n import tr as _
from NeuroGenLib.job import Job, makeWorkFolder, removeWorkFolder, startJob
from NeuroGenLib.nodes import exportSegmentation, exportVolume
from NeuroGenLib.outcome import Outcome

Finished = Callable[[Outcome, Result | None], None]


class DetectionJob:
    """A detection that was started; poll it until it is over. The scan is never changed."""

    def __init__(
        self,
        inputVolume,
        settings: DetectionSettings,
        *,
        mask=None,
        recut: Callable[[Result, CutSettings], None],
        onProgress: Callable[[str, float], None],
        onLog: Callable[[str], None],
        onFinished: Finished,
    ) -> None:
        """Export the scan and start. Raises ValueError for a scan that cannot be used, RuntimeError without disk."""
        self.inputVolume = inputVolume
        self.outcome: Outcome | None = None
        self.result: Result | None = None
        self._recut, self._onFinished = recut, onFinished
        work = makeWorkFolder()
        try:
            scan = work / f"{safeName(inputVolume.GetName())}.nii"
            self._affine = exportVolume(inputVolume, scan)
            writeSidecar(inputVolume, scan)
            maskPath = _exportMask(mask, inputVolume, work / "brain_mask.nii") if mask is not None else None
            arguments = detectArguments(settings, scan, work / "results", mask=maskPath)
        except (ValueError, RuntimeError, OSError):
            removeWorkFolder(work)
            raise
        self._job: Job = startJob(
            arguments,
            work / "results",
            onProgress=onProgress,
            onLog=onLog,
            onFinished=self._finish,
            workFolder=work,
        )

    def poll(self) -> bool:
        """Deliver what came; return whether it is still running."""
        return self._job.poll()

    def cancel(self) -> None:
        """Ask it to stop; `poll` sees it through."""
        self._job.cancel()

    def wait(self, timeout: float | None = None) -> Outcome | None:
        """Poll until it is over; None when `timeout` seconds pass before."""
        self._job.wait(timeout)
        return self.outcome

    def _finish(self, outcome: Outcome) -> None:
        if outcome.isDone:
            outcome = self._importResult(outcome)
        self.outcome = outcome
        self._onFinished(outcome, self.result)

    def _importResult(self, outcome: Outcome) -> Outcome:
        """Make nodes of the results; the outcome tells when that cannot be done."""
        if not slicer.mrmlScene.IsNodePresent(self.inputVolume):
            message = _("The scan was removed from the scene while it was examined, so there is no result.")
            return Outcome("cancelled", outcome.exit_code, message, outcome.log_tail)
        try:
            self.result = self._import()
        except (ValueError, RuntimeError, OSError) as error:
            return Outcome("crashed", outcome.exit_code, str(error), outcome.log_tail)
        return outcome

    def _import(self) -> Result:
        """Nodes with lesions cut where the command line cut them, or none at all."""
        result = importResult(self._job.outFolder, self.inputVolume, self._affine)
        try:
            self._recut(result, result.record.defaultCut)
        except (ValueError, RuntimeError):
            result.remove()
            raise
        return result


def _exportMask(mask, inputVolume, path: Path) -> Path:
    """A brain mask as a file on the grid of the scan; a segmentation counts with all its segments."""
    if mask.IsA("vtkMRMLSegmentationNode"):
        exportSegmentation(mask, inputVolume, path)
    else:
        exportVolume(mask, path)
    return path
