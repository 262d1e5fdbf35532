"""Any two folders of masks are scored as `evaluate` would score them, and wrong pairs are rejected
with what to do.
"""

import csv
import json
import re
import shlex
from pathlib import Path

import numpy as np
import pytest
import SimpleITK

from pipeline import __main__ as command_line
from pipeline.cohorts.pairs import masks_of
from pipeline.commands import score
from pipeline.core.errors import InputError
from pipeline.core.regions import values_to_classes
from pipeline.formats import nifti
from pipeline.formats.dicom_objects.segmentation import Algorithm, dataset
from pipeline.formats.dicom_objects.source import read_source
from pipeline.metrics.case_scores import score_case
from tests.bad_inputs import as_floats, header, pixdim_apart
from tests.conftest import LPS
from tests.formats.dicom_objects.made_series import affine, write_series

SPACING = np.diag([-1.0, -1.0, 2.0, 1.0])
TABLES = ("cases", "lesionwise", "lesions", "instances", "multiclass", "confusion")
LABELS = {"necrotic": 1, "edema": 2, "enhancing": 4}
RULES = "lesion_rules: brats2023-men\n"
EMPTY = np.zeros((24, 22, 20), np.uint8)


def reference(number: int = 0) -> np.ndarray:
    """A tumour of nested boxes with the values 2, 4 and 1."""
    values = EMPTY.copy()
    values[6:16, 6:16, 6 : 14 - number % 3] = 2
    values[8:14, 8:14, 7:12] = 4
    values[10:12, 10:12, 9:11] = 1
    return values


def prediction(number: int) -> np.ndarray:
    """The tumour a little off."""
    return np.roll(reference(number), number + 1, axis=0)


def channels_of(values: np.ndarray, ending=(3,)) -> np.ndarray:
    """Masks of TC, WT and ET, as MONAI orders them."""
    masks = np.stack([np.isin(values, labels) for labels in ((1, 4), (1, 2, 4), (4,))], axis=-1)
    return masks.astype(np.uint8).reshape(*values.shape, *ending)


def call(*arguments, cohort="brats2018-2021", workers=1) -> int | str | None:
    """Call the command as a user does; its exit status or message."""
    words = map(str, (*arguments, "--cohort", cohort, "--workers", workers))
    with pytest.raises(SystemExit) as left:
        command_line.main(["score", *words])
    return left.value.code


def write(path: Path, values: np.ndarray, affine: np.ndarray = SPACING, description="") -> None:
    nifti.write(path, values, affine, description)


@pytest.fixture
def folders(tmp_path):
    """Three cases, each predicted a little off."""
    for number in range(3):
        write(tmp_path / f"labels/A_{number}.nii.gz", reference(number))
        write(tmp_path / f"ours/A_{number}.nii.gz", prediction(number))
    return tmp_path / "labels", tmp_path / "ours"


