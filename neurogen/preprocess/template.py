"""The ICBM152 2009a nonlinear symmetric T1 template that the nilearn wheel carries (skull-stripped, 1 mm, [0, 1])."""

from functools import cache

import numpy as np

from neurogen.preprocess.grid import GRID_AFFINE, GRID_SHAPE
from neurogen.volumes import Volume, resample_to


@cache
def template_t1() -> Volume:
    """The template on its own 197 x 233 x 189 grid. Cite Fonov et al. 2011, doi:10.1016/j.neuroimage.2010.07.033."""
    from nilearn.datasets import load_mni152_template

    image = load_mni152_template(resolution=1)
    return Volume(np.asarray(image.dataobj, np.float32), np.asarray(image.affine, float))


@cache
def template_on_grid() -> Volume:
    """The template on the working grid; voxels > 0 are the template brain."""
    return resample_to(template_t1(), GRID_SHAPE, GRID_AFFINE)
