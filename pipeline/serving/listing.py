"""The list of cases."""

import json
from functools import lru_cache
from pathlib import Path
from typing import Any

from ..correcting.worklist import rank
from .cases import Cases
from .segmentation import LABELS
from .store import RESULT, State

_LISTED = {"id", "label", "created", "expires", "status", "message", "kind", "patient"}
_KEPT = 1000  # manifests in memory


def listed(cases: Cases) -> list[dict[str, Any]]:
    """Every case for the list, the newest first.

    Returns
    -------
    list of dict
        Fields of the state, ``case``, ``step``, ``share`` and ``ahead``; of a case that is done
        also ``flag``, ``volumes_ml``, ``worth``, its place among those worth correcting, from 1,
        and ``reason``, why it has this place.
    """
    states = cases.store.all()
    manifests = {state.case: _manifest(cases, state) for state in states if state.status == "done"}
    ranked = rank(manifests.values())
    worth = {
        one.case: {"worth": place, "reason": one.reason} for place, one in enumerate(ranked, 1)
    }
    about = []
    for state in states:
        step, share = cases.progress(state.id)
        one = state.model_dump(mode="json", include=_LISTED) | {"case": state.case}
        one |= {"step": step, "share": share, "ahead": cases.ahead(state.id)}
        if state.case in manifests:
            record = manifests[state.case]
            one |= {"flag": record["quality"]["flag"], "volumes_ml": record["volumes_ml"]}
        about.append(one | worth.get(state.case, {}))
    return about


def _manifest(cases: Cases, state: State) -> dict[str, Any]:
    file = cases.store.folder_of(state.id) / RESULT / f"{LABELS}.json"
    return _read(file, file.stat().st_mtime_ns)


@lru_cache(_KEPT)
def _read(file: Path, changed_ns: int) -> dict[str, Any]:
    return json.loads(file.read_bytes())
