"""A job in a child process: `python -m neurogen ... --json-progress`, watched without ever blocking the application.

No Qt: whoever starts it calls `poll()` several times a second (a widget by its QTimer, a script by `wait`), and all
callbacks run inside `poll()`, in the thread that calls it.
"""

import atexit
import logging
import tempfile
import time
import weakref
from collections.abc import Callable, Mapping, Sequence
from subprocess import Popen
from typing import Any

from neurogen.process_tree import is_tree_alive, kill_tree, start_tree, terminate_tree
from NeuroGenLib.mailbox import Mailbox, readLines
from NeuroGenLib.outcome import Outcome, failedToStart, outcomeOf
from NeuroGenLib.paths import childEnvironment, pythonExecutable

KILL_AFTER = 3.0  # seconds between asking a job to stop and stopping it; it then ends well within 5 s
ORPHANS_GET = 1.0  # seconds for processes that outlive the job, before they are killed
PIPES_GET = 0.5  # seconds for the last lines, should a stranger hold the pipes open
_running: "weakref.WeakSet[WorkerProcess]" = weakref.WeakSet()


def ignore(*anything: Any) -> None:
    """A callback that nobody gave."""


class WorkerProcess:
    """One run of the command line.

        worker = WorkerProcess(["detect", path, "--out", folder], onProgress=show, onFinished=importResults)
        worker.start()                      # returns at once
        timer.timeout.connect(worker.poll)  # callbacks come from here

    `onProgress(stage, fraction)` gets the latest progress, `onLog(line)` each line of the log, `onEvent(content)` the
    other JSON objects (results, errors of single scans), and `onFinished(outcome)` is called once, last.
    """

    def __init__(
        self,
        arguments: Sequence[str],
        *,
        onProgress: Callable[[str, float], None] = ignore,
        onLog: Callable[[str], None] = ignore,
        onFinished: Callable[[Outcome], None] = ignore,
        onEvent: Callable[[dict[str, Any]], None] = ignore,
        environment: Mapping[str, str] | None = None,
        module: str = "neurogen",
    ) -> None:
        """`environment` is added to the child's own; `module` is what `python -m` runs."""
        self.command = [pythonExecutable(), "-m", module, *map(str, arguments), "--json-progress"]
        self.outcome: Outcome | None = None
        self._environment = environment
        self._onProgress, self._onLog, self._onFinished, self._onEvent = onProgress, onLog, onFinished, onEvent
        self._mailbox = Mailbox()
        self._process: Popen | None = None
        self._readers: list = []
        self._lastWords = ""
        self._cancelledAt: float | None = None
        self._endedAt: float | None = None
        self._failure: Outcome | None = None

    def start(self) -> None:
        """Start the process; a failure to start is reported like any other, by `onFinished`."""
        if self._process is not None or self._failure is not None:
            raise RuntimeError("This worker was already started. Make a new one for each job.")
        logging.info("NeuroGen starts: %s", " ".join(self.command))
        try:
            environment = childEnvironment(self.command[0], self._environment)
            self._process = start_tree(self.command, environment, folder=tempfile.gettempdir())
        except OSError as error:
            self._failure = failedToStart(self.command[0], error)
            return
        _running.add(self)
        self._readers = [
            readLines(self._process.stdout, self._mailbox.putOutput),
            readLines(self._process.stderr, self._mailbox.putLog),
        ]

    def poll(self) -> bool:
        """Call the callbacks for what came since the last time; return whether the job is still running."""
        if self.outcome is not None or (self._process is None and self._failure is None):
            return False
        self._deliver()
        if self._failure is not None:
            return self._finish(self._failure)
        if not self._hasEnded(time.monotonic()):
            return True
        self._deliver()
        log = list(self._mailbox.tail)
        cancelled = self._cancelledAt is not None
        outcome = outcomeOf(self._process.returncode, lastWords=self._lastWords, log=log, cancelled=cancelled)
        return self._finish(outcome)

    def cancel(self) -> None:
        """Ask the job and all its processes to stop; returns at once, `poll()` sees it through within 5 seconds."""
        if self._process is None or self.outcome is not None or self._cancelledAt is not None:
            return
        self._cancelledAt = time.monotonic()
        terminate_tree(self._process)

    def wait(self, timeout: float | None = None) -> Outcome | None:
        """Poll until the job ends; None when `timeout` seconds pass before."""
        deadline = None if timeout is None else time.monotonic() + timeout
        while self.poll():
            if deadline is not None and time.monotonic() >= deadline:
                return None
            time.sleep(0.02)
        return self.outcome

    def kill(self) -> None:
        """End everything now, without waiting and without callbacks: for the application's own end."""
        if self._process is not None and self.outcome is None:
            kill_tree(self._process)

    @property
    def pid(self) -> int | None:
        """The process id, None before the start."""
        return self._process.pid if self._process else None

    def _deliver(self) -> None:
        mail = self._mailbox.take()
        for line in mail.lines:
            self._onLog(line)
        for content in mail.events:
            self._lastWords = str(content.get("error", self._lastWords))
            self._onEvent(content)
        if mail.progress and self._cancelledAt is None:
            self._onProgress(*mail.progress)

    def _hasEnded(self, now: float) -> bool:
        """Whether the whole tree is gone and its last lines are read; what stays too long is killed."""
        process = self._process
        late = self._cancelledAt is not None and now > self._cancelledAt + KILL_AFTER
        if process.poll() is None:
            if late:
                kill_tree(process)
            return False
        self._endedAt = self._endedAt or now
        if is_tree_alive(process):
            if not late and now < self._endedAt + ORPHANS_GET:
                return False
            kill_tree(process)
        return not any(reader.is_alive() for reader in self._readers) or now > self._endedAt + ORPHANS_GET + PIPES_GET

    def _finish(self, outcome: Outcome) -> bool:
        self.outcome = outcome
        _running.discard(self)
        logging.info("NeuroGen ended: %s (exit code %d)", outcome.kind, outcome.exit_code)
        self._onFinished(outcome)
        return False


@atexit.register
def _killRunning() -> None:
    """No job outlives the application."""
    for worker in list(_running):
        worker.kill()
