"""Dice after the same processor time: this pipeline and nnU-Net v2 train networks of one size on
the same cases and segment the same held-out cases.

    python -m benchmarks.time_to_dice FOLDER --cpu-minutes 15 --work WORK --out FILE.json

FOLDER holds volumes and a cohort.yaml. Each tool trains by its own recipe: ours is the preset
flair-wt, but of volumes, in a clone of the committed state, with further KEY=VALUE; nnU-Net's is
its own trainer (loss, SGD, learning rate, augmentation, float32) with the depth, filters, patch,
batch and number of epochs of ours. Its training and validation cases are ours, and so is its fold.

The budget counts user and system seconds of all processes from the raw files to the trained
network: of ours `dvc repro train` from nothing, with verification and the preparation of the test
cases; of nnU-Net `plan_and_preprocess` of the other cases, and the training. Not counted are four
short trainings, which measure what a step, an epoch and the start take. The number of steps is the
largest with which the whole schedule ends within the budget, and a training that exceeds it is
repeated with fewer. Then both segment the raw test cases without mirroring, and the same function
scores both on the raw grid. A finished tool stays in WORK and is not repeated.
"""

import argparse
import json
import shlex
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from benchmarks import nnunet
from benchmarks.__main__ import circumstances
from benchmarks.measuring import ROOT, apart
from benchmarks.repro import dvc_repro
from pipeline import api
from pipeline.core import params
from pipeline.core.catalogue import Catalogue
from pipeline.core.errors import InputError
from pipeline.core.folds import Split
from pipeline.core.records import read_json, write_json
from pipeline.core.schema import Schema
from pipeline.formats import predictions, raw_cases
from pipeline.metrics.case_scores import score_case
from pipeline.network.params import NetworkParams
from pipeline.network.train_params import TrainParams
from pipeline.runtime.errors import reported_errors
from pipeline.statistics.paired import compare_pairs
from pipeline.statistics.summary import summarise_values

PRESET = "flair-wt"
VOLUMES = (
    *("network.dimensions=3", "network.depth=4", "train.patch=[64, 64, 64]", "train.batch_size=2"),
    *("train.epochs=16", "train.val_batches=8", "train.warmup_epochs=1.0"),
    *("train.on_the_fly.fade.probability=0.0", "train.on_the_fly.copy_paste.probability=0.0"),
    *("train.ema_momentum=0.98", "evaluate.batch_size=2"),
    *("evaluate.mirror=false", "evaluate.choose=[]"),
)
"""After those of the preset, which is for slices."""
FEW, SEVERAL = 5, 3
"""Steps and epochs of the trainings that measure; multiples of 5, as nnU-Net validates."""
MANY = {"ours": 50, "theirs": 20}
"""Steps of the longest one: as many as noise in the start needs, and theirs take longer."""
MARGIN = 0.97
OURS, THEIRS = "TumorFlow", "nnU-Net"

Tool = dict[str, Any]


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("location", type=Path, metavar="FOLDER")
    parser.add_argument("values", nargs="*", metavar="KEY=VALUE", help="after those of the preset")
    parser.add_argument("--cpu-minutes", type=float, required=True, help="budget of each tool")
    parser.add_argument("--cores", type=int, default=1, help="that each tool may use (default: 1)")
    parser.add_argument("--work", type=Path, help="where to keep each finished tool")
    parser.add_argument("--out", type=Path, metavar="FILE.json", help="where to write the results")
    chosen = parser.parse_args()
    if not nnunet.installed():
        raise InputError(nnunet.MISSING)
    with tempfile.TemporaryDirectory() as temporary:
        results = compared(chosen, (chosen.work or Path(temporary)).resolve())
    if chosen.out:
        write_json(chosen.out, results)
    print(results["circumstances"], table(results), sep="\n\n")


def compared(chosen: argparse.Namespace, work: Path) -> dict[str, Any]:
    """Train and score both tools, or read what they have left in `work`; all results."""
    budget = 60 * chosen.cpu_minutes
    settings = {
        "cpu_minutes": chosen.cpu_minutes,
        "cores": chosen.cores,
        "location": str(chosen.location.resolve()),
        "values": chosen.values,
    }
    about = circumstances(f"python -m benchmarks.time_to_dice {shlex.join(sys.argv[1:])}")
    ours = _kept(work / "ours", settings, lambda folder: train_ours(folder, settings, budget))
    clone = work / "ours/clone"
    theirs = _kept(
        work / "nnunet", settings, lambda folder: train_theirs(folder, clone, budget, chosen.cores)
    )
    return {
        "circumstances": about,
        "cpu_minutes": chosen.cpu_minutes,
        "cores": chosen.cores,
        "cases": {part: len(ours["split"][part]) for part in ("train", "val", "test")},
        "tools": {OURS: ours, THEIRS: theirs},
        "ours_minus_theirs": compare_pairs(theirs["rows"], ours["rows"], {"dice": 1}),
    }


