"""`detect` end to end on phantoms: every result on the scan's own grid, a planted place found where it is.

The score comes from a rule that knows the answer (what is nearly black deep in the brain), so that only geometry,
thresholds and bookkeeping are under test; networks have tests of their own.
"""

import numpy as np
import pytest
import torch
from builders import GEOMETRIES, phantom, world_of

from neurogen.anomaly import DetectionSettings, detect, detection
from neurogen.anomaly.anomaly_map import CellMaps, HealthyError, HealthyStandard, published_map, smooth_within
from neurogen.anomaly.codec import PixelCodec
from neurogen.anomaly.contrast_scale import FLAIR, T1W
from neurogen.anomaly.detector import Detector, ScoreSettings, to_slabs
from neurogen.errors import Cancelled, InputRefused, UsageError
from neurogen.networks.velocity_unet import build
from neurogen.preprocess.grid import GRID_SHAPE, from_slices, to_slices
from neurogen.training.choose_standard import choose_slice_standard
from neurogen.volumes import Volume

LESION_RAS = np.array([24.0, -20.0, 18.0])
RADIUS_MM = 11.0
CONTEXTS = {"t1w": torch.zeros(80, 2, 96, 80), "flair": torch.ones(1, 2, 96, 80)}


class FakeStore:
    """A store with one anomaly model whose operating point is 3."""

    class Model:
        id, sha256 = "adult-reflect", "0" * 64
        manifest = {
            "task": "anomaly",
            "version": "1.0.0",
            "contrasts": ["t1w"],
            "age_range": [20, 82],
            "calibration": {"t1w": {"threshold": 3.0, "sentence": "19 of 20 healthy scans"}},
        }

    def get(self, name):
        return self.Model()


def nearly_black(prepared, model, settings, device, progress):
    score = -10.0 * ((prepared.image < 0.1) & prepared.brain)
    return score.astype(np.float32), np.maximum(prepared.image, 0.8 * prepared.brain)


@pytest.fixture
def knowing_score(monkeypatch):
    monkeypatch.setattr(detection, "_score", nearly_black)


def planted(geometry):
    shape, affine = GEOMETRIES[geometry]
    image, brain = phantom(shape, affine)
    distance = np.linalg.norm(world_of(shape, affine) - LESION_RAS[:, None, None, None], axis=0)
    inside = distance < RADIUS_MM
    return Volume(np.where(inside, 0.01, image.array).astype(np.float32), affine), brain, inside


@pytest.mark.parametrize("geometry", ["ras", "oblique", "las", "conformed", "sagittal-stack"])
def test_a_planted_place_is_found_within_two_millimeters(geometry, knowing_score):
    volume, brain, inside = planted(geometry)
    found = detect(volume, DetectionSettings(), mask=brain, store=FakeStore())
    for result in (found.pseudo_healthy, found.anomaly_map, found.lesions, found.brain):
        assert result.shape == volume.shape
        np.testing.assert_array_equal(result.affine, volume.affine)
    lesion = found.table[0]
    assert lesion.polarity == "dark" and lesion.side == "right"
    assert np.linalg.norm(np.array(lesion.centroid_ras_mm) - LESION_RAS) < 2.0
    marked = found.lesions.array == 1
    assert 2 * (marked & inside).sum() / (marked.sum() + inside.sum()) > 0.7
    assert found.operating_point.threshold == 3.0


def test_only_what_the_flow_moved_differs_from_the_scan(knowing_score):
    volume, brain, inside = planted("ras")
    found = detect(volume, DetectionSettings(bias_correction=False), mask=brain, store=FakeStore())
    change = found.pseudo_healthy.array - volume.array
    assert change[inside].mean() > 0.4
    bright = (volume.array > 0.9) & ~inside
    assert np.abs(change[bright]).mean() < 0.05
    assert (found.pseudo_healthy.array[brain.array == 0] == volume.array[brain.array == 0]).all()


def test_the_same_scan_gives_the_same_result(knowing_score):
    volume, brain, _ = planted("ras")
    one, two = (detect(volume, DetectionSettings(), mask=brain, store=FakeStore()) for _ in range(2))
    np.testing.assert_array_equal(one.anomaly_map.array, two.anomaly_map.array)
    np.testing.assert_array_equal(one.pseudo_healthy.array, two.pseudo_healthy.array)


