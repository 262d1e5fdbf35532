"""The routes of the server."""

import asyncio
import json
import logging
import secrets
from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Annotated, Any

from fastapi import Body, FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import FileResponse, HTMLResponse, Response, StreamingResponse
from fastapi.staticfiles import StaticFiles
from starlette.exceptions import HTTPException

from ..core.errors import InputError
from . import corrections, downloads, follow_routes, listing, pages, review
from .access import Access
from .cases import Cases
from .correction_files import is_corrected
from .follow_ups import FollowUps
from .refusals import DISK_FULL, Refusal, is_full_disk, require_room
from .security import Guard, too_large
from .segmentation import FACTS
from .store import LABELS, RESULT, SCENE, State

log = logging.getLogger(__name__)

_SWEEP_S = 60.0
_CHECKED_BYTES = 2**25  # between looks at the free disk
_WORDS = {
    400: "The request is not as expected.",
    404: "There is no such page or file.",
    405: "This cannot be done here.",
}


def create(
    cases: Cases,
    hosts: Collection[str],
    access: Access | None = None,
    reviewed: review.Review | None = None,
) -> Any:
    """The ASGI application for some cases, which is asked by some host names, by everybody or by
    those who have logged in; it shows a project, by default that of the current folder.
    """
    token = secrets.token_urlsafe(32)
    return Guard(routes(cases, token, reviewed), hosts, token, access, cases.limits)


def routes(cases: Cases, token: str, reviewed: review.Review | None = None) -> FastAPI:
    """What `create` guards."""
    reviewed = reviewed or review.of_current_folder(cases)
    follow_ups = FollowUps(cases)
    app = FastAPI(
        lifespan=_lifespan(cases, follow_ups, reviewed),
        docs_url=None,
        redoc_url=None,
        openapi_url=None,
        redirect_slashes=False,
    )
    for name, folder in pages.FOLDERS.items():
        app.mount(f"/assets/{name}", _Assets(directory=folder))
    _add_pages(app, cases, token)
    _add_cases(app, cases)
    corrections.add_routes(app, cases, cases.corrections)
    follow_routes.add(app, cases, follow_ups, token, scene_file)
    review.add(app, reviewed, token, scene_file)
    app.add_exception_handler(InputError, _explained)
    app.add_exception_handler(HTTPException, _explained)
    app.add_exception_handler(RequestValidationError, _explained)
    app.add_exception_handler(OSError, _explained)
    app.add_exception_handler(Exception, _explained)
    return app


def _lifespan(cases: Cases, follow_ups: FollowUps, reviewed: review.Review) -> Any:
    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        cases.start()
        follow_ups.start()
        sweeping = asyncio.create_task(_sweep(cases, follow_ups, reviewed))
        yield
        sweeping.cancel()
        follow_ups.stop()
        cases.stop()
        reviewed.stop()

    return lifespan


async def _sweep(cases: Cases, follow_ups: FollowUps, reviewed: review.Review) -> None:
    while True:
        await asyncio.sleep(_SWEEP_S)
        for sweep in (cases.sweep, follow_ups.sweep, reviewed.scenes.sweep):
            try:
                await asyncio.to_thread(sweep)
            except Exception as error:  # the next cases must expire all the same
                log.error("what has expired cannot be deleted: %s", type(error).__name__)


async def _explained(request: Request, error: Exception) -> Response:
    """An error in words; what the words of others would be is not known."""
    if isinstance(error, InputError):
        message, status = str(error), getattr(error, "status", 400)
    elif isinstance(error, RequestValidationError):
        fields = ", ".join(str(fault["loc"][-1]) for fault in error.errors()[:5])
        message, status = f"The request is not as expected ({fields[:200]}).", 422
    elif isinstance(error, HTTPException):
        message, status = (
            _WORDS.get(error.status_code, "The request is refused."),
            error.status_code,
        )
    elif is_full_disk(error):
        message, status = DISK_FULL, 507
    else:
        message, status = "The server failed at this request.", 500
    return pages.refusal(request, message, status)


class _Assets(StaticFiles):
    """Files that a browser keeps, and asks for again only whether they have changed."""

    def file_response(self, *args: Any, **kwargs: Any) -> Response:
        response = super().file_response(*args, **kwargs)
        response.headers["Cache-Control"] = "no-cache"
        return response


def _add_pages(app: FastAPI, cases: Cases, token: str) -> None:
    @app.get("/", response_class=HTMLResponse)
    def home() -> str:
        keep = pages.duration(cases.store.keep)
        return pages.render(
            "home.html.j2", token=token, most_bytes=cases.limits.most_bytes, keep=keep
        )

    @app.get("/cases/{case_id}", response_class=HTMLResponse)
    def case(case_id: str) -> str:
        state = cases.get(case_id)
        modalities = cases.card().cohort.modalities
        return pages.render("case.html.j2", token=token, state=state, modalities=modalities)


