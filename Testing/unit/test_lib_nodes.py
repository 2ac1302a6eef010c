"""Volumes and segmentations between nodes and files: places against nibabel, nodes untouched, results undoable."""

import types
from pathlib import Path

import nibabel
import numpy as np
import pytest

pytest.importorskip("slicer")
import slicer
import vtk
from slicer.util import arrayFromSegmentBinaryLabelmap, arrayFromVolume, updateVolumeFromArray

from NeuroGenLib import geometry, nodes
from NeuroGenLib.job import removeWorkFolder
from NeuroGenLib.terminology import LESION, SEGMENT_TAG, terminologyEntry

SHAPE = (12, 14, 9)
AXES = {
    "RAS": np.diag([1.0, 1.2, 2.0]),
    "LAS": np.diag([-1.0, 1.2, 2.0]),
    "PIL": np.array([[0.0, 0.0, -2.0], [-1.0, 0.0, 0.0], [0.0, -1.2, 0.0]]),
}


def turn(x_deg, y_deg, z_deg):
    """A rotation about the three axes, one after the other."""
    rotation = np.eye(3)
    for axis, angle in enumerate(np.radians([x_deg, y_deg, z_deg])):
        one = np.eye(3)
        i, j = [k for k in range(3) if k != axis]
        one[i, i] = one[j, j] = np.cos(angle)
        one[i, j], one[j, i] = -np.sin(angle), np.sin(angle)
        rotation = one @ rotation
    return rotation


AXES["oblique LAS"] = turn(10, -25, 40) @ AXES["LAS"]


def affine_of(axes, origin=(-20.0, 15.5, 7.25)):
    affine = np.eye(4)
    affine[:3, :3], affine[:3, 3] = axes, origin
    return affine


@pytest.fixture(params=list(AXES))
def volume(request, bare_scene):
    """A scan of random voxels on one of the grids."""
    return make_volume(affine_of(AXES[request.param]), name=request.param)


def make_volume(affine, *, name="scan", seed=1):
    node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", name)
    array = np.random.default_rng(seed).normal(size=SHAPE[::-1]).astype(np.float32)
    updateVolumeFromArray(node, array)
    node.SetIJKToRASMatrix(geometry.matrixFromArray(affine))
    return node


def under(node, matrix):
    """Put the node under a new linear transform."""
    transform = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLLinearTransformNode", "moved")
    transform.SetMatrixTransformToParent(geometry.matrixFromArray(matrix))
    node.SetAndObserveTransformNodeID(transform.GetID())
    return transform


MOVED = affine_of(turn(-15, 30, 5), origin=(4.0, -3.0, 11.0))


def test_matrices_keep_every_element(bare_scene):
    array = np.arange(16.0).reshape(4, 4)
    assert np.array_equal(geometry.arrayFromMatrix(geometry.matrixFromArray(array)), array)
    with pytest.raises(ValueError, match=r"4x4 matrix is needed.*\(3, 3\)"):
        geometry.matrixFromArray(np.eye(3))


def test_two_transforms_above_a_volume_multiply(volume):
    inner = under(volume, MOVED)
    outer = under(inner, affine_of(np.diag([2.0, 2.0, 2.0])))
    own = geometry.ijkToRas(volume, world=False)
    expected = geometry.arrayFromMatrix(outer.GetMatrixTransformToParent()) @ MOVED @ own
    assert np.allclose(geometry.ijkToRas(volume), expected, atol=1e-9)


@pytest.mark.parametrize("matrix", [None, MOVED], ids=["free", "transformed"])
@pytest.mark.parametrize("ending", ["nii", "nii.gz", "nrrd"])
def test_the_file_lies_where_the_volume_is_seen(volume, tmp_path, matrix, ending):
    if matrix is not None:
        under(volume, matrix)
    own = geometry.ijkToRas(volume, world=False)
    before = arrayFromVolume(volume).copy()
    path = tmp_path / f"scan ü.{ending}"
    written = nodes.exportVolume(volume, path)

    expected = own if matrix is None else matrix @ own
    assert np.allclose(written, expected, atol=1e-9)
    assert np.array_equal(geometry.ijkToRas(volume, world=False), own)
    assert np.array_equal(arrayFromVolume(volume), before)
    assert volume.GetStorageNode() is None
    if ending != "nrrd":
        file = nibabel.load(path)
        assert np.allclose(file.affine, expected, atol=1e-4)
        assert np.array_equal(file.get_fdata(dtype=np.float32), before.transpose(2, 1, 0))


