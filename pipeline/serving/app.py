"""The routes of the server."""

import asyncio
import json
import secrets
from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Annotated, Any

from fastapi import Body, FastAPI, Query, Request
from fastapi.responses import FileResponse, HTMLResponse, JSONResponse, Response
from fastapi.staticfiles import StaticFiles
from starlette.requests import ClientDisconnect

from ..core.errors import InputError
from . import corrections, pages
from .cases import Cases
from .security import Guard
from .segmentation import LABELS, SCENE
from .store import RESULT, UPLOAD, State

_SWEEP_S = 60.0
MOST_BYTES = 2**32
"""Of an upload."""
_FILES = {
    "labels.nii.gz": LABELS,
    "manifest.json": f"{LABELS}.json",
    "seg.dcm": "labels.seg.dcm",
    "sr.dcm": "labels.sr.dcm",
    "rtstruct.dcm": "labels.rtstruct.dcm",
}
"""Name of a download -> its file in the result of a case."""


def create(cases: Cases, hosts: Collection[str]) -> Any:
    """The ASGI application for some cases, which is asked by some host names."""
    token = secrets.token_urlsafe(32)
    app = FastAPI(lifespan=_lifespan(cases), docs_url=None, redoc_url=None, openapi_url=None)
    for name, folder in pages.FOLDERS.items():
        app.mount(f"/assets/{name}", StaticFiles(directory=folder))
    _add_pages(app, cases, token)
    _add_cases(app, cases)
    corrections.add_routes(app, cases, cases.corrections)
    app.add_exception_handler(InputError, _explained)
    return Guard(app, hosts, token)


def _lifespan(cases: Cases) -> Any:
    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        cases.start()
        sweeping = asyncio.create_task(_sweep(cases))
        yield
        sweeping.cancel()
        cases.stop()

    return lifespan


async def _sweep(cases: Cases) -> None:
    while True:
        await asyncio.sleep(_SWEEP_S)
        with suppress(InputError, OSError):
            await asyncio.to_thread(cases.store.sweep)


async def _explained(request: Request, error: Exception) -> JSONResponse:
    return JSONResponse({"message": str(error)}, 400)


def _add_pages(app: FastAPI, cases: Cases, token: str) -> None:
    @app.get("/", response_class=HTMLResponse)
    def home() -> str:
        return pages.render("home.html.j2", token=token)

    @app.get("/cases/{case_id}", response_class=HTMLResponse)
    def case(case_id: str) -> str:
        state = cases.store.get(case_id)
        return pages.render("case.html.j2", token=token, state=state)


def _add_cases(app: FastAPI, cases: Cases) -> None:
    store = cases.store

    @app.get("/api/cases")
    def listed() -> list[dict[str, Any]]:
        return [_described(cases, state) for state in store.all()]

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
        if name not in _FILES:
            raise InputError("There is no such file.")
        file = _result(case_id) / _FILES[name]
        return _file(file, filename=f"{store.get(case_id).case}.{name}")

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
    """A case for the page: its state, the progress, and of one that is done the manifest."""
    step, share = cases.progress(state.id)
    described = state.model_dump(mode="json") | {"step": step, "share": share, "files": []}
    folder = cases.store.folder_of(state.id) / RESULT
    if state.status == "done":
        described["manifest"] = json.loads((folder / f"{LABELS}.json").read_bytes())
        described["files"] = [name for name, at in _FILES.items() if (folder / at).is_file()]
    return described
