"""List the predictions of a folder, the most worth correcting first.

    python -m pipeline worklist predicted
    python -m pipeline worklist predicted --corrections data/corrected --csv worklist.csv

The folder is one that `python -m pipeline predict --out` wrote. Cases that differ from those of the
training (quality flag check) come first, then the others, each by the lowest Dice to expect of a
region. Cases that are in --corrections already are left out.
"""

import argparse
from dataclasses import asdict
from pathlib import Path

from ..core.records import write_csv
from ..correcting.cohort import corrections
from ..correcting.worklist import rank, read_manifests


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("folder", type=Path, metavar="FOLDER", help="predictions")
    parser.add_argument(
        "--corrections",
        type=Path,
        metavar="FOLDER",
        default=Path("data/corrected"),
        help="corrected cases, which are left out (default: data/corrected)",
    )
    parser.add_argument("--csv", type=Path, metavar="FILE", help="also write the list as a table")


def run(arguments: argparse.Namespace) -> None:
    """Print the list."""
    listed = rank(read_manifests(arguments.folder), corrections(arguments.corrections))
    for number, worth in enumerate(listed, 1):
        print(f"{number:3d}  {worth.case}: {worth.reason}")
    if not listed:
        print("All predictions in this folder were corrected already.")
    if arguments.csv:
        write_csv(arguments.csv, [asdict(worth) for worth in listed])