@pytest.mark.parametrize("matrix", [None, MOVED], ids=["free", "transformed"])
def test_what_nibabel_computed_comes_back_voxel_by_voxel(volume, tmp_path, matrix):
    """The route of every result: export, compute elsewhere, import; the node's own grid and transform, exactly."""
    if matrix is not None:
        under(volume, matrix)
    affine = nodes.exportVolume(volume, tmp_path / "scan.nii")
    file = nibabel.load(tmp_path / "scan.nii")
    nibabel.save(nibabel.Nifti1Image(file.get_fdata(dtype=np.float32) * 2, file.affine), tmp_path / "map.nii.gz")

    result = nodes.importVolume(tmp_path / "map.nii.gz", "map", volume, exportedAffine=affine)
    assert np.array_equal(arrayFromVolume(result), 2 * arrayFromVolume(volume))
    assert np.array_equal(geometry.ijkToRas(result, world=False), geometry.ijkToRas(volume, world=False))
    assert result.GetTransformNodeID() == volume.GetTransformNodeID()
    assert result.GetDisplayNode() is not None


def test_a_transform_that_moved_meanwhile_takes_the_result_along(volume, tmp_path):
    transform = under(volume, MOVED)
    affine = nodes.exportVolume(volume, tmp_path / "scan.nii")
    transform.SetMatrixTransformToParent(geometry.matrixFromArray(np.eye(4)))
    result = nodes.importVolume(tmp_path / "scan.nii", "map", volume, exportedAffine=affine)
    assert result.GetTransformNodeID() == transform.GetID()
    assert np.allclose(geometry.ijkToRas(result), geometry.ijkToRas(volume), atol=1e-9)


def test_a_file_on_another_grid_keeps_its_own_place(volume, tmp_path):
    under(volume, MOVED)
    affine = affine_of(AXES["oblique LAS"], origin=(1.0, 2.0, 3.0))
    array = np.random.default_rng(2).normal(size=(5, 6, 7)).astype(np.float32)
    nibabel.save(nibabel.Nifti1Image(array, affine), tmp_path / "other.nii")
    result = nodes.importVolume(tmp_path / "other.nii", "other", volume)
    assert result.GetTransformNodeID() is None
    assert np.allclose(geometry.ijkToRas(result), affine, atol=1e-4)
    assert np.array_equal(arrayFromVolume(result), array.transpose(2, 1, 0))


def test_a_grid_of_the_same_shape_elsewhere_is_another_grid(volume, tmp_path):
    shifted = geometry.ijkToRas(volume)
    shifted[0, 3] += 0.5
    nibabel.save(nibabel.Nifti1Image(np.zeros(SHAPE, np.float32), shifted), tmp_path / "shifted.nii")
    result = nodes.importVolume(tmp_path / "shifted.nii", "shifted", volume)
    assert np.allclose(geometry.ijkToRas(result), shifted, atol=1e-4)


