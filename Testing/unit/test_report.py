"""The report: self-contained, sides right, nothing of a file name executed, every number of the table there."""

import re

import numpy as np
import pytest
from builders import GEOMETRIES, phantom, world_of
from fakes import THRESHOLD, fake_detect

from neurogen.anomaly import DetectionSettings
from neurogen.report import NOTICE, render
from neurogen.report_pictures import SCALE_ENDS, Scene, axial_levels, displayed, heat_colors, make_pictures
from neurogen.volumes import Volume, reorient_to_ras

RECORD = {
    "input": {"file": "<b>scan</b>.nii.gz", "sha256": "0" * 64, "shape": [2, 3, 4], "spacing_mm": [1, 1, 1],
              "facts": {"description": "T1w & more"}},
    "facts": {"registration": 0.9},
    "mask": None,
    "model": {"id": "adult-reflect", "version": "1", "method": "reflect", "weights_sha256": "a" * 64, "licence": "CC0"},
    "operating_point": {"threshold": 3.0},
    "settings": {"model": "adult-reflect", "steps": 1, "registered": False},
    "device": "cpu",
    "versions": {"neurogen": "0.1.0", "torch": "2.13.0"},
    "finished": "2026-01-02T03:04:05+00:00",
}  # fmt: skip


def scan_of(name: str) -> Volume:
    shape, affine = GEOMETRIES[name]
    return phantom(shape, affine)[0]


@pytest.fixture(scope="module")
def scan() -> Volume:
    return scan_of("ras")


@pytest.fixture(scope="module")
def html(scan) -> str:
    detection = fake_detect(scan, DetectionSettings())
    return render(detection, make_pictures(detection, scan), RECORD)


def test_it_says_what_it_is_not(html):
    assert html.count(NOTICE) == 2


def test_it_loads_nothing(html):
    assert not re.findall(r'(?:src|href)="(?!data:)', html)
    assert "http" not in html and "<script" not in html and "@import" not in html


def test_names_and_warnings_are_text(html):
    assert "<b>scan" not in html and "&lt;b&gt;scan&lt;/b&gt;" in html
    assert "&lt;5 mm&gt;" in html and "T1w &amp; more" in html


def test_the_table_holds_every_region(scan, html):
    detection = fake_detect(scan, DetectionSettings())
    assert len(detection.table) == 2
    for lesion in detection.table:
        assert f"<td>{lesion.volume_ml:.2f}</td>" in html
        assert ", ".join(f"{x:.1f}" for x in lesion.centroid_ras_mm) in html
    assert "brighter" in html and "darker" in html and "2 regions are marked" in html


def test_settings_versions_and_operating_point_are_stated(html):
    for text in ("19 of 20 healthy scans", "2.13.0", "a" * 64, "0" * 64, "adult-reflect 1 (reflect)", "03:04:05 UTC"):
        assert text in html


def test_nothing_marked_is_no_clean_bill_of_health(scan):
    detection = fake_detect(scan, DetectionSettings(threshold=50.0))
    assert "does not mean that the brain is healthy" in render(detection, make_pictures(detection, scan), RECORD)


def joint(scan: Volume):
    """A detection by two methods that disagree by 2.5 in the lower half of the brain, and by 0.4 above."""
    from dataclasses import replace

    detection = fake_detect(scan, DetectionSettings())
    spread = np.full(scan.shape, 0.4, np.float32)
    spread[:, :, : round(np.argwhere(detection.brain.array)[:, 2].mean())] = 2.5
    return replace(detection, uncertainty=Volume(spread, scan.affine))


def test_of_several_methods_the_spread_is_pictured_and_all_are_named(scan, html):
    members = [{"id": name, "version": "2", "weights_sha256": name[-1] * 64} for name in ("model-a", "model-b")]
    detection = joint(scan)
    record = RECORD | {"facts": RECORD["facts"] | {"ensemble": members}}
    text = render(detection, make_pictures(detection, scan), record)
    assert "mean of model-a 2, model-b 2" in text and "a" * 64 in text and "b" * 64 in text
    assert "how far the methods disagree" in text and "how far the methods disagree" not in html