def test_direction_and_threshold_are_obeyed(knowing_score):
    volume, brain, _ = planted("ras")
    assert not detect(volume, DetectionSettings(direction="bright"), mask=brain, store=FakeStore()).table
    higher = detect(volume, DetectionSettings(threshold=50.0), mask=brain, store=FakeStore())
    assert not higher.table and "chosen by the user" in higher.operating_point.sentence


def test_cancel_stops_the_job(knowing_score):
    volume, brain, _ = planted("ras")

    def cancel(stage, fraction):
        if fraction > 0.3:
            raise Cancelled("stopped")

    with pytest.raises(Cancelled):
        detect(volume, DetectionSettings(), cancel, mask=brain, store=FakeStore())


def test_a_ball_is_not_registered_as_a_brain(knowing_score):
    shape, affine = GEOMETRIES["ras"]
    rng = np.random.default_rng(0)
    half = world_of(shape, affine)[2] > 40  # a cap of noise
    noise = Volume(rng.uniform(0.2, 1, shape).astype(np.float32) * half, affine)
    with pytest.raises(InputRefused):
        detect(noise, DetectionSettings(), mask=Volume(half, affine), store=FakeStore())


@pytest.mark.parametrize("wrong", [{"direction": "up"}, {"steps": -1}, {"threshold": -1.0}, {"batch_size": 0}])
def test_settings_that_make_no_sense_are_refused(wrong):
    with pytest.raises(UsageError):
        DetectionSettings(**wrong)


@pytest.fixture(scope="module")
def detector():
    torch.manual_seed(1)
    network = build(channels=1, contrasts=2, widths=(8, 16), blocks=1, fold=2, context=2, attention_heads=2).eval()
    for parameter in network.parameters():
        parameter.data.add_(0.03 * torch.randn_like(parameter))
    return Detector(network.requires_grad_(False), PixelCodec(), {"t1w": T1W, "flair": FLAIR}, CONTEXTS, {})


@pytest.fixture(scope="module")
def slices():
    rng = np.random.default_rng(4)
    image = rng.uniform(0.2, 1, (3, 192, 160)).astype(np.float32)
    brain = np.zeros(image.shape, bool)
    brain[:, 40:150, 30:130] = True
    return image * brain, brain


def test_one_slice_at_a_time_equals_a_batch(detector, slices):
    image, brain = slices
    together = detector.slice_maps(image, brain, "t1w", ScoreSettings(batch_size=3)).flow
    alone = detector.slice_maps(image, brain, "t1w", ScoreSettings(batch_size=1)).flow
    np.testing.assert_allclose(together, alone, atol=1e-4)
    assert np.abs(together).max() > 1e-3


def test_with_flips_a_mirrored_slice_gives_the_mirrored_deviation(detector, slices):
    image, brain = slices
    here = detector.slice_maps(image, brain, "t1w", ScoreSettings()).flow
    mirrored = detector.slice_maps(image[..., ::-1].copy(), brain[..., ::-1].copy(), "t1w", ScoreSettings()).flow
    np.testing.assert_allclose(mirrored[..., ::-1], here, atol=1e-4)


def test_a_network_that_moves_nothing_finds_nothing(slices):
    still = build(channels=1, contrasts=2, widths=(8, 16), blocks=1, fold=2, context=2, attention_heads=2).eval()
    detector = Detector(still, PixelCodec(), {"t1w": T1W}, CONTEXTS, {})
    np.testing.assert_allclose(detector.slice_maps(*slices, "t1w", ScoreSettings()).flow, 0, atol=1e-6)


def test_slabs_are_means_over_brain_only():
    image, brain = np.zeros(GRID_SHAPE, np.float32), np.zeros(GRID_SHAPE, bool)
    brain[50, 60, 70], image[50, 60, 70] = True, 0.8
    brain[51, 60, 70:72], image[51, 60, 70], image[51, 60, 71] = True, 0.2, 0.6
    slabs, inside = to_slabs(image, brain)
    picture, mask = slabs[35], inside[35]
    assert slabs.shape == (80, 192, 160)
    assert picture[191 - 60, 50] == pytest.approx(0.8)  # its neighbor above is not brain
    assert picture[191 - 60, 51] == pytest.approx(0.4)
    assert mask.sum() == 2 and inside.sum() == 2


