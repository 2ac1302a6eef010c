"""`neurogen benchmark choices MODEL`: what was tried when a model was made, and how well each found planted lesions.

average precision: over the brain cells of calibration scans with planted lesions, seen by the choice alone; it is what
the choice was made by, and so a little favorable.
"""

from collections.abc import Sequence
from pathlib import Path

from neurogen.errors import ModelUnavailable, UsageError
from neurogen.evaluation.provenance import provenance
from neurogen.evaluation.tables import Table
from neurogen.models import ModelStore
from neurogen.progress import Progress, silent

TRIED = "average_precision_of_planted_lesions"
COLUMN = "average precision"


def run(
    model: Path | str,
    *,
    methods: Sequence[str] | None = None,
    json_path: Path | str | None = None,
    seed: int = 0,
    device: str = "auto",
    progress: Progress = silent,
    store: ModelStore | None = None,
) -> Table:
    """The choices in the manifest of a model, given by id or folder.

    methods : contrasts; None = all. seed, device : part of every benchmark's signature; nothing is drawn or computed.
    Raises ModelUnavailable for a model without such choices, UsageError for a contrast that it does not have.
    """
    found = (store or ModelStore()).get(str(model))
    tried = {name: entry[TRIED] for name, entry in found.manifest["calibration"].items() if entry.get(TRIED)}
    if not tried:
        raise ModelUnavailable(f"The manifest of {found.id!r} tells nothing of choices. Choose a detector.")
    unknown = sorted(set(methods or ()) - set(tried))
    if unknown:
        raise UsageError(f"{found.id!r} has no choices for {', '.join(unknown)}. Choose from {', '.join(tried)}.")
    rows = {f"{c}: {what}": {COLUMN: value} for c in methods or tried for what, value in tried[c].items()}
    facts = {
        "benchmark": "choices",
        "data": {"model": found.id, "version": found.manifest["version"]},
        **provenance(()),
        "models": {found.id: {found.id: found.sha256}},
    }
    table = Table(rows, (COLUMN,), {}, (), facts)
    if json_path is not None:
        table.write_json(Path(json_path))
    progress("choices", 1.0)
    return table
