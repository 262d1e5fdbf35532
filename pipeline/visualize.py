"""Stage 7: show what happened, in figures, one page and a model card.

Reads raw/catalogue.json and the files of the pictured cases, predictions/<case>.nii.gz (label
values on the raw grid), metrics/cases.csv and tables/, history.csv, evaluate.json, verify.json and
thumbnails.png, data/split.json, models/card.json. Writes figures/ (each plot and <case>.overlay as
PNG and SVG, <case>.gif and other films), report.html, one page with all of them inside that opens
from disk, and models/model_card.md. Adds them to the MLflow run of the training and evaluation,
with what every stage took.
"""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, RootModel

from .core.catalogue import Catalogue
from .core.errors import InputError
from .core.folds import Split
from .core.params import Count, Positive
from .core.records import read_csv, read_json, write_bytes
from .core.regions import values_to_classes
from .core.strict import Strict
from .formats import cases as raw_cases
from .formats import nifti
from .network.card import network_file, read_card
from .report.model_card import model_card
from .report.page.pictures import dice_line
from .report.page.report import report_page
from .report.page.run import Pictured, Previous, Run
from .report.page.viewer import Viewed, viewed, viewer
from .report.plots.animation import animation
from .report.plots.figures import figures_of
from .report.plots.overlays import overlay
from .report.plots.planes import view_of
from .report.worst_to_best import mean_region_dice, spread
from .runtime import costs, stage, tracking
from .runtime.committed import committed
from .runtime.parallel import over_cases
from .runtime.provenance import provenance

log = logging.getLogger(__name__)

_TEXT = {"case", "patient", "kind", "name", "filled", "reference", "prediction", "predicted"}
_TABLES = (
    "multiclass",
    "lesionwise",
    "lesions",
    "confusion",
    "calibration",
    "reliability",
    "types",
)
_VIEWED = 8
"""So many cases at most are packed for the viewer: the worst, the best, the second worst and so on;
it says which of them fit.
"""
Plain = RootModel[dict[str, Any]]


class Params(Strict):
    """The section `visualize`.

    Attributes
    ----------
    cases : int
        Pictured cases, spread evenly from the worst to the best mean region Dice; 0 for all.
    names : tuple of str
        Pictured instead, if any is named.
    animations : tuple of {"gif", "webp", "mp4"}
        Files written of each pictured case; MP4 needs ffmpeg. The page holds the WebP, or the GIF
        where none is asked for.
    frames : int
        At most so many slices in an animation.
    seconds_per_frame : float
        How long each is shown.
    dpi : int
        Pixels per inch of the figures.
    """

    cases: Count
    names: tuple[str, ...]
    animations: tuple[Literal["gif", "webp", "mp4"], ...]
    frames: Annotated[int, Field(ge=2)]
    seconds_per_frame: Positive
    dpi: Annotated[int, Field(ge=50, le=600)]


def visualize(
    raw: Path,
    predictions: Path,
    cases: Path,
    tables: Path,
    history: Path,
    evaluation: Path,
    verify: Path,
    thumbnails: Path,
    split: Path,
    models: Path,
    figures: Path,
    report: Path,
    model_card: Path,
    params: Annotated[Params, stage.Key("visualize")],
) -> None:
    """Draw the figures and write the report and the model card of a run."""
    described = read_card(models)
    parts = (
        tracking.model_part(network_file(models), models / "card.json", history),
        tracking.evaluation_part(evaluation, cases, tables),
        tracking.report_part(report, figures, model_card),
    )
    catalogue = read_json(raw / "catalogue.json", Catalogue)
    rows = _numbers(cases)
    chosen = chosen_cases(rows, params, cases)
    inside = list(
        dict.fromkeys(name for pair in zip(chosen, reversed(chosen), strict=True) for name in pair)
    )[:_VIEWED]
    work = partial(
        _pictured,
        raw=raw,
        predictions=predictions,
        catalogue=catalogue,
        rows=rows,
        params=params,
        inside=inside,
    )
    shown = over_cases(work, chosen, "picture")
    volumes = {name: drawn.volumes for name, drawn in zip(chosen, shown, strict=True)}
    sources = (
        raw / "catalogue.json",
        split,
        network_file(models),
        models / "card.json",
        predictions,
        cases,
        evaluation,
    )
    run = Run(
        catalogue=catalogue,
        split=read_json(split, Split),
        rows=rows,
        evaluation=read_json(evaluation, Plain).root,
        verify=read_json(verify, Plain).root,
        card=described.model_dump(mode="json"),
        history=_numbers(history),
        pictured=[Pictured(drawn.case, drawn.files["overlay.png"], drawn.film) for drawn in shown],
        thumbnails=thumbnails.read_bytes(),
        **{
            name: _numbers(tables / f"{name}.csv")
            for name in _TABLES
            if (tables / f"{name}.csv").exists()
        },
        provenance=provenance({f"{path.parent.name}/{path.name}": path for path in sources}),
        previous=_previous(cases, evaluation),
        viewer=viewer([volumes[name] for name in inside], catalogue.cohort),
    )
    with tracking.run(described.tags, *parts) as tracked:
        _write(run, shown, params.dpi, figures, report, model_card)
        tracked.log_metrics(
            {
                "cost": {
                    row["stage"]: {name: row[name] for name in costs.COLUMNS[1:-1]}
                    for row in costs.read()
                }
            }
        )


