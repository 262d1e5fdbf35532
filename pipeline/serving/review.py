"""What the page shows beside cases that were dropped: held-out cases, two models on one case, the
report, and the runs of a project. Nothing here trains, deletes or changes a project.
"""

import hashlib
import json
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

from fastapi import Body, FastAPI, Query
from fastapi.responses import HTMLResponse, Response

from ..core.errors import InputError
from ..report.rendering import number
from . import pages
from .cases import Cases
from .jobs import Task, Worker
from .kept_scenes import KeptScenes
from .project import Project, served_report
from .refusals import require_room
from .run_list import RunList
from .store import State

SERVED = "served"
"""Name of the model that segments what is dropped."""
HELD_OUT = "held-out/"
"""Before the name of a held-out case where a case is chosen; ids of cases have no slash."""
_COMPARED = 2
"""Format of what `comparing.compare_models` says: of another one, a comparison is made again."""
_REPORT_POLICY = (
    "sandbox allow-scripts allow-downloads; default-src 'none'; img-src data: blob:;"
    " style-src 'unsafe-inline'; script-src {} 'wasm-unsafe-eval' blob:; worker-src blob:;"
    " connect-src data: blob:; font-src data:; base-uri 'none'; form-action 'none';"
    " frame-ancestors 'none'"
)
"""The scripts of the report run in an origin of their own, which cannot ask the server."""


@dataclass(eq=False)
class Review:
    """The project, the models that cases are compared with, and the scenes made of both.

    Attributes
    ----------
    project : Project
    models : mapping of str to Path
        Folders of the networks, the first being `SERVED`.
    """

    cases: Cases
    project: Project
    models: Mapping[str, Path]
    scenes: KeptScenes = field(init=False)
    runs: RunList = field(init=False)

    def __post_init__(self) -> None:
        store = self.cases.store
        self.scenes = KeptScenes(store.folder / "scenes", store.keep, self._is_kept)
        self.runs = RunList(self.project.folder, self.models[SERVED])

    def stop(self) -> None:
        """End what `RunList` started."""
        self.runs.stop()

    def _is_kept(self, case_id: str) -> bool:
        try:
            self.cases.store.folder_of(case_id)
        except InputError:
            return False
        return True

    def show_held_out(self, case: str) -> dict[str, Any]:
        """Make the scene of a held-out case, unless it is there; how far it is."""
        key = self.project.hash_of(case)
        model = str(self.models[SERVED])
        values = {"folder": str(self.project.folder), "model": model, "case": case}
        task = Task("show_held_out", values, most_s=self.cases.limits.read_s)
        return self._make(key, self.cases.reader, task)

    def compare(self, case: str, names: Sequence[str]) -> dict[str, Any]:
        """Let two models segment a case, unless they have; how far that is."""
        if len({*names} & {*self.models}) != 2 or len(names) != 2:
            raise InputError(f"Choose two different models of {', '.join(self.models)}.")
        folders = {name: self.models[name] for name in names}
        values = self._chosen(case)
        identity = [
            _COMPARED,
            values.pop("identity"),
            *([name, _hash(at)] for name, at in folders.items()),
        ]
        key = hashlib.sha256(json.dumps(identity, sort_keys=True).encode()).hexdigest()[:32]
        values["models"] = {name: str(folder) for name, folder in folders.items()}
        values["model"] = str(self.models[SERVED])
        owner = "" if "held_out" in values else case
        task = Task("compare_models", values, owner, 2 * self.cases.limits.segment_s)
        return self._make(key, self.cases.segmenter, task)

    def _make(self, key: str, worker: Worker, task: Task) -> dict[str, Any]:
        require_room(self.scenes.folder, self.cases.limits.reserve_bytes)
        self.scenes.make(key, worker, task)
        return self.look(key)

    def look(self, key: str) -> dict[str, Any]:
        """How far a scene is, and its address."""
        return {"key": key, "scene": f"/api/scenes/{key}/scene.json"} | self.scenes.look(key)

    def choices(self) -> dict[str, str]:
        """Cases that two models can be compared on, and what they are called."""
        done = [state for state in self.cases.store.all() if state.status == "done"]
        seen = Counter(state.title for state in done)
        found = {
            state.id: state.title if seen[state.title] == 1 else f"{state.title} ({state.case})"
            for state in done
        }
        if self.project.is_evaluated():
            names = (one.case for one in self.project.held_out())
            found |= {f"{HELD_OUT}{name}": f"{name} (held out)" for name in names}
        return found

    def _chosen(self, case: str) -> dict[str, Any]:
        """Values of the task for a case, and by what it is known."""
        if case.startswith(HELD_OUT):
            name = case.removeprefix(HELD_OUT)
            identity = self.project.hash_of(name)
            return {"folder": str(self.project.folder), "held_out": name, "identity": identity}
        state = self.cases.store.get(case)
        if state.status != "done":
            raise InputError("This case is not done. Wait until it is.")
        return _upload(state) | {"folder": str(self.cases.store.folder_of(case))}


