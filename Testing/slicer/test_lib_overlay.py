"""What a reader sees: the map in the rendered slice views lies on the anatomy that it was computed from.

A scan with a bright and a dark cube is saved by nibabel, loaded by Slicer, exported, "analyzed" in the file (+8 where
the file is brightest, -8 where it is darkest), imported and shown. The pictures are then read pixel by pixel.
"""

import nibabel
import numpy as np
import pytest

VIEWS = ("Red", "Green", "Yellow")
SHAPE = (60, 70, 50)
GRAY, BRIGHT, DARK = 100.0, 200.0, 20.0
BOXES = {BRIGHT: (slice(12, 22), slice(40, 52), slice(30, 38)), DARK: (slice(36, 48), slice(14, 24), slice(8, 16))}


def turned(axis_deg, axes):
    """The axes turned about a skew line."""
    line = np.array([1.0, 2.0, -1.0]) / np.sqrt(6)
    cross = np.cross(np.eye(3), line)
    angle = np.radians(axis_deg)
    return (np.eye(3) - np.sin(angle) * cross + (1 - np.cos(angle)) * cross @ cross) @ axes


GRIDS = {
    "RAS": np.diag([1.0, 1.0, 1.5]),
    "LAS": np.diag([-1.0, 1.0, 1.5]),
    "oblique LAS": turned(25, np.diag([-1.0, 1.0, 1.5])),
}


@pytest.fixture(params=[(grid, moved) for grid in GRIDS for moved in (False, True)], ids=str)
def shown(request, slicer_app, rendering, tmp_path):
    """The scan and its imported map, both in the slice views."""
    import slicer

    from NeuroGenLib import display, nodes
    from NeuroGenLib.geometry import matrixFromArray

    grid, moved = request.param
    affine = np.eye(4)
    affine[:3, :3], affine[:3, 3] = GRIDS[grid], (20.0, -30.0, 10.0)
    array = np.zeros(SHAPE, np.float32)
    array[4:-4, 4:-4, 4:-4] = GRAY
    for value, box in BOXES.items():
        array[box] = value
    nibabel.save(nibabel.Nifti1Image(array, affine), tmp_path / "scan.nii")
    scan = slicer.util.loadVolume(str(tmp_path / "scan.nii"))
    above = np.eye(4)
    if moved:
        above[:3, :3], above[:3, 3] = turned(-35, np.eye(3)), (7.0, 3.0, -12.0)
        transform = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLLinearTransformNode")
        transform.SetMatrixTransformToParent(matrixFromArray(above))
        scan.SetAndObserveTransformNodeID(transform.GetID())
    result = nodes.importVolume(analyzed(scan, tmp_path), "map", scan)
    display.showOverlay(scan, result, 1.0, 3.7)
    return scan, result, above @ affine


def analyzed(scan, folder):
    from NeuroGenLib import nodes

    nodes.exportVolume(scan, folder / "exported.nii")
    file = nibabel.load(folder / "exported.nii")
    voxels = file.get_fdata(dtype=np.float32)
    scores = np.select([voxels == BRIGHT, voxels == DARK], [8.0, -8.0]).astype(np.float32)
    nibabel.save(nibabel.Nifti1Image(scores, file.affine), folder / "map.nii.gz")
    return folder / "map.nii.gz"


def center_of(box, affine):
    """RAS mm of the middle of a box of voxels."""
    middle = [(side.start + side.stop - 1) / 2 for side in box]
    return (affine @ [*middle, 1])[:3]


def marked(picture, value):
    """Pixels in the hue of bright or of dark deviations; gray anatomy and the frame of the view have neither."""
    red, _, blue = np.moveaxis(picture.astype(int), 2, 0)
    return red - blue > 100 if value == BRIGHT else blue - red > 100


