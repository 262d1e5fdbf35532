"""The Cheng set is found as published and as pictures, with types, patients and folds."""

import re
import shutil
from collections import defaultdict
from pathlib import Path

import numpy as np
import pytest

from pipeline.cohorts import cheng
from pipeline.core.errors import InputError
from pipeline.core.records import read_csv
from pipeline.formats.images import read_picture
from pipeline.verification import checks
from tests.formats.test_images import write_picture
from tests.formats.test_matlab import IMAGE, MASK, write_folds, write_mat

PICTURE = (IMAGE.clip(0) >> 6).astype(np.uint8)
ROWS = {708: "MR1,1,1", 709: "MR2,2,5", 1500: "100360,3,2"}


def write_published(folder: Path) -> Path:
    """Three slices of three types in two of the folders that the zips unpack to, and the folds."""
    write_mat(folder / "brainTumorDataPublic_1-766" / "708.mat", 1, "MR1", IMAGE, MASK)
    write_mat(folder / "brainTumorDataPublic_1-766" / "709.mat", 2, "MR2", IMAGE[::-1], MASK[::-1])
    write_mat(folder / "brainTumorDataPublic_767-1532" / "1500.mat", 3, "100360", IMAGE.T, MASK.T)
    folds = np.full(3064, 4.0)
    folds[[707, 708, 1499]] = 1, 5, 2
    write_folds(folder / "cvind.mat", folds)
    return folder


def write_pictures(folder: Path, suffix: str = ".png", rows: dict[int, str] = ROWS) -> Path:
    """The same three slices as pictures, and the table."""
    flips = {708: lambda a: a, 709: lambda a: a[::-1], 1500: np.transpose}
    for (number, flip), kind in zip(
        flips.items(), ("meningioma", "glioma", "pituitary"), strict=True
    ):
        write_picture(folder / kind / f"{number}_mri{suffix}", flip(PICTURE))
        write_picture(folder / kind / f"{number}_mask{suffix}", flip(MASK * np.uint8(255)))
    lines = [f"{number},{row}" for number, row in rows.items()]
    (folder / "folds.csv").write_text("\n".join(["sample_id,pid,label,fold", *lines, ""]))
    return folder


@pytest.mark.parametrize("write", [write_published, write_pictures])
def test_cases_have_their_number_patient_type_and_fold(tmp_path, write):
    schema, found = cheng.find(write(tmp_path))
    assert schema == cheng.SCHEMA
    assert [(case.case, case.patient, case.attributes) for case in found] == [
        ("cheng_0708", "MR1", {"type": "meningioma", "fold": "1"}),
        ("cheng_0709", "MR2", {"type": "glioma", "fold": "5"}),
        ("cheng_1500", "100360", {"type": "pituitary", "fold": "2"}),
    ]
    assert schema.types
    assert cheng.find(tmp_path, 2)[1] == found[:2]


def test_both_forms_give_the_same_voxels_on_the_same_grid(tmp_path):
    _, published = cheng.find(write_published(tmp_path / "mat"))
    _, pictured = cheng.find(write_pictures(tmp_path / "png"))
    for one, other in zip(published, pictured, strict=True):
        image, picture = one.images["t1c"].read(), other.images["t1c"].read()
        assert np.array_equal(image.voxels.clip(0) >> 6, picture.voxels)
        assert not image.grid.differs(picture.grid)
        assert np.array_equal(one.labels.read().voxels, other.labels.read().voxels)
        assert not one.labels.read().grid.differs(image.grid)
        # 256 pixels have the field of view of the usual 512
        assert image.grid.spacing_mm == pytest.approx((0.98, 0.98, 7.0))


def test_folds_are_left_out_where_cvind_is_absent(tmp_path):
    (write_published(tmp_path) / "cvind.mat").unlink()
    assert next(case.attributes for case in cheng.find(tmp_path)[1]) == {"type": "meningioma"}


def test_a_picture_without_a_mask_is_a_case_without_a_reference(tmp_path):
    (write_pictures(tmp_path) / "glioma/709_mask.png").unlink()
    assert [case.labels is None for case in cheng.find(tmp_path)[1]] == [False, True, False]


