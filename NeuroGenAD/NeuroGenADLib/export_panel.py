"""The export part of the panel: where to, which kinds, and what was written."""

from collections.abc import Callable
from pathlib import Path

import slicer

from NeuroGenADLib.exports import exportResult, startDicomExport, whyNoDicom
from NeuroGenADLib.result import Result
from NeuroGenLib.i18n import tr as _
from NeuroGenLib.job import Job
from NeuroGenLib.outcome import Outcome


class ExportPanel:
    """Writes the shown result; DICOM SEG is offered only where it can be made, with the reason where it cannot."""

    def __init__(self, ui, result: Callable[[], Result | None], watch: Callable[[Job], None]) -> None:
        """`result()` is the shown result, or None; `watch(job)` polls a job until it ends."""
        self.ui = ui
        self._result = result
        self._watch = watch
        self._kinds = {
            "nifti": ui.exportNiftiCheckBox,
            "csv": ui.exportCsvCheckBox,
            "html": ui.exportHtmlCheckBox,
        }
        ui.exportButton.connect("clicked(bool)", self.onExport)
        self.update()

    def update(self) -> None:
        """Offer what the shown result allows."""
        result = self._result()
        reason = whyNoDicom(result) if result is not None else _("There is no result.")
        box = self.ui.exportDicomCheckBox
        box.enabled = not reason
        box.checked = box.checked and not reason
        box.toolTip = reason or _("A DICOM segmentation that refers to the series of the scan")
        self._say("")

    def onExport(self, checked: bool = False) -> None:
        """Write, and say what or why not."""
        result = self._result()
        kinds = [kind for kind, box in self._kinds.items() if box.checked]
        dicom = self.ui.exportDicomCheckBox.checked
        if result is None:
            return
        if not kinds and not dicom:
            self._say(_("Choose at least one kind of file."))
            return
        folder = Path(self.ui.exportFolderButton.directory)
        try:
            with slicer.util.WaitCursor():
                paths = exportResult(result, folder, kinds)
            self._say(_("Written: {names}").format(names=", ".join(path.name for path in paths)))
            if dicom:
                self._exportDicom(result, folder, paths)
        except (ValueError, RuntimeError, OSError) as error:
            self._say(_("Not exported: {reason}").format(reason=error))

    def _exportDicom(self, result: Result, folder: Path, paths: list[Path]) -> None:
        def tell(outcome: Outcome) -> None:
            self.ui.exportButton.enabled = True
            names = ", ".join(each.name for each in [*paths, path])
            done, failed = _("Written: {names}").format(names=names), _("Not exported: {reason}")
            self._say(done if outcome.isDone else failed.format(reason=outcome.message))

        job, path = startDicomExport(result, folder, tell)
        self.ui.exportButton.enabled = False
        self._say(_("Writing {name} ...").format(name=path.name))
        self._watch(job)

    def _say(self, text: str) -> None:
        self.ui.exportMessageLabel.text = text
        self.ui.exportMessageLabel.visible = bool(text)
