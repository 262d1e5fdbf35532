"""The record of a corrected case: who changed what, when, in the labels of which network."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, ValidationError

from ..core.corrected import RECORD
from ..core.errors import InputError
from ..core.params import explain
from ..core.records import read_small
from ..core.strict import Strict

NAME = RECORD
FORMAT_VERSION: Literal[1] = 1
_LARGEST = 2**24  # bytes of a record


class Described(Strict, use_attribute_docstrings=True):
    """A part of the record, whose keys are described in its schema."""


class Input(Described):
    """A file that the network segmented."""

    file: str
    """Name without folder, as in the run manifest."""
    sha256: str
    """Of the file as it was on disk; of a DICOM series, of its files together."""


class Predicted(Described):
    """The prediction that was corrected: the essentials of its run manifest."""

    network_sha256: str
    """Of the file of the network."""
    card_sha256: str
    """Of card.json."""
    inference_sha256: str
    """Of inference.json."""
    data_hash: str
    """Of the data of the network's training: sha256 of catalogue and split."""
    cohort: str
    """Name of the cohort of the training."""
    tumorflow: str
    """Version of this project."""
    engine: str
    """What ran the network."""
    native: bool
    """Whether series as acquired were registered to one grid and the brain was extracted."""
    inputs: dict[str, Input]
    """Files that were segmented, by modality."""
    quality: str
    """The quality flag."""
    created: str
    """Time of the prediction, ISO 8601 in UTC."""
    content_sha256: str
    """Of the label values as predicted, whatever the file format."""


class Stored(Described):
    """A file of the corrected case."""

    file: str
    """Name in the folder of the case."""
    sha256: str
    """Of the bytes of the file."""
    content_sha256: str
    """Of the voxel values, whatever the file format, as in data/raw/catalogue.json."""


class Changed(Described):
    """Voxels of a label that the reader changed."""

    added: int
    """Voxels that have the label in the correction alone."""
    removed: int
    """Voxels that have the label in the prediction alone."""


class Earlier(Described):
    """An earlier correction of the same case, kept in the folder of the case."""

    version: int
    """1 for the first."""
    reader: str
    """Who corrected it."""
    corrected: str
    """When, ISO 8601 in UTC."""
    labels: str
    """File of its labels, relative to the folder of the case."""
    record: str
    """File of its record, likewise."""
    sha256: str
    """Of the file of its labels."""
    images: dict[str, str] = Field(default_factory=dict)
    """Files of its images by modality, likewise; empty where the next correction has the same."""


class Correction(Described):
    """Who changed what, when, in the labels of which network."""

    format_version: Literal[1]
    """Of this record; it grows by one where a key changes its meaning or goes."""
    use: str
    """What the case may be used for."""
    case: str
    """Name of the case."""
    patient: str
    """Name of the patient; cases of one patient are never in two parts of a split."""
    version: int
    """1 for the first correction of the case."""
    reader: str
    """Who corrected it, as they gave it."""
    corrected: str
    """When it was saved, ISO 8601 in UTC."""
    seconds: float | None
    """How long the reader worked on it, in s; null if unknown."""
    prediction: Predicted
    """What was corrected."""
    images: dict[str, Stored]
    """Images by modality."""
    labels: Stored
    """The corrected labels."""
    changed: dict[str, Changed]
    """Changed voxels by label."""
    voxels_changed: int
    """Voxels whose label differs between prediction and correction."""
    dice: dict[str, float | None]
    """Dice of the prediction against the correction, by region; null where both are empty."""
    earlier: tuple[Earlier, ...]
    """Earlier corrections, the first one first."""

    @property
    def voxels(self) -> dict[str, str]:
        """Hash of the voxels of each image."""
        return {name: stored.content_sha256 for name, stored in self.images.items()}

    def is_of(self, inputs: Mapping[str, Input], voxels: Mapping[str, str]) -> bool:
        """Whether it is of an examination: of the files that were segmented, or with one of its
        images, by their hashes.
        """
        own = inputs_of(self.prediction.inputs)
        if own and own == inputs_of(inputs):
            return True
        return not set(self.voxels.values()).isdisjoint(voxels.values())


def inputs_of(inputs: Mapping[str, Input]) -> frozenset[tuple[str, str]]:
    """Modality and hash of the files that were segmented."""
    return frozenset((name, file.sha256) for name, file in inputs.items())


def read(path: Path) -> Correction:
    """Read the record of a corrected case; InputError if it cannot be read or is of another
    format.
    """
    stored = read_small(path, _LARGEST)
    try:
        return Correction.model_validate_json(stored)
    except ValidationError as error:
        raise InputError(
            f"{explain(error, str(path))}\nFetch this file from a copy, or move its folder away."
        ) from None


def predicted_of(manifest: Mapping[str, Any], content_sha256: str) -> Predicted:
    """The essentials of a run manifest (`pipeline.segmenting.manifest.Manifest`).

    Parameters
    ----------
    manifest : mapping
        As `Segmentation.save` writes it.
    content_sha256 : str
        Of the label values as predicted.

    Raises
    ------
    InputError
        If it is not the manifest of a prediction.
    """
    try:
        model = manifest["model"]
        return Predicted(
            network_sha256=manifest["network_sha256"],
            card_sha256=model["card_sha256"],
            inference_sha256=model["inference_sha256"],
            data_hash=manifest["data_hash"],
            cohort=model["cohort"],
            tumorflow=manifest["versions"]["tumorflow"],
            engine=manifest["engine"]["name"],
            native=manifest["native"] is not None,
            inputs={name: Input(**file) for name, file in manifest["inputs"].items()},
            quality=manifest["quality"]["flag"],
            created=manifest["run"]["created"],
            content_sha256=content_sha256,
        )
    except (KeyError, TypeError, ValidationError) as error:
        raise InputError(
            f"the run manifest of the prediction lacks or has another {error}. Segment the case"
            " again with this version."
        ) from None
