"""A DICOMweb server (PS3.18): what it has (QIDO-RS), instances from it (WADO-RS), and to it
(STOW-RS), by dicomweb-client.

Whatever a server answers, nothing but an `InputError` or a `PassingFault` comes of it. Neither
messages nor the log quote a query or an answer, since these hold identities.
"""

import logging
import re
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from http import HTTPStatus
from http.client import responses
from typing import Any

import pydicom
import requests
from dicomweb_client.web import DICOMwebClient
from pydicom.datadict import tag_for_keyword

from ..core.errors import InputError
from .session import (
    LARGEST_BYTES,
    STALL_S,
    WAITS_S,
    PassingFault,
    Session,
    boundary,
    checked_address,
)

MOST_RESULTS = 100_000
_UID = re.compile(r"[0-9]+(\.[0-9]+)*")
_LONGEST_UID = 64
_ACCEPTED = 'multipart/related; type="application/dicom"; transfer-syntax=*'
_COUNTED = ("NumberOfStudyRelatedSeries", "NumberOfStudyRelatedInstances")
_REASONS = {
    0x0110: "processing failure",
    0x0122: "SOP class not supported",
    0x0124: "not authorized",
    0x0111: "an instance with this UID is there",
    0x0117: "UID not valid",
}
"""Of FailureReason (PS3.18 table I.2-2 and PS3.7 annex C)."""
_REASON_GROUPS = {
    0xA7: "out of resources",
    0xA9: "the data set does not match its SOP class",
    0xC: "not understood",
}


class Rejected(InputError):
    """An instance that the server does not store."""


class _NotFound(InputError):
    """The server has no such resource."""


@dataclass(frozen=True)
class FoundStudy:
    """A study on a server; numbers and date are empty where the server does not say."""

    uid: str
    date: str
    modalities: str
    series: str
    instances: str


@dataclass(frozen=True)
class FoundSeries:
    """A series on a server; modality and count are empty where the server does not say."""

    uid: str
    modality: str
    instances: str


def is_uid(text: object) -> bool:
    """Whether a value is a UID: digits and dots, so that it is safe in a path; zeros that lead a
    component are allowed, as some devices write them.
    """
    return isinstance(text, str) and len(text) <= _LONGEST_UID and bool(_UID.fullmatch(text))


