"""Predictions kept on disk, so that other thresholds, postprocessing or metrics need no forward
pass: what a network predicted for an image, to the last bit.

An entry is found by a hash of all that its bits depend on; the folder may be deleted at any time.
"""

import hashlib
import io
import json
import logging
import os
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from shutil import disk_usage
from typing import Any

import numpy as np
from isal import isal_zlib

from ..core import extensions
from ..core.errors import InputError
from ..core.records import write_bytes
from ..preparation.preprocessing import Geometry
from . import backend, predictor
from .backend import keras
from .blending import DeviceSums, HostSums
from .card import Card
from .engines.engine import chosen
from .prediction import Prediction
from .settings import Settings

log = logging.getLogger(__name__)

FORMAT = 1
"""Of the files; another one gives every entry another name."""

LIMIT_GB = 20.0
"""Of the folder, unless the environment variable `LIMIT` names another number; at 1 mm, a test case
of four modalities and three regions takes 65 MB."""

LIMIT = "TUMORFLOW_KEPT_GB"

_DIGEST = hashlib.sha256().digest_size
_FASTEST = 1  # compression; a higher level gains nothing on noise


def limit_bytes() -> int:
    """The limit of the folder in bytes; InputError if the environment names no number."""
    given = os.environ.get(LIMIT, str(LIMIT_GB))
    try:
        return max(0, round(float(given) * 1e9))
    except (ValueError, OverflowError):
        raise InputError(
            f"{LIMIT} is {given!r}, expected a number of gigabytes for data/probabilities, 0 to"
            " keep nothing there."
        ) from None


