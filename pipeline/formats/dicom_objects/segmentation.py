"""Masks as a DICOM segmentation object on the geometry of its source series (PS3.3, A.51)."""

import io
import logging
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from highdicom import (
    AlgorithmIdentificationSequence,
    PixelMeasuresSequence,
    PlaneOrientationSequence,
    PlanePositionSequence,
)
from highdicom.coding_schemes import CodingSchemeIdentificationItem
from highdicom.color import CIELabColor
from highdicom.seg import Segmentation, SegmentDescription
from pydicom.dataset import Dataset
from pydicom.sr.codedict import codes
from pydicom.uid import ExplicitVRLittleEndian, generate_uid

from ...core.errors import InputError
from ..dicom.header import REMEDY
from .codes import ANATOMY, CATEGORY, PRIVATE_SCHEME, structure
from .segments import MANUFACTURER
from .source import Source

Kind = Literal["binary", "labelmap", "fractional"]
USE = "Research use only, not for diagnosis"
"""Stated in every object; texts of DICOM's LO have at most 64 characters."""
logging.getLogger("highdicom").setLevel(logging.CRITICAL)  # it logs names of patients
_SERIES_NUMBER = 9001
_MOST = 255  # of fractional values
_LONGEST = 64  # characters of LO


@dataclass(frozen=True)
class Algorithm:
    """What made the masks: its name, version and parameters, such as the hash of the network;
    semiautomatic if a person corrected them.
    """

    name: str
    version: str
    parameters: Mapping[str, str]
    type: Literal["AUTOMATIC", "SEMIAUTOMATIC"] = "AUTOMATIC"


def dataset(
    source: Source,
    segments: Mapping[str, np.ndarray],
    kind: Kind,
    algorithm: Algorithm,
    colours: Mapping[str, str] = {},
) -> Dataset:
    """Make a segmentation object with a frame for each segment and slice, also where it is empty.

    Empty frames are written since viewers place the others wrongly without them, and since an empty
    segment would leave no frame at all.

    Parameters
    ----------
    source : Source
        The series that it refers to; patient and study are taken from it.
    segments : mapping of str to (X, Y, Z) array
        By the name of a label or region, on ``source.grid``: bool, or float in [0, 1] for
        ``fractional``.
    kind : {"binary", "labelmap", "fractional"}
        A bit for each voxel of each segment; one number for each voxel, for segments that do not
        overlap; or probabilities in steps of 1/255.
    algorithm : Algorithm
    colours : mapping of str to str
        Recommended for display, as ``#rrggbb``; segments without one get none.

    Raises
    ------
    InputError
        If the headers of the source hold what no object can repeat, or segments of a ``labelmap``
        overlap.
    """
    planes = np.stack([voxels.transpose(2, 1, 0) for voxels in segments.values()], axis=-1)
    if kind == "labelmap" and (planes.sum(axis=-1) > 1).any():
        raise InputError(
            f"{', '.join(segments)}: overlap, which segments of a label map cannot. Choose the type"
            " binary."
        )
    with source_reported(source):
        placement = _placement(source)
        found = Segmentation(
            **placement,
            pixel_array=planes,
            segmentation_type=kind.upper(),
            segment_descriptions=_descriptions([*segments], algorithm, colours),
            omit_empty_frames=False,
            max_fractional_value=_MOST,
            transfer_syntax_uid=ExplicitVRLittleEndian,
            series_instance_uid=generate_uid(prefix=None),
            sop_instance_uid=generate_uid(prefix=None),
            series_number=_SERIES_NUMBER,
            instance_number=1,
            **equipment(algorithm),
            specific_character_set=character_set(source),
            content_label="TUMOR_SEG",
            content_creator_name="TumorFlow^",
            content_description=USE,
            series_description=f"Segmentation: {USE}",
            coding_schemes=[own_scheme()],
        )
        # highdicom repeats those of the source, where some scanners state the gap of slices
        shared = found.SharedFunctionalGroupsSequence[0]
        shared.PixelMeasuresSequence = placement["pixel_measures"]
    return found


def stored(dataset: Dataset, source: Source) -> bytes:
    """The file of an object about a source; InputError if its texts do not fit its character
    set.
    """
    buffer = io.BytesIO()
    with source_reported(source):
        dataset.save_as(buffer, enforce_file_format=True)
    return buffer.getvalue()


@contextmanager
def source_reported(source: Source) -> Iterator[None]:
    """Turn what highdicom raises about headers of the source into an `InputError` that quotes
    nothing of their content.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    except MemoryError:
        raise
    except Exception as error:  # highdicom and pydicom raise many kinds
        raise InputError(
            f"{source.name}: its headers hold what a DICOM object cannot repeat"
            f" ({type(error).__name__}). {REMEDY} Or ask for nifti alone."
        ) from error


def character_set(source: Source) -> str | None:
    """The character set of the source, or UTF-8 where it switches between several."""
    named = source.headers[0].get("SpecificCharacterSet")
    return named if named is None or isinstance(named, str) else "ISO_IR 192"


def equipment(algorithm: Algorithm) -> dict[str, Any]:
    """What highdicom's constructors take of the maker of an object."""
    return {
        "manufacturer": MANUFACTURER,
        "manufacturer_model_name": algorithm.name,
        "software_versions": algorithm.version,
        "device_serial_number": next(iter(algorithm.parameters.values()), "none")[:_LONGEST],
    }


def identification(algorithm: Algorithm) -> AlgorithmIdentificationSequence:
    """The item that identifies the algorithm."""
    return AlgorithmIdentificationSequence(
        name=algorithm.name,
        family=codes.DCM.ArtificialIntelligence,
        version=algorithm.version,
        source="TumorFlow",
        parameters=dict(algorithm.parameters),
    )


def own_scheme() -> CodingSchemeIdentificationItem:
    """States what the private codes are."""
    return CodingSchemeIdentificationItem(
        PRIVATE_SCHEME, name="Labels of TumorFlow", responsible_organization="TumorFlow"
    )


def _placement(source: Source) -> dict[str, Any]:
    """The source and the places of its slices, as its own headers state them."""
    spacing_mm = source.grid.spacing_mm[2]
    orientation = [float(cosine) for cosine in source.element(0, "ImageOrientationPatient")]
    positions = [
        source.element(index, "ImagePositionPatient") for index in range(len(source.frames))
    ]
    return {
        "source_images": source.headers,
        "plane_positions": [
            PlanePositionSequence("PATIENT", [float(place) for place in position])
            for position in positions
        ],
        "plane_orientation": PlaneOrientationSequence("PATIENT", orientation),
        "pixel_measures": PixelMeasuresSequence(
            [float(edge) for edge in source.element(0, "PixelSpacing")],
            slice_thickness=float(source.element(0, "SliceThickness") or spacing_mm),
            spacing_between_slices=spacing_mm,
        ),
    }


def _descriptions(
    names: Sequence[str], algorithm: Algorithm, colours: Mapping[str, str]
) -> list[SegmentDescription]:
    described = []
    for number, name in enumerate(names, 1):
        what = structure(name)
        segment = SegmentDescription(
            segment_number=number,
            segment_label=name,
            segmented_property_category=CATEGORY,
            segmented_property_type=what.code,
            algorithm_type=algorithm.type,
            algorithm_identification=identification(algorithm),
            anatomic_regions=[ANATOMY],
            display_color=CIELabColor.from_string(colours[name]) if name in colours else None,
        )
        segment.SegmentDescription = what.title
        described.append(segment)
    return described
