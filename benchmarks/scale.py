"""Cohorts of many small cases: the memory they need, the time of `download` and `split`, and what
DVC adds.

The cases have the names and dtypes of BraTS 2021 and few voxels, so that only what grows with their
number counts.
"""

import gzip
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

import nibabel
import numpy as np
import psutil

from benchmarks.measuring import ROOT, Figure, Watched, apart, watched
from pipeline.commands.preset import changed
from pipeline.download import download
from pipeline.runtime import stage

REPEATS = 1
CORES = 2
COUNTS = (50, 200, 800)  # cases of the cohorts whose memory is compared
BRATS2021 = 1251
FEW, MANY = 200, 5000  # cases of five files each
AGAIN = 3
RESAVED = 10  # one case in so many is the one before it in other intensities
SHAPE = (16, 16, 8)
TINY = (
    "preprocess.spacing_mm=null",
    "network.depth=2",
    "network.filters=4",
    "train.epochs=1",
    "train.steps_per_epoch=1",
    "train.patch=[8,8]",
)
_ENDED = re.compile(r"\d+ verified cases of ")  # the last word of `download`


def figures(repeats: int) -> Iterator[Figure]:
    """Memory by number of cases; seconds of each stage and of a repetition at 5,000 cases; of a
    repetition at 1,000 files.
    """
    with tempfile.TemporaryDirectory() as folder:
        for count in {*COUNTS, FEW, MANY}:
            make(Path(folder) / str(count), count)
        yield from _memory(Path(folder), repeats)
        yield from _many(Path(folder), repeats)
        yield from _few(Path(folder), repeats)


def make(folder: Path, count: int) -> None:
    """Write so many cases, each with four modalities of noise in a ball and a mask."""
    headers = {dtype: _header(dtype) for dtype in (np.int16, np.uint8)}
    ball = (
        sum(
            (2 * axis / length - 1) ** 2
            for axis, length in zip(np.ogrid[0.5:16, 0.5:16, 0.5:8], SHAPE, strict=True)
        )
        < 1
    )
    for number in range(count):
        resaved = number % RESAVED == 1
        rng = np.random.default_rng(number - resaved)
        images = rng.integers(50, 1000, (4, *SHAPE), np.int16) * ball * (2 if resaved else 1)
        mask = np.zeros(SHAPE, np.uint8)
        x, y = rng.integers(4, 8, 2)
        (
            mask[x : x + 5, y : y + 5, 3:5],
            mask[x + 1 : x + 4, y : y + 4, 3:5],
            mask[x + 2, y + 2, 3],
        ) = 2, 4, 1
        case = folder / f"BraTS2021_{number:05d}"
        case.mkdir(parents=True)
        for kind, voxels in zip(("flair", "t1", "t1ce", "t2", "seg"), (*images, mask), strict=True):
            content = headers[voxels.dtype.type] + voxels.tobytes("F")
            (case / f"{case.name}_{kind}.nii.gz").write_bytes(gzip.compress(content, 1, mtime=0))


def _header(dtype: type) -> bytes:
    image = nibabel.Nifti1Image(np.zeros(SHAPE, dtype), np.diag([-1, -1, 1, 1]))
    image.set_qform(image.affine, 1)
    return image.to_bytes()[: -image.get_data_dtype().itemsize * int(np.prod(SHAPE))]


def _memory(folder: Path, repeats: int) -> Iterator[Figure]:
    """The largest that the parent and a worker of `download` ever were; one case of full size comes
    on top (`verify`).
    """
    runs = [
        {count: apart(peaks, str(folder / str(count)), cores=CORES)[0] for count in COUNTS}
        for _ in range(repeats)
    ]
    for process in ("parent", "largest worker"):
        for count in COUNTS:
            yield Figure(
                f"download, memory of the {process}: {count} cases",
                "MB",
                [run[count][process] for run in runs],
            )
        fewer, more = COUNTS[-2:]
        growth = [
            (run[more][process] - run[fewer][process]) / (more - fewer) * 1000 for run in runs
        ]
        yield Figure(
            f"download, memory of the {process}: growth",
            "kB/case",
            growth,
            note=f"from {fewer} to {more} cases",
        )
        total = [
            run[more][process] + (BRATS2021 - more) * slope / 1000
            for run, slope in zip(runs, growth, strict=True)
        ]
        yield Figure(
            f"download, memory of the {process}: {BRATS2021} cases",
            "MB",
            total,
            note="so continued",
        )


