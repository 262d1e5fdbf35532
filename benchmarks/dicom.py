"""Reading a DICOM series: headers checked, slices sorted, pixels decoded, files hashed; beside
SimpleITK's reader.
"""

import statistics
import time
from collections.abc import Iterator
from pathlib import Path

import SimpleITK as sitk

from benchmarks.measuring import ROOT, Figure, apart
from pipeline.formats.dicom.series import DicomSeries

REPEATS = 5
SERIES = ROOT.parent / "shared/data/dicom/datalad-healthy-t1/dicoms"
_READS = 3


def figures(repeats: int) -> Iterator[Figure]:
    """Wall seconds on one core to a volume, the two readers in turns in the same process."""
    if not SERIES.is_dir():
        yield Figure(
            "DICOM series",
            "s",
            (),
            note=f"no series at {SERIES.relative_to(ROOT.parent)} beside the repository",
        )
        return
    runs = [apart(once, str(SERIES), cores=1)[0] for _ in range(repeats)]
    theirs = statistics.median(run["simpleitk"] for run in runs)
    yield Figure(
        "DICOM series of 160 slices to a volume",
        "s",
        [run["ours"] for run in runs],
        at_most=2 * theirs,
        beside=(theirs, "s SimpleITK's series reader"),
        note="files cached, one core, sha256 of each file included",
    )


def once(folder: str) -> dict[str, float]:
    """Medians of both readers, after one read each that does not count."""
    taken = {"ours": [], "simpleitk": []}
    for _ in range(_READS + 1):
        for name, read in (("ours", _ours), ("simpleitk", _simpleitk)):
            started = time.perf_counter()
            read(folder)
            taken[name].append(time.perf_counter() - started)
    return {name: statistics.median(seconds[1:]) for name, seconds in taken.items()}


def _ours(folder: str) -> None:
    DicomSeries(Path(folder), tuple(Path(folder).glob("*.dcm"))).read()


def _simpleitk(folder: str) -> None:
    reader = sitk.ImageSeriesReader()
    reader.SetFileNames(reader.GetGDCMSeriesFileNames(folder))
    sitk.GetArrayFromImage(reader.Execute())
