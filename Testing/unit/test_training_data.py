"""From a folder of scans to training slices: names, masks, refusals, and splits by subject."""

import json
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from neurogen.errors import InputRefused
from neurogen.preprocess import prepare as preparation
from neurogen.preprocess.grid import GRID_SHAPE
from neurogen.training.dataset import contrast_of, data_facts, find_scans, open_slices
from neurogen.volumes import Volume, save_volume


def write_scan_file(path: Path, value: float) -> None:
    array = np.random.default_rng(int(value)).uniform(value, value + 1, (8, 8, 8)).astype(np.float32)
    save_volume(Volume(array, np.eye(4)), path)


@pytest.fixture
def scans(tmp_path, monkeypatch) -> Path:
    """Seven scans of five subjects (sub-0 three times), one of them bad, one with a mask; a fake preparation."""
    folder = tmp_path / "scans"
    folder.mkdir()
    names = ["sub-0_ses-1", "sub-0_ses-2", "sub-0_ses-3", "sub-1", "sub-2", "sub-3", "sub-4"]
    for k, name in enumerate(names):
        write_scan_file(folder / f"{name}_T1w.nii.gz", 10.0 * (k + 1))
    save_volume(Volume(np.ones((8, 8, 8), np.uint8), np.eye(4)), folder / "sub-1_T1w_mask.nii.gz")

    def fake_prepare(volume, settings=None, *, mask=None):
        prepared.append((volume.array.min() // 10, mask is not None))
        if volume.array.min() // 10 == 7:
            raise InputRefused("not a brain")
        image = np.zeros(GRID_SHAPE, np.float32)
        image[40:120, 40:150, 50:52] = 0.5
        return SimpleNamespace(image=image, brain=image > 0)

    prepared: list[tuple[float, bool]] = []
    monkeypatch.setattr(preparation, "prepare", fake_prepare)
    monkeypatch.setattr(preparation, "calls", prepared, raising=False)
    return folder


def test_scans_are_prepared_once_with_their_masks_and_refusals_are_listed(scans, tmp_path):
    cache = open_slices(scans, tmp_path / "work")
    assert len(cache) == 6 * 2 and set(cache.contrast) == {"t1w"} and set(cache.level) == {50, 51}
    assert [has_mask for _, has_mask in preparation.calls] == [False] * 3 + [True] + [False] * 3
    assert json.loads((tmp_path / "work" / "refused.json").read_text(encoding="utf-8")) == {
        "sub-4_T1w.nii.gz": "not a brain"
    }
    open_slices(scans, tmp_path / "work")
    assert len(preparation.calls) == 8  # the refused one is tried again, the others are not


def test_sessions_of_a_subject_stay_in_one_split(scans, tmp_path):
    cache = open_slices(scans, tmp_path / "work")
    mine = np.char.startswith(cache.subject, "sub-0_")
    assert len(set(cache.split[mine])) == 1
    assert set(cache.split) == {"train", "calibrate", "test"}


def test_too_few_scans_are_refused_with_the_reasons(scans, tmp_path):
    for path in sorted(scans.glob("*_T1w.nii.gz"))[:5]:
        path.unlink()
    with pytest.raises(InputRefused, match="1 of 2 scans could be prepared.*not a brain"):
        open_slices(scans, tmp_path / "work")


def test_contrast_is_read_from_the_name():
    assert contrast_of(Path("sub-01_T1w.nii.gz")) == "t1w"
    assert contrast_of(Path("x_FLAIR.nii")) == "flair"
    with pytest.raises(InputRefused, match="contrast of scan"):
        contrast_of(Path("scan.nii.gz"))


def test_a_folder_without_scans_or_with_one_name_twice_is_refused(tmp_path):
    with pytest.raises(InputRefused, match="neither NIfTI scans nor a slice cache"):
        open_slices(tmp_path, tmp_path / "work")
    for site in ("a", "b"):
        (tmp_path / site).mkdir()
        (tmp_path / site / "sub-1_T1w.nii.gz").touch()
    with pytest.raises(InputRefused, match="several scans named sub-1_T1w"):
        find_scans(tmp_path)


def test_facts_are_taken_from_their_file_or_say_what_is_unknown(scans, tmp_path):
    cache = open_slices(scans, tmp_path / "work")
    unknown = data_facts(scans, cache)
    assert unknown["training_data"][0]["scans"] == len(set(cache.subject[cache.split == "train"]))
    assert "not stated" in unknown["licence"]
    (scans / "facts.json").write_text(json.dumps({"licence": "CC0"}))
    assert data_facts(scans, cache) == {"licence": "CC0"}
