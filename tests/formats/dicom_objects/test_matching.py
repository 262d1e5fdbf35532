"""Segmentation objects of any tool become label values on the grid of the images."""

import json
import shutil
import subprocess
from pathlib import Path

import highdicom
import nibabel
import numpy as np
import pydicom
import pytest
from highdicom.seg import SegmentDescription
from pydicom import uid
from pydicom.sr.codedict import codes
from pydicom.sr.coding import Code

from pipeline.core.errors import InputError
from pipeline.core.grid import Grid, onto_axes_of
from pipeline.core.regions import classes_to_regions, classes_to_values
from pipeline.core.schema import Schema
from pipeline.formats.dicom_objects.matching import SegmentationMask, mask_of
from pipeline.formats.dicom_objects.segmentation import identification
from pipeline.formats.dicom_objects.segments import kind_of, own_grid, read_segments
from tests.formats.dicom_objects.made_series import GEOMETRIES, SHAPE, write_series
from tests.formats.dicom_objects.test_segmentation import (
    ALGORITHM,
    CLASSES,
    MASKS,
    VOXELS,
    source_of,
    write,
)

REGIONS = {"WT": ("necrotic", "edema", "enhancing"), "TC": ("necrotic", "enhancing")}
SCHEMA = Schema(
    cohort="made",
    dimensions=3,
    modalities=("t1c",),
    labels={"necrotic": 1, "edema": 2, "enhancing": 4},
    regions=REGIONS | {"ET": ("enhancing",)},
    empty_rule="brats",
)
WHOLE = SCHEMA.model_copy(update={"labels": {"tumour": 1}, "regions": {"WT": ("tumour",)}})
TREATED = SCHEMA.model_copy(
    update={
        "labels": SCHEMA.labels | {"cavity": 5},
        "regions": SCHEMA.regions | {"RC": ("cavity",)},
    }
)
DISJOINT = np.random.default_rng(5).choice([0, 0, 0, 1, 2, 3], SHAPE).astype(np.uint8)
VALUES = classes_to_values(DISJOINT, SCHEMA)
BY_LABEL = {name: index == DISJOINT for index, name in enumerate(SCHEMA.labels, 1)}
BY_REGION = dict(
    zip(SCHEMA.regions, np.moveaxis(classes_to_regions(DISJOINT, SCHEMA), -1, 0), strict=True)
)


def by_another_tool(folder: Path, source, masks: dict, codes_of=None, **options) -> Path:
    """An object whose segments are called as the keys of `masks`, and coded or not as told."""
    described = [
        SegmentDescription(
            segment_number=number,
            segment_label=name,
            segmented_property_category=codes.SCT.MorphologicallyAbnormalStructure,
            segmented_property_type=(codes_of or {}).get(name, codes.SCT.Mass),
            algorithm_type="AUTOMATIC",
            algorithm_identification=identification(ALGORITHM),
        )
        for number, name in enumerate(masks, 1)
    ]
    made = highdicom.seg.Segmentation(
        source.headers,
        np.stack([mask.transpose(2, 1, 0) for mask in masks.values()], axis=-1),
        "BINARY",
        described,
        series_instance_uid="1.2.3",
        series_number=5,
        sop_instance_uid="1.2.3.4",
        instance_number=1,
        manufacturer="another",
        manufacturer_model_name="tool",
        software_versions="1",
        device_serial_number="1",
        transfer_syntax_uid=uid.ExplicitVRLittleEndian,
        **options,
    )
    path = folder / "other.dcm"
    made.save_as(path)
    return path


@pytest.mark.parametrize("kind", ["binary", "labelmap", "fractional"])
@pytest.mark.parametrize("geometry", GEOMETRIES)
def test_our_own_objects_become_the_labels_they_were_made_of(tmp_path, geometry, kind):
    series = write_series(tmp_path / "series", geometry, VOXELS)
    source = source_of(tmp_path, geometry)
    masks = {
        name: mask * np.float32(0.7) if kind == "fractional" else mask
        for name, mask in BY_LABEL.items()
    }
    path = write(tmp_path, source, masks, kind)
    volume = SegmentationMask(path, SCHEMA, series).read()
    assert np.array_equal(volume.voxels, VALUES)
    assert not volume.grid.differs(series.read().grid)
    assert volume.warnings == ()
    assert kind_of(path) == (kind, [*SCHEMA.labels])


