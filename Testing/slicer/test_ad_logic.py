"""The logic of NeuroGenAD without Qt: lesions cut again, settings and records, nodes, exports."""

import csv
import json
import subprocess
import sys
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest
from builders import GEOMETRIES

from neurogen import cli
from neurogen.anomaly import DetectionSettings
from neurogen.anomaly.lesions import cut_lesions
from neurogen.commands.detect import settings_of
from neurogen.detection_files import write_lesions
from neurogen.outputs import plain
from neurogen.volumes import Volume, load_volume, save_volume

REPOSITORY = Path(__file__).resolve().parents[2]
MODULE = REPOSITORY / "NeuroGenAD"
if str(MODULE) not in sys.path:
    sys.path.insert(0, str(MODULE))

POSE = np.array([[0.98, -0.19, 0.05, 3.0], [0.19, 0.98, 0.02, -4.0], [-0.05, -0.01, 1.0, 6.0], [0, 0, 0, 1]])
THRESHOLD = 3.7


def region_at(point):
    from neurogen.preprocess.atlas import region_at as named

    return named(tuple(point))


def detection(folder: Path, geometry: str = "ras", **changes) -> Path:
    """A scan and what `neurogen detect` writes of it: a smooth random map, cut by the core."""
    shape, affine = GEOMETRIES[geometry]
    rng = np.random.default_rng(7)
    from scipy.ndimage import gaussian_filter

    score = gaussian_filter(rng.standard_normal(shape), 6.0 / np.linalg.norm(affine[:3, :3], axis=0))
    score = (score / score.std() * 1.5).astype(np.float32)
    scan, results = folder / f"{geometry}.nii", folder / "results"
    results.mkdir(exist_ok=True)
    save_volume(Volume(rng.uniform(1, 100, shape).astype(np.float32), affine), scan)
    affine = load_volume(scan).affine
    settings = {"direction": "both", "minimum_lesion_ml": 0.1, "model": "adult-reflect"} | changes
    cut = cut_lesions(
        score, affine, THRESHOLD, direction=settings["direction"], minimum_ml=settings["minimum_lesion_ml"],
        template_from_scan=POSE, region_at=region_at,
    )  # fmt: skip
    assert len(cut.lesions) >= 3
    save_volume(Volume(score, affine), results / "anomaly_map.nii.gz")
    save_volume(Volume(rng.uniform(1, 100, shape).astype(np.float32), affine), results / "pseudo_healthy.nii.gz")
    save_volume(Volume(cut.labels, affine), results / "lesions.nii.gz")
    write_lesions(results / "lesions.tsv", cut.lesions)
    (results / "report.html").write_text("<html><header>Research use only.</header></html>", encoding="utf-8")
    record = {
        "notice": "Research use only. Not a diagnosis.",
        "model": {"id": "adult-reflect", "version": "1.0.0", "method": "reflect", "weights_sha256": "ab" * 32}
        | {"licence": "CC BY-SA 4.0"},
        "settings": settings,
        "device": "cpu",
        "input": {"file": scan.name, "affine": affine},
        "operating_point": {"threshold": THRESHOLD, "sentence": "The model's own words."},
        "facts": {"template_from_scan": POSE},
        "warnings": ["The slices are thick."],
        "lesions": [asdict(lesion) for lesion in cut.lesions],
    }
    (results / "detect.json").write_text(json.dumps(plain(record)), encoding="utf-8")
    return scan


def imported(folder: Path, geometry: str = "ras", transform=None):
    """The scan and its result as nodes."""
    import slicer
    from NeuroGenADLib.lesion_nodes import showCut
    from NeuroGenADLib.result import importResult

    from NeuroGenLib.nodes import exportVolume

    scan = slicer.util.loadVolume(str(detection(folder, geometry)))
    if transform is not None:
        node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLLinearTransformNode")
        slicer.util.updateTransformMatrixFromArray(node, transform)
        scan.SetAndObserveTransformNodeID(node.GetID())
    affine = exportVolume(scan, folder / "exported.nii")
    result = importResult(folder / "results", scan, affine)
    showCut(result, result.recutter().cut(result.record.defaultCut))
    return scan, result


def recutter(folder: Path):
    from NeuroGenADLib.record import DetectionRecord
    from NeuroGenADLib.recut import Recutter

    record = DetectionRecord.fromText((folder / "results" / "detect.json").read_text(encoding="utf-8"))
    score = load_volume(folder / "results" / "anomaly_map.nii.gz").array
    return record, Recutter(score, record.affine, record.templateFromScan, region_at)