def _kept(folder: Path, settings: dict[str, Any], make: Callable[[Path], Tool]) -> Tool:
    """What `make` has left in a folder, which it starts empty."""
    finished = folder / "finished.json"
    if finished.is_file():
        kept = json.loads(finished.read_text())
        if kept["settings"] != settings:
            raise InputError(f"{finished}: is of other settings. Choose another --work.")
        return kept["tool"]
    if folder.exists():
        raise InputError(f"{folder}: holds an unfinished part. Remove it.")
    folder.mkdir(parents=True)
    tool = make(folder)
    finished.write_text(json.dumps({"settings": settings, "tool": tool}))
    return tool


def train_ours(folder: Path, settings: dict[str, Any], budget: float) -> Tool:
    """Clone, prepare the cohort, train within the budget, segment and score the test cases."""
    clone = folder / "clone"
    subprocess.run(["git", "clone", "--quiet", str(ROOT), str(clone)], check=True)
    values = (f"cohort.location={settings['location']}", *VOLUMES, *settings["values"])
    cores = settings["cores"]

    def preset(*more: str) -> None:
        command = [sys.executable, "-m", "pipeline", "preset", PRESET, *values, *more]
        subprocess.run(command, cwd=clone, check=True, stdout=subprocess.DEVNULL)

    def train(epochs: int, steps: int) -> float:
        preset(f"train.epochs={epochs}", f"train.steps_per_epoch={steps}")
        # forced, because DVC would fetch the weights of a training that it has seen
        return dvc_repro(clone, "--single-item", "--force", "train", cores=cores).cpu_seconds

    preset()
    epochs = _section(clone, "train", TrainParams).epochs
    prepared = dvc_repro(clone, "augment", cores=cores).cpu_seconds
    fitted = fit(OURS, train, budget - prepared, epochs, MANY["ours"])
    dvc_repro(clone, "evaluate", cores=cores)  # writes models/inference.json, which `segment` reads
    split = read_json(clone / "data/split.json", Split)
    out = folder / "predictions"
    out.mkdir()
    _, ran = apart(segment, "models", "data/raw", split.test, str(out), cores=cores, folder=clone)
    return fitted | {
        "weights": json.loads((clone / "metrics/train.json").read_text())["weights"],
        "preparation_cpu_s": prepared,
        "case_cpu_s": ran.cpu_seconds / len(split.test),
        "split": split.model_dump(mode="json"),
        "rows": scores(clone, split, out, _cohort(clone)),
    }


def train_theirs(folder: Path, clone: Path, budget: float, cores: int) -> Tool:
    """The same by nnU-Net, with the cases, split and sizes of our clone."""
    raw, split = clone / "data/raw", read_json(clone / "data/split.json", Split)
    network, recipe = (
        _section(clone, "network", NetworkParams),
        _section(clone, "train", TrainParams),
    )
    sizes = recipe.patch, recipe.batch_size, cores
    prepared = nnunet.plan_training(folder, raw, split, network, *sizes).cpu_seconds
    weights = 0

    def train(epochs: int, steps: int) -> float:
        nonlocal weights
        weights, ran = nnunet.train(folder, epochs, steps, cores)
        return ran.cpu_seconds

    fitted = fit(THEIRS, train, budget - prepared, recipe.epochs, MANY["theirs"])
    ran = nnunet.predict(folder, folder / "predictions", cores)
    schema = _cohort(clone)
    numbered = {label: index for index, label in enumerate(schema.labels, 1)}
    return fitted | {
        "weights": weights,
        "preparation_cpu_s": prepared,
        "case_cpu_s": ran.cpu_seconds / len(split.test),
        "rows": scores(
            clone, split, folder / "predictions", schema.model_copy(update={"labels": numbered})
        ),
    }


