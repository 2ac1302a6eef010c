"""What is no newborn's label map and no newborn's scan: `neurogen brain-age` refuses it and leaves nothing behind."""

import logging

import numpy as np
import pytest
import test_bad_input as bad

from neurogen import cli
from neurogen.brain_age.label_check import check_labels
from neurogen.commands.age_inputs import read_input
from neurogen.errors import InputRefused
from neurogen.volumes import Volume, save_volume

FILES = (
    bad.not_an_image, bad.other_format, bad.truncated, bad.damaged, bad.damaged_header, bad.truncated_nrrd, bad.empty,
    bad.four_dimensions, bad.constant, bad.not_a_number, bad.infinite, bad.all_negative, bad.without_affine,
    bad.singular_affine, bad.not_finite_affine, bad.in_meters, bad.single_slice, bad.two_dimensions, bad.huge_header,
    bad.huge_nrrd, bad.color, bad.complex_numbers, bad.absent,
)  # fmt: skip


@pytest.fixture(autouse=True)
def quiet_logging(monkeypatch):
    """`main` takes over the root logger; here pytest keeps it."""
    monkeypatch.setattr(logging, "basicConfig", lambda **options: None)
    yield
    logging.captureWarnings(False)


@pytest.mark.parametrize("make", FILES, ids=lambda make: make.__name__)
def test_unusable_files_are_refused(tmp_path, make, caplog):
    (tmp_path / "in").mkdir()
    scan, out = make(tmp_path / "in"), tmp_path / "out"
    assert cli.main(["brain-age", str(scan), "--out", str(out)]) == 3
    assert not out.exists() and not list(tmp_path.glob(".*"))
    assert len(caplog.messages[-1]) > 40  # a sentence


def test_a_scan_that_is_no_brain_is_refused_before_a_model_is_looked_for(tmp_path):
    noise = np.random.default_rng(0).random((40, 40, 40)).astype(np.float32) + 1
    save_volume(Volume(noise, np.diag([1.0, 1.0, 1.0, 1.0])), tmp_path / "noise.nii.gz")
    arguments = ["brain-age", str(tmp_path / "noise.nii.gz"), "--segmenter", "absent", "--out", str(tmp_path / "out")]
    assert cli.main(arguments) == 3


def test_other_peoples_label_maps_are_named(shared_data):
    """FreeSurfer labels of adults, 207 labels of adults at 2 mm, and the nine tissues of the newborn atlas."""
    maps = {
        "head_label_maps_1mm/head_01_labels.nii.gz": "FreeSurfer|another scheme",
        "adult_t1_whole_head_2mm/IXI015_dlmuse.nii.gz": "another scheme",
        "fetal_atlas_87_regions/week_36_tissues.nii.gz": "tissue map",
    }
    for name, reason in maps.items():
        volume, is_image = read_input(shared_data / name)
        assert not is_image, name
        with pytest.raises(InputRefused, match=reason):
            check_labels(volume)