class KeptPredictions:
    """A folder of predictions, limited in size.

    Parameters
    ----------
    folder : Path
        Made when the first entry is written.
    limit : int
        Bytes that the folder may hold, 0 to neither read nor write it. Entries that this object did
        not use are removed for new ones, the least recently used first.
    origin : mapping of str to any plain value
        What the bits of a prediction depend on beside the network, its card, the settings and the
        image: code, packages, machine.
    """

    def __init__(self, folder: Path, limit: int, origin: Mapping[str, Any]):
        self.folder, self.limit, self.origin = folder, limit, origin
        self.made = self.found = self.left_out = 0
        self._used: set[Path] = set()

    def predict(
        self,
        network: Callable[[], keras.Model],
        card: Card,
        settings: Settings,
        image: np.ndarray,
        describe: str,
        geometry: Geometry,
        compare: bool = False,
        member: int | None = None,
    ) -> Prediction:
        """As `predictor.predict`, of the kept prediction if there is one.

        Parameters
        ----------
        network : callable
            Gives the network of the card, or its `member`; called only where it is needed.
        """
        settings.check_output(card.network.output)
        own_code = _own_code(card, network)
        path = self.folder / self._name(card, settings, image, compare, member, own_code)
        prediction = self._read(path, card, geometry) if self.limit else None
        if prediction:
            self.found += 1
            return prediction
        self.made += 1
        prediction = predictor.predict(
            network(), card, settings, image, describe, compare, geometry
        )
        if self.limit:
            self._write(path, prediction)
        return prediction

    def close(self) -> str:
        """Remove what is beyond the limit; one line on how many predictions were made, and how full
        the folder is.
        """
        with suppress(OSError):
            if self.limit:
                self._makes_room(0)
        held = sum(size for _, size, _ in self._files()) / 1e9
        place = f"{self.folder.parent.name}/{self.folder.name}"
        without = f"; {self.left_out} not kept for lack of room" if self.left_out else ""
        return (
            f"predictions: {self.made} made, {self.found} kept from before; {place} holds"
            f" {held:.2f} of at most {self.limit / 1e9:g} GB{without}"
        )

    def _name(
        self,
        card: Card,
        settings: Settings,
        image: np.ndarray,
        compare: bool,
        member: int | None,
        own_code: list[str],
    ) -> str:
        """Name of the entry; `settings.postprocess` has no part in it."""
        described = {
            "format": FORMAT,
            "origin": self.origin,
            "own_code": own_code,
            "backend": backend.versions(),
            "card": card.model_dump(mode="json"),  # with the hash of the network
            "member": member,
            "settings": settings.model_dump(mode="json", exclude={"postprocess", "engine"}),
            "engine": chosen(settings.engine, card.network.architecture),
            "compare": compare,
            "image": [image.shape, str(image.dtype), _sha256(np.ascontiguousarray(image))],
        }
        return f"{_sha256(json.dumps(described, sort_keys=True).encode())}.prediction"

    def _read(self, path: Path, card: Card, geometry: Geometry) -> Prediction | None:
        """The prediction of an entry; None if there is none, or a damaged one."""
        try:
            stored = path.read_bytes()
        except OSError:
            return None
        if hashlib.sha256(stored[_DIGEST:]).digest() != stored[:_DIGEST]:
            log.warning("%s: is damaged; predicted again", path)
            return None
        with suppress(OSError):
            os.utime(path)
        self._used.add(path)
        content = io.BytesIO(isal_zlib.decompress(stored[_DIGEST:]))
        with np.load(content, allow_pickle=False) as arrays:
            planes = np.ascontiguousarray(np.moveaxis(arrays["bytes"], 0, -1)).view(np.float32)
            margin, types = arrays["margin"], arrays["types"]
        planes = planes[..., 0]
        blended = DeviceSums.of_planes(planes, *margin) if margin.size else HostSums(planes)
        return Prediction(
            blended,
            predictor.outputs_of(card),
            card.network.output == "labels",
            types if types.size else None,
            geometry,
            kept=True,
        )

    def _write(self, path: Path, prediction: Prediction) -> None:
        """Write an entry, whole or not at all; where the disk has no room, not at all."""
        blended, types = prediction.blended, prediction.types
        planes = np.ascontiguousarray(blended.planes)
        margin = np.zeros(0, int)
        if isinstance(blended, DeviceSums):
            margin = np.array([blended.before, blended.sums.shape[:3]])
        content = io.BytesIO()
        np.savez(
            content,
            # the bytes of a float apart: its exponents compress, its mantissas do not
            bytes=np.ascontiguousarray(np.moveaxis(_bytes_of(planes), -1, 0)),
            margin=margin,
            types=np.zeros(0, np.float32) if types is None else types,
        )
        packed = isal_zlib.compress(content.getbuffer(), _FASTEST)
        try:
            if self._makes_room(len(packed) + _DIGEST):
                write_bytes(path, hashlib.sha256(packed).digest() + packed)
                self._used.add(path)
            else:
                self.left_out += 1
        except OSError as error:
            log.warning("%s: the prediction is not kept (%s)", path, error.strerror)

    def _makes_room(self, size: int) -> bool:
        """Remove entries that this object did not use until so many bytes fit, and say whether they
        do. Half of the free disk is left to others.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        files = sorted(self._files())
        held = sum(length for _, length, _ in files)
        limit = min(self.limit, held + disk_usage(self.folder).free // 2)
        unused = [(length, path) for _, length, path in files if path not in self._used]
        if held - sum(length for length, _ in unused) + size > limit:
            return False
        for length, path in unused:
            if held + size > limit:
                path.unlink(missing_ok=True)
                held -= length
        return True

    def _files(self) -> list[tuple[int, int, Path]]:
        """Time of the last use in ns, bytes and path of every file; also of parts that a killed
        process left.
        """
        found = []
        for path in self.folder.iterdir() if self.folder.is_dir() else ():
            with suppress(OSError):  # another process may have removed it
                about = path.stat()
                found.append((about.st_mtime_ns, about.st_size, path))
        return found


def _bytes_of(planes: np.ndarray) -> np.ndarray:
    """Floats (...) float32 as (..., 4) uint8."""
    return planes[..., None].view(np.uint8)


def _own_code(card: Card, network: Callable[[], keras.Model]) -> list[str]:
    """Hashes of the user's code, where the network is of that: once loaded, its layers have been
    imported.
    """
    if ":" not in card.network.architecture:
        return []
    network()
    return extensions.sha256_of_imported()


def _sha256(content: Any) -> str:
    return hashlib.sha256(content).hexdigest()
