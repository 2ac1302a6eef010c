"""One reading from node to nodes: export, `neurogen brain-age` in a child process, import. Knows nothing of Qt."""

from collections.abc import Callable
from pathlib import Path

from NeonatalBrainAgeLib.age_input import exportInput
from NeonatalBrainAgeLib.result import Result, importResult
from NeonatalBrainAgeLib.settings import AgeJobSettings, ageArguments
from NeuroGenLib.files import safeName
from NeuroGenLib.node_job import Finished, NodeJob


class AgeJob(NodeJob):
    """A reading that was started; its result is a `Result`."""

    def __init__(
        self,
        inputNode,
        settings: AgeJobSettings,
        *,
        onProgress: Callable[[str, float], None],
        onLog: Callable[[str], None],
        onFinished: Finished,
    ) -> None:
        self._settings = settings
        super().__init__([inputNode], onProgress=onProgress, onLog=onLog, onFinished=onFinished)

    def _export(self, work: Path, out: Path) -> list[str]:
        (node,) = self.inputs
        self._scan = work / f"{safeName(node.GetName())}.nii"
        self._affine = exportInput(node, self._scan)
        return ageArguments(self._settings, self._scan, out)

    def _import(self, out: Path) -> Result:
        found = out / "regions.nii.gz"  # written when the regions had to be found; else the input holds them
        labels = found if found.is_file() else self._scan
        return importResult(out, self.inputs[0], self._affine, labels=labels)
