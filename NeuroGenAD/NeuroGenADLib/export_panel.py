"""The export part of the panel: the kinds that are written at once, and DICOM SEG by a job."""

from collections.abc import Callable
from pathlib import Path

from NeuroGenADLib.exports import exportResult, startDicomExport, whyNoDicom
from NeuroGenADLib.result import Result
from NeuroGenLib import export_panel
from NeuroGenLib.i18n import tr as _
from NeuroGenLib.job import Job
from NeuroGenLib.outcome import Outcome


class ExportPanel(export_panel.ExportPanel):
    """DICOM SEG is offered only where it can be made, with the reason where it cannot."""

    def __init__(self, ui, result: Callable[[], Result | None], watch: Callable[[Job], None]) -> None:
        """`result()` is the shown result, or None; `watch(job)` polls a job until it ends."""
        self._watch = watch
        boxes = {"nifti": ui.exportNiftiCheckBox, "csv": ui.exportCsvCheckBox, "html": ui.exportHtmlCheckBox}
        super().__init__(ui, result, boxes, exportResult)

    def update(self) -> None:
        """Offer what the shown result allows."""
        super().update()
        result = self._result()
        reason = whyNoDicom(result) if result is not None else _("There is no result.")
        box = self.ui.exportDicomCheckBox
        box.enabled = not reason
        box.checked = box.checked and not reason
        box.toolTip = reason or _("A DICOM segmentation that refers to the series of the scan")

    def _isMoreWanted(self) -> bool:
        return self.ui.exportDicomCheckBox.checked

    def _startMore(self, result: Result, folder: Path, written: list[Path]) -> None:
        def tell(outcome: Outcome) -> None:
            self.ui.exportButton.enabled = True
            if outcome.isDone:
                self._sayWritten([*written, path])
            else:
                self._sayFailed(outcome.message)

        job, path = startDicomExport(result, folder, tell)
        self.ui.exportButton.enabled = False
        self._say(_("Writing {name} ...").format(name=path.name))
        self._watch(job)