def places(mask, sliceNode):
    """RAS mm of the pixels of a mask; rows of a picture run down, those of a slice view up."""
    rows, columns = np.nonzero(mask)
    xy = np.column_stack([columns, mask.shape[0] - 1 - rows, np.zeros(len(rows)), np.ones(len(rows))])
    matrix = sliceNode.GetXYToRAS()
    return (np.array([[matrix.GetElement(i, j) for j in range(4)] for i in range(4)]) @ xy.T).T[:, :3]


@pytest.mark.parametrize("value", BOXES, ids=["bright", "dark"])
def test_the_map_lies_on_the_anatomy_in_all_three_views(shown, slicer_app, value):
    from NeuroGenLib import display

    scan, result, affine = shown
    center = center_of(BOXES[value], affine)
    display.jumpTo(tuple(center))
    for view in VIEWS:
        widget = slicer_app.layoutManager().sliceWidget(view)
        mask = marked(widget.picture(), value)
        found = places(mask, widget.mrmlSliceNode())
        # Any cut through the middle of a box is symmetric about it.
        assert np.linalg.norm(found.mean(axis=0) - center) < 0.75, view
        inside = (np.linalg.inv(affine) @ np.column_stack([found, np.ones(len(found))]).T)[:3].T
        beyond = [max(side.start - 1 - low, high - side.stop, 0) for side, low, high in zip(
            BOXES[value], inside.min(axis=0), inside.max(axis=0))]  # fmt: skip
        assert max(beyond) < 0.5, (view, beyond)

        display.hideOverlay(result)
        plain = widget.picture().astype(int).mean(axis=2)
        display.showOverlay(scan, result, 1.0, 3.7)
        between = (np.median(plain[mask]) + np.median(plain[plain > 30])) / 2  # of the cube and the gray around it
        anatomy = plain > between if value == BRIGHT else plain < between
        assert anatomy[mask].mean() > 0.9, view


@pytest.mark.parametrize("shown", [("LAS", False), ("oblique LAS", True)], indirect=True, ids=str)
def test_the_patients_right_is_on_the_left_of_the_picture(shown, slicer_app):
    from NeuroGenLib import display

    _, _, affine = shown
    display.jumpTo(tuple(center_of(BOXES[BRIGHT], affine)))
    for view, (across, sign) in {"Red": (0, -1), "Green": (0, -1), "Yellow": (1, -1)}.items():
        matrix = slicer_app.layoutManager().sliceWidget(view).mrmlSliceNode().GetXYToRAS()
        assert matrix.GetElement(across, 0) * sign > 0, view


@pytest.mark.parametrize("shown", [("oblique LAS", True)], indirect=True, ids=str)
def test_below_the_threshold_nothing_is_colored(shown, slicer_app):
    from NeuroGenLib import display

    scan, result, affine = shown
    display.jumpTo(tuple(center_of(BOXES[BRIGHT], affine)))
    widget = slicer_app.layoutManager().sliceWidget("Red")
    colored = [marked(widget.picture(), BRIGHT).sum()]
    display.showOverlay(scan, result, 1.0, 8.5)
    colored.append(marked(widget.picture(), BRIGHT).sum())
    assert colored[0] > 50
    assert colored[1] == 0


@pytest.mark.parametrize("shown", [("oblique LAS", True)], indirect=True, ids=str)
def test_three_beside_each_other_show_the_same_place(shown, slicer_app):
    from NeuroGenLib import display
    from NeuroGenLib.layouts import SIDE_BY_SIDE_VIEWS

    scan, result, affine = shown
    assert display.showSideBySide(scan, scan, result, 1.0, 3.7)
    center = center_of(BOXES[BRIGHT], affine)
    display.jumpTo(tuple(center))
    manager = slicer_app.layoutManager()
    assert set(SIDE_BY_SIDE_VIEWS) <= set(manager.sliceViewNames())
    counts = [marked(manager.sliceWidget(view).picture(), BRIGHT).sum() for view in SIDE_BY_SIDE_VIEWS]
    assert counts[:2] == [0, 0]
    assert counts[2] > 50
    display.standardLayout()
    assert len(manager.shownViews()) == 4
