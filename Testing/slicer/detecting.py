"""What tests of the NeuroGenAD panel share: scans with planted lesions, the stand-in child, and a user's patience."""

import json
import os
import stat
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from builders import GEOMETRIES, phantom, world_of

BRIGHT, DARK = 3.0, -1.5  # intensities no tissue of the phantom has
BRIGHT_AT, DARK_AT = (-28.0, 20.0, 14.0), (30.0, -34.0, 22.0)  # RAS mm; no symmetry maps one to the other
BRIGHT_RADIUS, DARK_RADIUS = 12.0, 9.0


def writeScan(folder: Path, geometry: str = "ras", name: str = "scan") -> Path:
    """A head with a bright and a dark ball, on one of the builders' grids."""
    import nibabel

    shape, affine = GEOMETRIES[geometry]
    image, _ = phantom(shape, affine)
    voxels = image.array.copy()
    world = world_of(shape, affine)
    for center, radius, value in ((BRIGHT_AT, BRIGHT_RADIUS, BRIGHT), (DARK_AT, DARK_RADIUS, DARK)):
        voxels[((world - np.reshape(center, (3, 1, 1, 1))) ** 2).sum(0) < radius**2] = value
    path = folder / f"{name}.nii"
    nibabel.save(nibabel.Nifti1Image(voxels.astype(np.float32), affine), path)
    return path


class FakeChild:
    """The interpreter that jobs are started with; `plan(...)` says how the next ones behave."""

    def __init__(self, home: Path):
        self._folder = home / "bin"
        self._folder.mkdir(parents=True, exist_ok=True)
        self._plan = self._folder / "plan.json"
        script = self._folder / "PythonSlicer"
        fake = Path(__file__).with_name("fake_neurogen.py")
        script.write_text(f'#!/bin/sh\nexec "{sys.executable}" "{fake}" "{self._plan}" "$@"\n')
        script.chmod(script.stat().st_mode | stat.S_IXUSR)
        self.plan()

    def plan(self, **behavior: object) -> None:
        """seconds: how long it takes; exit, error: how it fails; stubborn: it ignores the request to stop;
        damaged: a result is no volume; warnings: sentences; brain: what is not marked deviates a little;
        demo: the scan that `neurogen demo` gives."""
        self._plan.write_text(json.dumps(behavior))

    def remove(self) -> None:
        for path in self._folder.iterdir():
            path.unlink()


def waitUntil(condition: Callable[[], object], seconds: float = 60.0) -> None:
    """Let the application live until the condition holds."""
    import slicer

    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not come to pass in time"
        slicer.app.processEvents()
        time.sleep(0.005)


def longestAnswer(condition: Callable[[], object], seconds: float = 60.0) -> float:
    """The longest time in seconds that the application did not answer until the condition held."""
    import slicer

    longest, end = 0.0, time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not come to pass in time"
        started = ownTime()
        slicer.app.processEvents()
        longest = max(longest, ownTime() - started)
        time.sleep(0.005)
    return longest


def ownTime() -> float:
    """A clock in seconds that stands still while this thread waits for a processor that other programs have.

    What it computes, and what it waits for by itself, counts: a panel that sleeps or reads a pipe is late on any
    machine. Linux tells the time in the queue; elsewhere other programs count as well.
    """
    queue = Path("/proc/thread-self/schedstat")
    waited = int(queue.read_text().split()[1]) if queue.is_file() else 0
    return time.monotonic() - waited * 1e-9


def applyAndWait(widget: object) -> None:
    """Click Apply and wait for the end of the job."""
    widget.ui.applyButton.click()
    assert widget.logic.isRunning, widget.ui.messageLabel.text
    waitUntil(lambda: not widget.logic.isRunning)
    waitUntil(lambda: not widget.ui.cancelButton.enabled)


def sceneNodes() -> set[str]:
    """The ids of all nodes that a user's work added."""
    import slicer

    scene = slicer.mrmlScene
    nodes = (scene.GetNthNode(index) for index in range(scene.GetNumberOfNodes()))
    return {node.GetID() for node in nodes if not node.GetSingletonTag()}


def children() -> set[int]:
    """Process ids of all living descendants of this process."""
    parents = {}
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            try:
                state, parent = (folder / "stat").read_text().rsplit(")", 1)[1].split()[:2]
            except OSError:  # it ended while we looked
                continue
            if state != "Z":
                parents[int(folder.name)] = int(parent)
    found, new = set(), {os.getpid()}
    while new:
        new = {pid for pid, parent in parents.items() if parent in new}
        found |= new
    return found


def workFolders() -> set[str]:
    """The folders that jobs have left in the temporary folder."""
    import tempfile

    return {path.name for path in Path(tempfile.gettempdir()).glob("neurogen-*")}


def results() -> list:
    """The results in the scene, oldest first."""
    from NeuroGenADLib.result import Result

    return Result.all()


def rows(panel: object) -> list[list[str]]:
    """What the table of regions shows."""
    table = panel.ui.lesionTable
    return [[table.item(row, column).text() for column in range(table.columnCount)] for row in range(table.rowCount)]
