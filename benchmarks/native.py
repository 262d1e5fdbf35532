"""Series as acquired: how near our preparation comes to a registered copy, to known transforms and
to known brains, and what it costs.
"""

import time
from collections.abc import Callable, Iterator
from itertools import product

import numpy as np
from scipy import ndimage
from scipy.spatial.transform import Rotation

from benchmarks.measuring import ROOT, Figure, apart
from pipeline.core.errors import InputError
from pipeline.core.grid import Grid
from pipeline.formats import nifti
from pipeline.formats.template import read_template
from pipeline.registration.bias_field import correct_bias
from pipeline.registration.brain_extraction import extract_brain
from pipeline.registration.mutual_information import Sampled, centre_of_mass_mm, register, resample
from pipeline.registration.native import (
    BRATS_GRID,
    align,
    labels_from_series,
    labels_to_series,
    mni_template,
)
from pipeline.registration.params import NativeRecipe

REPEATS = 1
REAL = ROOT.parent / "shared/data"
SERIES = {"t1n": "t1", "t1c": "t1c", "t2w": "t2", "t2f": "fla"}
NAMES = {"t1n": "t1", "t2w": "t2", "t2f": "flair"}
CASES = ("BraTS2021_01478", "BraTS2021_01483")
LARGEST_TURN_DEG = LARGEST_SHIFT_MM = 15.0


def figures(repeats: int) -> Iterator[Figure]:
    """The native patient; then transforms and brains that are known because we made them."""
    if not REAL.is_dir():
        yield Figure("native", "", (), note="skipped: there is no ../shared/data")
        return
    for interpolation in ("linear", "bspline"):
        runs = [apart(patient, interpolation, cores=1) for _ in range(repeats)]
        values = [value | {"memory, GB": ran.process_gb} for value, ran in runs]
        for name in values[0]:
            yield Figure(
                f"native {interpolation}: {name}",
                "",
                [value[name] for value in values],
                note="TCGA-FG-6692, one core",
            )
    errors = apart(known_transforms, cores=1)[0]
    for modality, found in errors.items():
        yield Figure(
            f"known transforms: {modality} to t1c, mean error in the brain",
            "mm",
            found,
            note="1x1x5 mm slices, up to 15 deg and 15 mm",
        )
    for name, found in apart(known_brains, cores=1)[0].items():
        yield Figure(f"brain in a head built around it: {name}", "Dice", [found])


def patient(interpolation: str) -> dict[str, float]:
    """Align the four series and compare with the copy that others registered, after laying that on
    ours.
    """
    folder = REAL / "native/TCGA-FG-6692"
    series = {
        modality: nifti.read(folder / f"TCGA-FG-6692_{name}.nii.gz")
        for modality, name in SERIES.items()
    }
    template = mni_template(read_template("t1"))
    started = time.perf_counter()
    aligned = align(
        series,
        template,
        NativeRecipe(
            enabled=True,
            template_transform="rigid",
            interpolation=interpolation,
            correct_bias=False,
            extract_brain=True,
        ),
    )
    result = {"all but N4, s": time.perf_counter() - started}
    result["register one series, s"] = _seconds(
        lambda: register(series["t2f"], series["t1c"], "t2f")
    )
    result["N4 of one modality, s"] = _seconds(
        lambda: correct_bias(aligned.images["t1c"], aligned.brain)
    )
    result["extract brain, s"] = _seconds(
        lambda: extract_brain(aligned.images["t1n"], aligned.brain, (1.0, 1.0, 1.0))
    )
    theirs = {
        modality: nifti.read(folder / f"brats_space/TCGA-FG-6692_{name}.nii.gz")
        for modality, name in SERIES.items()
    }
    brain = theirs["t1c"].voxels != 0
    there = register(
        Sampled(aligned.images["t1c"], BRATS_GRID),
        theirs["t1c"],
        "ours",
        within=ndimage.binary_erosion(brain, iterations=2),
    ).matrix
    back = np.linalg.inv(there)
    centre = centre_of_mass_mm(brain, BRATS_GRID)
    result["pose beside theirs, deg"] = float(
        np.degrees(Rotation.from_matrix(back[:3, :3]).magnitude())
    )
    result["pose beside theirs, mm at the brain's centre"] = float(
        np.linalg.norm((back @ [*centre, 1])[:3] - centre)
    )
    brain = resample(Sampled(brain, BRATS_GRID), BRATS_GRID, back, "nearest")
    result["brain, Dice"] = dice(aligned.brain, brain)
    result["brain, centres apart, mm"] = float(
        np.linalg.norm(
            centre_of_mass_mm(aligned.brain, BRATS_GRID) - centre_of_mass_mm(brain, BRATS_GRID)
        )
    )
    for modality, image in aligned.images.items():
        both, other = brain & aligned.brain, resample(theirs[modality], BRATS_GRID, back, "linear")
        result[f"{modality}, correlation in the brain"] = float(
            np.corrcoef(other[both], image[both])[0, 1]
        )
        found = register(
            Sampled(other, BRATS_GRID),
            Sampled(image, BRATS_GRID),
            modality,
            within=ndimage.binary_erosion(both, iterations=2),
        )
        result[f"{modality}, mean distance in the brain, mm"] = _mean_error_mm(
            found.matrix, np.eye(4), both, BRATS_GRID
        )
    tumour = nifti.read(folder / "brats_space/TCGA-FG-6692_whole_tumour.nii.gz").voxels > 0
    tumour = resample(Sampled(tumour, BRATS_GRID), BRATS_GRID, back, "nearest")
    native = labels_to_series(tumour, aligned.native, "t2f")
    returned = labels_from_series(native, aligned.native, "t2f")
    result["tumour to t2f and back, Dice"] = dice(tumour, returned)
    result["tumour to t2f and back, centres apart, mm"] = float(
        np.linalg.norm(
            centre_of_mass_mm(tumour, BRATS_GRID) - centre_of_mass_mm(returned, BRATS_GRID)
        )
    )
    result["tumour from t2f and back, Dice"] = dice(
        native, labels_to_series(returned, aligned.native, "t2f")
    )
    return result


