"""Ages at the scan from the tables of a BIDS data set, for `brain-age`."""

import csv
import logging
from pathlib import Path

# The dHCP's name first; BIDS gives `age` in years, which a newborn's postmenstrual age is told from by its range.
AGE_COLUMNS = ("scan_age", "pma_weeks", "age_weeks", "age")
WEEKS = (20.0, 60.0)


class AgeTables:
    """`sub-*/sub-*_sessions.tsv`, which knows each scan's age, before `participants.tsv`, which knows each infant's."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._participants = _read(folder / "participants.tsv")
        self._left_out: set[str] = set()

    def age_of(self, subject: str, session: str | None = None) -> float | None:
        """Postmenstrual weeks at the scan of `sub-x` (in `ses-y`); None where no table tells."""
        sessions = _read(self._folder / subject / f"{subject}_sessions.tsv")
        rows = [row for row in sessions if _same(row.get("session_id"), session, "ses-")]
        rows += [row for row in self._participants if _is_of(row, subject, session)]
        for row in rows:
            for column in AGE_COLUMNS:
                age = self._weeks(row.get(column), column)
                if age is not None:
                    return age
        return None

    def _weeks(self, text: str | None, column: str) -> float | None:
        try:
            number = float(text or "nan")
        except ValueError:
            return None
        if WEEKS[0] <= number <= WEEKS[1]:
            return number
        if number == number and column not in self._left_out:
            self._left_out.add(column)
            logging.warning(
                "The column %s holds %g, which is no postmenstrual age in weeks (%g-%g): such values are not used.",
                *(column, number, *WEEKS),
            )
        return None


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
