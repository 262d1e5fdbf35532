"""What is fuzzed: readers of bytes from outside, each with small good files to start from."""

import gzip
import json
import shutil
import tempfile
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from io import BytesIO
from pathlib import Path

import nibabel
import numpy as np
import SimpleITK as sitk
from pydicom import uid
from requests.adapters import HTTPAdapter
from urllib3 import HTTPResponse

from pipeline.cohorts.fetching.archives import unpack
from pipeline.core.errors import InputError
from pipeline.core.schema import Schema
from pipeline.exchange.fetching import fetch_study
from pipeline.exchange.server import Server
from pipeline.exchange.session import PassingFault
from pipeline.formats import metaimage, nifti
from pipeline.formats.dicom.header import is_dicom, read_header
from pipeline.formats.dicom.series import DicomSeries
from pipeline.formats.dicom_objects.matching import mask_of
from pipeline.formats.dicom_objects.segmentation import Algorithm, dataset, stored
from pipeline.formats.dicom_objects.segments import origin_of, read_segments
from pipeline.formats.dicom_objects.source import read_source
from pipeline.formats.images import MaskSlices, Slices, size
from pipeline.formats.matlab import MatlabImage, MatlabMask, describe, read_folds
from tests.cohorts.fetching.test_archives import tar, zipped
from tests.conftest import LPS
from tests.formats.dicom.test_series import bare, slice_of, write
from tests.formats.dicom_objects.made_series import write_series as write_made_series
from tests.formats.test_images import write_picture
from tests.formats.test_matlab import write_folds, write_mat

VOXELS = np.arange(4 * 3 * 2, dtype=np.int16).reshape(4, 3, 2)
PLANE = np.arange(12 * 10, dtype=np.uint8).reshape(12, 10)
SPACING = (1.0, 1.0, 5.0)
SEGMENTED = Schema(
    cohort="made",
    dimensions=3,
    modalities=("t1c",),
    labels={"edema": 1, "enhancing": 2},
    regions={"WT": ("edema", "enhancing"), "ET": ("enhancing",)},
    empty_rule="nan",
)


@dataclass(frozen=True)
class Reader:
    """A reader of files: the name of the file that the bytes are put into; what reads it, where any
    exception but InputError is a finding; what makes good inputs in an empty folder; and what packs
    an input, such as compression, so that damage goes deeper.
    """

    name: str
    read: Callable[[Path], object]
    seeds: Callable[[Path], list[bytes]]
    packed: Callable[[bytes], bytes] = bytes


def run(reader: Reader, data: bytes, folder: Path) -> str:
    """What the reader says of an input, empty if it takes it, in a folder of its own."""
    path = folder / reader.name
    path.write_bytes(reader.packed(data))
    try:
        reader.read(path)
    except InputError as error:
        said = str(error)
    else:
        return ""
    if str(folder) not in said:
        raise AssertionError(f"names no file: {said}")
    return said


def _read_nifti(path: Path) -> None:
    try:
        volume = nifti.read(path)
    except InputError:
        volume = nifti.read_channel(path, 0, 2)
    assert volume.voxels.shape == volume.grid.shape


def _nifti_seeds(_: Path) -> list[bytes]:
    images = [
        kind(voxels, LPS)
        for kind in (nibabel.Nifti1Image, nibabel.Nifti2Image)
        for voxels in (VOXELS, VOXELS.astype(np.float32))
    ]
    images.append(nibabel.Nifti1Image(np.stack([VOXELS, VOXELS], -1), LPS))
    scaled = nibabel.Nifti1Image(VOXELS, LPS)
    scaled.header.set_slope_inter(2, 1)
    swapped = nibabel.Nifti1Image(VOXELS, LPS, nibabel.Nifti1Header(endianness=">"))
    return [image.to_bytes() for image in (*images, scaled, swapped)]


def _read_metaimage(path: Path) -> None:
    volume = metaimage.read(path)
    assert volume.voxels.shape == volume.grid.shape


def _metaimage_seeds(folder: Path) -> list[bytes]:
    seeds = []
    for number, packed in enumerate((False, True)):
        path = folder / f"{number}.mha"
        sitk.WriteImage(sitk.GetImageFromArray(VOXELS), path, useCompression=packed)
        seeds.append(path.read_bytes())
    return seeds


def _read_dicom(path: Path) -> None:
    if is_dicom(path):
        read_header(path)
    DicomSeries(path.parent, (path,)).read()


