"""Fuzz the readers in turn, or read a saved input: `python -m tests.fuzz --help`."""

import argparse
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

from tests.fuzz.readers import READERS, run

FINDINGS = Path(".fuzz")
LONGEST_INPUT_BYTES = {"matlab": 20_000, "dicom-seg": 20_000, "tar": 12_288, "tar-gz": 12_288}
OPTIONS = (
    "-timeout=20",
    "-print_final_stats=1",
    "-close_fd_mask=3",
    "-verbosity=1",
    "-use_value_profile=1",
)


def fuzz(name: str, seconds: int, memory_mb: int) -> bool:
    """Run one fuzzer; print its figures, and whether it found nothing."""
    FINDINGS.mkdir(exist_ok=True)
    longest = LONGEST_INPUT_BYTES.get(name, 4096)
    limits = (
        f"-max_total_time={seconds}",
        f"-rss_limit_mb={memory_mb}",
        f"-max_len={longest}",
        f"-artifact_prefix={FINDINGS}/{name}-",
    )
    command = [sys.executable, "-m", "tests.fuzz.target", name, *limits, *OPTIONS]
    process = subprocess.run(
        command,
        capture_output=True,
        text=True,
        errors="replace",
        env=os.environ | {"PYTHONWARNINGS": "ignore"},
    )
    said = process.stdout + process.stderr
    figures = dict(re.findall(r"stat::(\w+):\s+(\d+)", said))
    coverage = re.findall(r"cov: (\d+)", said)
    print(
        f"{name:10} {figures.get('number_of_executed_units', '?'):>8} inputs,"
        f" {coverage[-1] if coverage else '?':>5} places reached, peak memory"
        f" {figures.get('peak_rss_mb', '?')} MB:"
        f" {'nothing found' if process.returncode == 0 else 'FOUND'}",
        flush=True,
    )
    for saved in re.findall(r"Test unit written to (\S+)", said):
        print(f"  see it: python -m tests.fuzz --replay {name} {saved}")
    if process.returncode and "Test unit written" not in said:
        print(said[-3000:])
    return process.returncode == 0


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument(
        "readers", nargs="*", metavar="READER", help=f"of {', '.join(READERS)}; default: all"
    )
    parser.add_argument("--seconds", type=int, default=20, help="for each reader; default: 20")
    parser.add_argument(
        "--memory-mb", type=int, default=1500, help="that an input may take; default: 1500"
    )
    parser.add_argument(
        "--replay",
        nargs=2,
        metavar=("READER", "FILE"),
        help="read a saved input, with its traceback",
    )
    chosen = parser.parse_args()
    if chosen.replay:
        name, saved = chosen.replay
        with tempfile.TemporaryDirectory() as folder:
            print(run(READERS[name], Path(saved).read_bytes(), Path(folder)) or "taken")
        return
    clean = [fuzz(name, chosen.seconds, chosen.memory_mb) for name in chosen.readers or READERS]
    if bad := clean.count(False):
        sys.exit(f"{bad} of {len(clean)} readers accept what they must not; see {FINDINGS}/")


if __name__ == "__main__":
    main()