def peaks(location: str) -> dict[str, float]:
    """Prepare a cohort; peak megabytes of this process and of the largest of its workers."""
    with tempfile.TemporaryDirectory() as folder:
        params = Path(folder) / "params.yaml"
        params.write_text(
            changed((ROOT / "params.yaml").read_text(), "phantom", _values(location), params)
        )
        outputs = {"--raw": "raw", "--verify": "verify.json", "--thumbnails": "thumbnails.png"}
        flags = [
            part for flag, name in outputs.items() for part in (flag, str(Path(folder) / name))
        ]
        stage.main(download, ["--params", str(params), *flags])
    workers = [_peak_mb(child.pid) for child in psutil.Process().children(recursive=True)]
    return {"parent": _peak_mb(os.getpid()), "largest worker": max(workers)}


def _values(location: str) -> list[str]:
    return ["cohort.source=brats", f"cohort.location={location}", "cohort.cases=0"]


def _peak_mb(pid: int) -> float:
    return int(re.search(r"VmHWM:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text())[1]) / 1000


def _many(folder: Path, repeats: int) -> Iterator[Figure]:
    runs = [once(folder / str(MANY), [["download"], ["split"], ["split"]]) for _ in range(repeats)]
    brought, dealt, again = zip(*runs, strict=True)
    ended = [next(seconds for seconds, line in ran.lines if _ENDED.search(line)) for ran in brought]
    name = f"{MANY} cases"
    yield Figure(
        f"{name}: dvc repro download",
        "s",
        [ran.seconds for ran in brought],
        note=f"{5 * MANY} files, {CORES} cores",
    )
    yield Figure(
        f"{name}: dvc repro download, processor", "cpu s", [ran.cpu_seconds for ran in brought]
    )
    yield Figure(f"{name}: until the stage has ended", "s", ended)
    yield Figure(
        f"{name}: what DVC does after it",
        "s",
        [ran.seconds - end for ran, end in zip(brought, ended, strict=True)],
    )
    yield Figure(f"{name}: largest process", "GB", [ran.process_gb for ran in brought])
    yield from _both(
        f"{name}: dvc repro split", dealt, note="with the look whether `download` has changed"
    )
    yield from _both(f"{name}: dvc repro split again", again, note="nothing has changed")


def _few(folder: Path, repeats: int) -> Iterator[Figure]:
    runs = [once(folder / str(FEW), [[]] * (1 + AGAIN)) for _ in range(repeats)]
    name = f"{5 * FEW} files"
    yield Figure(
        f"{name}: dvc repro, all seven stages",
        "s",
        [run[0].seconds for run in runs],
        note=f"{FEW} cases; {', '.join(TINY)}",
    )
    again = [ran for run in runs for ran in run[1:]]
    yield from _both(f"{name}: dvc repro again", again, at_most=6, note="nothing has changed")


def _both(
    name: str, ran: list[Watched], at_most: float | None = None, note: str = ""
) -> Iterator[Figure]:
    yield Figure(name, "s", [one.seconds for one in ran], at_most=at_most, note=note)
    yield Figure(f"{name}, processor", "cpu s", [one.cpu_seconds for one in ran])


def once(cases: Path, commands: Sequence[Sequence[str]]) -> list[Watched]:
    """Run `dvc repro` on a cohort in a fresh clone, so often, each time with other arguments; the
    clone is removed in the end.
    """
    kept = {
        key: value for key, value in os.environ.items() if not key.startswith(("DVC_", "MLFLOW_"))
    }
    kept["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{kept['PATH']}"
    with tempfile.TemporaryDirectory() as folder:
        own = {
            "CUDA_VISIBLE_DEVICES": "",
            "PYTHONUNBUFFERED": "1",
            "MLFLOW_DISABLE_TELEMETRY": "true",
            "DVC_SITE_CACHE_DIR": folder,
        }
        clone = Path(folder) / "clone"
        subprocess.run(["git", "clone", "--quiet", str(ROOT), str(clone)], check=True)
        watched(
            [sys.executable, "-m", "pipeline", "preset", "phantom", *_values(str(cases)), *TINY],
            CORES,
            clone,
            kept | own,
        )
        return [
            watched([sys.executable, "-m", "dvc", "repro", *command], CORES, clone, kept | own)
            for command in commands
        ]
