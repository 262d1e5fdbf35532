"""Raw cases: the files of a case, read and checked against each other."""

import re
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from ..core.case import Case
from ..core.catalogue import CaseEntry
from ..core.errors import InputError
from ..core.grid import Grid, onto_axes_of
from ..core.regions import values_to_classes
from ..core.schema import Schema
from . import metaimage, nifti
from .affines import literal, repair_command
from .background import constant_air
from .volume import Part, Volume
from .walking import is_volume

_ROUNDED = 0.05  # a scaled label value this close to a whole number is rounded
_NEARLY = 0.2  # one this close may be rounded by the user
_RESAMPLE = "Resample it onto that grid, or fix its header."
_SERIES_REMEDY = (
    "Series as acquired, each on its own grid, are registered by `python -m pipeline predict"
    " --native`, or in `download` by native.enabled: true in params.yaml. Resample any other file"
    " onto that grid, or fix its header."
)


@dataclass(frozen=True)
class Found:
    """Files that a source found for one case.

    Attributes
    ----------
    case, patient : str
        Identities.
    folder : Path
        Where the case was found, for messages.
    images : dict of str to Path or Part
        One per modality present: a file of its own (NIfTI or MetaImage), or a part of something
        else.
    labels : Path, Part or None
        The reference.
    attributes : dict of str to str
        Attributes that the source publishes, such as ``grade`` or ``fold``.
    notes : tuple of str
        Warnings for metrics/verify.json.
    origins : dict of str to str
        Of files that were made from parts: the sha256 of what was published, by modality and
        ``seg``.
    made_from : dict of Path to Part
        Temporary files that were made from parts.
    native : Path or None
        The record of the inverse transform to the series as acquired
        (`pipeline.registration.native.Native`), if they were registered.
    terms : str
        Licence and citation, if the source leaves them to the user.
    passed_over : tuple of str
        Names of image files next to them that match no name the source knows.
    """

    case: str
    patient: str
    folder: Path
    images: dict[str, Path | Part]
    labels: Path | Part | None
    attributes: dict[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    origins: dict[str, str] = field(default_factory=dict)
    made_from: dict[Path, Part] = field(default_factory=dict)
    native: Path | None = None
    terms: str = ""
    passed_over: tuple[str, ...] = ()

    @property
    def parts(self) -> dict[str, Part]:
        """Modalities, and ``seg``, that are not files of their own."""
        origins = {**self.images, "seg": self.labels}
        return {name: origin for name, origin in origins.items() if isinstance(origin, Part)}

    def in_published_names(self, message: str) -> str:
        """A message with the published files in place of those made from them."""
        if any(str(made) in message for made in self.made_from):  # no command for a temporary file
            message = re.sub(r", as by\npython -c .*", "", message)
        for made, part in self.made_from.items():
            message = message.replace(str(made), str(part)).replace(made.name, part.name)
        return message


def noted(found: Sequence[Found], note: str) -> list[Found]:
    """Add a note that holds for every case to the first, so that it is reported once.

    Parameters
    ----------
    found : sequence of Found
        At least one.
    note : str
        A sentence without its start, as "the spacing was not published".
    """
    return with_note(found, f"here and in all other cases {note}")


def with_note(found: Sequence[Found], note: str) -> list[Found]:
    """Add a note about the whole cohort to the first of its cases, at least one."""
    first, *others = found
    return [replace(first, notes=(*first.notes, note)), *others]


def noting_passed_over(found: Sequence[Found], files: Sequence[Path]) -> list[Found]:
    """Add a note about volumes that match no name of the source to the first case."""
    others = [path.name for path in files if is_volume(path)]
    if not others:
        return list(found)
    return with_note(
        found,
        f"in the whole folder {len(others)} image files fit no name that is known, and were"
        f" ignored: {few(others, 5)}",
    )


def read_volume(origin: Path | Part) -> Volume:
    """Read a modality or mask from a file or a part of one."""
    if isinstance(origin, Part):
        return origin.read()
    is_metaimage = origin.suffix.lower() in (".mha", ".mhd")
    return metaimage.read(origin) if is_metaimage else nifti.read(origin)


def read(found: Found, schema: Schema) -> Case:
    """Read a case and check that it can be used.

    Parameters
    ----------
    found : Found
        Its files.
    schema : Schema
        What they must hold.

    Returns
    -------
    Case

    Raises
    ------
    InputError
        If a modality is missing, a file is not readable, an affine cannot be trusted, grids differ,
        voxels are NaN, infinite or all equal, or a label value is foreign to the schema.
    """
    return read_volumes(found, schema)[0]


def read_volumes(found: Found, schema: Schema) -> tuple[Case, dict[str, Volume]]:
    """Read a case as `read` does; also return its volumes, by modality and ``labels``."""
    refuse_missing(found, schema)
    first = found.images[schema.modalities[0]]
    volumes: dict[str, Volume] = {}
    for name in schema.modalities:
        origin = found.images[name]
        volume = read_volume(origin)
        refuse_bad_voxels(origin, volume.voxels)
        grid = volumes[schema.modalities[0]].grid if volumes else volume.grid
        volumes[name] = on_grid_of(origin, volume, first, grid, _SERIES_REMEDY)
    image = np.empty((*grid.shape, len(volumes)), np.float32, order="F")  # contiguous channels
    for channel, name in enumerate(schema.modalities):
        volumes[name] = replace(volumes[name], air=constant_air(volumes[name].voxels))
        image[..., channel] = without_air(volumes[name])
    classes = None
    if found.labels is not None:
        volume = read_mask(found.labels)
        volumes["labels"] = on_grid_of(found.labels, volume, first, grid, _RESAMPLE)
        remedy = "Fix the mask, or choose the cohort it belongs to."
        classes = classes_of(found.labels, volumes["labels"], schema, lambda: remedy)
    return Case(found.case, image, classes, grid), volumes


def refuse_missing(found: Found, schema: Schema) -> None:
    """Reject a case that lacks a modality of the schema.

    Raises
    ------
    InputError
        Names the image files that were ignored: one of them may be it, under another name.
    """
    missing = [name for name in schema.modalities if name not in found.images]
    if not missing:
        return
    others = (
        f" Image files under names that are not known here: {few(found.passed_over)}. Rename it,"
        " list it in a cohort.yaml (source folder), or pass it to `predict` by"
        f" {_option_of(missing[0])} FILE."
    )
    raise InputError(
        f"{found.folder}: modality {', '.join(missing)} of case {found.case} is missing, found"
        f" {sorted(found.images)}.{others if found.passed_over else ''} Add the file, or remove the"
        " case."
    )


def _option_of(modality: str) -> str:
    """The option by which `predict` takes a file of a modality."""
    return f"--{modality}" if modality in ("t1n", "t1c", "t2w", "t2f") else f"--image {modality}"


def few(names: Sequence[str], most: int = 12) -> str:
    """The first names of a list, and how many more there are."""
    return ", ".join(names[:most]) + (f" and {len(names) - most} more" if len(names) > most else "")


def refuse_bad_voxels(path: Path | Part, voxels: np.ndarray) -> None:
    """Reject an image whose voxels are all equal, or with NaN or infinite voxels; the error gives
    the command that sets those to 0.
    """
    bad = ~np.isfinite(voxels) if np.issubdtype(voxels.dtype, np.floating) else np.zeros(1, bool)
    if bad.any():
        zeroed = (
            f"image = nibabel.load({literal(str(path))}); voxels ="
            " image.get_fdata(dtype=numpy.float32); image ="
            " nibabel.Nifti1Image(numpy.where(numpy.isfinite(voxels), voxels, 0), image.affine)"
        )
        is_file = not isinstance(path, Part) and nifti.is_nifti(path)
        command = f", as by\n{repair_command(str(path), zeroed)}" if is_file else ""
        raise InputError(
            f"{path}: {np.count_nonzero(bad)} voxels are NaN or infinite. Repair or remove the"
            f" case: where they lie outside the brain, set them to 0{command}"
        )
    if voxels.min() == voxels.max():
        raise InputError(
            f"{path}: every voxel is {voxels.min():g}, the volume is empty. Fetch it again, or"
            " remove the case."
        )


def without_air(volume: Volume) -> np.ndarray:
    """Voxels minus the value of air, (X, Y, Z): in the file's dtype if that is 0, else float32."""
    if not volume.air:
        return volume.voxels
    return volume.voxels.astype(np.float32) - np.float32(volume.air)


def on_grid_of(
    path: Path | Part, volume: Volume, reference: Path | Part, expected: Grid, remedy: str
) -> Volume:
    """The volume on an expected grid; axes are permuted and flipped, with a warning, if needed.

    Parameters
    ----------
    path, reference : Path or Part
        Where the volume was read from, and whose grid is expected; for messages.
    volume : Volume
    expected : Grid
    remedy : str
        What to do if the grids differ otherwise.

    Raises
    ------
    InputError
        If they do.
    """
    difference = volume.grid.differs(expected)
    if not difference:
        return volume
    turned = onto_axes_of(volume.voxels, volume.grid, expected)
    if turned is None:
        raise InputError(
            f"{path}: lies on another grid than {reference.name}: {difference}. {remedy}"
        )
    note = (
        f"{path}: its axes run {volume.grid.orientation}, those of {reference.name}"
        f" {expected.orientation}: reordered, no voxel changed"
    )
    return replace(volume, voxels=turned, grid=expected, warnings=(*volume.warnings, note))


def read_mask(origin: Path | Part) -> Volume:
    """Read a mask; scaled label values that are nearly whole numbers are rounded, with a warning.

    Raises
    ------
    InputError
        As `read_volume`.
    """
    volume = read_volume(origin)
    if volume.scaling is None or not np.isfinite(volume.voxels).all():
        return volume
    whole = np.rint(volume.voxels)
    apart = float(np.abs(volume.voxels - whole).max())
    if not 0 < apart <= _ROUNDED:
        return volume
    note = (
        f"label values lie up to {apart:.2g} off whole numbers, since scl_slope is"
        f" {volume.scaling[0]:.6g}: rounded"
    )
    return replace(volume, voxels=whole, warnings=(*volume.warnings, note))


def classes_of(
    path: Path | Part, mask: Volume, schema: Schema, remedy: Callable[[], str]
) -> np.ndarray:
    """Class indices of a mask, (X, Y, Z) uint8.

    Parameters
    ----------
    path : Path or Part
        Where it was read from.
    mask : Volume
        From `read_mask`.
    schema : Schema
        Declares the label values.
    remedy : callable
        Gives the remedy for a value that is not declared.

    Raises
    ------
    InputError
        If a value is not declared; if the header scales the values, with the command to undo it.
    """
    try:
        return values_to_classes(mask.voxels, schema)
    except ValueError as error:
        raise InputError(
            f"{path}: {error}. {_scaled_remedy(path, mask, schema)}{remedy()}"
        ) from None


def _scaled_remedy(path: Path | Part, mask: Volume, schema: Schema) -> str:
    if mask.scaling is None or isinstance(path, Part):
        return ""
    slope, intercept = mask.scaling
    values_of_schema = {0.0, *map(float, schema.labels.values())}
    stored = {float(value) for value in np.unique(np.rint((mask.voxels - intercept) / slope))}
    unscaled = "numpy.asanyarray(image.dataobj.get_unscaled())"
    is_plain = stored <= values_of_schema
    whole = np.rint(mask.voxels)
    scaled = (
        f"Its header multiplies the stored integers by scl_slope {slope:.6g} and adds"
        f" {intercept:.6g}"
    )
    if not is_plain and (
        np.abs(mask.voxels - whole).max() > _NEARLY
        or not set(np.unique(whole).tolist()) <= values_of_schema
    ):
        return f"{scaled}. "
    values = unscaled if is_plain else "numpy.rint(image.get_fdata())"
    change = (
        f"image = nibabel.load({literal(str(path))}); image ="
        f" nibabel.Nifti1Image({values}.astype(numpy.uint8), image.affine)"
    )
    finding = (
        "the stored integers are those of the cohort; to store them unscaled"
        if is_plain
        else "as of floats saved as integers; to round them"
    )
    return f"{scaled}: {finding}:\n{repair_command(str(path), change)}\n"


def without_folder(said: str, path: Path | Part) -> str:
    """A message without the file's folder, which may contain the patient's name; commands in it
    are to be run in that folder.
    """
    said = said.removeprefix(f"{path}: ")
    for written in (str(path), literal(str(path))[1:-1]):
        for quoted in (written, written.replace("'", "'\"'\"'")):
            said = said.replace(quoted, path.name)
    return said.replace("\npython -c", "\nin its folder: python -c")


def told(found: Found, volumes: Mapping[str, Volume]) -> tuple[str, ...]:
    """Warnings from reading the files of a case, each with the names of all files it is about but
    without their folders, which may contain the patient's name.
    """
    files: dict[str, list[str]] = defaultdict(list)
    origins = {**found.images, "labels": found.labels}
    for name, volume in volumes.items():
        path = origins[name]
        assert path is not None
        for said in volume.warnings:
            files[without_folder(said, path)].append(path.name)
    return tuple(f"{', '.join(names)}: {said}" for said, names in files.items())


def as_files(found: Found, folder: Path) -> Found:
    """Write the parts of a case as NIfTI files.

    Parameters
    ----------
    found : Found
        A case, any of its modalities and mask a `Part`.
    folder : Path
        Gets ``case/case_modality.nii.gz`` for each part.

    Returns
    -------
    Found
        The same case with files instead of parts, and the checksums of the published files.

    Raises
    ------
    InputError
        If a part cannot be read.
    """
    files: dict[str, Path | Part] = {}
    made_from, origins, notes = {}, {}, [*found.notes]
    for name, part in found.parts.items():
        volume = part.read()
        files[name] = file = folder / found.case / f"{found.case}_{name}.nii.gz"
        nifti.write(file, volume.voxels, volume.grid.affine)
        made_from[file], origins[name] = part, volume.sha256
        notes += [without_folder(said, part) for said in volume.warnings]
    labels = files.pop("seg", found.labels)
    return replace(
        found,
        images=found.images | files,
        labels=labels,
        notes=tuple(notes),
        origins=origins,
        made_from=made_from,
    )


def found_in(catalogue_folder: Path, entry: CaseEntry) -> Found:
    """The files of a catalogued case, ready for `read`."""
    return Found(
        case=entry.case,
        patient=entry.patient,
        folder=catalogue_folder / entry.case,
        images={name: catalogue_folder / file.path for name, file in entry.images.items()},
        labels=catalogue_folder / entry.labels.path if entry.labels else None,
    )
