"""Modal dialogs do not wait in tests: what they say is kept, and the test answers beforehand."""

from dataclasses import dataclass

from PySide6.QtWidgets import QDialog, QFileDialog, QInputDialog, QMessageBox

from . import failures


@dataclass(frozen=True)
class Shown:
    """A dialog that came up: its kind, its texts and what it was answered."""

    kind: str
    text: str
    details: str
    answer: object


_answers: list[object] = []
_shown: list[Shown] = []


def answer(*values: object) -> None:
    """Answer the next dialogs: a button for a message, a path for a file dialog, a text for an input."""
    _answers.extend(values)


def take() -> list[Shown]:
    """The dialogs that came up since the last call; unused answers are dropped."""
    taken = list(_shown)
    _shown.clear()
    _answers.clear()
    return taken


def record(kind: str, text: str, details: str = "", default: object = 0) -> object:
    """Keep a dialog and give its answer; one that no answer was laid out for is a failure."""
    if not _answers:
        failures.note("dialog", None, f"A {kind} came up that the test does not expect: {text}\n{details}")
    given = _answers.pop(0) if _answers else default
    _shown.append(Shown(kind, text, details, given))
    return given


def patch() -> None:
    """Make every modal dialog of Qt answer at once."""
    for kind in (QDialog, QMessageBox, QFileDialog, QInputDialog):
        kind.exec = kind.exec_ = _exec
    for name in ("information", "warning", "critical", "question"):
        setattr(QMessageBox, name, staticmethod(_message(name)))
    for name in ("getOpenFileName", "getOpenFileNames", "getSaveFileName", "getExistingDirectory"):
        setattr(QFileDialog, name, staticmethod(_choice(name)))
    for name in ("getText", "getItem"):
        setattr(QInputDialog, name, staticmethod(_choice(name)))


def _exec(self: QDialog) -> object:
    if isinstance(self, QMessageBox):
        return record("message box", self.text, self.detailedText, QMessageBox.StandardButton.Cancel)
    return record("dialog", self.windowTitle)


def _message(name: str):
    def show(parent: object, title: str, text: str, *rest: object) -> object:
        return record(f"message box ({name})", text, title, QMessageBox.StandardButton.Cancel)

    return show


def _choice(name: str):
    # PythonQt gives the choice alone, where PySide6 gives a pair.
    def choose(parent: object = None, caption: str = "", *rest: object) -> object:
        return record(name, caption, default="")

    return choose
