"""How the command line talks: a progress bar for people on stderr, or JSON lines for programs on stdout."""

import json
import re
import sys
import time
from typing import Any

from neurogen.errors import Cancelled, NeuroGenError, OutOfMemory
from neurogen.progress import json_lines

SECONDS_BETWEEN_LINES = 30.0  # of a log file
MEMORY_ADVICE = (
    "Out of memory. Close other programs, or try --batch-size 4, --device cpu or a machine with more memory (%s)."
)
_MEMORY_SIGNS = ("out of memory", "not enough memory", "can't allocate memory", "cannot allocate memory")


class Console:
    """Progress, results and messages of one run of the command line.

    With `json_mode`, stdout carries JSON lines and nothing else: `{"stage": ..., "fraction": ...}` from `progress` and
    the objects given to `event`. Otherwise stdout carries the text given to `say`, stderr a bar (in a terminal) or
    lines (in a log file): one a stage, and one every half minute while only the numbers of a stage change.
    """

    def __init__(self, *, json_mode: bool) -> None:
        self.json_mode = json_mode
        self.progress = json_lines(sys.stdout) if json_mode else self._report
        self._bar = None
        self._words = ""
        self._told = 0.0

    def say(self, text: str = "") -> None:
        """A line for people; programs read events."""
        if not self.json_mode:
            self.close()
            print(text, flush=True)

    def event(self, **content: Any) -> None:
        """An object for programs; people read lines."""
        if self.json_mode:
            print(json.dumps(content), flush=True)

    def close(self) -> None:
        """End the bar, so that what follows stands on its own line."""
        if self._bar is not None:
            self._bar.close()
            self._bar = None

    def _report(self, stage: str, fraction: float) -> None:
        if sys.stderr.isatty():
            self._draw(stage, fraction)
            return
        words = re.sub(r"[\d.e+-]+", "", stage)
        if words != self._words or time.monotonic() - self._told > SECONDS_BETWEEN_LINES:
            print(f"{fraction:4.0%}  {stage}", file=sys.stderr, flush=True)
            self._words, self._told = words, time.monotonic()

    def _draw(self, stage: str, fraction: float) -> None:
        if self._bar is None:
            from tqdm import tqdm

            layout = "{percentage:3.0f}% |{bar:24}| {elapsed} < {remaining}  {desc}"
            self._bar = tqdm(total=1.0, bar_format=layout, leave=False, dynamic_ncols=True, file=sys.stderr)
        self._bar.set_description_str(stage, refresh=False)
        self._bar.update(max(fraction - self._bar.n, 0.0))


def explain(error: BaseException) -> NeuroGenError | None:
    """The failure as one that a user can act on; None for a defect of the program."""
    if isinstance(error, NeuroGenError):
        return error
    if isinstance(error, KeyboardInterrupt):
        return Cancelled("Cancelled.")
    text = str(error)
    if isinstance(error, MemoryError) or any(sign in text.lower() for sign in _MEMORY_SIGNS):
        return OutOfMemory(MEMORY_ADVICE % (text.splitlines() or [type(error).__name__])[0])
    return None
