"""The routes of follow-ups."""

from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

from fastapi import Body, FastAPI, Query
from fastapi.responses import FileResponse, HTMLResponse, Response
from markupsafe import Markup

from . import pages
from .cases import Cases
from .follow_ups import FollowUps, FollowUpState, Visit
from .following import MADE, NAME, REST, VERDICT
from .refusals import Refusal

_FILES = tuple(f"{NAME}.{kind}" for kind in ("html", "csv", "json"))


SceneFile = Callable[[Path, str], Response]


def add(
    app: FastAPI, cases: Cases, follow_ups: FollowUps, token: str, scene_file: SceneFile
) -> None:
    """Add pages below /follow and requests below /api/follow."""
    _add_pages(app, cases, follow_ups, token)
    _add_requests(app, follow_ups, scene_file)


def _add_pages(app: FastAPI, cases: Cases, follow_ups: FollowUps, token: str) -> None:
    @app.get("/follow", response_class=HTMLResponse)
    def choose(case: Annotated[tuple[str, ...], Query()] = ()) -> str:
        done = [state for state in reversed(cases.store.all()) if state.status == "done"]
        known = follow_ups.listed()
        return pages.render(
            "follow.html.j2", token=token, cases=done, chosen=case, follow_ups=known
        )

    @app.get("/follow/{follow_id}", response_class=HTMLResponse)
    def followed(follow_id: str, show: Annotated[tuple[int, ...], Query()] = ()) -> str:
        state = follow_ups.get(follow_id)
        described = follow_ups.described(state)
        context: dict[str, Any] = {"token": token, "state": state, "visits": described["visits"]}
        if state.status != "done":
            return pages.render("followed.html.j2", **context)
        made = follow_ups.folder_of(follow_id) / MADE
        verdict, rest = (
            Markup((made / name).read_text(encoding="utf-8")) for name in (VERDICT, REST)
        )
        shown = _shown(state, show)
        address = f"/api/follow/{follow_id}/scenes"
        scenes = {_title(state, number): f"{address}/{number}/scene.json" for number in shown}
        context |= {"scenes": scenes, "shown": shown, "changed": follow_ups.changed(state)}
        return pages.render("followed.html.j2", verdict=verdict, rest=rest, **context)


def _shown(state: FollowUpState, wanted: tuple[int, ...]) -> tuple[int, ...]:
    """Numbers of the visits that are shown: those wanted, else the baseline and the last one."""
    known = range(1, len(state.visits) + 1)
    numbers = tuple(number for number in known if number in wanted)
    if numbers:
        return numbers
    ids = [visit.case for visit in state.visits]
    baseline = ids.index(state.baseline) + 1 if state.baseline else 1
    last = len(ids)
    return (baseline, last) if baseline != last else (1, last)


def _title(state: FollowUpState, number: int) -> str:
    day = state.visits[number - 1].day
    return f"Visit {number}" if day is None else f"Visit {number}, day {day:g}"


def _add_requests(app: FastAPI, follow_ups: FollowUps, scene_file: SceneFile) -> None:
    @app.get("/api/follow")
    def listed() -> list[dict[str, Any]]:
        return follow_ups.listed()

    @app.post("/api/follow", status_code=201)
    def new(
        visits: Annotated[list[Visit], Body()],
        baseline: Annotated[str, Body()] = "",
        one_patient: Annotated[bool, Body()] = False,
    ) -> dict[str, Any]:
        return follow_ups.described(follow_ups.new(visits, baseline, one_patient))

    @app.get("/api/follow/{follow_id}")
    def one(follow_id: str) -> dict[str, Any]:
        return follow_ups.described(follow_ups.get(follow_id))

    @app.delete("/api/follow/{follow_id}")
    def remove(follow_id: str) -> dict[str, Any]:
        follow_ups.remove(follow_id)
        return {}

    @app.get("/api/follow/{follow_id}/scenes/{number}/{name}")
    def scene(follow_id: str, number: int, name: str) -> Response:
        return scene_file(follow_ups.folder_of(follow_id) / MADE / f"scene-{number}", name)

    @app.get("/api/follow/{follow_id}/files/{name}")
    def download(follow_id: str, name: str) -> Response:
        path = follow_ups.folder_of(follow_id) / MADE / name
        if name not in _FILES or not path.is_file():
            raise Refusal("There is no such file.", 404)
        return FileResponse(path, filename=name)