def _dicom_seeds(folder: Path) -> list[bytes]:
    plane = PLANE.astype(np.int16)
    scale = {"RescaleSlope": 2.0, "RescaleIntercept": -5.0}
    datasets = [slice_of(0, plane=plane, **more) for more in ({}, scale, {}, {}, {})]
    datasets[2].compress(uid.RLELossless)
    datasets[3].file_meta.TransferSyntaxUID = uid.DeflatedExplicitVRLittleEndian
    datasets[4].file_meta.TransferSyntaxUID = uid.ImplicitVRLittleEndian
    marked = [
        write(folder / f"{number}.dcm", dataset).read_bytes()
        for number, dataset in enumerate(datasets)
    ]
    syntaxes = [
        (uid.ExplicitVRLittleEndian, False),
        (uid.ImplicitVRLittleEndian, False),
        (uid.DeflatedExplicitVRLittleEndian, True),
    ]
    return marked + [
        bare(folder / "bare.dcm", slice_of(0, plane=plane), syntax, meta).read_bytes()
        for syntax, meta in syntaxes
    ]


def _read_segmentation(path: Path) -> None:
    origin_of(path)
    found = read_segments(path)
    mask = mask_of(found, SEGMENTED)
    assert mask.voxels.shape == mask.grid.shape


def _segmentation_seeds(folder: Path) -> list[bytes]:
    voxels = np.zeros((6, 5, 3), np.int16)
    source = read_source(write_made_series(folder / "series", "oblique", voxels))
    masks = {name: np.zeros(voxels.shape, bool) for name in SEGMENTED.labels}
    masks["edema"][1:4, 2:4, 1] = True
    maps = {name: mask.astype(np.float32) for name, mask in masks.items()}
    made_by = Algorithm("TumorFlow", "0", {})
    made = [
        dataset(source, maps if kind == "fractional" else masks, kind, made_by)
        for kind in ("binary", "labelmap", "fractional")
    ]
    made.append(dataset(source, maps, "fractional", made_by))
    made[-1].compress(uid.RLELossless)
    return [stored(each, source) for each in made]


def _read_matlab(path: Path) -> None:
    image, mask = MatlabImage(path, SPACING), MatlabMask(path, SPACING)
    for read in (partial(describe, path), image.read, mask.read, partial(read_folds, path)):
        with suppress(InputError):
            read()


def _matlab_seeds(folder: Path) -> list[bytes]:
    small = np.zeros((256, 256), np.uint8)
    return [
        write_mat(folder / "1.mat", image=small, mask=small).read_bytes(),
        write_folds(folder / "2.mat", [1.0, 5.0, 3.0]).read_bytes(),
    ]


def _read_picture(path: Path) -> None:
    size(path)
    given = path, (path,), SPACING
    for part in (Slices(*given), Slices(*given, 1), MaskSlices(*given)):
        with suppress(InputError):
            part.read()


def _picture_seeds(suffix: str, folder: Path) -> list[bytes]:
    binary = np.where(PLANE > 60, 255, 0).astype(np.uint8)
    return [
        write_picture(folder / f"{number}{suffix}", picture).read_bytes()
        for number, picture in enumerate([PLANE, np.repeat(PLANE[..., None], 3, axis=2), binary])
    ]


def _unpack(path: Path) -> None:
    target = path.with_name("unpacked") / "folder"
    try:
        unpack(path, target, most_members=100, most_ratio=20)
        inside = {target.resolve(), *(other.resolve() for other in target.rglob("*"))}
        assert all(
            other.is_relative_to(target.resolve()) and not other.is_symlink() for other in inside
        )
    finally:
        left = {other.name for other in target.parent.glob("*")}
        shutil.rmtree(target.parent, ignore_errors=True)
        assert left <= {".folder.lock", "folder"}, f"left over: {left}"
        assert {other.name for other in path.parent.iterdir()} <= {path.name}


def _tar_seeds(_: Path) -> list[bytes]:
    return [tar(FILES, form) for form in (0, 1, 2)]


class _Answering(HTTPAdapter):
    """Answers every request with a file: a line with the content type, then the body; lists of
    series and instances with a fixed answer if `lists` is given.
    """

    def __init__(self, path: Path, lists: dict[str, bytes]) -> None:
        super().__init__()
        kind, _, body = path.read_bytes().partition(b"\n")
        self.answer = kind.decode("latin-1").strip(), body
        self.lists = lists

    def send(self, request, *_, **__):
        last = request.url.partition("?")[0].rsplit("/", 1)[-1]
        listed = (JSON, self.lists[last]) if last in self.lists else None
        kind, body = listed or self.answer
        headers = {"Content-Type": kind}
        response = HTTPResponse(BytesIO(body), headers, 200, preload_content=False)
        return self.build_response(request, response)


