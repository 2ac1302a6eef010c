"""The middle part of a module's panel: Apply, Cancel, progress in words, messages and the log."""

from collections.abc import Callable
from subprocess import CalledProcessError
from typing import Any

import qt

from NeuroGenLib.i18n import tr as _
from NeuroGenLib.outcome import Outcome
from NeuroGenLib.packages import ensurePackages
from NeuroGenLib.worker import ignore

POLL_MS = 100
LOG_LINES = 2000


class RunPanel:
    """Starts a job, watches it by a timer and hands its result on; the panel answers all the while."""

    def __init__(
        self,
        ui,
        logic,
        *,
        requester: str,
        applyTip: str,
        missing: Callable[[], str],
        start: Callable[..., object],
        stageText: Callable[[str], str],
        onResult: Callable[[Any], None],
        onUpdated: Callable[[], None] = ignore,
    ) -> None:
        """What differs between the modules.

        requester : who asks for missing packages; applyTip : what Apply does, in words
        missing() : what is needed before a job can start, empty when nothing is
        start(onProgress=, onLog=, onFinished=) : start the job; stageText(stage) : a stage in words
        onResult(result) : follows a job that has a result
        onUpdated() : follows whenever it may have changed whether a job runs
        """
        self.ui = ui
        self._logic = logic
        self._requester, self._applyTip = requester, applyTip
        self._missing, self._start, self._stageText, self._onResult = missing, start, stageText, onResult
        self._onUpdated = onUpdated
        self._timer = qt.QTimer()
        self._timer.setInterval(POLL_MS)
        self._timer.connect("timeout()", self._onTimer)
        ui.logTextEdit.setMaximumBlockCount(LOG_LINES)
        ui.applyButton.connect("clicked(bool)", self.onApply)
        ui.cancelButton.connect("clicked(bool)", self.onCancel)
        self._showProgress("", 0.0)
        self.showMessage("")

    def update(self) -> None:
        """Enable what can be done now; the disabled Apply says what is missing."""
        running = self._logic.isRunning
        missing = self._logic.busyText if running else self._missing()
        self.ui.applyButton.enabled = not missing
        self.ui.applyButton.toolTip = missing or self._applyTip
        self.ui.missingLabel.text = "" if running else missing
        self.ui.missingLabel.visible = bool(missing) and not running
        self.ui.cancelButton.enabled = running
        self.ui.progressBar.visible = running
        self.ui.stageLabel.visible = running
        self._onUpdated()

    def onApply(self, checked: bool = False) -> None:
        """Install missing packages after asking, then start."""
        self.showMessage("")
        self.ui.logTextEdit.clear()
        try:
            ensurePackages(self._requester)
            self._start(
                onProgress=self._showProgress,
                onLog=self.ui.logTextEdit.appendPlainText,
                onFinished=self._onFinished,
            )
        except (RuntimeError, ValueError, OSError, CalledProcessError) as error:
            self.showMessage(str(error))
        else:
            self._showProgress(_("Starting"), 0.0)
            self._timer.start()
        self.update()

    def onCancel(self, checked: bool = False) -> None:
        """Ask the job to stop; the timer sees it through."""
        self._logic.cancel()
        self.ui.cancelButton.enabled = False
        self.ui.stageLabel.text = _("Stopping ...")

    def showMessage(self, text: str) -> None:
        """A sentence below the buttons; empty for none."""
        self.ui.messageLabel.text = text
        self.ui.messageLabel.visible = bool(text)

    def log(self) -> tuple[str, ...]:
        """The lines of the last job."""
        return tuple(self.ui.logTextEdit.toPlainText().splitlines())

    def cleanup(self) -> None:
        """Stop watching."""
        self._timer.stop()

    def _onTimer(self) -> None:
        if not self._logic.poll():
            self._timer.stop()
            self.update()

    def _onFinished(self, outcome: Outcome, result: Any) -> None:
        self.showMessage("" if outcome.isDone else outcome.message)
        if outcome.kind not in ("done", "cancelled"):
            self.ui.logCollapsibleButton.collapsed = False
        self.update()
        if result is not None:
            self._onResult(result)

    def _showProgress(self, stage: str, fraction: float) -> None:
        self.ui.stageLabel.text = self._stageText(stage)
        self.ui.progressBar.value = round(100 * fraction)
