"""One table with methods in rows: as aligned text, as markdown, as JSON."""

import json
import math
import textwrap
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

Interval = tuple[float, float]


@dataclass(frozen=True)
class Table:
    """Numbers with their 95 % intervals.

    rows: {row: {column: value}}; a column that a row lacks, or NaN, prints as "-".
    columns: their order. intervals: {row: {column: (low, high)}}, given where there are any.
    notes: sentences printed below. facts: what made the table (data, split, version), for the JSON only.
    """

    rows: Mapping[str, Mapping[str, float]]
    columns: tuple[str, ...]
    intervals: Mapping[str, Mapping[str, Interval]] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    facts: Mapping[str, object] = field(default_factory=dict)

    def text(self, *, width: int = 150) -> str:
        """Aligned columns; those that do not fit `width` continue in a further block below."""
        notes = "\n".join(textwrap.fill(note, width) for note in self.notes)
        blocks = [_aligned(self._cells(columns)) for columns in self._fitting(width)]
        return "\n\n".join(blocks + ([notes] if notes else []))

    def markdown(self) -> str:
        head, *body = self._cells(self.columns)
        lines = [head, ["---"] + ["---:"] * len(self.columns), *body]
        table = "\n".join("| " + " | ".join(line) + " |" for line in lines)
        return "\n\n".join([table, *self.notes])

    def to_json(self) -> str:
        """Strict JSON: what is not a number is null."""
        content = {"rows": self.rows, "intervals": self.intervals, "notes": self.notes, **self.facts}
        return json.dumps(_finite(content), indent=2)

    def write_json(self, path: Path) -> None:
        """Whole or not at all: written beside the target, then renamed."""
        path = Path(path)
        part = path.with_name(f".{path.name}.part")
        part.write_text(self.to_json() + "\n", encoding="utf-8")
        part.replace(path)

    def _cells(self, columns: tuple[str, ...]) -> list[list[str]]:
        return [["", *columns]] + [[row, *(self._cell(row, column) for column in columns)] for row in self.rows]

    def _cell(self, row: str, column: str) -> str:
        value = _number(self.rows[row].get(column, math.nan))
        low, high = self.intervals.get(row, {}).get(column, (math.nan, math.nan))
        known = value != "-" and math.isfinite(low) and math.isfinite(high)
        return f"{value} [{_number(low)}, {_number(high)}]" if known else value

    def _fitting(self, width: int) -> list[tuple[str, ...]]:
        """Split the columns into blocks that fit beside the row names."""
        first = max([len(row) for row in self.rows], default=0)
        blocks, block, used = [], [], first
        for column in self.columns:
            needed = 2 + max([len(column), *(len(self._cell(row, column)) for row in self.rows)])
            if block and used + needed > width:
                blocks.append(tuple(block))
                block, used = [], first
            block.append(column)
            used += needed
        return [*blocks, tuple(block)]


def _aligned(cells: list[list[str]]) -> str:
    widths = [max(len(line[k]) for line in cells) for k in range(len(cells[0]))]
    lines = [[line[0].ljust(widths[0])] + [c.rjust(w) for c, w in zip(line[1:], widths[1:])] for line in cells]
    return "\n".join("  ".join(line).rstrip() for line in lines)


def _number(value: float) -> str:
    """Three decimals below ten, one below a thousand, none above."""
    if not math.isfinite(value):
        return "-"
    size = abs(value)
    return f"{value:.3f}" if size < 10 else f"{value:.1f}" if size < 1000 else f"{value:.0f}"


def _finite(value: object) -> object:
    """Plain JSON types, NaN and infinity as None."""
    if isinstance(value, Mapping):
        return {str(key): _finite(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_finite(item) for item in value]
    if isinstance(value, (str, bool)) or value is None:
        return value
    if isinstance(value, int):
        return value
    return float(value) if math.isfinite(float(value)) else None
