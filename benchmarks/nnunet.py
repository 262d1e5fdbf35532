"""nnU-Net v2 on the same cases and cores, from an environment of its own: its PyTorch need not live
beside TensorFlow.

    python -m venv .venv-peers && .venv-peers/bin/pip install -r benchmarks/requirements.txt

TUMORFLOW_PEERS names another folder for that environment.
"""

import json
import os
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from benchmarks.measuring import ROOT, Watched, watched
from pipeline.core.catalogue import Catalogue
from pipeline.core.folds import Split
from pipeline.core.records import read_json
from pipeline.formats import nifti, raw_cases
from pipeline.network.params import NetworkParams

ENVIRONMENT = Path(os.environ.get("TUMORFLOW_PEERS", ROOT / ".venv-peers"))
DATASET = "Dataset501_Phantoms"
CONFIGURATION = "3d_same_size"
CORES = 2
FEW = 2
MISSING = "skipped: benchmarks/requirements.txt is not installed in .venv-peers"


def installed() -> bool:
    """Whether its environment is there."""
    return (ENVIRONMENT / "bin/nnUNetv2_preprocess").is_file()


@contextmanager
def planned(raw: Path) -> Iterator[Callable[[], dict[str, float]]]:
    """Lay out a folder of cases for it and let it plan; gives a function that preprocesses them
    once more.

    That function returns seconds and processor seconds per case, those of all cases less those of a
    few, so that the start of its processes does not count, and the memory of the largest process.
    """
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        cases = [entry.case for entry in read_json(raw / "catalogue.json", Catalogue).cases]
        _dataset(folder / "all", raw, cases)
        _dataset(folder / "few", raw, cases[:FEW])
        more = len(cases) - len(cases[:FEW])
        _run("extract_fingerprint", folder, "all", "-np", str(CORES))
        _run("plan_experiment", folder, "all")

        def preprocess() -> dict[str, float]:
            long, short = (
                _run("preprocess", folder, part, "-c", "3d_fullres", "-np", str(CORES))
                for part in ("all", "few")
            )
            return {
                "seconds": (long.seconds - short.seconds) / more,
                "cpu_seconds": (long.cpu_seconds - short.cpu_seconds) / more,
                "process_gb": long.process_gb,
            }

        yield preprocess


def training_step(settings: dict, precision: str, steps: int) -> dict[str, float]:
    """Processor and wall seconds of a step of its network, on one core."""
    shape = {name: settings[name] for name in ("patch", "batch", "filters", "max_filters")}
    program = str(ROOT / "benchmarks/nnunet_step.py")
    ran = watched(
        [str(ENVIRONMENT / "bin/python"), program, json.dumps(shape), precision, str(steps)],
        cores=1,
    )
    return json.loads(ran.lines[-1][1])


def plan_training(
    folder: Path,
    raw: Path,
    split: Split,
    network: NetworkParams,
    patch: Sequence[int],
    batch: int,
    cores: int,
) -> Watched:
    """Lay out a cohort, let nnU-Net plan and preprocess it, and add to its plans a network of this
    size, patch and batch. Fold 0 validates on our validation cases.
    """
    cases = [*split.train, *split.val]
    _dataset(folder / "all", raw, cases, split.test)
    configuration = ("-c", "3d_fullres", "-np", str(cores), "-npfp", str(cores))
    ran = _run("plan_and_preprocess", folder, "all", *configuration, cores=cores)
    _plan_network(folder, network, patch, batch)
    folds = [{"train": list(split.train), "val": list(split.val)}]
    (folder / "preprocessed" / DATASET / "splits_final.json").write_text(json.dumps(folds))
    return ran


@contextmanager
def segmenting(
    raw: Path, network: NetworkParams, patch: Sequence[int]
) -> Iterator[Callable[[], dict[str, float]]]:
    """Lay out the first cases of a folder and plan this network for them; gives a function that
    segments the first case, untrained and without mirroring, and returns the seconds of each part
    and of the whole.
    """
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        cases = [entry.case for entry in read_json(raw / "catalogue.json", Catalogue).cases[:FEW]]
        _dataset(folder / "all", raw, cases)
        _run("extract_fingerprint", folder, "all", "-np", str(CORES))
        _run("plan_experiment", folder, "all")
        _plan_network(folder, network, patch, 2)
        images = sorted((folder / "all" / DATASET / "imagesTr").glob(f"{cases[0]}_*.nii.gz"))

        def segment() -> dict[str, float]:
            program = str(ROOT / "benchmarks/nnunet_predict.py")
            places = (str(folder / "preprocessed" / DATASET), CONFIGURATION)
            ran = watched(
                [str(ENVIRONMENT / "bin/python"), program, *places, *map(str, images)],
                CORES,
                folder,
                _variables(folder, "all"),
            )
            return json.loads(ran.lines[-1][1])

        yield segment


