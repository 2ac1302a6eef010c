"""What brain-age is given: ages from tables, label maps told from images, and which file of an infant counts."""

import numpy as np
import pytest

from neurogen.commands.age_inputs import ages_of, find_scans, read_ages, read_input
from neurogen.errors import InputRefused, UsageError
from neurogen.volumes import Volume, save_volume


def touch(folder, *names):
    for name in names:
        (folder / name).write_bytes(b"")
    return [folder / name for name in names]


def table(path, text):
    path.write_text(text)
    return path


def test_a_label_map_counts_before_the_scan_of_the_same_infant(tmp_path):
    names = ("sub-1_desc-drawem87_dseg.nii.gz", "sub-1_T2w.nii.gz", "sub-2_T2w.nii.gz", "sub-2_T2w_mask.nii.gz")
    touch(tmp_path, *names)
    assert [path.name for path in find_scans([tmp_path])] == [names[0], names[2]]


def test_a_folder_without_label_maps_gives_its_scans(tmp_path):
    touch(tmp_path, "b.nii.gz", "a.nii", "a_brainmask.nii.gz", "notes.txt")
    assert [path.name for path in find_scans([tmp_path])] == ["a.nii", "b.nii.gz"]
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputRefused, match="no label map and no scan"):
        find_scans([tmp_path / "empty"])


def test_ages_come_from_a_table(tmp_path):
    scans = touch(tmp_path, "sub-1_ses-2_dseg.nii.gz", "sub-1_ses-3_dseg.nii.gz", "sub-4_dseg.nii.gz")
    text = "participant_id\tsession_id\tscan_age\nsub-1\t2\t38.5\nsub-1\tses-3\t40\nsub-9\t1\tn/a\n"
    path = table(tmp_path / "sessions.tsv", text)
    ages = ages_of(scans, [tmp_path], str(path))
    assert list(ages.values()) == [38.5, 40.0, None]


def test_the_table_of_the_folder_is_used_by_itself(tmp_path):
    scans = touch(tmp_path, "sub-1_dseg.nii.gz", "sub-2_dseg.nii.gz")
    assert set(ages_of(scans, [tmp_path], None).values()) == {None}
    table(tmp_path / "participants.tsv", "participant_id\tage\nsub-1\t27\n")  # years: not taken for weeks
    assert set(ages_of(scans, [tmp_path], None).values()) == {None}
    table(tmp_path / "ages.tsv", "scan,age_weeks\n".replace(",", "\t") + "sub-1_dseg.nii.gz\t39\nsub-2_dseg\t41\n")
    assert list(ages_of(scans, [tmp_path], None).values()) == [39.0, 41.0]


def test_one_number_belongs_to_one_scan(tmp_path):
    scans = touch(tmp_path, "a.nii", "b.nii")
    assert ages_of(scans[:1], scans[:1], "40.5") == {scans[0]: 40.5}
    with pytest.raises(UsageError, match="Give a table"):
        ages_of(scans, scans, "40.5")


def test_tables_that_cannot_be_used_are_refused(tmp_path):
    scan = touch(tmp_path, "sub-1_dseg.nii.gz")
    for text, reason in (
        ("participant_id\tage\nsub-1\t39\n", "Needed are"),
        ("scan\tage_weeks\nsub-1_dseg\tforty\n", "weeks are needed"),
    ):
        with pytest.raises(InputRefused, match=reason):
            read_ages(table(tmp_path / "t.tsv", text))
    twice = table(tmp_path / "t.csv", "subject,age_weeks\n1,38\n1,41\n")
    with pytest.raises(InputRefused, match="several ages"):
        ages_of(scan, scan, str(twice))
    with pytest.raises(InputRefused, match="cannot be read"):
        ages_of(scan, scan, str(tmp_path / "absent.tsv"))


@pytest.mark.parametrize(
    ("array", "expected"),
    [
        (np.arange(60).reshape(3, 4, 5).repeat(4, 0), False),
        (np.arange(60).reshape(3, 4, 5) / 7, True),
        (np.arange(3000).reshape(10, 15, 20), True),
        (np.arange(3000).reshape(10, 15, 20) % 256, True),
        ((np.arange(3000) % 180 * 11).reshape(10, 15, 20).repeat(4, 0), False),
        ((2 * (np.arange(3000) % 97)).reshape(10, 15, 20), True),
    ],
    ids=["labels", "fractions", "gray", "bytes", "sparse labels", "rounded gray"],
)
def test_images_are_told_from_label_maps(tmp_path, array, expected):
    dtype = np.float32 if array.dtype.kind == "f" else np.int16
    save_volume(Volume(array.astype(dtype), np.eye(4)), tmp_path / "scan.nii.gz")
    volume, is_image = read_input(tmp_path / "scan.nii.gz")
    assert is_image == expected and volume.shape == array.shape
