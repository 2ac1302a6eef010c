"""Tests of DICOM SEG share these: a DICOM series of known place, and the places that a SEG file marks."""

import numpy as np
import pytest

ROWS, COLUMNS, SLICES = 10, 12, 6


def series(folder, orientation, spacing=(1.5, 0.9), step=2.0):
    """A DICOM series of one MR volume; returns its files and the affine (i, j, k) -> RAS mm."""
    pydicom = pytest.importorskip("pydicom")
    from pydicom.dataset import FileDataset, FileMetaDataset
    from pydicom.uid import ExplicitVRLittleEndian, generate_uid

    along_row, along_column = np.array(orientation[:3]), np.array(orientation[3:])
    normal = np.cross(along_row, along_column)
    origin = np.array([-40.0, 22.0, -13.0])
    study, group, frame = generate_uid(), generate_uid(), generate_uid()
    paths = []
    for k in range(SLICES):
        meta = FileMetaDataset()
        meta.MediaStorageSOPClassUID = pydicom.uid.MRImageStorage
        meta.MediaStorageSOPInstanceUID = generate_uid()
        meta.TransferSyntaxUID = ExplicitVRLittleEndian
        image = FileDataset(None, {}, file_meta=meta, preamble=b"\0" * 128)
        image.SOPClassUID, image.SOPInstanceUID = meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID
        image.StudyInstanceUID, image.SeriesInstanceUID, image.FrameOfReferenceUID = study, group, frame
        image.Modality, image.PatientID, image.PatientName = "MR", "phantom", "Phantom^Square"
        image.PatientBirthDate = image.PatientSex = image.AccessionNumber = image.StudyID = ""
        image.StudyDate, image.StudyTime, image.ReferringPhysicianName = "20260101", "120000", ""
        image.SeriesNumber, image.InstanceNumber, image.Manufacturer = 1, k + 1, "none"
        image.PositionReferenceIndicator = ""
        image.ImagePositionPatient = [round(value, 6) for value in origin + k * step * normal]
        image.ImageOrientationPatient = [round(float(value), 9) for value in orientation]
        image.PixelSpacing, image.SliceThickness = list(spacing), step
        image.Rows, image.Columns, image.SamplesPerPixel = ROWS, COLUMNS, 1
        image.BitsAllocated = image.BitsStored = 16
        image.HighBit, image.PixelRepresentation, image.PhotometricInterpretation = 15, 0, "MONOCHROME2"
        image.PixelData = np.full((ROWS, COLUMNS), k, np.uint16).tobytes()
        path = folder / f"{k}.dcm"
        image.save_as(path, enforce_file_format=True)
        paths.append(str(path))
    lps = np.eye(4)
    lps[:3, 0], lps[:3, 1], lps[:3, 2] = along_row * spacing[1], along_column * spacing[0], normal * step
    lps[:3, 3] = origin
    return tuple(paths), np.diag([-1.0, -1.0, 1.0, 1.0]) @ lps


def points_of_segments(path):
    """RAS mm of every marked voxel by segment label, read by pydicom alone, frame by frame."""
    import pydicom

    file = pydicom.dcmread(path)
    pixels = file.pixel_array.reshape(-1, file.Rows, file.Columns)
    names = {segment.SegmentNumber: segment.SegmentLabel for segment in file.SegmentSequence}
    shared, points = file.SharedFunctionalGroupsSequence[0], {}
    spacing = shared.PixelMeasuresSequence[0].PixelSpacing
    cosines = np.array(shared.PlaneOrientationSequence[0].ImageOrientationPatient, float)
    for frame, group in zip(pixels, file.PerFrameFunctionalGroupsSequence):
        position = np.array(group.PlanePositionSequence[0].ImagePositionPatient, float)
        row, column = np.nonzero(frame)
        lps = position + np.outer(column * spacing[1], cosines[:3]) + np.outer(row * spacing[0], cosines[3:])
        of = group if "SegmentIdentificationSequence" in group else shared  # a single segment is told once for all
        name = names[of.SegmentIdentificationSequence[0].ReferencedSegmentNumber]
        points.setdefault(name, []).append(lps * [-1, -1, 1])
    return {name: np.vstack(parts) for name, parts in points.items()}
