"""Cases as acquired, registered to one grid and written there with the inverse transform."""

import functools
from dataclasses import replace
from pathlib import Path

from ..core.errors import InputError
from ..core.grid import onto_axes_of
from ..core.records import write_json
from ..formats import nifti
from ..formats.background import constant_air
from ..formats.raw_cases import Found, read_mask, read_volume, refuse_bad_voxels, without_air
from ..formats.template import read_template
from ..formats.volume import Volume
from ..verification.plausibility import faults
from .mutual_information import Sampled
from .native import Aligned, Template, align, labels_from_series, mni_template
from .params import NativeRecipe


@functools.cache  # once in every process
def template() -> Template:
    """The MNI152 brain in the pose of BraTS."""
    return mni_template(read_template("t1"))


def align_case(found: Found, recipe: NativeRecipe) -> tuple[Aligned, dict[str, Volume]]:
    """Read the series of a case and register them to one grid.

    Also returns the series as acquired, by modality. Raises InputError if a series cannot be read
    or registered.
    """
    volumes, series = {}, {}
    for name, origin in found.images.items():
        volume = read_volume(origin)
        refuse_bad_voxels(origin, volume.voxels)
        volumes[name] = replace(volume, air=constant_air(volume.voxels))
        series[name] = Sampled(
            without_air(volumes[name]), volume.grid
        )  # beyond a series' own grid there is 0
    try:
        return align(series, template(), recipe), volumes
    except InputError as error:
        raise InputError(f"{found.folder}: {error}") from None


def write_aligned(found: Found, folder: Path, recipe: NativeRecipe) -> Found:
    """Register a case and write it on one grid.

    Parameters
    ----------
    found : Found
    folder : Path
        Gets ``case/case_modality.nii.gz`` (float32), the mask likewise, and
        ``case/case_native.json`` (`Native`), the inverse transform.
    recipe : NativeRecipe

    Returns
    -------
    Found
        The same case there.

    Raises
    ------
    InputError
        As `align_case`, and if the mask lies on the grid of no series.
    """
    aligned, volumes = align_case(found, recipe)
    place = lambda name: folder / found.case / f"{found.case}_{name}.nii.gz"  # noqa: E731
    for name, voxels in aligned.images.items():
        nifti.write(place(name), voxels, aligned.native.grid.affine)
    origins = {name: volume.sha256 for name, volume in volumes.items()}
    labels, read = found.labels, volumes
    if labels is not None:
        mask = read_mask(labels)
        reordered = (
            (name, onto_axes_of(mask.voxels, mask.grid, volume.grid))
            for name, volume in volumes.items()
        )
        drawn_on, drawn = next((pair for pair in reordered if pair[1] is not None), ("", None))
        if drawn is None:
            raise InputError(
                f"{labels}: the mask lies on the grid of none of the series {sorted(volumes)}."
                " Resample it onto the series it was drawn on."
            )
        nifti.write(
            place("seg"),
            labels_from_series(drawn, aligned.native, drawn_on),
            aligned.native.grid.affine,
        )
        labels, origins["seg"], read = place("seg"), mask.sha256, volumes | {"labels": mask}
    back = folder / found.case / f"{found.case}_native.json"
    write_json(back, aligned.native)
    own = faults(volumes, aligned.native.grid, None)  # of the series before resampling
    notes = (*found.warnings(read), *(f"{fault.what} ({fault.found})" for fault in own))
    return replace(
        found,
        images={name: place(name) for name in volumes},
        labels=labels,
        origins=origins,
        native=back,
        notes=notes,
    )