def of_current_folder(cases: Cases) -> Review:
    """The project in the current folder, and no second model."""
    project = Project(Path(), cases.corrections)
    return Review(cases, project, {SERVED: cases.model})


def _upload(state: State) -> dict[str, Any]:
    known = {name: getattr(state, name) for name in ("case", "kind", "chosen", "native")}
    return known | {"identity": [state.id, state.chosen, state.native]}


def _hash(model: Path) -> str:
    files = (model / name for name in ("card.json", "inference.json"))
    return hashlib.sha256(b"".join(file.read_bytes() for file in files)).hexdigest()


def add(
    app: FastAPI, review: Review, token: str, scene_file: Callable[[Path, str], Response]
) -> None:
    """Add the routes to an application; `scene_file` answers with a file of a scene's folder."""
    _add_pages(app, review, token)
    _add_data(app, review)

    @app.get("/api/scenes/{key}/{name}")
    def scene(key: str, name: str) -> Response:
        return scene_file(review.scenes.folder_of(key), name)


def _add_pages(app: FastAPI, review: Review, token: str) -> None:
    project = review.project

    def page(template: str, **context: Any) -> HTMLResponse:
        return HTMLResponse(pages.render(template, token=token, number=number, **context))

    @app.get("/held-out")
    def held_out() -> HTMLResponse:
        has_report = project.report.is_file()
        return page("held_out.html.j2", cases=project.held_out(), has_report=has_report)

    @app.get("/held-out/{case}")
    def held_out_case(case: str) -> HTMLResponse:
        rows = project.scores(case)
        return page(
            "held_out_case.html.j2",
            case=case,
            rows=rows,
            listed=[one.case for one in project.held_out()],
            models=list(review.models),
        )

    @app.get("/compare")
    def compare(case: str = "", models: Annotated[Sequence[str], Query()] = ()) -> HTMLResponse:
        return page(
            "compare.html.j2",
            choices=review.choices(),
            models=list(review.models),
            case=case,
            names=[name for part in models for name in part.split(",") if name],
        )

    @app.get("/projects")
    def projects() -> HTMLResponse:
        return page(
            "projects.html.j2",
            **project.waiting()._asdict(),
            corrections=project.corrections,
            presets=project.presets(),
            summary=project.summary(),
            evaluation=project.evaluation_sha256(),
            has_report=project.report.is_file(),
        )

    @app.get("/report")
    def report() -> Response:
        text, hashes = served_report(project.report)
        allowed = " ".join(f"'{one}'" for one in hashes) or "'none'"
        headers = {"Content-Security-Policy": _REPORT_POLICY.format(allowed)}
        return HTMLResponse(text, headers=headers)


def _add_data(app: FastAPI, review: Review) -> None:
    project = review.project

    @app.get("/api/held-out/{case}")
    def look_at_held_out(case: str) -> dict[str, Any]:
        return review.look(project.hash_of(case))

    @app.post("/api/held-out/{case}")
    def show_held_out(case: str) -> dict[str, Any]:
        return review.show_held_out(case)

    @app.post("/api/comparisons")
    def compare_models(
        case: Annotated[str, Body()], models: Annotated[list[str], Body()]
    ) -> dict[str, Any]:
        return review.compare(case, models)

    @app.get("/api/comparisons/{key}")
    def look_at_comparison(key: str) -> dict[str, Any]:
        return review.look(key)

    @app.get("/api/projects/runs")
    def runs() -> dict[str, Any]:
        return review.runs.look()
