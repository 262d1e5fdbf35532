"""MetaImage folders of 2012 to 2015 are recognised, and their two ways of labelling kept apart."""

import numpy as np
import pytest

from pipeline.cohorts import brats2012
from pipeline.core.errors import InputError
from pipeline.formats import raw_cases
from pipeline.verification import checks
from tests.cohorts.challenges import write_2012, write_2013, write_metaimage
from tests.conftest import case_arrays

FIRST, SECOND = brats2012.SOURCES
IMAGES, VALUES = case_arrays()


@pytest.mark.parametrize("apart", [False, True])
def test_cases_of_2012_are_found_and_generated_ones_told_apart(tmp_path, apart):
    for case in ("BRATS_HG0001", "BRATS_LG0002", "SimBRATS_HG0001"):
        truth_folder = tmp_path / "Truth" if apart else None
        write_2012(tmp_path / "Images", case, truth_folder=truth_folder)
    write_metaimage(tmp_path / "Images/SimBRATS_HG0001/SimBRATS_HG0001_complete_truth.mha", VALUES)
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
    for grade in ("HG", "LG"):
        write_2013(tmp_path / f"Image_Data/{grade}/0001", reference)
    schema, found = SECOND.find(tmp_path, 0)
    stated = [(case.case, case.attributes["grade"]) for case in found]
    assert stated == [("HG0001", "HGG"), ("LG0001", "LGG")]
    assert [case.case for case in SECOND.find(tmp_path / "Image_Data/HG", 0)[1]] == ["HG0001"]
    assert checks.verify(found[0], schema).entry.label_voxels == {
        name: int((value == VALUES).sum()) for name, value in schema.labels.items()
    }


def test_two_visits_of_2015_are_one_patient(tmp_path):
    patients = {
        "HGG/brats_tcia_pat153_0001": "HGG_brats_tcia_pat153",
        "HGG/brats_tcia_pat153_0109": "HGG_brats_tcia_pat153",
        "HGG/brats_2013_pat0013_1": "HGG_brats_2013_pat0013",
        "LGG/brats_2013_pat0013_1": "LGG_brats_2013_pat0013",
    }
    for folder in patients:
        write_2013(tmp_path / folder)
    assert {case.case: case.patient for case in SECOND.find(tmp_path, 0)[1]} == {
        folder.replace("/", "_"): patient for folder, patient in patients.items()
    }


def test_label_values_of_one_year_are_not_read_as_the_other_s(tmp_path):
    write_2012(tmp_path / "a", "BRATS_HG0001")
    with pytest.raises(InputError, match=r"of brats2012, not of brats2013\. Set cohort\.source"):
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
    write_2012(tmp_path / "a", "BRATS_HG0001")
    write_2012(tmp_path / "b", "BRATS_HG0001")
    with pytest.raises(InputError, match="t2f of case BRATS_HG0001 is also in"):
        FIRST.find(tmp_path, 0)


def test_a_limit_takes_the_first_cases_and_stray_files_are_passed_over(tmp_path):
    for case in ("BRATS_HG0002", "BRATS_HG0001"):
        write_2012(tmp_path, case)
    (tmp_path / "BRATS_HG0001/._BRATS_HG0001_T1.mha").write_bytes(b"of macOS")
    assert [case.case for case in FIRST.find(tmp_path, 1)[1]] == ["BRATS_HG0001"]


@pytest.mark.real
def test_the_real_case_of_2012_is_read(real_cases):
    schema, (found,) = FIRST.find(real_cases / "brats2012", 0)
    entry = checks.verify(found, schema).entry
    assert (entry.case, entry.attributes["grade"]) == ("BRATS_HG0015", "HGG")
    assert entry.shape == (160, 216, 176)
    assert entry.orientation == "LPS"
    assert entry.label_voxels == {"edema": 108706, "core": 72310}
