"""Check this machine, the installation and this clone, and say how to fix what is wrong.

    python -m pipeline doctor --fix

--fix updates an older params.yaml: it renames keys that have a new name and adds missing keys with
their default values; your own values and comments stay. --deep starts what takes long to start:
Keras with its backend, DVC and MLflow; without it, their packages and files are looked at. Exit
status 1 if a check fails; with warnings the pipeline still runs.
"""

import argparse
import json
import os
import platform
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from packaging.requirements import Requirement

from ..checking.params_file import check
from ..core import params
from ..core.cores import usable_cores
from ..core.errors import InputError
from ..core.layout import counted
from ..core.records import write_bytes
from ..runtime import params_file, requirements, workspace
from ..runtime.errors import as_called, called_as
from ..runtime.memory import usable_memory
from ..runtime.programs import output_of
from ..runtime.tracking import store
from ..runtime.tracking.kept import runs_counted, runs_kept

PACKAGE = __package__.partition(".")[0]
GIB = 2**30
MEMORY_GIB = 7  # what a machine sold with 8 GB has left; the phantoms need no more
DISK_GIB = 10

# Keras takes seconds to load and may crash with its backend, so another process loads it.
LOOK_AT_BACKEND = f"""
import json
from {PACKAGE}.network import backend
print(json.dumps([backend.name(), backend.versions(), backend.keras.distribution.list_devices()]))
"""

_CUDA = {
    "tensorflow": ("nvidia-cudnn-cu12", "nvidia-cudnn-cu13"),
    "jax": ("jax-cuda12-plugin", "jax-cuda13-plugin"),
}
"""Packages by which a backend computes on a GPU, of which one is needed."""


