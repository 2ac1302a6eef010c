"""One reading from node to nodes: export, `neurogen brain-age` in a child process, import. Knows nothing of Qt."""

import re
from collections.abc import Callable
from pathlib import Path

import slicer

from NeonatalBrainAgeLib.age_input import exportInput
from NeonatalBrainAgeLib.result import Result, importResult
from NeonatalBrainAgeLib.settings import AgeJobSettings, ageArguments
from NeuroGenLib.i18n import tr as _
from NeuroGenLib.job import Job, makeWorkFolder, removeWorkFolder, startJob
from NeuroGenLib.outcome import Outcome

Finished = Callable[[Outcome, Result | None], None]


class AgeJob:
    """A reading that was started; poll it until it is over. The input is never changed."""

    def __init__(
        self,
        inputNode,
        settings: AgeJobSettings,
        *,
        onProgress: Callable[[str, float], None],
        onLog: Callable[[str], None],
        onFinished: Finished,
    ) -> None:
        """Export the input and start. Raises ValueError for one that cannot be used, RuntimeError without disk."""
        self.inputNode = inputNode
        self.outcome: Outcome | None = None
        self.result: Result | None = None
        self._onFinished = onFinished
        work = makeWorkFolder()
        self._scan = work / f"{_safeName(inputNode.GetName())}.nii"
        try:
            self._affine = exportInput(inputNode, self._scan)
        except (ValueError, RuntimeError, OSError):
            removeWorkFolder(work)
            raise
        self._job: Job = startJob(
            ageArguments(settings, self._scan, work / "results"),
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
        if not slicer.mrmlScene.IsNodePresent(self.inputNode):
            message = _("The input was removed from the scene meanwhile, so there is no result.")
            return Outcome("cancelled", outcome.exit_code, message, outcome.log_tail)
        folder = self._job.outFolder
        try:
            self.result = importResult(folder, self.inputNode, self._affine, labels=_labelFile(folder, self._scan))
        except (ValueError, RuntimeError, OSError) as error:
            return Outcome("crashed", outcome.exit_code, str(error), outcome.log_tail)
        return outcome


def _labelFile(folder: Path, scan: Path) -> Path:
    """The regions that were found, or the input when it holds them."""
    found = folder / "regions.nii.gz"
    return found if found.is_file() else scan


def _safeName(name: str) -> str:
    return re.sub(r"[^A-Za-z0-9._-]+", "_", name).strip("._") or "scan"
