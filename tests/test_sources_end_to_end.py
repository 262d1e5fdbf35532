"""A made cohort of every kind of source, in its published layout, through regions and back; and of
those that differ in more than their files, through the seven stages.
"""

import gzip
import itertools
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple

import numpy as np
import pytest

from pipeline.cohorts import dicom
from pipeline.cohorts.registry import SOURCES
from pipeline.core import records
from pipeline.core.catalogue import CaseEntry, Catalogue
from pipeline.core.folds import Split
from pipeline.core.params import Compute
from pipeline.core.regions import (
    classes_to_regions,
    classes_to_values,
    regions_to_classes,
    values_to_classes,
)
from pipeline.formats import nifti, raw_cases
from pipeline.formats.volume import Volume
from pipeline.runtime import parallel
from tests import project
from tests.bad_inputs import write_brats, write_brats2023
from tests.cohorts import test_dicom, test_folder, test_lgg, test_msd
from tests.cohorts.challenges import SINCE_2023, write_2012, write_2013, write_2023
from tests.conftest import LPS, case_arrays
from tests.formats.dicom.test_series import slice_of
from tests.formats.dicom.test_series import write as write_dicom_file
from tests.formats.test_images import write_picture
from tests.formats.test_matlab import write_folds, write_mat

PATIENTS = range(1, 7)
IDENTITIES = ("Roe_Jane", "Roe^Jane", "MRN471", "19610203")
TYPES = {1: "meningioma", 2: "glioma", 3: "pituitary"}
FOLDS = {1: 1, 2: 2, 3: 3, 4: 2, 5: 4, 6: 5}  # of each patient
SMALLEST = {
    "network.filters": 4,
    "network.dropout": 0.0,
    "train.epochs": 1,
    "train.steps_per_epoch": 2,
    "train.batch_size": 2,
    "train.val_batches": 1,
    "train.precision": "float32",
    "evaluate.batch_size": 16,
    "evaluate.overlap": 0.0,
    "evaluate.postprocess.min_component_ml": 0.0,
    "evaluate.postprocess.min_innermost_ml": 0.0,
    "visualize.frames": 2,
}


def mapped(values: np.ndarray, changes: dict[int, int]) -> np.ndarray:
    """Label values of `case_arrays` exchanged for others."""
    table = np.arange(256, dtype=np.uint8)
    table[list(changes)] = list(changes.values())
    return table[values]


