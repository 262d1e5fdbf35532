"""Raw cases: the files of a case, read and checked against each other."""

import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
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
    """Files that a source found for one case."""

    case: str
    patient: str
    folder: Path  # where the case was found, for messages
    images: dict[str, Path | Part]  # by modality
    labels: Path | Part | None  # the reference
    attributes: dict[str, str] = field(default_factory=dict)  # as published, such as ``grade``
    notes: tuple[str, ...] = ()  # warnings for metrics/verify.json
    origins: dict[str, str] = field(default_factory=dict)
    """sha256 of the published parts that files were made from, by modality and ``seg``"""
    made_from: dict[Path, Part] = field(default_factory=dict)
    """Temporary files, and the parts they were made from"""
    native: Path | None = None
    """Record of the inverse transform to the series (`pipeline.registration.native.Native`)"""
    terms: str = ""  # licence and citation, if the source leaves them to the user
    passed_over: tuple[str, ...] = ()  # image files under names the source does not know

    @property
    def parts(self) -> dict[str, Part]:
        """Modalities, and ``seg``, that are not files of their own."""
        origins = {**self.images, "seg": self.labels}
        return {name: origin for name, origin in origins.items() if isinstance(origin, Part)}

    def warnings(self, volumes: Mapping[str, Volume]) -> tuple[str, ...]:
        """The notes, and the warnings of volumes from `read_volumes`, each after the names of all
        files it is about, `without_folder`.
        """
        files: dict[str, list[str]] = defaultdict(list)
        origins = {**self.images, "labels": self.labels}
        for name, volume in volumes.items():
            path = origins[name]
            assert path is not None
            for said in volume.warnings:
                files[without_folder(said, path)].append(path.name)
        return (*self.notes, *(f"{', '.join(names)}: {said}" for said, names in files.items()))

    def in_published_names(self, message: str) -> str:
        """A message with the published files in place of those made from them."""
        if any(str(made) in message for made in self.made_from):  # no command for a temporary file
            message = re.sub(r", as by\npython -c .*", "", message)
        for made, part in self.made_from.items():
            message = message.replace(str(made), str(part)).replace(made.name, part.name)
        return message


def noted(found: Sequence[Found], note: str) -> list[Found]:
    """Add a note on every case, such as "the spacing was not published", to the first."""
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
    """Read a case and check that it is what the schema declares.

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
    first, grid = found.images[schema.modalities[0]], None
    volumes: dict[str, Volume] = {}
    for name in schema.modalities:
        origin = found.images[name]
        volume = read_volume(origin)
        refuse_bad_voxels(origin, volume.voxels)
        grid = grid or volume.grid
        volume = on_grid_of(origin, volume, first, grid, _SERIES_REMEDY)
        volumes[name] = replace(volume, air=constant_air(volume.voxels))
    assert grid is not None  # a schema has a modality
    dtype = _holding(volumes.values())
    image: np.ndarray = np.empty((*grid.shape, len(volumes)), dtype, order="F")
    for channel, volume in enumerate(volumes.values()):
        image[..., channel] = without_air(volume)
    classes = None
    if found.labels is not None:
        volume = read_mask(found.labels)
        volumes["labels"] = on_grid_of(found.labels, volume, first, grid, _RESAMPLE)
        remedy = "Fix the mask, or choose the cohort it belongs to."
        classes = classes_of(found.labels, volumes["labels"], schema, lambda: remedy)
    return Case(found.case, image, classes, grid), volumes


def _holding(volumes: Iterable[Volume]) -> type:
    fits = (np.can_cast(volume.voxels.dtype, np.int16) and not volume.air for volume in volumes)
    return np.int16 if all(fits) else np.float32


def refuse_missing(
    found: Found, schema: Schema, remedy: str = "Add the file, or remove the case."
) -> None:
    """Raise InputError if a case lacks a modality of the schema; it names the image files that were
    ignored, one of which may be it, and ends in `remedy`.
    """
    missing = [name for name in schema.modalities if name not in found.images]
    if missing:
        option = "" if missing[0] in ("t1n", "t1c", "t2w", "t2f") else "image "
        others = (
            f" Image files under names that are not known here: {few(found.passed_over)}. Rename"
            " it, list it in a cohort.yaml (source folder), or pass it to `predict` by"
            f" --{option}{missing[0]} FILE."
        )
        raise InputError(
            f"{found.folder}: modality {', '.join(missing)} of case {found.case} is missing, found"
            f" {sorted(found.images)}.{others if found.passed_over else ''} {remedy}"
        )


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
    """The volume of `path` on the grid of `reference`, its axes reordered with a warning if needed.

    Raises
    ------
    InputError
        If the grids differ otherwise; ends in `remedy`.
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
    """Read a mask; scaled label values nearly whole are rounded with a warning."""
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
    """Class indices of a mask from `read_mask`, (X, Y, Z) uint8.

    Raises
    ------
    InputError
        If the schema does not declare a value; ends in `remedy`, after the command that undoes a
        scaling by the header.
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
    declared = {0.0, *map(float, schema.labels.values())}
    whole = np.rint(mask.voxels)
    is_nearly_whole = np.abs(mask.voxels - whole).max() <= _NEARLY
    scaled = (
        f"Its header multiplies the stored integers by scl_slope {slope:.6g} and adds"
        f" {intercept:.6g}"
    )
    if set(np.unique(np.rint((mask.voxels - intercept) / slope)).tolist()) <= declared:
        values = "numpy.asanyarray(image.dataobj.get_unscaled())"
        finding = "the stored integers are those of the cohort; to store them unscaled"
    elif is_nearly_whole and set(np.unique(whole).tolist()) <= declared:
        values = "numpy.rint(image.get_fdata())"
        finding = "as of floats saved as integers; to round them"
    else:
        return f"{scaled}. "
    change = (
        f"image = nibabel.load({literal(str(path))}); image ="
        f" nibabel.Nifti1Image({values}.astype(numpy.uint8), image.affine)"
    )
    return f"{scaled}: {finding}:\n{repair_command(str(path), change)}\n"


def without_folder(said: str, path: Path | Part) -> str:
    """A message without the file's folder, which may contain the patient's name; commands in it are
    to be run in that folder.
    """
    said = said.removeprefix(f"{path}: ")
    for written in (str(path), literal(str(path))[1:-1]):
        for quoted in (written, written.replace("'", "'\"'\"'")):
            said = said.replace(quoted, path.name)
    return said.replace("\npython -c", "\nin its folder: python -c")


def as_files(found: Found, folder: Path) -> Found:
    """Write the parts of a case as ``case/case_modality.nii.gz`` into a folder.

    Returns
    -------
    Found
        The same case with files instead of parts, and the checksums of the published files.
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