def test_green_pixels_lie_where_methods_disagree(scan):
    """Of the coronal row: in the lower half of the fourth panel, and in none of a single method's picture."""
    import io

    from matplotlib.image import imread

    def green(detection) -> np.ndarray:
        (picture,) = [one for one in make_pictures(detection, scan) if one.plane == "coronal"]
        rgb = imread(io.BytesIO(picture.png))[..., :3]
        return rgb[..., 1] - np.maximum(rgb[..., 0], rgb[..., 2]) > 0.15

    assert not green(fake_detect(scan, DetectionSettings())).any()
    found = green(joint(scan))
    rows, columns = np.nonzero(found[:, : int(0.93 * found.shape[1])])  # without its scale
    assert len(rows) > 1000 and columns.min() > 0.6 * found.shape[1]
    assert 0.45 * len(found) < rows.min() < 0.6 * len(found)


@pytest.mark.parametrize("name", ["oblique", "las", "sagittal-stack"])
def test_every_geometry_is_pictured(name):
    scan = scan_of(name)
    pictures = make_pictures(fake_detect(scan, DetectionSettings()), scan)
    assert {picture.plane for picture in pictures} == {"axial", "coronal", "sagittal"}
    assert all(picture.png.startswith(b"\x89PNG") for picture in pictures)
    assert max(picture.marked_ml for picture in pictures) > 0


@pytest.mark.parametrize("name", GEOMETRIES)
def test_the_patients_right_is_on_the_left_and_front_and_top_are_up(name):
    shape, affine = GEOMETRIES[name]
    right, front, top = (reorient_to_ras(Volume(part, affine)).array for part in world_of(shape, affine))
    middle = [size // 2 for size in right.shape]
    axial, coronal = (displayed(right.take(middle[axis], axis)) for axis in (2, 1))
    assert axial[0, 0] > axial[0, -1] and coronal[0, 0] > coronal[0, -1]
    sagittal = displayed(front.take(middle[0], 0))
    assert sagittal[0, 0] > sagittal[0, -1]
    axial_front = displayed(front.take(middle[2], 2))
    assert axial_front[0, 0] > axial_front[-1, 0]
    for axis in (0, 1):
        picture = displayed(top.take(middle[axis], axis))
        assert picture[0, 0] > picture[-1, 0]


def scene(score: np.ndarray, labels: np.ndarray) -> Scene:
    return Scene(score, score, score, labels, np.diag([1, 1, 2.0, 1]), (0, 1), THRESHOLD)


def test_axial_levels_are_the_marked_ones_and_lie_apart():
    score, labels = np.zeros((4, 4, 40)), np.zeros((4, 4, 40), int)
    for level, value in ((5, 9), (6, 8), (20, 7), (33, 5)):
        score[:2, :2, level], labels[:2, :2, level] = value, 1
    score[0, 0, 39] = 100  # not marked
    assert axial_levels(scene(score, labels)) == [5, 20, 33]


def test_without_marks_the_largest_score_is_shown():
    score = np.zeros((4, 4, 40))
    score[0, 0, 12] = -2
    assert axial_levels(scene(score, np.zeros((4, 4, 40), int))) == [12]
    assert axial_levels(scene(np.zeros((4, 4, 40)), np.zeros((4, 4, 40), int))) == [20]


def test_colors_are_red_above_blue_below_and_clear_in_between():
    colors = heat_colors(THRESHOLD)

    def color(score: float) -> tuple:
        return colors((score / (SCALE_ENDS * THRESHOLD) + 1) / 2)

    assert color(0)[3] == 0 and color(0.45 * THRESHOLD)[3] == 0 and color(THRESHOLD)[3] > 0.8
    assert color(1.5 * THRESHOLD)[0] > color(1.5 * THRESHOLD)[2]
    assert color(-1.5 * THRESHOLD)[2] > color(-1.5 * THRESHOLD)[0]
