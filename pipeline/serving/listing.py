"""The list of cases."""

import json
from contextlib import suppress
from functools import lru_cache
from pathlib import Path
from typing import Any

from ..core.errors import InputError
from ..correcting.cohort import readable
from ..correcting.worklist import rank
from ..report.case_facts import FLAG_WORDS
from .cases import Cases
from .correction_files import is_corrected
from .segmentation import LABELS
from .store import RESULT, State

_LISTED = {"id", "label", "created", "expires", "status", "message", "kind", "patient"}
_KEPT = 1000  # manifests in memory


def listed(cases: Cases) -> list[dict[str, Any]]:
    """Every case for the list, the newest first.

    Returns
    -------
    list of dict
        Fields of the state, ``case``, ``step``, ``share``, ``ahead`` and ``is_corrected``; of a
        case that is done also ``flag``, its name ``flag_words`` and ``volumes_ml``; of one that is
        not corrected ``worth``, its place among those worth correcting, from 1, and ``reason``, why
        it has this place, or ``corrected_before``, if the same files were, in this case or another
        one.
    """
    states, stored = cases.all(), readable(cases.corrections)[0]
    manifests, left = {}, []
    for state in states:
        with suppress(InputError, OSError):  # deleted meanwhile
            if state.status == "done":
                manifests[state.case] = _manifest(cases, state)
                if not is_corrected(cases.store.folder_of(state.id) / RESULT):
                    left.append(manifests[state.case])
    places = enumerate(rank(left, stored), 1)
    worth = {one.case: {"worth": place, "reason": one.reason} for place, one in places}
    corrected = {*manifests} - {manifest["case"] for manifest in left}
    before = {"corrected_before": True}
    worth |= {one["case"]: before for one in left if one["case"] not in worth}
    return [
        _about(cases, state)
        | _found(manifests.get(state.case))
        | {"is_corrected": state.case in corrected}
        | worth.get(state.case, {})
        for state in states
    ]


def _about(cases: Cases, state: State) -> dict[str, Any]:
    step, share = cases.progress(state.id)
    about = {"case": state.case, "step": step, "share": share, "ahead": cases.ahead(state.id)}
    return state.model_dump(mode="json", include=_LISTED) | about


def _found(manifest: dict[str, Any] | None) -> dict[str, Any]:
    if manifest is None:
        return {}
    flag = manifest["quality"]["flag"]
    return {"flag": flag, "flag_words": FLAG_WORDS[flag], "volumes_ml": manifest["volumes_ml"]}


def _manifest(cases: Cases, state: State) -> dict[str, Any]:
    file = cases.store.folder_of(state.id) / RESULT / f"{LABELS}.json"
    return _read(file, file.stat().st_mtime_ns) | {"case": state.case}


@lru_cache(_KEPT)
def _read(file: Path, changed_ns: int) -> dict[str, Any]:
    return json.loads(file.read_bytes())
