"""Raw cases: read every modality and the reference of one case, and check them against each other."""

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

_ROUNDED = 0.05  # farthest that a scaled label value may lie off a whole number
_NEARLY = 0.2  # the same, to be rounded by the user
_RESAMPLE = "Resample it onto that grid, or mend its header."
_SERIES_REMEDY = (
    "Series as acquired, each on a grid of its own, are brought to one grid by `python -m pipeline"
    " predict --native`, or for `download` by native.enabled: true in params.yaml. Resample any"
    " other file onto that grid, or mend its header."
)


@dataclass(frozen=True)
class Found:
    """Files that a source takes for one case.

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
        What the source tells of the case, such as ``grade`` or the published ``fold``.
    notes : tuple of str
        What the user should know of it, for the warnings of metrics/verify.json.
    origins : dict of str to str
        Of files that were made from parts: the sha256 of what was published, by modality and
        ``seg``.
    made_from : dict of Path to Part
        The files that were made from parts, which are gone when a message is read.
    native : Path or None
        The way back to the series as acquired (`pipeline.registration.native.Native`), where they
        were brought to one grid.
    terms : str
        Licence and citation, where the source leaves them to the user.
    passed_over : tuple of str
        Names of image files beside them that fit no name the source knows.
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
        """Modalities, and ``seg``, that are no files of their own."""
        return {
            name: origin
            for name, origin in (self.images | {"seg": self.labels}).items()
            if isinstance(origin, Part)
        }

    def in_published_names(self, message: str) -> str:
        """A message with the published files in place of those made from them."""
        if any(str(made) in message for made in self.made_from):
            message = re.sub(
                r", as by\npython -c .*", "", message
            )  # a command for a file that is gone
        for made, part in self.made_from.items():
            message = message.replace(str(made), str(part)).replace(made.name, part.name)
        return message


def noted(found: Sequence[Found], note: str) -> list[Found]:
    """Cases of which a note holds alike, told once: by the first of them.

    Parameters
    ----------
    found : sequence of Found
        At least one.
    note : str
        A sentence without its start, as "the spacing was not published".

    Returns
    -------
    list of Found
        The same cases.
    """
    return with_note(found, f"here and in all other cases {note}")


def with_note(found: Sequence[Found], note: str) -> list[Found]:
    """Cases, at least one, of which the first says something of the whole cohort."""
    first, *others = found
    return [replace(first, notes=(*first.notes, note)), *others]


def noting_passed_over(found: Sequence[Found], files: Sequence[Path]) -> list[Found]:
    """Cases of which the first notes the volumes among some files, which fit no name that the
    source knows.
    """
    others = [path.name for path in files if is_volume(path)]
    if not others:
        return list(found)
    return with_note(
        found,
        f"in the whole folder {len(others)} image files fit no name that is known, and were passed"
        f" over: {few(others, 5)}",
    )


def read_volume(origin: Path | Part) -> Volume:
    """Read a modality or mask, wherever it stands."""
    if isinstance(origin, Part):
        return origin.read()
    return (
        metaimage.read(origin) if origin.suffix.lower() in (".mha", ".mhd") else nifti.read(origin)
    )


def read(found: Found, schema: Schema) -> Case:
    """Read a case, refusing what cannot be used.

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
    """Read a case as `read` does, and give the volumes it was made of as well, by modality and
    ``labels``.
    """
    refuse_missing(found, schema)
    first = schema.modalities[0]
    volumes = {}
    for name in schema.modalities:
        volume = read_volume(found.images[name])
        refuse_bad_voxels(found.images[name], volume.voxels)
        volumes[name] = on_grid_of(
            found.images[name],
            volume,
            found.images[first],
            volumes.get(first, volume).grid,
            _SERIES_REMEDY,
        )
    grid = volumes[first].grid
    image = np.empty(
        (*grid.shape, len(volumes)), np.float32, order="F"
    )  # channels apart, as the files lie
    for channel, name in enumerate(schema.modalities):
        volumes[name] = replace(volumes[name], air=constant_air(volumes[name].voxels))
        image[..., channel] = without_air(volumes[name])
    classes = None
    if found.labels is not None:
        volume = read_mask(found.labels)
        volumes["labels"] = on_grid_of(found.labels, volume, found.images[first], grid, _RESAMPLE)
        classes = classes_of(
            found.labels,
            volumes["labels"],
            schema,
            lambda: "Mend the mask, or choose the cohort it belongs to.",
        )
    return Case(found.case, image, classes, grid), volumes


def refuse_missing(found: Found, schema: Schema) -> None:
    """Refuse a case that lacks a modality of the schema.

    Raises
    ------
    InputError
        Names the image files that were passed over: one of them may be it, under another name.
    """
    missing = [name for name in schema.modalities if name not in found.images]
    if not missing:
        return
    others = (
        f" Image files under names that are not known here: {few(found.passed_over)}. Rename it,"
        " let a cohort.yaml name the files (source folder), or name it to `predict` by"
        f" {option_of(missing[0])} FILE."
    )
    raise InputError(
        f"{found.folder}: modality {', '.join(missing)} of case {found.case} is missing, found"
        f" {sorted(found.images)}.{others if found.passed_over else ''} Add the file, or remove the"
        " case."
    )


