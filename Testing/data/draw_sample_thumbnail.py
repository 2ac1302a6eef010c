"""Draw the picture of the demo case in Slicer's Sample Data: `python Testing/data/draw_sample_thumbnail.py`.

An axial slice of the ICBM152 T1 template through the planted lesion, the patient's right on the left.
"""

import tempfile
from pathlib import Path

import numpy as np
from PIL import Image

from neurogen.commands.demo import plant
from neurogen.report_pictures import displayed
from neurogen.volumes import load_volume, reorient_to_ras

TARGET = Path(__file__).parents[2] / "NeuroGenAD" / "Resources" / "Icons" / "NeuroGenDemo.png"
SIZE = (260, 280)
FILLED = 0.94  # of the picture by the brain


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "planted_T1w.nii.gz"
        _, place = plant(path)
        scan = reorient_to_ras(load_volume(path))
    level = round(float(np.linalg.solve(scan.affine, [*place, 1.0])[2]))
    section = displayed(scan.array[:, :, level])
    filled = section > 0.05 * section.max()
    rows, columns = np.flatnonzero(filled.any(1)), np.flatnonzero(filled.any(0))
    section = section[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    gray = (255 * np.clip(section / np.percentile(scan.array, 99.8), 0, 1)).astype(np.uint8)
    picture = Image.fromarray(gray)
    scale = min(full / own for full, own in zip(SIZE, picture.size)) * FILLED
    picture = picture.resize(tuple(round(scale * own) for own in picture.size), Image.Resampling.LANCZOS)
    canvas = Image.new("L", SIZE)
    canvas.paste(picture, tuple((full - own) // 2 for full, own in zip(SIZE, picture.size)))
    canvas.save(TARGET, optimize=True)


if __name__ == "__main__":
    main()