# Lesions cut again


@pytest.mark.parametrize(
    ("geometry", "changes"),
    [*((name, {}) for name in GEOMETRIES), ("las", {"direction": "dark"}), ("oblique", {"minimum_lesion_ml": 0.5})],
    ids=str,
)
def test_the_default_cut_is_what_the_command_line_wrote(tmp_path, geometry, changes):
    detection(tmp_path, geometry, **changes)
    record, cutter = recutter(tmp_path)
    cut = cutter.cut(record.defaultCut)
    shipped = load_volume(tmp_path / "results" / "lesions.nii.gz", as_labels=True)
    np.testing.assert_array_equal(cut.labels, shipped.array)
    assert plain([asdict(lesion) for lesion in cut.lesions]) == record.content["lesions"]


def test_a_higher_threshold_marks_less_within_the_same_place(tmp_path):
    detection(tmp_path)
    record, cutter = recutter(tmp_path)
    loose, strict = (cutter.cut(replace(record.defaultCut, threshold=t)).labels > 0 for t in (3.0, 5.0))
    assert strict.sum() < loose.sum() and not (strict & ~loose).any()


def test_settings_that_cannot_cut_are_refused():
    from NeuroGenADLib.recut import CutSettings

    for wrong in ({"threshold": 0.0}, {"threshold": 3.0, "direction": "up"}, {"threshold": 3.0, "minimumMl": -1.0}):
        with pytest.raises(ValueError, match="cannot be cut"):
            CutSettings(**wrong)


def test_the_words_name_the_operating_point_or_the_distance_from_it():
    from NeuroGenADLib.recut import CutSettings, inWords

    default = CutSettings(3.7)
    assert inWords(default, default, "The model's own words.") == "The model's own words."
    words = inWords(CutSettings(4.5, "dark"), default, "The model's own words.")
    assert all(part in words for part in ("4.50", "is darker", "Chosen by you", "3.70"))


def test_cutting_imports_neither_torch_nor_an_image_library():
    code = (
        "import sys, numpy as np; sys.path[:0] = [{module!r}, {tree!r}]\n"
        "from NeuroGenADLib.recut import CutSettings, Recutter\n"
        "import NeuroGenADLib.settings, NeuroGenADLib.record\n"
        "score = np.zeros((9, 9, 9), np.float32); score[2:7, 2:7, 2:7] = 5\n"
        "assert len(Recutter(score, np.eye(4), None).cut(CutSettings(3.0)).lesions) == 1\n"
        "print([name for name in ('torch', 'nibabel', 'SimpleITK', 'matplotlib') if name in sys.modules])"
    )
    code = code.format(module=str(MODULE), tree=str(REPOSITORY))
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "[]"


# Settings


@pytest.mark.parametrize(
    "settings",
    [
        DetectionSettings(),
        DetectionSettings(model="mine", device="cpu", steps=5, batch_size=4, registered=True, bias_correction=False),
        DetectionSettings(model="one", ensemble=("two", "three"), device="cpu"),
        DetectionSettings(threshold=4.25, direction="dark", minimum_lesion_ml=0.3, seed=3, device="cpu"),
    ],
)
def test_the_command_line_understands_every_setting(settings):
    from NeuroGenADLib.settings import detectArguments

    arguments = detectArguments(replace(settings, device="cpu"), Path("scan.nii"), Path("out"), mask=Path("m.nii"))
    args = cli.build_parser().parse_args(arguments)
    assert settings_of(args) == replace(settings, device="cpu")
    assert (args.inputs, args.out, args.mask) == ([Path("scan.nii")], Path("out"), Path("m.nii"))


def test_settings_survive_in_the_parameter_node(slicer_app):
    import slicer
    from NeuroGenADLib.settings import ViewSettings

    from NeuroGenLib.parameters import readSettings, writeSettings

    node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLScriptedModuleNode")
    assert readSettings(node, DetectionSettings) == DetectionSettings()
    for settings in (
        DetectionSettings(model="mine", steps=3, registered=True),
        ViewSettings("difference", opacity=0.3),
    ):
        writeSettings(node, settings)
        assert readSettings(node, type(settings)) == settings


