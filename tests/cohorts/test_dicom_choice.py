"""What headers leave open is one message, whose block, pasted as printed, leads to a result."""

import re
from pathlib import Path

import numpy as np
import pytest

from pipeline.cohorts import dicom
from pipeline.cohorts.dicom_choice import BEGIN, END, TABLE
from pipeline.core.errors import InputError
from pipeline.core.params import read_yaml
from tests.cohorts.test_dicom import IDENTITIES
from tests.formats.dicom.test_series import VOXELS, enhanced, slice_of, write

ALL = ("t1n", "t1c", "t2w", "t2f")
AXIAL, CORONAL, SAGITTAL = [1, 0, 0, 0, 1, 0], [1, 0, 0, 0, 0, -1], [0, 1, 0, 0, 0, -1]
TILTED = [1, 0, 0, 0, 0.96, 0.28]


@pytest.fixture
def study(tmp_path) -> Path:
    return tmp_path / "1"


def add(study: Path, number: int, description: str, time: str = "100000", **values) -> Path:
    """A series of three slices; `values` replace elements, `edge` is that of its voxels in mm."""
    edge, axes = values.pop("edge", (0.75, 5.5)), values.pop("axes", AXIAL)
    matrix = values.pop("matrix", 12)
    normal = np.cross(axes[:3], axes[3:])
    elements = {
        "SeriesNumber": number,
        "SeriesInstanceUID": f"1.2.826.7.{number}",
        "SeriesDescription": description,
        "SeriesTime": time,
        "StudyInstanceUID": f"1.2.826.{study.name}",
        "PatientID": f"MRN471{study.name}",
        "ImageOrientationPatient": axes,
        "PixelSpacing": [edge[0]] * 2,
        "SpacingBetweenSlices": edge[1],
    }
    for place in range(3):
        there = {
            "ImagePositionPatient": [round(float(x), 6) for x in place * edge[1] * normal],
            "SOPInstanceUID": f"1.2.9.{number}.{place}",
        }
        plane = np.tile(VOXELS[place], (2, 2))[:10, :matrix] + np.int16(number)
        write(
            study / f"{number:02d}" / f"{place}.dcm",
            slice_of(place, plane=plane, **(elements | there | values)),
        )
    return study / f"{number:02d}"


def asked(read, *arguments) -> str:
    with pytest.raises(InputError) as error:
        read(*arguments)
    assert not re.search("|".join(IDENTITIES), str(error.value), re.IGNORECASE)
    return str(error.value)


def block(message: str) -> str:
    lines = message.splitlines()
    return "\n".join(lines[lines.index(BEGIN) : lines.index(END) + 1]) + "\n"


def paste(message: str, folder: Path) -> dict[str, str | None]:
    """Add the block to the table as printed; what the table says then."""
    with (folder / TABLE).open("a", encoding="utf-8") as file:
        file.write(block(message))
    return read_yaml(folder / TABLE, "")


def chosen(found) -> dict[str, str]:
    return {name: part.path.name for name, part in found.images.items()}


def test_two_series_of_one_description_are_printed_with_all_that_distinguishes_them(
    study, tmp_path
):
    add(study, 4, "AX T1", "101500.25", edge=(0.9375, 5.5), axes=TILTED)
    add(study, 9, "AX T1", "104210", edge=(0.9375, 5.5), axes=TILTED)
    message = asked(dicom.read_study, study)
    first = r"1 \(study-.*: 2 series may be t1n, no series is recognised as t1c or t2w or t2f\.$"
    assert re.search(first, message.splitlines()[0])
    facts = "axial oblique by 16 degrees, 0.94 x 0.94 x 5.5 mm, 12 x 10 x 3, 'AX T1', 3 files"
    assert (
        f'"1.2.826.7.4": t1n   # series 4, 10:15:00, {facts}\n"1.2.826.7.9": null  # series 9,'
        f" 10:42:10, {facts}" in message
    )
    assert f"Put the block above into a new text file {study / TABLE}." in message
    assert (
        "no series is recognised as t1c. If series 9 (10:42:10) was acquired after the injection,"
        " write t1c in its line" in message
    )
    assert paste(message, study) == {"1.2.826.7.4": "t1n", "1.2.826.7.9": None}
    assert chosen(dicom.read_study(study)) == {"t1n": "04"}
    (study / TABLE).rename(tmp_path / TABLE)
    assert chosen(dicom.find(tmp_path)[1][0]) == {"t1n": "04"}


