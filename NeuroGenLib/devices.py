"""Where to compute, with the reason: asked of a child process, so that the application never imports torch."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from NeuroGenLib.i18n import tr as _
from NeuroGenLib.outcome import Outcome
from NeuroGenLib.worker import WorkerProcess


@dataclass(frozen=True)
class DeviceChoice:
    """A value of `--device`; `reason` says what it means here, or why it cannot be chosen."""

    value: str
    label: str
    reason: str
    isAvailable: bool = True


@dataclass(frozen=True)
class Doctor:
    """The answer of `neurogen doctor`; all empty when it could not answer, and `outcome` says why."""

    outcome: Outcome
    versions: Mapping[str, str]
    computing: Mapping[str, str]
    models: Mapping[str, str]
    folders: Mapping[str, str]


def askDoctor(onAnswer: Callable[[Doctor], None]) -> WorkerProcess:
    """Ask `neurogen doctor`, started at once; call the worker's `poll()` until it answers (torch takes seconds)."""
    answers: list[Mapping[str, Any]] = []

    def finish(outcome: Outcome) -> None:
        found = next((each for each in answers if "computing" in each), {})
        onAnswer(Doctor(outcome, *(found.get(name, {}) for name in ("versions", "computing", "models", "folders"))))

    worker = WorkerProcess(["doctor"], onEvent=answers.append, onFinished=finish)
    worker.start()
    return worker


def deviceChoices(doctor: Doctor | None) -> list[DeviceChoice]:
    """The devices to choose from; before the doctor answered (None), the graphics card is left to the job."""
    processors = (doctor.computing if doctor else {}).get("processors", "")
    words = _("{count} processor threads").format(count=processors) if processors else _("always possible")
    cpu = DeviceChoice("cpu", _("Processor"), words)
    device = doctor.computing.get("device", "") if doctor else ""
    name = device.partition("(")[2].removesuffix(")")
    if device.startswith("cuda"):
        chosen = _("graphics card: {name}").format(name=name)
        return [_automatic(chosen), cpu, DeviceChoice("cuda", _("Graphics card"), name)]
    reason = _noCard(doctor, device, name)
    chosen = _("processor, because {reason}").format(reason=reason) if device else reason
    return [_automatic(chosen), cpu, DeviceChoice("cuda", _("Graphics card"), reason, isAvailable=doctor is None)]


def _automatic(reason: str) -> DeviceChoice:
    return DeviceChoice("auto", _("Automatic"), reason)


def _noCard(doctor: Doctor | None, device: str, name: str) -> str:
    if doctor is None:
        return _("not asked yet")
    return name or device or doctor.outcome.message