def table(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as lines:
        return list(csv.DictReader(lines))


def test_the_rows_are_those_of_the_stage_and_all_tables_are_written(folders, tmp_path, schema):
    assert not call(*folders, "--out", tmp_path / "out")
    written = {path.name for path in (tmp_path / "out").iterdir()}
    assert written == {*(f"{name}.csv" for name in TABLES), "summary.json"}
    tables = {name: table(tmp_path / f"out/{name}.csv") for name in TABLES}
    classes = (values_to_classes(values, schema) for values in (reference(1), prediction(1)))
    expected = score_case(*classes, schema, (1.0, 1.0, 2.0))
    found = [row for row in tables["cases"] if row.pop("case") == "A_1"]
    for row, stage in zip(found, expected, strict=True):
        assert row.pop("patient") == "A_1"
        assert list(row) == list(stage)
        for column, value in stage.items():
            read = row[column] if isinstance(value, str) else float(row[column] or "nan")
            assert read == pytest.approx(value, abs=0, nan_ok=True)
    assert sum(int(row["voxels"]) for row in tables["confusion"]) == 3 * EMPTY.size
    assert len(tables["multiclass"]) == 3
    assert [row["name"] for row in tables["lesionwise"]] == list(schema.regions) * 3
    text = (tmp_path / "out/summary.json").read_text()
    summary = json.loads(text)
    assert summary["cases"] == 3
    assert summary["region"]["WT"]["dice"]["mean_low"] <= summary["region"]["WT"]["dice"]["mean"]
    assert summary["lesionwise"]["ET"]["lesion_dice"]["cases"] == 3
    assert str(tmp_path) not in text


@pytest.mark.slow
def test_two_scorings_write_the_same_bytes_whatever_the_number_of_workers(folders, tmp_path):
    for workers in (1, 2):
        assert not call(*folders, "--out", tmp_path / str(workers), workers=workers)
    for path in (tmp_path / "1").iterdir():
        assert path.read_bytes() == (tmp_path / "2" / path.name).read_bytes()


def test_every_region_is_printed_with_its_interval_and_nothing_is_written_unless_asked_for(
    folders, tmp_path, monkeypatch, capsys
):
    before = sorted(tmp_path.rglob("*"))
    monkeypatch.chdir(tmp_path)
    assert not call(*folders)
    assert sorted(tmp_path.rglob("*")) == before
    shown = capsys.readouterr()
    assert shown.out.startswith("3 cases of cohort brats2018-2021: mean region Dice 0.")
    for region in ("WT", "TC", "ET"):
        row = rf"^{region} .* 0\.\d{{3}} \[0\.\d{{3}}, 0\.\d{{3}}\]"
        assert len(re.findall(row, shown.out, re.MULTILINE)) == 2
    assert max(map(len, shown.out.splitlines())) <= 130
    assert shown.err == ""  # a bar is for terminals


def test_what_the_rule_for_empty_regions_gave_is_counted(folders, capsys):
    for folder in folders:
        write(folder / "B.nii.gz", EMPTY)
    write(folders[0] / "C.nii.gz", EMPTY)
    write(folders[1] / "C.nii.gz", reference())
    assert not call(*folders)
    assert re.search(r"^ET +5 .* 1, 2 +0, 0$", capsys.readouterr().out, re.MULTILINE)


def test_a_cohort_without_a_rule_leaves_them_undefined(tmp_path, capsys):
    for name in ("one", "two"):
        nifti.write(tmp_path / f"{name}/A.nii", np.zeros((8, 9, 10), np.uint8), LPS)
        nifti.write(tmp_path / f"{name}/B.nii", np.pad(np.ones((3, 3, 3), np.uint8), 2), LPS, name)
    assert not call(tmp_path / "one", tmp_path / "two", cohort="lgg")
    out = capsys.readouterr().out
    assert re.search(r" 0, 0 +1, 1$", out, re.MULTILINE)
    assert "[-, -]" in out


def test_metaimage_and_other_names_are_read_by_patterns_and_a_perfect_prediction_scores_one(
    folders, tmp_path, capsys
):
    (tmp_path / "theirs").mkdir()
    for count in range(3):
        image = SimpleITK.GetImageFromArray(reference(count).transpose(2, 1, 0))
        image.SetSpacing((1.0, 1.0, 2.0))
        SimpleITK.WriteImage(image, tmp_path / f"theirs/A_{count}_out.mha")
    given = folders[0], tmp_path / "theirs"
    assert "--prediction-pattern '{case}_out.mha'" in call(*given)
    assert not call(*given, "--prediction-pattern", "{case}_out.mha")
    row = r"^WT +3 +1\.000 \[1\.000, 1\.000\] +1\.000 +0\.0 \[0\.0, 0\.0\]"
    assert re.search(row, capsys.readouterr().out, re.MULTILINE)


def test_several_cases_of_a_patient_are_recognised_by_the_names_of_brats(tmp_path):
    values = np.where(reference() == 4, 3, reference())
    for place, shift in (("one", 0), ("two", 1)):
        for time in ("000", "001"):
            path = tmp_path / f"{place}/BraTS-GLI-00005-{time}-seg.nii.gz"
            nifti.write(path, np.roll(values, shift, axis=0), SPACING, f"{place} {time}")
    assert not call(tmp_path / "one", tmp_path / "two", "--out", tmp_path, cohort="brats2023")
    assert {(row["case"], row["patient"]) for row in table(tmp_path / "cases.csv")} == {
        ("BraTS-GLI-00005-000", "BraTS-GLI-00005"),
        ("BraTS-GLI-00005-001", "BraTS-GLI-00005"),
    }


@pytest.mark.parametrize("name", ["brats2018-2021", "brats2021", "brats2018", "brats2023", "msd"])
def test_a_cohort_is_known_by_its_name_its_source_and_its_year(name):
    cohort = {"msd": "msd-braintumour", "brats2023": "brats2023"}.get(name, "brats2018-2021")
    assert score.cohort_named(name)[0].cohort == cohort


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("brats", "Did you mean brats2018-2021 or brats2023?"),
        ("brats2022", "Did you mean"),
        ("phantoms", "Did you mean phantom?"),
        ("xyz", "There are phantom, brats2018-2021"),
        ("folder", "or name a folder that holds a cohort.yaml"),
    ],
)
def test_an_unknown_cohort_is_rejected_with_the_nearest(name, hint):
    with pytest.raises(InputError, match=rf"--cohort {name}: no such cohort\..*{re.escape(hint)}"):
        score.cohort_named(name)


