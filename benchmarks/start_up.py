"""Starting: seconds until a stage or command has printed its help, and who loads Keras for it; what
the check of params.yaml and the doctor take.
"""

import sys
from collections.abc import Iterator

import yaml

from benchmarks.measuring import ROOT, Figure, watched
from pipeline.__main__ import COMMANDS

REPEATS = 5
_CHECK = (
    "from pathlib import Path; from pipeline.checking.params_file import checked;"
    " checked(Path('params.yaml'), 'train', {})"
)
WITH_KERAS = {"train", "evaluate", "predict"}


def figures(repeats: int) -> Iterator[Figure]:
    """Seconds of each stage and command; how many load Keras that should not."""
    stages = {
        name: [f"pipeline.{name}"]
        for name in yaml.safe_load((ROOT / "dvc.yaml").read_text())["stages"]
    }
    commands = {name: ["pipeline", name] for name in COMMANDS}
    loading = {name for name, module in (stages | commands).items() if _loads_keras(module)}
    for name, module in (stages | commands).items():
        runs = [watched([sys.executable, "-m", *module, "--help"], cores=2) for _ in range(repeats)]
        target = 3.0 if name in stages and name not in WITH_KERAS else None
        note = (
            f"{min(run.cpu_seconds for run in runs):.2f} cpu s;"
            f" {'loads' if name in loading else 'does not load'} keras"
        )
        yield Figure(
            f"start-up {name}", "s", [run.seconds for run in runs], at_most=target, note=note
        )
    strangers = loading - WITH_KERAS
    note = f"loaded by {', '.join(sorted(loading))}"
    yield Figure(
        "start-up, keras where it is not needed", "modules", [len(strangers)], at_most=0, note=note
    )

    yield _processor("start-up, check of params.yaml", ["-c", _CHECK], 0.5, repeats)
    yield _processor("start-up, doctor", ["-m", "pipeline", "doctor"], 5.0, repeats)


def _processor(name: str, arguments: list[str], target: float, repeats: int) -> Figure:
    """Processor seconds of a Python program, its start included."""
    seconds = [watched([sys.executable, *arguments], cores=2).cpu_seconds for _ in range(repeats)]
    return Figure(name, "cpu s", seconds, at_most=target, note="with the start of Python")


def _loads_keras(module: list[str]) -> bool:
    """Whether printing the help imports Keras."""
    ran = watched([sys.executable, "-X", "importtime", "-m", *module, "--help"], cores=2)
    return any(
        line.startswith("import time:") and line.split("|")[-1].strip() == "keras"
        for _, line in ran.lines
    )
