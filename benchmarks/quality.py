"""How often the quality flag of `predict` asks to check a case: phantoms that the network in
models/ has not seen, as they are and spoilt in many ways, and the real cases beside the repository.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import numpy as np
from scipy import ndimage

from benchmarks import cohorts
from benchmarks.measuring import ROOT, Figure
from pipeline import api
from pipeline.cohorts.brats import read_folder
from pipeline.core.errors import InputError
from pipeline.formats import nifti
from pipeline.quality.known import read_known

REPEATS = 1
CASES = 12
SEED = 778
WORDS = ("t1n", "t1c", "t2w", "t2f")
MODELS = ROOT / "models"

Spoilt = Callable[[np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]]
"""From an image (X, Y, Z, 4) float32 and its affine to another."""


def figures(repeats: int) -> Iterator[Figure]:
    """Cases that are to be checked, of all of a kind."""
    if not MODELS.is_dir() or read_known(MODELS) is None:
        yield Figure("quality flag", "of cases", [], note="models/ holds no evaluated network")
        return
    model = api.load(MODELS)
    folders = sorted(path for path in cohorts.phantoms(CASES, SEED).iterdir() if path.is_dir())
    for kind, spoil in KINDS.items():
        yield _flagged(kind, model, folders, spoil)
    if cohorts.REAL.is_dir():
        real = sorted(cohorts.REAL.iterdir())
        yield _flagged("real cases of another cohort", model, real, lambda *case: case)


def _flagged(kind: str, model: api.Model, folders: list[Path], spoil: Spoilt) -> Figure:
    """The share of cases of a kind that are to be checked, or refused at once."""
    found: Counter[str] = Counter()
    for folder in folders:
        try:
            quality = model.segment(*spoil(*_read(folder))).quality
        except InputError:
            found["refused"] += 1
        else:
            found[quality.flag] += 1
            found.update({f"by {reason.code}" for reason in quality.reasons})
    flagged = found["check"] + found["refused"]
    why = ", ".join(f"{count} {name}" for name, count in sorted(found.items()) if "by" in name)
    note = f"{flagged} of {len(folders)}{': ' if why else ''}{why}"
    return Figure(f"quality, {kind}", "of cases", [flagged / len(folders)], note=note)


def _read(folder: Path) -> tuple[np.ndarray, np.ndarray]:
    images = read_folder(folder)[1].images
    volumes = [nifti.read(images[name]) for name in WORDS]
    image = np.stack([volume.voxels for volume in volumes], axis=-1).astype(np.float32)
    return image, volumes[0].grid.affine


def _voxels(change: Callable[[np.ndarray], np.ndarray]) -> Spoilt:
    """Changes the image alone; what was air stays so."""
    return lambda image, affine: (
        np.where(image.any(axis=-1, keepdims=True), change(image), 0).astype(np.float32),
        affine,
    )


def _exchanged(one: str, other: str) -> Spoilt:
    order = [{one: other, other: one}.get(name, name) for name in WORDS]
    return _voxels(lambda image: image[..., [WORDS.index(name) for name in order]])


def _inverted(*names: str) -> Spoilt:
    def invert(image: np.ndarray) -> np.ndarray:
        image = image.copy()
        for channel in map(WORDS.index, names):
            image[..., channel] = image[..., channel].max() + 1 - image[..., channel]
        return image

    return _voxels(invert)


def _noise(sd: float) -> Spoilt:
    """Gaussian noise of so many standard deviations of the brain."""

    def add(image: np.ndarray) -> np.ndarray:
        spread = image[image.any(axis=-1)].std(axis=0)
        drawn = np.random.default_rng(0).normal(size=image.shape)
        return image + sd * spread * drawn

    return _voxels(add)


def _blurred(sigma_mm: float) -> Spoilt:
    return _voxels(lambda image: ndimage.gaussian_filter(image, (*[sigma_mm] * 3, 0)))


def _thick(count: int) -> Spoilt:
    """Slices averaged over so many, in as many voxels as before."""

    def average(image: np.ndarray) -> np.ndarray:
        z = image.shape[2] // count * count
        means = image[:, :, :z].reshape(*image.shape[:2], -1, count, 4).mean(axis=3)
        thick = np.repeat(means, count, axis=2)
        return np.pad(thick, [(0, 0), (0, 0), (0, image.shape[2] - z), (0, 0)])

    return _voxels(average)


def _skull(image: np.ndarray, affine: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """A dark shell of bone and a bright one of scalp around the brain."""
    brain = image.any(axis=-1)
    away_mm = ndimage.distance_transform_edt(~brain)[..., None]
    mean = image[brain].mean(axis=0)
    image = np.where((away_mm > 3) & (away_mm <= 8), 0.2 * mean, image)
    return np.where((away_mm > 8) & (away_mm <= 14), 1.6 * mean, image), affine


def _sized(*factors: float) -> Spoilt:
    """A header that multiplies the size of the voxels."""
    return lambda image, affine: (image, affine @ np.diag([*factors, 1.0]))


def _turned(degrees: float) -> Spoilt:
    return lambda image, affine: (
        ndimage.rotate(image, degrees, axes=(0, 2), reshape=False, order=1),
        affine,
    )


def _cut(image: np.ndarray, affine: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Without its upper half."""
    return image * (np.arange(image.shape[2]) < image.shape[2] // 2)[:, None], affine


def _shaded(image: np.ndarray) -> np.ndarray:
    """A bias field from one half to twice as bright, from left to right."""
    across = np.linspace(-1, 1, image.shape[0])[:, None, None, None]
    return image * np.exp2(across)


KINDS: Mapping[str, Spoilt] = {
    "unseen phantoms": lambda image, affine: (image, affine),
    "t1n and t1c exchanged": _exchanged("t1n", "t1c"),
    "t2w and t2f exchanged": _exchanged("t2w", "t2f"),
    "t1n and t2w exchanged": _exchanged("t1n", "t2w"),
    "t1n and t2f exchanged": _exchanged("t1n", "t2f"),
    "t1c and t2w exchanged": _exchanged("t1c", "t2w"),
    "t1c and t2f exchanged": _exchanged("t1c", "t2f"),
    "all modalities inverted": _inverted(*WORDS),
    "t1c inverted": _inverted("t1c"),
    "t2f inverted": _inverted("t2f"),
    "skull on": _skull,
    "header of 2 x 2 x 2 mm": _sized(2, 2, 2),
    "header of 1 x 1 x 3 mm": _sized(1, 1, 3),
    "header of 1.2 x 1.2 x 1.2 mm": _sized(1.2, 1.2, 1.2),
    "noise of 0.1 sd": _noise(0.1),
    "noise of 0.3 sd": _noise(0.3),
    "noise of 1 sd": _noise(1),
    "blur of 2 mm": _blurred(2),
    "slices of 5 mm": _thick(5),
    "turned by 20 degrees": _turned(20),
    "upper half missing": _cut,
    "shaded by a factor of 4": _voxels(_shaded),
}