def _read_answer(path: Path) -> None:
    """Ask a server all that it can be asked; it gives the same answer, which must fit once."""
    fetched = path.with_name("fetched")
    lists = {"series": _listed("0020000E", SERIES), "instances": _listed("00080018", INSTANCE)}

    def server(lists: dict[str, bytes]) -> Server:
        made = Server(f"http://127.0.0.1{path.parent}", waits_s=())
        made.session.mount("http://", _Answering(path, lists))
        return made

    other = server({})
    asked = (
        lambda: other.studies({}),
        lambda: other.series(STUDY),
        lambda: other.instances(STUDY, SERIES),
        lambda: other.has(STUDY, INSTANCE),
        lambda: other.store(slice_of(0, preamble=bytes(128))),
        lambda: fetch_study(server(lists), STUDY, fetched),
    )
    faults = []
    for ask in asked:
        try:
            ask()
        except (InputError, PassingFault) as fault:
            faults.append(InputError(f"{other.url}: {fault}"))
    files = [file for file in fetched.rglob("*") if file.suffix == ".dcm"]
    shutil.rmtree(fetched, ignore_errors=True)
    assert {file.name for file in files} <= {f"{INSTANCE}.dcm"}
    assert {other.name for other in path.parent.iterdir()} <= {path.name}
    if len(faults) == len(asked):
        raise faults[0]


def _listed(tag: str, uid: str) -> bytes:
    return json.dumps([{tag: {"vr": "UI", "Value": [uid]}}]).encode()


def _answer_seeds(folder: Path) -> list[bytes]:
    dataset = slice_of(0, plane=PLANE.astype(np.int16))
    stored = write(folder / "a.dcm", dataset).read_bytes()
    part = b"--b\r\nContent-Type: application/dicom\r\n\r\n" + stored + b"\r\n--b--"
    item = {"00081155": {"vr": "UI", "Value": [INSTANCE]}}
    failed = item | {"00081197": {"vr": "US", "Value": [272]}}
    answers = (
        [{"0020000D": {"vr": "UI", "Value": [STUDY]}, "00080061": {"vr": "CS", "Value": ["MR"]}}],
        [{"0020000E": {"vr": "UI", "Value": [SERIES]}, "00201209": {"vr": "IS", "Value": [1]}}],
        [],
        {"00081199": {"vr": "SQ", "Value": [item]}},
        {"00081198": {"vr": "SQ", "Value": [failed]}, "0020000D": {"vr": "UI", "Value": [STUDY]}},
    )
    multipart = b'multipart/related; type="application/dicom"; boundary=b'
    return [
        multipart + b"\n" + part,
        b"application/dicom\n" + stored,
        *(f"{JSON}\n{json.dumps(answer)}".encode() for answer in answers),
    ]


STUDY, SERIES, INSTANCE = "1.2.826.1", "1.2.826.1.1", "1.2.826.0.1.1"
JSON = "application/dicom+json"
FILES = [("a/b.txt", b"one"), ("c.bin", bytes(range(200)))]
GZIP = partial(gzip.compress, compresslevel=1, mtime=0)

READERS = {
    "nifti": Reader("a.nii", _read_nifti, _nifti_seeds),
    "nifti-gz": Reader("a.nii.gz", _read_nifti, _nifti_seeds, GZIP),
    "metaimage": Reader("a.mha", _read_metaimage, _metaimage_seeds),
    "dicom": Reader("a.dcm", _read_dicom, _dicom_seeds),
    "dicom-seg": Reader("a.dcm", _read_segmentation, _segmentation_seeds),
    "matlab": Reader("1.mat", _read_matlab, _matlab_seeds),
    "tiff": Reader("a.tif", _read_picture, partial(_picture_seeds, ".tif")),
    "jpeg": Reader("a.jpg", _read_picture, partial(_picture_seeds, ".jpg")),
    "png": Reader("a.png", _read_picture, partial(_picture_seeds, ".png")),
    "dicomweb": Reader("answer", _read_answer, _answer_seeds),
    "zip": Reader("a.zip", _unpack, lambda _: [zipped(FILES), zipped(FILES, 0)]),
    "tar": Reader("a.tar", _unpack, _tar_seeds),
    "tar-gz": Reader("a.tgz", _unpack, _tar_seeds, GZIP),
}


def seeds(reader: Reader) -> list[bytes]:
    """Good inputs of a reader."""
    with tempfile.TemporaryDirectory() as folder:
        return reader.seeds(Path(folder))
