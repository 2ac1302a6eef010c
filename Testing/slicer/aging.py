"""What tests of the NeonatalBrainAge panel share: a label map in the scene, and jobs that run in this process."""

from pathlib import Path

import numpy as np
from builders import as_head, blobs

PICTURES = ("region_picture", "striking_charts", "leading_charts", "importance_bars", "contribution_bars")


def slicer_labels(folder: Path):
    """A synthetic head with all regions, loaded as a label map volume."""
    import slicer

    from neurogen.volumes import save_volume

    head = as_head(blobs(), head_ml=70)
    path = folder / "sub-1_dseg.nii.gz"
    save_volume(head.with_array(head.array.astype(np.uint8)), path)
    return slicer.util.loadLabelVolume(str(path))


class InProcess:
    """A job of `startJob` that runs the command line here when it is polled: no start of a Python, no pictures."""

    def __init__(self, arguments, outFolder, *, onProgress, onLog, onFinished, workFolder):
        self.arguments, self.outFolder, self.workFolder = arguments, Path(outFolder), workFolder
        self._onFinished, self._isRunning = onFinished, True

    @classmethod
    def install(cls, monkeypatch) -> None:
        """Let the module start its jobs here."""
        import logging

        from neurogen.commands import age_charts
        from NeuroGenLib import node_job

        monkeypatch.setattr(node_job, "startJob", cls)
        monkeypatch.setattr(logging, "basicConfig", lambda **options: None)
        for name in PICTURES:
            monkeypatch.setattr(age_charts, name, lambda *args, **options: b"picture")

    def poll(self) -> bool:
        if self._isRunning:
            self._isRunning = False
            self._run()
        return False

    def wait(self, timeout=None) -> None:
        self.poll()

    def cancel(self) -> None:
        self._isRunning = False

    def _run(self) -> None:
        from neurogen.cli import build_parser
        from neurogen.console import Console
        from neurogen.errors import NeuroGenError
        from NeuroGenLib.job import removeWorkFolder
        from NeuroGenLib.outcome import outcomeOf

        code, words = 0, ""
        try:
            args = build_parser().parse_args(self.arguments)
            args.run(args, Console(json_mode=True))
        except NeuroGenError as error:
            code, words = error.exit_code, str(error)
        self._onFinished(outcomeOf(code, lastWords=words, log=(), cancelled=False))
        removeWorkFolder(self.workFolder)