def test_a_file_as_slicer_itself_loads_it(bare_scene, tmp_path):
    """An LAS file is flipped along k by Slicer's reader; its results still lie on it."""
    affine = affine_of(AXES["LAS"])
    array = np.random.default_rng(3).normal(size=SHAPE).astype(np.float32)
    nibabel.save(nibabel.Nifti1Image(array, affine), tmp_path / "las.nii")
    scan = slicer.modules.volumes.logic().AddArchetypeVolume(str(tmp_path / "las.nii"), "las", 0)
    assert np.linalg.det(geometry.ijkToRas(scan)[:3, :3]) > 0
    exported = nodes.exportVolume(scan, tmp_path / "scan.nii")
    file = nibabel.load(tmp_path / "scan.nii")
    assert np.allclose(nibabel.as_closest_canonical(file).affine, nibabel.as_closest_canonical(
        nibabel.load(tmp_path / "las.nii")).affine, atol=1e-4)  # fmt: skip
    point = np.array([3, 4, 5, 1.0])
    in_file = np.rint(np.linalg.inv(file.affine) @ affine @ point).astype(int)[:3]
    assert file.get_fdata(dtype=np.float32)[tuple(in_file)] == array[3, 4, 5]
    result = nodes.importVolume(tmp_path / "scan.nii", "result", scan, exportedAffine=exported)
    assert np.array_equal(arrayFromVolume(result), arrayFromVolume(scan))


def test_a_nonlinear_transform_is_refused_with_its_name(bare_scene, tmp_path):
    scan = make_volume(affine_of(AXES["RAS"]))
    warp = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLTransformNode", "warp to atlas")
    spline = vtk.vtkThinPlateSplineTransform()
    points = [vtk.vtkPoints(), vtk.vtkPoints()]
    for k, corner in enumerate(np.random.default_rng(0).normal(size=(6, 3)) * 30):
        points[0].InsertNextPoint(*corner)
        points[1].InsertNextPoint(*(corner + k))
    spline.SetSourceLandmarks(points[0])
    spline.SetTargetLandmarks(points[1])
    spline.SetBasisToR()
    warp.SetAndObserveTransformToParent(spline)
    scan.SetAndObserveTransformNodeID(warp.GetID())
    with pytest.raises(ValueError, match="warp to atlas, which is not linear"):
        nodes.exportVolume(scan, tmp_path / "scan.nii")
    assert not (tmp_path / "scan.nii").exists()
    with pytest.raises(ValueError, match="not linear"):
        geometry.ijkToRas(scan)


def test_shear_color_and_emptiness_are_refused(bare_scene, tmp_path):
    scan = make_volume(affine_of(AXES["RAS"]))
    shear = np.eye(4)
    shear[0, 1] = 0.2
    under(scan, shear)
    with pytest.raises(ValueError, match="not perpendicular"):
        nodes.exportVolume(scan, tmp_path / "a.nii")
    empty = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", "empty")
    with pytest.raises(ValueError, match="empty has no voxels"):
        nodes.exportVolume(empty, tmp_path / "a.nii")
    color = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLVectorVolumeNode", "photo")
    updateVolumeFromArray(color, np.zeros((3, 4, 5, 3), np.uint8))
    with pytest.raises(ValueError, match="photo has several values a voxel"):
        nodes.exportVolume(color, tmp_path / "a.nii")


def test_a_missing_result_leaves_no_node(bare_scene, tmp_path):
    before = bare_scene.GetNumberOfNodes()
    with pytest.raises(RuntimeError, match=r"no_such\.nii\.gz could not be read"):
        nodes.importVolume(tmp_path / "no_such.nii.gz", "map")
    assert bare_scene.GetNumberOfNodes() == before


def labels_like(volume):
    """Three boxes, labels 1, 2 and 5, in the order of arrayFromVolume."""
    labels = np.zeros(SHAPE[::-1], np.int16)
    labels[1:4, 2:5, 3:6] = 1
    labels[5:7, 2:9, 3:6] = 2
    labels[7:9, 10:13, 8:11] = 5
    return labels


NAMES = {1: "first", 2: "second", 5: "fifth"}


def mask_of(segmentation, label, volume):
    return arrayFromSegmentBinaryLabelmap(segmentation, nodes.segmentOfLabel(segmentation, label), volume) > 0