class Server:
    """A DICOMweb server at an address such as ``https://pacs.example.org/dicom-web``.

    Parameters
    ----------
    url : str
    waits_s, stall_s, largest_bytes
        As of `Session`.

    Raises
    ------
    InputError
        If the address, or what the environment says of credentials, is not valid.
    """

    def __init__(
        self,
        url: str,
        waits_s: Sequence[float] = WAITS_S,
        stall_s: float = STALL_S,
        largest_bytes: int = LARGEST_BYTES,
    ) -> None:
        self.url, self.waits_s = checked_address(url), tuple(waits_s)
        self.session = Session(self.url, waits_s, stall_s, largest_bytes)
        for name in ("dicomweb_client", "retrying", "urllib3"):  # they log queries
            logging.getLogger(name).setLevel(logging.CRITICAL)
        self._client = DICOMwebClient(
            self.url, self.session, permissive_uid=True, chunk_size=largest_bytes
        )
        self._client.set_http_retry_params(retry=False)

    def studies(self, filters: Mapping[str, str]) -> list[FoundStudy]:
        """The studies that match all filters, of keywords such as PatientID."""
        fields = ("ModalitiesInStudy", *_COUNTED)
        found = self._search(
            "StudyInstanceUID",
            lambda offset: self._client.search_for_studies(
                fields=fields, search_filters=dict(filters), offset=offset
            ),
        )
        return [
            FoundStudy(
                uid,
                _text(item, "StudyDate"),
                _text(item, "ModalitiesInStudy"),
                *(_text(item, keyword) for keyword in _COUNTED),
            )
            for uid, item in found.items()
        ]

    def series(self, study: str) -> list[FoundSeries]:
        """The series of a study."""
        found = self._search(
            "SeriesInstanceUID", lambda offset: self._client.search_for_series(study, offset=offset)
        )
        return [
            FoundSeries(uid, _text(item, "Modality"), _text(item, "NumberOfSeriesRelatedInstances"))
            for uid, item in found.items()
        ]

    def instances(self, study: str, series: str) -> list[str]:
        """The SOPInstanceUIDs of a series."""
        return [
            *self._search(
                "SOPInstanceUID",
                lambda offset: self._client.search_for_instances(study, series, offset=offset),
            )
        ]

    def has(self, study: str, instance: str) -> bool:
        """Whether an instance is there."""
        filters = {"SOPInstanceUID": instance}
        try:
            found = self._search(
                "SOPInstanceUID",
                lambda offset: self._client.search_for_instances(
                    study, search_filters=filters, offset=offset
                ),
            )
        except _NotFound:  # some servers say so of a study that they do not have
            return False
        return instance in found

    def retrieve(self, study: str, series: str, instance: str) -> bytes:
        """The bytes of an instance as the server stores it.

        dicomweb-client would parse and encode it again, and takes a part that was cut for whole.
        """
        url = f"{self.url}/studies/{study}/series/{series}/instances/{instance}"
        with self._checked():
            response = self.session.get(url, headers={"Accept": _ACCEPTED})
            response.raise_for_status()
            return _only_part(response)

    def store(self, dataset: pydicom.Dataset) -> None:
        """Store an instance.

        Raises
        ------
        Rejected
            If the server says that it does not store it, and why.
        PassingFault
            If it does not say whether it did.
        InputError
            If it accepts nothing from this user.
        """
        uid = str(dataset.SOPInstanceUID)
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                answer = self._client.store_instances([dataset])
                stored, failed = _uids(answer, "ReferencedSOPSequence"), _failures(answer)
        except (InputError, PassingFault):
            raise
        except requests.HTTPError as error:
            failed = self._refusal(error.response, uid)
            stored = set()
        except Exception as error:  # what parsers of JSON and XML raise
            raise PassingFault(f"gives no DICOMweb answer ({type(error).__name__})") from None
        if uid in failed:
            raise Rejected(f"{self.url}: does not store instance {uid}: {failed[uid]}.")
        if uid not in stored:
            raise PassingFault("does not say whether it stored the instance")

    def _refusal(self, response: requests.Response, uid: str) -> dict[str, str]:
        """Why an answer of status 4xx says that an instance was not stored."""
        said = f"answers {response.status_code} {responses.get(response.status_code, '')}".rstrip()
        try:
            reasons = _failures(pydicom.Dataset.from_json(response.json()))
        except Exception:
            reasons = {}
        return {uid: f"{reasons.get(uid, '')} ({said})" if uid in reasons else said}

    def _search(self, keyword: str, page: Callable[[int], Any]) -> dict[str, Mapping[str, Any]]:
        """All results by UID. A server may send them in pages, or ignore the offset."""
        found: dict[str, Mapping[str, Any]] = {}
        received = 0
        while True:
            with self._checked():
                items = page(received)
            uids = [self._uid(item, keyword) for item in items]
            new = {uid: item for uid, item in zip(uids, items, strict=True) if uid not in found}
            found |= new
            received += len(items)
            if not new:
                return found
            if len(found) > MOST_RESULTS:
                raise InputError(
                    f"{self.url}: lists more than {MOST_RESULTS:,} results. Ask for fewer, such as"
                    " by --patient-id or --study-date."
                )

    def _uid(self, item: Any, keyword: str) -> str:
        uid = _text(item, keyword) if isinstance(item, dict) else ""
        if not is_uid(uid):
            raise InputError(
                f"{self.url}: lists a result without a valid {keyword}. Check that it is the"
                " address of a DICOMweb server."
            )
        return uid

    @contextmanager
    def _checked(self) -> Iterator[None]:
        """Turn what a wrong answer makes dicomweb-client and parsers raise into an InputError."""
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                yield
        except (InputError, PassingFault):
            raise
        except requests.HTTPError as error:
            status = error.response.status_code
            said = f"{self.url}: answers {status} {responses.get(status, '')}".rstrip()
            if status == HTTPStatus.NOT_FOUND:
                raise _NotFound(f"{said}. Check the address and the UID.") from None
            raise InputError(f"{said}. The server does not support this request.") from None
        except Exception as error:
            raise InputError(
                f"{self.url}: gives no DICOMweb answer ({type(error).__name__}). Check that it is"
                " the address of a DICOMweb server and not of a web page."
            ) from None


def _text(item: Mapping[str, Any], keyword: str) -> str:
    """The values of an element in DICOM JSON (PS3.18, annex F), joined and cut; empty if there are
    none.
    """
    tag = tag_for_keyword(keyword)
    element = item.get(f"{tag:08X}")
    values = element.get("Value") if isinstance(element, dict) else None
    plain = [value for value in values or () if isinstance(value, str | int)]
    return " ".join(re.sub(r"[^ -~]", "?", str(value))[: _LONGEST_UID + 1] for value in plain[:20])


def _only_part(response: requests.Response) -> bytes:
    """The content of a multipart answer of one part, or of an answer that is the instance itself,
    as some servers send it; ValueError of any other.
    """
    body, mark = response.content, boundary(response)
    if mark is None:
        if not response.headers.get("Content-Type", "").startswith("application/dicom"):
            raise ValueError("not DICOM")
        return body
    delimiter = b"\r\n--" + mark
    (_, part, *others) = (b"\r\n" + body).split(delimiter)
    if len(others) != 1:
        raise ValueError("expected one part")
    _, separator, content = part.partition(b"\r\n\r\n")
    if not separator:
        raise ValueError("a part without headers")
    return content


def _uids(answer: pydicom.Dataset, sequence: str) -> set[str]:
    return {str(item.get("ReferencedSOPInstanceUID", "")) for item in answer.get(sequence) or ()}


def _failures(answer: pydicom.Dataset) -> dict[str, str]:
    """Why instances were not stored, by UID."""
    return {
        str(item.get("ReferencedSOPInstanceUID", "")): _reason(item.get("FailureReason"))
        for item in answer.get("FailedSOPSequence") or ()
    }


def _reason(code: Any) -> str:
    if not isinstance(code, int):
        return "no reason is given"
    group = _REASON_GROUPS.get(code >> 8) or _REASON_GROUPS.get(code >> 12)
    said = _REASONS.get(code) or group or "failure"
    return f"{said} (FailureReason {code:04X}H)"
