"""Saving a reader's correction as a case of the cohort of corrected cases."""

import logging
import math
import re
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
from filelock import FileLock

from ..cohorts.source import require_plain_name
from ..core.case import Case
from ..core.errors import InputError
from ..core.grid import from_canonical
from ..core.records import sha256, write_json
from ..core.regions import classes_to_regions, classes_to_values
from ..core.schema import Schema
from ..formats import nifti
from ..metrics.overlap import overlap
from ..verification.fingerprints import content_sha256
from ..verification.plausibility import skull_stripped
from ..verification.thumbnail import favourite
from . import cohort, record
from .record import Changed, Correction, Earlier, Stored
from .versions import PARTIAL, keep, put, tidy

log = logging.getLogger(__name__)

_LONGEST_READER = 80


@dataclass(frozen=True)
class Facts:
    """What is known of a correction beside its voxels.

    Attributes
    ----------
    reader : str
        Who corrected the labels: 1 to 80 printable characters.
    manifest : mapping
        The run manifest of the prediction: `Segmentation.record`, or the content of the file beside
        the labels.
    seconds : float or None
        How long the reader worked, in s.
    patient : str
        Name of the patient; empty if the case is the only one of its patient.
    """

    reader: str
    manifest: Mapping[str, Any]
    seconds: float | None = None
    patient: str = ""


def save(
    place: Path,
    case: Case,
    classes: np.ndarray,
    predicted: np.ndarray,
    schema: Schema,
    facts: Facts,
) -> Path:
    """Save a corrected case into a cohort that `cohort.source: folder` reads.

    Writes ``<place>/<case>/`` with ``<case>-<modality>.nii.gz``, ``<case>-seg.nii.gz`` and
    ``correction.json`` (`Correction`), and beside it ``cohort.yaml`` and ``corrections.csv``. A
    version of a case is there whole or not at all. The one before it is kept in its folder
    ``.earlier``, with its images if they are others. A case that was corrected under another name,
    by its files or voxels, gets its next version there. One process at a time writes.

    Parameters
    ----------
    place : Path
        Folder of the cohort, such as data/corrected; made if needed, for its owner alone.
    case : Case
        As the network segmented it (`Segmentation.case`): the image (X, Y, Z, C) with all
        modalities of the schema in its order, of registered series on their common grid with the
        brain extracted. Its name may be another than that of the prediction.
    classes, predicted : (X, Y, Z) uint8 arrays
        Class indices as corrected and as predicted (`Segmentation.classes`), on the case's own
        grid: 0 for background, 1..K in the order of the labels. `of_canonical` makes them of the
        voxels of a viewer.
    schema : Schema
        Of the labels (`Segmentation.schema`).
    facts : Facts

    Returns
    -------
    Path
        The folder of the case.

    Raises
    ------
    InputError
        If names or arrays are not valid; a modality is missing; the case has a skull, but the cases
        of the training had none, or the reverse; the cohort is one of other labels or modalities;
        the record of this case is damaged; or the files cannot be written. Nothing has changed
        then.
    """
    require_plain_name(case.name, place)
    if case.name.startswith("."):
        raise InputError(f"{place}: the name of case {case.name!r} begins with a dot. Rename it.")
    _require_fitting(case, classes, predicted, schema, facts)
    place.mkdir(mode=0o700, parents=True, exist_ok=True)  # images of patients
    with _writing(place), FileLock(place / ".lock"):
        tidy(place)
        cohort.prepare(place, schema)
        return _save(place, (case, classes, predicted), schema, facts)


def of_canonical(drawn: bytes, case: Case, schema: Schema) -> np.ndarray:
    """Class indices (X, Y, Z) uint8 on the case's own grid, of the voxels of a viewer.

    Parameters
    ----------
    drawn : bytes
        A byte a voxel on canonical axes (RAS+), the first axis fastest.

    Raises
    ------
    InputError
        If there are too few or too many, or one is no class of the schema.
    """
    expected = math.prod(case.grid.shape)
    if len(drawn) != expected:
        raise InputError(
            f"{case.name}: the correction has {len(drawn)} voxels, the case {expected}. Open the"
            " case again."
        )
    classes = from_canonical(np.frombuffer(drawn, np.uint8), case.grid)
    _require_known("the correction", classes, schema)
    return classes


