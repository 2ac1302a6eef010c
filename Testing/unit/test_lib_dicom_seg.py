"""DICOM SEG: what is written lies where the marked voxels are, says what they are, and refers to its source."""

import numpy as np
import pytest
from dicom_builders import COLUMNS, ROWS, SLICES, points_of_segments, series

from neurogen.errors import InputRefused
from NeuroGenLib import dicom_seg
from NeuroGenLib.dicom_seg import SegRequest, SegSegment, writeDicomSeg
from NeuroGenLib.job import makeWorkFolder, startJob
from NeuroGenLib.terminology import LESION


def tilted():
    angle = np.radians(20)
    return (np.cos(angle), np.sin(angle), 0.0, -np.sin(angle) * 0.8, np.cos(angle) * 0.8, -0.6)


ORIENTATIONS = {"axial": (1, 0, 0, 0, 1, 0), "sagittal": (0, 1, 0, 0, 0, -1), "oblique": tilted()}


def marked():
    """Labels 2 and 7 in the order [k, j, i]."""
    labels = np.zeros((SLICES, ROWS, COLUMNS), np.int16)
    labels[1:3, 2:5, 3:9] = 2
    labels[4, 6:9, 1:4] = 7
    return labels


def request(path, sources, ras):
    segments = (SegSegment(2, "Region 2, brighter", LESION), SegSegment(7, "Region 7, darker", LESION))
    return SegRequest(str(path), sources, tuple(map(tuple, ras.tolist())), segments, model="adult-reflect")


def expected_points(labels, ras, label):
    kji = np.argwhere(labels == label)
    return (ras @ np.column_stack([kji[:, ::-1], np.ones(len(kji))]).T).T[:, :3]


def as_set(points):
    return {tuple(point) for point in np.round(points, 2) + 0.0}


@pytest.mark.parametrize("orientation", ORIENTATIONS.values(), ids=ORIENTATIONS)
@pytest.mark.parametrize("flipped", [False, True], ids=["as acquired", "k reversed"])
def test_every_marked_voxel_is_where_it_was(tmp_path, orientation, flipped):
    pytest.importorskip("highdicom", minversion="0.27")
    sources, ras = series(tmp_path, orientation)
    labels = marked()
    if flipped:  # as Slicer holds a left-handed series
        ras = ras @ np.array([[1, 0, 0, 0], [0, 1, 0, 0], [0, 0, -1, SLICES - 1], [0, 0, 0, 1.0]])
        labels = labels[::-1]
    path = tmp_path / "marked ü.dcm"
    writeDicomSeg(request(path, sources, ras), labels)
    found = points_of_segments(path)
    assert list(found) == ["Region 2, brighter", "Region 7, darker"]
    for name, label in zip(found, (2, 7)):
        assert as_set(found[name]) == as_set(expected_points(labels, ras, label))


def test_it_says_what_it_is_and_where_it_comes_from(tmp_path):
    pytest.importorskip("highdicom", minversion="0.27")
    import pydicom

    sources, ras = series(tmp_path, ORIENTATIONS["axial"])
    writeDicomSeg(request(tmp_path / "seg.dcm", sources, ras), marked())
    file, source = pydicom.dcmread(tmp_path / "seg.dcm"), pydicom.dcmread(sources[0])
    assert file.Modality == "SEG"
    assert file.StudyInstanceUID == source.StudyInstanceUID
    assert file.FrameOfReferenceUID == source.FrameOfReferenceUID
    assert file.SeriesInstanceUID != source.SeriesInstanceUID
    assert "Research use only" in file.SeriesDescription
    segment = file.SegmentSequence[0]
    assert segment.SegmentedPropertyTypeCodeSequence[0].CodeValue == "52988006"
    assert segment.SegmentAlgorithmType == "AUTOMATIC"
    assert "adult-reflect" in segment.SegmentationAlgorithmIdentificationSequence[0].AlgorithmName
    referenced = file.ReferencedSeriesSequence[0].ReferencedInstanceSequence
    assert len(referenced) == SLICES


def test_nothing_marked_is_refused(tmp_path):
    pytest.importorskip("highdicom", minversion="0.27")
    sources, ras = series(tmp_path, ORIENTATIONS["axial"])
    with pytest.raises(InputRefused, match="Nothing is marked"):
        writeDicomSeg(request(tmp_path / "seg.dcm", sources, ras), np.zeros((SLICES, ROWS, COLUMNS), np.int16))
    assert not (tmp_path / "seg.dcm").exists()


@pytest.mark.parametrize(
    ("version", "words"), [("0.26.1", "but 0.26.1 is installed"), (None, "comes with Slicer 5.12")]
)
def test_without_a_new_highdicom_it_says_so(monkeypatch, tmp_path, version, words):
    def lookup(name):
        if version is None:
            raise dicom_seg.metadata.PackageNotFoundError(name)
        return version

    monkeypatch.setattr(dicom_seg.metadata, "version", lookup)
    with pytest.raises(InputRefused, match=words):
        writeDicomSeg(request(tmp_path / "seg.dcm", (), np.eye(4)), marked())


def test_the_child_process_writes_it_and_tells_refusals(tmp_path):
    pytest.importorskip("highdicom", minversion="0.27")
    sources, ras = series(tmp_path, ORIENTATIONS["oblique"])
    for labels, kind in ((marked(), "done"), (np.zeros_like(marked()), "refused")):
        folder = makeWorkFolder()
        path = tmp_path / f"{kind}.dcm"
        dicom_seg.saveRequest(folder, request(path, sources, ras), labels)
        job = startJob([str(folder)], folder / "out", workFolder=folder, module="NeuroGenLib.dicom_seg")
        end = job.wait(120)
        assert end.kind == kind, end
        assert path.exists() == (kind == "done")
        assert not folder.exists()
    assert "Nothing is marked" in end.message
