"""Which scans a batch takes from a folder, a BIDS data set or a list, and what they are called."""

from pathlib import Path

import pytest

from neurogen.batch.ages import AgeTables
from neurogen.batch.inputs import find_scans
from neurogen.batch.jobs import COMMANDS
from neurogen.errors import InputRefused, UsageError

DETECT, AGE = COMMANDS["detect"], COMMANDS["brain-age"]


def touch(folder: Path, *names: str, content: str = "ok") -> None:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(content)


def names(scans) -> list[str]:
    return [scan.name for scan in scans]


def test_a_folder_is_searched_through_and_names_follow_the_path(tmp_path):
    touch(tmp_path, "a.nii", "g1/a.nii.gz", "g2/deep/b.mha", "g1/.hidden.nii", ".cache/c.nii", "notes.txt", "out/d.nii")
    assert names(find_scans(tmp_path, DETECT, output=tmp_path / "out")) == ["a", "g1_a", "g2_deep_b"]


def test_the_name_of_a_scan_stays_when_others_come(tmp_path):
    touch(tmp_path, "g1/a.nii")
    before = names(find_scans(tmp_path, DETECT, output=tmp_path / "out"))
    touch(tmp_path, "g2/a.nii")
    assert before[0] in names(find_scans(tmp_path, DETECT, output=tmp_path / "out"))


def test_where_names_tell_contrasts_the_wanted_one_is_taken(tmp_path, caplog):
    touch(tmp_path, "x_T1w.nii", "x_FLAIR.nii", "x_dseg.nii")
    assert names(find_scans(tmp_path, DETECT, output=tmp_path / "o")) == ["x_T1w"]
    assert names(find_scans(tmp_path, AGE, output=tmp_path / "o")) == ["x_dseg"]
    assert "2 others are left out" in caplog.text


def test_a_folder_of_dicom_files_is_one_scan(tmp_path):
    touch(tmp_path, "p1/s1/IM0", "p1/s2/IM0", content="\0" * 128 + "DICM")
    touch(tmp_path, "p1/s3/IM0", "p2/scan.nii", content="x" * 200)
    assert names(find_scans(tmp_path, DETECT, output=tmp_path / "o")) == ["p1_s1", "p1_s2", "p2_scan"]
    assert names(find_scans(tmp_path, AGE, output=tmp_path / "o")) == ["p2_scan"]


def test_bids_gives_every_run_of_every_session_once(tmp_path):
    touch(
        tmp_path,
        "dataset_description.json",
        "sub-1/anat/sub-1_run-1_T1w.nii.gz",
        "sub-1/anat/sub-1_run-2_T1w.nii.gz",
        "sub-1/anat/sub-1_T2w.nii.gz",
        "sub-1/func/sub-1_bold.nii.gz",
        "sub-2/ses-a/anat/sub-2_ses-a_T1w.nii",
        "sub-2/ses-b/anat/sub-2_T1w.nii",
        "derivatives/x/sub-1/anat/sub-1_T1w.nii.gz",
    )
    found = find_scans(tmp_path, DETECT, output=tmp_path / "o")
    assert names(found) == ["sub-1_run-1_T1w", "sub-1_run-2_T1w", "sub-2_ses-a_T1w", "sub-2_ses-b_T1w"]
    assert names(find_scans(tmp_path, AGE, output=tmp_path / "o")) == ["sub-1_T2w"]


def test_a_link_is_named_as_it_is_called_in_the_data_set(tmp_path):
    touch(tmp_path, ".git/annex/MD5E-s1--a.nii.gz")
    (tmp_path / "sub-1" / "anat").mkdir(parents=True)
    (tmp_path / "sub-1/anat/sub-1_T1w.nii.gz").symlink_to(tmp_path / ".git/annex/MD5E-s1--a.nii.gz")
    assert names(find_scans(tmp_path, DETECT, output=tmp_path / "o")) == ["sub-1_T1w"]


