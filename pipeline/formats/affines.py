"""Whether the affines of a NIfTI header can be trusted, and what they say."""

import json
import shlex
from collections.abc import Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import NamedTuple

import numpy as np

AGREE_MM = 0.01
"""Farthest apart that qform and sform may put a voxel: quaternions are kept in float32."""

OBLIQUE_DEGREES = 30.0
"""Tilt of an axis up to which its nearest anatomical axis is beyond doubt."""

SPACING = 0.01
"""Relative difference of two spacings of a header from which they contradict each other."""

PLAUSIBLE_MM = (0.1, 20.0)
"""Voxel edges of clinical MR and more; beyond them a header counts in metres or micrometres, or was
not filled in.
"""

SHEAR = 0.01
"""Largest cosine between two axes that still counts as rounding: about 0.6 degrees off a right
angle.
"""


class Verdict(NamedTuple):
    """What was found out about a header.

    Attributes
    ----------
    refusal : str
        Why the grid cannot be used and how to mend it; empty if it can.
    warnings : tuple of str
        What the user should know.
    """

    refusal: str = ""
    warnings: tuple[str, ...] = ()


def examine(
    name: str,
    shape: Sequence[int],
    sform: np.ndarray,
    sform_code: int,
    qform: np.ndarray,
    qform_code: int,
    others_mm: Mapping[str, Sequence[float]] = MappingProxyType({}),
) -> Verdict:
    """Judge the two affines of a header; the sform is the one in use if its code is above 0, else
    the qform.

    Parameters
    ----------
    name : str
        Of the file, for the commands in the messages.
    shape : sequence of 3 int
        Voxels along X, Y, Z.
    sform, qform : (4, 4) array
        Voxel indices to RAS+ millimetres, as the header gives them; NaN where it gives none.
    sform_code, qform_code : int
        0 means unknown.
    others_mm : mapping of str to sequence of 3 float
        Voxel edges that other fields of the header state, such as ``pixdim``, or a ``sform`` whose
        code is 0.

    Returns
    -------
    Verdict
        Refused are NaN and infinite numbers, an axis of no length, and axes that are not at right
        angles (`SHEAR`): voxels would be parallelepipeds, for which no spacing holds. Left-handed
        axes are as good as right-handed ones. Oblique axes are taken for the nearest anatomical
        ones, with a warning from `OBLIQUE_DEGREES` on. Warned of are also spacings that contradict
        each other (`SPACING`) or that no scanner makes (`PLAUSIBLE_MM`).
    """
    sform, qform = np.asarray(sform, float), np.asarray(qform, float)
    if sform_code <= 0 and qform_code <= 0:
        return Verdict(
            "",
            (
                (
                    f"{name}: neither sform nor qform is set (both codes 0): left and right are"
                    f" unknown. {_set_both(name)}"
                ),
            ),
        )
    used, affine = ("sform", sform) if sform_code > 0 else ("qform", qform)
    refusal = _refusal(name, used, affine)
    if refusal:
        return Verdict(refusal)
    spacing_mm = np.linalg.norm(affine[:3, :3], axis=0)
    return Verdict(
        "",
        (
            *_disagreement(name, shape, sform, sform_code, qform, qform_code),
            *_two_spacings(name, used, spacing_mm, others_mm),
            *_implausible(name, spacing_mm),
            *_tilt(name, affine),
        ),
    )


def _refusal(name: str, used: str, affine: np.ndarray) -> str:
    if not np.isfinite(affine).all():
        return f"{name}: its {used} holds NaN or infinite numbers:\n{affine}\n{_set_both(name)}"
    lengths = np.linalg.norm(affine[:3, :3], axis=0)
    if lengths.min() < 1e-6 or not np.array_equal(affine[3], (0, 0, 0, 1)):
        return (
            f"{name}: its {used} gives an axis no length, or has a last row other than 0 0 0"
            f" 1:\n{affine}\n{_set_both(name)}"
        )
    directions = affine[:3, :3] / lengths
    cosines = np.abs(np.triu(directions.T @ directions, 1))
    if cosines.max() > SHEAR:
        first, second = np.unravel_index(cosines.argmax(), cosines.shape)
        angle = np.rad2deg(np.arccos(np.clip(cosines.max(), 0, 1)))
        return (
            f"{name}: its {used} is sheared: axes {'XYZ'[first]} and {'XYZ'[second]} meet at"
            f" {angle:.2f} degrees instead of 90:\n{affine}\nResample it onto a rectangular grid"
            " (in SimpleITK: Resample onto an image of the same size, spacing and origin), or"
            " convert the DICOM series again with its gantry tilt corrected (dcm2niix does so)."
        )
    return ""