@pytest.mark.parametrize("matrix", [None, MOVED], ids=["free", "transformed"])
def test_a_label_file_becomes_named_and_coded_segments_in_place(volume, tmp_path, matrix):
    if matrix is not None:
        under(volume, matrix)
    affine = nodes.exportVolume(volume, tmp_path / "scan.nii")
    labels = labels_like(volume)
    nibabel.save(nibabel.Nifti1Image(labels.transpose(2, 1, 0), affine), tmp_path / "lesions.nii.gz")
    result = nodes.importSegmentation(tmp_path / "lesions.nii.gz", NAMES, volume, name="Lesions", exportedAffine=affine)
    segments = [result.GetSegmentation().GetSegment(each) for each in nodes.segmentIds(result)]
    assert [(each.GetLabelValue(), each.GetName()) for each in segments] == list(NAMES.items())
    tag = vtk.mutable("")
    assert segments[0].GetTag(SEGMENT_TAG, tag)
    assert str(tag) == terminologyEntry(LESION)
    assert result.GetTransformNodeID() == volume.GetTransformNodeID()
    for label in NAMES:
        assert np.array_equal(mask_of(result, label, volume), labels == label)


def test_segments_are_cut_anew_without_leaving_anything(volume, bare_scene):
    labels = labels_like(volume)
    result = nodes.newSegmentation("Lesions", volume)
    nodes.setSegments(result, labels, NAMES, volume)
    before = bare_scene.GetNumberOfNodes()
    nodes.setSegments(result, np.where(labels == 2, 1, 0), {1: "only"}, volume)
    assert bare_scene.GetNumberOfNodes() == before
    assert len(nodes.segmentIds(result)) == 1
    assert np.array_equal(mask_of(result, 1, volume), labels == 2)
    nodes.setSegments(result, np.zeros_like(labels), {}, volume)
    assert nodes.segmentIds(result) == []


@pytest.mark.parametrize("matrix", [None, MOVED], ids=["free", "transformed"])
def test_segments_become_one_label_array_again(volume, bare_scene, tmp_path, matrix):
    if matrix is not None:
        under(volume, matrix)
    result = nodes.newSegmentation("Lesions", volume)
    nodes.setSegments(result, labels_like(volume), NAMES, volume)
    before = node_ids(bare_scene)
    expected = np.select([labels_like(volume) == label for label in NAMES], [1, 2, 3])
    assert np.array_equal(nodes.segmentLabels(result, volume), expected)
    assert node_ids(bare_scene) == before
    nodes.exportSegmentation(result, volume, tmp_path / "labels.nii.gz")
    file = nibabel.load(tmp_path / "labels.nii.gz")
    assert np.array_equal(np.asarray(file.dataobj), expected.transpose(2, 1, 0))
    assert np.allclose(file.affine, geometry.ijkToRas(volume), atol=1e-4)
    assert node_ids(bare_scene) == before
    empty = nodes.newSegmentation("None", volume)
    assert not nodes.segmentLabels(empty, volume).any()


def test_labels_without_a_name_are_left_out(volume):
    result = nodes.newSegmentation("Lesions", volume)
    nodes.setSegments(result, labels_like(volume), {2: "second"}, volume)
    assert [result.GetSegmentation().GetSegment(each).GetName() for each in nodes.segmentIds(result)] == ["second"]
    assert nodes.segmentOfLabel(result, 5) == ""


def test_a_stamp_is_read_as_it_was_written(volume):
    nodes.stamp(volume, {"model": "adult-reflect", "settings": {"steps": 1, "ünits": "mm"}, "threshold": 3.7})
    assert nodes.readStamp(volume) == {
        "model": "adult-reflect",
        "settings": '{"steps": 1, "ünits": "mm"}',
        "threshold": "3.7",
    }


def make_result(volume, tmp_path):
    affine = nodes.exportVolume(volume, tmp_path / "scan.nii")
    folder = nodes.resultFolder(volume, "scan: anomalies")
    result = nodes.importVolume(tmp_path / "scan.nii", "map", volume, exportedAffine=affine)
    segmentation = nodes.newSegmentation("Lesions", volume)
    nodes.setSegments(segmentation, labels_like(volume), NAMES, volume)
    for node in (result, segmentation):
        nodes.addToFolder(folder, node)
    return folder, result, segmentation


def node_ids(scene):
    return {scene.GetNthNode(k).GetID() for k in range(scene.GetNumberOfNodes())}


