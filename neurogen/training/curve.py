"""What a training has reached so far: the curve on disk, the plateau, the clock."""

import os
import time
from pathlib import Path

FILE_NAME = "curve.tsv"


def write_curve(folder: Path, history: list[dict[str, float]]) -> None:
    """Write folder/curve.tsv atomically, one row a validation; a value that a row lacks is left empty."""
    columns = list(dict.fromkeys(name for row in reversed(history) for name in row))
    lines = ["\t".join(columns)] + ["\t".join(_cell(row.get(name)) for name in columns) for row in history]
    part = Path(folder) / (FILE_NAME + ".part")
    part.write_text("\n".join(lines) + "\n", encoding="utf-8")
    os.replace(part, Path(folder) / FILE_NAME)


def _cell(value: float | None) -> str:
    return "" if value is None else f"{value:.6g}"


def has_plateaued(history: list[dict[str, float]], *, share: float, gain: float) -> bool:
    """True when the last `share` of the whole run raised the best score by less than `gain` of it.

    history : one row a validation, with `fraction` (of the run done) and `score`; needs 2 x share of the run to judge
    """
    if not history or gain <= 0 or history[-1]["fraction"] < 2 * share:
        return False
    earlier = [row["score"] for row in history if row["fraction"] <= history[-1]["fraction"] - share]
    before, now = max(earlier), max(row["score"] for row in history)
    return now - before < gain * abs(before)


class Clock:
    """Minutes of training, those before a resume included."""

    def __init__(self, minutes_before: float = 0.0):
        self._before, self._start, self._first = minutes_before, time.monotonic(), None

    def minutes(self) -> float:
        return self._before + (time.monotonic() - self._start) / 60

    def minutes_left(self, fraction: float) -> float | None:
        """Linear estimate from the pace since the first call, when `fraction` of the run was done; None at first."""
        now = self.minutes()
        if self._first is None:
            self._first = (fraction, now)
        gained = fraction - self._first[0]
        return (1 - fraction) * (now - self._first[1]) / gained if gained > 0 else None
