"""Series of every geometry that scanners produce, made for tests of the objects about them."""

from pathlib import Path

import numpy as np
from pydicom import uid
from pydicom.dataset import Dataset, FileMetaDataset

from pipeline.formats.dicom.series import DicomSeries

SHAPE = (14, 12, 9)
"""Columns, rows, slices."""
OBLIQUE = np.array([[0.96, 0.28, 0.0], [-0.168, 0.576, -0.8]])
GEOMETRIES = {
    "axial": ([[1, 0, 0], [0, 1, 0]], (1.0, 1.0, 1.0)),
    "sagittal": ([[0, 1, 0], [0, 0, -1]], (1.0, 1.0, 1.2)),
    "coronal": ([[1, 0, 0], [0, 0, -1]], (0.9, 0.9, 2.0)),
    "oblique": (OBLIQUE, (0.75, 0.75, 1.5)),
    "negated-column": ([[1, 0, 0], [0, -1, 0]], (1.0, 1.0, 3.0)),
    "negated-row": ([[-1, 0, 0], [0, 1, 0]], (1.0, 1.0, 3.0)),
    "anisotropic": ([[1, 0, 0], [0, 1, 0]], (0.4297, 0.625, 6.5)),
    "enhanced": (OBLIQUE, (0.8, 0.8, 2.5)),
    "enhanced-unshared": (OBLIQUE, (0.8, 0.8, 2.5)),
}
"""Cosines along a row and a column (LPS+), millimetres between columns, rows and slices, and
perhaps the place of the first voxel.
"""
CORNER_MM = (-61.2, 33.7, -18.9)


def positions(geometry: str, slices: int = SHAPE[2]) -> list[list[float]]:
    """Of the slices of a series, along the normal."""
    axes, (_, _, step), *corner = GEOMETRIES[geometry]
    normal = np.cross(*np.asarray(axes, float))
    corner = np.array(corner[0] if corner else CORNER_MM)
    return [np.round(corner + number * step * normal, 4).tolist() for number in range(slices)]


def affine(geometry: str) -> np.ndarray:
    """Voxel (column, row, slice) to RAS+ mm, by the formula of the standard."""
    axes, (between_columns, between_rows, step), *_ = GEOMETRIES[geometry]
    row, column = np.asarray(axes, float)
    edges = [row * between_columns, column * between_rows, np.cross(row, column) * step]
    matrix = np.eye(4)
    matrix[:3] = np.column_stack([*edges, positions(geometry)[0]])
    return np.diag([-1.0, -1.0, 1.0, 1.0]) @ matrix


def _header(voxels: np.ndarray, number: int, name: str, series: int, values: dict) -> Dataset:
    elements = {
        "SOPClassUID": uid.MRImageStorage,
        "SOPInstanceUID": f"1.2.826.0.7.{series}.{number + 1}",
        "StudyInstanceUID": "1.2.826.0.7",
        "SeriesInstanceUID": f"1.2.826.0.7.{series}",
        "FrameOfReferenceUID": "1.2.826.0.7.99",
        "PositionReferenceIndicator": "",
        "SpecificCharacterSet": "ISO_IR 100",
        "PatientID": "MRN4711",
        "PatientName": "Müller^Jörg",
        "PatientBirthDate": "19610203",
        "PatientSex": "M",
        "StudyDate": "20250102",
        "StudyTime": "101500",
        "StudyID": "S77",
        "StudyDescription": "MR head",
        "AccessionNumber": "A123",
        "ReferringPhysicianName": "Doe^Ann",
        "Modality": "MR",
        "Manufacturer": "made",
        "SeriesNumber": series,
        "InstanceNumber": number + 1,
        "SeriesDescription": name,
        "ImageType": ["ORIGINAL", "PRIMARY", "M"],
        "ScanningSequence": "SE",
        "SequenceVariant": "NONE",
        "ScanOptions": "",
        "MRAcquisitionType": "3D",
        "EchoTime": 10.0,
        "RepetitionTime": 600.0,
        "EchoTrainLength": 1,
        "SamplesPerPixel": 1,
        "PhotometricInterpretation": "MONOCHROME2",
        "Rows": voxels.shape[1],
        "Columns": voxels.shape[0],
        "BitsAllocated": 16,
        "BitsStored": 16,
        "HighBit": 15,
        "PixelRepresentation": 1,
        "PixelData": np.ascontiguousarray(voxels.T).astype("<i2").tobytes(),
    } | values
    dataset = Dataset()
    for keyword, value in elements.items():
        if value is not None:
            setattr(dataset, keyword, value)
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = uid.ExplicitVRLittleEndian
    return dataset


def _item(**values) -> Dataset:
    item = Dataset()
    for keyword, value in values.items():
        setattr(item, keyword, value)
    return item


def write_series(
    folder: Path,
    geometry: str,
    voxels: np.ndarray,
    name: str = "AX T1 POST GD",
    series: int = 1,
    **values,
) -> DicomSeries:
    """Write (columns, rows, slices) voxels: a file a slice in shuffled order, or one of enhanced
    MR with its frames in reversed order, which share their spacing and orientation or repeat
    them, as scanners of Siemens do; `values` replace elements, None leaves one out.
    """
    folder.mkdir(parents=True, exist_ok=True)
    axes, (between_columns, between_rows, step), *_ = GEOMETRIES[geometry]
    cosines = np.asarray(axes, float).ravel().tolist()
    places, count = positions(geometry, voxels.shape[2]), voxels.shape[2]
    spacing = [between_rows, between_columns]
    if geometry.startswith("enhanced"):
        common = {
            "PixelMeasuresSequence": [_item(PixelSpacing=spacing, SliceThickness=step)],
            "PlaneOrientationSequence": [_item(ImageOrientationPatient=cosines)],
        }
        shared, own = (common, {}) if geometry == "enhanced" else ({}, common)
        groups = {
            "SOPClassUID": uid.EnhancedMRImageStorage,
            "NumberOfFrames": count,
            "SharedFunctionalGroupsSequence": [_item(**shared)],
            "PerFrameFunctionalGroupsSequence": [
                _item(PlanePositionSequence=[_item(ImagePositionPatient=places[number])], **own)
                for number in reversed(range(count))
            ],
        }
        dataset = _header(voxels[..., ::-1], 0, name, series, groups | values)
        dataset.save_as(folder / "all.dcm", enforce_file_format=True)
        return DicomSeries(folder, (folder / "all.dcm",))
    files = []
    for number in range(count):
        placed = {
            "ImagePositionPatient": places[number],
            "ImageOrientationPatient": cosines,
            "PixelSpacing": spacing,
            "SliceThickness": step,
        }
        dataset = _header(voxels[..., number], number, name, series, placed | values)
        files.append(folder / f"{(number * 5 + 3) % count:03d}_{number:03d}.dcm")
        dataset.save_as(files[-1], enforce_file_format=True)
    return DicomSeries(folder, tuple(sorted(files)))