def _disagreement(
    name: str,
    shape: Sequence[int],
    sform: np.ndarray,
    sform_code: int,
    qform: np.ndarray,
    qform_code: int,
) -> tuple[str, ...]:
    if sform_code <= 0 or qform_code <= 0:
        return ()
    corners = np.array(
        np.meshgrid(*[(0, length - 1) for length in shape], [1], indexing="ij")
    ).reshape(4, -1)
    apart_mm = np.linalg.norm(((sform - qform) @ corners)[:3], axis=0).max()
    if apart_mm <= AGREE_MM:
        return ()
    found = (
        f"put the same voxel up to {apart_mm:.4g} mm apart"
        if np.isfinite(apart_mm)
        else "disagree, the qform is not finite"
    )
    return (
        (
            f"{name}: sform (code {sform_code}) and qform (code {qform_code}) {found}; the sform is"
            f" used:\n{sform}\nagainst the qform\n{qform}\nSome programs use the other. To set the"
            f" qform to the sform:\n{_command(name, 'image.set_qform(image.affine, 1)')}"
        ),
    )


def _two_spacings(
    name: str, used: str, spacing_mm: np.ndarray, others_mm: Mapping[str, Sequence[float]]
) -> Iterator[str]:
    for other, edges_mm in others_mm.items():
        if not np.allclose(spacing_mm, edges_mm, rtol=SPACING, atol=0):
            yield (
                f"{name}: its {used} gives voxels of {_edges(spacing_mm)} mm, its {other}"
                f" {_edges(edges_mm)} mm; the {used} is used, also for millilitres and distances."
                f" Some programs use the other. If the {used} is"
                f" right:\n{_command(name, 'image.set_sform(image.affine, 1); image.set_qform(image.affine, 1)')}\nIf"
                f" the {other} is right, take the affine from the DICOM series or another modality"
                " of the case."
            )


def _implausible(name: str, spacing_mm: np.ndarray) -> tuple[str, ...]:
    least, most = PLAUSIBLE_MM
    if least <= spacing_mm.min() and spacing_mm.max() <= most:
        return ()
    return (
        (
            f"{name}: its voxels are {_edges(spacing_mm)} mm large, which no scanner of heads"
            " makes; millimetres are taken whatever unit the header names. Convert the file again"
            " from its source, with lengths in millimetres."
        ),
    )


def _edges(spacing_mm: Sequence[float]) -> str:
    return " x ".join(f"{edge:.4g}" for edge in spacing_mm)


def _tilt(name: str, affine: np.ndarray) -> tuple[str, ...]:
    directions = np.abs(affine[:3, :3]) / np.linalg.norm(affine[:3, :3], axis=0)
    degrees = np.rad2deg(np.arccos(np.clip(directions.max(axis=0), 0, 1)))
    if degrees.max() < OBLIQUE_DEGREES:
        return ()
    return (
        (
            f"{name}: axis {'XYZ'[degrees.argmax()]} runs {degrees.max():.1f} degrees off the"
            f" nearest anatomical axis:\n{affine}\nAxes are taken for the nearest anatomical ones;"
            " resample the case to a standard space if networks shall see heads upright."
        ),
    )


def _set_both(name: str) -> str:
    return (
        "Once you know the right affine (from the DICOM series or another modality of the case),"
        " set it:\n"
        + _command(
            name,
            'affine = nibabel.load("OTHER").affine; image.set_sform(affine, 1);'
            " image.set_qform(affine, 1)",
        )
    )


def _command(name: str, change: str) -> str:
    return repair_command(name, f"image = nibabel.load({literal(name)}); {change}")


def repair_command(name: str, change: str) -> str:
    """A line for the shell that writes a repaired copy of a NIfTI file into the current folder.

    Parameters
    ----------
    name : str
        Path of the file.
    change : str
        Python that makes ``image``, a nibabel image, with `nibabel` and `numpy` imported; names in
        it by `literal`.
    """
    saved = literal(f"mended-{name.split('/')[-1]}")
    return (
        f"python -c {shlex.quote(f'import nibabel, numpy; {change}; nibabel.save(image, {saved})')}"
    )


def literal(text: str) -> str:
    """A text as Python source in double quotes, which a shell's single quotes keep as it is."""
    return json.dumps(text, ensure_ascii=False)
