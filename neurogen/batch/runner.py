"""Runs the scans of a batch in child processes, at most so many at once, and ends them all when it is stopped."""

import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from queue import Empty, SimpleQueue

from neurogen.batch.child import Child
from neurogen.batch.jobs import Scan
from neurogen.errors import ModelUnavailable
from neurogen.progress import Progress

SECONDS_BETWEEN_LOOKS = 0.1
PATIENCE_SECONDS = 4.0  # from the request to stop until force is used


@dataclass(frozen=True)
class Ended:
    """How the process of one scan ended."""

    scan: Scan
    exit_code: int
    message: str
    seconds: float


def run_scans(
    scans: Sequence[Scan],
    words_of: Callable[[Scan], Sequence[str]],
    *,
    python: str,
    jobs: int,
    progress: Progress,
    ended: Callable[[Ended], None],
) -> None:
    """Run every scan; `ended` is told of each. After a missing model no further scan is begun: it would fail as well.

    Whatever is raised here, in `progress` or in `ended` (Cancelled above all) ends all children first.
    """
    waiting, running, news = deque(scans), {}, SimpleQueue()
    shares = dict.fromkeys(scans, 0.0)
    try:
        while waiting or running:
            while waiting and len(running) < jobs:
                scan = waiting.popleft()
                running[Child(python, words_of(scan), news)] = scan
            _tell_progress(news, running, shares, progress, name_scans=jobs == 1)
            for child in [child for child in running if not child.running()]:
                scan = running.pop(child)
                shares[scan] = 1.0
                code, message = child.outcome()
                ended(Ended(scan, code, message, child.seconds))
                if code == ModelUnavailable.exit_code:
                    waiting.clear()
    finally:
        _stop(list(running))


def _tell_progress(
    news: SimpleQueue, running: dict[Child, Scan], shares: dict[Scan, float], progress: Progress, *, name_scans: bool
) -> None:
    """Pass on one piece of news, or wait a moment for it. Scans that run at once are counted, not named in turn."""
    try:
        child, stage, fraction = news.get(timeout=SECONDS_BETWEEN_LOOKS)
    except Empty:
        return
    if child not in running:
        return
    scan = running[child]
    shares[scan] = max(fraction, shares[scan])
    ended = sum(share == 1.0 for share in shares.values())
    words = f"{ended} of {len(shares)}" + (f"; {scan.name}: {stage}" if name_scans else " scans")
    progress(words, sum(shares.values()) / len(shares))


def _stop(children: list[Child]) -> None:
    """Ask all at once, then wait for all within the same patience."""
    for child in children:
        child.ask_to_stop()
    deadline = time.monotonic() + PATIENCE_SECONDS
    for child in children:
        child.stop(deadline - time.monotonic())