def square(plane: np.ndarray, side: int) -> np.ndarray:
    """The nearest pixels of a plane, so many along either edge."""
    return plane[np.ix_(*(np.arange(side) * length // side for length in plane.shape))]


def write_six_of_2012(folder: Path) -> None:
    for number in PATIENTS:
        write_2012(folder, f"BRATS_HG{number:04d}", number)


def write_one_of_2013(folder: Path) -> None:
    """Necrosis 1 and non-enhancing tumour 3 side by side."""
    values = case_arrays()[1]
    values[8:14, 8:10, 7:13] = 3
    write_2013(folder / "HG/0001", seg=values)


def write_ped(folder: Path) -> None:
    """Edema 4 around a core of enhancing 1, non-enhancing 2 and a cyst 3 side by side."""
    for number in PATIENTS:
        values = mapped(case_arrays(number)[1], {1: 3, 2: 4, 4: 1})
        values[8:14, 8:10, 7:13] = 2
        write_2023(folder, f"BraTS-PED-{number:05d}-000", number, seg=values)


def write_gli2024(folder: Path) -> None:
    """A resection cavity 4 apart from the tumour."""
    for number in PATIENTS:
        values = mapped(case_arrays(number)[1], {4: 3})
        values[18:21, 8:14, 7:13] = 4
        write_2023(folder, f"BraTS-GLI-{number:05d}-100", number, seg=values)


def write_msd(folder: Path) -> None:
    test_msd.write_task(folder, tuple(f"BRATS_{number:03d}" for number in PATIENTS))


def slices(side: int) -> list[tuple[int, int, int, np.ndarray, np.ndarray]]:
    """Number, tumour type, patient, image and mask of two slices of every patient."""
    found = []
    for patient, level in itertools.product(PATIENTS, (8, 11)):
        images, values = case_arrays(10 * patient + level)
        image, mask = (square(voxels[..., level].T, side) for voxels in (images["t1ce"], values))
        found.append(
            (100 * patient + level, patient % 3 + 1, patient, image, (mask > 0).astype(np.uint8))
        )
    return found


def write_mats(folder: Path) -> None:
    folds = np.full(3064, 1.0)
    for number, kind, patient, image, mask in slices(256):
        write_mat(
            folder / f"brainTumorDataPublic_1-766/{number}.mat", kind, f"MR{patient}", image, mask
        )
        folds[number - 1] = FOLDS[patient]
    write_folds(folder / "cvind.mat", folds)


def write_jpegs(folder: Path) -> None:
    lines = ["sample_id,pid,label,fold"]
    for number, kind, patient, image, mask in slices(96):
        write_picture(
            folder / TYPES[kind] / f"{number}_mri.jpg", (image.clip(0, 1020) >> 2).astype(np.uint8)
        )
        write_picture(folder / TYPES[kind] / f"{number}_mask.jpg", mask * np.uint8(255))
        lines.append(f"{number},MR{patient},{kind},{FOLDS[patient]}")
    (folder / "folds.csv").write_text("\n".join([*lines, ""]))


def write_tiffs(folder: Path) -> None:
    for number in PATIENTS:
        images, values = case_arrays(number)
        planes = [images[name][..., 4:16].T for name in ("t1", "flair", "t1ce")]
        stacked = (np.stack(planes, axis=-1).clip(0, 1020) >> 2).astype(np.uint8)
        tumour = (values[..., 4:16].T > 0) * np.uint8(255)
        case = f"TCGA_CS_494{number}_19960909"
        test_lgg.write_patient(folder / "kaggle_3m", case, stacked, tumour)


def write_studies(folder: Path) -> None:
    """Series of oblique slices, with a mask on their grid, in folders that bear the patients' names
    as hospitals' exports do.
    """
    for number in PATIENTS:
        images, values = case_arrays(number)
        study = folder / f"Roe_Jane_{number}"
        for place, (kind, modality) in enumerate(list(SINCE_2023.items())[:4], 1):
            header = {
                "PatientID": f"MRN471{number}",
                "StudyInstanceUID": f"1.2.826.{number}",
                "SeriesInstanceUID": f"1.2.826.{number}.{place}",
                "SeriesDescription": test_dicom.FOUR[modality],
            }
            for level, plane in enumerate(images[kind][..., 5:15].T):
                write_dicom_file(
                    study / modality / f"{level:03d}.dcm", slice_of(level, plane=plane, **header)
                )
        grid = dicom.read_study(study).images["t1n"].read().grid
        nifti.write(study / "seg.nii.gz", (values[..., 5:15] > 0).astype(np.uint8), grid.affine)


def write_described(folder: Path) -> None:
    for number in PATIENTS:
        images, values = case_arrays(number)
        nifti.write(folder / f"p{number}_fla.nii.gz", images["flair"], LPS)
        nifti.write(folder / f"p{number}_lesion.nii.gz", mapped(values, {1: 7, 2: 7, 4: 7}), LPS)
    one = {
        "modalities": {"t2f": "{case}_fla.nii.gz"},
        "mask": "{case}_lesion.nii.gz",
        "labels": {"lesion": 7},
    }
    test_folder.describe(folder, cohort="one-of-everything", regions={"lesion": ["lesion"]}, **one)


class Kind(NamedTuple):
    """A source, a function that writes a cohort of it, and the values of params.yaml it needs."""

    source: str
    write: Callable[[Path], None]
    changes: Mapping[str, object] = MappingProxyType({})


PUBLISHED_FOLDS = {"split.test_folds": ["2"], "train.patch": [32, 32], "visualize.cases": 1}
VOLUMES = {"network.dimensions": 3, "train.patch": [8, 8, 8]}
TRAINED = {
    "brats-ped": Kind("brats-ped", write_ped),
    "brats-gli2024": Kind("brats-gli2024", write_gli2024, {"network.output": "labels"}),
    "cheng as JPEG": Kind(
        "cheng",
        write_jpegs,
        PUBLISHED_FOLDS | {"network.output": "labels", "network.type_head": True},
    ),
    "lgg": Kind("lgg", write_tiffs),
    "dicom": Kind("dicom", write_studies),
    "folder": Kind("folder", write_described, VOLUMES),
}
KINDS = TRAINED | {
    "brats": Kind("brats", write_brats),
    "brats of 2023": Kind("brats", write_brats2023),
    "brats2012": Kind("brats2012", write_six_of_2012),
    "brats2013": Kind("brats2013", write_one_of_2013),
    "msd": Kind("msd", write_msd),
    "cheng": Kind("cheng", write_mats),
}


@pytest.fixture(
    scope="module", params=[pytest.param(name, marks=pytest.mark.slow) for name in TRAINED]
)
def kind(request) -> Kind:
    return TRAINED[request.param]


@pytest.fixture(scope="module")
def done(kind, tmp_path_factory) -> Path:
    """A project on a cohort of the kind, all of whose stages have run, in this process."""
    folder = tmp_path_factory.mktemp("kind")
    (folder / "project").mkdir()
    kind.write(folder / "source")
    where = {"cohort.source": kind.source, "cohort.location": str(folder / "source")}
    project.write_params(folder / "project", project.SMALL | SMALLEST | where | dict(kind.changes))
    with parallel.computing(Compute(backend="loky", address="", workers=1)):
        for name in project.STAGES:
            project.run(folder / "project", name)
    return folder / "project"


def catalogue_of(folder: Path) -> Catalogue:
    return records.read_json(folder / "data/raw/catalogue.json", Catalogue)


def split_of(folder: Path) -> Split:
    return records.read_json(folder / "data/split.json", Split)


def reference_of(folder: Path, entry: CaseEntry) -> Volume:
    return raw_cases.read_volume(folder / "data/raw" / entry.labels.path)


def test_no_patient_is_in_two_parts_and_none_is_taken_for_another(done):
    catalogue, split = catalogue_of(done), split_of(done)
    patients = {entry.case: entry.patient for entry in catalogue.cases}
    parts = {
        name: {patients[case] for case in getattr(split, name)} for name in ("train", "val", "test")
    }
    assert all(parts.values())
    together = [patient for part in parts.values() for patient in part]
    assert len(together) == len(set(together)) == len(PATIENTS)
    assert sorted((*split.train, *split.val, *split.test)) == sorted(patients)
    assert catalogue.alike == ()


def test_published_folds_are_the_test_part_where_they_are_asked_for(kind, done):
    folds = kind.changes.get("split.test_folds", [])
    asked = {
        entry.case for entry in catalogue_of(done).cases if entry.attributes.get("fold") in folds
    }
    assert asked == (set(split_of(done).test) if folds else set())


def test_every_prediction_lies_on_the_raw_grid_with_the_values_of_the_cohort(done):
    catalogue, test = catalogue_of(done), split_of(done).test
    assert sorted(path.name for path in (done / "metrics/predictions").iterdir()) == sorted(
        ["uncertainty", *(f"{case}.nii.gz" for case in test)]
    )
    marked = 0
    for case in test:
        prediction = nifti.read(done / f"metrics/predictions/{case}.nii.gz")
        assert prediction.grid.differs(reference_of(done, catalogue.entry(case)).grid) == ""
        assert set(np.unique(prediction.voxels)) <= {0, *catalogue.cohort.labels.values()}
        marked += np.count_nonzero(prediction.voxels)
    assert marked


def test_the_reference_that_is_scored_against_is_the_published_one(kind, done):
    catalogue, (_, found) = catalogue_of(done), SOURCES[kind.source].find(done.parent / "source", 0)
    assert {case.case for case in found} == {entry.case for entry in catalogue.cases}
    for case in found:
        published = raw_cases.read_volume(case.labels)
        kept = reference_of(done, catalogue.entry(case.case))
        assert kept.voxels.dtype == published.voxels.dtype
        assert kept.voxels.tobytes() == published.voxels.tobytes()
        assert kept.grid.differs(published.grid) == ""


def test_every_region_and_label_is_scored_in_every_case(done):
    schema, test = catalogue_of(done).cohort, split_of(done).test
    metrics = json.loads((done / "metrics/evaluate.json").read_text())
    assert (metrics["cohort"], metrics["cases"]) == (schema.cohort, len(test))
    for named, scored in ((schema.labels, metrics["label"]), (schema.regions, metrics["region"])):
        assert set(scored) == set(named)
        assert {
            score["dice"]["cases"] + score["dice"]["undefined"] for score in scored.values()
        } == {len(test)}


def test_the_report_names_the_cohort_and_its_regions(done):
    schema, page = catalogue_of(done).cohort, (done / "metrics/report.html").read_text()
    assert all(name in page for name in (schema.cohort, *schema.regions))


def test_nothing_written_shows_where_the_cohort_lay_or_who_its_patients_are(done):
    secret = [word.encode() for word in (str(done.parent), *IDENTITIES)]
    showing = []
    for path in (
        path for folder in ("data", "models", "metrics") for path in (done / folder).rglob("*")
    ):
        if path.is_file():
            stored = path.read_bytes()
            stored = gzip.decompress(stored) if path.suffix == ".gz" else stored
            text = path.name.encode() + stored
            showing += [(path, word) for word in secret if word in text]
    assert showing == []


@pytest.mark.parametrize("name", KINDS)
def test_a_reference_comes_back_byte_for_byte_from_the_regions_and_from_a_file(tmp_path, name):
    source, write, _ = KINDS[name]
    write(tmp_path / "source")
    schema, found = SOURCES[source].find(tmp_path / "source", 0)
    known = set()
    for case in found:
        reference = raw_cases.read_volume(case.labels)
        masks = classes_to_regions(values_to_classes(reference.voxels, schema), schema)
        values = classes_to_values(regions_to_classes(masks, schema), schema)
        assert values.astype(reference.voxels.dtype).tobytes() == reference.voxels.tobytes()
        nifti.write(tmp_path / "back.nii.gz", values, reference.grid.affine)
        back = nifti.read(tmp_path / "back.nii.gz")
        assert back.voxels.tobytes() == values.tobytes()
        assert back.grid.differs(reference.grid) == ""
        known |= set(np.unique(values))
    assert known == {0, *schema.labels.values()}
