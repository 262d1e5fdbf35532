"""Folders of nnU-Net v2 are described; `folder` reads them by what is printed."""

import json
from pathlib import Path

import numpy as np
import pytest

from pipeline.cohorts import folder, msd
from pipeline.cohorts.nnunet import nnunet_hint
from pipeline.core.errors import InputError
from pipeline.formats import nifti
from pipeline.formats.raw_cases import read as read_case
from tests.cohorts import test_msd
from tests.conftest import LPS, case_arrays

PLAIN = {"background": 0, "tumour": 1}
BRATS = {"WT": "edema necrotic enhancing", "TC": "necrotic enhancing", "ET": "enhancing"}


def write_dataset(
    where: Path,
    labels=PLAIN,
    channels=("T1", "T1Gd", "T2w", "FLAIR"),
    cases=("b_1", "b_2"),
    ending=".nii.gz",
    **changes,
):
    """A folder as nnU-Net v2 has them, its files without content."""
    dataset = where / "Dataset007_Brain tumours"
    for kind in ("imagesTr", "labelsTr", "imagesTs"):
        (dataset / kind).mkdir(parents=True)
    for case in cases:
        for number in range(len(channels)):
            (dataset / f"imagesTr/{case}_{number:04d}{ending}").touch()
        (dataset / f"labelsTr/{case}{ending}").touch()
    told = {
        "channel_names": {str(number): name for number, name in enumerate(channels)},
        "labels": labels,
        "numTraining": len(cases),
        "file_ending": ending,
    }
    (dataset / "dataset.json").write_text(json.dumps(told | changes))
    return dataset


def found_as_printed(dataset: Path):
    """What `folder` finds once the printed lines are written to the file that the message names."""
    head, _, lines = nnunet_hint(dataset).partition("\n\n")
    assert f"Write the lines below to {dataset / 'cohort.yaml'}" in head
    (dataset / "cohort.yaml").write_text(lines, encoding="utf-8")
    return folder.find(dataset)


def test_cases_are_found_with_their_channels_and_masks(tmp_path):
    dataset = write_dataset(tmp_path)
    schema, found = found_as_printed(dataset)
    assert (schema.cohort, schema.dimensions) == ("Dataset007_Brain_tumours", 3)
    assert schema.modalities == ("t1n", "t1c", "t2w", "t2f")
    assert [(case.case, case.patient) for case in found] == [("b_1", "b_1"), ("b_2", "b_2")]
    assert found[1].images == {
        name: dataset / f"imagesTr/b_2_000{number}.nii.gz"
        for number, name in enumerate(schema.modalities)
    }
    assert found[1].labels == dataset / "labelsTr/b_2.nii.gz"


def test_voxels_become_the_classes_that_the_labels_name(tmp_path):
    dataset = write_dataset(
        tmp_path, {"background": 0, "core": [1, 4], "ring": [4]}, ("T1ce",), cases=("b",)
    )
    images, values = case_arrays()
    nifti.write(dataset / "imagesTr/b_0000.nii.gz", images["t1ce"], LPS)
    nifti.write(dataset / "labelsTr/b.nii.gz", np.where(values == 2, np.uint8(0), values), LPS)
    schema, (found,) = found_as_printed(dataset)
    case = read_case(found, schema)
    assert schema.labels == {"core_without_ring": 1, "ring": 4}
    assert np.array_equal(case.classes == 2, values == 4)
    assert np.array_equal(case.image[..., 0], images["t1ce"])


def numbered(*names: str) -> dict[str, int]:
    return {name: number for number, name in enumerate(("background", *names))}


LABELS = {  # by what is special: labels of dataset.json, and ours with regions as lists of words
    "one": (PLAIN, "tumour", {"tumour": "tumour"}),
    "odd names": (
        {"background": 0, "tumor core": 2, "tumor/core": 1, "on": 3, "1e5": 4, "!": 5},
        "tumor_core tumor_core2 on 1e5 label_5",
        {name: name for name in ("tumor_core", "tumor_core2", "on", "1e5", "label_5")},
    ),
    "MSD's names": (
        numbered("edema", "non-enhancing tumor", "enhancing tumour"),
        "edema necrotic enhancing",
        BRATS,
    ),
    "short names": (numbered("NCR", "ED", "ET"), "necrotic edema enhancing", BRATS),
    "cavity": (
        numbered("Necrotic_core", "SNFH (non-enhancing)", "Enhancing", "resection cavity"),
        "necrotic edema enhancing resection_cavity",
        BRATS | {"resection_cavity": "resection_cavity"},
    ),
    "BraTS regions": (
        {"background": 0, "whole tumor": [1, 2, 3], "tumor core": [2, 3], "enhancing tumor": [3]},
        "edema necrotic enhancing",
        BRATS,
    ),
    "regions": (
        {"background": 0, "cyst": 3, "masses": [2, 3], "organ": [1, 2, 3]},
        "organ_without_masses masses_without_cyst cyst",
        {
            "organ": "organ_without_masses masses_without_cyst cyst",
            "masses": "masses_without_cyst cyst",
            "cyst": "cyst",
        },
    ),
    "two values added": (
        {"background": 0, "whole": [1, 2, 4], "ET": 4},
        "whole_without_ET_1 whole_without_ET_2 ET",
        {
            "whole": "whole_without_ET_1 whole_without_ET_2 ET",
            "ET": "ET",
            "whole_without_ET_2": "whole_without_ET_2",
        },
    ),
    "apart": ({"background": 0, "left": [1], "right": [2, 3]}, "left right_2 right_3", None),
}


