"""How a job ended, told from the exit code of the child process, its last words and the log."""

import signal
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from neurogen import errors
from NeuroGenLib.i18n import tr as _

Kind = Literal["done", "refused", "model", "memory", "crashed", "cancelled", "partial", "usage"]

_KINDS: dict[int, Kind] = {
    0: "done",
    errors.UsageError.exit_code: "usage",
    errors.InputRefused.exit_code: "refused",
    errors.ModelUnavailable.exit_code: "model",
    errors.OutOfMemory.exit_code: "memory",
    errors.SomeFailed.exit_code: "partial",
    errors.Cancelled.exit_code: "cancelled",
}
# Killed by signal 9 that we did not send: the system ran out of memory. 137 is what a launcher or shell makes of it,
# the large ones are Windows' STATUS_NO_MEMORY and STATUS_COMMITMENT_LIMIT.
_KILLED_FOR_MEMORY = (-9, 137, 0xC0000017, 0xC000012D)


@dataclass(frozen=True)
class Outcome:
    """The end of a job; `message` is a sentence for the user, `log_tail` the last lines of the log."""

    kind: Kind
    exit_code: int
    message: str
    log_tail: tuple[str, ...] = ()

    @property
    def isDone(self) -> bool:
        """Whether there are results to show."""
        return self.kind == "done"


def outcomeOf(exitCode: int, *, lastWords: str, log: Sequence[str], cancelled: bool) -> Outcome:
    """The outcome of a child process.

    `exitCode` is negative where a signal ended it, as in `subprocess`; `lastWords` is the error that it reported as a
    JSON line, empty when it reported none; `cancelled` says that the user asked for the end.
    """
    if cancelled and exitCode != 0:
        return Outcome("cancelled", errors.Cancelled.exit_code, _("Cancelled. Nothing was changed."), tuple(log))
    kind = "memory" if exitCode in _KILLED_FOR_MEMORY else _KINDS.get(exitCode, "crashed")
    return Outcome(kind, exitCode, lastWords or _sentence(kind, exitCode, log), tuple(log))


def failedToStart(command: str, error: OSError) -> Outcome:
    """The outcome of a command that could not even be started."""
    text = _("The computation could not be started: {command} ({reason}). Reinstall the extension.")
    return Outcome("crashed", -1, text.format(command=command, reason=error.strerror or error), ())


def _sentence(kind: Kind, exitCode: int, log: Sequence[str]) -> str:
    if kind == "crashed":
        return _crash(exitCode)
    last = next((line for line in reversed(log) if line.strip()), "")
    sentences = {
        "done": _("Done."),
        "cancelled": _("Cancelled. Nothing was changed."),
        "memory": _("The computer ran out of memory. Close other programs or choose fewer slices at once."),
    }
    return sentences.get(kind) or last or _("The job ended without a reason (exit code {code}).").format(code=exitCode)


def _crash(exitCode: int) -> str:
    if exitCode >= 0:
        reason = _("exit code {code}").format(code=exitCode)
    else:
        names = {int(number): number.name for number in signal.Signals}
        reason = names.get(-exitCode) or _("signal {number}").format(number=-exitCode)
    text = _("The computation stopped unexpectedly ({reason}). The last lines of the log say more.")
    return text.format(reason=reason)
