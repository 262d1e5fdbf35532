"""Cases that stand out from their cohort are reported, and skulls are recognised."""

import numpy as np
import pytest

from pipeline.core.catalogue import CaseEntry, Catalogue, FileEntry
from pipeline.formats import nifti
from pipeline.phantom.random_fields import normal_field
from pipeline.verification.outliers import oddities
from pipeline.verification.plausibility import skull_stripped

SHAPE = (100, 120, 100)


def file(**changes) -> FileEntry:
    known = {"dtype": "int16", "minimum": 0.0, "maximum": 1000.0}
    return FileEntry.model_construct(**known | changes)


def entry(number: int, schema, **changes) -> CaseEntry:
    known = {
        "case": f"case-{number}",
        "images": {name: file(maximum=1000.0 + 10 * number) for name in schema.modalities},
        "spacing_mm": (1.0, 1.0, 1.0),
        "orientation": "LPS",
        "brain_ml": 1400.0 + 5 * number,
        "label_voxels": dict.fromkeys(schema.labels, 30_000 + 1000 * number),
        "stripped": True,
    }
    return CaseEntry.model_construct(**known | changes)


def oddities_of(schema, cases) -> list[str]:
    return oddities(Catalogue.model_construct(cohort=schema, licence="", cases=tuple(cases)))


def warnings_of(schema, count=8, **changes) -> list[str]:
    """Of a cohort whose last case is changed."""
    usual = [entry(number, schema) for number in range(count - 1)]
    return oddities_of(schema, [*usual, entry(count - 1, schema, **changes)])


SMALL = dict.fromkeys(("necrotic", "edema", "enhancing"), 6600)
LARGE = {"necrotic": 33_000, "edema": 900_000, "enhancing": 33_000}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"spacing_mm": (1, 1, 5.0), "label_voxels": SMALL},
            "Z is 5 mm, in this cohort usually 0.98",
        ),
        ({"brain_ml": 3400.0}, "head or brain is 3400 ml, in this cohort usually"),
        ({"orientation": "RAS"}, "orientation is RAS, in this cohort usually LPS (7 of 8 cases)"),
        ({"label_voxels": LARGE}, "label edema is 900 ml, in this cohort usually"),
        ({"stripped": False}, "skull is present, in this cohort usually removed (7 of 8 cases)"),
        ({"t1c": {"maximum": 60_000.0}}, "largest intensity of t1c is 6e+04"),
        ({"t1c": {"dtype": "float64"}}, "dtype of t1c is float64, in this cohort usually int16"),
        ({"t1c": {"minimum": -3.0}}, "t1c is some below 0, in this cohort usually none below 0"),
    ],
)
def test_one_odd_case_is_reported_with_its_value_and_what_is_usual(schema, changes, message):
    if "t1c" in changes:
        images = {name: file() for name in schema.modalities}
        changes = {"images": images | {"t1c": file(**changes["t1c"])}}
    (warning,) = warnings_of(schema, **changes)
    assert warning.startswith("case-7: ")
    assert message in warning


def test_an_even_cohort_and_an_absent_label_are_not_odd_and_few_cases_have_nothing_usual(schema):
    assert warnings_of(schema) == []
    assert warnings_of(schema, label_voxels={"necrotic": 0, "edema": 33_000, "enhancing": 0}) == []
    odd = {"spacing_mm": (1.0, 1.0, 1.5), "orientation": "RAS", "brain_ml": 9000.0}
    assert warnings_of(schema, count=4, **odd) == []
    assert len(warnings_of(schema, count=5, **odd)) == 3


def test_a_cohort_that_is_divided_is_reported_once(schema):
    axes = ["RAS", "LPS"] * 4
    cases = [entry(number, schema, orientation=codes) for number, codes in enumerate(axes)]
    assert oddities_of(schema, cases) == [
        "the cases differ in orientation: LPS in 4, RAS in 4 of 8 cases"
    ]


def head(cleared_air: bool) -> np.ndarray:
    """A head of 3.4 litres in noisy or cleared air, 2 mm voxels."""
    rng = np.random.default_rng(0)
    signal = np.where(ellipsoid(42, 52, 46), 400 + 60 * normal_field(rng, SHAPE, 8.0), 0)
    noise = 0 if cleared_air else np.abs(rng.normal(0, 12, SHAPE))
    return np.rint(signal + noise).clip(0).astype(np.int16)


def ellipsoid(*half_axes: float) -> np.ndarray:
    offsets = np.ix_(*(np.arange(length) - (length - 1) / 2 for length in SHAPE))
    return sum((off / half) ** 2 for off, half in zip(offsets, half_axes, strict=True)) < 1


def test_a_brain_alone_is_stripped_and_a_head_or_an_even_volume_is_not():
    cleared, spacing_mm = head(cleared_air=True), (2, 2, 2)
    assert skull_stripped(np.where(ellipsoid(33, 33, 33), cleared, 0), spacing_mm)  # 1.2 litres
    assert not skull_stripped(cleared, spacing_mm)
    assert not skull_stripped(head(cleared_air=False), spacing_mm)
    for value in (0, 7):
        assert not skull_stripped(np.full((20, 20, 20), value, np.int16), spacing_mm)


@pytest.mark.real
@pytest.mark.parametrize(
    ("pattern", "stripped"),
    [
        ("native/*/*_*.nii.gz", False),
        ("native/*/brats_space/*_t*.nii.gz", True),
        ("brats202*/*/*t1*.nii.gz", True),
        ("flair_wt/*/*fla.nii.gz", True),
    ],
)
def test_real_heads_and_real_brains_are_distinguished(real_cases, pattern, stripped):
    paths = sorted(real_cases.glob(pattern))
    assert paths
    for path in paths:
        volume = nifti.read(path)
        assert skull_stripped(volume.voxels, volume.grid.spacing_mm) == stripped, path.name
