"""batch.csv: one line a scan, whole at any moment."""

import csv
import io
import logging
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

TABLE = "batch.csv"
COLUMNS = ("name", "status", "exit_code", "seconds", "message", "scan", "results")
DONE, SKIPPED, FAILED, NOT_RUN = "done", "skipped", "failed", "not run"


@dataclass(frozen=True)
class Line:
    """What became of one scan. `message` is why it failed, or the warnings of one that is done."""

    name: str
    scan: Path
    results: Path
    status: str = NOT_RUN
    exit_code: int | None = None
    seconds: float | None = None
    message: str = ""
    values: dict[str, Any] = field(default_factory=dict)


class Table:
    """Rewrites the file whenever a scan ends, so that a killed batch leaves a true table."""

    def __init__(self, path: Path, columns: Sequence[str]) -> None:
        self.path = path
        self._columns = (*COLUMNS[:4], *columns, *COLUMNS[4:])

    def write(self, lines: Sequence[Line]) -> None:
        """Replace the file. One that another program holds open stays as it is, and the log says so."""
        part = self.path.with_name(f".{self.path.name}.part")
        try:
            part.write_text(self._text(lines), encoding="utf-8", newline="")
            part.replace(self.path)
        except PermissionError as error:
            logging.warning("%s could not be renewed (%s). Close it elsewhere.", self.path, error.strerror)

    def _text(self, lines: Sequence[Line]) -> str:
        stream = io.StringIO()
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(self._columns)
        for line in lines:
            seconds = "" if line.seconds is None else f"{line.seconds:.1f}"
            code = "" if line.exit_code is None else line.exit_code
            cells = {"seconds": seconds, "exit_code": code, **line.values}
            writer.writerow([cells.get(name, getattr(line, name, "")) for name in self._columns])
        return stream.getvalue()
