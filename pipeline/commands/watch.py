"""Segment each study that arrives in a folder, once, when it has stopped growing.

    python -m pipeline watch FOLDER --out FOLDER --model models
    python -m pipeline watch FOLDER --out FOLDER --once
    python -m pipeline watch FOLDER --out FOLDER --status

A study is a folder directly in the watched one, DICOM or in BraTS naming, as for `predict`. It is
segmented when names, sizes and times of its files have not changed for --quiet-seconds, and again
only if it changes. The results are written as by `predict`; watch.json beside them says what became
of each study, under a pseudonym of its folder. A study that failed is not tried again until it
changes, or with --retry-failed. After SIGTERM the case that is being segmented is completed; after
SIGKILL or a loss of power, a new start goes on with what is not complete. --store sends the DICOM
files of results to a DICOMweb server; what it does not take stays in OUT/outbox and is sent again.
Research use only, not for diagnosis.
"""

import argparse
import signal
import threading
from pathlib import Path

from ..core.errors import InputError
from ..exchange import segmenter
from ..exchange.server import Server
from ..exchange.watching import Watch, folder_name


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of the command."""
    parser.add_argument("folder", type=Path, metavar="FOLDER", help="the folder to watch")
    parser.add_argument(
        "--out", type=Path, required=True, metavar="FOLDER", help="where to write, outside of it"
    )
    parser.add_argument(
        "--quiet-seconds",
        type=float,
        default=60,
        metavar="S",
        help="a study is complete if it has not changed for so long (default: 60)",
    )
    parser.add_argument(
        "--poll-seconds",
        type=float,
        default=10,
        metavar="S",
        help="pause between two looks (default: 10)",
    )
    parser.add_argument(
        "--once", action="store_true", help="process what is complete, and end; for cron"
    )
    parser.add_argument(
        "--retry-failed", action="store_true", help="try studies again that failed before"
    )
    parser.add_argument(
        "--status", action="store_true", help="print what became of each study, and end"
    )
    parser.add_argument(
        "--store", metavar="URL", help="DICOMweb server that gets the DICOM files of the results"
    )
    segmenter.add_arguments(parser, formats="nifti")


def run(arguments: argparse.Namespace) -> int:
    """Watch until SIGTERM or Ctrl-C; with --once 1 if a study failed or is not stored."""
    if not (arguments.quiet_seconds >= 0 and arguments.poll_seconds > 0):
        raise InputError("--quiet-seconds must be 0 or more, --poll-seconds more than 0.")
    watch = Watch(
        arguments.folder,
        segmenter.segmenter(arguments, arguments.out),
        arguments.quiet_seconds,
        arguments.poll_seconds,
        Server(arguments.store) if arguments.store else None,
    )
    if arguments.status:
        return _print_status(watch)
    stop = threading.Event()

    def end(*_: object) -> None:
        threading.Thread(target=stop.set).start()  # `stop` may be locked by this thread
        signal.signal(signal.SIGINT, signal.default_int_handler)  # a second Ctrl-C ends at once

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, end)
    well = watch.run(stop, arguments.once, arguments.retry_failed)
    return 0 if well or not arguments.once else 1


def _print_status(watch: Watch) -> int:
    """Print a line for each study in the folder, by its name; 1 if one failed."""
    found = watch.status()
    for name, one in found.items():
        state = one.state if one else "waiting"
        what = [*one.cases, *one.reasons] if one else []
        print("  ".join([name, folder_name(name), state, *what]))
    return 1 if any(one and one.state == "failed" for one in found.values()) else 0
