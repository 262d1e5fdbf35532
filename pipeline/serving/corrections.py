"""Routes of corrections: what is stored of a case, saving one, files of it, and the worklist."""

import asyncio
import json
import math
import secrets
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

from fastapi import FastAPI, Query, Request
from fastapi.responses import FileResponse

from ..cohorts.brats_patients import published_patient
from ..core.errors import InputError
from ..correcting.cohort import readable
from ..correcting.worklist import is_of_files
from . import listing
from .cases import NOT_DONE, Cases
from .correction_files import ABOUT, CORRECTION, FILES
from .jobs import message_of
from .refusals import require_room
from .scenes import SCENE
from .segmentation import SCENE as SCENE_FOLDER
from .store import LABELS, RESULT, State

_PSEUDONYM = r"^([A-Za-z0-9][A-Za-z0-9._-]{0,63})?$"
_ENDED = "The process that saved the correction ended. Save it again."


def add_routes(app: FastAPI, cases: Cases, place: Path) -> None:
    """Add the routes to an application.

    Parameters
    ----------
    app : FastAPI
    cases : Cases
    place : Path
        Folder of the cohort of corrected cases, which a process of its own writes.
    """
    store = cases.store

    @app.get("/api/cases/{case_id}/correction")
    def about(case_id: str) -> dict[str, Any]:
        state, result = _done(case_id)
        found = _about(result)
        if not found["version"] and (earlier := _earlier(place, state, result)):
            found["earlier"] = earlier
        return found | {"asks_patient": not known_patient(state)}

    @app.get("/api/cases/{case_id}/correction/{name}")
    def download(case_id: str, name: str) -> FileResponse:
        state, result = _done(case_id)
        path = result / CORRECTION / name
        if name not in FILES or not path.is_file():
            raise InputError("There is no such file.")
        return FileResponse(path, filename=f"{state.case}.corrected.{name}")

    @app.post("/api/cases/{case_id}/corrections", status_code=201)
    async def save(
        case_id: str,
        request: Request,
        reader: Annotated[str, Query(max_length=80)],
        prediction: Annotated[int, Query(ge=0, lt=2**32)],
        seconds: Annotated[float | None, Query(ge=0)] = None,
        patient: Annotated[str, Query(pattern=_PSEUDONYM)] = "",
    ) -> dict[str, Any]:
        state, result = await asyncio.to_thread(_done, case_id)
        folder, voxels = store.folder_of(case_id), _voxels(result)
        for written in (folder, place):
            require_room(written, voxels + cases.limits.reserve_bytes)
        drawn = folder / f"drawn-{secrets.token_hex(8)}"
        try:
            await _receive(request, drawn, voxels)
            values = {
                "patient": known_patient(state) or patient,
                "place": str(place.resolve()),
                "drawn": drawn.name,
                "prediction": prediction,
                "reader": reader,
                "seconds": seconds,
            }
            return await _saved(cases, case_id, values) | {"asks_patient": not known_patient(state)}
        finally:
            drawn.unlink(missing_ok=True)

    @app.get("/api/worklist")
    def worklist() -> list[dict[str, Any]]:
        """Cases that are done and not corrected, the most worth correcting first."""
        left = [one for one in listing.listed(cases) if "worth" in one]
        return sorted(left, key=lambda one: one["worth"])

    def _done(case_id: str) -> tuple[State, Path]:
        state = store.get(case_id)
        if state.status != "done":
            raise InputError(NOT_DONE)
        return state, store.folder_of(case_id) / RESULT


def known_patient(state: State) -> str:
    """The patient of a case: of a DICOM study its pseudonym, else the one in a published identifier
    in the names of the files, or of what was dropped; empty if there is none.
    """
    chosen = state.chosen.values()
    return state.patient or published_patient(chosen) or published_patient([state.label])


def _about(result: Path) -> dict[str, Any]:
    """What is stored of the correction of a result; version 0 if there is none."""
    path = result / CORRECTION / ABOUT
    return json.loads(path.read_bytes()) if path.is_file() else {"version": 0}


def _earlier(place: Path, state: State, result: Path) -> dict[str, Any] | None:
    """Who corrected an earlier segmentation of a case, or the same files under another name, which
    the next correction replaces; None if nobody did.
    """
    manifest = json.loads((result / f"{LABELS}.json").read_bytes())
    known = readable(place)[0]
    own = [one for one in known if one.case == state.case]
    same = [one for one in known if is_of_files(manifest, one)]
    if not (found := [*own, *same]):
        return None
    stored = found[0]
    return {
        "case": stored.case,
        "version": stored.version,
        "reader": stored.reader,
        "corrected": stored.corrected,
        "of": "this case" if own else "the same files",
        "other_series": stored not in same,
    }


def _voxels(result: Path) -> int:
    return math.prod(json.loads((result / SCENE_FOLDER / SCENE).read_bytes())["shape"])


async def _receive(request: Request, path: Path, voxels: int) -> None:
    """Write the body to a file; InputError unless it has a byte for each voxel."""
    size = 0
    with path.open("wb") as file:
        async for chunk in request.stream():
            size += len(chunk)
            if size > voxels:
                break
            file.write(chunk)
    if size != voxels:
        found = "more" if size > voxels else f"{size:,}"
        raise InputError(
            f"The case has {voxels:,} voxels, but the correction has {found}. Reload the page; your"
            " unsaved changes are kept in the browser."
        )


async def _saved(cases: Cases, case_id: str, values: Mapping[str, Any]) -> dict[str, Any]:
    """What the process answers when it has saved a correction."""
    loop = asyncio.get_running_loop()
    future: asyncio.Future[Mapping[str, Any]] = loop.create_future()

    def note(answer: Mapping[str, Any]) -> None:
        if not future.done():
            future.set_result(answer)

    def ended(answer: Mapping[str, Any]) -> None:
        loop.call_soon_threadsafe(note, answer)

    await asyncio.to_thread(cases.correct, case_id, values, ended)
    answer = await future
    if "done" in answer:
        return dict(answer["done"])
    raise InputError(message_of(answer, _ENDED))