def _numbers(path: Path) -> list[dict[str, Any]]:
    """Rows of a table with its numbers as such, NaN for an empty field."""
    rows = _typed(read_csv(path))
    if not rows:
        raise InputError(f"{path}: holds no row. Run the stage that makes it: dvc repro.")
    return rows


def _typed(rows: Sequence[dict[str, str]]) -> list[dict[str, Any]]:
    return [
        {key: text if key in _TEXT else float(text or "nan") for key, text in row.items()}
        for row in rows
    ]


def _previous(cases: Path, evaluation: Path) -> Previous | None:
    """The scores that the newest commit holds, if it holds any and they are others."""
    found = committed(cases, evaluation)
    if found is None or found.texts[0] == cases.read_text(encoding="utf-8"):
        return None
    return Previous(
        found.name, Plain.model_validate_json(found.texts[1]).root, _typed(found.rows_of(0))
    )


def chosen_cases(rows: list[dict[str, Any]], params: Params, where: Path) -> list[str]:
    """The cases to picture, from the worst to the best.

    Raises
    ------
    InputError
        If a named case was not scored.
    """
    ranked = list(mean_region_dice(rows))
    strangers = sorted(set(params.names) - set(ranked))
    if strangers:
        raise InputError(
            f"params.yaml: visualize.names has {strangers}, but the cases scored in {where} are"
            f" {sorted(ranked)}."
        )
    return [case for case in ranked if case in params.names] or spread(ranked, params.cases)


@dataclass(frozen=True)
class _Drawn:
    """Of one case: its files by the ends of their names, the film for the page, and its volumes if
    the viewer is to have them.
    """

    case: str
    files: dict[str, bytes]
    film: bytes
    volumes: Viewed | None


def _pictured(
    name: str,
    raw: Path,
    predictions: Path,
    catalogue: Catalogue,
    rows: list[dict[str, Any]],
    params: Params,
    inside: list[str],
) -> _Drawn:
    schema, path = catalogue.cohort, predictions / f"{name}.nii.gz"
    case = raw_cases.read(raw_cases.found_in(raw, catalogue.entry(name)), schema)
    volume = nifti.read(path)
    difference = volume.grid.differs(case.grid)
    if difference:
        raise InputError(
            f"{path}: lies on another grid than case {name}: {difference}. Run `dvc repro"
            " evaluate`."
        )
    try:
        prediction = values_to_classes(volume.voxels, schema)
    except ValueError as error:
        raise InputError(f"{path}: {error}. Run `dvc repro evaluate`.") from None
    view = view_of(case, prediction, schema.modalities)
    line = dice_line(rows, schema, name)
    overlays = {
        f"overlay.{kind}": overlay(view, schema, line, params.dpi, kind) for kind in ("png", "svg")
    }
    try:
        films = {
            kind: animation(view, schema, params.frames, params.seconds_per_frame, kind)
            for kind in params.animations
        }
    except ValueError as error:
        raise InputError(f"params.yaml: visualize.animations: {error}") from None
    film = (
        films.get("webp")
        or films.get("gif")
        or animation(view, schema, params.frames, params.seconds_per_frame)
    )
    return _Drawn(name, overlays | films, film, viewed(view, schema) if name in inside else None)


def _write(
    run: Run, shown: Sequence[_Drawn], dpi: int, figures: Path, page: Path, card_page: Path
) -> None:
    plots = figures_of(run, dpi)
    for name, (png, svg) in plots.items():
        write_bytes(figures / f"{name}.png", png)
        write_bytes(figures / f"{name}.svg", svg)
    for drawn in shown:
        for ending, data in drawn.files.items():
            write_bytes(figures / f"{drawn.case}.{ending}", data)
    write_bytes(
        card_page,
        model_card(
            run.card, run.evaluation, run.rows, run.catalogue, run.split, run.provenance
        ).encode(),
    )
    write_bytes(page, report_page(run, plots).encode())
    log.info("%d cases pictured in %s, report in %s", len(run.pictured), figures, page)


if __name__ == "__main__":
    stage.main(visualize, recorded=costs.recorded)