def test_a_setting_that_cannot_be_read_is_the_default(slicer_app):
    import slicer
    from NeuroGenADLib.settings import ViewSettings

    from NeuroGenLib.parameters import readSettings

    node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLScriptedModuleNode")
    node.SetParameter("ViewSettings.opacity", "0.25")
    node.SetParameter("ViewSettings.shown", '"nothing"')
    node.SetParameter("ViewSettings.overlay", "tr")
    node.SetParameter("DetectionSettings.direction", '"up"')
    assert readSettings(node, ViewSettings) == ViewSettings(opacity=0.25)
    assert readSettings(node, DetectionSettings) == DetectionSettings()


# Choices


def model(name: str, method: str, contrast: str = "t1w"):
    from types import SimpleNamespace

    manifest = {"version": "1.0.0", "method": method, "age_range": [20, 80], "licence": "CC0"}
    manifest |= {"calibration": {contrast: {"threshold": 3.0, "healthy_quantiles": {"0.5": 0.4, "0.9": 1.0}}}}
    return SimpleNamespace(id=name, manifest=manifest)


def test_several_methods_can_be_averaged_one_model_each(monkeypatch):
    from types import SimpleNamespace

    from NeuroGenADLib import choices

    models = [model("a", "reflect"), model("b", "reflect"), model("c", "mad-ad"), model("d", "gaussian", "flair")]
    store = SimpleNamespace(get=lambda name: next(each for each in models if each.id == name))
    monkeypatch.setattr(choices, "modelStore", lambda: store)
    monkeypatch.setattr(choices, "modelsFor", lambda task, store: models)
    found = choices.anomalyModels()
    assert [choice.ids for choice in found] == [("a",), ("b",), ("c",), ("a", "c")]
    assert found[-1].methodTitle == "Mean of 2 methods"
    assert found[-1].chosenBy(DetectionSettings(model="a", ensemble=("c",)))
    assert not found[0].chosenBy(DetectionSettings(model="a", ensemble=("c",)))


def test_every_method_tells_what_it_is_good_and_bad_at_and_how_long_it_takes(monkeypatch):
    from types import SimpleNamespace

    from NeuroGenADLib import choices

    models = [model(f"a-{method}", method) for method in choices.METHODS]
    models[0].manifest["seconds"] = {"cpu, 1 thread (processor time)": 18.6}
    store = SimpleNamespace(get=lambda name: next(each for each in models if each.id == name))
    monkeypatch.setattr(choices, "modelStore", lambda: store)
    monkeypatch.setattr(choices, "modelsFor", lambda task, store: models)
    *single, _mean = choices.anomalyModels()
    assert len({choice.description for choice in single}) == len(choices.METHODS) == len(choices.TOLD)
    assert all("misses" in choice.description for choice in (*single, _mean))
    assert f"About {choices.OTHER_SECONDS + 18.6:.0f} s" in single[0].description
    assert not any("About" in choice.description for choice in (*single[1:], _mean))


def test_what_the_methods_are_called_good_and_bad_at_is_what_was_measured():
    """Each half sentence of `choices.TOLD` and `TOLD_MEAN` that compares, on planted lesions and healthy scans."""
    rows = json.loads((REPOSITORY / "Docs" / "results" / "planted.json").read_text(encoding="utf-8"))["rows"]
    methods = ("reflect", "mad-ad", "deco-diff", "gaussian")
    shapes = ("recall_bright", "recall_dark", "recall_mass_effect")
    false_ml = {name: rows[name]["fp_ml"] for name in (*methods, "ensemble")}
    assert rows["reflect"]["recall_1ml"] > 0.5 and rows["reflect"]["recall_atrophy"] > 0.5
    assert all(rows[name]["recall_small"] < 0.1 for name in methods)
    assert all(rows["mad-ad"][shape] == max(rows[name][shape] for name in methods) for shape in shapes)
    assert all(rows["deco-diff"][shape] > 0.5 for shape in shapes)
    assert rows["mad-ad"]["recall_atrophy"] < 0.5 and rows["deco-diff"]["recall_atrophy"] < 0.5
    assert max(false_ml, key=false_ml.get) == "mad-ad" and min(false_ml, key=false_ml.get) == "gaussian"
    assert rows["gaussian"]["recall_1ml"] < 0.5 and rows["gaussian"]["recall_small"] == 0
    assert sum(false_ml["ensemble"] < false_ml[name] for name in methods) >= 3
    assert rows["ensemble"]["recall_medium"] < max(rows[name]["recall_medium"] for name in methods)


