"""What made a result: the version and the commit of the code, and which files of which models."""

import subprocess
from collections.abc import Sequence
from pathlib import Path

import neurogen
from neurogen.evaluation.model_methods import Ensemble, ModelMethod, ReflectPublished


def provenance(methods: Sequence[object]) -> dict[str, object]:
    """For the JSON of a benchmark."""
    return {"version": neurogen.__version__, "commit": commit(), "models": {m.name: _models(m) for m in methods}}


def commit(folder: Path | None = None) -> str | None:
    """The commit of the source tree that this code runs from, + behind it where the code was changed since; None where
    there is no such tree."""
    folder = folder or Path(neurogen.__file__).resolve().parent
    try:
        _git(folder, "ls-files", "--error-unmatch", "__init__.py")  # else the commit is that of something around it
        head = _git(folder, "rev-parse", "--short=10", "HEAD")
        return head + ("+" if _git(folder, "status", "--porcelain", "--", ".") else "")
    except (OSError, subprocess.CalledProcessError):
        return None


def _git(folder: Path, *arguments: str) -> str:
    done = subprocess.run(["git", *arguments], cwd=folder, capture_output=True, text=True, check=True)
    return done.stdout.strip()


def _models(method: object) -> dict[str, str]:
    """Id -> SHA-256 of the weights of every model that takes part."""
    if isinstance(method, Ensemble):
        return {k: v for member in method.members for k, v in _models(member).items()}
    if isinstance(method, (ModelMethod, ReflectPublished)):
        return {method.model.id: method.model.sha256}
    return {}
