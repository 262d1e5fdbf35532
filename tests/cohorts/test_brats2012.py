"""The first challenges' MetaImage folders are recognised, and their two ways of labelling are kept
apart.
"""

from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk

from pipeline.cohorts import brats2012
from pipeline.core.errors import InputError
from pipeline.core.regions import classes_to_regions, regions_to_classes, values_to_classes
from pipeline.formats import raw_cases
from pipeline.verification import checks
from tests.conftest import case_arrays

FIRST, SECOND = brats2012.SOURCES
IMAGES, VALUES = case_arrays()


def write(path: Path, voxels: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    sitk.WriteImage(sitk.GetImageFromArray(voxels.astype(np.int16).transpose(2, 1, 0)), path)


def write_2012(
    folder: Path, case: str, truth_folder: Path | None = None, suffix: str = ".mha"
) -> None:
    for ending, name in {"FLAIR": "flair", "T1": "t1", "T1C": "t1ce", "T2": "t2"}.items():
        write(folder / case / f"{case}_{ending}{suffix}", IMAGES[name])
    write((truth_folder or folder / case) / f"{case}_truth{suffix}", np.minimum(VALUES, 2))


def write_2013(case_folder: Path, reference: str = "VSD.Brain_3more.XX.XX.OT") -> None:
    stems = {
        f"VSD.Brain.XX.O.MR_{ending}": IMAGES[name]
        for ending, name in {"Flair": "flair", "T1": "t1", "T1c": "t1ce", "T2": "t2"}.items()
    }
    for number, (stem, voxels) in enumerate((stems | {reference: VALUES}).items(), 684):
        write(case_folder / stem / f"{stem}.{number}.mha", voxels)


@pytest.mark.parametrize("apart", [False, True])
def test_cases_of_2012_are_found_and_generated_ones_told_apart(tmp_path, apart):
    for case in ("BRATS_HG0001", "BRATS_LG0002", "SimBRATS_HG0001"):
        write_2012(tmp_path / "Images", case, tmp_path / "Truth" if apart else None)
    write(tmp_path / "Images/SimBRATS_HG0001/SimBRATS_HG0001_complete_truth.mha", VALUES)
    schema, found = FIRST.find(tmp_path, 0)
    assert [case.case for case in found] == ["BRATS_HG0001", "BRATS_LG0002", "SimBRATS_HG0001"]
    assert [case.attributes["grade"] for case in found] == ["HGG", "LGG", "HGG"]
    assert [case.attributes["origin"] for case in found] == ["patient", "patient", "synthetic"]
    for case in found:
        assert set(case.images) == set(schema.modalities)
        assert case.labels.name == f"{case.case}_truth.mha"
        assert checks.verify(case, schema).entry.label_voxels == {
            "edema": 8,
            "core": int((VALUES > 1).sum()),
        }


def test_endings_do_not_swap_modalities(tmp_path):
    write_2012(tmp_path, "BRATS_HG0001")
    write_2013(tmp_path / "other/HG/0001")
    for source, folder in ((FIRST, tmp_path / "BRATS_HG0001"), (SECOND, tmp_path / "other")):
        _, (found,) = source.find(folder, 0)
        for modality, name in {"t1n": "t1", "t1c": "t1ce", "t2w": "t2", "t2f": "flair"}.items():
            assert np.array_equal(
                raw_cases.read_volume(found.images[modality]).voxels, IMAGES[name]
            )


@pytest.mark.parametrize(
    "reference", ["VSD.Brain_3more.XX.XX.OT", "VSD.Brain_3more.XX.O.OT", "VSD.Brain_2more.XX.XX.OT"]
)
def test_cases_of_the_skeleton_database_are_found(tmp_path, reference):
    write_2013(tmp_path / "Image_Data/HG/0001", reference)
    write_2013(tmp_path / "Image_Data/LG/0001", reference)
    schema, found = SECOND.find(tmp_path, 0)
    assert [case.case for case in found] == ["HG0001", "LG0001"]
    assert [case.attributes["grade"] for case in found] == ["HGG", "LGG"]
    assert [case.case for case in SECOND.find(tmp_path / "Image_Data/HG", 0)[1]] == ["HG0001"]
    entry = checks.verify(found[0], schema).entry
    assert entry.label_voxels == {
        name: int((value == VALUES).sum()) for name, value in schema.labels.items()
    }


def test_two_visits_of_2015_are_one_patient(tmp_path):
    for folder in (
        "HGG/brats_tcia_pat153_0001",
        "HGG/brats_tcia_pat153_0109",
        "HGG/brats_2013_pat0013_1",
        "LGG/brats_2013_pat0013_1",
    ):
        write_2013(tmp_path / folder)
    _, found = SECOND.find(tmp_path, 0)
    assert {case.case: case.patient for case in found} == {
        "HGG_brats_2013_pat0013_1": "HGG_brats_2013_pat0013",
        "HGG_brats_tcia_pat153_0001": "HGG_brats_tcia_pat153",
        "HGG_brats_tcia_pat153_0109": "HGG_brats_tcia_pat153",
        "LGG_brats_2013_pat0013_1": "LGG_brats_2013_pat0013",
    }


def test_label_values_of_one_year_are_not_read_as_the_other_s(tmp_path):
    write_2012(tmp_path / "a", "BRATS_HG0001")
    with pytest.raises(
        InputError,
        match=(
            r"has the label values of brats2012, not of brats2013\. Set cohort\.source: brats2012"
        ),
    ):
        SECOND.find(tmp_path / "a", 0)
    write_2013(tmp_path / "b/Image_Data/HG/0001")
    with pytest.raises(InputError, match=r"label values of brats2013, not of brats2012"):
        FIRST.find(tmp_path / "b", 0)


def test_generated_cases_of_2013_have_the_labels_of_2012_wherever_one_looks(tmp_path):
    write_2013(tmp_path / "Synthetic_Data/HG/0001", "VSD.Brain_1more.XX.O.OT")
    for location in (tmp_path, tmp_path / "Synthetic_Data/HG"):
        _, (found,) = FIRST.find(location, 0)
        assert found.case == "SimHG0001"
        assert found.attributes == {"grade": "HGG", "origin": "synthetic"}
        with pytest.raises(InputError, match="label values of brats2012"):
            SECOND.find(location, 0)


def test_a_header_with_its_data_beside_it_is_a_part(tmp_path):
    write_2012(tmp_path, "BRATS_HG0001", suffix=".mhd")
    schema, (found,) = FIRST.find(tmp_path, 0)
    assert set(found.parts) == {*schema.modalities, "seg"}
    assert np.array_equal(found.images["t1c"].read().voxels, IMAGES["t1ce"])


def test_what_is_ambiguous_or_absent_is_refused(tmp_path):
    with pytest.raises(InputError, match=r"holds no case .*cohort\.location"):
        FIRST.find(tmp_path, 0)
    with pytest.raises(InputError, match="is not a folder"):
        FIRST.find(tmp_path / "absent", 0)
    write_2012(tmp_path / "a", "BRATS_HG0001")
    write_2012(tmp_path / "b", "BRATS_HG0001")
    with pytest.raises(InputError, match="t2f of case BRATS_HG0001 is also in"):
        FIRST.find(tmp_path, 0)


def test_a_limit_takes_the_first_cases_and_stray_files_are_passed_over(tmp_path):
    for case in ("BRATS_HG0002", "BRATS_HG0001"):
        write_2012(tmp_path, case)
    (tmp_path / "BRATS_HG0001/._BRATS_HG0001_T1.mha").write_bytes(b"of macOS")
    assert [case.case for case in FIRST.find(tmp_path, 1)[1]] == ["BRATS_HG0001"]


@pytest.mark.parametrize("source", brats2012.SOURCES, ids=lambda source: source.name)
def test_labels_survive_the_way_over_regions(source):
    (schema,) = source.schemas
    classes = values_to_classes(np.array([[[0, *schema.labels.values()]]]), schema)
    assert np.array_equal(regions_to_classes(classes_to_regions(classes, schema), schema), classes)


@pytest.mark.real
def test_the_real_case_of_2012_is_read(real_cases):
    schema, (found,) = FIRST.find(real_cases / "brats2012", 0)
    entry = checks.verify(found, schema).entry
    assert (entry.case, entry.attributes["grade"]) == ("BRATS_HG0015", "HGG")
    assert entry.shape == (160, 216, 176)
    assert entry.orientation == "LPS"
    assert entry.label_voxels == {"edema": 108706, "core": 72310}
