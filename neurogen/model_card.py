"""The README.md of a model folder, made from its manifest alone, so that the two cannot differ."""

from collections.abc import Mapping, Sequence
from typing import Any

CURVE_ROWS = 24  # of the training curve; a longer one is thinned evenly, its last row kept


def model_card(manifest: Mapping[str, Any]) -> str:
    """Markdown: what the model is, what it was trained on and how, what was measured."""
    sections = [
        _facts(manifest),
        _section("Trained on", [f"- {d['name']}: {d['scans']} scans, {d['terms']}" for d in manifest["training_data"]]),
        _section("Training", _training(manifest["training"])),
        _section("Operating points", _operating_points(manifest["calibration"])),
        _section("Measured", [f"- {_sentence(row)}" for row in manifest["measured"]] or ["- nothing yet"]),
        _section("Seconds", [f"- {where}: {seconds}" for where, seconds in manifest["seconds"].items()]),
        _section("Notes", [f"- {note}" for note in manifest.get("notes", [])]),
    ]
    return "\n".join(line for section in sections for line in section)


def _facts(manifest: Mapping[str, Any]) -> list[str]:
    facts = {
        "Task": manifest["task"],
        "Method": manifest["method"],
        "Contrasts": ", ".join(manifest["contrasts"]),
        "Ages": " to ".join(f"{age:g}" for age in manifest["age_range"]),
        "Spacing": f"{manifest['spacing_mm']} mm",
        "License of the weights": manifest["licence"],
        "Written by": f"NeuroGen {manifest['code_version']}",
    }
    lines = [f"# {manifest['id']} {manifest['version']}", "", "Research use only. Not a diagnosis.", ""]
    return [*lines, *[f"- {key}: {value}" for key, value in facts.items()], ""]


def _section(title: str, lines: Sequence[str]) -> list[str]:
    return [f"## {title}", "", *lines, ""] if lines else []


def _training(record: Mapping[str, Any]) -> list[str]:
    """Seed, length and end of the run, the phases that it went on from, then its curve."""
    named = {"seed": "seed", "steps": "steps", "hours": "hours", "stopped": "ended by", "best_step": "best step"}
    told = [f"{title} {record[key]}" for key, title in named.items() if record.get(key) not in (None, "")]
    lines = [f"- {', '.join(told)}"] if told else []
    lines += [f"- before that: {phase}" for phase in record.get("earlier_phases", [])]
    return lines + _curve(record.get("history", []))


def _curve(history: Sequence[Mapping[str, float]]) -> list[str]:
    """The validation history as a table: the loss beside what decides."""
    if not history:
        return []
    stride = -(-len(history) // CURVE_ROWS)
    rows = list(history[::stride])
    if rows[-1] is not history[-1]:
        rows.append(history[-1])
    columns = [name for name in dict.fromkeys(key for row in rows for key in row) if name != "fraction"]
    lines = ["", "| " + " | ".join(columns) + " |", "|" + "---|" * len(columns)]
    return lines + ["| " + " | ".join(_number(row.get(name)) for name in columns) + " |" for row in rows]


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.4g}"


def _operating_points(calibration: Mapping[str, Any]) -> list[str]:
    return [f"- {name}: {entry['sentence']}" for name, entry in calibration.items()
            if isinstance(entry, Mapping) and "sentence" in entry]  # fmt: skip


def _sentence(row: Mapping[str, Any]) -> str:
    numbers = ", ".join(f"{key} {value}" for key, value in row.items() if key != "protocol")
    return f"{row['protocol']}: {numbers}"
