"""Task01_BrainTumour is read by the names in its dataset.json, one channel at a time."""

import json
import pickle
import tracemalloc
from pathlib import Path

import nibabel
import numpy as np
import pytest

from pipeline.cohorts import msd
from pipeline.core.errors import InputError
from pipeline.formats import nifti, raw_cases
from pipeline.verification import checks
from tests.conftest import LPS, case_arrays

IMAGES, VALUES = case_arrays()
PUBLISHED = np.select([VALUES == 2, VALUES == 1, VALUES == 4], [1, 2, 3]).astype(np.uint8)
CHANNELS = {"FLAIR": "flair", "T1w": "t1", "t1gd": "t1ce", "T2w": "t2"}


def write_task(folder: Path, names=("BRATS_001", "BRATS_002"), **changes) -> Path:
    """Write the task as its archive unpacks, `changes` replace fields of dataset.json."""
    task = folder / "Task01_BrainTumour"
    for kind in ("imagesTr", "labelsTr", "imagesTs"):
        (task / kind).mkdir(parents=True)
    for number, name in enumerate(names):
        stacked = np.stack(
            [IMAGES[channel] + number for channel in CHANNELS.values()], axis=-1
        ).astype(np.float32)
        nibabel.Nifti1Image(stacked, LPS).to_filename(task / f"imagesTr/{name}.nii.gz")
        nifti.write(task / f"labelsTr/{name}.nii.gz", PUBLISHED, LPS)
    (task / "imagesTs/BRATS_485.nii.gz").write_bytes(b"a test image")
    for stray in ("imagesTr/._BRATS_001.nii.gz", "._dataset.json"):
        (task / stray).write_bytes(b"of macOS")
    described = {
        "name": "BRATS",
        "description": "Gliomas",
        "licence": "CC-BY-SA 4.0",
        "tensorImageSize": "4D",
        "modality": {str(number): name for number, name in enumerate(CHANNELS)},
        "labels": {
            "0": "background",
            "1": "edema",
            "2": "non-enhancing tumor",
            "3": "enhancing tumour",
        },
        "numTraining": len(names),
        "training": [
            {"image": f"./imagesTr/{name}.nii.gz", "label": f"./labelsTr/{name}.nii.gz"}
            for name in reversed(names)
        ],
        "test": ["./imagesTs/BRATS_485.nii.gz"],
    }
    (task / "dataset.json").write_text(json.dumps(described | changes))
    return task


@pytest.fixture
def task(tmp_path):
    return write_task(tmp_path)


def test_training_cases_are_found_in_the_folder_and_in_its_parent(task):
    schema, found = msd.find(task)
    assert found == msd.find(task.parent)[1]
    assert [case.case for case in found] == ["BRATS_001", "BRATS_002"]
    assert schema == msd.SOURCE.schemas[0]
    assert schema.labels == {"necrotic": 2, "edema": 1, "enhancing": 3}
    assert [case.case for case in msd.find(task, limit=1)[1]] == ["BRATS_001"]


def test_each_modality_is_its_channel(task):
    schema, found = msd.find(task)
    for number, case in enumerate(found):
        for modality, channel in {"t1n": "t1", "t1c": "t1ce", "t2w": "t2", "t2f": "flair"}.items():
            volume = case.images[modality].read()
            assert np.array_equal(volume.voxels, IMAGES[channel] + number)
            assert np.array_equal(volume.grid.affine, LPS)
    assert checks.verify(found[0], schema).entry.label_voxels == {
        "necrotic": 8,
        "edema": int((VALUES == 2).sum()),
        "enhancing": 208,
    }


def test_another_order_of_channels_and_labels_is_followed(tmp_path):
    order = {"3": "FLAIR", "2": "T1w", "0": "t1gd", "1": "T2w"}
    labels = {"0": "background", "1": "non-enhancing tumor", "2": "edema", "3": "enhancing tumour"}
    task = write_task(tmp_path, modality=order, labels=labels)
    schema, (found, _) = msd.find(task)
    channels = {name: part.channel for name, part in found.images.items()}
    assert channels == {"t1n": 2, "t1c": 0, "t2w": 1, "t2f": 3}
    assert schema.labels == {"necrotic": 1, "edema": 2, "enhancing": 3}


def test_a_case_becomes_files_that_verify(task, tmp_path):
    schema, (found, _) = msd.find(task)
    written = raw_cases.as_files(pickle.loads(pickle.dumps(found)), tmp_path / "raw")
    assert np.array_equal(nifti.read(written.images["t1c"]).voxels, IMAGES["t1ce"])
    assert (
        written.origins["t1c"]
        == nifti.read_channel(task / "imagesTr/BRATS_001.nii.gz", 0, 4).sha256
    )
    assert checks.verify(written, schema).entry.label_voxels["enhancing"] == 208


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"modality": {"0": "FLAIR", "1": "T1w", "2": "t1gd"}}, "its modality are"),
        ({"modality": {"zero": "FLAIR"}}, r"dataset\.json\.modality\.zero.*valid integer"),
        ({"labels": ["background", "edema"]}, r"dataset\.json\.labels"),
        ({"training": []}, "lists 0 training cases"),
        (
            {"training": [{"image": "./imagesTr/BRATS_001.nii.gz"}]},
            r"dataset\.json\.training\.0\.label",
        ),
        (
            {"training": [{"image": "BRATS_001.nii.gz", "label": "BRATS_001.nii.gz"}] * 2},
            "lists 2 training cases, 1 of them distinct",
        ),
        ({"training": [{"image": "BRATS_001.nii.gz", "label": "BRATS_002.nii.gz"}]}, "with label"),
        ({"training": [{"image": "a b.nii.gz", "label": "a b.nii.gz"}]}, "with label"),
    ],
)
def test_another_task_or_a_damaged_list_is_refused(tmp_path, changes, said):
    with pytest.raises(InputError, match=said):
        msd.find(write_task(tmp_path, **changes))


def test_a_channel_takes_little_more_memory_than_its_file(tmp_path):
    voxels = np.random.default_rng(0).integers(0, 1000, (64, 64, 64, 4)).astype(np.int16)
    nibabel.Nifti1Image(voxels, LPS).to_filename(tmp_path / "a.nii")
    tracemalloc.start()
    channel = nifti.read_channel(tmp_path / "a.nii", 2, 4).voxels
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert np.array_equal(channel, voxels[..., 2])
    assert peak < 1.6 * voxels.nbytes