def test_regions_become_labels(tmp_path):
    source = source_of(tmp_path)
    volume = mask_of(read_segments(write(tmp_path, source, BY_REGION)), SCHEMA, source.grid)
    assert np.array_equal(volume.voxels, VALUES)
    torn = BY_REGION | {"TC": np.zeros(SHAPE, bool)}
    volume = mask_of(read_segments(write(tmp_path, source, torn)), SCHEMA, source.grid)
    assert set(np.unique(volume.voxels)) == {0, 2}
    lost = int(BY_REGION["ET"].sum())
    assert volume.warnings[0].startswith(f"{tmp_path / 'binary.dcm'}: {lost} voxels of its regions")


def test_frames_that_were_left_out_are_background(tmp_path):
    source = source_of(tmp_path, "oblique")
    masks = {name: mask.copy() for name, mask in BY_LABEL.items()}
    for mask in masks.values():
        mask[..., [0, 1, 4, 8]] = False
    masks["edema"][..., 5:] = False
    path = by_another_tool(tmp_path, source, masks, omit_empty_frames=True)
    assert int(pydicom.dcmread(path).NumberOfFrames) == 5 + 5 + 2
    volume = mask_of(read_segments(path), SCHEMA, source.grid)
    for name, value in SCHEMA.labels.items():
        assert np.array_equal(volume.voxels == value, masks[name])
    own = mask_of(read_segments(path), SCHEMA)
    assert own.grid.shape == (14, 12, 6)
    assert np.array_equal(own.voxels, volume.voxels[..., 2:8])


def test_frames_lie_where_they_say_on_a_grid_with_other_axes(tmp_path):
    source = source_of(tmp_path, "sagittal")
    found = read_segments(write(tmp_path, source, BY_LABEL))
    for order, signs in (((2, 0, 1), (1, -1, 1)), ((1, 2, 0), (-1, 1, -1)), ((0, 1, 2), (-1,) * 3)):
        turn = np.zeros((4, 4))
        turn[3, 3] = 1
        shape = tuple(SHAPE[axis] for axis in order)
        for place, (axis, sign) in enumerate(zip(order, signs, strict=True)):
            turn[axis, place] = sign
            turn[axis, 3] = 0 if sign > 0 else SHAPE[axis] - 1
        grid = Grid(shape, source.grid.affine @ turn)
        volume = mask_of(found, SCHEMA, grid)
        assert np.array_equal(onto_axes_of(volume.voxels, grid, source.grid), VALUES)


@pytest.mark.parametrize(
    ("shift", "said"),
    [
        ([0, 0, 0.3], "between its voxels.*Resample the mask onto that grid"),
        ([0, 0, 1], "outside of the grid"),
    ],
)
def test_another_grid_is_rejected(tmp_path, shift, said):
    source = source_of(tmp_path)
    moved = source.grid.affine.copy()
    moved[:3, 3] += shift
    found = read_segments(write(tmp_path, source, BY_LABEL))
    with pytest.raises(InputError, match=rf"binary\.dcm: .*{said}"):
        mask_of(found, SCHEMA, Grid(SHAPE, moved))
    turned = source.grid.affine @ np.diag([1, 1, 2.0, 1])
    with pytest.raises(InputError, match="Resample"):
        mask_of(found, SCHEMA, Grid(SHAPE, turned))


NAMES = {"necrotic": "NCR", "edema": "Oedema 1", "enhancing": "lesion"}
CODES = {"Oedema 1": codes.SCT.Edema, "lesion": codes.NCIt.EnhancingLesion}


