"""Slice views: the three side by side, two methods beside each other, linked, and where they look.

All tolerate the absence of a layout manager.
"""

from collections.abc import Sequence

import slicer

from NeuroGenLib.i18n import tr as _

SIDE_BY_SIDE = 7431  # our number among the scene's layouts
SIDE_BY_SIDE_VIEWS = ("NeuroGenInput", "NeuroGenHealthy", "NeuroGenDeviation")
COMPARED = 7432  # two columns, a method each: an axial view above a coronal one
COMPARED_VIEWS = (("NeuroGenFirstAxial", "NeuroGenFirstCoronal"), ("NeuroGenSecondAxial", "NeuroGenSecondCoronal"))
OWN_VIEWS = (*SIDE_BY_SIDE_VIEWS, *COMPARED_VIEWS[0], *COMPARED_VIEWS[1])
STANDARD_VIEWS = ("Red", "Green", "Yellow")
_VIEW = """<item><view class="vtkMRMLSliceNode" singletontag="{tag}">
<property name="orientation" action="default">{orientation}</property>
<property name="viewlabel" action="default">{label}</property>
<property name="viewcolor" action="default">{color}</property>
</view></item>"""
_COLORS = ("#F34A33", "#6EB04B", "#EDD54C")
_COLUMN_COLORS = ("#E69F00", "#56B4E9")  # distinct for readers who do not tell red from green


def layoutManager():
    """The application's layout manager; None where there are no views."""
    application = getattr(slicer, "app", None)
    return application.layoutManager() if application is not None else None


def sideBySideLayout() -> bool:
    """Show input, pseudo-healthy and deviation beside each other; return whether there are views to show them in."""
    return _setLayout(SIDE_BY_SIDE, _sideBySideDescription())


def comparedLayout(titles: Sequence[str]) -> bool:
    """Show two methods beside each other, each view labelled by its title; return whether there are such views."""
    if not _setLayout(COMPARED, _comparedDescription()):
        return False
    for views, title in zip(COMPARED_VIEWS, titles):
        labelViews(views, title)
    return True


def labelViews(views: Sequence[str], label: str) -> None:
    """Write into the bars of the named views what they show."""
    for node in sliceNodes():
        if node.GetLayoutName() in views:
            node.SetLayoutLabel(label)


def ownLayout() -> int:
    """SIDE_BY_SIDE or COMPARED where one of them is in force, otherwise 0."""
    manager = layoutManager()
    layout = manager.layoutLogic().GetLayoutNode().GetViewArrangement() if manager is not None else 0
    return layout if layout in (SIDE_BY_SIDE, COMPARED) else 0


def standardLayout() -> None:
    """Show the usual four views."""
    manager = layoutManager()
    if manager is not None:
        manager.setLayout(slicer.vtkMRMLLayoutNode.SlicerLayoutFourUpView)


def sliceNodes() -> list:
    """All slice nodes of the scene."""
    return slicer.util.getNodesByClass("vtkMRMLSliceNode")


def compositeNodes(views: tuple[str, ...] | None = None) -> list:
    """The nodes that say what each slice view shows; of the named views, or of all but our own."""
    nodes = slicer.util.getNodesByClass("vtkMRMLSliceCompositeNode")
    if views is None:
        return [node for node in nodes if node.GetLayoutName() not in OWN_VIEWS]
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


def _setLayout(number: int, description: str) -> bool:
    manager = layoutManager()
    if manager is None:
        return False
    node = manager.layoutLogic().GetLayoutNode()
    if not node.IsLayoutDescription(number):
        node.AddLayoutDescription(number, description)
    manager.setLayout(number)
    return True


def _sideBySideDescription() -> str:
    labels = (_("Input"), _("Pseudo-healthy"), _("Deviation"))
    views = [
        _VIEW.format(tag=tag, label=label, color=color, orientation="Axial")
        for tag, label, color in zip(SIDE_BY_SIDE_VIEWS, labels, _COLORS)
    ]
    return f'<layout type="horizontal" split="true">{"".join(views)}</layout>'


def _comparedDescription() -> str:
    columns = [
        "".join(
            _VIEW.format(tag=tag, label=label, color=color, orientation=orientation)
            for tag, orientation in zip(views, ("Axial", "Coronal"))
        )
        for views, label, color in zip(COMPARED_VIEWS, "12", _COLUMN_COLORS)
    ]
    items = [f'<item><layout type="vertical" split="true">{column}</layout></item>' for column in columns]
    return f'<layout type="horizontal" split="true">{"".join(items)}</layout>'
