"""Slice views: the three side by side, linked, and where they look. All tolerate the absence of a layout manager."""

import slicer

from NeuroGenLib.i18n import tr as _

SIDE_BY_SIDE = 7431  # our number among the scene's layouts
SIDE_BY_SIDE_VIEWS = ("NeuroGenInput", "NeuroGenHealthy", "NeuroGenDeviation")
_VIEW = """<item><view class="vtkMRMLSliceNode" singletontag="{tag}">
<property name="orientation" action="default">Axial</property>
<property name="viewlabel" action="default">{label}</property>
<property name="viewcolor" action="default">{color}</property>
</view></item>"""
_COLORS = ("#F34A33", "#6EB04B", "#EDD54C")


def layoutManager():
    """The application's layout manager; None where there are no views."""
    application = getattr(slicer, "app", None)
    return application.layoutManager() if application is not None else None


def sideBySideLayout() -> bool:
    """Show input, pseudo-healthy and deviation beside each other; return whether there are views to show them in."""
    manager = layoutManager()
    if manager is None:
        return False
    node = manager.layoutLogic().GetLayoutNode()
    if not node.IsLayoutDescription(SIDE_BY_SIDE):
        node.AddLayoutDescription(SIDE_BY_SIDE, _sideBySideDescription())
    manager.setLayout(SIDE_BY_SIDE)
    return True


def standardLayout() -> None:
    """Show the usual four views."""
    manager = layoutManager()
    if manager is not None:
        manager.setLayout(slicer.vtkMRMLLayoutNode.SlicerLayoutFourUpView)


def sliceNodes() -> list:
    """All slice nodes of the scene."""
    return slicer.util.getNodesByClass("vtkMRMLSliceNode")


def compositeNodes(views: tuple[str, ...] | None = None) -> list:
    """The nodes that say what each slice view shows; of the named views, or of all but the side-by-side ones."""
    nodes = slicer.util.getNodesByClass("vtkMRMLSliceCompositeNode")
    if views is None:
        return [node for node in nodes if node.GetLayoutName() not in SIDE_BY_SIDE_VIEWS]
    return [node for view in views for node in nodes if node.GetLayoutName() == view]


def linkSlices(linked: bool = True) -> None:
    """Let all slice views of one orientation scroll and zoom together, while the mouse moves."""
    for node in slicer.util.getNodesByClass("vtkMRMLSliceCompositeNode"):
        node.SetLinkedControl(linked)
        node.SetHotLinkedControl(linked)


def jumpTo(ras: tuple[float, float, float]) -> None:
    """Center every slice view on a point (RAS mm of the world) and put the crosshair there."""
    for node in sliceNodes():
        node.JumpSliceByCentering(*map(float, ras))
    crosshair = slicer.mrmlScene.GetFirstNodeByClass("vtkMRMLCrosshairNode")
    if crosshair is not None:
        crosshair.SetCrosshairRAS(*map(float, ras))


def fitSlices() -> None:
    """Fit every slice view to its background."""
    manager = layoutManager()
    if manager is not None:
        manager.resetSliceViews()


def centerThreeD() -> None:
    """Let the cameras of the 3D views turn to what is shown."""
    manager = layoutManager()
    if manager is not None:
        manager.resetThreeDViews()


def _sideBySideDescription() -> str:
    labels = (_("Input"), _("Pseudo-healthy"), _("Deviation"))
    views = [
        _VIEW.format(tag=tag, label=label, color=color)
        for tag, label, color in zip(SIDE_BY_SIDE_VIEWS, labels, _COLORS)
    ]
    return f'<layout type="horizontal" split="true">{"".join(views)}</layout>'
