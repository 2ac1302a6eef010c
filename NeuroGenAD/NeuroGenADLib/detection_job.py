"""One detection from node to nodes: export, `neurogen detect` in a child process, import. Knows nothing of Qt."""

from collections.abc import Callable
from pathlib import Path

from neurogen.anomaly import DetectionSettings
from NeuroGenADLib.recut import CutSettings
from NeuroGenADLib.result import Result, importResult
from NeuroGenADLib.scan_facts import writeSidecar
from NeuroGenADLib.settings import detectArguments
from NeuroGenLib.files import safeName
from NeuroGenLib.node_job import Finished, NodeJob
from NeuroGenLib.nodes import exportSegmentation, exportVolume


class DetectionJob(NodeJob):
    """A detection that was started; its result is a `Result` with lesions cut where the command line cut them."""

    def __init__(
        self,
        inputVolume,
        settings: DetectionSettings,
        *,
        mask=None,
        recut: Callable[[Result, CutSettings], None],
        onProgress: Callable[[str, float], None],
        onLog: Callable[[str], None],
        onFinished: Finished,
    ) -> None:
        self._settings, self._mask, self._recut = settings, mask, recut
        super().__init__([inputVolume], onProgress=onProgress, onLog=onLog, onFinished=onFinished)

    def _export(self, work: Path, out: Path) -> list[str]:
        (volume,) = self.inputs
        scan = work / f"{safeName(volume.GetName())}.nii"
        self._affine = exportVolume(volume, scan)
        writeSidecar(volume, scan)
        mask = _exportMask(self._mask, volume, work / "brain_mask.nii") if self._mask is not None else None
        return detectArguments(self._settings, scan, out, mask=mask)

    def _import(self, out: Path) -> Result:
        result = importResult(out, self.inputs[0], self._affine)
        try:
            self._recut(result, result.record.defaultCut)
        except (ValueError, RuntimeError):
            result.remove()
            raise
        return result


def _exportMask(mask, inputVolume, path: Path) -> Path:
    """A brain mask as a file on the grid of the scan; a segmentation counts with all its segments."""
    if mask.IsA("vtkMRMLSegmentationNode"):
        exportSegmentation(mask, inputVolume, path)
    else:
        exportVolume(mask, path)
    return path
