"""Raw cases: read every modality and the reference of one case, and check them against each other."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from pipeline.domain.case import Case
from pipeline.domain.catalogue import CaseEntry
from pipeline.domain.errors import InputError
from pipeline.domain.grid import Grid
from pipeline.domain.regions import values_to_classes
from pipeline.domain.schema import Schema
from pipeline.io import metaimage, nifti
from pipeline.io.volume import Part, Volume

ENDINGS = (".nii", ".nii.gz", ".mha", ".mhd")  # of files that `read_volume`, or a `Part`, reads


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
        One per modality present: a file of its own (NIfTI or MetaImage), or a part of something else.
    labels : Path, Part or None
        The reference.
    attributes : dict of str to str
        What the source tells of the case, such as ``grade`` or the published ``fold``.
    notes : tuple of str
        What the user should know of it, for the warnings of metrics/verify.json.
    origins : dict of str to str
        Of files that were made from parts: the sha256 of what was published, by modality and ``seg``.
    made_from : dict of Path to Part
        The files that were made from parts, which are gone when a message is read.
    native : Path or None
        The way back to the series as acquired (`pipeline.domain.native.Native`), where they were brought to one grid.
    terms : str
        Licence and citation, where the source leaves them to the user.
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

    @property
    def parts(self) -> dict[str, Part]:
        """Modalities, and ``seg``, that are no files of their own."""
        return {name: origin for name, origin in (self.images | {"seg": self.labels}).items() if isinstance(origin, Part)}

    def in_published_names(self, message: str) -> str:
        """A message with the published files in place of those made from them."""
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
    first, *others = found
    return [replace(first, notes=(*first.notes, f"here and in all other cases {note}")), *others]


def read_volume(origin: Path | Part) -> Volume:
    """Read a modality or mask, wherever it stands."""
    if isinstance(origin, Part):
        return origin.read()
    return metaimage.read(origin) if origin.suffix.lower() in (".mha", ".mhd") else nifti.read(origin)


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
        If a modality is missing, a file is not readable, an affine cannot be trusted, grids differ, voxels are NaN,
        infinite or all equal, or a label value is foreign to the schema.
    """
    return read_volumes(found, schema)[0]


def read_volumes(found: Found, schema: Schema) -> tuple[Case, dict[str, Volume]]:
    """Read a case as `read` does, and give the volumes it was made of as well, by modality and ``labels``."""
    missing = [name for name in schema.modalities if name not in found.images]
    if missing:
        raise InputError(
            f"{found.folder}: modality {', '.join(missing)} of case {found.case} is missing, found {sorted(found.images)}. "
            "Add the file, or remove the case."
        )
    volumes = {name: read_volume(found.images[name]) for name in schema.modalities}
    first = schema.modalities[0]
    grid = volumes[first].grid
    for name in schema.modalities:
        _refuse_bad_voxels(found.images[name], volumes[name].voxels)
        _refuse_other_grid(found.images[name], volumes[name].grid, found.images[first], grid)
    image = np.empty((*grid.shape, len(volumes)), np.float32, order="F")  # channels apart, as the files lie
    for channel, name in enumerate(schema.modalities):
        image[..., channel] = volumes[name].voxels
    classes = None
    if found.labels is not None:
        volumes["labels"] = read_volume(found.labels)
        _refuse_other_grid(found.labels, volumes["labels"].grid, found.images[first], grid)
        try:
            classes = values_to_classes(volumes["labels"].voxels, schema)
        except ValueError as error:
            raise InputError(f"{found.labels}: {error}. Mend the mask, or choose the cohort it belongs to.") from None
    return Case(found.case, image, classes, grid), volumes


def _refuse_bad_voxels(path: Path, voxels: np.ndarray) -> None:
    if not np.isfinite(voxels).all():
        raise InputError(f"{path}: {np.count_nonzero(~np.isfinite(voxels))} voxels are NaN or infinite. Repair or remove the case.")
    if voxels.min() == voxels.max():
        raise InputError(f"{path}: every voxel is {voxels.min():g}, the volume is empty. Fetch it again, or remove the case.")


def _refuse_other_grid(path: Path, grid: Grid, reference: Path, expected: Grid) -> None:
    difference = grid.differs(expected)
    if difference:
        raise InputError(
            f"{path}: lies on another grid than {reference.name}: {difference}. Resample it onto that grid, or mend its header."
        )


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
        notes += [said.replace(str(part), part.name) for said in volume.warnings]
    made_from = {files[name]: part for name, part in found.parts.items()}
    labels = files.pop("seg", found.labels)
    return replace(found, images=found.images | files, labels=labels, notes=tuple(notes), origins=origins, made_from=made_from)


def found_in(catalogue_folder: Path, entry: CaseEntry) -> Found:
    """The files of a catalogued case, ready for `read`."""
    return Found(
        case=entry.case,
        patient=entry.patient,
        folder=catalogue_folder / entry.case,
        images={name: catalogue_folder / file.path for name, file in entry.images.items()},
        labels=entry.labels and catalogue_folder / entry.labels.path,
    )
