"""Masks of two folders meet by the name of their case; wrong pairs are rejected."""

import gzip
import json
import os
import shutil

import numpy as np
import pytest

from pipeline.cohorts import brats, pairs
from pipeline.core.errors import InputError
from pipeline.formats import nifti
from tests.conftest import LPS

OURS = f"TumorFlow {'0123456789abcdef'}"


def mask(number: int = 0) -> np.ndarray:
    voxels = np.zeros((8, 9, 10), np.uint8)
    voxels[2:5, 3:6, 1:7] = 2
    voxels.flat[number] = 1
    return voxels


@pytest.fixture
def put(tmp_path):
    """Write masks at paths below the temporary folder; each has voxels of its own."""
    count = iter(range(99))

    def write(*names: str, description: str = "", affine: np.ndarray = LPS) -> None:
        for name in names:
            nifti.write(tmp_path / name, mask(next(count)), affine, description)

    return write


def pair(folder, one="one", other="two", subset=False, reference=None, prediction=None):
    where = folder / one, folder / other
    return pairs.paired(
        pairs.masks_of(where[0], reference), pairs.masks_of(where[1], prediction), where, subset
    )


def refused(folder, *arguments, **options) -> str:
    with pytest.raises(InputError) as error:
        pair(folder, *arguments, **options)
    return str(error.value)


def cases(folder, **options) -> list[str]:
    return [found.case for found in pair(folder, **options)]


def test_files_of_one_stem_are_a_pair_whatever_their_endings_and_folders(tmp_path, put):
    put("one/b.nii.gz", "one/a.nii", "one/deep/c.nii.gz")
    put("two/a.nii.gz", "two/b.nii", "two/c/x/c.nii")
    put("one/._b.nii.gz", "one/.cache/c.nii.gz")  # hidden, and no masks
    for name in ("one/dataset.json", "one/a.npz", "two/plans.json"):
        (tmp_path / name).write_text("{}")
    assert cases(tmp_path) == ["a", "b", "c"]


def test_our_maps_of_uncertainty_are_no_masks(tmp_path, put):
    put("one/a.nii.gz", "two/a.nii.gz", "two/uncertainty/a.nii.gz")
    assert cases(tmp_path) == ["a"]


@pytest.mark.parametrize("ending", ["_seg", "-seg", "_SEG", "_gtv"])
def test_in_the_folders_of_brats_only_masks_count_and_the_ending_is_no_part_of_the_case(
    tmp_path, put, ending
):
    put(f"one/A_1/A_1{ending}.nii.gz", "one/A_1/A_1_t1.nii.gz", "one/A_1/A_1_flair.nii.gz")
    put("two/A_1-seg.nii.gz")
    (found,) = pair(tmp_path)
    assert (found.case, found.reference.name) == ("A_1", f"A_1{ending}.nii.gz")
    put("three/_seg.nii")
    assert list(pairs.masks_of(tmp_path / "three")) == ["_seg"]


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        ("{case}_out.nii.gz", ["a", "b"]),
        ("*{case}_out.nii*", ["a", "b"]),
        ("x/{case}_out.nii.gz", ["b"]),
        ("{case}/{case}_*.nii.gz", ["c"]),
        ("{case}(1).nii", ["a"]),
    ],
)
def test_a_pattern_says_which_files_and_which_part_is_the_case(tmp_path, put, pattern, expected):
    put("two/a_out.nii.gz", "two/x/b_out.nii.gz", "two/c/c_mask.nii.gz", "two/a(1).nii")
    assert list(pairs.masks_of(tmp_path / "two", pattern)) == expected


@pytest.mark.parametrize(
    "pattern", ["", "a.nii.gz", "{patient}.nii", "{case}{x}.nii", "{case", "{case}}.nii"]
)
def test_a_pattern_without_the_case_is_none(tmp_path, put, pattern):
    put("two/a.nii.gz")
    with pytest.raises(InputError, match=r"is not a pattern. It must contain \{case\}"):
        pairs.masks_of(tmp_path / "two", pattern)


