"""Checks across the cases of a cohort."""

from dataclasses import replace

import numpy as np
import pytest

from pipeline.cohorts import brats
from pipeline.core.catalogue import Catalogue
from pipeline.core.errors import InputError
from pipeline.verification import checks, cohort
from pipeline.verification.plausibility import Fault
from tests.conftest import case_arrays, write_case


@pytest.fixture
def found(tmp_path):
    """Two cases, and a third with the mask of none and the T1 of the first."""
    for number in range(3):
        write_case(tmp_path, f"BraTS2021_0000{number}", seed=number)
    copied = {"t1": case_arrays(0)[0]["t1"], "seg": np.zeros_like(case_arrays(0)[1])}
    write_case(tmp_path, "BraTS2021_00002", seed=2, **copied)
    return brats.find(tmp_path)[1]


@pytest.fixture
def verified(found, schema):
    return [checks.verify(case, schema=schema) for case in found]


def test_the_same_voxels_in_two_cases_are_rejected_unless_a_copy_is_published(found, verified):
    entries = [case.entry for case in verified]
    cohort.reject_duplicates(entries[:2], found[:2])
    with pytest.raises(InputError, match=r"t1\.nii\.gz: t1n of case BraTS2021_00002 has the same"):
        cohort.reject_duplicates(entries, found)
    copy = entries[2].model_copy(update={"attributes": {"missing": "t1n"}})
    cohort.reject_duplicates([*entries[:2], copy], found)


def test_warnings_are_grouped_and_the_summary_counts_them(verified, schema):
    faulty = [
        replace(
            case,
            entry=case.entry.model_copy(update={"case": f"case_{number}"}),
            faults=(Fault("the skull is on", "", f"case {number}", is_grave=True),),
        )
        for number, case in enumerate(verified * 3)
    ]
    entries = tuple(case.entry for case in faulty)
    catalogue = Catalogue(cohort=schema, licence="", cases=entries, alike=())
    warned = cohort.warnings(catalogue, faulty)
    assert "case_2: the reference marks no voxel" in warned
    (line,) = [warning for warning in warned if "the skull is on" in warning]
    assert line.startswith("case_0 (case 0), case_1 (case 1)")
    assert line.endswith("and 4 more of 9 cases: the skull is on")
    summary = cohort.summary(catalogue, warned)
    assert (summary["cases"], summary["patients"], summary["files"]) == (9, 3, 45)
    assert summary["without"] == {"WT": 3, "TC": 3, "ET": 3}
    assert summary["warnings"] == warned
