"""A job from nodes to nodes: export, the command line in a child process, import. Knows nothing of Qt."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import slicer

from NeuroGenLib.i18n import tr as _
from NeuroGenLib.job import Job, makeWorkFolder, removeWorkFolder, startJob
from NeuroGenLib.outcome import Kind, Outcome

Finished = Callable[[Outcome, Any], None]  # outcome, and the result where there is one


class NodeJob:
    """A job that was started; poll it until it is over. The input nodes are never changed.

    A kind of job says in `_export` what the command line gets, and in `_import` what becomes of its files.
    """

    KINDS_WITH_RESULT: tuple[Kind, ...] = ("done",)

    def __init__(
        self,
        inputs: Sequence,
        *,
        onProgress: Callable[[str, float], None],
        onLog: Callable[[str], None],
        onFinished: Finished,
    ) -> None:
        """Export and start. Raises ValueError for inputs that cannot be used, RuntimeError without disk."""
        self.inputs = tuple(inputs)
        self.outcome: Outcome | None = None
        self.result: Any = None
        self._onFinished = onFinished
        work = makeWorkFolder()
        try:
            arguments = self._export(work, work / "results")
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

    def _export(self, work: Path, out: Path) -> list[str]:
        """Write the inputs to the folder `work`; return the command line whose results go to `out`."""
        raise NotImplementedError

    def _import(self, out: Path) -> Any:
        """Make nodes of the results in `out`. Raises ValueError, RuntimeError or OSError, and then leaves none."""
        raise NotImplementedError

    def _finish(self, outcome: Outcome) -> None:
        if outcome.kind in self.KINDS_WITH_RESULT:
            outcome = self._importResult(outcome)
        self.outcome = outcome
        self._onFinished(outcome, self.result)

    def _importResult(self, outcome: Outcome) -> Outcome:
        """Make nodes of the results; the outcome tells when that cannot be done."""
        if not all(slicer.mrmlScene.IsNodePresent(node) for node in self.inputs):
            message = _("The input was removed from the scene meanwhile, so there is no result.")
            return Outcome("cancelled", outcome.exit_code, message, outcome.log_tail)
        try:
            self.result = self._import(self._job.outFolder)
        except (ValueError, RuntimeError, OSError) as error:
            return Outcome("crashed", outcome.exit_code, str(error), outcome.log_tail)
        return outcome
