"""What `neurogen brain-age` is given: scans, ages from a table, and label maps told from images."""

import csv
import re
from pathlib import Path
from typing import TYPE_CHECKING

from neurogen.commands.detect import scan_name
from neurogen.errors import InputRefused, UsageError

if TYPE_CHECKING:
    from neurogen.volumes import Volume

ENDINGS = (".nii.gz", ".nii", ".nrrd", ".nhdr", ".mha", ".mhd")
AGE_TABLES = ("ages.tsv", "participants.tsv")
AGE_COLUMNS = ("age_weeks", "scan_age_weeks", "scan_age", "pma_weeks")
SCAN_COLUMNS = ("scan", "file", "participant_id", "subject")
SESSION_COLUMNS = ("session_id", "session")
_NOT_SCANS = ("mask", "probseg", "xfm")


def find_scans(inputs: list[Path]) -> list[Path]:
    """The given files, and of a folder its label maps (`dseg` in the name) and the T2w scans of further infants.

    A folder without a `dseg` gives all its images. Raises InputRefused for a folder without any.
    """
    found = []
    for path in inputs:
        found += _of_folder(path) if path.is_dir() else [path]
    return found


def ages_of(scans: list[Path], inputs: list[Path], given: str | None) -> dict[Path, float | None]:
    """The age of each scan: one number for one scan, or from a table, or from the table in the folder of the scans.

    given : what --age says: weeks, or the path of a table. Raises UsageError, InputRefused.
    """
    number = _number(given)
    if number is not None:
        if len(scans) > 1 or inputs[0].is_dir():
            raise UsageError(
                "--age WEEKS belongs to one scan, but several were given. Give a table instead: --age TABLE.tsv with "
                f"columns {SCAN_COLUMNS[0]} and {AGE_COLUMNS[0]}."
            )
        return {scans[0]: number}
    table = Path(given) if given else _table_beside(inputs)
    if table is None:
        return dict.fromkeys(scans)
    rows = read_ages(table)
    return {scan: age_in(rows, scan_name(scan), table.name) for scan in scans}


def read_ages(path: Path) -> list[tuple[str, str, float]]:
    """Rows of a tab- or comma-separated table: (scan or infant, session or "", weeks). Rows without an age are left
    out. Raises InputRefused."""
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise InputRefused(f"{path} cannot be read as a table of ages ({error}). Give a TSV or CSV file.") from error
    reader = csv.DictReader(lines, delimiter="\t" if lines and "\t" in lines[0] else ",")
    columns = reader.fieldnames or []
    scan, age, session = (_first(names, columns) for names in (SCAN_COLUMNS, AGE_COLUMNS, SESSION_COLUMNS))
    if scan is None or age is None:
        raise InputRefused(
            f"{path.name} has the columns {', '.join(columns) or 'none'}. Needed are one of {', '.join(SCAN_COLUMNS)} "
            f"and one of {', '.join(AGE_COLUMNS)} (postmenstrual weeks at the scan)."
        )
    rows = []
    for row in reader:
        text = (row[age] or "").strip()
        weeks = _number(text)
        if weeks is None and text.lower() not in ("", "n/a", "na", "nan"):
            raise InputRefused(f"{path.name}: the {age} of {row[scan]} is {text!r}, but weeks are needed.")
        if weeks is not None:
            rows.append((row[scan].strip(), (row[session] or "").strip() if session else "", weeks))
    return rows


def age_in(rows: list[tuple[str, str, float]], name: str, table: str) -> float | None:
    """The age of the scan of this name; None when the table has none. Raises InputRefused when several fit."""
    fitting = {weeks for scan, session, weeks in rows if _fits(scan, session, name)}
    if len(fitting) > 1:
        raise InputRefused(
            f"{table} has several ages for {name}: {', '.join(f'{weeks:g}' for weeks in sorted(fitting))}. "
            "Name the session in a column session_id, or each file in a column scan."
        )
    return fitting.pop() if fitting else None


def read_input(path: Path) -> "tuple[Volume, bool]":
    """A scan, and whether it is an image that has to be segmented first. Raises InputRefused."""
    from neurogen.brain_age.label_check import is_image
    from neurogen.volumes import load_volume, load_whole_numbers

    volume = load_whole_numbers(path)
    if volume is None or is_image(volume.array):
        return load_volume(path), True
    return volume, False


def _of_folder(folder: Path) -> list[Path]:
    files = sorted(file for file in folder.iterdir() if file.name.lower().endswith(ENDINGS) and file.is_file())
    maps = [file for file in files if "dseg" in file.name.lower()]
    images = [file for file in files if file not in maps and not any(word in file.name.lower() for word in _NOT_SCANS)]
    if maps:
        mapped = {_infant(file.name) for file in maps}
        images = [file for file in images if "t2w" in file.name.lower() and _infant(file.name) not in {"", *mapped}]
    if not maps and not images:
        raise InputRefused(
            f"{folder} holds no label map and no scan ({', '.join(ENDINGS)}). Give the files, or their folder."
        )
    return sorted([*maps, *images])


def _table_beside(inputs: list[Path]) -> Path | None:
    tables = [folder / name for folder in inputs if folder.is_dir() for name in AGE_TABLES]
    present = [table for table in tables if table.is_file()]
    for table in present:
        if _first(AGE_COLUMNS, table.read_text(encoding="utf-8-sig").splitlines()[:1][0].split("\t")):
            return table
    return None


def _infant(name: str) -> str:
    """`sub-1_ses-2` of `sub-1_ses-2_desc-drawem87_dseg.nii.gz`; "" where there is no `sub-`."""
    found = re.match(r"sub-[^_.]+(_ses-[^_.]+)?", name)
    return found.group(0) if found else ""


def _fits(scan: str, session: str, name: str) -> bool:
    if scan_name(Path(scan)) == name:
        return True
    parts = re.split(r"[_.]", name)
    infant = scan.removeprefix("sub-") in {part.removeprefix("sub-") for part in parts if part.startswith("sub-")}
    return infant and (not session or f"ses-{session.removeprefix('ses-')}" in parts)


def _first(wanted: tuple[str, ...], present: list[str]) -> str | None:
    return next((name for name in wanted if name in present), None)


def _number(text: str | None) -> float | None:
    try:
        return float(text) if text else None
    except ValueError:
        return None