@pytest.fixture
def described(tmp_path):
    """A function that writes a cohort.yaml with lines of its own for the folders; its path."""
    text = """cohort: mine
dimensions: 3
modalities: {t1c: '{case}_t1c.nii'}
mask: '{case}.nii'
patient: '(A)_.*'
labels: {core: 1, edema: 2, rim: 4}
regions: {all: [core, edema, rim], core: [core], rim: [rim]}
"""

    def write(lines=""):
        (tmp_path / "cohort.yaml").write_text(text + lines)
        return tmp_path / "cohort.yaml"

    return write


def test_a_described_folder_gives_its_labels_patients_and_rules(
    folders, tmp_path, described, capsys
):
    assert not call(*folders, "--out", tmp_path, cohort=described(RULES))
    rows = table(tmp_path / "cases.csv")
    assert {row["name"] for row in rows if row["kind"] == "region"} == {"all", "core", "rim"}
    assert {row["patient"] for row in rows} == {"A"}
    assert "lesion by lesion, rules brats2023-men\n" in capsys.readouterr().out
    assert json.loads((tmp_path / "summary.json").read_text())["lesion_rules"] == "brats2023-men"
    assert len(table(tmp_path / "lesionwise.csv")) == 9


def test_rules_of_two_protocols_are_shown_beside_each_other_and_the_old_numbers_stay(
    folders, tmp_path, described, capsys
):
    for name, rules in (("old", "brats2023-men"), ("both", "[brats2023-men, brats2025-gli]")):
        path = described(f"lesion_rules: {rules}\n")
        assert not call(*folders, "--out", tmp_path / name, cohort=path)
    shown = capsys.readouterr().out
    assert "lesions matched one to one, rules brats2025-gli" in shown
    assert re.search(r"^region +TP +FP +FN +F1 ", shown, re.MULTILINE)
    old, both = (tmp_path / name / "lesionwise.csv" for name in ("old", "both"))
    assert old.read_bytes() == both.read_bytes()
    assert not (tmp_path / "old" / "matched.csv").exists()
    rows = table(tmp_path / "both" / "matched.csv")
    assert [row["name"] for row in rows[:4]] == ["all", "core", "rim", "edema"]
    summary = json.loads((tmp_path / "both" / "summary.json").read_text())
    assert summary["lesion_rules"] == ["brats2023-men", "brats2025-gli"]
    assert summary["matched"]["all"]["matched_f1"]["mean"] == 1


def test_the_newest_rules_alone_list_their_lesions(folders, tmp_path, described, capsys):
    path = described("lesion_rules: brats2025-mets\n")
    assert not call(*folders, "--out", tmp_path, cohort=path)
    shown = capsys.readouterr().out
    assert "rules brats2025-mets" in shown
    assert "lesion by lesion" not in shown
    assert "No lesion-wise score" not in shown
    assert not (tmp_path / "lesionwise.csv").exists()
    assert {row["name"] for row in table(tmp_path / "lesions.csv")} == {"all", "core", "rim"}


