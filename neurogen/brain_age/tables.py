"""Feature tables: one row a scan, columns `rv_NN` and `svr_NN`, checked by what the columns hold."""

import csv
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from neurogen.brain_age.regions import FEATURE_NAMES, LABELS
from neurogen.errors import InputRefused

_SUM_TOLERANCE = 1e-3


@dataclass(frozen=True, eq=False)
class FeatureTable:
    """N scans. Ages in postmenstrual weeks; NaN where the table has none."""

    subject: tuple[str, ...]
    session: tuple[str, ...]
    sex: tuple[str, ...]  # "Male", "Female" or ""
    birth_weeks: np.ndarray  # (N,)
    age_weeks: np.ndarray  # (N,) at the scan
    features: np.ndarray  # (N, 172), the order of FEATURE_NAMES

    def __len__(self) -> int:
        return len(self.subject)

    def take(self, chosen: np.ndarray) -> "FeatureTable":
        """Some of the scans: indices or a mask (N,)."""
        rows = np.arange(len(self))[chosen]
        texts = [tuple(column[k] for k in rows) for column in (self.subject, self.session, self.sex)]
        return FeatureTable(*texts, self.birth_weeks[rows], self.age_weeks[rows], self.features[rows])


def join(*tables: FeatureTable) -> FeatureTable:
    """The scans of all, in this order."""
    texts = [sum((getattr(t, name) for t in tables), ()) for name in ("subject", "session", "sex")]
    arrays = [np.concatenate([getattr(t, name) for t in tables]) for name in ("birth_weeks", "age_weeks", "features")]
    return FeatureTable(*texts, *arrays)


def load_table(path: str | Path) -> FeatureTable:
    """Read a CSV with at least `subject`, `scan_age_weeks` and the 172 features. Raises InputRefused."""
    path = Path(path)
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            reader = csv.DictReader(file)
            columns, rows = reader.fieldnames or [], list(reader)
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise InputRefused(f"{path} cannot be read as a CSV table ({error}). Give a feature table.") from error
    missing = [name for name in ("subject", "scan_age_weeks", *FEATURE_NAMES) if name not in columns]
    if missing or not rows:
        lacks = f"lacks {len(missing)} columns ({', '.join(missing[:4])} ...)" if missing else "has no row"
        raise InputRefused(f"{path.name} {lacks}. Needed: subject, scan_age_weeks, rv_01 ... svr_87, a row a scan.")
    features = np.array([[_number(row, name, path) for name in FEATURE_NAMES] for row in rows])
    check_features(features, path.name)
    texts = [tuple(row.get(name) or "" for row in rows) for name in ("subject", "session", "sex")]
    ages = [np.array([_number(row, name, path) if row.get(name) else np.nan for row in rows])
            for name in ("birth_age_weeks", "scan_age_weeks")]  # fmt: skip
    return FeatureTable(*texts, *ages, features)


def check_features(features: np.ndarray, name: str) -> None:
    """Raise InputRefused unless every row's RV are shares that sum to 1 and its SVR lie in (0, 1]."""
    count = len(LABELS)
    volumes, surfaces = features[:, :count], features[:, count:]
    if _sums_to_one(surfaces).all() and not _sums_to_one(volumes).any():
        raise InputRefused(
            f"The columns rv_NN and svr_NN of {name} are swapped: the svr columns of each row sum to 1, as relational "
            "volumes do. Exchange the two names (the published tables have them swapped)."
        )
    bad = np.flatnonzero(~_sums_to_one(volumes) | ~np.isfinite(features).all(axis=1))
    if len(bad):
        raise InputRefused(
            f"Row {bad[0] + 1} of {name} has relational volumes that sum to {volumes[bad[0]].sum():.4g}, but they must "
            "sum to 1 over the 86 regions (cerebrospinal fluid and label 85 included, 84 left out). Measure it again."
        )
    odd = np.flatnonzero((surfaces <= 0).any(axis=1) | (surfaces > 1).any(axis=1))
    if len(odd):
        raise InputRefused(
            f"Row {odd[0] + 1} of {name} has a surface-to-volume ratio outside (0, 1]. Measure it again."
        )


def _sums_to_one(shares: np.ndarray) -> np.ndarray:
    return (np.abs(shares.sum(axis=1) - 1) < _SUM_TOLERANCE) & (shares > 0).all(axis=1)


def _number(row: dict[str, str], name: str, path: Path) -> float:
    try:
        return float(row[name])
    except (TypeError, ValueError) as error:
        raise InputRefused(f"{path.name}: {name} of subject {row['subject']} is {row[name]!r}, no number.") from error