def test_bids_prefers_a_label_map_to_the_image_that_it_was_made_from(tmp_path):
    touch(tmp_path, *(f"sub-1/anat/sub-1_{end}.nii.gz" for end in ("T2w", "desc-drawem9_dseg", "desc-drawem87_dseg")))
    touch(tmp_path, "sub-2/anat/sub-2_T2w.nii.gz")
    assert names(find_scans(tmp_path, AGE, output=tmp_path / "o")) == ["sub-1_desc-drawem87_dseg", "sub-2_T2w"]


def test_ages_come_from_the_tables_of_the_data_set(tmp_path):
    touch(tmp_path, "sub-1/ses-7/anat/sub-1_ses-7_dseg.nii", "sub-2/anat/sub-2_dseg.nii", "sub-3/anat/sub-3_dseg.nii")
    participants = "participant_id\tsex\tscan_age\n1\tM\t44\nsub-2\tF\t38.25\nsub-3\tF\tn/a\n"
    touch(tmp_path, "participants.tsv", content=participants)
    touch(tmp_path, "sub-1/sub-1_sessions.tsv", content="session_id\tscan_age\n6\t30\n7\t41.5\n")
    options = {scan.name: scan.options for scan in find_scans(tmp_path, AGE, output=tmp_path / "o")}
    assert options["sub-1_ses-7_dseg"] == ("--age", "41.5")  # the session's age before the infant's
    assert options["sub-2_dseg"] == ("--age", "38.25") and options["sub-3_dseg"] == ()


def test_an_age_in_years_is_not_taken_for_weeks(tmp_path):
    touch(tmp_path, "participants.tsv", content="participant_id\tage\nsub-1\t40\n")
    assert AgeTables(tmp_path).age_of("sub-1") is None


def test_an_age_that_is_no_number_is_refused(tmp_path):
    touch(tmp_path, "participants.tsv", content="participant_id\tscan_age\nsub-1\t40w\n")
    with pytest.raises(UsageError, match="sub-1 is '40w'"):
        AgeTables(tmp_path).age_of("sub-1")


def test_a_table_of_ages_in_the_folder_is_used(tmp_path):
    touch(tmp_path, "a.nii", "ages.tsv")
    assert find_scans(tmp_path, AGE, output=tmp_path / "o")[0].options == ("--age", str(tmp_path / "ages.tsv"))
    assert find_scans(tmp_path, DETECT, output=tmp_path / "o")[0].options == ()


@pytest.mark.parametrize("separator", [",", ";", "\t"])
def test_a_list_names_scans_and_their_options(tmp_path, separator):
    rows = [["scan", "name", "mask", "site"], ["a.nii", "", "m.nii", "x"], ["b c.nii", "second", "", "y"]]
    (tmp_path / "list.csv").write_text("\ufeff" + "\n".join(separator.join(row) for row in rows), encoding="utf-8")
    first, second = find_scans(tmp_path / "list.csv", DETECT, output=tmp_path / "o")
    assert (first.path, first.name, first.options) == (tmp_path / "a.nii", "a", ("--mask", str(tmp_path / "m.nii")))
    assert (second.path, second.name, second.options) == (tmp_path / "b c.nii", "second", ())


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("file\na.nii", "`scan`"),
        ("", "`scan`"),
        ("scan,name\n,x", "line 2"),
        ("scan,name\na.nii,../x", "line 2"),
        ("scan,name\na.nii,x\nb.nii,X", "columns scan and name"),
    ],
)
def test_a_wrong_list_is_refused_with_its_line(tmp_path, text, what):
    (tmp_path / "list.csv").write_text(text)
    with pytest.raises(UsageError, match=what):
        find_scans(tmp_path / "list.csv", DETECT, output=tmp_path / "o")


def test_two_scans_never_share_a_folder(tmp_path):
    touch(tmp_path, "a.nii", "a.nii.gz")
    with pytest.raises(UsageError, match="both go to a"):
        find_scans(tmp_path, DETECT, output=tmp_path / "o")


def test_nothing_to_do_is_refused(tmp_path):
    for source in (tmp_path, tmp_path / "absent"):
        with pytest.raises(InputRefused):
            find_scans(source, DETECT, output=tmp_path / "o")