def t1_pair(study: Path, description: str = "AX T1", **values) -> None:
    """Series 4 and, later, series 9, of one description."""
    add(study, 4, description, "101500", **values)
    add(study, 9, description, "104210", **values)


def test_the_earlier_of_two_series_with_an_agent_may_be_the_one_before_it(study):
    t1_pair(study, ContrastBolusAgent="Gd")
    message = asked(dicom.read_study, study)
    said = "If series 4 (10:15:00) was acquired before the injection, write t1n in its line"
    assert said in message
    assert paste(message, study) == {"1.2.826.7.9": "t1c", "1.2.826.7.4": None}


def test_all_that_is_open_is_asked_at_once_with_the_series_passed_over(study):
    add(study, 1, "3-plane loc", edge=(2, 10))
    add(study, 2, "AX T1", "100500")
    add(study, 3, "AX T1", "103000")
    add(study, 4, "AX T2", axes=TILTED)
    add(study, 5, "COR T2", axes=CORONAL)
    add(study, 6, "SAG T2", axes=SAGITTAL)
    add(study, 7, "AX DWI b1000")
    message = asked(dicom.read_study, study)
    assert (
        "2 series may be t1n, 3 series may be t2w, no series is recognised as t1c or t2f."
        in message
    )
    assert "'3-plane loc', 3 files: localizer ('3 plane' in its description)" in message
    assert "3 files: diffusion image ('dwi' in its description)" in message
    assert (
        "differ in matrix, spacing, orientation or position: give `python -m pipeline predict` the"
        " option --native" in message
    )
    table = paste(message, study)
    words = {key: word for key, word in table.items() if word}
    assert words == {"1.2.826.7.2": "t1n", "1.2.826.7.4": "t2w"}
    assert len(table) == 7
    assert chosen(dicom.read_study(study)) == {"t1n": "02", "t2w": "04"}


def test_what_is_recognised_is_said_and_one_grid_needs_no_advice(study):
    add(study, 2, "AX T1")
    add(study, 4, "AX T2")
    add(study, 5, "COR T2", axes=CORONAL)
    message = asked(dicom.read_study, study)
    assert (
        "# t1n is recognised: series 2, 10:00:00, axial, 0.75 x 0.75 x 5.5 mm, 12 x 10 x 3, 'AX"
        " T1', 3 files" in message
    )
    assert "--native" not in message


OTHERS = {
    "axial": ({"axes": CORONAL}, "04"),
    "3D": ({"axes": CORONAL, "edge": (0.9, 1.0)}, "09"),
    "small voxels": ({"edge": (0.5, 5.5)}, "09"),
    "large voxels": ({"edge": (0.9, 5.5)}, "04"),
    "later": ({"edge": (0.75, 5.51)}, "09"),
    "earlier": ({"SeriesTime": "095500"}, "04"),
    "later acquisition": ({"SeriesTime": "095500", "AcquisitionTime": "102000"}, "09"),
    "without place": ({"ImagePositionPatient": None}, "04"),
}


@pytest.mark.parametrize(("others", "taken"), OTHERS.values(), ids=OTHERS)
def test_the_proposal_follows_the_rule_that_is_printed(study, others, taken):
    add(study, 4, "AX T1 +C", "100000")
    add(study, 9, "T1 POST", **({"time": "101000"} | others))
    paste(asked(dicom.read_study, study), study)
    assert chosen(dicom.read_study(study)) == {"t1c": taken}


def test_all_examinations_of_a_cohort_are_asked_for_in_one_block(tmp_path):
    for number in range(1, 4):
        add(tmp_path / str(number), 10 * number, "AX FLAIR")
        add(tmp_path / str(number), 10 * number + 1, "AX FLAIR", axes=SAGITTAL, matrix=11)
        add(tmp_path / str(number), 10 * number + 2, "AX T1 +C", axes=CORONAL)
    message = asked(dicom.find, tmp_path)
    assert message.count("2 series may be t2f, no series") == 3
    assert message.count(BEGIN) == 1
    assert "The series proposed of 3 of these 3 examinations differ in" in message
    assert "set native.enabled: true in params.yaml" in message
    assert f"new text file {tmp_path / TABLE}." in message
    paste(message, tmp_path)
    schema, found = dicom.find(tmp_path)
    assert schema.modalities == ("t1c", "t2f")
    assert sorted(chosen(case)["t2f"] for case in found) == ["10", "20", "30"]


