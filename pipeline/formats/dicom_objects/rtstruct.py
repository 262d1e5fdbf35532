"""Masks as contours of a DICOM RT structure set (PS3.3, A.19), which treatment planning reads.

Contours run along the edges of voxels, so that they enclose the very voxels of a mask, and its
volume, and no centre of a voxel lies on them. Voxels that touch by a corner alone get contours of
their own. A hole is joined to the contour around it by a channel without width along the edges of
voxels ("keyhole", C.8.8.6.3), which every reader fills alike, whether it unites the contours of a
slice or takes them by turns.
"""

from collections.abc import Iterator, Mapping
from datetime import datetime

import numpy as np
from highdicom.sr.coding import CodedConcept
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ImplicitVRLittleEndian, RTStructureSetStorage, generate_uid
from scipy import ndimage

from .codes import structure
from .segmentation import USE, Algorithm, character_set, equipment, identification, source_reported
from .source import Source

_SERIES_NUMBER = 9003
_RETIRED_STUDY_MANAGEMENT = "1.2.840.10008.3.1.2.3.1"
"""The class that the standard demands of references to a study (C.8.8.5)."""
_FROM_SOURCE = (
    *("PatientName", "PatientID", "PatientBirthDate", "PatientSex"),
    *("StudyInstanceUID", "StudyDate", "StudyTime", "StudyID", "AccessionNumber"),
    *("ReferringPhysicianName", "FrameOfReferenceUID"),
)
_DIGITS = 4  # of coordinates in mm; a decimal string has at most 16 characters

Loop = list[tuple[int, int]]
"""Corners of a closed contour. Corner (i, j) is that of voxel (i, j) nearest to the origin, so its
voxel coordinates are i - 0.5 and j - 0.5.
"""


def dataset(
    source: Source,
    masks: Mapping[str, np.ndarray],
    algorithm: Algorithm,
    colours: Mapping[str, str] = {},
) -> Dataset:
    """Make a structure set with a region of interest for each mask, also where it is empty.

    Parameters
    ----------
    source : Source
        The series on whose slices the contours lie; patient and study are taken from it.
    masks : mapping of str to (X, Y, Z) bool array
        By the name of a label or region, on ``source.grid``.
    algorithm : Algorithm
    colours : mapping of str to str
        For display, as ``#rrggbb``.

    Returns
    -------
    pydicom.Dataset
        To be stored as implicit VR: explicit VR allows a contour 64 KiB.

    Raises
    ------
    InputError
        If the headers of the source hold what no object can repeat.
    """
    with source_reported(source):
        made = _head(source, algorithm)
        made.StructureSetLabel = "TumorFlow"
        made.StructureSetDescription = USE
        made.ReferencedFrameOfReferenceSequence = [_frame_of_reference(source)]
        made.StructureSetROISequence, made.ROIContourSequence = [], []
        made.RTROIObservationsSequence = []
        for number, (name, mask) in enumerate(masks.items(), 1):
            made.StructureSetROISequence.append(_roi(source, number, name, algorithm))
            made.ROIContourSequence.append(_contours(source, number, mask, colours.get(name)))
            made.RTROIObservationsSequence.append(_observation(number, name))
        made.ApprovalStatus = "UNAPPROVED"
    return made


def _head(source: Source, algorithm: Algorithm) -> Dataset:
    """Patient, study, series, equipment and UIDs."""
    made, header, now = Dataset(), source.headers[0], datetime.now()
    for keyword in _FROM_SOURCE:
        setattr(made, keyword, header[keyword].value)
    if named := character_set(source):
        made.SpecificCharacterSet = named
    made.SOPClassUID = RTStructureSetStorage
    made.SOPInstanceUID = generate_uid(prefix=None)
    made.SeriesInstanceUID = generate_uid(prefix=None)
    made.Modality = "RTSTRUCT"
    made.SeriesNumber, made.InstanceNumber = _SERIES_NUMBER, 1
    made.SeriesDescription = f"Contours: {USE}"
    made.OperatorsName = made.PositionReferenceIndicator = ""
    maker = equipment(algorithm)
    made.Manufacturer = maker["manufacturer"]
    made.ManufacturerModelName = maker["manufacturer_model_name"]
    made.SoftwareVersions = maker["software_versions"]
    made.DeviceSerialNumber = maker["device_serial_number"]
    made.StructureSetDate = made.InstanceCreationDate = now.strftime("%Y%m%d")
    made.StructureSetTime = made.InstanceCreationTime = now.strftime("%H%M%S")
    made.file_meta = FileMetaDataset()
    made.file_meta.TransferSyntaxUID = ImplicitVRLittleEndian
    made.file_meta.MediaStorageSOPClassUID = made.SOPClassUID
    made.file_meta.MediaStorageSOPInstanceUID = made.SOPInstanceUID
    return made


def _frame_of_reference(source: Source) -> Dataset:
    """The files of the source by frame of reference, study and series."""
    header = source.headers[0]
    series = _item(
        SeriesInstanceUID=header.SeriesInstanceUID,
        ContourImageSequence=[_image(one) for one in source.headers],
    )
    study = _item(
        ReferencedSOPClassUID=_RETIRED_STUDY_MANAGEMENT,
        ReferencedSOPInstanceUID=header.StudyInstanceUID,
        RTReferencedSeriesSequence=[series],
    )
    return _item(FrameOfReferenceUID=header.FrameOfReferenceUID, RTReferencedStudySequence=[study])


def _image(header: Dataset) -> Dataset:
    return _item(
        ReferencedSOPClassUID=header.SOPClassUID, ReferencedSOPInstanceUID=header.SOPInstanceUID
    )


