"""The kind of scan is recognized with and without a header, in any pose; unsuitable scans are refused or flagged."""

import nibabel as nib
import nibabel.processing
import numpy as np
import pytest
from builders import FLAIR, GEOMETRIES, T1W, T2W, affine_of, phantom
from scipy import ndimage

from neurogen.errors import InputRefused
from neurogen.preprocess.contrast import check_suitable, measure, recognise
from neurogen.preprocess.header import age_years, told_contrast
from neurogen.volumes import Volume, load_volume

SHAPE = (80, 96, 72)
AFFINE = affine_of(SHAPE, (2, 2, 2))
MODEL = {"id": "adult-reflect", "contrasts": ["t1w", "flair"], "age_range": [20, 82]}
TISSUES = {"t1w": T1W, "t2w": T2W, "flair": FLAIR}


def head(tissues=T1W, *, scale=1.0, facts=None, shape=SHAPE, affine=AFFINE) -> tuple[Volume, np.ndarray]:
    image, brain = phantom(shape, affine, tissues=tissues, scale=scale, noise=0.03, rng=np.random.default_rng(0))
    return Volume(image.array, affine, facts or {}), brain.array


def with_agent(image: Volume, brain: np.ndarray) -> Volume:
    """2 % of the brain far brighter than white matter, in thin strands."""
    strands = ndimage.gaussian_filter(np.random.default_rng(1).standard_normal(image.shape), 1.5)
    strands = brain & (strands > np.quantile(strands[brain], 0.98))
    return Volume(np.where(strands, 3.0, image.array).astype(np.float32), image.affine, image.facts)


def suitable(image: Volume, brain: np.ndarray, manifest=MODEL) -> tuple[str, ...]:
    return check_suitable(image, brain, image.facts, manifest)


@pytest.mark.parametrize("name", ["oblique", "anisotropic", "las"])
@pytest.mark.parametrize("contrast", TISSUES)
def test_contrast_is_seen_in_every_pose_without_a_header(name, contrast):
    shape, affine = GEOMETRIES[name]
    assert recognise(*head(TISSUES[contrast], shape=shape, affine=affine)).contrast == contrast


def test_measures_do_not_depend_on_the_unit_of_the_intensities():
    image, brain = head()
    scaled = image.with_array(image.array * 4000)
    first, second = measure(image, brain), measure(scaled, brain)
    np.testing.assert_allclose(
        [first.balance, first.depth_ratio, first.bright_tail],
        [second.balance, second.depth_ratio, second.bright_tail],
        rtol=1e-3,
    )


def test_a_large_bright_lesion_in_a_t1w_scan_is_never_refused():
    """25 ml a third brighter than white matter: a hemorrhage may look like agent, but must reach the detector."""
    image, brain = head(facts={"name": "sub-01_T1w.nii.gz"})
    distance = np.linalg.norm(np.indices(SHAPE) - np.array([25, 50, 45])[:, None, None, None], axis=0) * 2
    lesion = image.with_array(np.where(distance < 18, 1.27, image.array).astype(np.float32))
    suitable(lesion, brain)
    suitable(Volume(lesion.array, AFFINE), brain)


@pytest.mark.parametrize(
    ("facts", "contrast"),
    [
        ({"name": "sub-01_T1w.nii.gz"}, "t1w"),
        ({"name": "patient07_T1POST.nii.gz"}, "t1w-post-contrast"),
        ({"name": "sub-01_ce-gad_T1w.nii.gz"}, "t1w-post-contrast"),
        ({"name": "sub-01_FLAIR.nii.gz"}, "flair"),
        ({"name": "sub-01_T2w.nii.gz"}, "t2w"),
        ({"name": "scan.nii.gz"}, "unknown"),
        ({"SeriesDescription": "t1_mprage_sag_p2_iso"}, "t1w"),
        ({"SeriesDescription": "Ax T1 SE +C"}, "t1w-post-contrast"),
        ({"SeriesDescription": "T1 pre contrast"}, "t1w"),
        ({"SeriesDescription": "Ax T2 FLAIR FS"}, "flair"),
        ({"SeriesDescription": "t2_tse_tra", "name": "T1w.nii"}, "t2w"),
        ({"name": "sub-01_T1w.nii.gz", "ContrastBolusAgent": "Gadovist"}, "t1w-post-contrast"),
        ({"name": "sub-01_T1w.nii.gz", "ContrastBolusAgent": "NONE"}, "t1w"),
        ({"RepetitionTime": "2300", "EchoTime": "2.9", "InversionTime": "900"}, "t1w"),
        ({"RepetitionTime": "550", "EchoTime": "12"}, "t1w"),
        ({"RepetitionTime": "5000", "EchoTime": "100"}, "t2w"),
        ({"RepetitionTime": "9000", "EchoTime": "120", "InversionTime": "2500"}, "flair"),
        ({"RepetitionTime": "3000", "EchoTime": "15"}, "unknown"),
        ({"EchoTime": "unknown"}, "unknown"),
    ],
    ids=str,
)
def test_header_words_and_times_tell_the_contrast(facts, contrast):
    assert told_contrast(facts)[0] == contrast


@pytest.mark.parametrize(
    ("text", "years"), [("045Y", 45), ("006M", 0.5), ("026W", 0.498), ("45", 45), ("", None), ("old", None)]
)
def test_age_is_read_in_every_unit(text, years):
    assert age_years({"PatientAge": text}) == (None if years is None else pytest.approx(years, abs=0.01))


