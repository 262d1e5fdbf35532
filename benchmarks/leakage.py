"""Whether the same examination is found again: copies made in many ways, the same patients in other
folders, and many cases at once.
"""

import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
from scipy import ndimage

from benchmarks import cohorts
from benchmarks.measuring import Figure
from pipeline.core.grid import Grid
from pipeline.formats import metaimage, nifti
from pipeline.verification.fingerprints import SAME, content_sha256, fingerprint, pairs

REPEATS = 3
CASES = 4
MANY = 5000
SHARED = cohorts.REAL.parent
FLAIR = (
    "flair_wt*/*/*_fla.nii.gz",
    "brats20*/*/*_flair.*",
    "brats20*/*/*t2f.nii.gz",
    "unlabelled/*/*t2f.nii.gz",
    "native/*/*_fla.nii.gz",
    "native/*/brats_space/*_fla.nii.gz",
)
RAS = np.eye(4)


def figures(repeats: int) -> Iterator[Figure]:
    """Similarities of copies, of the same patients and of others; processor seconds."""
    paths = sorted(cohorts.phantoms(CASES).glob("*/*_flair.nii.gz"))
    if SHARED.is_dir():
        paths += sorted(SHARED.glob("brats2021/*/*_flair.nii.gz"))[:CASES]
    originals = [np.asarray(nifti.read(path).voxels) for path in paths]
    for name, change in COPIES.items():
        values = [_similarity(voxels, change(voxels)) for voxels in originals]
        yield Figure(
            f"copy {name}",
            "",
            values,
            at_least=SAME,
            note=f"{sum(value >= SAME for value in values)} of {len(values)} found",
        )
    yield _seconds("fingerprint", fingerprint, originals[0], repeats)
    yield _seconds("content_sha256", content_sha256, originals[0], repeats)
    yield _many(repeats)
    if SHARED.is_dir():
        yield from _in_other_folders()


def _similarity(one: np.ndarray, other: np.ndarray) -> float:
    return pairs(
        np.stack([fingerprint(voxels, Grid(voxels.shape, RAS)) for voxels in (one, other)]), -1
    )[0][2]


def _seconds(name: str, function: Callable, voxels: np.ndarray, repeats: int) -> Figure:
    taken = []
    for _ in range(repeats):
        started = time.process_time()
        function(voxels, Grid(voxels.shape, RAS))
        taken.append(time.process_time() - started)
    return Figure(name, "cpu s/volume", taken, note=f"{' x '.join(map(str, voxels.shape))}")


def _many(repeats: int) -> Figure:
    numbers = (
        np.random.default_rng(0).normal(0, 12, (MANY, 2, 8, 8, 8)).clip(-127, 127).astype(np.int8)
    )
    taken = []
    for _ in range(repeats):
        started = time.process_time()
        pairs(numbers, SAME)
        taken.append(time.process_time() - started)
    return Figure(f"pairs among {MANY} volumes, 2 poses, 48 ways each", "cpu s", taken)


def _in_other_folders() -> Iterator[Figure]:
    """All pairs of FLAIR volumes that are alike, then the most alike of the others."""
    paths = [path for pattern in FLAIR for path in sorted(SHARED.glob(pattern))]
    volumes = [(metaimage if path.suffix == ".mha" else nifti).read(path) for path in paths]
    found = pairs(np.stack([fingerprint(volume.voxels, volume.grid) for volume in volumes]), -1)
    for one, other, similarity in found:
        yield Figure(
            f"{_name(paths[one])} and {_name(paths[other])}",
            "",
            [similarity],
            note="alike" if similarity >= SAME else "the next",
        )
        if similarity < SAME:
            break


def _name(path: Path) -> str:
    return str(path.parent.relative_to(SHARED))


def _cropped(voxels: np.ndarray, inset: int) -> np.ndarray:
    box = ndimage.find_objects((voxels != 0).astype(np.uint8))[0]
    return voxels[tuple(slice(max(side.start + inset, 0), side.stop - inset) for side in box)]


def _averaged(voxels: np.ndarray, factors: tuple[int, int, int]) -> np.ndarray:
    whole = voxels[
        tuple(
            slice(length // factor * factor)
            for length, factor in zip(voxels.shape, factors, strict=True)
        )
    ]
    split = [
        part
        for length, factor in zip(whole.shape, factors, strict=True)
        for part in (length // factor, factor)
    ]
    return whole.reshape(split).mean(axis=(1, 3, 5), dtype=np.float32)


def _normalised(voxels: np.ndarray) -> np.ndarray:
    brain = voxels != 0
    return np.where(brain, (voxels - voxels[brain].mean()) / voxels[brain].std(), 0).astype(
        np.float32
    )


def _noisy(voxels: np.ndarray) -> np.ndarray:
    return voxels + np.random.default_rng(0).normal(
        0, 0.05 * np.median(voxels[voxels > 0]), voxels.shape
    ).astype(np.float32)


def _centre(voxels: np.ndarray, length: int) -> np.ndarray:
    return voxels[
        tuple(
            slice((side - length) // 2, (side + length) // 2) if side > length else slice(None)
            for side in voxels.shape
        )
    ]


def _pitched(voxels: np.ndarray, degrees: float) -> np.ndarray:
    return ndimage.rotate(
        voxels[::2, ::2, ::2].astype(np.float32), degrees, axes=(1, 2), order=1, reshape=False
    )


COPIES = {
    "as uint8": lambda voxels: np.clip(voxels / np.percentile(voxels, 99.9) * 255, 0, 255).astype(
        np.uint8
    ),
    "with gamma 0.7": lambda voxels: np.power(voxels.clip(0), 0.7, dtype=np.float32),
    "normalised in the brain": _normalised,
    "with 5 % noise everywhere": _noisy,
    "smoothed, sd 1 voxel": lambda voxels: ndimage.gaussian_filter(voxels.astype(np.float32), 1),
    "in 2 mm voxels": lambda voxels: _averaged(voxels, (2, 2, 2)),
    "in 5 mm slices": lambda voxels: _averaged(voxels, (1, 1, 5)),
    "cropped to the brain": lambda voxels: _cropped(voxels, 0),
    "cropped 6 mm into it": lambda voxels: _cropped(voxels, 6),
    "cropped to 128 x 128 x 128": lambda voxels: _centre(voxels, 128),
    "turned and flipped in the array": lambda voxels: voxels.transpose(2, 0, 1)[::-1, :, ::-1],
    "turned, 2 mm, cropped": lambda voxels: _cropped(
        _averaged(voxels, (2, 2, 2)).transpose(1, 0, 2)[:, ::-1], 2
    ),
    "nodding by 5 degrees": lambda voxels: _pitched(voxels, 5),
    "nodding by 10 degrees": lambda voxels: _pitched(voxels, 10),
    "nodding by 25 degrees": lambda voxels: _pitched(voxels, 25),
}
