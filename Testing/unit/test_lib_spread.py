"""The colors of an uncertainty map at fixed spreads, in the table and in what the display makes of it."""

import numpy as np
import pytest

pytest.importorskip("slicer")
import slicer
from slicer.util import updateVolumeFromArray
from vtk.util.numpy_support import vtk_to_numpy

from NeuroGenLib import heat, spread

# Golden: the nodes of the ramp, from 1 to 3 in steps of 0.5.
GOLDEN = {1.0: (0.00, 0.27, 0.11), 2.0: (0.30, 0.77, 0.33), 3.0: (0.94, 1.00, 0.80), 7.0: (0.94, 1.00, 0.80)}


def test_the_colors_of_fixed_spreads():
    np.testing.assert_allclose(spread.spreadColors(np.array(list(GOLDEN)))[:, :3], list(GOLDEN.values()))


def test_agreement_is_transparent():
    spreads = np.linspace(0, 5, 2001)
    np.testing.assert_array_equal(spread.spreadColors(spreads)[:, 3] == 1, spreads >= 1.0)


def test_it_is_never_mistaken_for_a_deviation():
    """Green leads at every spread, in the anomaly map never; a larger spread is lighter."""
    colors = spread.spreadColors(np.linspace(1, 5, 400))[:, :3]
    assert (colors[:, 1] > colors[:, [0, 2]].max(axis=1)).all()
    assert (np.diff(colors.sum(axis=1)) >= 0).all()
    deviations = heat.heatColors(np.linspace(-12, 12, 999))[:, :3]
    assert (deviations[:, 1] <= deviations[:, [0, 2]].max(axis=1)).all()


def test_what_a_view_gets(bare_scene):
    node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", "spread")
    updateVolumeFromArray(node, np.array([0.0, 0.9, 2.0, 9.0], np.float32).reshape(1, 1, -1))
    table = spread.applySpread(node)
    assert spread.applySpread(node).GetID() == table.GetID()  # one table, however often it is shown
    producer = node.GetDisplayNode().GetImageDataConnection().GetProducer()
    producer.Update()
    rgba = vtk_to_numpy(producer.GetOutput().GetPointData().GetScalars()).astype(int)
    assert list(rgba[:, 3] > 0) == [False, False, True, True]
    np.testing.assert_allclose(rgba[2:, :3] / 255, [GOLDEN[2.0], GOLDEN[7.0]], atol=0.02)
