"""A job with its files: a folder for its work that is always removed, and no partial results when it does not end well.

The command line writes to a hidden `.<name>.part` and renames it at the end (`neurogen.outputs`); a job that had to be
killed leaves that folder, which is removed here.
"""

import atexit
import logging
import os
import shutil
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from NeuroGenLib.outcome import Outcome
from NeuroGenLib.worker import WorkerProcess, ignore

_workFolders: set[Path] = set()


def makeWorkFolder() -> Path:
    """A new empty folder for one job; removed with the job, or when the application ends."""
    folder = Path(tempfile.mkdtemp(prefix="neurogen-"))
    _workFolders.add(folder)
    return folder


def removeWorkFolder(folder: Path) -> None:
    """Delete a folder that `makeWorkFolder` made; what cannot be deleted is told in the log."""
    if folder not in _workFolders:
        raise ValueError(f"{folder} was not made by makeWorkFolder, so it is not removed.")
    _workFolders.discard(folder)
    shutil.rmtree(folder, onerror=_tell)


class Job:
    """A running job and the files it owns; made by `startJob`."""

    def __init__(
        self, worker: WorkerProcess, outFolder: Path, workFolder: Path | None, onFinished: Callable[[Outcome], None]
    ) -> None:
        self.worker = worker
        self.outFolder = outFolder
        self.workFolder = workFolder
        self._onFinished = onFinished
        self._wasThere = outFolder.exists()

    @property
    def outcome(self) -> Outcome | None:
        """How it ended; None while it runs."""
        return self.worker.outcome

    def poll(self) -> bool:
        """See `WorkerProcess.poll`."""
        return self.worker.poll()

    def cancel(self) -> None:
        """See `WorkerProcess.cancel`."""
        self.worker.cancel()

    def wait(self, timeout: float | None = None) -> Outcome | None:
        """See `WorkerProcess.wait`."""
        return self.worker.wait(timeout)

    def finish(self, outcome: Outcome) -> None:
        """Remove what may not stay, tell the caller while the results are there, then remove the work folder."""
        try:
            if not outcome.isDone:
                self._removePartialResults(cancelled=outcome.kind == "cancelled")
            self._onFinished(outcome)
        finally:
            if self.workFolder is not None:
                removeWorkFolder(self.workFolder)

    def _removePartialResults(self, *, cancelled: bool) -> None:
        folder = self.outFolder
        part, old = folder.with_name(f".{folder.name}.part"), folder.with_name(f".{folder.name}.old.part")
        if old.exists() and not folder.exists():
            os.replace(old, folder)  # killed between the two renames: give the earlier results back
        remains = [part, old]
        if cancelled and not self._wasThere:
            remains.append(folder)  # cancelled in the moment of finishing
        for each in remains:
            if each.exists():
                shutil.rmtree(each, onerror=_tell)


def startJob(
    arguments: Sequence[str],
    outFolder: str | Path,
    *,
    onProgress: Callable[[str, float], None] = ignore,
    onLog: Callable[[str], None] = ignore,
    onFinished: Callable[[Outcome], None] = ignore,
    onEvent: Callable[[dict[str, Any]], None] = ignore,
    workFolder: Path | None = None,
    environment: Mapping[str, str] | None = None,
    module: str = "neurogen",
) -> Job:
    """Start `neurogen <arguments>`, whose results go to `outFolder`; return at once.

    Results are imported in `onFinished`. After it, `workFolder` (from `makeWorkFolder`; it may hold inputs and
    `outFolder`) is deleted, however the job ended. Keep the job and call its `poll()`.
    """
    jobs: list[Job] = []
    worker = WorkerProcess(
        arguments,
        onProgress=onProgress,
        onLog=onLog,
        onFinished=lambda outcome: jobs[0].finish(outcome),
        onEvent=onEvent,
        environment=environment,
        module=module,
    )
    jobs.append(Job(worker, Path(outFolder).absolute(), workFolder, onFinished))
    worker.start()
    return jobs[0]


def _tell(function: Callable, path: str, reason: Any) -> None:
    logging.warning("NeuroGen could not delete %s: %s", path, reason[1])


@atexit.register
def _removeWorkFolders() -> None:
    for folder in list(_workFolders):
        removeWorkFolder(folder)
