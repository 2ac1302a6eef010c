"""Registration, bias field, intensity scale and the way back: known transforms, known fields, exact round trips."""

import signal
import sys
import threading

import numpy as np
import pytest
import SimpleITK as sitk
from scipy.spatial.transform import Rotation

from neurogen.errors import Cancelled, InputRefused
from neurogen.preprocess.bias_field import correct_bias_field
from neurogen.preprocess.grid import GRID_AFFINE, GRID_SHAPE
from neurogen.preprocess.intensity import median_scale, percentile_scale
from neurogen.preprocess.itk_threads import stoppable
from neurogen.preprocess.prepare import PreparationSettings, prepare, to_native
from neurogen.preprocess.registration import register_to_template
from neurogen.preprocess.template import template_on_grid, template_t1
from neurogen.volumes import Volume, resample_to

UNREGISTERED = PreparationSettings(bias_correction=False)
REGISTERED = PreparationSettings(bias_correction=False, registered=True)


def moved_template(tilt_degrees, shift_mm, scale=1.0, spacing=2.0):
    """The template as a scan of another head would show it, and the truth: (4, 4) template RAS -> scan RAS."""
    truth = np.eye(4)
    truth[:3, :3] = scale * Rotation.from_euler("xyz", tilt_degrees, degrees=True).as_matrix()
    truth[:3, 3] = shift_mm
    affine = np.diag([spacing, spacing, spacing, 1.0])
    affine[:3, 3] = np.array(shift_mm) - 120
    scan = resample_to(template_t1(), (120, 120, 120), affine, transform=np.linalg.inv(truth))
    return Volume(scan.array * 700, affine), truth


@pytest.mark.parametrize(
    ("tilt", "shift", "scale"),
    [((0, 0, 0), (0, 0, 0), 1.0), ((32, -6, 8), (10, -25, 14), 0.92), ((-38, 10, -5), (-4, 9, 30), 1.05)],
    ids=["in place", "nodding forward", "nodding backward"],
)
def test_a_known_pose_is_recovered(tilt, shift, scale):
    scan, truth = moved_template(tilt, shift, scale)
    found = register_to_template(scan, scan.array > 0)
    points = np.argwhere(template_on_grid().array > 0)[::5000] @ GRID_AFFINE[:3, :3].T + GRID_AFFINE[:3, 3]
    error = (found.scan_from_template - truth)[:3, :3] @ points.T + (found.scan_from_template - truth)[:3, 3:]
    assert np.linalg.norm(error, axis=0).max() < 3.0
    assert found.overlap > 0.95 and found.correlation_ratio > 0.5


def test_what_is_no_brain_is_refused():
    shape = (60, 60, 60)
    rng = np.random.default_rng(1)
    stick = np.zeros(shape, bool)
    stick[25:35, 25:35] = True
    with pytest.raises(InputRefused, match="template"):
        register_to_template(Volume(rng.random(shape, np.float32), np.diag([3.0, 3, 3, 1])), stick)


def test_the_same_scan_is_registered_the_same_way():
    scan, _ = moved_template((12, 3, -4), (3, 2, 1))
    one, two = (register_to_template(scan, scan.array > 0) for _ in range(2))
    np.testing.assert_array_equal(one.scan_from_template, two.scan_from_template)


def test_a_registered_scan_is_only_resampled():
    template = template_t1()
    mask = template.with_array(template.array > 0)
    prepared = prepare(template, REGISTERED, mask=mask)
    inside = prepared.brain
    assert inside.shape == GRID_SHAPE
    expected = np.clip(template_on_grid().array / np.percentile(template_on_grid().array[inside], 98), 0, 1)
    np.testing.assert_allclose(prepared.image[inside], expected[inside], atol=0.01)
    assert (prepared.image[~inside] == 0).all()