# Nodes


def test_places_have_the_names_that_the_command_line_gives_them(slicer_app):
    from NeuroGenADLib.regions import regionLookup

    points = np.random.default_rng(3).uniform((-80, -110, -60), (80, 80, 90), (400, 3))
    assert [regionLookup()(point) for point in points] == [region_at(point) for point in points]


@pytest.mark.parametrize("geometry", ["ras", "las", "oblique"])
def test_nodes_hold_what_the_files_hold_where_they_hold_it(slicer_app, tmp_path, geometry):
    import slicer
    from NeuroGenADLib.lesion_nodes import rowsOf

    from NeuroGenLib.geometry import ijkToRas

    scan, result = imported(tmp_path, geometry)
    lesions = json.loads((tmp_path / "results" / "detect.json").read_text(encoding="utf-8"))["lesions"]
    assert len(rowsOf(result.node("table"))) == result.node("lesions").GetSegmentation().GetNumberOfSegments()
    shipped = load_volume(tmp_path / "results" / "anomaly_map.nii.gz")
    values = slicer.util.arrayFromVolume(result.map).T
    index = np.argwhere(values > 5)[::97]
    there = np.linalg.solve(shipped.affine, ijkToRas(result.map) @ np.column_stack([index, np.ones(len(index))]).T)[:3]
    np.testing.assert_array_equal(values[tuple(index.T)], shipped.array[tuple(np.rint(there).astype(int))])
    assert len(lesions) >= 3


def test_every_node_says_what_made_it(slicer_app, tmp_path):
    from NeuroGenLib.nodes import folderOf, nodesInFolder

    scan, result = imported(tmp_path)
    nodes = nodesInFolder(folderOf(result.map))
    assert len(nodes) == 8 and scan.GetID() not in {node.GetID() for node in nodes}
    for node in nodes:
        assert node.GetAttribute("NeuroGen.model") == "adult-reflect"
        assert node.GetAttribute("NeuroGen.version") == "1.0.0"
        assert node.GetAttribute("NeuroGen.weightsSha256") == "ab" * 32
        assert json.loads(node.GetAttribute("NeuroGen.settings"))["direction"] == "both"


def test_the_difference_is_input_minus_pseudo_healthy(slicer_app, tmp_path):
    import slicer

    scan, result = imported(tmp_path, "las")
    parts = [
        slicer.util.arrayFromVolume(node) for node in (scan, result.node("pseudoHealthy"), result.node("difference"))
    ]
    np.testing.assert_allclose(parts[2], parts[0] - parts[1], atol=1e-4)


def test_a_point_of_the_table_follows_the_scan(slicer_app, tmp_path):
    import slicer
    from NeuroGenADLib.lesion_nodes import rowsOf

    from NeuroGenLib.geometry import ijkToRas

    turn = np.array([[0.0, -1, 0, 5], [1, 0, 0, -3], [0, 0, 1, 11], [0, 0, 0, 1]])
    scan, result = imported(tmp_path, "ras", turn)
    row = rowsOf(result.node("table"))[0]
    center = np.argwhere(result.recutter().cut(result.record.defaultCut).labels == row.label).mean(0)
    shift = np.eye(4)
    shift[0, 3] = 40.0
    for moved in (turn, shift @ turn):
        slicer.util.updateTransformMatrixFromArray(scan.GetParentTransformNode(), moved)
        expected = (ijkToRas(result.map) @ [*center, 1.0])[:3]
        np.testing.assert_allclose(result.worldPoint(row.rasMm), expected, atol=0.02)


def test_a_cut_is_kept_with_the_result(slicer_app, tmp_path):
    from NeuroGenADLib.recut import CutSettings

    result = imported(tmp_path)[1]
    assert result.cut == result.record.defaultCut
    result.cut = CutSettings(4.123456789, "bright", 0.25)
    assert result.cut == CutSettings(4.123456789, "bright", 0.25)


