"""Phantoms: a brain with a tumour in the four modalities of BraTS, and its reference labels."""

from dataclasses import dataclass

import numpy as np
from scipy.ndimage import gaussian_filter, map_coordinates

from .anatomy import MARGIN_VOXELS, Anatomy, draw_coordinates, push, sample
from .contrast import acquire
from .growth import EDEMA, ENHANCING, NECROTIC, Lesion, Tumour, draw_seed, grow
from .random_fields import normal_field

PARTIAL_VOLUME_SD_VOXELS = 0.6
EDEMA_AT_END = np.float32(0.75)
SUPRATENTORIAL_MM = 60
"""Height above the template's lowest voxel: adult gliomas begin in the white matter of the
hemispheres.
"""


@dataclass(frozen=True)
class Phantom:
    """A made case, RAS+, 1 mm."""

    images: dict[str, np.ndarray]
    """(X, Y, Z) int16 by modality t1n, t1c, t2w, t2f: 0 outside the brain, positive inside"""
    classes: np.ndarray  # as of `Lesion`


def phantom(
    rng: np.random.Generator,
    template: Anatomy,
    tumour: Tumour,
    shape: tuple[int, int, int] = (240, 240, 155),
) -> Phantom:
    """Make one case of a shape: deform a healthy template and grow a tumour in it.

    Equal generator, template and tumour give equal bytes.
    """
    inner = tuple(
        min(length, side + 2 * MARGIN_VOXELS)
        for length, side in zip(shape, template.gray.shape, strict=True)
    )
    coordinates = draw_coordinates(rng, template, inner)
    white = map_coordinates(template.white, coordinates, order=1, prefilter=False)
    home = (white > 0.8) & (coordinates[2] > SUPRATENTORIAL_MM)
    seed = draw_seed(rng, home)
    push(coordinates, seed, tumour.radius_mm, rng.uniform(0.1, 0.35))
    anatomy = sample(template, coordinates)
    lesion = grow(rng, anatomy, tumour, seed, home & (anatomy.white > 0.5))
    brain = anatomy.brain
    tissues = _invaded(_healthy(rng, anatomy), lesion, tumour.enhancing, brain)
    images = acquire(rng, tissues, brain)
    return Phantom(
        {modality: _embed(image, shape) for modality, image in images.items()},
        _embed(lesion.classes, shape),
    )


def _healthy(rng: np.random.Generator, anatomy: Anatomy) -> dict[str, np.ndarray]:
    """Tissue fractions of each brain voxel before the tumour, including what misleads a threshold:
    see `SIGNAL`.
    """
    brain = anatomy.brain
    maps = anatomy.gray, anatomy.white, anatomy.csf, anatomy.ventricles
    gray, white, csf, ventricles = (tissue[brain] for tissue in maps)
    # The template is a mean of people; squaring restores edges as sharp as one person's.
    total = gray**2 + white**2 + csf**2
    tissues = {"gray": gray**2 / total, "white": white**2 / total, "csf": csf**2 / total}

    spots, streams, first, second = (
        normal_field(rng, brain.shape, scale)[brain] for scale in (7.0, 18.0, 13.0, 13.0)
    )
    caps = np.clip(3 * gaussian_filter(anatomy.ventricles, 3.0)[brain], 0, 1) * np.float32(
        rng.uniform(0.2, 0.9)
    )
    islands = np.clip(2.5 * (spots - np.float32(rng.uniform(1.8, 2.8))), 0, 1)
    _convert(tissues, "leukoaraiosis", tissues["white"] * np.maximum(caps, islands))
    _convert(
        tissues, "inflow", tissues["csf"] * np.clip(2 * streams - 1.6, 0, 1) * (ventricles < 0.25)
    )
    # Two fields vanish together along lines: the vessels. The choroid plexus lies in the
    # ventricles.
    vessels = np.clip(2 - 10 * (first**2 + second**2), 0, 1) * np.clip(2.5 * csf, 0, 1)
    plexus = np.clip(2 * spots - 1.2, 0, 1) * (ventricles > 0.5)
    _convert(tissues, "vessel", np.maximum(vessels, plexus))
    return tissues


def _convert(tissues: dict[str, np.ndarray], tissue: str, share: np.ndarray) -> None:
    """Turn a share of every voxel into a further tissue."""
    for other in tissues:
        tissues[other] = tissues[other] * (1 - share)
    tissues[tissue] = share


def _invaded(
    tissues: dict[str, np.ndarray], lesion: Lesion, enhancing: bool, brain: np.ndarray
) -> dict[str, np.ndarray]:
    """The tissues with the tumour, mixed at its edges; edema thins out outwards."""
    core = "necrosis" if enhancing else "solid"
    tumour = {}
    for label, tissue in {NECROTIC: core, EDEMA: "edema", ENHANCING: "enhancing"}.items():
        mask = (lesion.classes == label).astype(np.float32)
        tumour[tissue] = gaussian_filter(mask, PARTIAL_VOLUME_SD_VOXELS)[brain]
    tumour["edema"] *= EDEMA_AT_END + (1 - EDEMA_AT_END) * lesion.nearness[brain]
    left = 1 - sum(tumour.values())
    return {tissue: share * left for tissue, share in tissues.items()} | tumour


def _embed(inner: np.ndarray, shape: tuple[int, int, int]) -> np.ndarray:
    """The array in the middle of a larger one of zeros."""
    whole = np.zeros(shape, inner.dtype)
    sides = zip(shape, inner.shape, strict=True)
    starts = [((length - side) // 2, side) for length, side in sides]
    whole[tuple(slice(start, start + side) for start, side in starts)] = inner
    return whole
