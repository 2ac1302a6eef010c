"""Everything that went wrong where nobody looks: slots, timers, observers, threads and destructors.

PySide6 and VTK print an exception raised in a callback and go on; so would a test. All of them end in
`sys.excepthook`, and here they are kept until somebody asks.
"""

import sys
import threading
import traceback
from dataclasses import dataclass


@dataclass(frozen=True)
class Failure:
    """An exception that no caller saw: where it arose and what it said."""

    where: str
    error: BaseException | None
    text: str


_failures: list[Failure] = []


def watch() -> None:
    """From now on keep every exception that ends in a hook; the hooks that were there are replaced."""
    sys.excepthook = lambda kind, error, trace: note("slot, timer or observer", error)
    sys.unraisablehook = lambda unraisable: note(f"while {unraisable.object!r} ended", unraisable.exc_value)
    threading.excepthook = lambda args: note(f"thread {args.thread.name if args.thread else '?'}", args.exc_value)


def note(where: str, error: BaseException | None, text: str = "") -> None:
    """Keep one failure; a test that ends with any has failed."""
    shown = text or "".join(traceback.format_exception(error))
    _failures.append(Failure(where, error, shown))


def take() -> list[Failure]:
    """All failures since the last call; the list starts empty again."""
    taken = list(_failures)
    _failures.clear()
    return taken
