"""What a DICOM report states is what was segmented, and refers to what was written beside it."""

from io import BytesIO
from pathlib import Path

import numpy as np
import pydicom
import pytest

from pipeline.core.case import Case
from pipeline.core.schema import Schema
from pipeline.metrics.diameters import measured
from pipeline.segmenting.extras import Extras
from pipeline.segmenting.measuring import findings
from pipeline.segmenting.segmentation import Segmentation
from tests.formats.dicom_objects.made_series import GEOMETRIES, SHAPE, write_series

SCHEMA = Schema(
    cohort="made",
    dimensions=3,
    modalities=("t1c",),
    labels={"necrotic": 1, "edema": 2, "enhancing": 4},
    regions={
        "WT": ("necrotic", "edema", "enhancing"),
        "TC": ("necrotic", "enhancing"),
        "ET": ("enhancing",),
    },
    empty_rule="brats",
)
CLASSES = np.zeros(SHAPE, np.uint8)
CLASSES[1:9, 1:9, 0:6] = 2
CLASSES[2:7, 2:7, 1:5] = 3
CLASSES[4:6, 4:6, 2:4] = 1
CLASSES[12, 10, 8] = 2
SPACING_MM = (1.0, 1.0, 2.0)


def by_name(found):
    return {finding.name: finding for finding in found}


def test_volumes_are_those_of_the_voxels_of_regions_and_of_labels_that_are_no_region():
    found = by_name(findings(CLASSES, SCHEMA, SPACING_MM))
    assert list(found) == ["WT", "TC", "ET", "necrotic", "edema"]
    assert found["WT"].volume_mm3 == 2 * (8 * 8 * 6 + 1)
    assert found["TC"].volume_mm3 == 2 * 5 * 5 * 4
    assert found["ET"].volume_mm3 == 2 * (5 * 5 * 4 - 8)
    assert found["necrotic"].volume_mm3 == 2 * 8
    assert found["edema"].diameters is None


def test_a_speck_counts_in_the_volume_but_is_no_lesion():
    whole = by_name(findings(CLASSES, SCHEMA, SPACING_MM))["WT"]
    assert [lesion.volume_mm3 for lesion in whole.lesions] == [whole.volume_mm3 - 2]


def test_diameters_are_of_the_slice_with_the_largest_product():
    whole = by_name(findings(CLASSES, SCHEMA, SPACING_MM))["WT"]
    lines = measured(CLASSES > 0, SPACING_MM)
    assert whole.diameters.product_mm2 == lines.product_mm2
    assert whole.diameters.index == lines.index


def test_nothing_segmented_measures_nothing():
    found = findings(np.zeros_like(CLASSES), SCHEMA, SPACING_MM)
    assert {(one.volume_mm3, one.diameters, one.lesions) for one in found} == {(0, None, ())}


def test_a_finding_names_the_segment_of_its_own_voxels_alone():
    labels = by_name(findings(CLASSES, SCHEMA, SPACING_MM, list(SCHEMA.labels)))
    assert {name: one.segment for name, one in labels.items()} == {
        "WT": "",
        "TC": "",
        "ET": "enhancing",
        "necrotic": "necrotic",
        "edema": "edema",
    }
    regions = by_name(findings(CLASSES, SCHEMA, SPACING_MM, list(SCHEMA.regions)))
    assert [regions[name].segment for name in SCHEMA.regions] == list(SCHEMA.regions)


def saved(folder: Path, geometry: str, extras: Extras):
    """The objects of a case, read back from the bytes of their files."""
    series = write_series(folder / "series", geometry, np.zeros(SHAPE, np.int16))
    grid = series.read().grid
    result = Segmentation(
        Case("case", np.zeros((*SHAPE, 1), np.float32), None, grid),
        CLASSES,
        SCHEMA,
        ("t1c",),
        None,
        {"network_sha256": "0" * 64, "quality": {"flag": "check"}},
        dict,
        ("t1c", series),
    )
    return {name: pydicom.dcmread(BytesIO(file)) for name, file in result.objects(extras).items()}


@pytest.mark.parametrize("segments", ["labels", "regions"])
@pytest.mark.parametrize("geometry", ["oblique", "enhanced"])
def test_a_report_refers_to_the_segmentation_written_beside_it(tmp_path, geometry, segments):
    extras = Extras(formats=("seg", "sr", "rtstruct"), segments=segments)
    made = saved(tmp_path, geometry, extras)
    names = [segment.SegmentLabel for segment in made["seg"].SegmentSequence]
    assert names == [roi.ROIName for roi in made["rtstruct"].StructureSetROISequence]
    assert made["seg"].SOPInstanceUID in str(made["sr"].CurrentRequestedProcedureEvidenceSequence)
    text = str(made["sr"])
    volume = (CLASSES == 3).sum() * np.prod(GEOMETRIES[geometry][1]) / 1000
    assert str(round(volume, 3)) in text
    assert len({one.SeriesInstanceUID for one in made.values()}) == 3
    assert all(one.SeriesDescription.startswith("Check: ") for one in made.values())
    made_by = made["seg"].SegmentSequence[0].SegmentationAlgorithmIdentificationSequence[0]
    assert "quality" in made_by.AlgorithmParameters
    assert "quality: check" in text
    assert len({one.StudyInstanceUID for one in made.values()}) == 1


def test_contours_may_be_written_alone(tmp_path):
    made = saved(tmp_path, "axial", Extras(formats=("rtstruct",)))
    assert [roi.ROIName for roi in made["rtstruct"].StructureSetROISequence] == list(SCHEMA.labels)