def test_a_pattern_that_fits_nothing_is_reported_with_the_names_there_are(tmp_path, put):
    put("two/a.nii.gz", "two/deep/b.nii.gz")
    said = r"fits the pattern '{case}\.mha'; there are a\.nii\.gz, deep/b\.nii\.gz\. Fix"
    with pytest.raises(InputError, match=said):
        pairs.masks_of(tmp_path / "two", "{case}.mha")


APART = ("no prediction for 1 of 1 references, a.", "no reference for 1 of 1 predictions, b.")
REFUSED = {  # by what is wrong: files, and what is said of pairs in one/ and two/
    "no folder": ("one/a.nii", ["two: is not a folder"]),
    "an empty folder": ("one/a.nii two/.b.nii", ["two: holds no .nii, .nii.gz, .mha or .mhd file"]),
    "a case in two files": (
        "one/a.nii two/a.nii.gz two/x/a.nii.gz",
        ["two/x/a.nii.gz: case a is also in"],
    ),
    "more predictions": (
        "one/a.nii two/a.nii two/b.nii",
        ["one: has no reference for 1 of 2 predictions, b."],
    ),
    "no case in common": ("one/a.nii two/b.nii", APART),
}


@pytest.mark.parametrize("subset", [False, True])
@pytest.mark.parametrize(("files", "said"), REFUSED.values(), ids=REFUSED)
def test_folders_that_do_not_meet_are_rejected_even_as_a_subset(tmp_path, put, files, said, subset):
    put(*files.split())
    message = refused(tmp_path, subset=subset)
    assert all(part in message for part in said)
    assert "--subset" not in message


def test_a_reference_without_prediction_is_rejected_by_name_unless_a_subset_is_wanted(
    tmp_path, put
):
    put(*(f"one/{letter}.nii" for letter in "abcdefgh"), "two/a.nii")
    said = refused(tmp_path)
    assert "two: has no prediction for 7 of 8 references, b, c, d, e, f and 2 more." in said
    assert "--subset leaves out references without a prediction" in said
    assert cases(tmp_path, subset=True) == ["a"]


@pytest.mark.parametrize(
    ("one", "two", "hint"),
    [
        ("case_1.nii.gz", "case_1_pred.nii.gz", "--prediction-pattern '{case}_pred.nii.gz'"),
        ("case_1_manual.nii", "case_1.nii.gz", "--reference-pattern '{case}_manual.nii'"),
    ],
)
def test_names_that_differ_by_a_fixed_part_are_reported_with_the_pattern_that_fixes_it(
    tmp_path, put, one, two, hint
):
    put(f"one/{one}", f"two/{two}")
    assert hint in refused(tmp_path)
    side, pattern = hint.removeprefix("--").split("-pattern ")
    assert cases(tmp_path, **{side: pattern.strip("'")}) == ["case_1"]


@pytest.mark.parametrize("link", [os.link, os.symlink])
def test_a_reference_that_is_the_prediction_is_rejected(tmp_path, put, link):
    put("one/a.nii", "one/b.nii", "two/b.nii")
    link(tmp_path / "one/a.nii", tmp_path / "two/a.nii")
    for other in ("one", "two"):
        assert "is the same file as the reference of case a" in refused(tmp_path, "one", other)


def test_a_folder_of_copies_is_rejected_and_one_equal_mask_among_others_is_not(tmp_path, put):
    put("one/a.nii", "one/b.nii")
    shutil.copytree(tmp_path / "one", tmp_path / "two")
    assert "two: every prediction is a copy, byte for byte, of its reference" in refused(tmp_path)
    put("two/b.nii")
    assert cases(tmp_path) == ["a", "b"]


def suspicion(folder, one="one", other="two") -> str:
    return pairs.suspected_swap(pair(folder, one, other), (folder / one, folder / other))