def test_results_come_home_to_the_scans_own_grid():
    scan, truth = moved_template((20, 5, -8), (6, -3, 10))
    prepared = prepare(scan, UNREGISTERED, mask=scan.with_array(scan.array > 0))
    home = to_native(prepared.image, prepared)
    assert home.shape == scan.shape
    np.testing.assert_array_equal(home.affine, scan.affine)
    brain = to_native(prepared.brain.astype(np.float32), prepared).array > 0.99
    scaled = np.clip(prepared.scale.apply(scan.array), 0, 1)
    assert np.abs(home.array - scaled)[brain].mean() < 0.03
    assert np.corrcoef(home.array[brain], scaled[brain])[0, 1] > 0.95


def test_a_scan_elsewhere_cannot_pass_as_registered():
    template = template_t1()
    away = template.affine.copy()
    away[:3, 3] += 500
    volume = Volume(template.array, away)
    with pytest.raises(InputRefused, match="--registered"):
        prepare(volume, REGISTERED, mask=Volume(template.array > 0, away))


def test_a_cropped_field_of_view_is_told():
    template = template_t1()
    half = Volume(template.array[:, :, 75:].copy(), template.affine @ np.diag([1.0, 1, 1, 1]))
    half.affine[:3, 3] = (template.affine @ [0, 0, 75, 1])[:3]
    prepared = prepare(half, REGISTERED, mask=half.with_array(half.array > 0))
    assert any("outside the field of view" in text for text in prepared.warnings)


def test_a_smooth_bias_field_is_removed():
    template = resample_to(template_t1(), (99, 117, 95), template_t1().affine @ np.diag([2.0, 2, 2, 1]))
    brain = template.array > 0
    ramp = np.linspace(0.6, 1.4, 99)[:, None, None] * np.linspace(1.2, 0.8, 117)[None, :, None]
    biased = template.with_array((template.array * ramp * 500).astype(np.float32))
    corrected = correct_bias_field(biased, brain)
    white = template.array > 0.85

    def spread(array):
        return array[white].std() / array[white].mean()

    assert spread(corrected.array) < 0.5 * spread(biased.array)
    assert corrected.array[brain].mean() == pytest.approx(biased.array[brain].mean(), rel=1e-3)


def test_scales_have_their_definition_and_their_inverse():
    rng = np.random.default_rng(3)
    raw = rng.gamma(5, 20, (30, 30, 30))
    brain = rng.random(raw.shape) < 0.5
    p98 = percentile_scale(raw, brain)
    assert np.percentile(p98.apply(raw)[brain], 98) == pytest.approx(1)
    relative = median_scale(raw, brain)
    values = relative.apply(raw)[brain]
    assert np.median(values) == pytest.approx(0, abs=1e-6)
    assert np.subtract(*np.percentile(values, [75, 25])) == pytest.approx(1, abs=1e-5)
    np.testing.assert_allclose(relative.invert(relative.apply(raw)), raw)


def test_a_signal_stops_itk_at_its_next_iteration():
    """N4 with a million iterations would go on for hours."""
    image = sitk.GetImageFromArray(1 + np.random.default_rng(0).random((24, 24, 24), np.float32))
    corrector = sitk.N4BiasFieldCorrectionImageFilter()
    corrector.SetMaximumNumberOfIterations([1_000_000])
    corrector.SetConvergenceThreshold(0.0)
    began = threading.Event()
    corrector.AddCommand(sitk.sitkIterationEvent, began.set)

    def cancel(number, frame):
        raise Cancelled("Cancelled.")

    before, hook = signal.signal(signal.SIGTERM, cancel), sys.excepthook
    threading.Thread(target=lambda: (began.wait(), signal.raise_signal(signal.SIGTERM)), daemon=True).start()
    try:
        with pytest.raises(Cancelled), stoppable(corrector):
            corrector.Execute(image)
    finally:
        signal.signal(signal.SIGTERM, before)
    assert sys.excepthook is hook


def test_an_error_of_itk_itself_stays_what_it_is():
    corrector = sitk.N4BiasFieldCorrectionImageFilter()
    image = sitk.GetImageFromArray(np.ones((8, 8, 8), np.float32))
    with pytest.raises(RuntimeError, match="same|physical|size"), stoppable(corrector):
        corrector.Execute(image, sitk.GetImageFromArray(np.ones((4, 4, 4), np.uint8)))
