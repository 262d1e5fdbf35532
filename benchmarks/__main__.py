"""Measure this pipeline and print one table: python -m benchmarks [NAME ...] [--repeats N]

Medians of several runs, with the smallest and the largest. The machine should have nothing else to
do; processor seconds suffer less than wall seconds where it has.
"""

import argparse
import importlib
import importlib.metadata
import os
import platform
import shlex
import subprocess
import sys
import time
from pathlib import Path

import psutil

from benchmarks.measuring import ROOT, Figure

BENCHMARKS = {
    "start-up": "start_up",
    "verify": "verify",
    "scale": "scale",
    "dicom": "dicom",
    "leakage": "leakage",
    "swaps": "swaps",
    "quality": "quality",
    "native": "native",
    "preprocess": "preprocess",
    "inference": "inference",
    "engines": "engines",
    "train-step": "training_steps",
    "surfaces": "surfaces",
    "lesions": "lesions",
    "protocol": "protocol",
    "scores": "scores",
    "report": "report",
    "serve": "serve",
    "overfit": "overfit",
    "repro": "repro",
}
PACKAGES = (
    "keras",
    "tensorflow",
    "openvino",
    "onnxruntime",
    "numpy",
    "scipy",
    "joblib",
    "dvc",
    "mlflow",
)
COLUMNS = {
    "name": 58,
    "median": 22,
    "smallest to largest": 20,
    "target": 8,
    "reached": 20,
    "beside": 34,
    "note": 0,
}


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "names",
        nargs="*",
        default=list(BENCHMARKS),
        metavar="NAME",
        help=f"of {', '.join(BENCHMARKS)}; all without",
    )
    parser.add_argument(
        "--repeats", type=int, help="runs of each; without it each benchmark's own number"
    )
    chosen = parser.parse_args()
    unknown = sorted(set(chosen.names) - set(BENCHMARKS))
    if unknown:
        parser.error(
            f"there is no benchmark {', '.join(unknown)}: choose from {', '.join(BENCHMARKS)}"
        )
    if chosen.repeats is not None and chosen.repeats < 1:
        parser.error(f"--repeats must be at least 1, got {chosen.repeats}")
    print(circumstances(f"python -m benchmarks {shlex.join(sys.argv[1:])}".rstrip()), end="\n\n")
    print(
        _row(*COLUMNS),
        _row(*("-" * max(width, 4) for width in COLUMNS.values())),
        sep="\n",
        flush=True,
    )
    for name in chosen.names:
        benchmark = importlib.import_module(f"benchmarks.{BENCHMARKS[name]}")
        for figure in benchmark.figures(chosen.repeats or benchmark.REPEATS):
            print(_cells(figure), flush=True)


def circumstances(command: str) -> str:
    """When, on what, with which versions, and by which command."""
    commit = subprocess.run(
        ["git", "describe", "--always", "--dirty"], cwd=ROOT, capture_output=True, text=True
    ).stdout.strip()
    versions = ", ".join(
        f"{name} {importlib.metadata.version(name)}" for name in PACKAGES if _installed(name)
    )
    return "\n".join(
        [
            f"command:  {command}",
            f"date:     {time.strftime('%Y-%m-%d %H:%M %Z')}, commit {commit}",
            (
                f"machine:  {_processor()}, {len(os.sched_getaffinity(0))} cores,"
                f" {psutil.virtual_memory().total / 2**30:.0f} GiB, load {os.getloadavg()[0]:.1f}"
                f" before the first run, {platform.system()} {platform.release()}"
            ),
            f"versions: Python {platform.python_version()}, {versions}",
        ]
    )


def _installed(name: str) -> bool:
    return any(importlib.metadata.distributions(name=name))


def _processor() -> str:
    described = Path("/proc/cpuinfo")
    lines = described.read_text().splitlines() if described.is_file() else []
    return next(
        (line.split(":")[1].strip() for line in lines if line.startswith("model name")),
        platform.machine(),
    )


def _cells(figure: Figure) -> str:
    if not figure.values:
        return _row(figure.name, "", "", "", "", "", figure.note)
    spread = (
        f"{_number(min(figure.values))} to {_number(max(figure.values))}"
        if len(figure.values) > 1
        else "one run"
    )
    target = (
        f"<= {figure.at_most:g}"
        if figure.at_most is not None
        else f">= {figure.at_least:g}"
        if figure.at_least is not None
        else ""
    )
    beside = (
        f"{figure.median / figure.beside[0]:.2f} x {_number(figure.beside[0])} {figure.beside[1]}"
        if figure.beside
        else ""
    )
    return _row(
        figure.name,
        f"{_number(figure.median)} {figure.unit}",
        spread,
        target,
        figure.verdict,
        beside,
        figure.note,
    )


def _number(value: float) -> str:
    return f"{value:.3g}" if abs(value) < 100 else f"{value:.0f}"


def _row(*cells: str) -> str:
    return (
        "| "
        + " | ".join(
            cell.ljust(width) for cell, width in zip(cells, COLUMNS.values(), strict=True)
        ).rstrip()
        + " |"
    )


if __name__ == "__main__":
    main()
