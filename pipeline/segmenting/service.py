"""Cases that come from a client, and answers that go back: what every server around a `Model` does,
whatever its protocol. A client is a stranger: sizes have limits, archives are unpacked with care,
and of this machine's files only those below one folder can be named.
"""

import base64
import binascii
import json
import logging
import math
import tempfile
import traceback
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Any

from ..cohorts.fetching import archives
from ..core.errors import InputError
from ..formats import inflating, nifti
from .segmentation import Segmentation, record_of

if TYPE_CHECKING:
    from .finding import OneCase
    from .model import Model

log = logging.getLogger(__name__)

ROOT = "TUMORFLOW_SERVE_ROOT"
"""Environment variable: the folder below which a client may name cases."""
MOST_BYTES = 2**30
"""Of the files that a client sends for one case."""
MOST_UNPACKED = 2**32
MOST_MEMBERS = 20_000
"""Of an archive: its bytes unpacked, and its files and folders."""
MOST_VOXELS = 2**27
"""Of a NIfTI file: 512 x 512 x 512."""
_CASE = "case"
_FIELDS = ("case", "images", "study")


@dataclass(frozen=True)
class Request:
    """A case as a client gives it: exactly one of the first three.

    Attributes
    ----------
    case : str
        Its folder, absolute or relative to the folder that the server allows.
    images : mapping of str to bytes
        A NIfTI file, compressed or not, by modality.
    study : bytes
        A zip archive of a DICOM study.
    native : bool
        As for `Model.segment`.
    """

    case: str = ""
    images: Mapping[str, bytes] = field(default_factory=dict)
    study: bytes = b""
    native: bool = False

    @classmethod
    def decoded(cls, fields: Mapping[str, Any]) -> "Request":
        """The request of a JSON object whose files are base64 text; other fields do not count.

        Raises
        ------
        InputError
            If a field is of another type, not base64, or longer than `MOST_BYTES`.
        """
        if not isinstance(fields, Mapping):
            raise InputError('the case is no object. Give {"images": ...} or another.')
        given = {name: fields[name] for name in _FIELDS if _is_given(fields.get(name))}
        images = given.get("images", {})
        if not isinstance(images, Mapping):
            raise InputError('images: is no object. Give {"t1n": BASE64, "t1c": BASE64, ...}.')
        if not isinstance(case := given.get("case", ""), str):
            raise InputError("case: is no text. Give the path of a folder.")
        if not isinstance(native := fields.get("native", False), bool):
            raise InputError("native: is neither true nor false.")
        return cls(
            case,
            {str(name): _from_base64(f"images.{name}", text) for name, text in images.items()},
            _from_base64("study", given["study"]) if "study" in given else b"",
            native,
        )


@dataclass(frozen=True)
class Answer:
    """A segmentation as it goes back to a client.

    Attributes
    ----------
    labels : bytes
        The file that `predict` writes: label values, NIfTI compressed by gzip.
    series : mapping of str to bytes
        The labels on each series by modality, in the same format, if the request was native.
    affine : list
        (4, 4), voxel indices to RAS+ mm.
    record : dict
        The file that `predict` writes beside the labels, with ``case``, ``volumes_ml`` and
        ``warnings``.
    """

    labels: bytes
    series: Mapping[str, bytes]
    affine: list[list[float]]
    record: Mapping[str, Any]

    @classmethod
    def of(cls, result: Segmentation) -> "Answer":
        """The files that `Segmentation.save` writes, in memory."""
        with tempfile.TemporaryDirectory(prefix="tumorflow-") as folder:
            path = Path(folder) / f"{_CASE}.nii.gz"
            result.save(path)
            series = {
                file.name.removeprefix(f"{_CASE}.").removesuffix(".nii.gz"): file.read_bytes()
                for file in sorted(path.parent.glob(f"{_CASE}.*.nii.gz"))
            }
            record = json.loads(record_of(path).read_bytes())
            return cls(path.read_bytes(), series, result.affine.tolist(), record)

    def encoded(self) -> dict[str, Any]:
        """Plain values for JSON, files as base64 text."""
        series = {name: base64.b64encode(file).decode() for name, file in self.series.items()}
        return {
            "case": self.record["case"],
            "labels": base64.b64encode(self.labels).decode(),
            "series": series,
            "affine": self.affine,
            "volumes_ml": self.record["volumes_ml"],
            "warnings": self.record["warnings"],
            "record": self.record,
        }


class RequestError(Exception):
    """Why a request has no answer, in words that may go to the client: no place of this machine.

    `by_client` says whether the client can correct it (status 400) or not (500).
    """

    def __init__(self, message: str, by_client: bool) -> None:
        super().__init__(message)
        self.by_client = by_client