def test_suitable_scan_gives_no_warning():
    assert suitable(*head()) == ()
    assert suitable(*head(facts={"name": "sub-01_T1w.nii.gz", "PatientAge": "045Y", "Modality": "MR"})) == ()


def test_t2w_is_refused_whatever_its_name_says():
    with pytest.raises(InputRefused, match="t2w scan .*T1-weighted"):
        suitable(*head(T2W))
    with pytest.raises(InputRefused, match="t2w scan"):
        suitable(*head(T2W, facts={"name": "sub-01_T1w.nii.gz"}))


def test_flair_is_refused_because_its_level_is_for_the_benchmark():
    with pytest.raises(InputRefused, match="one axial level only, for a benchmark"):
        suitable(*head(FLAIR, facts={"name": "sub-01_FLAIR.nii.gz"}))
    with pytest.raises(InputRefused, match="made for T1-weighted scans"):
        suitable(*head(FLAIR), manifest=MODEL | {"contrasts": ["t1w"]})


def test_agent_is_refused_where_the_header_says_so_too_and_flagged_otherwise():
    image, brain = head()
    bright = with_agent(image, brain)
    assert any("t1w-post-contrast" in warning for warning in suitable(bright, brain))
    named = Volume(bright.array, AFFINE, {"name": "patient_T1POST.nii.gz"})
    with pytest.raises(InputRefused, match="t1w-post-contrast scan"):
        suitable(named, brain)
    only_named = Volume(image.array, AFFINE, {"name": "patient_T1POST.nii.gz"})
    assert any("may be t1w-post-contrast" in warning for warning in suitable(only_named, brain))


def test_header_and_intensities_that_disagree_are_flagged():
    warnings = suitable(*head(FLAIR, facts={"name": "sub-01_T1w.nii.gz"}))
    assert any("may be flair" in warning for warning in warnings)


def test_noise_is_no_known_contrast():
    image, brain = head()
    noise = image.with_array(np.random.default_rng(0).random(SHAPE).astype(np.float32))
    assert recognise(noise, brain).contrast != "t1w"


def test_thick_slices_are_flagged_or_refused_as_the_model_says():
    shape, affine = GEOMETRIES["anisotropic"]
    image, brain = head(shape=shape, affine=affine)
    assert any("slices are 5.0 mm apart" in warning for warning in suitable(image, brain))
    with pytest.raises(InputRefused, match="needs at most 3 mm"):
        suitable(image, brain, MODEL | {"maximum_slice_mm": 3})


def test_child_is_flagged_by_age_and_by_size():
    assert any("age of 6.0 years" in w for w in suitable(*head(facts={"PatientAge": "006Y"})))
    assert any("a child" in w for w in suitable(*head(scale=0.78)))
    assert any("made for 20 to 82 years" in w for w in suitable(*head(facts={"PatientAge": "090Y"})))


def test_implausible_brain_is_refused():
    with pytest.raises(InputRefused, match="0 ml of brain"):
        suitable(head()[0], np.zeros(SHAPE, bool))
    with pytest.raises(InputRefused, match="4424 ml of brain"):
        suitable(head()[0], np.ones(SHAPE, bool))


def test_other_modality_is_refused():
    with pytest.raises(InputRefused, match="modality CT"):
        suitable(*head(facts={"Modality": "CT"}))


def test_other_body_part_cut_brain_and_doubts_of_the_reader_are_told():
    assert any("'KNEE'" in w for w in suitable(*head(facts={"BodyPartExamined": "KNEE"})))
    assert suitable(*head(facts={"BodyPartExamined": "HEAD"})) == ()
    assert "two affines." in suitable(*head(facts={"affine_warning": "two affines."}))
    shape, affine = GEOMETRIES["cropped"]
    assert any("cuts the brain" in w for w in suitable(*head(shape=shape, affine=affine)))


@pytest.mark.parametrize(
    ("folder", "pattern", "contrast"),
    [
        ("adult_t1_1mm", "sub-*_T1w.nii.gz", "t1w"),
        ("ms_mni_1mm", "*_T1.nii.gz", "t1w"),
        ("ms_mni_1mm", "*_T2.nii.gz", "t2w"),
        ("ms_mni_1mm", "*_FLAIR.nii.gz", "flair"),
        ("ms_mni_1mm", "*_T1POST.nii.gz", "t1w-post-contrast"),
    ],
)
def test_real_scans_are_recognized_without_their_header(shared_data, folder, pattern, contrast):
    for path in sorted((shared_data / folder).glob(pattern))[::24]:
        scan = load_volume(path)
        brain = ndimage.binary_fill_holes(scan.array > 0)
        assert recognise(Volume(scan.array, scan.affine), brain).contrast == contrast, path.name


def test_thick_slices_of_a_real_scan_are_still_t1w(shared_data):
    path = sorted((shared_data / "adult_t1_1mm").glob("*_T1w.nii.gz"))[0]
    image = nib.processing.resample_to_output(nib.load(path), (1, 1, 5), order=1)
    thick = Volume(image.get_fdata(dtype=np.float32), image.affine)
    assert recognise(thick, ndimage.binary_fill_holes(thick.array > 0)).contrast == "t1w"