def test_volumes_of_one_series_are_distinguished_by_their_kind(study):
    one_series = {"SeriesInstanceUID": "1.2.826.7.5", "SeriesNumber": 5}
    for echo in (90.0, 110.0):
        add(study, int(echo), "AX T2", EchoTime=echo, **one_series)
    add(study, 9, "AX T2", EchoTime=100.0, axes=CORONAL)
    assert paste(asked(dicom.read_study, study), study) == {
        "1.2.826.7.5 (echo 110.0 ms)": "t2w",
        "1.2.826.7.5 (echo 90.0 ms)": None,
        "1.2.826.7.9": None,
    }
    assert dicom.read_study(study).images["t2w"].kind == "echo 110.0 ms"


def test_the_block_is_added_to_a_table_whose_patterns_fit_too(study):
    t1_pair(study, "AX T1 +C")
    (study / TABLE).write_text("'^AX T1': t1c  # both\n'T1': null\n")
    message = asked(dicom.read_study, study)
    assert f"Add the block above at the end of {study / TABLE}." in message
    assert len(paste(message, study)) == 4
    assert chosen(dicom.read_study(study)) == {"t1c": "09"}


def test_lines_that_the_block_says_anew_are_to_be_removed(study):
    t1_pair(study, "AX T1 +C")
    (study / TABLE).write_text("'1.2.826.7.4': t1c\n'1.2.826.7.9': t1c\n")
    message = asked(dicom.read_study, study)
    assert f'Remove from {study / TABLE} the lines of "1.2.826.7.9", "1.2.826.7.4"' in message
    (study / TABLE).unlink()
    paste(message, study)
    assert chosen(dicom.read_study(study)) == {"t1c": "09"}


def test_a_needed_modality_is_asked_for_and_what_is_not_needed_is_not(study):
    add(study, 2, "AX T1", "100500")
    add(study, 3, "AX T1", "103000")
    add(study, 4, "AX T1", "104000")
    add(study, 5, "AX FLAIR")
    add(study, 8, "Whole Brain")
    assert chosen(dicom.read_study(study, ("t2f",))) == {"t2f": "05"}
    message = asked(dicom.read_study, study, ("t2f", "t1c"))
    assert "3 series may be t1n, no series is recognised as t1c." in message
    for said in (
        "If series 3 (10:30:00) or series 4 (10:40:00) was acquired after the injection, write t1c"
        " in its line",
        "The network needs t1c: write it at a series",
        "'Whole Brain', 3 files: neither its description nor its header tells the weighting",
    ):
        assert said in message
    paste(message, study)
    again = asked(dicom.read_study, study, ("t2f", "t1c"))
    assert 'in this file already: "1.2.826.7.3", series 3' in again
    assert f"Change the words in {study / TABLE}" in again
    (study / TABLE).write_text((study / TABLE).read_text().replace('.8": null', '.8": t1c'))
    found = dicom.read_study(study, ("t2f", "t1c"))
    assert chosen(found) == {"t1n": "02", "t1c": "08", "t2f": "05"}


def test_an_incomplete_study_is_read_and_what_is_undecided_is_still_asked_for(study):
    add(study, 2, "AX T1", "100500")
    add(study, 5, "AX FLAIR")
    needed = ("t1n", "t1c", "t2f")
    message = asked(dicom.read_study, study, needed)
    assert "an examination that has none can be used by a network only that was trained" in message
    assert chosen(dicom.read_study(study, needed, incomplete=True)) == {"t1n": "02", "t2f": "05"}
    add(study, 6, "AX T2")
    add(study, 7, "AX T2")
    found = chosen(dicom.read_study(study, needed, incomplete=True))
    assert found == {"t1n": "02", "t2f": "05"}
    add(study, 3, "AX T1", "103000")
    message = asked(dicom.read_study, study, needed, True)
    assert "2 series may be t1n, 2 series may be t2w, no series is recognised as t1c." in message
    assert "If no series is t1c, leave the nulls: the examination is used without it." in message
    paste(message, study)
    found = chosen(dicom.read_study(study, needed, incomplete=True))
    assert found == {"t1n": "02", "t2f": "05", "t2w": "07"}