def test_a_described_folder_that_names_no_rules_has_no_lesion_wise_score_and_the_output_says_why(
    folders, tmp_path, described, capsys
):
    for name in ("lesionwise", "lesions"):
        (tmp_path / f"{name}.csv").write_text("of an earlier call")
    assert not call(*folders, "--out", tmp_path, cohort=described())
    shown = capsys.readouterr().out
    assert "No lesion-wise score: the schema of cohort mine names no rules" in shown
    assert "brats2024-menrt" in shown
    assert not list(tmp_path.glob("lesion*"))
    regions = [row["name"] for row in table(tmp_path / "instances.csv")]
    assert regions == ["all", "core", "rim"] * 3
    summary = json.loads((tmp_path / "summary.json").read_text())
    assert (summary["lesionwise"], summary["lesion_rules"]) == ({}, None)


def test_enhancing_tumour_of_another_year_is_rejected_with_the_year_it_is_of(folders):
    write(folders[1] / "A_1.nii.gz", np.where(reference() == 4, 3, reference()))
    said = call(*folders)
    assert "ours/A_1.nii.gz: label values 3 (172 voxels) are not among 0 and" in said
    assert "brats2023 (enhancing is 3, here 4)" in said
    assert "1 of 3 cases rejected" in said
    said = call(*folders, cohort="brats2023")
    assert "labels/A_0.nii.gz: label values 4" in said
    assert "brats2018-2021 (enhancing is 4, here 3)" in said


TO_LABELS = "convert probabilities to labels first"


@pytest.mark.parametrize(
    ("values", "damage", "hints"),
    [
        (reference().astype(np.float32) / 4, None, ["label values", TO_LABELS]),
        (
            np.where(reference() == 4, np.nan, 1.0).astype(np.float32),
            None,
            ["label values", "Masks hold whole numbers"],
        ),
        (
            np.where(reference() == 4, 77, 0).astype(np.uint8),
            None,
            ["label values", "Write the file with the values of brats2018-2021."],
        ),
        (
            (reference() > 0).astype(np.int16) * np.int16(20000),
            header(112, "2f", 1.5e-5, 0),
            ["scl_slope 1.5e-05", TO_LABELS],
        ),
        (
            np.moveaxis(channels_of(reference()), -1, 0),
            None,
            ["has shape (3, 24, 22, 20): its first axis seems to hold 3", "Move it to the end"],
        ),
        (reference(), header(70, "h", 1), []),
    ],
    ids=["fractions", "nan", "foreign", "scaled probabilities", "channels in front", "damaged"],
)
def test_what_is_no_mask_is_rejected_with_what_to_do(folders, values, damage, hints):
    write(folders[1] / "A_1.nii.gz", values)
    if damage:
        damage(folders[1] / "A_1.nii.gz")
    said = call(*folders)
    assert "ours/A_1.nii.gz: " in said
    assert all(hint in said for hint in hints)
    assert "rint" not in said


def test_every_pair_on_two_grids_is_named(folders):
    nifti.write(folders[1] / "A_0.nii.gz", reference(), LPS)
    write(folders[1] / "A_2.nii.gz", reference()[1:])
    said = call(*folders)
    assert "ours/A_0.nii.gz: lies on another grid than" in said
    assert "shape (23, 22, 20) against (24, 22, 20)" in said
    assert "2 of 3 cases rejected" in said


def test_a_missing_prediction_is_rejected_or_left_out_on_request(folders, capsys):
    (folders[1] / "A_2.nii.gz").unlink()
    assert "has no prediction for 1 of 3 references, A_2." in call(*folders)
    assert not call(*folders, "--subset")
    assert "1 reference without a prediction left out" in capsys.readouterr().out