@pytest.mark.parametrize(
    ("names", "codes_of"),
    [
        ({name: name for name in BY_LABEL}, {}),
        ({name: name.upper() for name in BY_LABEL}, {}),
        (NAMES, CODES | {"NCR": codes.SCT.Necrosis}),
        (NAMES, CODES | {"NCR": Code("M-54000", "SRT", "Necrosis")}),
        ({"necrotic": "Necrotic core of the tumor", "edema": "edema", "enhancing": "ET"}, {}),
    ],
    ids=["labels", "capitals", "codes", "old codes", "titles and regions"],
)
def test_segments_of_other_tools_are_matched_by_code_or_name(tmp_path, names, codes_of):
    source = source_of(tmp_path)
    masks = {names[name]: mask for name, mask in BY_LABEL.items()}
    path = by_another_tool(tmp_path, source, masks, codes_of)
    assert np.array_equal(mask_of(read_segments(path), SCHEMA, source.grid).voxels, VALUES)


def test_several_segments_of_one_label_are_united(tmp_path):
    source = source_of(tmp_path)
    left = np.arange(SHAPE[0])[:, None, None] < 7
    et = BY_LABEL["enhancing"]
    masks = {"ET 1": et & left, "ET 2": et & ~left, "edema": BY_LABEL["edema"]}
    coded = dict.fromkeys(("ET 1", "ET 2"), codes.NCIt.EnhancingLesion)
    volume = mask_of(
        read_segments(by_another_tool(tmp_path, source, masks, coded)), SCHEMA, source.grid
    )
    assert np.array_equal(volume.voxels == 4, et)
    assert "has no segment for necrotic, taken as absent" in volume.warnings[0]


def test_a_cohort_of_the_whole_tumour_unites_its_parts_without_the_cavity(tmp_path):
    source = source_of(tmp_path)
    found = read_segments(write(tmp_path, source, BY_LABEL))
    assert np.array_equal(mask_of(found, WHOLE, source.grid).voxels, DISJOINT > 0)
    cavity = BY_LABEL | {"cavity": np.zeros(SHAPE, bool)}
    found = read_segments(write(tmp_path, source, cavity))
    with pytest.raises(InputError, match=r"'cavity', Resection cavity.* neither a label"):
        mask_of(found, WHOLE, source.grid)
    assert np.array_equal(mask_of(found, TREATED, source.grid).voxels, VALUES)


@pytest.mark.parametrize(
    ("masks", "said"),
    [
        ({"ventricle": BY_LABEL["edema"]}, r"segment 1 \('ventricle', Mass\) is neither a label"),
        (
            {"edema": BY_REGION["WT"], "enhancing": BY_REGION["ET"]},
            "segments edema and enhancing share .* voxels",
        ),
        ({"WT": BY_REGION["WT"], "ET": BY_REGION["ET"]}, "no labels follow: TC is missing"),
        (BY_REGION | {"edema": BY_LABEL["edema"]}, "no labels follow: edema is beside regions"),
    ],
)
def test_segments_that_give_no_labels_are_rejected(tmp_path, masks, said):
    source = source_of(tmp_path)
    path = by_another_tool(tmp_path, source, masks)
    with pytest.raises(InputError, match=rf"other\.dcm: .*{said}"):
        mask_of(read_segments(path), SCHEMA, source.grid)


