"""One folder of results a scan: checked before the work, filled out of sight, and there at once when it is whole.

The work goes to the hidden `.<name>.part` beside the final folder, which is renamed at the end. Whatever stops the
process in between, nothing that looks finished is left; the next run clears the remains.
"""

import errno
import json
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

from neurogen.errors import InputRefused, UsageError

if TYPE_CHECKING:
    from neurogen.volumes import Volume

LEAST_FREE_BYTES = 64 * 2**20
_LOCK = ".lock"
_BUSY = (errno.EACCES, errno.EAGAIN, errno.EDEADLK)
_NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_NOT_WRITABLE = (errno.EROFS, errno.EACCES, errno.EPERM)


def check_destination(folder: Path, record: str, *, overwrite: bool, needed_bytes: int = LEAST_FREE_BYTES) -> None:
    """Refuse, before any work, a folder that cannot take the results.

    `record` is the file that marks finished results (`detect.json`): with `overwrite`, only a folder that holds it is
    replaced, so that nobody loses a folder of their own by a wrong path.
    Raises UsageError (a file is in the way, or the folder is in use) and InputRefused (not writable, no space).
    """
    if folder.exists() and not folder.is_dir():
        raise UsageError(f"{folder} is a file, but --out needs a folder. Choose another path.")
    if folder.is_dir() and any(folder.iterdir()):
        _check_replaceable(folder, record, overwrite=overwrite)
    parent = _existing_parent(folder)
    if not os.access(parent, os.W_OK | os.X_OK):
        raise InputRefused(f"Results cannot be written to {folder}: {parent} is read-only. Choose another --out.")
    free = shutil.disk_usage(parent).free
    if free < needed_bytes:
        raise InputRefused(
            f"Results need about {_mib(needed_bytes)} MiB, but the disk of {parent} has {_mib(free)} MiB left. "
            "Make room or choose another --out."
        )


@contextmanager
def result_folder(folder: Path) -> Iterator[Path]:
    """A hidden folder to fill; on leaving without an error it becomes `folder`, replacing what was there.

    On any error the hidden folder is removed. Raises UsageError when another process is filling it, InputRefused when
    the disk is full or read-only.
    """
    folder = folder.absolute()
    part, old = folder.with_name(f".{folder.name}.part"), folder.with_name(f".{folder.name}.old.part")
    with _disk_errors(folder), _parents_of(folder):
        lock = _claim(part, folder)
        try:
            _finish_interrupted_swap(folder, old)
            yield part
            _release(lock, part)
            _swap(part, folder, old)
        finally:
            lock.close()
            shutil.rmtree(part, ignore_errors=True)


def discard_part(folder: Path) -> None:
    """Remove the hidden folder that a process left which was killed while it filled `folder`."""
    shutil.rmtree(folder.with_name(f".{folder.name}.part"), ignore_errors=True)


def write_json(path: Path, content: Mapping[str, Any]) -> None:
    """Indented JSON; arrays and paths become lists and text, NaN becomes null."""
    path.write_text(json.dumps(plain(content), indent=2, ensure_ascii=False, allow_nan=False) + "\n", encoding="utf-8")


def file_of(volume: "Volume") -> dict[str, Any]:
    """How a record names the file a volume came from."""
    return {"file": volume.facts.get("name", ""), "sha256": volume.facts.get("sha256", "")}


def input_of(volume: "Volume") -> dict[str, Any]:
    """How a record describes the scan or label map that a job was given."""
    return {
        **file_of(volume),
        "shape": volume.shape,
        "spacing_mm": volume.spacing_mm,
        "affine": volume.affine,
        "facts": volume.facts,
    }


def plain(value: Any) -> Any:
    """The same value in JSON's own types."""
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [plain(item) for item in value]
    if hasattr(value, "tolist"):
        return plain(value.tolist())
    if isinstance(value, float):
        return value if abs(value) < float("inf") else None
    return value if value is None or isinstance(value, bool | int | str) else str(value)


def _check_replaceable(folder: Path, record: str, *, overwrite: bool) -> None:
    if not overwrite:
        raise UsageError(f"{folder} is not empty. Choose another --out, or replace earlier results by --overwrite.")
    if not (folder / record).is_file():
        raise UsageError(
            f"{folder} holds files but no {record}, so they are not results of NeuroGen and are not overwritten. "
            "Choose another --out."
        )
    if not os.access(folder, os.W_OK | os.X_OK):
        raise InputRefused(f"The earlier results in {folder} are read-only and cannot be replaced.")


def _existing_parent(folder: Path) -> Path:
    parent = folder.absolute().parent
    while not parent.exists():
        parent = parent.parent
    if not parent.is_dir():
        raise UsageError(f"{folder} lies inside {parent}, which is a file. Choose another --out.")
    return parent


@contextmanager
def _disk_errors(folder: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if error.errno in _NO_ROOM:
            raise InputRefused(f"The disk of {folder} is full; nothing was kept. Make room and run again.") from error
        if error.errno in _NOT_WRITABLE:
            raise InputRefused(f"Results cannot be written to {folder} ({error.strerror}); choose another.") from error
        raise


@contextmanager
def _parents_of(folder: Path) -> Iterator[None]:
    """Make the folders above; on an error remove those that were made and are still empty."""
    made = [parent for parent in folder.parents if not parent.exists()]
    folder.parent.mkdir(parents=True, exist_ok=True)
    try:
        yield
    except BaseException:
        for parent in made:
            if not any(parent.iterdir()):
                parent.rmdir()
        raise


def _claim(part: Path, folder: Path) -> TextIO:
    """Make `part` empty and ours until the returned file is closed (the system closes it even for a killed process)."""
    part.mkdir(exist_ok=True)
    lock = (part / _LOCK).open("w")
    if not _lock(lock):
        lock.close()
        raise UsageError(f"Another NeuroGen is writing to {folder}. Wait for it or choose another --out.")
    for remains in part.iterdir():
        if remains.is_dir():
            shutil.rmtree(remains)
        elif remains.name != _LOCK:
            remains.unlink()
    return lock


def _lock(file: TextIO) -> bool:
    """Whether this process now holds the file; file systems without locks let everybody through."""
    try:
        if os.name == "nt":
            import msvcrt

            msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
        else:
            import fcntl

            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        return error.errno not in _BUSY
    return True


def _release(lock: TextIO, part: Path) -> None:
    lock.close()
    (part / _LOCK).unlink()


def _swap(part: Path, folder: Path, old: Path) -> None:
    if folder.exists():
        os.replace(folder, old)
    os.replace(part, folder)
    shutil.rmtree(old, ignore_errors=True)


def _finish_interrupted_swap(folder: Path, old: Path) -> None:
    """A process killed between the two renames left the earlier results under their hidden name: put them back."""
    if old.exists() and not folder.exists():
        os.replace(old, folder)
    shutil.rmtree(old, ignore_errors=True)


def _mib(size: int) -> int:
    return size // 2**20