@pytest.mark.parametrize("by_hand", [False, True], ids=["by us", "by the user"])
def test_deleting_the_folder_undoes_everything(volume, bare_scene, tmp_path, by_hand):
    hierarchy = nodes.subjectHierarchy()
    nodes.itemOf(volume)
    before = node_ids(bare_scene)
    folder, result, segmentation = make_result(volume, tmp_path)
    assert nodes.nodesInFolder(folder) == [result, segmentation]
    assert nodes.folderOf(result) == folder
    assert nodes.folderOf(volume) == 0
    if by_hand:
        hierarchy.RemoveItem(folder, True, True)
    else:
        nodes.removeFolder(folder)
    assert node_ids(bare_scene) == before
    assert nodes.resultFolders() == []


def test_two_results_lie_in_two_folders_beside_the_input(volume, bare_scene, tmp_path):
    hierarchy = nodes.subjectHierarchy()
    study = hierarchy.CreateStudyItem(hierarchy.GetSceneItemID(), "study")
    hierarchy.SetItemParent(nodes.itemOf(volume), study)
    folders = [make_result(volume, tmp_path)[0] for _ in range(2)]
    assert nodes.resultFolders() == folders
    assert len({hierarchy.GetItemName(folder) for folder in folders}) == 2
    assert {hierarchy.GetItemParent(folder) for folder in folders} == {study}
    nodes.removeFolder(folders[0])
    assert len(nodes.nodesInFolder(folders[1])) == 2


def test_no_folder_but_a_result_is_ever_removed(volume, bare_scene):
    hierarchy = nodes.subjectHierarchy()
    mine = hierarchy.CreateFolderItem(hierarchy.GetSceneItemID(), "mine")
    before = node_ids(bare_scene)
    nodes.removeFolder(mine)
    nodes.removeFolder(0)
    assert hierarchy.GetItemName(mine) == "mine"
    assert node_ids(bare_scene) == before


def test_dicom_seg_says_why_not_and_asks_for_the_right_place(volume, bare_scene, tmp_path, monkeypatch):
    """What the child process is asked to write: the patient's place, whatever transform lies above the scan."""
    from NeuroGenLib import dicom_export

    assert "0.27" in dicom_export.whyNoDicomSeg(volume) or "not loaded from DICOM" in dicom_export.whyNoDicomSeg(volume)
    monkeypatch.setattr(dicom_export.dicom_seg, "highdicomProblem", lambda: "")
    assert "not loaded from DICOM" in dicom_export.whyNoDicomSeg(volume)
    volume.SetAttribute("DICOM.instanceUIDs", "1.2.3 1.2.4")
    database = {"1.2.3": str(tmp_path / "a.dcm"), "1.2.4": str(tmp_path / "b.dcm")}
    monkeypatch.setattr(slicer, "dicomDatabase", types.SimpleNamespace(fileForInstance=database.get), raising=False)
    assert "no longer where" in dicom_export.whyNoDicomSeg(volume)
    with pytest.raises(ValueError, match="no longer where"):
        dicom_export.startDicomSeg(None, volume, tmp_path / "seg.dcm", onFinished=print)
    for path in database.values():
        Path(path).touch()

    under(volume, MOVED)
    segmentation = nodes.newSegmentation("Lesions", volume)
    nodes.setSegments(segmentation, labels_like(volume), NAMES, volume)
    asked = []
    monkeypatch.setattr(dicom_export, "startJob", lambda arguments, out, **options: asked.append(arguments[0]))
    dicom_export.startDicomSeg(segmentation, volume, tmp_path / "seg.dcm", onFinished=print, model="adult-reflect")
    request, labels = dicom_export.dicom_seg.readRequest(Path(asked[0]))
    assert np.allclose(request.ras, geometry.ijkToRas(volume, world=False), atol=1e-9)
    assert request.sources == tuple(database.values())
    assert [segment.name for segment in request.segments] == list(NAMES.values())
    assert np.array_equal(labels, nodes.segmentLabels(segmentation, volume))
    removeWorkFolder(Path(asked[0]))