def fit(tool: str, train: Callable[[int, int], float], left: float, epochs: int, many: int) -> Tool:
    """Measure what a training takes, and train for as many steps as fit into the seconds left.

    Parameters
    ----------
    train : callable
        From epochs and steps per epoch to the processor seconds of the whole training, which are
        taken as those of the start, of each epoch (validation, checkpoint) and of each step. The
        first training is slower than others and does not count.
    """
    sizes = ((1, FEW), (1, FEW), (1, many), (SEVERAL, FEW))
    _, short, long, often = (train(*size) for size in sizes)
    step = (long - short) / (many - FEW)
    epoch = max(0.0, (often - short) / (SEVERAL - 1) - FEW * step)  # noise may exceed it
    start = short - epoch - FEW * step
    steps = int(((MARGIN * left - start) / epochs - epoch) / step)
    while steps > 0:
        print(
            f"{tool}: {left:.0f} cpu s left, start {start:.1f}, epoch {epoch:.2f}, step"
            f" {step:.3f}: {epochs} epochs of {steps} steps",
            file=sys.stderr,
        )
        used = train(epochs, steps)
        if used <= left:
            break
        steps = min(steps - 1, int(steps * MARGIN * left / used))
    else:
        raise InputError(
            f"{tool}: {left:.0f} cpu seconds are left to train, but the start takes {start:.0f} and"
            f" {epochs} epochs of one step {epochs * (epoch + step):.0f}. Raise --cpu-minutes, or"
            " set train.epochs=4."
        )
    return {
        "epochs": epochs,
        "steps": epochs * steps,
        "training_cpu_s": used,
        "start_cpu_s": start,
        "epoch_cpu_s": epoch,
        "step_cpu_s": step,
    }


def segment(models: str, raw: str, cases: Sequence[str], out: str) -> None:
    """Segment raw cases by the Python API, all with one start of Keras."""
    catalogue, model = read_json(Path(raw) / "catalogue.json", Catalogue), api.load(models)
    for name in cases:
        found = raw_cases.found_in(Path(raw), catalogue.entry(name))
        images = {modality: Path(file) for modality, file in found.images.items()}
        model.segment(images).save(Path(out) / f"{name}.nii.gz")


def scores(clone: Path, split: Split, out: Path, schema: Schema) -> list[dict[str, Any]]:
    """Rows of the regions of all test cases, on the raw grid; `schema` has the values of labels in
    the predictions.
    """
    catalogue, rows = read_json(clone / "data/raw/catalogue.json", Catalogue), []
    for name in split.test:
        found = raw_cases.found_in(clone / "data/raw", catalogue.entry(name))
        case = raw_cases.read(found, catalogue.cohort)
        predicted = predictions.read(out, name, case, schema)
        scored = score_case(case.classes, predicted, catalogue.cohort, case.grid.spacing_mm)
        whose = {"case": name, "patient": split.patients[name]}
        rows += [whose | row for row in scored if row["kind"] == "region"]
    return rows


def _cohort(clone: Path) -> Schema:
    return read_json(clone / "data/raw/catalogue.json", Catalogue).cohort


def _section(clone: Path, name: str, kind: Any) -> Any:
    path = clone / "params.yaml"
    return params.value(params.read(path), name, kind, path)


def table(results: dict[str, Any]) -> str:
    """The results in Markdown: a row per tool and region, and the paired tests."""
    budget = 60 * results["cpu_minutes"]
    lines = [
        "Budget {cpu_minutes:g} cpu min of each, cores: {cores}; {cases[train]} training,"
        " {cases[val]} validation, {cases[test]} test cases.".format_map(results),
        "",
        "| tool | weights | steps | cpu s: preparation | training | step | predicted case | of the"
        " budget | region | Dice (95 %) | median | HD95 mm, median |",
        "|" + " --- |" * 12,
    ]
    for name, tool in results["tools"].items():
        used = (tool["preparation_cpu_s"] + tool["training_cpu_s"]) / budget
        for region in dict.fromkeys(row["name"] for row in tool["rows"]):
            rows = [row for row in tool["rows"] if row["name"] == region]
            patients = [row["patient"] for row in rows]
            dice = summarise_values([row["dice"] for row in rows], patients)
            hd95 = summarise_values([row["hd95_mm"] for row in rows], patients)
            lines.append(
                f"| {name} | {tool['weights']:,} | {tool['steps']} |"
                f" {tool['preparation_cpu_s']:.0f} | {tool['training_cpu_s']:.0f} |"
                f" {tool['step_cpu_s']:.3f} | {tool['case_cpu_s']:.2f} | {100 * used:.1f} % |"
                f" {region} | {dice['mean']:.3f} ({dice['mean_low']:.3f} to"
                f" {dice['mean_high']:.3f}) | {dice['median']:.3f} | {hd95['median']:.1f} |"
            )
    for row in results["ours_minus_theirs"]:
        lines += [
            "",
            "Dice {name}, {ours} minus {theirs}: {difference:+.3f} ({low:+.3f} to {high:+.3f});"
            " better in {better}, worse in {worse} of {cases} cases; p {p_permutation:.3f} by"
            " permutation, {p_wilcoxon:.3f} by Wilcoxon's test.".format_map(
                row | {"ours": OURS, "theirs": THEIRS}
            ),
        ]
    return "\n".join(lines)


if __name__ == "__main__":
    with reported_errors():
        main()
