"""Which predictions are most worth correcting, by their run manifests."""

import json
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from math import inf
from pathlib import Path
from typing import Any

from ..core.errors import InputError
from ..core.layout import counted
from .record import Correction

_RECORDS = "[!.]*.nii.gz.json"
_NEEDED = {"case", "inputs", "network_sha256", "quality", "volumes_ml"}


@dataclass(frozen=True)
class Worth:
    """A prediction in the order in which it is worth correcting.

    Attributes
    ----------
    case : str
    flag : str
        The quality flag: ok, check or unknown.
    region : str
        The region with the lowest expected Dice; empty if the network finds none.
    expected_dice : float or None
        The Dice to expect of it (`pipeline.quality.flag.Expected`), by the validation cases of the
        network where it has such; None if the network finds no region.
    reason : str
        Why it has its place, in a sentence, with no Dice where the flag is ``check``.
    """

    case: str
    flag: str
    region: str
    expected_dice: float | None
    reason: str


def rank(
    manifests: Iterable[Mapping[str, Any]], corrections: Sequence[Correction] = ()
) -> list[Worth]:
    """Rank predictions: first those that the quality flag marks ``check``, then all others, each by
    the lowest Dice to expect of a region.

    Of the figures in a run manifest that Dice alone agreed with the true one; the volume of
    uncertain voxels only says how large a tumour is (docs/how-to/retrain.md has the numbers).

    Parameters
    ----------
    manifests : iterable of mapping
        Run manifests (`pipeline.segmenting.manifest.Manifest`); one without `quality`, of an
        earlier version, comes last.
    corrections : sequence of Correction
        Cases that were corrected already, by their input files, are left out.

    Returns
    -------
    list of Worth
        The most worth correcting first; ties by name.
    """
    done = {_inputs(one.prediction.model_dump()) for one in corrections}
    left = [_worth(manifest) for manifest in manifests if _inputs(manifest) not in done]
    return sorted(left, key=_order)


def is_of_files(manifest: Mapping[str, Any], correction: Correction) -> bool:
    """Whether a case was corrected whose input files are those of a prediction."""
    return _inputs(manifest) == _inputs(correction.prediction.model_dump())


def read_manifests(folder: Path) -> list[dict[str, Any]]:
    """The run manifests of a folder that `predict` wrote, or of one file; other JSON files are
    passed over.

    InputError if there is none.
    """
    paths = sorted(folder.glob(_RECORDS)) if folder.is_dir() else [folder]
    found = [record for path in paths if (record := _read(path))]
    if not found:
        raise InputError(
            f"{folder}: holds no prediction. Name a folder that `predict --out` wrote."
        )
    return found


def _read(path: Path) -> dict[str, Any] | None:
    with suppress(OSError, ValueError):
        record = json.loads(path.read_bytes())
        if isinstance(record, dict) and record.keys() >= _NEEDED:
            return record
    return None


def _inputs(holder: Mapping[str, Any]) -> frozenset[tuple[str, str]]:
    """Modality and hash of the files that were segmented."""
    return frozenset((name, file["sha256"]) for name, file in holder["inputs"].items())


def _order(worth: Worth) -> tuple:
    first = 0 if worth.flag == "check" else 1
    expected = worth.expected_dice
    # a flagged case without any region may have lost all of its tumour
    unknown = -inf if first == 0 else inf
    return first, unknown if expected is None else expected, worth.case


def _worth(manifest: Mapping[str, Any]) -> Worth:
    quality = manifest.get("quality") or {"flag": "unknown", "reasons": (), "expected_dice": {}}
    known = {name: each for name, each in quality["expected_dice"].items() if each}
    region = min(known, key=lambda name: _expected(known[name]), default="")
    return Worth(
        case=manifest["case"],
        flag=quality["flag"],
        region=region,
        expected_dice=_expected(known[region]) if region else None,
        reason=_reason(quality, region, known),
    )


def _expected(about: Mapping[str, Any]) -> float:
    return about["estimated"] if about["dice"] is None else about["dice"]


def _reason(quality: Mapping[str, Any], region: str, known: Mapping[str, Any]) -> str:
    """Of a case to check the strongest reason, since no Dice can be expected of it; of others the
    lowest Dice to expect.
    """
    if quality["flag"] == "check":
        first, *others = quality["reasons"]
        more = f" ({counted(len(others), 'more reason')})" if others else ""
        return f"{first['text']}{more}"
    if not region:
        return "The network finds no tumour."
    about = known[region]
    said = f"{region} has the lowest expected Dice, {_expected(about):.2f}"
    if about["dice"] is None:
        return f"{said}, by the network's own probabilities alone."
    if quality["flag"] != "ok" or not about.get("coverage"):
        return f"{said}."
    chance = f"{100 * about['coverage']:.0f} %"
    low, high = f"{about['low']:.2f}", f"{about['high']:.2f}"
    return f"{said} ({low} to {high} with a probability of {chance})."