def option_of(modality: str) -> str:
    """The option by which `predict` takes a file of a modality."""
    return f"--{modality}" if modality in ("t1n", "t1c", "t2w", "t2f") else f"--image {modality}"


def few(names: Sequence[str], most: int = 12) -> str:
    """The first of some names, and how many more there are."""
    return ", ".join(names[:most]) + (f" and {len(names) - most} more" if len(names) > most else "")


def refuse_bad_voxels(path: Path | Part, voxels: np.ndarray) -> None:
    """Refuse an image with NaN or infinite voxels, with the command that sets them to 0, or one
    whose voxels are all equal.
    """
    bad = ~np.isfinite(voxels) if np.issubdtype(voxels.dtype, np.floating) else np.zeros(1, bool)
    if bad.any():
        zeroed = (
            f"image = nibabel.load({literal(str(path))}); voxels ="
            " image.get_fdata(dtype=numpy.float32); image ="
            " nibabel.Nifti1Image(numpy.where(numpy.isfinite(voxels), voxels, 0), image.affine)"
        )
        command = (
            ""
            if isinstance(path, Part) or not nifti.is_nifti(path)
            else f", as by\n{repair_command(str(path), zeroed)}"
        )
        raise InputError(
            f"{path}: {np.count_nonzero(bad)} voxels are NaN or infinite. Repair or remove the"
            f" case: where they lie outside of the brain, set them to 0{command}"
        )
    if voxels.min() == voxels.max():
        raise InputError(
            f"{path}: every voxel is {voxels.min():g}, the volume is empty. Fetch it again, or"
            " remove the case."
        )


def without_air(volume: Volume) -> np.ndarray:
    """Voxels of a modality less its air, (X, Y, Z): in the file's dtype where air is 0, else
    float32.
    """
    return (
        volume.voxels.astype(np.float32) - np.float32(volume.air) if volume.air else volume.voxels
    )


def on_grid_of(
    path: Path | Part, volume: Volume, reference: Path | Part, expected: Grid, remedy: str
) -> Volume:
    """The volume on an expected grid, its axes permuted and flipped, with a warning, if that is all
    there is between the two.

    Parameters
    ----------
    path, reference : Path or Part
        Where the volume was read from, and whose grid is expected; for messages.
    volume : Volume
    expected : Grid
    remedy : str
        What to do where the two differ otherwise.

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
    """Read a mask; label values that a header scales to nearly whole numbers are rounded, with a
    warning.

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
        Says what to do about a value it does not declare.

    Raises
    ------
    InputError
        If a value is foreign; where the header scales the values, with the command that undoes it.
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
    if not is_plain and (
        np.abs(mask.voxels - whole).max() > _NEARLY
        or not set(np.unique(whole).tolist()) <= values_of_schema
    ):
        return (
            f"Its header multiplies the stored integers by scl_slope {slope:.6g} and adds"
            f" {intercept:.6g}. "
        )
    values = unscaled if is_plain else "numpy.rint(image.get_fdata())"
    change = (
        f"image = nibabel.load({literal(str(path))}); image ="
        f" nibabel.Nifti1Image({values}.astype(numpy.uint8), image.affine)"
    )
    finding = (
        "the stored integers are those of the cohort"
        if is_plain
        else "as of floats saved as integers; to round them"
    )
    return (
        f"Its header multiplies the stored integers by scl_slope {slope:.6g} and adds"
        f" {intercept:.6g}: {finding}:\n{repair_command(str(path), change)}\n"
    )


def without_folder(said: str, path: Path | Part) -> str:
    """What was said of a file, its folder left out, which may bear the patient's name; commands in
    it are for that folder.
    """
    said = said.removeprefix(f"{path}: ")
    for written in (str(path), literal(str(path))[1:-1]):
        for quoted in (written, written.replace("'", "'\"'\"'")):
            said = said.replace(quoted, path.name)
    return said.replace("\npython -c", "\nin its folder: python -c")


def told(found: Found, volumes: Mapping[str, Volume]) -> tuple[str, ...]:
    """What reading the files of a case told, once for all of which it holds; without their folders,
    which may bear the patient's name.
    """
    files: dict[str, list[str]] = defaultdict(list)
    for name, volume in volumes.items():
        path = found.labels if name == "labels" else found.images[name]
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
        The same case with files instead of parts, and the sums of what they were taken from.

    Raises
    ------
    InputError
        If a part cannot be read.
    """
    files, origins, notes = {}, {}, [*found.notes]
    for name, part in found.parts.items():
        volume = part.read()
        files[name] = folder / found.case / f"{found.case}_{name}.nii.gz"
        nifti.write(files[name], volume.voxels, volume.grid.affine)
        origins[name] = volume.sha256
        notes += [without_folder(said, part) for said in volume.warnings]
    made_from = {files[name]: part for name, part in found.parts.items()}
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
        labels=entry.labels and catalogue_folder / entry.labels.path,
    )