_Voxels = tuple[Case, np.ndarray, np.ndarray]  # case, corrected and predicted classes


def _save(place: Path, voxels: _Voxels, schema: Schema, facts: Facts) -> Path:
    name = voxels[0].name
    known, damaged = cohort.readable(place)
    if name in damaged:
        raise InputError(damaged[name])
    for fault in damaged.values():
        log.warning("%s It is passed over.", fault)
    same = _same_examination(voxels[0], schema, facts, known)
    folder = place / (same[0].case if same else name)
    if folder.exists() and not same:
        raise InputError(
            f"{folder}: exists, but has no {record.NAME}. Move it away, or give this case another"
            " name."
        )
    partial = folder.with_name(f"{PARTIAL}{folder.name}")
    try:
        made = _write(partial, folder, same, voxels, schema, facts)
        others = [one for one in known if one not in same]
        # a row without files is only noted, files without a row are an error
        cohort.write_table(place, [*others, *same[1:], made], damaged)
        put(partial, folder, [place / one.case for one in same[1:]])
        if same[1:]:
            cohort.write_table(place, [*others, made], damaged)
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    return folder


def _same_examination(
    case: Case, schema: Schema, facts: Facts, known: Sequence[Correction]
) -> list[Correction]:
    """The corrections that a case replaces: first that of its name, then those of the same files or
    with an image of its voxels, which no cohort may have twice.
    """
    inputs = record.predicted_of(facts.manifest, "").inputs
    contents = _contents(case, schema)
    own = [one for one in known if one.case == case.name]
    return [*own, *(one for one in known if one not in own and one.is_of(inputs, contents))]


def _write(
    partial: Path,
    folder: Path,
    same: Sequence[Correction],
    voxels: _Voxels,
    schema: Schema,
    facts: Facts,
) -> Correction:
    """Write the next version of a case into a folder of its own."""
    case = replace(voxels[0], name=folder.name)
    contents = _contents(case, schema)
    earlier: tuple[Earlier, ...] = ()
    if same:
        kept = keep(folder, same[0], partial, same[0].voxels != contents)
        earlier = (*same[0].earlier, kept)
    images = {}
    for channel, name in enumerate(schema.modalities):
        path = partial / cohort.image_name(case.name, name)
        nifti.write(path, case.image[..., channel], case.grid.affine)
        images[name] = _stored(path, contents[name])
    labels = _write_labels(partial, case, voxels[1], schema)
    known = [one.patient for one in same if one.patient != one.case]
    facts = replace(facts, patient=facts.patient or next(iter(known), case.name))
    made = _correction((case, *voxels[1:]), schema, facts, images, labels, earlier)
    write_json(partial / record.NAME, made)
    return made


def _write_labels(folder: Path, case: Case, classes: np.ndarray, schema: Schema) -> Stored:
    path, values = folder / cohort.labels_name(case.name), classes_to_values(classes, schema)
    nifti.write(path, values, case.grid.affine, "TumorFlow, corrected")
    return _stored(path, content_sha256(values, case.grid))


def _correction(
    voxels: _Voxels,
    schema: Schema,
    facts: Facts,
    images: Mapping[str, Stored],
    labels: Stored,
    earlier: tuple[Earlier, ...],
) -> Correction:
    case, classes, predicted = voxels
    before = content_sha256(classes_to_values(predicted, schema), case.grid)
    return Correction(
        format_version=record.FORMAT_VERSION,
        use="Research use only, not for diagnosis.",
        case=case.name,
        patient=facts.patient,
        version=len(earlier) + 1,
        reader=facts.reader.strip(),
        corrected=datetime.now(UTC).isoformat(timespec="seconds"),
        seconds=facts.seconds,
        prediction=record.predicted_of(facts.manifest, before),
        images=dict(images),
        labels=labels,
        changed=_changed(classes, predicted, schema),
        voxels_changed=int(np.count_nonzero(classes != predicted)),
        dice=_dice(classes, predicted, schema),
        earlier=earlier,
    )


