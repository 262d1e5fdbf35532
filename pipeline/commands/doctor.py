"""Check this machine, the installation and this clone, and say how to fix what is wrong.

    python -m pipeline doctor --fix

--fix updates an older params.yaml: it renames keys that have a new name and adds missing keys with
their default values; your own values and comments stay. Exit status 1 if a check fails; with
warnings the pipeline still runs.
"""

import argparse
import json
import os
import platform
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from packaging.requirements import Requirement

from ..core import params
from ..core.cores import usable_cores
from ..core.errors import InputError
from ..core.records import write_bytes
from ..runtime import params_file, requirements
from ..runtime.errors import as_called
from ..runtime.memory import usable_memory
from ..runtime.programs import output_of
from ..runtime.tracking import store
from ..runtime.tracking.kept import runs_kept

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


@dataclass(frozen=True)
class Finding:
    """One line of the list: `mark` is ok, warn or fail; `advice` is the remedy."""

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


def run(arguments: argparse.Namespace) -> int:
    """Print all findings; 1 if one is a failure."""
    if arguments.fix:
        fix(arguments.params)
    with ThreadPoolExecutor(1) as aside:
        loaded = aside.submit(backend)  # the slowest check, in parallel with the others
        marks = [*_printed("machine", machine()), *_printed("packages", packages())]
        if is_installed() and not Path("dvc.yaml").is_file():
            works = "no dvc.yaml here: predict, score, compare, sources and tumorflow.api work"
            marks += _printed("clone", [Finding("ok", "clone", works)])
        else:
            marks += _printed("clone", clone())
            marks += _printed("experiment runs", runs())
            marks += _printed("params", params_values(arguments.params))
        marks += _printed("Keras", [loaded.result()])
    print(f"\n{len(marks)} checks: {marks.count('fail')} fail, {marks.count('warn')} warn")
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


def clone() -> Iterator[Finding]:
    """git and DVC: repository, commit, identity, cache."""
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
    yield from _dvc()


def _dvc() -> Iterator[Finding]:
    printed = output_of(sys.executable, "-m", "dvc", "version")
    about = dict(re.findall(r"^(DVC version|Cache types|Repo): (.*)$", printed, re.MULTILINE))
    advice = f"Run `{sys.executable} -m dvc version` for the reason; `make -B env` installs DVC."
    yield _judged(
        "DVC version" in about, "dvc", about.get("DVC version", "does not start"), advice, "fail"
    )
    kinds = about.get("Repo", "none here")
    yield _judged(
        "dvc" in kinds,
        "dvc repository",
        kinds,
        "Run this in the root of the clone. If .dvc/config is missing: git checkout .dvc/config",
        "fail",
    )
    links = about.get("Cache types", "")
    linked = "link" in links and "http" not in links
    found = f"by {links}" if linked else "copies" if links == "copy" else "none yet"
    advice = (
        "Every shard is stored twice. Move the cache to the disk of the clone:"
        " dvc cache dir --local PATH"
    )
    yield _judged(found != "copies", "dvc cache", found, advice)


def runs() -> Iterator[Finding]:
    """The store of MLflow."""
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", "10")
    try:
        number = runs_kept()
    except InputError as fault:
        message, _, advice = str(fault).rpartition("\n")
        yield Finding("fail", "mlflow store", message, advice)
    else:
        found = "created by the first run" if number is None else f"{number} runs"
        yield Finding("ok", "mlflow store", f"{store.shown()}: {found}")


def params_values(path: Path) -> Iterator[Finding]:
    """Every stage checks its sections of params.yaml, in a process of its own."""
    advice = "Run this in the root of the clone. If dvc.yaml is missing: git checkout dvc.yaml"
    try:
        stages = list(params.read_yaml(Path("dvc.yaml"), "")["stages"])
    except (InputError, KeyError, TypeError) as error:
        yield Finding("fail", "dvc.yaml", f"cannot be read: {error}", advice)
        return
    with ThreadPoolExecutor(usable_cores()) as side_by_side:
        yield from side_by_side.map(lambda name: _checked(name, path), stages)


def _checked(name: str, path: Path) -> Finding:
    command = [sys.executable, "-m", f"{PACKAGE}.{name}", "--check", "--params", str(path)]
    done = subprocess.run(command, capture_output=True, text=True)
    fault = done.stderr.strip().rpartition("error: ")[2] or f"exit status {done.returncode}"
    advice = (
        f"Correct {path}; `python -m pipeline doctor --fix` adds missing keys, `python -m pipeline"
        " preset phantom` restores the default values."
    )
    fine = done.returncode == 0
    return _judged(fine, f"{path} for {name}", "valid" if fine else fault, advice, "fail")


def backend() -> Finding:
    """Backend and devices of Keras."""
    done = subprocess.run([sys.executable, "-c", LOOK_AT_BACKEND], capture_output=True, text=True)
    if done.returncode:
        advice = "Install it: make -B env; or set KERAS_BACKEND to tensorflow or jax"
        return Finding("fail", "keras", done.stderr.strip().rpartition("\n")[2], advice)
    name, versions, devices = json.loads(done.stdout.splitlines()[-1])
    found = f"{name} {versions[name]} on {', '.join(devices)}"
    on_gpu = any("gpu" in device or "cuda" in device for device in devices)
    remedy = "pip install 'tumorflow[gpu]'" if is_installed() else "make env GPU=1"
    advice = f"This machine has an NVIDIA driver. To compute on its GPU: {remedy}"
    return _judged(on_gpu or not shutil.which("nvidia-smi"), "keras", found, advice)
