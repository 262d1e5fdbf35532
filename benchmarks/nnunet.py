"""nnU-Net v2 on the same cases and cores, from an environment of its own: its PyTorch need not live
beside TensorFlow.

    python -m venv .venv-peers && .venv-peers/bin/pip install -r benchmarks/requirements.txt

TUMORFLOW_PEERS names another folder for that environment.
"""

import json
import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarks.measuring import ROOT, Watched, watched
from pipeline.core.catalogue import Catalogue
from pipeline.core.records import read_json
from pipeline.formats import nifti, raw_cases

ENVIRONMENT = Path(os.environ.get("TUMORFLOW_PEERS", ROOT / ".venv-peers"))
DATASET = "Dataset501_Phantoms"
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
        more = _dataset(folder / "all", raw, None) - _dataset(folder / "few", raw, FEW)
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


def _dataset(root: Path, raw: Path, limit: int | None) -> int:
    """Lay out so many cases as nnU-Net reads them; the number of cases."""
    catalogue = read_json(raw / "catalogue.json", Catalogue)
    schema, chosen = catalogue.cohort, catalogue.cases[:limit]
    for name in ("imagesTr", "labelsTr"):
        (root / DATASET / name).mkdir(parents=True)
    for entry in chosen:
        found = raw_cases.found_in(raw, entry)
        for channel, modality in enumerate(schema.modalities):
            (root / DATASET / f"imagesTr/{entry.case}_{channel:04d}.nii.gz").symlink_to(
                found.images[modality].resolve()
            )
        case = raw_cases.read(found, schema)
        nifti.write(
            root / DATASET / f"labelsTr/{entry.case}.nii.gz", case.classes, case.grid.affine
        )
    described = {
        "channel_names": {
            str(channel): modality for channel, modality in enumerate(schema.modalities)
        },
        "labels": {"background": 0}
        | {label: index for index, label in enumerate(schema.labels, 1)},
        "numTraining": len(chosen),
        "file_ending": ".nii.gz",
    }
    (root / DATASET / "dataset.json").write_text(json.dumps(described))
    return len(chosen)


def _run(command: str, folder: Path, part: str, *arguments: str) -> Watched:
    places = {
        "nnUNet_raw": folder / part,
        "nnUNet_preprocessed": folder / "preprocessed",
        "nnUNet_results": folder / "results",
    }
    environment = (
        os.environ
        | {name: str(place) for name, place in places.items()}
        | {"CUDA_VISIBLE_DEVICES": ""}
    )
    return watched(
        [str(ENVIRONMENT / f"bin/nnUNetv2_{command}"), "-d", "501", *arguments],
        CORES,
        folder,
        environment,
    )
