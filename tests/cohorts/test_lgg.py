"""TCGA-LGG folders of Kaggle become thick-slice volumes; copies of FLAIR are recognised."""

import shutil
from pathlib import Path

import numpy as np
import pytest

from pipeline.cohorts import lgg
from pipeline.core.errors import InputError
from pipeline.formats import nifti, raw_cases
from pipeline.verification import checks
from tests.formats.test_images import write_picture

CASE = "TCGA_CS_4941_19960909"
PIXELS = np.random.default_rng(0).integers(
    0, 256, (12, 20, 24, 3), np.uint8
)  # slices, rows, columns, sequences
TUMOUR = np.zeros((12, 20, 24), np.uint8)
TUMOUR[4:9, 5:11, 8:16] = 255


def write_patient(
    folder: Path, case: str = CASE, pixels: np.ndarray = PIXELS, tumour: np.ndarray | None = TUMOUR
) -> Path:
    """Write one folder of kaggle_3m; slice numbers begin at 1."""
    for number, plane in enumerate(pixels, 1):
        write_picture(folder / case / f"{case}_{number}.tif", plane)
        if tumour is not None:
            write_picture(folder / case / f"{case}_{number}_mask.tif", tumour[number - 1])
    return folder / case


def test_a_patient_is_one_volume_of_three_sequences_in_the_order_of_the_slices(tmp_path):
    write_patient(tmp_path / "kaggle_3m")
    schema, (found,) = lgg.find(tmp_path)
    assert (found.case, found.patient) == (CASE, "TCGA_CS_4941")
    for channel, name in enumerate(("t1n", "t2f", "t1c")):
        volume = found.images[name].read()
        assert np.array_equal(volume.voxels, PIXELS[..., channel].transpose(2, 1, 0))
        assert volume.grid.orientation == "LPS"
    assert np.array_equal(found.labels.read().voxels, TUMOUR.transpose(2, 1, 0) // 255)
    assert checks.verify(found, schema).entry.label_voxels == {"tumour": 5 * 6 * 8}


def test_the_spacing_is_said_to_be_nominal_once_for_all(tmp_path):
    for case in (CASE, "TCGA_HT_A61B_19991127"):
        write_patient(tmp_path, case)
    _, (first, second) = lgg.find(tmp_path)
    assert first.images["t2f"].read().grid.spacing_mm == (1.0, 1.0, 5.0)
    assert first.notes == (
        (
            "here and in all other cases the spacing was not published: millimetres and millilitres"
            " are nominal, of 1 x 1 x 5 mm voxels"
        ),
    )
    assert second.notes == ()
    assert "missing" not in first.attributes


@pytest.mark.parametrize(("channel", "name"), [(0, "t1n"), (2, "t1c")])
def test_a_sequence_that_copies_flair_is_noted_as_missing(tmp_path, channel, name):
    pixels = PIXELS.copy()
    pixels[..., channel] = pixels[..., 1]
    _, (found,) = lgg.find(write_patient(tmp_path, pixels=pixels))
    assert found.attributes["missing"] == name
    assert f"{name} is a copy of t2f: the sequence was not acquired" in found.notes
    pixels[-1, 3, 3, channel] ^= 1  # in one voxel it differs
    _, (found,) = lgg.find(write_patient(tmp_path, pixels=pixels, tumour=None))
    assert "missing" not in found.attributes


def test_what_the_table_beside_says_is_kept_as_published(tmp_path):
    write_patient(tmp_path)
    write_patient(tmp_path, "TCGA_HT_A61B_19991127")
    columns = "Patient,histological_type,neoplasm_histologic_grade,tumor_location,death01"
    (tmp_path / "data.csv").write_text(f"{columns}\nTCGA_CS_4941,1,2,2,1\nTCGA_HT_A61B,,,,\n")
    one, other = lgg.find(tmp_path)[1]
    assert one.attributes == {"grade_code": "2", "histology_code": "1", "location_code": "2"}
    assert other.attributes == {}


def test_a_limit_takes_the_first_by_name_and_a_folder_of_one_patient_may_be_named(tmp_path):
    write_patient(tmp_path, "TCGA_HT_A61B_19991127")
    folder = write_patient(tmp_path)
    for found in (lgg.find(tmp_path, 1)[1], lgg.find(folder)[1]):
        assert [case.case for case in found] == [CASE]
    assert len(lgg.find(tmp_path)[1]) == 2
    # the archive holds a copy of its folder, which is left out
    shutil.copytree(folder, tmp_path / "lgg-mri-segmentation/kaggle_3m" / CASE)
    for mask in (tmp_path / "TCGA_HT_A61B_19991127").glob("*_mask.tif"):
        mask.unlink()
    found = lgg.find(tmp_path)[1]
    assert [case.folder for case in found] == [folder, tmp_path / "TCGA_HT_A61B_19991127"]
    assert [case.labels is None for case in found] == [False, True]


def test_no_case_is_an_error_that_names_the_setting(tmp_path):
    with pytest.raises(InputError, match=r"holds no folder of a patient.*cohort\.location"):
        lgg.find(tmp_path)
    (tmp_path / CASE).mkdir()
    with pytest.raises(InputError, match="holds no slice"):
        lgg.find(tmp_path)


def test_a_mask_missing_at_the_end_is_refused(tmp_path):
    (write_patient(tmp_path) / f"{CASE}_12_mask.tif").unlink()
    with pytest.raises(InputError, match="slice 12 has an image or a mask, but not both"):
        lgg.find(tmp_path)


def test_a_stack_that_does_not_begin_with_1_is_noted(tmp_path):
    folder = write_patient(tmp_path)
    for name in (f"{CASE}_1.tif", f"{CASE}_1_mask.tif"):
        (folder / name).unlink()
    assert "the stack begins with slice 2" in lgg.find(folder)[1][0].notes


@pytest.mark.real
def test_real_stacks_are_read_and_their_reference_kept(real_cases, tmp_path):
    schema, found = lgg.find(real_cases / "lgg")
    assert [case.case for case in found] == ["TCGA_FG_6690_20020226", "TCGA_HT_8106_19970727"]
    assert all("missing" not in case.attributes for case in found)
    entry = checks.verify(raw_cases.as_files(found[1], tmp_path), schema).entry
    assert entry.shape == (256, 256, 22)
    assert entry.label_voxels["tumour"] > 10_000
    assert np.array_equal(
        nifti.read(tmp_path / entry.labels.path).voxels, found[1].labels.read().voxels
    )
