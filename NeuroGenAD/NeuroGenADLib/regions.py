"""Names of places in the template, read by Slicer itself: no image library is imported into the application."""

from collections.abc import Callable
from functools import cache

import numpy as np
import slicer

from neurogen.preprocess.atlas import name_at, region_names
from neurogen.resources import resource_path
from NeuroGenLib.geometry import ijkToRas
from NeuroGenLib.volume_files import readInFileOrder


@cache
def regionLookup() -> Callable[[np.ndarray], str]:
    """Template RAS mm (3,) -> name of the region, the same as the command line gives."""
    node = slicer.vtkMRMLLabelMapVolumeNode()
    readInFileOrder(node, resource_path("Atlas", "regions.nii.gz"))
    labels, affine, names = slicer.util.arrayFromVolume(node).T.copy(), ijkToRas(node), region_names()
    return lambda point: name_at(tuple(point), labels, affine, names)