def test_slices_and_back():
    array = np.random.default_rng(0).random((5, 6, 7))
    pictures = to_slices(array)
    assert pictures.shape == (7, 6, 5)
    assert pictures[2, 0, 1] == array[1, 5, 2]  # first row = most anterior
    np.testing.assert_array_equal(from_slices(pictures), array)


def test_smoothing_is_not_diluted_by_the_background():
    brain = np.zeros((20, 20), bool)
    brain[5:15, 5:15] = True
    smooth = smooth_within(np.where(brain, 2.0, 99.0), brain, (1.5, 1.5))
    np.testing.assert_allclose(smooth[brain], 2.0, rtol=1e-5)
    assert (smooth[~brain] == 0).all()


def test_healthy_error_makes_healthy_deviations_standard():
    rng = np.random.default_rng(2)
    spread = np.linspace(0.5, 3, 30)[None, :, None]
    deviations = 1.0 + spread * rng.standard_normal((400, 30, 30))
    error = HealthyError.fit(deviations, np.ones(deviations.shape, bool), floor=0.0, sigma_cells=1.0)
    standard = error.standardize(1.0 + spread * rng.standard_normal((400, 30, 30)))
    assert abs(standard.mean()) < 0.1
    assert standard.std() == pytest.approx(1.0, abs=0.15)


@pytest.mark.parametrize("weight", [0.0, 0.3, 1.0])
def test_the_score_mixes_flow_and_place(weight):
    brain = np.ones((4, 5), bool)
    brain[0] = False
    flow = HealthyError(np.full((4, 5), 0.1), np.full((4, 5), 0.4), floor=0.1, sigma_cells=1.0)
    place = HealthyError(np.full((4, 5), 2.0), np.full((4, 5), 0.9), floor=0.1, sigma_cells=1.0)
    maps = CellMaps(np.full((4, 5), 0.6), np.full((4, 5), 5.0), brain)  # one and three healthy deviations
    score = HealthyStandard(flow, place, weight).score(maps)
    np.testing.assert_allclose(score[brain], (1 - weight) * 1.0 + weight * 3.0, rtol=1e-6)
    assert (score[~brain] == 0).all()


def test_the_standard_that_finds_planted_lesions_is_chosen():
    """Lesions that only the image shows call for the place term, those that only the flow shows for the flow."""
    rng = np.random.default_rng(6)
    brain = np.ones((30, 24, 24), bool)
    noise = [rng.standard_normal((3, 30, 24, 24)) for _ in range(2)]
    healthy = CellMaps(noise[0][0], noise[0][1], brain)
    truth = np.zeros(brain.shape, bool)
    truth[:, 8:14, 8:14] = True
    only_flow = CellMaps(noise[1][0] + 4 * truth, noise[1][1], brain)
    only_image = CellMaps(noise[1][0], noise[1][1] + 4 * truth, brain)
    assert choose_slice_standard(healthy, only_flow, truth)[0].place_weight < 0.5
    chosen, tried = choose_slice_standard(healthy, only_image, truth)
    assert chosen.place_weight > 0.5 and tried["place weight 1, sides 0"] > tried["place weight 0, sides 0"]


def test_the_published_map_is_equation_5_10_clipped_and_smoothed():
    pixel, latent = np.zeros((1, 64, 64)), np.zeros((1, 2, 8, 8))
    pixel[0, 20:44, 20:44] = 0.2
    latent[0, :, 3:5, 3:5] = -0.8  # beyond the clip, and negative: the magnitude counts
    result = published_map(pixel, latent, 8)
    assert result.shape == pixel.shape
    assert result[0, 32, 32] < 0.5 * 0.5 + 0.5  # the latent peak is smoothed
    assert result.max() <= 1 and result.min() >= 0
    only_pixel = published_map(pixel, np.zeros_like(latent), 8)
    assert only_pixel[0, 32, 32] == pytest.approx(0.25, rel=1e-3)
