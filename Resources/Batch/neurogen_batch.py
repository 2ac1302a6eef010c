"""NeuroGen on many scans without a window, in Slicer or in any Python that has NeuroGen's libraries.

    Slicer --no-splash --no-main-window --python-script neurogen_batch.py -- detect --input DIR --output DIR
    python neurogen_batch.py detect --input DIR --output DIR

`--help` after the command lists its options; Docs/batch.md explains them. It always ends, with the exit codes of
`neurogen`: 0 done, 2 wrong usage, 3 input refused, 4 model missing, 6 some scans failed, 130 cancelled, 1 a defect.
"""

import sys
import traceback
from pathlib import Path

# In the source tree and in an installed extension, `neurogen` lies two folders above this script.
sys.path.insert(0, str(Path(__file__).resolve().parents[2]))


def main(words: list[str]) -> int:
    """Run `neurogen batch` with these words and return its exit code, whatever happens."""
    if words[:1] == ["--"]:  # what follows belongs to this script, not to Slicer
        words = words[1:]
    try:
        from neurogen.cli import main as neurogen

        return neurogen(["batch", *words, *_python_of_slicer(words)])
    except SystemExit as end:  # of --help and of wrong words
        return end.code if isinstance(end.code, int) else int(end.code is not None)
    except BaseException:  # Slicer would print it and wait for ever
        traceback.print_exc()
        return 1


def in_slicer() -> bool:
    """Whether the desktop application runs this; the package slicer-core alone has no application."""
    return hasattr(sys.modules.get("slicer"), "app")


def leave(exit_code: int) -> None:
    """End this process. Slicer does not end by itself when a script does."""
    if in_slicer():
        import slicer

        slicer.util.exit(exit_code)
    else:
        sys.exit(exit_code)


def _python_of_slicer(words: list[str]) -> list[str]:
    """In Slicer, scans are run by Slicer's Python: the application itself is no interpreter."""
    if not in_slicer() or not words or words[0].startswith("-"):
        return []
    from NeuroGenLib.paths import pythonExecutable

    return ["--python", pythonExecutable()]


if __name__ == "__main__":
    leave(main(sys.argv[1:]))
