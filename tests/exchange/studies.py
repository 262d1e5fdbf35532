"""DICOM studies that a small network can segment, and results of them."""

from pathlib import Path

import highdicom
import numpy as np
import pydicom
from pydicom import uid
from pydicom.sr.codedict import codes

from tests.conftest import case_arrays
from tests.formats.dicom.test_series import slice_of, write

STUDY = "1.2.826.0.77.1"
DESCRIPTIONS = {"t1": "AX T1", "t1ce": "AX T1 POST GD", "t2": "AX T2 FSE", "flair": "AX T2 FLAIR"}
PATIENT = {"PatientID": "MRN4711", "PatientName": "Roe^Jane"}


def write_study(folder: Path, study: str = STUDY, seed: int = 0) -> Path:
    """An axial study of four series on one grid, a folder for each, 1 mm."""
    images, _ = case_arrays(seed)
    for number, (name, description) in enumerate(DESCRIPTIONS.items(), 1):
        series = f"{study}.{number}"
        for index in range(images[name].shape[2]):
            dataset = slice_of(
                index,
                plane=np.ascontiguousarray(images[name][:, :, index].T),
                SOPClassUID=uid.MRImageStorage,
                SOPInstanceUID=f"{series}.{index + 1}",
                StudyInstanceUID=study,
                SeriesInstanceUID=series,
                SeriesNumber=number,
                SeriesDescription=description,
                InstanceNumber=index + 1,
                FrameOfReferenceUID=f"{study}.99",
                StudyID="1",
                StudyDate="20260102",
                StudyTime="101500",
                AccessionNumber="",
                ReferringPhysicianName="",
                PatientSex="",
                Manufacturer="tests",
                ImageOrientationPatient=[1.0, 0.0, 0.0, 0.0, 1.0, 0.0],
                ImagePositionPatient=[0.0, 0.0, float(index)],
                PixelSpacing=[1.0, 1.0],
                SliceThickness=1.0,
                SpacingBetweenSlices=1.0,
                **PATIENT,
            )
            write(folder / name / f"{index:03d}.dcm", dataset)
    return folder


def write_segmentation(path: Path, study: Path) -> pydicom.Dataset:
    """A segmentation of a study's first series, as a result that is to be stored."""
    sources = [pydicom.dcmread(file) for file in sorted((study / "t1").glob("*.dcm"))]
    mask = np.zeros((len(sources), sources[0].Rows, sources[0].Columns), bool)
    mask[5:9, 4:9, 4:9] = True
    described = highdicom.seg.SegmentDescription(
        segment_number=1,
        segment_label="ET",
        segmented_property_category=codes.SCT.MorphologicallyAbnormalStructure,
        segmented_property_type=codes.SCT.Neoplasm,
        algorithm_type="AUTOMATIC",
        algorithm_identification=highdicom.AlgorithmIdentificationSequence(
            name="TumorFlow", version="1", family=codes.DCM.ArtificialIntelligence
        ),
    )
    dataset = highdicom.seg.Segmentation(
        source_images=sources,
        pixel_array=mask,
        segmentation_type="BINARY",
        segment_descriptions=[described],
        series_instance_uid=highdicom.UID(),
        series_number=100,
        sop_instance_uid=highdicom.UID(),
        instance_number=1,
        manufacturer="tests",
        manufacturer_model_name="tests",
        software_versions="1",
        device_serial_number="1",
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    dataset.save_as(path)
    return dataset
