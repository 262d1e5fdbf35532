"""The routes of the server."""

import asyncio
import json
import secrets
from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager, suppress
from http import HTTPStatus
from pathlib import Path
from typing import Annotated, Any

from fastapi import Body, FastAPI, Query, Request
from fastapi.responses import FileResponse, HTMLResponse, Response, StreamingResponse
from fastapi.staticfiles import StaticFiles
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect

from ..core.errors import InputError
from ..network.card import read_card
from . import corrections, downloads, follow_routes, listing, pages
from .cases import Cases
from .follow_ups import FollowUps
from .security import Guard
from .segmentation import FACTS, LABELS, SCENE
from .store import RESULT, UPLOAD, State

_SWEEP_S = 60.0
MOST_BYTES = 2**32
"""Of an upload."""


def create(cases: Cases, hosts: Collection[str]) -> Any:
    """The ASGI application for some cases, which is asked by some host names."""
    token = secrets.token_urlsafe(32)
    follow_ups = FollowUps(cases)
    app = FastAPI(
        lifespan=_lifespan(cases, follow_ups), docs_url=None, redoc_url=None, openapi_url=None
    )
    for name, folder in pages.FOLDERS.items():
        app.mount(f"/assets/{name}", _Assets(directory=folder))
    _add_pages(app, cases, token)
    _add_cases(app, cases)
    corrections.add_routes(app, cases, cases.corrections)
    follow_routes.add(app, cases, follow_ups, token, scene_file)
    app.add_exception_handler(InputError, _explained)
    app.add_exception_handler(HTTPException, _explained)
    return Guard(app, hosts, token)


def _lifespan(cases: Cases, follow_ups: FollowUps) -> Any:
    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        cases.start()
        follow_ups.start()
        sweeping = asyncio.create_task(_sweep(cases, follow_ups))
        yield
        sweeping.cancel()
        follow_ups.stop()
        cases.stop()

    return lifespan


async def _sweep(cases: Cases, follow_ups: FollowUps) -> None:
    while True:
        await asyncio.sleep(_SWEEP_S)
        with suppress(InputError, OSError):
            await asyncio.to_thread(cases.store.sweep)
            await asyncio.to_thread(follow_ups.sweep)


async def _explained(request: Request, error: Exception) -> Response:
    message = str(error)
    status = HTTPStatus.NOT_FOUND if request.method == "GET" else HTTPStatus.BAD_REQUEST
    if isinstance(error, HTTPException):
        status = HTTPStatus(error.status_code)
        message = f"The server refuses this request ({status.phrase})."
        if status == HTTPStatus.NOT_FOUND:
            message = "There is nothing at this address. It may be mistyped, or its case deleted."
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
        return pages.render("home.html.j2", token=token, most_bytes=MOST_BYTES, keep=keep)

    @app.get("/cases/{case_id}", response_class=HTMLResponse)
    def case(case_id: str) -> str:
        state = cases.store.get(case_id)
        modalities = read_card(cases.model).cohort.modalities
        return pages.render("case.html.j2", token=token, state=state, modalities=modalities)


def _add_cases(app: FastAPI, cases: Cases) -> None:
    store = cases.store

    @app.get("/api/cases")
    def listed() -> list[dict[str, Any]]:
        return listing.listed(cases)

    @app.post("/api/cases", status_code=201)
    async def receive(request: Request, name: Annotated[str, Query(max_length=200)] = "") -> Any:
        state = await asyncio.to_thread(store.new, name)
        try:
            await _save(request, store.folder_of(state.id) / UPLOAD / "body")
        except (InputError, OSError, ClientDisconnect):
            await asyncio.to_thread(store.remove, state.id)
            raise
        cases.received(state.id)
        return {"id": state.id}

    @app.get("/api/cases/{case_id}")
    def one(case_id: str) -> dict[str, Any]:
        return _described(cases, store.get(case_id))

    @app.delete("/api/cases/{case_id}")
    def remove(case_id: str) -> dict[str, Any]:
        store.remove(case_id)
        return {}

    @app.post("/api/cases/{case_id}/series")
    def choose(
        case_id: str,
        series: Annotated[dict[str, str], Body()],
        native: Annotated[bool, Body()] = False,
    ) -> dict[str, Any]:
        cases.choose(case_id, series, native)
        return _described(cases, store.get(case_id))

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
            raise InputError("There is no such file.")
        return _file(one.path, filename=one.saved_as)

    def _result(case_id: str) -> Path:
        if store.get(case_id).status != "done":
            raise InputError("This case is not done.")
        return store.folder_of(case_id) / RESULT


def scene_file(folder: Path, name: str) -> Response:
    """A file of a scene; volumes in the encoding in which they are stored."""
    file = next((path for path in folder.glob("*") if path.name == name), None)
    if file is None:
        raise InputError("There is no such file.")
    if file.suffix != ".gz":
        return FileResponse(file)
    encoding = {"Content-Encoding": "gzip"}
    return FileResponse(file, media_type="application/octet-stream", headers=encoding)


def _file(path: Path, filename: str | None = None) -> Response:
    if not path.is_file():
        raise InputError("There is no such file.")
    return FileResponse(path, filename=filename)


async def _save(request: Request, path: Path) -> None:
    size = 0
    with path.open("wb") as file:
        async for chunk in request.stream():
            size += len(chunk)
            if size > MOST_BYTES:
                raise InputError(f"The files have more than {MOST_BYTES / 2**30:g} GiB.")
            file.write(chunk)
    if not size:
        raise InputError("Nothing was sent. Drop a folder or files.")


def _described(cases: Cases, state: State) -> dict[str, Any]:
    """A case for the page: its state, the progress, and of one that is done the manifest, the
    ``summary`` (`report.case_facts.case_facts`) and the ``downloads`` (`downloads.described`).
    """
    step, share = cases.progress(state.id)
    described = state.model_dump(mode="json") | {"case": state.case, "step": step, "share": share}
    described |= {"ahead": cases.ahead(state.id), "files": []}
    folder = cases.store.folder_of(state.id) / RESULT
    if state.status == "done":
        described["manifest"] = json.loads((folder / f"{LABELS}.json").read_bytes())
        described["summary"] = json.loads((folder / FACTS).read_bytes())
        described["downloads"] = downloads.described(folder, state)
        names = [one["name"] for one in described["downloads"]["files"]]
        described["files"] = [*names, downloads.ALL]
    return described