def rewrite(folder: Path, change=lambda voxels: voxels, description: str = "") -> None:
    """Write the files of a folder again."""
    for path in folder.iterdir():
        volume = nifti.read(path)
        nifti.write(path, change(volume.voxels), volume.grid.affine, description)


def test_swapped_folders_are_rejected_unless_they_are_meant_so(folders):
    rewrite(folders[1], description=f"TumorFlow {'ab' * 8}")
    said = call(*reversed(folders))
    assert "its header says that TumorFlow predicted it, yet it is given as a reference" in said
    assert "--as-given" in said
    assert not call(*reversed(folders), "--as-given")
    assert not call(*folders)


def test_labels_in_another_order_are_warned_about(folders, capsys):
    rewrite(folders[1], lambda voxels: np.array([0, 2, 1, 0, 4], np.uint8)[voxels])
    assert not call(*folders)
    expected = "Warning: necrotic is mostly called edema, edema is mostly called necrotic."
    assert expected in capsys.readouterr().out


@pytest.mark.real
def test_real_masks_against_shifted_ones(real_cases, tmp_path, capsys):
    for name in ("BraTS2021_01476", "BraTS2021_01480"):
        volume = nifti.read(real_cases / f"brats2021/{name}/{name}_seg.nii.gz")
        shifted = np.roll(volume.voxels, 2, axis=1).astype(np.uint8)
        nifti.write(tmp_path / f"{name}.nii.gz", shifted, volume.grid.affine)
    assert not call(real_cases / "brats2021", tmp_path, "--subset", cohort="brats2021")
    out = capsys.readouterr().out
    assert "2 cases of cohort brats2018-2021" in out
    assert "4 references without a prediction left out" in out


@pytest.fixture
def dices(tmp_path, capsys):
    """A function that scores two folders: mean Dice by region, and the warnings, which are printed
    and written.
    """

    def scored(*arguments) -> tuple[dict[str, float], str]:
        assert not call(*arguments, "--out", tmp_path / "out")
        text, shown = (tmp_path / "out/summary.json").read_text(), capsys.readouterr().out
        summary = json.loads(text)
        assert all(f"Warning: {said}" in shown for said in summary["warnings"])
        assert shown.count("Warning") == len(summary["warnings"])
        assert str(tmp_path) not in text
        means = {name: region["dice"]["mean"] for name, region in summary["region"].items()}
        return means, "\n".join(summary["warnings"])

    return scored


def test_linked_case_folders_and_capital_endings_are_scored_like_any_other(
    folders, tmp_path, dices
):
    expected = dices(*folders)
    for folder in folders:
        (tmp_path / f"linked-{folder.name}").mkdir()
        for number, path in enumerate(sorted(folder.iterdir())):
            store = tmp_path / f"store-{folder.name}-{number}"
            store.mkdir()
            (store / path.name.replace(".nii.gz", ".NII.GZ")).write_bytes(path.read_bytes())
            (tmp_path / f"linked-{folder.name}" / path.name.split(".")[0]).symlink_to(store)
    linked = [tmp_path / f"linked-{folder.name}" for folder in folders]
    assert dices(*linked) == expected
    assert dices(*linked, "--prediction-pattern", "{case}.nii.gz") == expected


def test_a_mask_along_other_axes_is_reordered_without_loss_and_with_a_warning(folders, dices):
    expected, silence = dices(*folders)
    assert silence == ""
    path = folders[1] / "A_1.nii.gz"
    # voxel (k, i, j) is voxel (i, j, k) of before
    turn = np.eye(4)[[1, 2, 0, 3]]
    nifti.write(path, prediction(1).transpose(2, 0, 1), SPACING @ turn)
    found, warning = dices(*folders)
    assert found == expected
    expected = "its axes run SLP, those of A_1.nii.gz LPS: reordered, no voxel changed"
    assert warning == f"A_1.nii.gz: {expected}"


