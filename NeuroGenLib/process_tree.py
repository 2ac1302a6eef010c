"""A child process with all that it starts: begun in a group of its own, ended as a whole.

POSIX: a new session, so that one signal reaches every descendant that stays in it. Windows: `taskkill /T` walks the
tree; there is no gentle way, as a process without a console hears no Ctrl+Break.
"""

import os
import signal
import subprocess
from collections.abc import Mapping, Sequence

_WINDOWS = os.name == "nt"


def startTree(command: Sequence[str], environment: Mapping[str, str], folder: str) -> subprocess.Popen:
    """Start `command` in `folder` with its output piped and no input. Raises OSError when it cannot be started."""
    options = {"creationflags": _windowsFlags()} if _WINDOWS else {"start_new_session": True}
    return subprocess.Popen(
        list(command),
        cwd=folder,
        env=dict(environment),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        **options,
    )


def terminateTree(process: subprocess.Popen) -> None:
    """Ask the whole tree to stop; on Windows, stop it."""
    if _WINDOWS:
        killTree(process)
    else:
        _signalGroup(process, signal.SIGTERM)


def killTree(process: subprocess.Popen) -> None:
    """Stop the whole tree; it cannot refuse."""
    if not _WINDOWS:
        _signalGroup(process, signal.SIGKILL)
        return
    subprocess.run(
        ["taskkill", "/F", "/T", "/PID", str(process.pid)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        creationflags=_windowsFlags(),
        check=False,  # it fails when the tree has just ended by itself
    )


def isTreeAlive(process: subprocess.Popen) -> bool:
    """Whether the process or, on POSIX, any other of its group is still there."""
    if process.poll() is None:
        return True
    return not _WINDOWS and _signalGroup(process, 0)


def _signalGroup(process: subprocess.Popen, number: int) -> bool:
    """Whether there was anyone to signal."""
    try:
        os.killpg(process.pid, number)
    except ProcessLookupError:
        return False
    except PermissionError:  # macOS: none but ended processes are left in the group
        return False
    return True


def _windowsFlags() -> int:
    return subprocess.CREATE_NEW_PROCESS_GROUP | subprocess.CREATE_NO_WINDOW if _WINDOWS else 0
