"""What the threads that read a child's output hand to the thread that polls: never blocks either side."""

import json
import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import IO, Any

LONGEST_LINE = 64 * 1024  # bytes; a longer one is read in pieces
KEPT_LINES = 2000  # of the log between two polls
TAIL_LINES = 60  # of the log that an outcome carries


@dataclass(frozen=True)
class Mail:
    """What came since the last time: the latest progress, other JSON objects and lines of the log, in order."""

    progress: tuple[str, float] | None = None
    events: tuple[dict[str, Any], ...] = ()
    lines: tuple[str, ...] = ()


@dataclass
class Mailbox:
    """Sorts lines into progress, events and log. Of progress, the latest counts."""

    tail: deque[str] = field(default_factory=lambda: deque(maxlen=TAIL_LINES))
    _progress: tuple[str, float] | None = None
    _events: list[dict[str, Any]] = field(default_factory=list)
    _lines: deque[str] = field(default_factory=lambda: deque(maxlen=KEPT_LINES))
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def take(self) -> Mail:
        """Everything since the last call."""
        with self._lock:
            mail = Mail(self._progress, tuple(self._events), tuple(self._lines))
            self._progress = None
            self._events.clear()
            self._lines.clear()
        return mail

    def putOutput(self, line: str) -> None:
        """A line of standard output: JSON, or a library that prints."""
        content = _jsonObject(line)
        if content is None:
            self.putLog(line)
            return
        with self._lock:
            if _isProgress(content):
                self._progress = (content["stage"], min(max(float(content["fraction"]), 0.0), 1.0))
            else:
                self._events.append(content)

    def putLog(self, line: str) -> None:
        """A line for the log."""
        with self._lock:
            self._lines.append(line)
            self.tail.append(line)


def readLines(stream: IO[bytes], put: Callable[[str], None]) -> threading.Thread:
    """Start a thread that gives every line of `stream` to `put` until its end."""
    thread = threading.Thread(target=_read, args=(stream, put), daemon=True)
    thread.start()
    return thread


def _read(stream: IO[bytes], put: Callable[[str], None]) -> None:
    with stream:
        while line := stream.readline(LONGEST_LINE):
            text = line.decode("utf-8", errors="replace").rstrip("\r\n")
            if text.strip():
                put(text)


def _jsonObject(line: str) -> dict[str, Any] | None:
    try:
        content = json.loads(line)
    except ValueError:
        return None
    return content if isinstance(content, dict) else None


def _isProgress(content: dict[str, Any]) -> bool:
    return isinstance(content.get("stage"), str) and isinstance(content.get("fraction"), int | float)