def _roi(source: Source, number: int, name: str, algorithm: Algorithm) -> Dataset:
    return _item(
        ROINumber=number,
        ReferencedFrameOfReferenceUID=source.headers[0].FrameOfReferenceUID,
        ROIName=name,
        ROIDescription=f"{structure(name).title}. {USE}",
        ROIGenerationAlgorithm=algorithm.type,
        ROIGenerationDescription=f"{algorithm.name} {algorithm.version}"[:64],
        ROIDerivationAlgorithmIdentificationSequence=list(identification(algorithm)),
    )


def _observation(number: int, name: str) -> Dataset:
    """What a region of interest is. It has no type, such as GTV: physicians decide that."""
    return _item(
        ObservationNumber=number,
        ReferencedROINumber=number,
        ROIObservationLabel=name[:16],
        RTROIIdentificationCodeSequence=[CodedConcept.from_code(structure(name).code)],
        RTROIInterpretedType="",
        ROIInterpreter="",
    )


def _contours(source: Source, number: int, mask: np.ndarray, colour: str | None) -> Dataset:
    """All contours of a region of interest; without any if it is empty."""
    made = _item(ReferencedROINumber=number)
    if colour:
        made.ROIDisplayColor = list(bytes.fromhex(colour[1:]))
    contours: list[Dataset] = []
    for index in np.flatnonzero(mask.any(axis=(0, 1))).tolist():
        image = _image(source.header_of(index))
        if source.is_multiframe:
            image.ReferencedFrameNumber = source.frames[index] + 1
        for loop in outlines(mask[:, :, index]):
            contours.append(
                _item(
                    ContourNumber=len(contours) + 1,
                    ContourImageSequence=[image],
                    ContourGeometricType="CLOSED_PLANAR",
                    NumberOfContourPoints=len(loop),
                    ContourData=_coordinates(source, loop, index),
                )
            )
    if contours:
        made.ContourSequence = contours
    return made


def _coordinates(source: Source, loop: Loop, index: int) -> list[str]:
    """x, y, z of each corner in mm, in DICOM's directions (LPS+)."""
    corners = np.column_stack([np.array(loop) - 0.5, np.full(len(loop), index)])
    affine = source.grid.affine
    places = (corners @ affine[:3, :3].T + affine[:3, 3]) * (-1, -1, 1)
    return [f"{value:.{_DIGITS}f}" for value in (places + 0.0).ravel().tolist()]


def outlines(one: np.ndarray) -> Iterator[Loop]:
    """The contours along the edges of the voxels of a slice, (x, y) bool: one for each part whose
    voxels are connected by their edges, its holes joined to it.
    """
    parts, _ = ndimage.label(one)
    for number, box in enumerate(ndimage.find_objects(parts), 1):
        corner = [side.start for side in box]
        loop = _keyhole(_loops(parts[box] == number))
        yield [(x + corner[0], y + corner[1]) for x, y in loop]


def _loops(part: np.ndarray) -> list[Loop]:
    """The closed contours of a part, which lies to the left of their direction: the outer one
    counter-clockwise, those of holes clockwise.
    """
    padded = np.pad(part, 1)
    starts: dict[tuple[int, int], list[tuple[int, int]]] = {}
    for way, (beside, corner) in _EDGES.items():
        outside = np.roll(padded, (-beside[0], -beside[1]), (0, 1))
        for x, y in (np.argwhere(padded & ~outside) - 1 + corner).tolist():
            starts.setdefault((x, y), []).append(way)
    loops = []
    while starts:
        first = place = min(starts)
        loop: Loop = []
        way = starts[place][0]
        while True:
            ways = starts[place]
            # where two voxels touch by a corner, the contour stays with its own voxel
            turn = next(to for to in (_left(way), way, _right(way)) if to in ways)
            ways.remove(turn)
            if not ways:
                del starts[place]
            if turn != way or not loop:
                loop.append(place)
            place, way = (place[0] + turn[0], place[1] + turn[1]), turn
            if place == first:
                break
        loops.append(loop)
    return loops


_EDGES = {
    (1, 0): ((0, -1), (0, 0)),
    (0, 1): ((1, 0), (1, 0)),
    (-1, 0): ((0, 1), (1, 1)),
    (0, -1): ((-1, 0), (0, 1)),
}
"""By the direction of an edge: the neighbour beyond it, and the corner of a voxel at its start."""


def _left(way: tuple[int, int]) -> tuple[int, int]:
    return -way[1], way[0]


def _right(way: tuple[int, int]) -> tuple[int, int]:
    return way[1], -way[0]


def _keyhole(loops: list[Loop]) -> Loop:
    """One contour of an outer loop and those of its holes, in the order of their first corners."""
    joined, *holes = loops
    for hole in holes:
        index, landing = _landing(joined, hole[0])
        before = joined[: index + 1]
        landed = [] if before[-1] == landing else [landing]
        joined = [*before, *landed, *hole, hole[0], landing, *joined[index + 1 :]]
    return joined


def _landing(loop: Loop, corner: tuple[int, int]) -> tuple[int, tuple[int, int]]:
    """The point of a loop next to a corner in the direction of -x, at the same y, and the number of
    the corner of the loop that it equals or follows.
    """
    found = (-1, -1)
    for index, (one, other) in enumerate(zip(loop, loop[1:] + loop[:1], strict=True)):
        if one[1] == corner[1] and found[0] < one[0] < corner[0]:
            found, at = one, index
        elif one[0] == other[0] and found[0] < one[0] < corner[0]:
            low, high = sorted((one[1], other[1]))
            if low < corner[1] < high:
                found, at = (one[0], corner[1]), index
    return at, found


def _item(**values: object) -> Dataset:
    item = Dataset()
    for keyword, value in values.items():
        setattr(item, keyword, value)
    return item
