"""What the logics of the modules share: one job at a time, polled, cancelled or waited for. No Qt."""

from collections.abc import Callable
from typing import Any

from NeuroGenLib.node_job import NodeJob
from NeuroGenLib.outcome import Outcome


class JobLogicMixin:
    """Beside `ScriptedLoadableModuleLogic`: a module's `start` makes its job by `_begin`, all else is here."""

    busyText = ""  # why another job cannot start now

    _job: NodeJob | None = None

    @property
    def isRunning(self) -> bool:
        """Whether a job is running."""
        return self._job is not None and self._job.outcome is None

    def process(self, *inputs: Any, **options: Any) -> Any:
        """As `start`, but wait for the result and return it. Raises RuntimeError with the reason for having none."""
        job = self.start(*inputs, **options)
        outcome = job.wait()
        if job.result is None:
            raise RuntimeError(outcome.message)
        return job.result

    def poll(self) -> bool:
        """Deliver progress, log and end of the job; return whether it is still running."""
        return self._job is not None and self._job.poll()

    def cancel(self) -> None:
        """Ask the job to stop with all its processes; it leaves neither nodes nor files."""
        if self.isRunning:
            self._job.cancel()

    def close(self, timeout: float = 5.0) -> Outcome | None:
        """Cancel and wait until nothing is left of the job."""
        self.cancel()
        return self._job.wait(timeout) if self.isRunning else None

    def _begin(self, makeJob: Callable[..., NodeJob], *inputs: Any, **options: Any) -> NodeJob:
        """Start a job. Raises RuntimeError while another one runs."""
        if self.isRunning:
            raise RuntimeError(self.busyText)
        self._job = makeJob(*inputs, **options)
        return self._job