def known_transforms() -> dict[str, list[float]]:
    """Per modality the mean error in mm, one value per case: turned, shifted, cut into thick
    slices, found again.
    """
    rng, errors = np.random.default_rng(2026), {modality: [] for modality in NAMES}
    thick = Grid(
        (240, 240, 39), np.array([[-1.0, 0, 0, 0], [0, -1, 0, 239], [0, 0, 5, -16], [0, 0, 0, 1]])
    )
    for case, (modality, name) in product(CASES, NAMES.items()):
        fixed = nifti.read(REAL / f"brats2021/{case}/{case}_t1ce.nii.gz")
        true = _drawn(rng, centre_of_mass_mm(fixed.voxels != 0, fixed.grid))
        cut = {}
        for key, volume, matrix in (
            (
                name,
                nifti.read(REAL / f"brats2021/{case}/{case}_{name}.nii.gz"),
                np.linalg.inv(true),
            ),
            ("t1ce", fixed, np.eye(4)),
        ):
            averaged = Sampled(
                ndimage.uniform_filter1d(volume.voxels.astype(np.float32), 5, axis=2), volume.grid
            )
            cut[key] = Sampled(resample(averaged, thick, matrix, "linear"), thick)
        found = register(cut[name], cut["t1ce"], modality)
        errors[modality].append(
            _mean_error_mm(found.matrix, true, fixed.voxels != 0, fixed.grid, np.linalg.inv(true))
        )
    return errors


def _drawn(rng: np.random.Generator, centre: np.ndarray) -> np.ndarray:
    """Moving to fixed millimetres: a turn about the brain's centre and a shift, both uniform up to
    the largest.
    """
    matrix = np.eye(4)
    axis, shift = rng.normal(size=(2, 3))
    turn = axis / np.linalg.norm(axis) * np.radians(rng.uniform(0, LARGEST_TURN_DEG))
    matrix[:3, :3] = Rotation.from_rotvec(turn).as_matrix()
    matrix[:3, 3] = (
        centre
        - matrix[:3, :3] @ centre
        + shift / np.linalg.norm(shift) * rng.uniform(0, LARGEST_SHIFT_MM)
    )
    return matrix


def _mean_error_mm(
    found: np.ndarray,
    true: np.ndarray,
    mask: np.ndarray,
    grid: Grid,
    to_moving: np.ndarray | None = None,
) -> float:
    """How far apart two transforms put the voxels of a mask, on average."""
    points = np.argwhere(mask[::4, ::4, ::4]) * 4
    points = grid.affine @ np.c_[points, np.ones(len(points))].T
    points = points if to_moving is None else to_moving @ points
    return float(np.linalg.norm(((found - true) @ points)[:3], axis=0).mean())


def known_brains() -> dict[str, float]:
    """Dice of extracted brains with the brains that a skull and a scalp were built around."""
    t1, template = read_template("t1"), mni_template(read_template("t1"))
    recipe = NativeRecipe(
        enabled=True,
        template_transform="rigid",
        interpolation="linear",
        correct_bias=False,
        extract_brain=True,
    )
    stripped = {case: nifti.read(REAL / f"brats2021/{case}/{case}_t1.nii.gz") for case in CASES}
    result = {}
    for name, volume in {"MNI152": template.t1, **stripped}.items():
        volume = Sampled(
            np.pad(t1, 20) if name == "MNI152" else volume.voxels,
            _padded(volume.grid, 20) if name == "MNI152" else volume.grid,
        )
        brain = ndimage.binary_fill_holes(volume.voxels > 0)
        try:
            aligned = align(
                {"t1n": Sampled(_head_around(volume.voxels, brain), volume.grid)}, template, recipe
            )
        except InputError:
            result[f"{name}, refused"] = float("nan")
            continue
        place = aligned.native.series["t1n"]
        result[name] = dice(
            aligned.brain,
            resample(
                Sampled(brain, volume.grid), BRATS_GRID, np.array(place.to_template), "nearest"
            ),
        )
    return result


def _padded(grid: Grid, width: int) -> Grid:
    affine = grid.affine.copy()
    affine[:3, 3] -= affine[:3, :3] @ np.full(3, width)
    return Grid(tuple(length + 2 * width for length in grid.shape), affine)


def _head_around(voxels: np.ndarray, brain: np.ndarray) -> np.ndarray:
    """Fluid for 2 mm, then dark bone to 7 mm, then fat to 12 mm, with noise."""
    level = np.median(voxels[brain])
    outside = ndimage.distance_transform_edt(~brain)
    shells = np.select(
        [brain, outside < 2, outside < 7, outside < 12],
        [voxels, 0.3 * level, 0.08 * level, 1.6 * level],
        0,
    )
    return (shells + np.abs(np.random.default_rng(0).normal(0, 0.03 * level, voxels.shape))).astype(
        np.float32
    )


def dice(one: np.ndarray, other: np.ndarray) -> float:
    """Of two masks."""
    return float(
        2 * np.count_nonzero(one & other) / (np.count_nonzero(one) + np.count_nonzero(other))
    )


def _seconds(call: Callable) -> float:
    started = time.perf_counter()
    call()
    return time.perf_counter() - started
