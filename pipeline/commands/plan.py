"""Choose all values for a cohort, this machine and a time budget, and write them to params.yaml.

    python -m pipeline plan --minutes 20

It needs the catalogue of the cohort: run `dvc repro download` first. It reads the cohort's sizes,
spacing, intensities and tumour volumes, times a few training steps on this machine, prints every
value with its reason, and changes params.yaml as `preset` does. Sections and keys that it does not
name keep your values: cohort, split, compute, native, own_code, visualize, loss and transforms.
"""

import argparse
import json
import math
import os
import re
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from ..checking.params_file import check, checked, reject
from ..core import params
from ..core.catalogue import Catalogue
from ..core.cores import usable_cores
from ..core.errors import InputError
from ..core.records import read_json
from ..formats import raw_cases
from ..network.params import NetworkParams
from ..network.train_params import TrainParams, fitted
from ..planning.fingerprint import Fingerprint, fingerprint, foreground_of, look, looked_at
from ..planning.machine import Machine
from ..planning.plan import heading, plan
from ..planning.timer import MeasuredTimer, device_in_a_process
from ..runtime import provenance, requirements
from ..runtime.memory import usable_memory
from ..runtime.params_file import parse, read_text, replaced, set_value, written

CATALOGUE = Path("data/raw/catalogue.json")
CPU_MINUTES, GPU_MINUTES = 30.0, 480.0


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of the command."""
    parser.add_argument(
        "--minutes",
        type=float,
        help="for `dvc repro` after download; default: 30 on a CPU, 480 on a GPU",
    )
    parser.add_argument(
        "--memory-gb",
        type=float,
        help="of the GPU, or of the computer where there is none; default: all",
    )
    parser.add_argument("--dry-run", action="store_true", help="print the plan, change nothing")
    parser.add_argument(
        "--again", action="store_true", help="measure anew what was timed on this machine before"
    )
    parser.add_argument(
        "--timings",
        type=Path,
        default=default_table(),
        help="table of what was timed; default: tumorflow/timings.json in the folder for caches",
    )
    parser.add_argument(
        "--catalogue", type=Path, default=CATALOGUE, help=f"default: {CATALOGUE.as_posix()}"
    )
    parser.add_argument(
        "--params", type=Path, default=Path("params.yaml"), help="default: params.yaml"
    )


def default_table() -> Path:
    """One table for all clones on a machine, so that their plans agree."""
    caches = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(caches) / "tumorflow" / "timings.json"


def run(arguments: argparse.Namespace) -> None:
    """Plan, print, and change params.yaml."""
    before = read_text(arguments.params)
    values = checked(arguments.params, "plan", {"catalogue": arguments.catalogue})
    for name in ("minutes", "memory_gb"):
        given = getattr(arguments, name)
        if given is not None and not (math.isfinite(given) and given > 0):
            option = name.replace("_", "-")
            raise InputError(f"--{option} is {given}, expected a number above 0.")
    found = fingerprint_of(arguments.catalogue, values)
    machine = this_machine(arguments.memory_gb)
    minutes = arguments.minutes or (GPU_MINUTES if machine.device else CPU_MINUTES)
    timer = MeasuredTimer(
        arguments.timings,
        machine,
        arguments.again,
        lambda text: print(f"timing {text}", flush=True),
    )
    print("\n".join(heading(found, machine)), flush=True)
    planned = plan(found, machine, 60 * minutes, values, timer)
    print("\n".join(planned.lines))
    after = changed(before, planned.values, arguments.params)
    fits(after, found, planned.candidate.spacing_mm, arguments.params)
    whole = check(params.parse_yaml(after, arguments.params, ""), arguments.params)
    reject(whole.faults, arguments.params)
    if not arguments.dry_run:
        print(replaced(arguments.params, before, after))
    for fault in whole.missing:
        print(f"warning: {fault.partition('. ')[0]}; only `download` needs it.")
    print(f"next: {'the same without --dry-run' if arguments.dry_run else 'dvc repro'}")


def fingerprint_of(path: Path, values: Mapping[str, Any]) -> Fingerprint:
    """The fingerprint of a catalogued cohort.

    Raises
    ------
    InputError
        If there is no catalogue, or it is of another cohort than params.yaml names.
    """
    if not path.is_file():
        raise InputError(
            f"{path}: there is no catalogue of the cohort yet. Run `dvc repro download`, then plan."
        )
    catalogue = read_json(path, Catalogue)
    _check_cohort(path, catalogue, values)
    foreground = foreground_of(catalogue)
    looks = [
        look(raw_cases.read(raw_cases.found_in(path.parent, entry), catalogue.cohort), foreground)
        for entry in looked_at(catalogue)
    ]
    return fingerprint(catalogue, values["split"], looks)


def _check_cohort(path: Path, catalogue: Catalogue, values: Mapping[str, Any]) -> None:
    """The catalogue must be that of the section `cohort`, as dvc.lock says where it exists."""
    wanted = values["cohort"]
    remedy = "Run `dvc repro download`, then plan."
    lock = Path("dvc.lock")
    if lock.is_file() and path == CATALOGUE:
        stages = params.read_yaml(lock, remedy).get("stages", {})
        made = stages.get("download", {}).get("params", {}).get("params.yaml", {}).get("cohort")
        names = [name for name in wanted if name in (made or {}) and made[name] != wanted[name]]
        if names:
            raise InputError(
                f"{path}: was made with cohort.{names[0]} {made[names[0]]!r}, but params.yaml says"
                f" {wanted[names[0]]!r}. {remedy}"
            )
    held = len(catalogue.cases) - len(catalogue.corrections)
    if wanted["cases"] and held > wanted["cases"]:
        raise InputError(
            f"{path}: holds {held} cases, but params.yaml takes {wanted['cases']}"
            f" of the cohort. {remedy}"
        )


def this_machine(memory_gb: float | None) -> Machine:
    """The class of this machine, with less memory if less is given."""
    about = provenance.machine()
    device, device_gb, backend = "", 0.0, _backend()
    if about["gpus"]:  # whether Keras uses one, its backend knows
        found = device_in_a_process()
        if found.accelerator:
            name, total, *_ = about["gpus"][0].split(", ")
            device, backend = name, found.backend
            device_gb = found.memory_gb or float(total.split()[0]) * 2**20 / 1e9
            device_gb = min(device_gb, memory_gb or device_gb)
    total_gb = usable_memory() / 1e9
    return Machine(
        processor=about["cpu"],
        cores=usable_cores(),
        memory_gb=round(total_gb if device else min(total_gb, memory_gb or total_gb), 1),
        device=device,
        device_gb=round(device_gb, 1),
        backend=backend,
    )


def _backend() -> str:
    """Backend and versions without loading Keras."""
    found = []
    for name in ("keras", requirements.keras_backend()):
        try:
            found.append(f"{name} {version(name)}")
        except PackageNotFoundError:
            found.append(name)
    return ", ".join(found)


def changed(text: str, planned: Mapping[str, Any], path: Path) -> str:
    """The text of params.yaml with planned values."""
    values = parse(text, path)
    for key, value in planned.items():
        # as JSON, so that lists are written in one line; YAML 1.1 reads 3e-05 as text
        plain = re.sub(r"^(\d+)(e-?\d+)$", r"\1.0\2", json.dumps(value))
        parsed = value if isinstance(value, str) else parse(plain, key)
        set_value(values, key, parsed, str(path))
    return written(values)


def fits(text: str, found: Fingerprint, spacing_mm: tuple[float, ...], path: Path) -> None:
    """Check the planned file as `train` does; InputError names the key."""
    values = params.parse_yaml(text, path, "")
    network = params.value(values, "network", NetworkParams, path)
    train = params.value(values, "train", TrainParams, path)
    fitted(network, train, found.cohort, spacing_mm)