def train(folder: Path, epochs: int, steps: int, cores: int) -> tuple[int, Watched]:
    """Train with its own trainer for so many epochs of so many steps; the number of weights. Its
    batches are made in the process that trains, so that no worker's time escapes.
    """
    program = str(ROOT / "benchmarks/nnunet_training.py")
    python = str(ENVIRONMENT / "bin/python")
    ran = watched(
        [python, program, CONFIGURATION, str(epochs), str(steps)],
        cores,
        folder,
        _variables(folder, "all") | {"nnUNet_n_proc_DA": "0"},
    )
    counted = next(line for _, line in reversed(ran.lines) if line.startswith("weights:"))
    return int(counted.split()[1]), ran


def predict(folder: Path, out: Path, cores: int) -> Watched:
    """Segment the test cases by its own command, without mirroring."""
    images = folder / "all" / DATASET / "imagesTs"
    places = ("-i", str(images), "-o", str(out), "-c", CONFIGURATION, "-f", "0")
    how = ("--disable_tta", "-device", "cpu", "-npp", "1", "-nps", "1")
    return _run("predict", folder, "all", *places, *how, cores=cores)


def _plan_network(folder: Path, network: NetworkParams, patch: Sequence[int], batch: int) -> None:
    """Add a network of this size, patch and batch to its plans."""
    path = folder / "preprocessed" / DATASET / "nnUNetPlans.json"
    plans = json.loads(path.read_text())
    depth, every = network.depth, [1] * len(patch)
    architecture = plans["configurations"]["3d_fullres"]["architecture"]
    architecture["arch_kwargs"] |= {
        "n_stages": depth,
        "features_per_stage": [network.filters_at(level) for level in range(depth)],
        "kernel_sizes": [[3] * len(patch)] * depth,
        "strides": [every] + [[2] * len(patch)] * (depth - 1),
        "n_conv_per_stage": [2] * depth,
        "n_conv_per_stage_decoder": [2] * (depth - 1),
    }
    plans["configurations"][CONFIGURATION] = {
        "inherits_from": "3d_fullres",
        "patch_size": list(patch),
        "batch_size": batch,
        "architecture": architecture,
    }
    path.write_text(json.dumps(plans))


def _dataset(root: Path, raw: Path, cases: Sequence[str], test: Sequence[str] = ()) -> None:
    """Lay out these cases as nnU-Net reads them, and the images alone of those to test."""
    catalogue = read_json(raw / "catalogue.json", Catalogue)
    schema = catalogue.cohort
    for name in ("imagesTr", "labelsTr", "imagesTs"):
        (root / DATASET / name).mkdir(parents=True)
    for name in (*cases, *test):
        found = raw_cases.found_in(raw, catalogue.entry(name))
        images = root / DATASET / ("imagesTs" if name in test else "imagesTr")
        for channel, modality in enumerate(schema.modalities):
            link = images / f"{name}_{channel:04d}.nii.gz"
            link.symlink_to(Path(found.images[modality]).resolve())
        if name in test:
            continue
        case = raw_cases.read(found, schema)
        nifti.write(root / DATASET / f"labelsTr/{name}.nii.gz", case.classes, case.grid.affine)
    described = {
        "channel_names": {
            str(channel): modality for channel, modality in enumerate(schema.modalities)
        },
        "labels": {"background": 0}
        | {label: index for index, label in enumerate(schema.labels, 1)},
        "numTraining": len(cases),
        "file_ending": ".nii.gz",
    }
    (root / DATASET / "dataset.json").write_text(json.dumps(described))


def _run(command: str, folder: Path, part: str, *arguments: str, cores: int = CORES) -> Watched:
    return watched(
        [str(ENVIRONMENT / f"bin/nnUNetv2_{command}"), "-d", "501", *arguments],
        cores,
        folder,
        _variables(folder, part),
    )


def _variables(folder: Path, part: str) -> dict[str, str]:
    """The environment of its commands: where it reads and writes, no GPU, and threads that sleep
    while they wait, as else their waiting counts as processor time.
    """
    places = {
        "nnUNet_raw": folder / part,
        "nnUNet_preprocessed": folder / "preprocessed",
        "nnUNet_results": folder / "results",
    }
    return (
        dict(os.environ)
        | {name: str(place) for name, place in places.items()}
        | {"CUDA_VISIBLE_DEVICES": "", "OMP_WAIT_POLICY": "PASSIVE"}
    )
