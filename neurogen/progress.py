"""How a job tells its caller where it is: one callable, `progress(stage, fraction)`.

A job calls it often; the callee may raise `Cancelled` to stop the job at that point. Command line, Slicer and tests
each bring their own callable; the core never prints.
"""

import json
import sys
from collections.abc import Callable
from typing import TextIO

Progress = Callable[[str, float], None]


def silent(stage: str, fraction: float) -> None:
    """Progress that nobody watches: the default of every job."""


def portion(progress: Progress, start: float, stop: float) -> Progress:
    """The progress of a sub-job whose 0..1 is the start..stop of the whole."""

    def report(stage: str, fraction: float) -> None:
        progress(stage, start + (stop - start) * min(max(fraction, 0.0), 1.0))

    return report


def json_lines(stream: TextIO = sys.stdout) -> Progress:
    """One JSON object a line, `{"stage": "registration", "fraction": 0.25}`: what the Slicer modules read."""

    def report(stage: str, fraction: float) -> None:
        print(json.dumps({"stage": stage, "fraction": round(fraction, 4)}), file=stream, flush=True)

    return report