def _changed(classes: np.ndarray, predicted: np.ndarray, schema: Schema) -> dict[str, Changed]:
    differing = classes != predicted
    after, before = (
        np.bincount(voxels[differing], minlength=len(schema.labels) + 1)
        for voxels in (classes, predicted)
    )
    return {
        name: Changed(added=int(after[index]), removed=int(before[index]))
        for index, name in enumerate(schema.labels, 1)
    }


def _dice(classes: np.ndarray, predicted: np.ndarray, schema: Schema) -> dict[str, float | None]:
    after, before = (classes_to_regions(voxels, schema) for voxels in (classes, predicted))
    found = {
        name: overlap(after[..., column], before[..., column]).dice
        for column, name in enumerate(schema.regions)
    }
    return {name: None if math.isnan(dice) else round(dice, 4) for name, dice in found.items()}


def _contents(case: Case, schema: Schema) -> dict[str, str]:
    """Hash of the voxels of each modality."""
    return {
        name: content_sha256(case.image[..., channel], case.grid)
        for channel, name in enumerate(schema.modalities)
    }


def _stored(path: Path, content: str) -> Stored:
    return Stored(file=path.name, sha256=sha256(path), content_sha256=content)


def _require_fitting(
    case: Case, classes: np.ndarray, predicted: np.ndarray, schema: Schema, facts: Facts
) -> None:
    """Raise InputError unless a correction can become a training case."""
    if not re.fullmatch(rf"[^\W_].{{,{_LONGEST_READER - 1}}}", facts.reader.strip()) or (
        not facts.reader.strip().isprintable()
    ):
        raise InputError(
            f"reader: expected a name of 1 to {_LONGEST_READER} characters that begins with a"
            f" letter or digit, got {facts.reader[:100]!r}."
        )
    if facts.seconds is not None and not 0 <= facts.seconds < math.inf:
        raise InputError(f"seconds: expected 0 or more, got {facts.seconds}.")
    if case.image.shape[-1] != len(schema.modalities):
        missing = ", ".join(facts.manifest.get("missing_modalities", ())) or "some"
        raise InputError(
            f"{case.name}: modalities are missing ({missing}), but a network is trained on cases"
            f" that have all of {', '.join(schema.modalities)}. Segment the case with all of them,"
            " then correct it."
        )
    for what, voxels in (("the correction", classes), ("the prediction", predicted)):
        if voxels.dtype != np.uint8 or voxels.shape != case.grid.shape:
            raise InputError(
                f"{case.name}: {what} has shape {voxels.shape} and dtype {voxels.dtype}, expected"
                f" {case.grid.shape} and uint8."
            )
        _require_known(what, voxels, schema)
    if schema.types and np.unique(classes[classes > 0]).size > 1:
        raise InputError(f"{case.name}: the correction has several types of tumour, expected one.")
    _require_alike(case, schema, facts.manifest)


def _require_known(what: str, classes: np.ndarray, schema: Schema) -> None:
    if (highest := int(classes.max(initial=0))) > len(schema.labels):
        raise InputError(
            f"{what} has the class {highest}, but the labels {', '.join(schema.labels)} are"
            f" 1 to {len(schema.labels)}."
        )


def _require_alike(case: Case, schema: Schema, manifest: Mapping[str, Any]) -> None:
    """Raise InputError if a case has a skull, but the cases of the training had none, or the
    reverse.
    """
    trained = (manifest.get("model") or {}).get("stripped")
    shown = case.image[..., favourite(schema.modalities)]
    stripped = skull_stripped(shown, case.grid.spacing_mm)
    if trained and stripped is False:
        raise InputError(
            f"{case.name}: the skull is on, but the network was trained on brains alone. Segment"
            " the case with --native, which extracts the brain, then correct it."
        )
    if trained is False and stripped:
        raise InputError(
            f"{case.name}: the skull was removed, but the network was trained on heads with it:"
            " this case is none to train it on."
        )


@contextmanager
def _writing(place: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise InputError(
            f"{place}: the correction cannot be written ({error.strerror}). Make room on the disk,"
            " or allow writing, then save it again."
        ) from None
