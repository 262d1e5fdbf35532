import numpy as np
import pytest

from pipeline.core.case import Case
from pipeline.core.catalogue import CaseEntry, Catalogue, FileEntry
from pipeline.core.errors import InputError
from pipeline.core.grid import Grid, rows_of
from pipeline.planning.fingerprint import Look, fingerprint, foreground_of, look, looked_at
from tests.planning.conftest import GLIOMA, PARAMS, SLICES

LOOK = Look((138.0, 172.0, 140.0), 0.6, (1.0, 5.0, 2.0, 2.0))
SPLIT = PARAMS["split"]


def file(name):
    return FileEntry(
        path=name,
        sha256=name,
        content_sha256=name,
        dtype="int16",
        minimum=0.0,
        maximum=1.0,
        origin_sha256=None,
    )


def entry(name, edges=(1.0, 1.0, 1.0), voxels=(1000, 2000, 500), shape=(240, 240, 155), **changes):
    affine = np.diag([-edges[0], -edges[1], edges[2], 1.0])
    usual = {
        "case": name,
        "patient": name,
        "images": {one: file(f"{name}/{one}") for one in GLIOMA.modalities},
        "labels": file(f"{name}/seg"),
        "shape": shape,
        "affine": rows_of(affine),
        "spacing_mm": edges,
        "orientation": "LPS",
        "brain_ml": 1400.0,
        "label_voxels": dict(zip(GLIOMA.labels, voxels, strict=True)),
        "attributes": {},
        "native": None,
        "stripped": True,
    }
    return CaseEntry(**usual | changes)


def catalogue(*entries, cohort=GLIOMA):
    return Catalogue(cohort=cohort, licence="", cases=entries, alike=())


def test_a_fingerprint_counts_patients_parts_and_volumes():
    listed = catalogue(*(entry(f"p{number}") for number in range(10)))
    found = fingerprint(listed, SPLIT, [LOOK])
    assert (found.patients, found.cases) == (10, 10)
    assert (found.to_train, found.to_validate, found.to_test) == (6, 2, 2)
    assert found.region_ml == {"WT": 3.5, "TC": 1.5, "ET": 0.5}
    assert found.tumour_ml == (3.5, 3.5, 3.5)
    assert found.tails == {"t1n": 1.0, "t1c": 5.0, "t2w": 2.0, "t2f": 2.0}
    assert found.trainings == 1
    assert fingerprint(listed, SPLIT | {"val_fold": "all"}, [LOOK]).trainings == SPLIT["folds"]


def test_volumes_leave_out_cases_without_the_region_and_cases_without_a_mask():
    listed = catalogue(
        entry("a"),
        entry("b", voxels=(0, 4000, 0)),
        entry("c", voxels=(9, 9, 9), labels=None, label_voxels={}),
    )
    found = fingerprint(listed, SPLIT, [LOOK])
    assert found.cases == 2
    assert found.region_ml["ET"] == 0.5
    assert found.region_ml["WT"] == (3.5 + 4.0) / 2
    with pytest.raises(InputError, match="no case with a mask"):
        fingerprint(catalogue(entry("c", labels=None, label_voxels={})), SPLIT, [LOOK])


def test_the_spacing_is_the_median_but_of_thick_slices_that_of_the_finest_cases():
    edges = [(1.0, 1.0, 1.0), (1.0, 1.0, 2.0), (1.2, 1.2, 2.0)]
    listed = catalogue(*(entry(str(number), one) for number, one in enumerate(edges)))
    assert fingerprint(listed, SPLIT, [LOOK]).spacing_mm == (1.0, 1.0, 2.0)
    thickness = [5.0, 5.0, 5.0, 5.0, 3.0]
    listed = catalogue(*(entry(str(n), (0.9, 0.9, mm)) for n, mm in enumerate(thickness)))
    found = fingerprint(listed, SPLIT, [LOOK])
    assert found.spacing_mm == pytest.approx((0.9, 0.9, 3.8))
    assert found.anisotropy == pytest.approx(3.8 / 0.9)


def test_axes_are_those_of_the_canonical_orientation():
    sagittal = np.array([[0.0, 0, 3, 0], [1, 0, 0, 0], [0, 1, 0, 0], [0, 0, 0, 1]])
    one = entry("a", shape=(256, 200, 30), affine=rows_of(sagittal), orientation="ASR")
    found = fingerprint(catalogue(one), SPLIT, [LOOK])
    assert found.spacing_mm == (3.0, 1.0, 1.0)
    assert found.raw_shape == (30, 256, 200)


@pytest.mark.parametrize(
    ("cohort", "stripped", "expected"),
    [
        (GLIOMA, True, "nonzero"),
        (GLIOMA, False, "head"),
        (GLIOMA, None, "nonzero"),
        (SLICES, None, "head"),
    ],
)
def test_the_foreground_follows_from_the_skull(cohort, stripped, expected):
    assert foreground_of(catalogue(entry("a", stripped=stripped), cohort=cohort)) == expected


def test_cases_to_look_at_are_few_and_spread_over_the_brain_volumes():
    listed = catalogue(*(entry(f"{n:03}", brain_ml=float(1000 + n)) for n in range(100)))
    volumes = [one.brain_ml for one in looked_at(listed)]
    assert len(volumes) == 12
    assert (volumes[0], volumes[-1]) == (1000.0, 1099.0)
    assert volumes == sorted(set(volumes))


def test_a_look_measures_the_brain_in_mm_along_canonical_axes():
    image = np.zeros((20, 30, 10, 1), np.int16)
    image[5:15, 5:25, 2:8] = 100
    image[7, 7, 4] = 1000
    affine = np.array([[0, 2.0, 0, 0], [1.0, 0, 0, 0], [0, 0, 3.0, 0], [0, 0, 0, 1.0]])
    seen = look(Case("a", image, None, Grid(image.shape[:3], affine)), "nonzero")
    assert seen.brain_mm == (40.0, 10.0, 18.0)
    assert seen.brain_share == 1.0
