"""Look at this machine and this clone, and say what to do about what is wrong.

Exit status 1 if something fails; after a warning the pipeline still runs.
"""

import argparse
import importlib.metadata
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

import yaml

from ..core.errors import InputError
from ..runtime import tracking
from ..runtime.parallel import usable_cores

ROOT = Path(__file__).parents[2]
GIB = 2**30
MEMORY_GIB = 7  # what a machine sold with 8 GB has left; the phantoms need no more
DISK_GIB = 10
INSTEAD = {"tensorflow": ("tensorflow-cpu", "jax")}

# Keras takes its time and may crash with its engine, so another process loads it.
LOOK_AT_BACKEND = f"""
import json
from {__package__.partition(".")[0]}.network import backend
print(json.dumps([backend.name(), backend.versions(), backend.keras.distribution.list_devices()]))
"""


@dataclass(frozen=True)
class Finding:
    """One line of the list: `mark` is ok, warn or fail; `advice` says what to do."""

    mark: str
    subject: str
    found: str
    advice: str = ""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of the command."""
    parser.add_argument(
        "--params", type=Path, default=Path("params.yaml"), help="default: params.yaml"
    )


def run(arguments: argparse.Namespace) -> int:
    """Print all findings; 1 if one is a failure."""
    with ThreadPoolExecutor(1) as aside:
        engine = aside.submit(backend)  # the slowest, beside the others
        marks = [
            *_printed("machine", machine()),
            *_printed("packages", packages()),
            *_printed("clone", clone()),
            *_printed("experiment runs", runs()),
            *_printed("values", params_values(arguments.params)),
            *_printed("engine", [engine.result()]),
        ]
    print(f"\n{len(marks)} looked at: {marks.count('fail')} fail, {marks.count('warn')} warn")
    return int("fail" in marks)


def _printed(group: str, findings: Iterator[Finding] | list[Finding]) -> Iterator[str]:
    """Print findings as they come; their marks."""
    print(group, flush=True)
    for finding in findings:
        first, *more = finding.found.splitlines()
        print(f"  {finding.mark:<6}{finding.subject:<28}{first}")
        for line in (*more, *(f"-> {line}" for line in finding.advice.splitlines())):
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
    yield _judged(cores > 1, "cores", str(cores), "It works, slowly: two or more are better.")
    memory = usable_memory() / GIB
    advice = (
        f"The phantoms need {MEMORY_GIB} GiB. If a stage is killed, lower train.batch_size or"
        " train.patch in params.yaml."
    )
    yield _judged(memory >= MEMORY_GIB, "memory", f"{memory:.1f} GiB", advice)
    free = shutil.disk_usage(".").free / GIB
    advice = (
        f"Make room: the phantoms want {DISK_GIB} GiB, real cohorts more. `dvc gc --workspace`"
        " drops old results."
    )
    yield _judged(
        free >= DISK_GIB, "free disk", f"{free:.1f} GiB", advice, "warn" if free >= 1 else "fail"
    )


def usable_memory() -> int:
    """Bytes that this machine has, or that the container lets us have."""
    bounds = [os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")]
    for path in ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"):
        if (
            Path(path).is_file()
            and (text := Path(path).read_text(encoding="utf-8").strip()).isdigit()
        ):
            bounds.append(int(text))
    return min(bounds)


def packages() -> Iterator[Finding]:
    """Every line of requirements.txt against what is installed."""
    from packaging.requirements import Requirement

    for line in (ROOT / "requirements.txt").read_text(encoding="utf-8").splitlines():
        if text := line.partition("#")[0].strip():
            required = Requirement(text)
            versions = {
                name: _version(name) for name in (required.name, *INSTEAD.get(required.name, ()))
            }
            yield _package(
                required.name,
                required.specifier,
                {name: version for name, version in versions.items() if version},
            )


def _version(name: str) -> str | None:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None


def _package(name: str, wanted: object, installed: dict[str, str]) -> Finding:
    if not installed:
        return Finding("fail", name, "not installed", "make -B env")
    if name not in installed:
        return Finding(
            "ok",
            name,
            "not installed; instead " + ", ".join(" ".join(item) for item in installed.items()),
        )
    if installed[name] not in wanted:
        return Finding(
            "warn",
            name,
            f"{installed[name]}, outside of {wanted}",
            "Not tested together. `make -B env` installs what was.",
        )
    return Finding("ok", name, installed[name])


def clone() -> Iterator[Finding]:
    """git and DVC: repository, commit, identity, cache."""
    inside = _printed_by("git", "rev-parse", "--show-toplevel")
    advice = "Work in a clone, or: git init && git add --all && git commit -m start"
    yield _judged(bool(inside), "git repository", inside or "none here", advice, "fail")
    commit = _printed_by("git", "rev-parse", "--short", "HEAD")
    advice = "`dvc exp run` starts from a commit: git add --all && git commit -m start"
    yield _judged(bool(commit), "commit", commit or "none yet", advice)
    known = all(_printed_by("git", "config", f"user.{key}") for key in ("name", "email"))
    advice = (
        'Needed by `dvc exp run --queue` and `--temp`: git config user.name "..." && git config'
        ' user.email "..."'
    )
    yield _judged(known, "git identity", "known" if known else "not set", advice)
    yield from _dvc()


def _dvc() -> Iterator[Finding]:
    said = _printed_by(sys.executable, "-m", "dvc", "version")
    about = dict(re.findall(r"^(DVC version|Cache types|Repo): (.*)$", said, re.MULTILINE))
    advice = f"See what `{sys.executable} -m dvc version` says; `make -B env` installs it."
    yield _judged(
        "DVC version" in about, "dvc", about.get("DVC version", "does not start"), advice, "fail"
    )
    kinds = about.get("Repo", "none here")
    yield _judged(
        "dvc" in kinds,
        "dvc repository",
        kinds,
        "Work at the root of the clone; git tracks .dvc/config: restore it.",
        "fail",
    )
    links = about.get("Cache types", "")
    found = (
        f"by {links}"
        if re.search("link", links) and "http" not in links
        else "copies"
        if links == "copy"
        else "none yet"
    )
    advice = (
        "Every shard stands on the disk twice. Bring the cache to the disk of the clone: dvc cache"
        " dir --local PATH"
    )
    yield _judged(found != "copies", "dvc cache", found, advice)


def _printed_by(*command: str) -> str:
    """What a program prints; nothing if it fails or is not there."""
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return ""


def runs() -> Iterator[Finding]:
    """The store of MLflow."""
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", "10")
    try:
        kept = tracking.runs_kept()
    except InputError as fault:
        message, _, advice = str(fault).rpartition("\n")
        yield Finding("fail", "mlflow store", message, advice)
    else:
        yield Finding(
            "ok",
            "mlflow store",
            f"{tracking.shown_store()}:"
            f" {'made by the first run' if kept is None else f'{kept} runs'}",
        )


def params_values(path: Path) -> Iterator[Finding]:
    """Every stage's own check of its sections; a stage is another process, for no command imports
    one.
    """
    try:
        stages = list(yaml.safe_load(Path("dvc.yaml").read_text(encoding="utf-8"))["stages"])
    except (OSError, yaml.YAMLError, KeyError, TypeError) as error:
        yield Finding(
            "fail",
            "dvc.yaml",
            f"cannot be read: {error}",
            "Work at the root of the clone; git tracks dvc.yaml: restore it.",
        )
        return
    with ThreadPoolExecutor(usable_cores()) as side_by_side:
        yield from side_by_side.map(lambda name: _checked(name, path), stages)


def _checked(name: str, path: Path) -> Finding:
    command = [sys.executable, "-m", f"pipeline.{name}", "--check", "--params", str(path)]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode == 0:
        return Finding("ok", f"{path} for {name}", "valid")
    said = done.stderr.strip().rpartition("error: ")[2]
    return Finding(
        "fail",
        f"{path} for {name}",
        said,
        f"Mend {path}; `python -m pipeline preset phantom` goes back to the first values.",
    )


def backend() -> Finding:
    """What Keras computes with."""
    done = subprocess.run([sys.executable, "-c", LOOK_AT_BACKEND], capture_output=True, text=True)
    if done.returncode:
        return Finding(
            "fail",
            "keras",
            done.stderr.strip().rpartition("\n")[2],
            "make -B env; or set KERAS_BACKEND to tensorflow or jax",
        )
    name, versions, devices = json.loads(done.stdout.splitlines()[-1])
    found = f"{name} {versions[name]} on {', '.join(devices)}"
    if shutil.which("nvidia-smi") and not any(
        "gpu" in device or "cuda" in device for device in devices
    ):
        return Finding(
            "warn",
            "keras",
            f"{found}, and the machine has an NVIDIA driver",
            "To compute on the GPU: make env GPU=1",
        )
    return Finding("ok", "keras", found)
