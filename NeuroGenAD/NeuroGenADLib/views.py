"""How a result is shown: in slices the volume below, the map over it, outlines and legend; in 3D the regions."""

import slicer

from NeuroGenADLib.lesion_nodes import Row
from NeuroGenADLib.result import Result
from NeuroGenADLib.settings import ViewSettings
from NeuroGenLib import display
from NeuroGenLib.i18n import tr as _
from NeuroGenLib.layouts import SIDE_BY_SIDE_VIEWS, centerThreeD, sliceNodes
from NeuroGenLib.nodes import segmentOfLabel

SURFACE = "Closed surface"  # Slicer's name of the representation
VISIBLE_FROM = 0.5  # of the threshold: the map is transparent where it deviates less


def showResult(result: Result, view: ViewSettings, *, layout: bool = False) -> None:
    """Show a result as `view` says. With `layout`, the layout is switched too, when the user asked for that."""
    below = result.input if view.shown == "input" else result.node(view.shown)
    threshold = VISIBLE_FROM * result.cut.threshold
    mapNode = result.map if view.overlay else None
    place = _place(sideBySide=view.sideBySide != layout)  # where the user was before
    if layout and not view.sideBySide:
        display.standardLayout()
    if view.sideBySide:
        display.showSideBySide(result.input, result.node("pseudoHealthy"), mapNode, view.opacity, threshold)
    display.showOverlay(below or result.input, mapNode, view.opacity, threshold)
    if layout:
        _goTo(place)
        _forgetLegend(result)
    _showLegend(result, view)
    for other in Result.all():
        isShown = other.map.GetID() == result.map.GetID()
        _showOutlines(other, view.outlines and isShown)
        if not (isShown and view.show3D):
            _hide3D(other)
        if not isShown:
            display.hideLegend(other.map)


def show3D(result: Result) -> None:
    """Show the marked regions as surfaces inside the outline of the brain; the camera follows when they appear."""
    segmentation, brain = result.node("lesions"), result.node("brain")
    appears = not any(_isIn3D(node) for node in (segmentation, brain))
    if segmentation is not None and segmentation.GetDisplayNode() is not None:
        if not segmentation.GetSegmentation().ContainsRepresentation(SURFACE):
            segmentation.CreateClosedSurfaceRepresentation()
        segmentation.GetDisplayNode().SetVisibility(True)
        segmentation.GetDisplayNode().SetVisibility3D(True)
    if brain is not None and brain.GetDisplayNode() is not None:
        brain.GetDisplayNode().SetVisibility(True)
        brain.GetDisplayNode().SetVisibility3D(True)
    if appears:
        centerThreeD()


def fitViews(view: ViewSettings) -> None:
    """Fit the volumes into the views, once these have got their place after another layout; the slices stay."""
    place = _place(sideBySide=view.sideBySide)
    display.fitSlices()
    _goTo(place)


def jumpToRow(result: Result, row: Row) -> None:
    """Center all slice views on a lesion and let it blink."""
    display.jumpTo(tuple(result.worldPoint(row.rasMm)))
    segmentation = result.node("lesions")
    if segmentation is not None:
        segmentId = segmentOfLabel(segmentation, row.label)
        if segmentId:
            display.flashSegment(segmentation, segmentId)


def hideResults() -> None:
    """Take every anomaly map out of the views, when the module has nothing to show."""
    for result in Result.all():
        display.hideOverlay(result.map)
        display.hideLegend(result.map)
        _showOutlines(result, False)
        _hide3D(result)


def lookAt(result: Result, row: Row) -> None:
    """Go to the slices of a region, the whole head in view: a new result opens on what it found."""
    _goTo(result.worldPoint(row.rasMm))


def _place(*, sideBySide: bool) -> tuple[float, ...] | None:
    """The point (RAS mm) where the sagittal, coronal and axial views meet; None where there are no such views."""
    views = ("Yellow", "Green", SIDE_BY_SIDE_VIEWS[0] if sideBySide else "Red")
    found = {node.GetLayoutName(): node.GetSliceToRAS() for node in sliceNodes()}
    if not all(name in found for name in views):
        return None
    return tuple(found[name].GetElement(axis, 3) for axis, name in enumerate(views))


def _goTo(ras) -> None:
    if ras is not None:
        for node in sliceNodes():
            node.JumpSliceByOffsetting(*map(float, ras))


def _forgetLegend(result: Result) -> None:
    """A legend that was made before its view is not drawn there: let it be made anew."""
    legend = slicer.vtkSlicerColorLogic.GetColorLegendDisplayNode(result.map)
    if legend is not None:
        slicer.mrmlScene.RemoveNode(legend)


def _showLegend(result: Result, view: ViewSettings) -> None:
    if view.overlay:
        display.showLegend(result.map, _("SD"))
    else:
        display.hideLegend(result.map)


def _showOutlines(result: Result, visible: bool) -> None:
    segmentation = result.node("lesions")
    shown = segmentation.GetDisplayNode() if segmentation is not None else None
    if shown is not None and slicer.mrmlScene.IsNodePresent(shown):
        shown.SetVisibility(True)
        shown.SetVisibility2DFill(False)
        shown.SetVisibility2DOutline(visible)


def _isIn3D(node) -> bool:
    shown = node.GetDisplayNode() if node is not None else None
    return shown is not None and bool(shown.GetVisibility() and shown.GetVisibility3D())


def _hide3D(result: Result) -> None:
    for node in (result.node("lesions"), result.node("brain")):
        if node is not None and node.GetDisplayNode() is not None:
            node.GetDisplayNode().SetVisibility3D(False)