class Service:
    """Answers requests with a trained network, one at a time.

    Parameters
    ----------
    model : Model
        From `pipeline.api.load`.
    root : Path or None
        The folder below which a client may name cases; None refuses every path.
    """

    def __init__(self, model: "Model", root: Path | None) -> None:
        self.model = model
        self.root = root and root.resolve()
        self._one_at_a_time = Lock()  # two would need twice the memory, and finish no earlier

    def answer(self, request: Request) -> Answer:
        """Segment the case of a request.

        Raises
        ------
        RequestError
            If the case is bad or the segmentation fails.
        """
        self.require_network()
        with answerable():
            return Answer.of(self.segment(request))

    def require_network(self) -> None:
        """Load the network unless that was done; a RequestError, not of the client, if it cannot
        be loaded.
        """
        with answerable():
            try:
                self.model.load_network()
            except InputError as error:
                log.error("the network cannot be loaded: %s", error)
                raise RequestError("the network of this server cannot be loaded.", False) from None

    def answer_json(self, fields: Mapping[str, Any]) -> dict[str, Any]:
        """`Request.decoded`, `answer` and `Answer.encoded` in one; RequestError as of `answer`."""
        with answerable():
            return self.answer(Request.decoded(fields)).encoded()

    def segment(self, request: Request) -> Segmentation:
        """Segment the case of a request for a caller in this process.

        Raises
        ------
        InputError
            As of `Model.segment`, or if the request names no case, several, or a folder that is not
            allowed, or is too large.
        """
        with (
            tempfile.TemporaryDirectory(prefix="tumorflow-") as folder,
            self._one_at_a_time,
            _without_place(Path(folder), self.root),
        ):
            return self.model.segment(self._found(request, Path(folder)), native=request.native)

    def _found(self, request: Request, folder: Path) -> "OneCase":
        """The case of a request, its files written into a folder."""
        given = [name for name in _FIELDS if getattr(request, name)]
        if len(given) != 1:
            found = " and ".join(given) or "none"
            raise InputError(
                f"expected one of case, images and study, got {found}. Give the folder of a case,"
                " or its NIfTI files by modality, or a zip archive of its DICOM study."
            )
        if request.images:
            return self._of_images(request.images, folder)
        if request.study:
            return self._of_study(request.study, folder)
        return self.model.find(self._allowed(request.case))

    def _allowed(self, case: str) -> Path:
        """The folder of a case that a client named."""
        if self.root is None:
            raise InputError(
                "case: this server reads no folders. Send the files as images or as study, or start"
                f" the server with {ROOT} set to the folder of the cases."
            )
        try:
            place = (self.root / case).resolve()
            if place.is_relative_to(self.root) and place.is_dir():
                return place
        except (OSError, ValueError):  # a name too long, or with a NUL
            pass
        raise InputError(f"case: is no folder below that of {ROOT}.")

    def _of_images(self, images: Mapping[str, bytes], folder: Path) -> "OneCase":
        known = self.model.modalities
        if foreign := [name for name in images if name not in known]:
            raise InputError(
                f"images: {', '.join(foreign)}: is no modality of the network, which takes"
                f" {', '.join(known)}."
            )
        _require_size("images", sum(map(len, images.values())))
        files: dict[str, str | Path] = {}
        for name, stored in images.items():
            ending = ".nii.gz" if inflating.is_gzip(stored) else ".nii"
            file = folder / f"{_CASE}.{name}{ending}"
            file.write_bytes(stored)
            if math.prod(shape := nifti.shape_of(file)) > MOST_VOXELS:
                raise InputError(
                    f"images: {name}: has {' x '.join(map(str, shape))} voxels, more than"
                    f" {MOST_VOXELS:,}."
                )
            files[name] = file
        return self.model.find(None, files)

    def _of_study(self, study: bytes, folder: Path) -> "OneCase":
        _require_size("study", len(study))
        archive = folder / "study.zip"
        archive.write_bytes(study)
        ratio = MOST_UNPACKED / len(study)
        place = archives.unpack(archive, folder / "study", MOST_MEMBERS, ratio)
        return self.model.find(place, source="dicom")


@contextmanager
def answerable() -> Iterator[None]:
    """Turn every error into a RequestError. Those of the program are logged without their message,
    which may name a patient's file.
    """
    try:
        yield
    except RequestError:
        raise
    except InputError as error:
        raise RequestError(str(error), True) from None
    except Exception as error:
        where = "".join(traceback.format_tb(error.__traceback__))
        log.error("a request failed with %s:\n%s", type(error).__name__, where)
        raise RequestError(
            f"the case could not be segmented ({type(error).__name__}). The log of the server says"
            " where.",
            False,
        ) from None


@contextmanager
def _without_place(*places: Path | None) -> Iterator[None]:
    """Leave out of an InputError where on this machine its files are."""
    try:
        yield
    except InputError as error:
        text = str(error)
        for place in filter(None, places):
            text = text.replace(f"{place}/", "").replace(f"{place}: ", "").replace(str(place), ".")
        raise InputError(text) from None


def _is_given(value: Any) -> bool:
    """Whether a field of a table or JSON object has a value: not None, NaN or empty."""
    return value is not None and value == value and value not in ("", {})


def _from_base64(name: str, text: Any) -> bytes:
    if not isinstance(text, str):
        raise InputError(f"{name}: is no text. Give the bytes of the file in base64.")
    _require_size(name, len(text) // 4 * 3)
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise InputError(f"{name}: is not base64. Encode the bytes of the file.") from None


def _require_size(name: str, size: int) -> None:
    if size > MOST_BYTES:
        raise InputError(f"{name}: has {size:,} bytes, expected at most {MOST_BYTES:,}.")
