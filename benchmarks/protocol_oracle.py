"""Scores of pairs of masks by the BraTS evaluation of 2025 and 2026, run by the interpreter of its
environment (docs/benchmarks.md): it imports nothing of ours.

    .venv-panoptica/bin/python benchmarks/protocol_oracle.py FOLDER gli

FOLDER holds NAME.npz files with `reference`, `prediction` (uint8 label values) and `spacing_mm`, in
the order of their names. panoptica scores them by the configuration of the package
brats_evaluation; its parser makes the table that the challenge ranks. Prints JSON: processor
seconds of each pair and the rows of the table.
"""

import contextlib
import csv
import io
import json
import sys
import time
import warnings
from importlib.resources import files
from pathlib import Path

import numpy as np
from brats_evaluation import metrics_parser
from panoptica import Panoptica_Evaluator


def main() -> None:
    folder, challenge = Path(sys.argv[1]), sys.argv[2]
    warnings.simplefilter("ignore")
    config = files("brats_evaluation").joinpath(f"configs/config_{challenge}.yaml")
    taken, summaries = [], []
    with contextlib.redirect_stdout(io.StringIO()):
        evaluator = Panoptica_Evaluator.load_from_config(str(config))
        for path in sorted(folder.glob("*.npz")):
            pair = np.load(path)
            reference, prediction = (  # (Z, Y, X), as SimpleITK reads files for panoptica
                np.ascontiguousarray(pair[part].T) for part in ("reference", "prediction")
            )
            spacing_mm = tuple(reversed(pair["spacing_mm"].tolist()))
            started = time.process_time()
            found = evaluator.evaluate(prediction, reference, voxelspacing=spacing_mm)
            scores = {name: result.to_dict(True) for name, result in found.items()}
            taken.append(time.process_time() - started)
            summaries.append(scores | {"subject_name": path.stem})
        rows = parsed(folder, {"metrics": summaries, "missings": []}, challenge)
    print(json.dumps({"cpu_seconds": taken, "rows": rows}))


def parsed(folder: Path, summary: dict, challenge: str) -> list[dict]:
    """The table of the package's parser, without its rows of means."""
    source, table = folder / "summary.json", folder / "table.csv"
    source.write_text(json.dumps(summary, default=float))
    if challenge == "mets":
        metrics_parser.parse_mets_results(str(source), 20.0, 0.1, str(table))
    else:
        metrics_parser.parse_seg_results(str(source), str(table))
    with table.open() as opened:
        rows = list(csv.DictReader(opened))[: len(summary["metrics"])]
    return [
        {key: float(value) if value else None for key, value in row.items() if key != "subject_id"}
        for row in rows
    ]


if __name__ == "__main__":
    main()