def test_a_reference_that_our_network_wrote_is_suspected_and_two_networks_are_not(tmp_path, put):
    put("one/a.nii.gz", "three/a.nii.gz", description=OURS)
    put("two/a.nii.gz")
    said = "one/a.nii.gz: its header says that TumorFlow predicted it, yet it is given as a"
    assert said in suspicion(tmp_path)
    assert not suspicion(tmp_path, "two", "one")
    assert not suspicion(tmp_path, "one", "three")


@pytest.mark.parametrize(
    ("name", "record", "said"),
    [
        ("predict_from_raw_data_args.json", {}, "nnU-Net writes"),
        ("a.nii.gz.json", {"network_sha256": "0"}, "predicted it"),
        ("a.nii.gz.json", {"origin": "scanner"}, ""),
        ("a.nii.gz.json", 7, ""),
    ],
)
def test_a_record_of_a_network_beside_the_reference_is_suspected(tmp_path, put, name, record, said):
    put("one/a.nii.gz", "two/a.nii.gz")
    (tmp_path / "one" / name).write_text(json.dumps(record))
    assert bool(suspicion(tmp_path)) == bool(said)
    assert said in suspicion(tmp_path)
    assert not suspicion(tmp_path, "two", "one")


@pytest.mark.parametrize(
    ("one", "other", "suspected"),
    [
        ("predictions", "labelsTs", True),
        ("my_preds", "gt", True),
        ("nnunet-output", "ground_truth", True),
        ("results", "references", True),
        ("pred", "manual", True),
        ("predictions", "ours", False),
        ("test", "labels", False),
        ("outputs", "results", False),
        ("spread", "masked", False),
    ],
)
def test_folders_are_suspected_if_the_names_of_both_say_the_opposite(
    tmp_path, put, one, other, suspected
):
    put(f"{one}/a.nii", f"{other}/a.nii")
    said = "by their names the other way round" if suspected else ""
    assert bool(suspicion(tmp_path, one, other)) == suspected
    assert said in suspicion(tmp_path, one, other)
    assert not suspicion(tmp_path, other, one)


def test_predictions_beside_the_images_are_suspected_only_if_the_references_are_called_predictions(
    tmp_path, put
):
    put("predictions/A.nii.gz", "cohort/A/A_seg.nii.gz", "cohort/A/A_t1.nii.gz", "one/A.nii.gz")
    assert "is in the folder of the images of its case" in suspicion(
        tmp_path, "predictions", "cohort"
    )
    assert not suspicion(tmp_path, "one", "cohort")
    assert not suspicion(tmp_path, "cohort", "predictions")


def test_a_header_that_cannot_be_read_raises_no_suspicion_here(tmp_path, put):
    put("one/a.nii.gz", "two/a.nii.gz")
    stored = bytearray(gzip.decompress((tmp_path / "one/a.nii.gz").read_bytes()))
    for content in (b"damaged", bytes(stored[:148]) + b"\xff\xfe latin" + bytes(stored[156:]), b""):
        (tmp_path / "one/a.nii.gz").write_bytes(gzip.compress(content) if content else b"")
        assert not suspicion(tmp_path)


def test_another_affine_is_rejected_with_both(tmp_path, put):
    put("one/a.nii.gz")
    put("two/a.nii", affine=np.diag([1.0, 1.0, 2.0, 1.0]))
    with pytest.raises(InputError) as error:
        pairs.read_pair(*pair(tmp_path), brats.schema("_"))
    for part in ("two/a.nii: lies on another grid than", "[[-1.", "[0. 0. 2. 0.]", "nearest"):
        assert part in str(error.value)
    nifti.write(tmp_path / "two/a.nii", mask()[1:], LPS)
    with pytest.raises(InputError, match=r"shape \(7, 9, 10\) against \(8, 9, 10\)"):
        pairs.read_pair(*pair(tmp_path), brats.schema("_"))
    put("two/a.nii")
    reference, prediction = pairs.read_pair(*pair(tmp_path), brats.schema("_"))
    assert reference.voxels.shape == prediction.voxels.shape == (8, 9, 10)
