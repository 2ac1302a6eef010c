"""Names of files that every file system takes."""

import re


def safeName(name: str) -> str:
    """Letters, digits, `-`, `_` and `.`; `scan` where nothing of them is left."""
    return re.sub(r"[^A-Za-z0-9._-]+", "_", name).strip("._") or "scan"
