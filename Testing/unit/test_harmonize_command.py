"""`harmonize_site` and `neurogen harmonize` end to end on phantoms: grids, units, files, refusals, cancel."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from builders import T2W, affine_of, phantom
from site_builders import build_site, write_site_cache

from neurogen.cli import main
from neurogen.errors import Cancelled, InputRefused, ModelUnavailable, UsageError
from neurogen.harmonize import harmonization
from neurogen.harmonize.harmonization import ALREADY, GIVEN_BACK, harmonize_site
from neurogen.harmonize.landmarks import LANDMARKS
from neurogen.harmonize.settings import HarmonizationSettings
from neurogen.harmonize.site import load_site
from neurogen.harmonize.transform import CurveTransform
from neurogen.models import ModelStore
from neurogen.volumes import Volume, load_volume, save_volume

SHAPE = (80, 96, 76)


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    folder = tmp_path_factory.mktemp("site")
    return build_site(write_site_cache(folder / "cache"), folder / "out", reference_unit=100.0)


@pytest.fixture
def settings(model):
    return HarmonizationSettings(
        model=str(model.path), registered=True, bias_correction=False, device="cpu", most_steps=2, slices=4
    )


def scan(*, gamma=1.0, affine=None, **options):
    volume, brain = phantom(SHAPE, affine_of(SHAPE, (2, 2, 2)) if affine is None else affine, **options)
    image = np.where(brain.array, np.clip(volume.array, 0, None) ** gamma, 0)
    return Volume(image.astype(np.float32), volume.affine), brain


def unlike(monkeypatch):
    """No scan passes for one of the reference."""
    monkeypatch.setattr(harmonization, "is_reference", lambda *_: False)


def likelier(monkeypatch):
    """Every harmonized scan is likelier than before."""
    monkeypatch.setattr(harmonization, "scan_bits", lambda *_: -1.0)


@pytest.mark.parametrize("axes", ["RAS", "LIA"])
def test_the_result_lies_on_the_scans_grid_in_the_references_unit(settings, monkeypatch, axes):
    unlike(monkeypatch), likelier(monkeypatch)
    shape = SHAPE if axes == "RAS" else (96, 96, 96)
    volume, brain = phantom(shape, affine_of(shape, (2, 2, 2), axes=axes))
    volume = Volume(np.where(brain.array, volume.array, 0) * 700, volume.affine)
    (done,) = harmonize_site([volume], replace(settings, adapt="none"), masks=[brain]).scans
    assert done.harmonized.shape == volume.shape and np.array_equal(done.harmonized.affine, volume.affine)
    inside = brain.array > 0
    assert (done.harmonized.array[~inside] == 0).all()
    assert np.percentile(done.harmonized.array[inside], 98) == pytest.approx(100, rel=0.05)
    assert np.corrcoef(done.harmonized.array[inside], volume.array[inside])[0, 1] > 0.99
    assert done.stop_reason == "not adapted" and done.anatomy.jump < 0.01


def test_a_scan_of_the_reference_is_left_as_it_is(settings, monkeypatch):
    monkeypatch.setattr(harmonization, "is_reference", lambda *_: True)
    volume, brain = scan()
    (done,) = harmonize_site([volume], settings, masks=[brain]).scans
    assert done.stop_reason == ALREADY and done.ssim == pytest.approx(1.0, abs=1e-4) and done.steps == 0
    ratio = done.harmonized.array[brain.array] / volume.array[brain.array]
    assert ratio.std() / ratio.mean() < 1e-4


def test_no_gain_gives_the_input_back(settings, monkeypatch):
    unlike(monkeypatch)
    monkeypatch.setattr(harmonization, "scan_bits", lambda *_: 1e9)
    volume, brain = scan()
    (done,) = harmonize_site([volume], settings, masks=[brain]).scans
    assert done.stop_reason == GIVEN_BACK and "no more like the reference" in done.problem
    assert np.array_equal(done.harmonized.array, volume.array)


def test_changed_anatomy_gives_the_input_back(settings, monkeypatch):
    unlike(monkeypatch), likelier(monkeypatch)
    blurred = lambda self, prepared, read: np.roll(prepared.image, 6, axis=0) * prepared.brain  # noqa: E731
    monkeypatch.setattr(harmonization.CurveTransform, "on_grid", blurred)
    volume, brain = scan()
    (done,) = harmonize_site([volume], settings, masks=[brain]).scans
    assert done.stop_reason == GIVEN_BACK and "edges changed" in done.problem
    assert np.array_equal(done.harmonized.array, volume.array)


def test_same_seed_same_result_and_a_saved_adaptation_serves_later_scans(settings, monkeypatch):
    unlike(monkeypatch), likelier(monkeypatch)
    volume, brain = scan(gamma=1.5)
    runs = [harmonize_site([volume], settings, masks=[brain]) for _ in range(2)]
    assert np.array_equal(runs[0].scans[0].harmonized.array, runs[1].scans[0].harmonized.array)
    again = harmonize_site([volume], settings, masks=[brain], adapted=runs[0].adapted)
    assert np.allclose(again.scans[0].harmonized.array, runs[0].scans[0].harmonized.array)
    with pytest.raises(UsageError, match="does not fit"):
        harmonize_site([volume], settings, masks=[brain], adapted={"shift": torch.zeros(3)})


def test_scans_of_a_site_share_one_adaptation(settings, monkeypatch):
    unlike(monkeypatch), likelier(monkeypatch)
    pairs = [scan(gamma=1.5), scan(gamma=1.5, noise=0.02, rng=np.random.default_rng(1))]
    settings = replace(settings, stop="cap")
    together = harmonize_site([v for v, _ in pairs], settings, masks=[b for _, b in pairs])
    assert together.scans[0].curve == together.scans[1].curve and len(together.scans[0].curve) > 1
    alone = harmonize_site([v for v, _ in pairs], replace(settings, adapt="scan"), masks=[b for _, b in pairs])
    assert alone.scans[0].curve != alone.scans[1].curve


def test_one_curve_for_all_scans_keeps_their_differences_and_serves_later_ones(settings, monkeypatch):
    unlike(monkeypatch), likelier(monkeypatch)
    pairs = [scan(gamma=1.5), scan(gamma=1.2, noise=0.02, rng=np.random.default_rng(1))]
    volumes, masks = [v for v, _ in pairs], [b for _, b in pairs]
    one = replace(settings, adapt="none", together=True)
    result = harmonize_site(volumes, one, masks=masks)
    later = harmonize_site(volumes[:1], one, masks=masks[:1], adapted=result.adapted)
    assert np.allclose(later.scans[0].harmonized.array, result.scans[0].harmonized.array)
    alone = harmonize_site(volumes[:1], replace(one, together=False), masks=masks[:1])
    assert not np.allclose(alone.scans[0].harmonized.array, result.scans[0].harmonized.array)


def test_scans_of_a_site_share_their_dark_landmarks_and_keep_their_bright_ones(settings, model):
    network = load_site(model).harmonizer
    transform = CurveTransform(network, np.linspace(0.1, 0.9, len(LANDMARKS)), own_curve=False)
    width = transform.site.shape[1]
    owns = [torch.linspace(0, 1, width)[None], torch.linspace(0.2, 1.4, width)[None]]
    assert torch.equal(transform.pooled(owns[0]), owns[0])  # a scan that comes alone
    transform.pool(owns, together=False)
    first, last = (transform.pooled(own)[0, [0, len(LANDMARKS) - 1]] for own in owns)
    assert first[0] == pytest.approx(0.7 * 0.1, abs=1e-6) and last[0] == pytest.approx(0.3 * 0.2 + 0.7 * 0.1, abs=1e-6)
    assert first[1] == owns[0][0, len(LANDMARKS) - 1] and last[1] == owns[1][0, len(LANDMARKS) - 1]
    transform.pool(owns, together=True)
    assert torch.equal(transform.pooled(owns[0]), transform.pooled(owns[1]))


def test_unusable_scans_are_refused(settings):
    volume, brain = scan()
    flat = Volume(np.full(SHAPE, 7.0), volume.affine)
    with pytest.raises(InputRefused, match="same value"):
        harmonize_site([flat], settings, masks=[brain])
    with pytest.raises(InputRefused, match="t2w"):
        other, mask = scan(tissues=T2W)
        harmonize_site([other], settings, masks=[mask])
    with pytest.raises(InputRefused, match="5.0 mm apart"):
        thick, mask = phantom((80, 96, 30), affine_of((80, 96, 30), (2, 2, 5)))
        harmonize_site([thick], settings, masks=[mask])
    with pytest.raises(UsageError, match="at least one"):
        harmonize_site([], settings)


def test_negative_and_float_intensities_are_shifted_and_told(settings, monkeypatch):
    unlike(monkeypatch), likelier(monkeypatch)
    volume, brain = scan()
    odd = Volume(volume.array * 1e-3 - 0.5, volume.affine)
    odd.array[0, 0, 0] = np.nan
    (done,) = harmonize_site([odd], replace(settings, adapt="none"), masks=[brain]).scans
    assert any("shifted" in w for w in done.warnings) and any("no numbers" in w for w in done.warnings)
    assert np.isfinite(done.harmonized.array).all()


def test_a_model_for_something_else_is_refused(tmp_path):
    with pytest.raises(UsageError, match="harmonization model"):
        load_site(ModelStore().get("brain-mask"))


def test_a_corrupt_flow_is_refused(model, tmp_path):
    import shutil

    copy = shutil.copytree(model.path, tmp_path / "tiny-site")
    (copy / "flow.safetensors").write_bytes(b"x")
    with pytest.raises(ModelUnavailable, match="SHA-256"):
        load_site(ModelStore().get(str(copy)))


def test_the_command_writes_everything(model, tmp_path, monkeypatch):
    unlike(monkeypatch), likelier(monkeypatch)
    paths = []
    for k in range(2):
        volume, brain = scan(gamma=1.4, noise=0.01, rng=np.random.default_rng(k))
        paths.append((tmp_path / f"sub-{k}_T1w.nii.gz", tmp_path / f"sub-{k}_mask.nii.gz"))
        save_volume(volume, paths[-1][0])
        save_volume(Volume(brain.array.astype(np.uint8), brain.affine), paths[-1][1])
    arguments = ["harmonize", *(str(p) for p, _ in paths), "--masks", *(str(m) for _, m in paths)]
    arguments += ["--model", str(model.path), "--registered", "--no-bias-correction", "--most-steps", "2"]
    arguments += ["--stop", "cap"]
    out = tmp_path / "out"
    assert main([*arguments, "--slices", "4", "--out", str(out), "--device", "cpu"]) == 0
    names = {path.name for path in out.iterdir()}
    assert {"harmonization.tsv", "report.html", "harmonize.json", "curve.tsv", "adaptation.safetensors"} <= names
    for k in range(2):
        assert load_volume(out / f"sub-{k}_T1w_harmonized.nii.gz").shape == SHAPE
    lines = (out / "harmonization.tsv").read_text().splitlines()
    assert len(lines) == 3 and lines[0].startswith("scan\tbits_before")
    record = json.loads((out / "harmonize.json").read_text())
    assert record["model"]["flow_sha256"] and len(record["scans"]) == 2
    html = (out / "report.html").read_text()
    assert "Not a diagnosis" in html and html.count("<img") == 6
    again = [*arguments, "--adapted", str(out / "adaptation.safetensors"), "--out", str(tmp_path / "again")]
    assert main([*again, "--device", "cpu"]) == 0


def test_cancel_leaves_nothing(model, tmp_path, monkeypatch):
    volume, brain = scan()
    save_volume(volume, tmp_path / "a.nii.gz")

    def cancel(*_, **__):
        raise Cancelled("stop")

    monkeypatch.setattr(harmonization, "prepare_scan", cancel)
    out = tmp_path / "out"
    assert main(["harmonize", str(tmp_path / "a.nii.gz"), "--model", str(model.path), "--out", str(out)]) == 130
    assert not out.exists() and not list(tmp_path.glob(".*"))


def test_wrong_usage_is_told(model, tmp_path, capsys):
    volume, _ = scan()
    save_volume(volume, tmp_path / "a.nii.gz")
    scan_path, out = str(tmp_path / "a.nii.gz"), str(tmp_path / "out")
    assert main(["harmonize", scan_path, "--masks", scan_path, scan_path, "--out", out]) == 2
    assert main(["harmonize", scan_path, scan_path, "--out", out]) == 2
    assert main(["harmonize", scan_path, "--model", "nothing", "--out", out]) == 4
    assert main(["harmonize", scan_path, "--model", str(model.path), "--adapted", scan_path, "--out", out]) == 2
