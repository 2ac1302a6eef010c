"""A child process with all that it starts: begun in a group of its own, ended as a whole.

POSIX: a new session, so that one signal reaches every descendant that stays in it. Windows: `taskkill /T` walks the
tree; there is no gentle way, as a process without a console hears no Ctrl+Break.
"""

import os
import signal
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

_WINDOWS = os.name == "nt"


def start_tree(
    command: Sequence[str],
    environment: Mapping[str, str],
    *,
    folder: str | Path | None = None,
    encoding: str | None = None,
) -> subprocess.Popen:
    """Start `command` with its output piped and no input, in `folder` (None: where we are).

    The output comes as bytes, or as text where its encoding is given. Raises OSError when it cannot be started.
    """
    options = {"creationflags": _windows_flags()} if _WINDOWS else {"start_new_session": True}
    return subprocess.Popen(
        list(command),
        cwd=folder,
        env=dict(environment),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        encoding=encoding,
        errors="replace" if encoding else None,
        **options,
    )


def terminate_tree(process: subprocess.Popen) -> None:
    """Ask the whole tree to stop; on Windows, stop it."""
    if _WINDOWS:
        kill_tree(process)
    else:
        _signal_group(process, signal.SIGTERM)


def kill_tree(process: subprocess.Popen) -> None:
    """Stop the whole tree; it cannot refuse."""
    if not _WINDOWS:
        _signal_group(process, signal.SIGKILL)
        return
    subprocess.run(
        ["taskkill", "/F", "/T", "/PID", str(process.pid)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        creationflags=_windows_flags(),
        check=False,  # it fails when the tree has just ended by itself
    )


def is_tree_alive(process: subprocess.Popen) -> bool:
    """Whether the process or, on POSIX, any other of its group is still there."""
    if process.poll() is None:
        return True
    return not _WINDOWS and _signal_group(process, 0)


def _signal_group(process: subprocess.Popen, number: int) -> bool:
    """Whether there was anyone to signal."""
    try:
        os.killpg(process.pid, number)
    except ProcessLookupError:
        return False
    except PermissionError:  # macOS: none but ended processes are left in the group
        return False
    return True


def _windows_flags() -> int:
    return subprocess.CREATE_NEW_PROCESS_GROUP | subprocess.CREATE_NO_WINDOW if _WINDOWS else 0
