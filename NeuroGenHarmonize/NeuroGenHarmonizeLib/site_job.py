"""One harmonization from nodes to nodes: export, `neurogen harmonize` in a child process, import. No Qt here."""

from collections.abc import Callable, Sequence
from pathlib import Path

from NeuroGenHarmonizeLib.live_curve import LiveCurve
from NeuroGenHarmonizeLib.result import Result, importResult
from NeuroGenHarmonizeLib.settings import HarmonizeSettings, harmonizeArguments
from NeuroGenLib.files import safeName
from NeuroGenLib.node_job import Finished, NodeJob
from NeuroGenLib.nodes import exportVolume
from NeuroGenLib.outcome import Outcome


class SiteJob(NodeJob):
    """A harmonization that was started; its result is a `Result`, and its curve grows while it runs."""

    KINDS_WITH_RESULT = ("done", "partial")  # partial: some scans were given back or refused

    def __init__(
        self,
        inputVolumes: Sequence,
        settings: HarmonizeSettings,
        *,
        onProgress: Callable[[str, float], None],
        onLog: Callable[[str], None],
        onFinished: Finished,
    ) -> None:
        self.curve = LiveCurve()
        self._settings, self._tell = settings, onProgress
        super().__init__(inputVolumes, onProgress=self._progress, onLog=onLog, onFinished=onFinished)

    def _export(self, work: Path, out: Path) -> list[str]:
        scans = [work / f"{k:02d}_{safeName(node.GetName())}.nii" for k, node in enumerate(self.inputs)]
        self._names = [path.name.removesuffix(".nii") for path in scans]
        self._affines = [exportVolume(node, path) for node, path in zip(self.inputs, scans)]
        return harmonizeArguments(self._settings, scans, out)

    def _import(self, out: Path) -> Result:
        return importResult(out, self.inputs, self._names, self._affines)

    def _progress(self, stage: str, fraction: float) -> None:
        self.curve.take(stage)
        self._tell(stage, fraction)

    def _finish(self, outcome: Outcome) -> None:
        self.curve.remove()
        super()._finish(outcome)