@pytest.mark.parametrize("ending", [(3,), (1, 3)])
def test_masks_of_regions_in_channels_are_read_where_they_are_named(folders, dices, ending):
    expected = dices(*folders)
    for number in range(3):
        masks = channels_of(prediction(number), ending)
        write(folders[1] / f"A_{number}.nii.gz", masks)
    said = call(*folders)
    assert "A_0.nii.gz: holds 3 channels" in said
    assert "masks of regions" in said
    assert "by --channels, such as --channels WT,TC,ET" in said
    assert dices(*folders, "--channels", "TC,WT,ET") == expected
    assert "must name each region of cohort brats2018-2021 once, WT, TC, ET" in call(
        *folders, "--channels", "TC,WT"
    )


def test_channels_that_are_not_nested_or_not_binary_are_reported(folders, dices):
    for number in range(3):
        write(folders[1] / f"A_{number}.nii.gz", channels_of(reference(number)))
    outside = channels_of(reference(0))
    outside[0, 0, 0, 2] = 1
    write(folders[1] / "A_0.nii.gz", outside)
    found, warning = dices(*folders, "--channels", "TC,WT,ET")
    assert found == {"WT": 1, "TC": 1, "ET": 1}
    lost = "1 voxels of its regions lie outside of the region around them, and were left out"
    assert warning == f"A_0.nii.gz: {lost}"
    write(folders[1] / "A_0.nii.gz", channels_of(reference(0)) * np.float32(0.7))
    said = call(*folders, "--channels", "TC,WT,ET")
    assert "channel TC holds 0 to 0.7, not 0 and 1. Of probabilities, take those above 0.5" in said


def test_a_prediction_that_lost_its_header_is_reported_to_copy_it_first_and_the_command_works(
    folders, tmp_path, dices, monkeypatch
):
    expected = dices(*folders)
    path = folders[1] / "A_1.nii.gz"
    write(path, prediction(1), np.eye(4))
    said = call(*folders)
    assert said.index("copy the geometry of the reference") < said.index("nearest neighbour")
    (line,) = [line for line in said.splitlines() if line.startswith("python -c ")]
    monkeypatch.chdir(tmp_path)
    exec(shlex.split(line)[2])
    (tmp_path / f"fixed-{path.name}").rename(path)
    assert dices(*folders) == expected


CORNER = EMPTY.copy()
CORNER[2:9, 3:9, 2:7] = 2


@pytest.mark.parametrize(("axes", "along"), [((0,), "X"), ((0, 1), "X and Y"), ((2,), "Z")])
def test_a_mirrored_prediction_is_scored_with_a_warning(tmp_path, dices, axes, along):
    values = CORNER.copy()
    values[4:6, 4:6, 3:5] = 4
    write(tmp_path / "labels/A.nii.gz", values)
    write(tmp_path / "ours/A.nii.gz", np.flip(np.roll(values, 1, axis=2), axes))
    found, warning = dices(tmp_path / "labels", tmp_path / "ours")
    assert found["WT"] < 0.1
    mirrored = "its mirror image fits the reference far better"
    assert re.match(rf"A.nii.gz: {mirrored}, along {along}: Dice 0\.\d\d instead of 0\.00", warning)


def test_a_prediction_that_is_merely_bad_is_not_called_mirrored(tmp_path, dices):
    write(tmp_path / "labels/A.nii.gz", CORNER)
    write(tmp_path / "ours/A.nii.gz", np.roll(CORNER, 7, axis=2))
    assert dices(tmp_path / "labels", tmp_path / "ours")[1] == ""


def test_labels_that_a_header_scales_are_rounded_with_a_warning(folders, dices):
    expected = dices(*folders)[0]
    path = folders[1] / "A_1.nii.gz"
    as_floats(4)(path)
    found, warning = dices(*folders)
    assert found == expected
    assert re.fullmatch(
        r"A_1\.nii\.gz: label values lie up to 0\.0078 off whole numbers, since scl_slope is"
        r" 0\.0156863: rounded",
        warning,
    )


def test_what_the_headers_of_a_pair_contradict_is_a_warning(folders, dices):
    pixdim_apart(0, 1)(folders[0] / "A_2.nii.gz")
    warning = dices(*folders)[1]
    sizes = "its sform gives voxels of 1 x 1 x 2 mm, its pixdim 1 x 1 x 3 mm; the sform is used"
    assert warning.startswith(f"A_2.nii.gz: {sizes}")


