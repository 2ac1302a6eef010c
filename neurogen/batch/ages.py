"""Ages at the scan from the tables of a BIDS data set, for `brain-age`."""

import csv
from pathlib import Path

from neurogen.commands.age_inputs import AGE_COLUMNS
from neurogen.errors import UsageError


class AgeTables:
    """`sub-*/sub-*_sessions.tsv`, which knows each scan's age, before `participants.tsv`, which knows each infant's.

    Weeks stand in a column of AGE_COLUMNS; BIDS' own `age` is in years and never taken for weeks.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._participants = _read(folder / "participants.tsv")

    def age_of(self, subject: str, session: str | None = None) -> float | None:
        """Postmenstrual weeks at the scan of `sub-x` (in `ses-y`); None where no table tells."""
        sessions = _read(self._folder / subject / f"{subject}_sessions.tsv")
        rows = [row for row in sessions if _same(row.get("session_id"), session, "ses-")]
        rows += [row for row in self._participants if _is_of(row, subject, session)]
        ages = [_weeks(row[column], subject) for row in rows for column in AGE_COLUMNS if row.get(column)]
        return next((age for age in ages if age is not None), None)


def _weeks(text: str, subject: str) -> float | None:
    if text.strip().lower() in ("n/a", "na", "nan", ""):
        return None
    try:
        return float(text)
    except ValueError as error:
        raise UsageError(f"The age of {subject} is {text!r} in the tables of the data set; give weeks.") from error


def _is_of(row: dict[str, str], subject: str, session: str | None) -> bool:
    """Whether a line of participants.tsv is about this scan; a line without a session is about all of them."""
    return _same(row.get("participant_id"), subject, "sub-") and (
        not row.get("session_id") or _same(row["session_id"], session, "ses-")
    )


def _same(written: str | None, entity: str | None, prefix: str) -> bool:
    """BIDS writes `sub-01`; the dHCP leaves the prefix out."""
    return bool(written and entity) and written.removeprefix(prefix) == entity.removeprefix(prefix)


def _read(path: Path) -> list[dict[str, str]]:
    if not path.is_file():
        return []
    with path.open(newline="", encoding="utf-8-sig") as stream:
        return list(csv.DictReader(stream, delimiter="\t"))
