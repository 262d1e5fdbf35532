"""Which affines of a NIfTI or MetaImage header can be used, and what to warn about."""

import json
import shlex
from collections.abc import Mapping, Sequence
from types import MappingProxyType

import numpy as np

from ..core.errors import InputError
from ..core.grid import Grid

AGREE_MM = 0.01
"""Largest distance of a voxel between qform and sform: quaternions are float32."""

OBLIQUE_DEGREES = 30.0
"""Tilt of an axis up to which its nearest anatomical axis is unambiguous."""

SPACING = 0.01
"""Relative difference from which two spacings of a header contradict each other."""

PLAUSIBLE_MM = (0.1, 20.0)
"""Voxel edges of clinical MR and more; others mean another unit, or a header not filled in."""

SHEAR = 0.01
"""Largest cosine between two axes that counts as rounding: about 0.6 degrees off a right angle."""

_TAKE_OVER = "Take the right affine from the DICOM series or another modality of the case"


def examine(
    name: str,
    shape: tuple[int, int, int],
    sform: np.ndarray,
    sform_code: int,
    qform: np.ndarray,
    qform_code: int,
    others_mm: Mapping[str, Sequence[float]] = MappingProxyType({}),
) -> tuple[str, ...]:
    """Check the two affines of a NIfTI header; the sform is used if its code is above 0, else the
    qform.

    Parameters
    ----------
    name : str
        Path of the file, for messages and the commands in them.
    sform, qform : (4, 4) array
        Voxel indices to RAS+ millimetres; NaN where the header gives none. Code 0 means unknown.
    others_mm : mapping of str to sequence of 3 float
        Voxel edges that other fields of the header state, such as ``pixdim``, or a ``sform`` whose
        code is 0.

    Returns
    -------
    tuple of str
        Warnings: no affine is set, the two disagree (`AGREE_MM`), spacings contradict each other
        (`SPACING`), and those of `implausible`. Errors are those of `reject_unusable`.
    """
    sform, qform = np.asarray(sform, float), np.asarray(qform, float)
    if sform_code <= 0 and qform_code <= 0:
        return (
            f"{name}: neither sform nor qform is set (both codes 0): left and right are unknown."
            f" {_set_both(name)}",
        )
    used, affine = ("sform", sform) if sform_code > 0 else ("qform", qform)
    reject_unusable(name, used, affine)
    warnings = []
    if sform_code > 0 and qform_code > 0:
        apart_mm = Grid(shape, sform).apart_mm(Grid(shape, qform))
        if not apart_mm <= AGREE_MM:
            found = f"put the same voxel up to {apart_mm:.4g} mm apart"
            found = found if np.isfinite(apart_mm) else "disagree, the qform is not finite"
            warnings.append(
                f"{name}: sform (code {sform_code}) and qform (code {qform_code}) {found}; the"
                f" sform is used:\n{sform}\nagainst the qform\n{qform}\nSome programs use the"
                " other. To set the qform to the sform:\n"
                + _command(name, "image.set_qform(image.affine, 1)")
            )
    spacing_mm = np.linalg.norm(affine[:3, :3], axis=0)
    set_both = "image.set_sform(image.affine, 1); image.set_qform(image.affine, 1)"
    warnings += [
        f"{name}: its {used} gives voxels of {_edges(spacing_mm)} mm, its {other}"
        f" {_edges(edges_mm)} mm; the {used} is used, also for millilitres and distances. Some"
        f" programs use the other. If the {used} is right:\n{_command(name, set_both)}\nIf the"
        f" {other} is right: {_TAKE_OVER}."
        for other, edges_mm in others_mm.items()
        if not np.allclose(spacing_mm, edges_mm, rtol=SPACING, atol=0)
    ]
    return (*warnings, *implausible(name, affine))