def test_the_later_t1_series_of_one_description_is_proposed_as_t1c_to_be_checked(study):
    add(study, 2, "SAG T1", "100000", axes=SAGITTAL)
    add(study, 4, "AX T1", "103000")
    add(study, 3, "AX T1", "100500")
    add(study, 5, "AX FLAIR")
    message = asked(dicom.read_study, study, ("t1n", "t1c", "t2f"))
    assert "3 series may be t1n, no header names t1c, one series is proposed." in message
    assert (
        "CHECK CONTRAST: the network needs t1c, and no header names one. t1c is proposed at series"
        " 4 (10:30:00), which repeats" in message
    )
    paste(message, study)
    found = dicom.read_study(study, ("t1n", "t1c", "t2f"))
    assert chosen(found) == {"t1n": "03", "t1c": "04", "t2f": "05"}


def test_a_modality_that_no_series_can_be_is_rejected(study):
    add(study, 2, "AX T1")
    message = asked(dicom.read_study, study, ("t1n", "dwi"))
    said = "1: dwi is needed, but DICOM series are only recognised as t1n, t1c, t2w, t2f. Convert"
    assert said in message


def test_a_study_in_which_nothing_is_recognised_is_asked_for_with_the_reasons(study, tmp_path):
    add(study, 2, "DWI B1000")
    add(study, 3, "Whole Brain")
    message = asked(dicom.find, tmp_path)
    assert "no series is recognised as one of t1n, t1c, t2w, t2f." in message
    assert "'DWI B1000', 3 files: diffusion image" in message
    assert "write at least one word" in message
    (tmp_path / TABLE).write_text(block(message).replace('.3": null', '.3": t1n'))
    assert chosen(dicom.find(tmp_path)[1][0]) == {"t1n": "03"}


def test_a_series_of_many_volumes_that_is_passed_over_takes_one_line(study):
    one_series = {"SeriesInstanceUID": "1.2.826.7.20", "SeriesNumber": 20}
    for time in range(5):
        add(study, 20 + time, "DSC PERF", TemporalPositionIdentifier=time, **one_series)
    message = asked(dicom.read_study, study)
    assert message.count("DSC PERF") == 1
    assert "(and 4 more volumes)" in message
    assert paste(message, study) == {"1.2.826.7.20": None}


ODD = {"SeriesInstanceUID": '1.2"\\\x01é', "SeriesNumber": None, "SeriesTime": "10\n: x"}
BESIDE = (9, "COR T2", {"time": "101000", "axes": CORONAL})
WITHOUT_UID = {"SeriesInstanceUID": None}


@pytest.mark.parametrize(
    ("series", "key"),
    [
        ([(4, "AX T2: \x1b[31m# {x}", ODD), BESIDE], "1.2.826.7.9"),
        ([(4, "AX T2", {"SeriesInstanceUID": "\x01" * 2000}), BESIDE], "^AX\\ T2\\ \\(\\)$"),
        ([(n, "AX T2 (a+b)", WITHOUT_UID | {"EchoTime": 9.0 * n}) for n in (8, 9)], ""),
    ],
    ids=["odd text", "a UID too long for a key", "no UID"],
)
def test_headers_of_odd_text_or_without_a_uid_cannot_break_the_block(study, series, key):
    for number, description, values in series:
        add(study, number, description, **values)
    table = paste(asked(dicom.read_study, study), study)
    assert len(table) == 2
    assert not key or key in table
    assert list(chosen(dicom.read_study(study))) == ["t2w"]


def test_enhanced_series_are_distinguished_too(study, tmp_path):
    for number in (4, 9):
        enhanced(
            tmp_path / "1" / str(number) / "a.dcm",
            [{"number": place} for place in range(3)],
            VOXELS[:3],
            SeriesDescription="COR T1 +C",
            SeriesNumber=number,
            SeriesInstanceUID=f"1.2.826.7.{number}",
            AcquisitionDateTime=f"2026021110{number:02d}30.5",
        )
    message = asked(dicom.read_study, study)
    facts = "1.25 x 0.75 x 3.5 mm, 12 x 10 x 3, 'COR T1 +C' (echo 4.0 ms, time 1, stack 1), 1 file"
    assert f"# series 9, 10:09:30, coronal oblique by 40 degrees, {facts}\n" in message
    paste(message, study)
    assert chosen(dicom.read_study(study)) == {"t1c": "9"}
