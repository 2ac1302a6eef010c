"""One scan in a process of its own: what crashes or runs out of memory there takes no other scan with it."""

import json
import os
import signal
import time
from collections import deque
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from queue import SimpleQueue
from subprocess import TimeoutExpired
from threading import Thread
from typing import IO

import neurogen
from neurogen.errors import NeuroGenError, OutOfMemory
from neurogen.process_tree import kill_tree, start_tree, terminate_tree

STDERR_LINES = 40
SECONDS_FOR_THE_REST = 5.0  # of the output of a process that has ended
_KILLED = "The system ended the process, most often because memory ran out. Try fewer --jobs or --batch-size 4."


class Child:
    """`python -m neurogen <words> --json-progress`, with its progress and its end put into `news` as they come."""

    def __init__(self, python: str, words: Sequence[str], news: SimpleQueue) -> None:
        self._started = time.monotonic()
        self._error = ""
        self._tail: deque[str] = deque(maxlen=STDERR_LINES)
        command = [python, "-m", "neurogen", *words, "--json-progress"]
        self.process = start_tree(command, _environment(), encoding="utf-8")
        self._readers = [
            Thread(target=self._read_events, args=(self.process.stdout, news), daemon=True),
            Thread(target=self._tail.extend, args=(self.process.stderr,), daemon=True),
        ]
        for reader in self._readers:
            reader.start()

    @property
    def seconds(self) -> float:
        return time.monotonic() - self._started

    def running(self) -> bool:
        return self.process.poll() is None

    def outcome(self) -> tuple[int, str]:
        """Exit code and sentence of the process that has ended."""
        for reader in self._readers:
            reader.join(SECONDS_FOR_THE_REST)
        code = self.process.returncode
        if code < 0:
            return OutOfMemory.exit_code if code == -signal.SIGKILL else NeuroGenError.exit_code, self._signal_words(
                -code
            )
        return code, self._error or (self._last_line() if code else "")

    def ask_to_stop(self) -> None:
        """Let the process and all that it started clean up and end."""
        terminate_tree(self.process)

    def stop(self, patience: float) -> None:
        """Wait until the process has ended, after `patience` seconds by force; then end what it left running."""
        with suppress(TimeoutExpired):
            self.process.wait(max(patience, 0.0))
        kill_tree(self.process)
        self.process.wait()

    def _read_events(self, stream: IO[str], news: SimpleQueue) -> None:
        for line in stream:
            try:
                event = json.loads(line)
            except ValueError:
                self._tail.append(line)
                continue
            if "fraction" in event:
                news.put((self, event["stage"], event["fraction"]))
            self._error = event.get("error", self._error)

    def _last_line(self) -> str:
        lines = [line.strip() for line in self._tail if line.strip()]
        return lines[-1] if lines else f"The process ended with exit code {self.process.returncode} and said nothing."

    def _signal_words(self, number: int) -> str:
        if number == signal.SIGKILL:
            return _KILLED
        return f"The process crashed ({signal.Signals(number).name}). {self._last_line()}"


def _environment() -> dict[str, str]:
    """Ours, with this very `neurogen` on the path of the child."""
    paths = [str(Path(neurogen.__file__).resolve().parents[1]), *filter(None, [os.environ.get("PYTHONPATH")])]
    return {**os.environ, "PYTHONPATH": os.pathsep.join(paths), "PYTHONIOENCODING": "utf-8", "PYTHONUNBUFFERED": "1"}
