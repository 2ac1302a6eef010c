"""Unpacking a model from a folder or a .zip file that nobody vouches for: no path outside, no bomb, no links."""

import shutil
import zipfile
from pathlib import Path, PurePosixPath

from neurogen.errors import ModelUnavailable
from neurogen.manifest import MANIFEST

_CHUNK = 2**20


def unpack(source: Path, work: Path, *, max_bytes: int) -> Path:
    """Copy the one model in `source` (a folder or a .zip file) into a new folder below `work` and return that.

    Only files that lie directly beside the manifest are taken. Raises ModelUnavailable when `source` is neither,
    holds no model or more than one, names a path outside itself, or unpacks to more than `max_bytes`.
    """
    target = work / "model"
    target.mkdir()
    if source.is_dir():
        _copy_folder(source, target, max_bytes)
    elif zipfile.is_zipfile(source):
        _copy_zip(source, target, max_bytes)
    else:
        found = "is not a .zip file" if source.exists() else "does not exist"
        raise ModelUnavailable(f"{source} {found}. A model comes as a .zip file or as a folder with {MANIFEST}.")
    return target


def _copy_folder(source: Path, target: Path, max_bytes: int) -> None:
    files = [path for path in sorted(source.iterdir()) if path.is_file() and not path.is_symlink()]
    _refuse_size(source, sum(path.stat().st_size for path in files), max_bytes)
    for path in files:
        if _wanted(path.name):
            shutil.copyfile(path, target / path.name)


def _copy_zip(source: Path, target: Path, max_bytes: int) -> None:
    try:
        with zipfile.ZipFile(source) as archive:
            entries = [entry for entry in archive.infolist() if not entry.is_dir()]
            root = _model_root(source, entries)
            _refuse_size(source, sum(entry.file_size for entry in entries), max_bytes)
            for entry in entries:
                path = PurePosixPath(entry.filename)
                if path.parent == root and _wanted(path.name):
                    _extract(archive, entry, target / path.name)
    except (zipfile.BadZipFile, EOFError, NotImplementedError, RuntimeError) as error:
        raise ModelUnavailable(f"{source} cannot be unpacked ({error}). Fetch the file again.") from error


def _extract(archive: zipfile.ZipFile, entry: zipfile.ZipInfo, path: Path) -> None:
    """Write one entry, and never more bytes than its header claims: a lying header is a bomb."""
    left = entry.file_size
    with archive.open(entry) as packed, path.open("wb") as out:
        while chunk := packed.read(min(_CHUNK, left + 1)):
            left -= len(chunk)
            if left < 0:
                raise ModelUnavailable(f"{entry.filename} unpacks to more than its archive says. The file is foreign.")
            out.write(chunk)


def _model_root(source: Path, entries: list[zipfile.ZipInfo]) -> PurePosixPath:
    for entry in entries:
        path = PurePosixPath(entry.filename.replace("\\", "/"))
        if path.is_absolute() or ".." in path.parts or ":" in path.parts[0]:
            raise ModelUnavailable(f"{source} names a path outside itself ({entry.filename}). It is not a model.")
    roots = {PurePosixPath(e.filename).parent for e in entries if PurePosixPath(e.filename).name == MANIFEST}
    if len(roots) != 1:
        raise ModelUnavailable(f"{source} holds {len(roots)} models, but one {MANIFEST} is needed.")
    return roots.pop()


def _refuse_size(source: Path, size: int, max_bytes: int) -> None:
    if size > max_bytes:
        raise ModelUnavailable(
            f"{source} unpacks to {size / 2**20:.0f} MiB, but a model has {max_bytes / 2**20:.0f} MiB at most."
        )


def _wanted(name: str) -> bool:
    return name in (MANIFEST, "README.md") or name.endswith((".safetensors", ".json"))