def test_a_saved_scene_keeps_what_made_the_result(slicer_app, tmp_path):
    import slicer
    from NeuroGenADLib.lesion_nodes import rowsOf
    from NeuroGenADLib.recut import CutSettings
    from NeuroGenADLib.result import Result

    from NeuroGenLib.nodes import readStamp

    result = imported(tmp_path)[1]
    result.cut = CutSettings(4.5, "bright", 0.2)
    stamps, rows = readStamp(result.map), rowsOf(result.node("table"))
    record, report = (result.node(role).GetText() for role in ("record", "report"))
    assert slicer.util.saveScene(str(tmp_path / "saved.mrb"))
    slicer.mrmlScene.Clear(0)
    slicer.util.loadScene(str(tmp_path / "saved.mrb"))
    (result,) = Result.all()
    assert readStamp(result.map) == stamps and result.cut == CutSettings(4.5, "bright", 0.2)
    assert rowsOf(result.node("table")) == rows
    assert [result.node(role).GetText() for role in ("record", "report")] == [record, report]
    assert result.input.GetName() == "ras" and result.recutter().cut(result.record.defaultCut).lesions


def test_removing_a_result_leaves_the_scan_alone(slicer_app, tmp_path):
    import slicer

    scan, result = imported(tmp_path)
    result.remove()
    volumes = slicer.util.getNodesByClass("vtkMRMLVolumeNode")
    assert [node.GetID() for node in volumes] == [scan.GetID()]
    assert not slicer.util.getNodesByClass("vtkMRMLSegmentationNode")
    assert not slicer.util.getNodesByClass("vtkMRMLTableNode") + slicer.util.getNodesByClass("vtkMRMLTextNode")


def test_segments_are_coded_and_warm_or_cool(slicer_app, tmp_path):
    import vtk
    from NeuroGenADLib.lesion_nodes import rowsOf

    result = imported(tmp_path)[1]
    segments = result.node("lesions").GetSegmentation()
    for k, row in enumerate(rowsOf(result.node("table"))):
        segment = segments.GetSegment(segments.GetNthSegmentID(k))
        red, _, blue = segment.GetColor()
        assert (red > blue) == (row.words["polarity"] == "bright")
        assert segment.GetName().startswith(f"{row.label} ")
        entry = vtk.reference("")
        assert segment.GetTag("TerminologyEntry", entry) and "~SCT^52988006^Lesion~" in str(entry)


# Exports


def test_exports_equal_what_the_command_line_wrote(slicer_app, tmp_path):
    from NeuroGenADLib.exports import exportResult

    result = imported(tmp_path, "oblique")[1]
    paths = exportResult(result, tmp_path / "export", ("nifti", "csv", "html"))
    names = {path.name for path in paths}
    assert names == {f"oblique_{n}" for n in ("anomaly_map.nii.gz", "pseudo_healthy.nii.gz", "difference.nii.gz")} | {
        "oblique_regions.nii.gz",
        "oblique_regions.csv",
        "oblique_report.html",
    }
    shipped = load_volume(tmp_path / "results" / "lesions.nii.gz", as_labels=True)
    exported = load_volume(tmp_path / "export" / "oblique_regions.nii.gz", as_labels=True)
    np.testing.assert_array_equal(exported.array, shipped.array)
    np.testing.assert_allclose(exported.affine, shipped.affine, atol=1e-4)
    with (tmp_path / "export" / "oblique_regions.csv").open(encoding="utf-8", newline="") as stream:
        written = list(csv.reader(stream))
    with (tmp_path / "results" / "lesions.tsv").open(encoding="utf-8", newline="") as stream:
        expected = list(csv.reader(stream, delimiter="\t"))
    assert written[0] == expected[0]
    for one, other in zip(written[1:], expected[1:], strict=True):
        assert [one[0], *one[7:]] == [other[0], *other[7:]]
        np.testing.assert_allclose([float(x) for x in one[1:7]], [float(x) for x in other[1:7]], atol=1e-3)


def test_a_report_says_when_the_regions_were_cut_again(slicer_app, tmp_path):
    from NeuroGenADLib.exports import exportResult
    from NeuroGenADLib.recut import CutSettings

    result = imported(tmp_path)[1]
    (path,) = exportResult(result, tmp_path / "export", ("html",))
    assert "cut again" not in path.read_text(encoding="utf-8")
    result.cut = CutSettings(5.5)
    exportResult(result, tmp_path / "export", ("html",))
    assert "cut again" in path.read_text(encoding="utf-8") and "5.50" in path.read_text(encoding="utf-8")