@pytest.mark.parametrize(("labels", "names", "regions"), LABELS.values(), ids=LABELS)
def test_labels_and_regions_are_described_as_they_are_meant(tmp_path, labels, names, regions):
    schema, _ = found_as_printed(write_dataset(tmp_path, labels))
    values = {value for stated in labels.values() for value in np.atleast_1d(stated)} - {0}
    assert list(schema.labels.items()) == list(zip(names.split(), sorted(values), strict=True))
    assert regions is None or schema.regions.keys() == regions.keys()
    for region, members in (regions or {}).items():
        assert set(schema.regions[region]) == {*members.split()}
    assert schema.empty_rule == ("brats" if "WT" in schema.regions else "nan")


@pytest.mark.parametrize(
    ("channels", "modalities"),
    [
        (("FLAIR", "T1w", "t1gd", "T2w"), ("t2f", "t1n", "t1c", "t2w")),
        (("noNorm", "CT", "noNorm", "T1 post"), ("nonorm", "ct", "nonorm2", "t1c")),
        (
            ("T1", "t1-w", "seg", "mask", "µ", "t", "T"),
            ("t1n", "t1n2", "seg2", "mask2", "channel", "t", "t3"),
        ),
    ],
)
def test_channels_are_called_by_our_names_or_by_their_own_and_each_once(
    tmp_path, channels, modalities
):
    schema, found = found_as_printed(write_dataset(tmp_path, channels=channels))
    assert schema.modalities == modalities
    assert len(set(found[0].images.values())) == len(channels)


def test_metaimages_and_terms_are_described_too(tmp_path):
    dataset = write_dataset(
        tmp_path, ending=".mha", licence="CC: BY\n4.0", reference='Me & "you", 2026'
    )
    _, found = found_as_printed(dataset)
    assert found[0].labels.name == "b_1.mha"
    assert found[0].terms == 'CC: BY 4.0 Me & "you", 2026'


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"ending": ".nrrd"}, "end with '.nrrd', but only .nii, .nii.gz, .mha, .mhd are read."),
        ({"labels": PLAIN | {"ignore": 2}}, "voxels of value 2 are to be ignored, which is not"),
        ({"labels": {"a": [1, 2], "b": [2, 3]}}, "region b must lie within a, listed before it"),
        ({"labels": {"a": [1, 2], "b": 1, "c": 2}}, "must add one label to those within it"),
        ({"labels": {"a": [1, 2], "b": [1, 2]}}, "region b must"),
        ({"labels": {"background": 0}}, "regions must be at least one"),
        ({"labels": {"tumour": 300}}, "label values must be distinct and in 1..255"),
        ({"labels": {"0": "background"}}, "labels.0.0: input should be a valid integer"),
        ({"labels": {"ignore": []}}, "are to be ignored"),
        ({"channel_names": {}}, "channel_names: dictionary should have at least 1 item"),
        ({"channel_names": {"one": "T1"}}, "input should be a valid integer"),
        ({"dataset": {"b_1": {"images": ["1.nii.gz"]}}}, "it lists the files of each case"),
    ],
)
def test_what_no_description_can_state_is_said_with_the_reason(tmp_path, changes, said):
    hint = nnunet_hint(write_dataset(tmp_path, **changes))
    assert said in hint
    assert "dataset.json of nnU-Net v2" in hint
    assert "modalities:" not in hint


@pytest.mark.parametrize("find", [msd.find, folder.find])
@pytest.mark.parametrize("location", [".", ".."])
def test_sources_given_such_a_folder_or_its_parent_print_its_description(tmp_path, find, location):
    dataset = write_dataset(tmp_path)
    said = r"(?s)is the dataset\.json of nnU-Net v2.*mask: labelsTr/{case}\.nii\.gz"
    with pytest.raises(InputError, match=said):
        find((dataset / location).resolve())


def test_other_folders_get_no_hint(tmp_path):
    assert nnunet_hint(test_msd.write_task(tmp_path)) == ""
    assert nnunet_hint(tmp_path) == nnunet_hint(tmp_path / "absent") == ""
    for text in ("{", "[]", "null", "[" * 100_000, '{"labels": {}}'):
        (tmp_path / "dataset.json").write_text(text)
        assert nnunet_hint(tmp_path) == ""
