"""Stage 7: show what happened, in figures and one page.

Reads raw/catalogue.json and the files of the pictured cases, predictions/<case>.nii.gz (label values on
the raw grid), metrics/cases.csv, history.csv, evaluate.json, verify.json and thumbnails.png, data/split.json, models/card.json.
Writes figures/learning_curves.png, scores.png, <case>.overlay.png and <case>.gif, and report.html, one page
with all of them inside that opens from disk. Adds them to the MLflow run of the training and evaluation.
"""

from functools import partial
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field, RootModel

from pipeline import stage, tracking
from pipeline.domain.catalogue import Catalogue
from pipeline.domain.errors import InputError
from pipeline.domain.folds import Split
from pipeline.domain.regions import values_to_classes
from pipeline.domain.strict import Strict
from pipeline.io import cases as raw_cases
from pipeline.io import nifti
from pipeline.io.records import read_csv, read_json, write_bytes
from pipeline.nn import card
from pipeline.params import Count, Positive
from pipeline.pictures.animation import animation
from pipeline.pictures.curves import learning_curves
from pipeline.pictures.overlays import overlay
from pipeline.pictures.ranking import mean_region_dice, spread
from pipeline.pictures.report import Pictured, Run, dice_line, report_page
from pipeline.pictures.score_plots import score_plot
from pipeline.pictures.view import view_of

_TEXT = {"case", "patient", "kind", "name", "filled"}
Plain = RootModel[dict[str, Any]]


class Params(Strict):
    """The section `visualize`.

    Attributes
    ----------
    cases : int
        Pictured cases, spread evenly from the worst to the best mean region Dice; 0 for all.
    names : tuple of str
        Pictured instead, if any is named.
    gif_frames : int
        At most so many slices in an animation.
    gif_seconds_per_frame : float
        How long each is shown.
    dpi : int
        Pixels per inch of the figures.
    """

    cases: Count
    names: tuple[str, ...]
    gif_frames: Annotated[int, Field(ge=2)]
    gif_seconds_per_frame: Positive
    dpi: Annotated[int, Field(ge=50, le=600)]


def visualize(
    raw: Path,
    predictions: Path,
    cases: Path,
    history: Path,
    evaluation: Path,
    multiclass: Path,
    verify: Path,
    thumbnails: Path,
    split: Path,
    models: Path,
    figures: Path,
    report: Path,
    params: Annotated[Params, stage.Key("visualize")],
) -> None:
    """Draw the figures and write the report of a run."""
    described = card.read(models)
    parts = (
        tracking.model_part(models / "unet.keras", models / "card.json", history),
        tracking.evaluation_part(evaluation, cases, multiclass),
        tracking.report_part(report, figures),
    )
    catalogue = read_json(raw / "catalogue.json", Catalogue)
    rows, epochs = _numbers(cases), _numbers(history)
    work = partial(_pictured, raw=raw, predictions=predictions, catalogue=catalogue, rows=rows, params=params)
    pictured = stage.over_cases(work, chosen_cases(rows, params, cases), "picture")
    run = Run(
        catalogue=catalogue,
        split=read_json(split, Split),
        rows=rows,
        evaluation=read_json(evaluation, Plain).root,
        verify=read_json(verify, Plain).root,
        card=described.model_dump(mode="json"),
        curves=learning_curves(epochs, catalogue.cohort, params.dpi),
        scores=score_plot(rows, catalogue.cohort, params.dpi),
        pictured=pictured,
        thumbnails=thumbnails.read_bytes(),
    )
    with tracking.run(described.tags, *parts):
        _write(run, figures, report)


def _numbers(path: Path) -> list[dict[str, Any]]:
    """Rows of a table with its numbers as such, NaN for an empty field."""
    rows = [{key: text if key in _TEXT else float(text or "nan") for key, text in row.items()} for row in read_csv(path)]
    if not rows:
        raise InputError(f"{path}: holds no row. Run the stage that makes it: dvc repro.")
    return rows


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
        raise InputError(f"params.yaml: visualize.names has {strangers}, but the cases scored in {where} are {sorted(ranked)}.")
    return [case for case in ranked if case in params.names] or spread(ranked, params.cases)


def _pictured(name: str, raw: Path, predictions: Path, catalogue: Catalogue, rows: list[dict[str, Any]], params: Params) -> Pictured:
    schema, path = catalogue.cohort, predictions / f"{name}.nii.gz"
    case = raw_cases.read(raw_cases.found_in(raw, catalogue.entry(name)), schema)
    volume = nifti.read(path)
    difference = volume.grid.differs(case.grid)
    if difference:
        raise InputError(f"{path}: lies on another grid than case {name}: {difference}. Run `dvc repro evaluate`.")
    try:
        prediction = values_to_classes(volume.voxels, schema)
    except ValueError as error:
        raise InputError(f"{path}: {error}. Run `dvc repro evaluate`.") from None
    view = view_of(case, prediction, schema.modalities)
    return Pictured(
        case=name,
        overlay=overlay(view, schema, dice_line(rows, schema, name), params.dpi),
        animation=animation(view, schema, params.gif_frames, params.gif_seconds_per_frame),
    )


def _write(run: Run, figures: Path, page: Path) -> None:
    write_bytes(figures / "learning_curves.png", run.curves)
    write_bytes(figures / "scores.png", run.scores)
    for pictured in run.pictured:
        write_bytes(figures / f"{pictured.case}.overlay.png", pictured.overlay)
        write_bytes(figures / f"{pictured.case}.gif", pictured.animation)
    write_bytes(page, report_page(run).encode())
    stage.log.info("%d cases pictured in %s, report in %s", len(run.pictured), figures, page)


if __name__ == "__main__":
    stage.main(visualize)