def test_nothing_marked_exports_an_empty_map(slicer_app, tmp_path):
    from NeuroGenADLib.exports import exportResult, whyNoDicom
    from NeuroGenADLib.lesion_nodes import showCut
    from NeuroGenADLib.recut import CutSettings

    result = imported(tmp_path)[1]
    showCut(result, result.recutter().cut(CutSettings(1000.0)))
    exportResult(result, tmp_path / "export", ("nifti", "csv"))
    assert not load_volume(tmp_path / "export" / "ras_regions.nii.gz", as_labels=True).array.any()
    assert len((tmp_path / "export" / "ras_regions.csv").read_text(encoding="utf-8").splitlines()) == 1
    assert "No region" in whyNoDicom(result)


def test_names_become_file_names():
    from NeuroGenLib.files import safeName

    assert safeName("Müller, T1: 3/4") == "M_ller_T1_3_4"
    assert safeName("日本") == "scan"


# Brain masks


@pytest.mark.parametrize("place", ["untransformed", "with the scan", "in the world", "label map"])
def test_a_brain_mask_reaches_the_command_line_on_the_voxels_of_the_scan(slicer_app, tmp_path, place):
    import slicer
    from NeuroGenADLib.detection_job import _exportMask

    from NeuroGenLib.nodes import exportVolume, newSegmentation, setSegments

    turn = np.array([[0.0, -1, 0, 5], [1, 0, 0, -3], [0, 0, 1, 11], [0, 0, 0, 1]])
    voxels = np.ones((20, 24, 28), np.float32)
    voxels[4:9, 5:12, 6:20] = 100.0
    scan = slicer.util.addVolumeFromArray(voxels, name="scan")
    if place != "untransformed":
        node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLLinearTransformNode")
        slicer.util.updateTransformMatrixFromArray(node, turn)
        scan.SetAndObserveTransformNodeID(node.GetID())
    if place == "label map":
        mask = slicer.util.addVolumeFromArray((voxels > 50).astype(np.int16), nodeClassName="vtkMRMLLabelMapVolumeNode")
        mask.SetAndObserveTransformNodeID(scan.GetTransformNodeID())
    else:
        mask = newSegmentation("brain", scan)
        setSegments(mask, (voxels > 50).astype(np.int16), {1: "brain"}, scan)
        if place == "in the world":
            mask.HardenTransform()
    exportVolume(scan, tmp_path / "scan.nii")
    _exportMask(mask, scan, tmp_path / "mask.nii")
    image, brain = load_volume(tmp_path / "scan.nii"), load_volume(tmp_path / "mask.nii", as_labels=True)
    np.testing.assert_allclose(brain.affine, image.affine, atol=1e-4)
    np.testing.assert_array_equal(brain.array > 0, image.array > 50)


# What is known of a scan


def test_a_sidecar_beside_the_scan_reaches_the_command_line(slicer_app, tmp_path):
    import slicer
    from NeuroGenADLib.scan_facts import writeSidecar

    scan = slicer.util.loadVolume(str(detection(tmp_path)))
    (tmp_path / "ras.json").write_text(json.dumps({"PatientAge": "012Y", "EchoTime": 0.003, "Other": 1}))
    save_volume(load_volume(tmp_path / "ras.nii"), tmp_path / "exported.nii")
    writeSidecar(scan, tmp_path / "exported.nii")
    facts = load_volume(tmp_path / "exported.nii").facts
    assert facts["PatientAge"] == "012Y" and facts["EchoTime"] == "3"


def test_dicom_tags_reach_the_command_line(slicer_app, tmp_path, monkeypatch):
    import slicer
    from NeuroGenADLib.scan_facts import TAGS, writeSidecar

    values = {TAGS["PatientAge"]: "034Y", TAGS["EchoTime"]: "2.5", TAGS["RepetitionTime"]: "", TAGS["Modality"]: "MR"}

    class Database:
        isOpen = True

        def fileForInstance(self, uid):
            return f"/series/{uid}.dcm"

        def fileValue(self, path, tag):
            return values.get(tag, "")

    monkeypatch.setattr(slicer, "dicomDatabase", Database(), raising=False)
    scan = slicer.util.loadVolume(str(detection(tmp_path)))
    scan.SetAttribute("DICOM.instanceUIDs", "1.2 1.3")
    save_volume(load_volume(tmp_path / "ras.nii"), tmp_path / "exported.nii")
    writeSidecar(scan, tmp_path / "exported.nii")
    facts = load_volume(tmp_path / "exported.nii").facts
    assert (facts["PatientAge"], facts["EchoTime"], facts["Modality"]) == ("034Y", "2.5", "MR")
    assert "RepetitionTime" not in facts
