"""One harmonization from nodes to nodes: export, `neurogen harmonize` in a child process, import. No Qt here."""

import re
from collections.abc import Callable, Sequence

import slicer

from NeuroGenHarmonizeLib.live_curve import LiveCurve
from NeuroGenHarmonizeLib.result import Result, importResult
from NeuroGenHarmonizeLib.settings import HarmonizeSettings, harmonizeArguments
from NeuroGenLib.i18n import tr as _
from NeuroGenLib.job import Job, makeWorkFolder, removeWorkFolder, startJob
from NeuroGenLib.nodes import exportVolume
from NeuroGenLib.outcome import Outcome

Finished = Callable[[Outcome, Result | None], None]


class SiteJob:
    """A harmonization that was started; poll it until it is over. The inputs are never changed."""

    def __init__(
        self,
        inputVolumes: Sequence,
        settings: HarmonizeSettings,
        *,
        onProgress: Callable[[str, float], None],
        onLog: Callable[[str], None],
        onFinished: Finished,
    ) -> None:
        """Export and start. Raises ValueError for a volume that cannot be used, RuntimeError without disk."""
        self.inputVolumes = list(inputVolumes)
        self.outcome: Outcome | None = None
        self.result: Result | None = None
        self.curve = LiveCurve()
        self._onFinished, self._onProgress = onFinished, onProgress
        work = makeWorkFolder()
        self._scans = [work / f"{k:02d}_{_safeName(node.GetName())}.nii" for k, node in enumerate(self.inputVolumes)]
        try:
            self._affines = [exportVolume(node, path) for node, path in zip(self.inputVolumes, self._scans)]
        except (ValueError, RuntimeError, OSError):
            removeWorkFolder(work)
            raise
        self._job: Job = startJob(
            harmonizeArguments(settings, self._scans, work / "results"),
            work / "results",
            onProgress=self._progress,
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

    def _progress(self, stage: str, fraction: float) -> None:
        self.curve.take(stage)
        self._onProgress(stage, fraction)

    def _finish(self, outcome: Outcome) -> None:
        self.curve.remove()
        if outcome.kind in ("done", "partial"):  # partial: some scans were given back or refused
            outcome = self._importResult(outcome)
        self.outcome = outcome
        self._onFinished(outcome, self.result)

    def _importResult(self, outcome: Outcome) -> Outcome:
        """Make nodes of the results; the outcome tells when that cannot be done."""
        if not all(slicer.mrmlScene.IsNodePresent(node) for node in self.inputVolumes):
            message = _("A scan was removed from the scene meanwhile, so there is no result.")
            return Outcome("cancelled", outcome.exit_code, message, outcome.log_tail)
        names = [path.name.removesuffix(".nii") for path in self._scans]
        try:
            self.result = importResult(self._job.outFolder, self.inputVolumes, names, self._affines)
        except (ValueError, RuntimeError, OSError) as error:
            return Outcome("crashed", outcome.exit_code, str(error), outcome.log_tail)
        return outcome


def _safeName(name: str) -> str:
    return re.sub(r"[^A-Za-z0-9._-]+", "_", name).strip("._") or "scan"