@dataclass(frozen=True)
class Finding:
    """One line of the list: `mark` is ok, warn, fail or skip; `advice` is the remedy."""

    mark: str
    subject: str
    found: str
    advice: str = ""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of the command."""
    parser.add_argument(
        "--params", type=Path, default=Path("params.yaml"), help="default: params.yaml"
    )
    parser.add_argument(
        "--fix", action="store_true", help="add missing keys to params.yaml, rename old ones"
    )
    parser.add_argument(
        "--deep", action="store_true", help="start Keras, DVC and MLflow too; half a minute"
    )


def run(arguments: argparse.Namespace) -> int:
    """Print all findings; 1 if one is a failure."""
    if arguments.fix:
        fix(arguments.params)
    marks = [*_printed("machine", machine()), *_printed("packages", packages())]
    if is_installed() and not Path("dvc.yaml").is_file():
        works = "no dvc.yaml here: predict, score, compare, sources and tumorflow.api work"
        marks += _printed("clone", [Finding("ok", "clone", works)])
    else:
        marks += _printed("clone", clone(arguments.deep))
        marks += _printed("experiment runs", runs(arguments.deep))
        marks += _printed("params", params_values(arguments.params))
    marks += _printed("Keras", [backend() if arguments.deep else backend_packages()])
    print(f"\n{len(marks)} checks: {marks.count('fail')} fail, {marks.count('warn')} warn")
    if not arguments.deep:
        print(f"Not tried: starting Keras, DVC and MLflow. `{called_as()} doctor --deep` does.")
    return int("fail" in marks)


def fix(path: Path) -> None:
    """Bring an older params.yaml up to date, and print each change."""
    text, changes = params_file.complete(params_file.read_text(path), path)
    if changes:
        write_bytes(path, text.encode())
    for line in changes or ["no key is missing"]:
        print(f"{path}: {line}")
    print()


def is_installed() -> bool:
    """Whether this code is an installed package and no clone."""
    return PACKAGE != "pipeline"


def _printed(group: str, findings: Iterator[Finding] | list[Finding]) -> Iterator[str]:
    """Print findings as they come; their marks."""
    print(group, flush=True)
    for finding in findings:
        first, *more = finding.found.splitlines()
        print(f"  {finding.mark:<6}{finding.subject:<28}{first}")
        advice = as_called(finding.advice).splitlines()
        for line in (*more, *(f"-> {line}" for line in advice)):
            print(f"  {'':<34}{line}")
        sys.stdout.flush()
        yield finding.mark


def _judged(fine: bool, subject: str, found: str, advice: str, otherwise: str = "warn") -> Finding:
    return Finding("ok", subject, found) if fine else Finding(otherwise, subject, found, advice)


def machine() -> Iterator[Finding]:
    """Python, cores, memory, disk."""
    fits = (3, 11) <= sys.version_info[:2] <= (3, 13)
    yield _judged(fits, "python", platform.python_version(), "Use Python 3.11 to 3.13.", "fail")
    cores = usable_cores()
    yield _judged(
        cores > 1, "cores", str(cores), "The pipeline will be slow. Use two cores or more."
    )
    memory = usable_memory() / GIB
    advice = (
        f"The phantoms need {MEMORY_GIB} GiB. If a stage is killed, lower train.batch_size or"
        " train.patch in params.yaml."
    )
    yield _judged(memory >= MEMORY_GIB, "memory", f"{memory:.1f} GiB", advice)
    free = shutil.disk_usage(".").free / GIB
    advice = (
        f"Free some space: the phantoms need {DISK_GIB} GiB, real cohorts more. `dvc gc"
        " --workspace` removes old results."
    )
    yield _judged(
        free >= DISK_GIB, "free disk", f"{free:.1f} GiB", advice, "warn" if free >= 1 else "fail"
    )


def packages() -> Iterator[Finding]:
    """Every required package, and the version that is installed."""
    for one in requirements.required():
        instead = requirements.IN_PLACE_OF.get(one.name, ())
        yield _package(one, requirements.installed(one.name, *instead))


def _package(required: Requirement, installed: dict[str, str]) -> Finding:
    name = required.name
    remedy = "pip install tumorflow" if is_installed() else "make -B env"
    if not installed:
        return Finding("fail", name, "not installed", remedy)
    if name not in installed:
        others = ", ".join(" ".join(item) for item in installed.items())
        return Finding("ok", name, f"not installed; instead {others}")
    advice = f"{required.specifier} was tested. Install it: {remedy}"
    return _judged(installed[name] in required.specifier, name, installed[name], advice)


def clone(deep: bool = False) -> Iterator[Finding]:
    """git and DVC: repository, commit, identity, commands, cache."""
    inside = output_of("git", "rev-parse", "--show-toplevel")
    advice = "Work in a clone, or: git init && git add --all && git commit -m start"
    yield _judged(bool(inside), "git repository", inside or "none here", advice, "fail")
    commit = output_of("git", "rev-parse", "--short", "HEAD")
    advice = "`dvc exp run` starts from a commit: git add --all && git commit -m start"
    yield _judged(bool(commit), "commit", commit or "none yet", advice)
    known = all(output_of("git", "config", f"user.{key}") for key in ("name", "email"))
    advice = (
        'Needed by `dvc exp run --queue` and `--temp`: git config user.name "..." && git config'
        ' user.email "..."'
    )
    yield _judged(known, "git identity", "known" if known else "not set", advice)
    yield from _commands()
    if deep:
        printed = output_of(sys.executable, "-m", "dvc", "version")
        advice = (
            f"Run `{sys.executable} -m dvc version` for the reason; `make -B env` installs DVC."
        )
        started = printed.partition("\n")[0].removeprefix("DVC version: ")
        yield _judged(bool(started), "dvc", started or "does not start", advice, "fail")
    yield from _dvc_repository()


def _commands() -> Iterator[Finding]:
    """Whether a shell finds what `dvc.yaml` calls, in this environment."""
    binaries = Path(sys.executable).parent
    advice = f'Put this environment on PATH, in every new terminal: export PATH="{binaries}:$PATH"'
    if (binaries / "activate").is_file():
        advice = f"Activate this environment, in every new terminal: . {binaries / 'activate'}"
    found = shutil.which("dvc")
    yield _judged(bool(found), "dvc on PATH", found or "none", advice, "fail")
    found = shutil.which("python")
    prefix = output_of("python", "-c", "import sys; print(sys.prefix)") if found else ""
    advice = f"The stages call `python`, which must be {sys.executable}. {advice}"
    yield _judged(prefix == sys.prefix, "python on PATH", found or "none", advice, "fail")


def _dvc_repository() -> Iterator[Finding]:
    folder = workspace.root() / ".dvc"
    there = (folder / "config").is_file()
    yield _judged(
        there,
        "dvc repository",
        str(folder.parent) if there else "none here",
        "Run this in the root of the clone. If .dvc/config is missing: git checkout .dvc/config",
        "fail",
    )
    if not there:
        return
    try:
        kinds = _link_types(folder)
    except Exception as fault:  # of DVC about its config, or of the disk
        advice = "Correct .dvc/config, or move the cache: dvc cache dir --local PATH"
        yield Finding("fail", "dvc cache", f"cannot be used: {fault}", advice)
        return
    found = "none yet" if kinds is None else f"by {', '.join(kinds)}" if kinds else "copies"
    advice = (
        "Every shard is stored twice. Move the cache to the disk of the clone:"
        " dvc cache dir --local PATH"
    )
    yield _judged(kinds != [], "dvc cache", found, advice)


def _link_types(folder: Path) -> list[str] | None:
    """How DVC can link its cache to the workspace, without copies; None if there is no cache."""
    from dvc.config import Config
    from dvc_objects.fs import system

    settings = Config(str(folder)).get("cache", {})
    cache = Path(settings.get("dir") or folder / "cache")
    if not cache.is_dir():
        return None
    kinds = []
    with (
        tempfile.NamedTemporaryFile(dir=cache) as kept,
        tempfile.TemporaryDirectory(dir=folder.parent, prefix=".links-") as here,
    ):
        for kind in settings.get("type") or ["reflink"]:
            if kind != "copy":
                with suppress(OSError):
                    getattr(system, kind)(kept.name, f"{here}/{kind}")
                    kinds.append(kind)
    return kinds


def runs(deep: bool = False) -> Iterator[Finding]:
    """The store of MLflow."""
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", "10")
    try:
        number = runs_kept() if deep else runs_counted()
    except LookupError:
        yield Finding("skip", "mlflow store", f"{store.shown()}: not tried")
    except InputError as fault:
        message, _, advice = str(fault).rpartition("\n")
        yield Finding("fail", "mlflow store", message, advice)
    else:
        found = "created by the first run" if number is None else counted(number, "run")
        yield Finding("ok", "mlflow store", f"{store.shown()}: {found}")


def params_values(path: Path) -> Iterator[Finding]:
    """dvc.yaml can be read; every fault of params.yaml; where the cases are."""
    try:
        params.read_yaml(Path("dvc.yaml"), "")
    except InputError as error:
        advice = "Run this in the root of the clone. If dvc.yaml is missing: git checkout dvc.yaml"
        yield Finding("fail", "dvc.yaml", str(error), advice)
    try:
        values = params.read_yaml(path, params.RESTORE)
    except InputError as error:
        yield Finding("fail", str(path), str(error))
        return
    found = check(values, path)
    for fault in dict.fromkeys(found.faults):
        absent = any(word in fault for word in ("field required", "missing sections", "is called"))
        advice = "`python -m pipeline doctor --fix` adds and renames keys, and changes no value."
        said = fault.removeprefix(f"{path}: ")
        yield Finding("fail", str(path), said, advice if absent else f"Correct it in {path}.")
    if not found.faults:
        yield Finding("ok", str(path), "valid")
    downloaded = Path("data/raw/catalogue.json").is_file()
    note = "data/raw holds cases; only `download` reads the location." if downloaded else ""
    for fault in found.missing:
        said = fault.removeprefix(f"{path}: ")
        yield Finding("warn" if downloaded else "fail", "cohort.location", said, note)


def backend_packages() -> Finding:
    """Backend and devices of Keras, as far as packages and the driver tell."""
    name = requirements.keras_backend()
    names = (name, *requirements.IN_PLACE_OF.get(name, ())[:1])
    versions = requirements.installed(*names)
    if name not in requirements.BACKENDS or not versions:
        advice = "Install it: make -B env; or set KERAS_BACKEND to tensorflow or jax"
        return Finding("fail", "keras", f"its backend {name} is not installed", advice)
    devices = output_of("nvidia-smi", "-L", timeout_s=30).splitlines()
    found = f"{' '.join(next(iter(versions.items())))}, not loaded"
    found += f"; {len(devices)} NVIDIA GPU" if devices else "; no NVIDIA GPU"
    libraries = requirements.installed(*_CUDA[name])
    found += "" if libraries or not devices else ", none of its CUDA packages"
    return _judged(bool(libraries) or not devices, "keras", found, _gpu_advice())


def backend() -> Finding:
    """Backend and devices of Keras."""
    done = subprocess.run([sys.executable, "-c", LOOK_AT_BACKEND], capture_output=True, text=True)
    if done.returncode:
        advice = "Install it: make -B env; or set KERAS_BACKEND to tensorflow or jax"
        return Finding("fail", "keras", done.stderr.strip().rpartition("\n")[2], advice)
    name, versions, devices = json.loads(done.stdout.splitlines()[-1])
    found = f"{name} {versions[name]} on {', '.join(devices)}"
    on_gpu = any("gpu" in device or "cuda" in device for device in devices)
    return _judged(on_gpu or not shutil.which("nvidia-smi"), "keras", found, _gpu_advice())


def _gpu_advice() -> str:
    remedy = "pip install 'tumorflow[gpu]'" if is_installed() else "make env GPU=1"
    return f"This machine has an NVIDIA driver. To compute on its GPU: {remedy}"