def _add_cases(app: FastAPI, cases: Cases) -> None:
    store = cases.store

    @app.get("/api/cases")
    def listed() -> list[dict[str, Any]]:
        return listing.listed(cases)

    @app.post("/api/cases", status_code=201)
    async def receive(request: Request, name: str = "") -> Any:
        limits = cases.limits
        announced = int(request.headers.get("content-length", "0"))
        if announced > limits.most_bytes:
            raise too_large(limits.most_bytes)
        require_room(store.folder, announced + limits.reserve_bytes)
        receiving = cases.receiving(name)
        state, path = await asyncio.to_thread(receiving.__enter__)
        try:
            await _save(request, path, limits.reserve_bytes)
        except BaseException as error:
            await asyncio.to_thread(receiving.__exit__, type(error), error, error.__traceback__)
            raise
        await asyncio.to_thread(receiving.__exit__, None, None, None)
        return {"id": state.id}

    @app.get("/api/cases/{case_id}")
    def one(case_id: str) -> dict[str, Any]:
        return _described(cases, cases.get(case_id))

    @app.delete("/api/cases/{case_id}")
    def remove(case_id: str) -> dict[str, Any]:
        cases.remove(case_id)
        return {}

    @app.post("/api/cases/{case_id}/series")
    def choose(
        case_id: str,
        series: Annotated[dict[str, str], Body()],
        native: Annotated[bool, Body()] = False,
    ) -> dict[str, Any]:
        cases.choose(case_id, series, native)
        return _described(cases, cases.get(case_id))

    @app.get("/api/cases/{case_id}/thumbnails/{number}.png")
    def thumbnail(case_id: str, number: int) -> Response:
        return _file(store.folder_of(case_id) / f"{number}.png")

    @app.get("/api/cases/{case_id}/scene/{name}")
    def scene(case_id: str, name: str) -> Response:
        return scene_file(_result(case_id) / SCENE, name)

    @app.get("/api/cases/{case_id}/files/{name}")
    def download(case_id: str, name: str) -> Response:
        files = downloads.offered(_result(case_id), case := store.get(case_id).case)
        if name == downloads.ALL:
            saved_as = {"Content-Disposition": f'attachment; filename="{case}.zip"'}
            archive = downloads.zipped(files)
            return StreamingResponse(archive, media_type="application/zip", headers=saved_as)
        one = next((one for one in files if one.name == name), None)
        if one is None:
            raise Refusal("There is no such file.", 404)
        return _file(one.path, filename=one.saved_as)

    def _result(case_id: str) -> Path:
        if store.get(case_id).status != "done":
            raise Refusal("This case is not done.", 409)
        return store.folder_of(case_id) / RESULT


def scene_file(folder: Path, name: str) -> Response:
    """A file of a scene; volumes in the encoding in which they are stored."""
    file = next((path for path in folder.glob("*") if path.name == name), None)
    if file is None:
        raise Refusal("There is no such file.", 404)
    if file.suffix != ".gz":
        return FileResponse(file)
    encoding = {"Content-Encoding": "gzip"}
    return FileResponse(file, media_type="application/octet-stream", headers=encoding)


def _file(path: Path, filename: str | None = None) -> Response:
    if not path.is_file():
        raise Refusal("There is no such file.", 404)
    return FileResponse(path, filename=filename)


async def _save(request: Request, path: Path, reserve_bytes: int) -> None:
    """Write what is sent to a file; the guard bounds its size and time."""
    size = checked = 0
    with path.open("wb") as file:
        async for chunk in request.stream():
            await asyncio.to_thread(file.write, chunk)
            size += len(chunk)
            if size >= checked:
                require_room(path.parent, reserve_bytes)
                checked = size + _CHECKED_BYTES
    if not size:
        raise InputError("Nothing was sent. Drop a folder or files.")


def _described(cases: Cases, state: State) -> dict[str, Any]:
    """A case for the page: its state, the progress, whether it ``is_corrected``, and of one that is
    done the manifest, the ``summary`` (`report.case_facts.case_facts`) and the ``downloads``
    (`downloads.described`).
    """
    step, share = cases.progress(state.id)
    described = state.model_dump(mode="json") | {"case": state.case, "step": step, "share": share}
    described |= {"ahead": cases.ahead(state.id), "files": []}
    folder = cases.store.folder_of(state.id) / RESULT
    described["is_corrected"] = is_corrected(folder)
    if state.status == "done":
        described["manifest"] = json.loads((folder / f"{LABELS}.json").read_bytes())
        described["summary"] = json.loads((folder / FACTS).read_bytes())
        described["downloads"] = downloads.described(folder, state)
        names = [one["name"] for one in described["downloads"]["files"]]
        described["files"] = [*names, downloads.ALL]
    return described
