"""Features of a prepared case: numbers that differ where the case is unlike others."""

from collections.abc import Iterator, Sequence
from itertools import combinations
from math import prod

import numpy as np

from ..core.grid import canonical_spacing_mm
from ..preparation.preprocessing import Geometry

PERCENTILES = (5, 25, 50, 75, 95)
_VOXELS = 20_000
"""About so many of the brain are looked at, evenly spread."""


def features_of(
    image: np.ndarray, about: Geometry, modalities: Sequence[str]
) -> dict[str, dict[str, float]]:
    """Features of a prepared case by kind: those of `intensities`, and ``geometry``."""
    return {**intensities(image, modalities), "geometry": geometry(image, about)}


def intensities(image: np.ndarray, modalities: Sequence[str]) -> dict[str, dict[str, float]]:
    """Features of the voxels in the brain.

    Parameters
    ----------
    image : (X, Y, Z, C) float16 or float32 array
        As `preparation.preprocessing.prepare` returns it: z-scored inside the brain, 0 outside.
    modalities : sequence of str
        Names of the channels.

    Returns
    -------
    dict of str to dict of str to float
        ``histogram``: ``NAME.p5`` to ``NAME.p95`` of each modality that is there, percentiles in
        standard deviations of the brain. ``texture``: ``NAME.roughness_x`` to ``_z``, the median of
        the absolute second difference of neighbours along an axis in the same unit; noise raises
        it, blur and thick slices lower it. ``correlation``: ``NAME~NAME.correlation`` of each pair,
        Pearson's r over voxels.
    """
    places = _in_brain(image)
    there = {name: channel for channel, name in enumerate(modalities) if image[..., channel].any()}
    values = {name: _at(image[..., channel], places) for name, channel in there.items()}
    histogram, texture, correlation = dict[str, float](), dict[str, float](), dict[str, float]()
    for name, inside in values.items():
        for percent, value in zip(PERCENTILES, np.percentile(inside, PERCENTILES), strict=True):
            histogram[f"{name}.p{percent}"] = float(value)
        for axis, value in _roughness(image[..., there[name]], places):
            texture[f"{name}.roughness_{axis}"] = value
    for one, other in combinations(values, 2):
        r = np.corrcoef(values[one], values[other])[0, 1]
        correlation[f"{one}~{other}.correlation"] = float(np.nan_to_num(r))
    return {"histogram": histogram, "texture": texture, "correlation": correlation}


def geometry(image: np.ndarray, about: Geometry) -> dict[str, float]:
    """Features of the grid of a prepared image: ``spacing_x_mm`` to ``_z`` of the raw voxels on
    canonical axes, ``extent_x_mm`` to ``_z`` of the crop, ``brain_ml``, and ``tilt_deg``, the
    largest angle between an axis of the raw voxels and the nearest anatomical one.
    """
    raw = np.array(about.raw_affine)
    spacing_mm = canonical_spacing_mm(raw)
    found = {f"spacing_{axis}_mm": mm for axis, mm in zip("xyz", spacing_mm, strict=True)}
    for axis, sides, mm in zip("xyz", about.shape, about.spacing_mm, strict=True):
        found[f"extent_{axis}_mm"] = sides * mm
    brain_voxels = int(np.count_nonzero(image.any(axis=-1)))
    found["brain_ml"] = brain_voxels * prod(about.spacing_mm) / 1000
    directions = raw[:3, :3] / np.linalg.norm(raw[:3, :3], axis=0)
    nearest = np.abs(directions).max(axis=0).min()
    found["tilt_deg"] = float(np.degrees(np.arccos(min(1.0, nearest))))
    return found


def _in_brain(image: np.ndarray) -> np.ndarray:
    """Indices (3, N) of voxels of the brain."""
    inside = np.flatnonzero(image.any(axis=-1))
    inside = inside[:: max(1, inside.size // _VOXELS)]
    return np.array(np.unravel_index(inside, image.shape[:3]))


def _at(channel: np.ndarray, places: np.ndarray) -> np.ndarray:
    return channel[tuple(places)].astype(np.float32)


def _roughness(channel: np.ndarray, places: np.ndarray) -> Iterator[tuple[str, float]]:
    """Name of an axis and median absolute second difference along it, where all three voxels lie in
    the brain.
    """
    for number, axis in enumerate("xyz"):
        step = np.eye(3, dtype=int)[number][:, None]
        within = (places[number] > 0) & (places[number] < channel.shape[number] - 1)
        middle = places[:, within]
        before, at, after = (_at(channel, middle + shift) for shift in (-step, 0 * step, step))
        inside = (before != 0) & (at != 0) & (after != 0)
        if inside.any():
            yield axis, float(np.median(np.abs(before - 2 * at + after)[inside]))