@pytest.mark.skipif(not shutil.which("itkimage2segimage"), reason="dcmqi is not installed")
def test_what_dcmqi_writes_is_read(tmp_path):
    series = write_series(tmp_path / "series", "oblique", VOXELS)
    grid = series.read().grid
    nibabel.save(nibabel.Nifti1Image(VALUES, grid.affine), tmp_path / "labels.nii.gz")
    coded = {"necrotic": codes.SCT.Necrosis, "edema": codes.SCT.Edema}
    coded |= {"enhancing": codes.NCIt.EnhancingLesion}
    item = lambda code: {  # noqa: E731
        "CodeValue": code.value,
        "CodingSchemeDesignator": code.scheme_designator,
        "CodeMeaning": code.meaning,
    }
    described = {
        "ContentCreatorName": "Doe",
        "SeriesDescription": "by hand",
        "segmentAttributes": [
            [
                {
                    "labelID": value,
                    "SegmentAlgorithmType": "MANUAL",
                    "SegmentDescription": "drawn",
                    "SegmentedPropertyCategoryCodeSequence": item(
                        codes.SCT.MorphologicallyAbnormalStructure
                    ),
                    "SegmentedPropertyTypeCodeSequence": item(coded[name]),
                }
                for name, value in SCHEMA.labels.items()
            ]
        ],
    }
    (tmp_path / "meta.json").write_text(json.dumps(described))
    command = ["itkimage2segimage", "--inputImageList", tmp_path / "labels.nii.gz"]
    command += ["--inputDICOMDirectory", series.path, "--inputMetadata", tmp_path / "meta.json"]
    command += ["--outputDICOM", tmp_path / "seg.dcm"]
    subprocess.run(command, check=True, capture_output=True)
    volume = SegmentationMask(tmp_path / "seg.dcm", SCHEMA, series).read()
    assert np.array_equal(volume.voxels, VALUES)


def test_the_grid_of_two_objects_holds_both(tmp_path):
    source = source_of(tmp_path, "coronal")
    low, high = np.zeros(SHAPE, bool), np.zeros(SHAPE, bool)
    low[3, 3, 1:3], high[4, 4, 6:8] = True, True
    objects = []
    for name, mask in (("low", low), ("high", high)):
        (tmp_path / name).mkdir()
        path = by_another_tool(tmp_path / name, source, {"edema": mask}, omit_empty_frames=True)
        objects.append(read_segments(path))
    grid = own_grid(objects)
    assert grid.shape == (14, 12, 7)
    assert np.array_equal(mask_of(objects[0], SCHEMA, grid).voxels > 0, low[..., 1:8])
    assert np.array_equal(mask_of(objects[1], SCHEMA, grid).voxels > 0, high[..., 1:8])


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"SOPClassUID": uid.MRImageStorage}, "is no DICOM segmentation"),
        ({"SegmentationType": "SURFACE"}, "is no DICOM segmentation"),
        ({"PixelData": b"\0" * 8}, "holds 8 bytes of pixels where its header announces"),
        ({"NumberOfFrames": 10**6}, "bytes of pixels where its header announces"),
        ({"Rows": 65535, "Columns": 65535}, "bytes of pixels where its header announces"),
        ({"SegmentSequence": []}, "describes no segment"),
        ({"PerFrameFunctionalGroupsSequence": []}, "says where 0 of its"),
    ],
)
def test_objects_that_contradict_themselves_are_rejected(tmp_path, values, said):
    path = write(tmp_path, source_of(tmp_path), MASKS)
    dataset = pydicom.dcmread(path)
    for keyword, value in values.items():
        setattr(dataset, keyword, value)
    dataset.save_as(path)
    with pytest.raises(InputError, match=rf"binary\.dcm: .*{said}"):
        mask_of(read_segments(path), SCHEMA)


def test_frames_that_refer_to_no_described_segment_are_rejected(tmp_path):
    path = write(tmp_path, source_of(tmp_path), MASKS)
    dataset = pydicom.dcmread(path)
    dataset.SegmentSequence = dataset.SegmentSequence[:2]
    dataset.save_as(path)
    with pytest.raises(InputError, match="has voxels of segment 3, which it does not describe"):
        read_segments(path)
    path = write(tmp_path, source_of(tmp_path), MASKS, "labelmap")
    dataset = pydicom.dcmread(path)
    dataset.SegmentSequence = [*dataset.SegmentSequence[:2]]
    dataset.save_as(path)
    assert CLASSES.max() == 2
    with pytest.raises(InputError, match="has voxels of segment 2, which it does not describe"):
        read_segments(path)