def test_a_patient_in_two_folds_or_with_two_types_is_noted(tmp_path):
    _, found = cheng.find(write_pictures(tmp_path, rows={**ROWS, 709: "MR1,2,5"}))
    notes = (
        "patient MR1 has several of type: glioma, meningioma",
        "patient MR1 has several of fold: 1, 5",
    )
    assert [case.notes for case in found] == [notes, notes, ()]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda folder: shutil.rmtree(folder), "is not a folder"),
        (
            lambda folder: [path.unlink() for path in folder.rglob("*.png")],
            r"holds no slice of the Cheng set.*cohort\.location",
        ),
        (
            lambda folder: write_picture(folder / "glioma/709_mri.jpg", PICTURE),
            "the mri of slice 709 is also in",
        ),
        (
            lambda folder: (folder / "glioma/709_mri.png").unlink(),
            r"709_mask\.png: is a mask without its image 709_mri",
        ),
        (
            lambda folder: (folder / "folds.csv").unlink(),
            r"no folds\.csv \(sample_id, pid, label, fold\) with their patients",
        ),
        (
            lambda folder: (folder / "folds.csv").write_bytes(b"\xff\xfe\x00\x81" * 20),
            r"folds\.csv: is not a table in UTF-8",
        ),
        (
            lambda folder: write_picture(folder / "glioma/709_mri.png", PICTURE[:200]),
            r"709_mri\.png: has 256 x 200 pixels, expected a square",
        ),
        (lambda folder: write_pictures(folder, rows=ROWS | {709: "MR2,4,5"}), "line 3 is"),
        (lambda folder: write_pictures(folder, rows=ROWS | {709: ",2,5"}), "line 3 is"),
        (lambda folder: write_pictures(folder, rows=ROWS | {"x": "MR2,2,5"}), "line 5 is"),
        (
            lambda folder: write_pictures(folder, rows=ROWS | {"0709": "MR2,2,5"}),
            "line 5 repeats slice 0709",
        ),
    ],
)
def test_pictures_and_tables_that_do_not_fit_together_are_rejected(tmp_path, change, said):
    change(write_pictures(tmp_path / "set"))
    with pytest.raises(InputError, match=said):
        cheng.find(tmp_path / "set")


@pytest.mark.real
def test_real_pictures_are_all_found_and_the_one_patient_in_two_folds_is_noted(real_cases):
    schema, found = cheng.find(real_cases / "cheng")
    rows = read_csv(real_cases / "cheng/folds.csv")
    folds = defaultdict(set)
    for row in rows:
        folds[re.sub(r"(?<=^MR[0-9]{6})[A-Z]$", "", row["pid"])].add(row["fold"])
    assert len(found) == len(rows)
    noted = {case.patient: case.notes for case in found if case.notes}
    assert noted == {
        patient: (f"patient {patient} has several of fold: {', '.join(sorted(several))}",)
        for patient, several in folds.items()
        if len(several) > 1
    }
    assert "MR049453" in noted
    for case in found[::150]:
        entry = checks.verify(case, schema).entry
        assert entry.orientation == "LPS"
        assert [name for name, count in entry.label_voxels.items() if count] == [
            case.attributes["type"]
        ]


@pytest.mark.real
def test_a_real_slice_is_the_same_from_matlab_as_from_its_picture(real_cases, tmp_path):
    _, found = cheng.find(real_cases / "cheng", 3)
    for case in found:
        pixels, _ = read_picture(case.images["t1c"].path)
        number = int(case.case[-4:])
        shown = read_picture(case.labels.path)[0] > 127
        image, mask = pixels.astype(np.int16), shown.astype(np.uint8)
        write_mat(tmp_path / f"{number}.mat", 1, case.patient, image, mask)
    _, published = cheng.find(tmp_path)
    for case, other in zip(found, published, strict=True):
        assert np.array_equal(case.images["t1c"].read().voxels, other.images["t1c"].read().voxels)
        assert np.array_equal(case.labels.read().voxels, other.labels.read().voxels)
        assert not case.labels.read().grid.differs(other.images["t1c"].read().grid)