def test_a_damaged_reference_is_an_error_with_its_name(folders):
    stored = bytearray((folders[0] / "A_0.nii.gz").read_bytes())
    stored[len(stored) // 2] ^= 0xFF
    (folders[0] / "A_0.nii.gz").write_bytes(bytes(stored))
    assert "labels/A_0.nii.gz: " in call(*folders)


def test_a_mask_that_is_met_twice_through_a_link_counts_once(folders, dices):
    expected = dices(*folders)
    (folders[1] / "latest").symlink_to(folders[1])
    (folders[1] / "again.d").mkdir()
    (folders[1] / "again.d/A_1.nii.gz").symlink_to(folders[1] / "A_1.nii.gz")
    assert dices(*folders) == expected


def as_object(path: Path, values: np.ndarray, folder: Path, maker="another", **options) -> None:
    """The values as a segmentation object of a series made in a folder."""
    path.parent.mkdir(parents=True, exist_ok=True)
    voxels = np.zeros(values.shape, np.int16)
    source = read_source(write_series(folder, "coronal", voxels))
    masks = {name: values == value for name, value in LABELS.items()}
    made = dataset(source, masks, "binary", Algorithm(maker, "1", {}), **options)
    made.Manufacturer = maker
    made.save_as(path)


@pytest.mark.parametrize("sides", [("reference",), ("prediction",), ("reference", "prediction")])
def test_dicom_segmentations_score_as_the_same_masks_in_nifti(tmp_path, sides):
    for number in range(2):
        masks = {"reference": reference(number), "prediction": prediction(number)}
        for side, values in masks.items():
            write(tmp_path / f"nifti/{side}/A_{number}.nii.gz", values, affine("coronal"))
            if side in sides:
                path = tmp_path / f"mixed/{side}/A_{number}.seg.dcm"
                as_object(path, values, tmp_path / f"images/{side}{number}")
            else:
                write(tmp_path / f"mixed/{side}/A_{number}.nii.gz", values, affine("coronal"))
    for kind in ("nifti", "mixed"):
        folders = (tmp_path / kind / "reference", tmp_path / kind / "prediction")
        assert not call(*folders, "--out", tmp_path / f"{kind}_out")
    expected, found = (
        [{**row, "specificity": ""} for row in table(tmp_path / f"{kind}_out/cases.csv")]
        for kind in ("nifti", "mixed")
    )
    for row, other in zip(expected, found, strict=True):
        for column, value in row.items():
            if column in ("case", "patient", "kind", "name", "filled"):
                assert other[column] == value
            else:
                assert float(other[column] or "nan") == pytest.approx(
                    float(value or "nan"), rel=1e-3, nan_ok=True
                )


def test_nifti_files_are_taken_before_the_objects_beside_them(folders, tmp_path):
    as_object(folders[1] / "A_0.seg.dcm", EMPTY, tmp_path / "images")
    found = masks_of(folders[1])
    assert {path.suffix for path in found.values()} == {".gz"}
    assert masks_of(folders[1], "{case}.seg.dcm") == {"A_0": folders[1] / "A_0.seg.dcm"}


def test_an_object_that_tumorflow_made_is_no_reference_unasked(tmp_path):
    as_object(tmp_path / "a/A.dcm", reference(), tmp_path / "images", maker="TumorFlow")
    write(tmp_path / "b/A.nii.gz", prediction(0), affine("coronal"))
    said = call(tmp_path / "a", tmp_path / "b")
    assert "its header says that TumorFlow predicted it, yet it is given as a reference" in said
    assert not call(tmp_path / "a", tmp_path / "b", "--as-given")


def test_an_object_on_another_grid_is_rejected(tmp_path):
    as_object(tmp_path / "a/A.dcm", reference(), tmp_path / "images")
    write(tmp_path / "b/A.nii.gz", prediction(0))
    said = call(tmp_path / "a", tmp_path / "b")
    assert re.search(r"A\.dcm: has frames that lie outside of the grid.*Resample", said)