def reject_unusable(name: str, field: str, affine: np.ndarray) -> None:
    """Raise InputError if the affine in a field of a header holds NaN or infinite numbers, gives an
    axis no length, or axes not at right angles (`SHEAR`): voxels would be parallelepipeds.
    """
    if not np.isfinite(affine).all():
        raise InputError(
            f"{name}: its {field} holds NaN or infinite numbers:\n{affine}\n{_set_both(name)}"
        )
    lengths = np.linalg.norm(affine[:3, :3], axis=0)
    if lengths.min() < 1e-6 or not np.array_equal(affine[3], (0, 0, 0, 1)):
        raise InputError(
            f"{name}: its {field} gives an axis no length, or has a last row other than 0 0 0"
            f" 1:\n{affine}\n{_set_both(name)}"
        )
    directions = affine[:3, :3] / lengths
    cosines = np.abs(np.triu(directions.T @ directions, 1))
    if cosines.max() > SHEAR:
        first, second = np.unravel_index(cosines.argmax(), cosines.shape)
        angle = np.rad2deg(np.arccos(np.clip(cosines.max(), 0, 1)))
        raise InputError(
            f"{name}: its {field} is sheared: axes {'XYZ'[first]} and {'XYZ'[second]} meet at"
            f" {angle:.2f} degrees instead of 90:\n{affine}\nResample it onto a rectangular grid"
            " (in SimpleITK: Resample onto an image of the same size, spacing and origin), or"
            " convert the DICOM series again with its gantry tilt corrected (dcm2niix does so)."
        )


def implausible(name: str, affine: np.ndarray) -> list[str]:
    """Warnings about voxels that no scanner makes (`PLAUSIBLE_MM`), and axes from `OBLIQUE_DEGREES`
    on.
    """
    warnings = []
    spacing_mm = np.linalg.norm(affine[:3, :3], axis=0)
    if spacing_mm.min() < PLAUSIBLE_MM[0] or spacing_mm.max() > PLAUSIBLE_MM[1]:
        warnings.append(
            f"{name}: its voxels are {_edges(spacing_mm)} mm large, which no scanner of heads"
            " makes; lengths are taken as millimetres whatever unit the header names. Convert the"
            " file again from its source, with lengths in millimetres."
        )
    cosines = (np.abs(affine[:3, :3]) / spacing_mm).max(axis=0)
    degrees = np.rad2deg(np.arccos(np.clip(cosines, 0, 1)))
    if degrees.max() >= OBLIQUE_DEGREES:
        warnings.append(
            f"{name}: axis {'XYZ'[degrees.argmax()]} runs {degrees.max():.1f} degrees off the"
            f" nearest anatomical axis:\n{affine}\nEach axis is treated as the nearest anatomical"
            " one. Resample the case to a standard space if the network expects upright heads."
        )
    return warnings


def _edges(spacing_mm: Sequence[float] | np.ndarray) -> str:
    return " x ".join(f"{edge:.4g}" for edge in spacing_mm)


def _set_both(name: str) -> str:
    change = 'nibabel.load("OTHER").affine; image.set_sform(affine, 1); image.set_qform(affine, 1)'
    return f"{_TAKE_OVER}, and set it:\n{_command(name, f'affine = {change}')}"


def _command(name: str, change: str) -> str:
    return repair_command(name, f"image = nibabel.load({literal(name)}); {change}")


def repair_command(name: str, change: str) -> str:
    """A shell command that writes a repaired copy of a NIfTI file into the current folder.

    `change` is Python that makes ``image``, a nibabel image, with `nibabel` and `numpy` imported;
    texts in it are quoted by `literal`.
    """
    saved = literal(f"fixed-{name.split('/')[-1]}")
    return (
        f"python -c {shlex.quote(f'import nibabel, numpy; {change}; nibabel.save(image, {saved})')}"
    )


def literal(text: str) -> str:
    """A text as Python source in double quotes, which single quotes of a shell leave unchanged."""
    return json.dumps(text, ensure_ascii=False)
