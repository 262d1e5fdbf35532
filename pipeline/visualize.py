"""Stage 7: present a run in figures, one page and a model card.

Reads raw/catalogue.json and the files of the pictured cases, predictions/<case>.nii.gz (label
values on the raw grid) and uncertainty/<case>.nii.gz, metrics/cases.csv and tables/, history.csv,
evaluate.json, verify.json and thumbnails.png, data/split.json, models/card.json. Writes figures/
(each plot and <case>.overlay as PNG and SVG, <case>.gif and other films), report.html, a
self-contained page that opens from disk, and models/model_card.md. Adds them, and what every stage
cost, to the MLflow run of the training; the report there also has the date, the DVC experiment and
other circumstances.
"""

import logging
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated, Any, NamedTuple

from pydantic import RootModel

from .core.catalogue import Catalogue
from .core.errors import InputError
from .core.folds import Split
from .core.layout import counted
from .core.records import parse_table, read_json, write_bytes
from .formats import predictions as predicted
from .formats import raw_cases
from .network.card import network_file, read_card
from .report.model_card import model_card as card_page
from .report.page.cases import dice_line
from .report.page.report import report_page, under_title
from .report.params import VisualizeParams
from .report.plots.figures import case_files, figures_of
from .report.plots.planes import view_of
from .report.plots.poster import poster
from .report.plots.viewer_volumes import ViewerVolumes, viewer_volumes
from .report.results import Pictured, Previous, Rows, Run, read_table, read_tables
from .report.worst_to_best import chosen, from_both_ends
from .runtime import costs, logs, stage
from .runtime.circumstances import circumstances
from .runtime.committed import committed
from .runtime.parallel import over_cases
from .runtime.provenance import committed_params, provenance
from .runtime.tracking import reproduction
from .runtime.tracking.datasets import data_of
from .runtime.tracking.parts import evaluation_part, model_part, report_part

log = logging.getLogger(__name__)

Plain = RootModel[dict[str, Any]]


class _Drawn(NamedTuple):
    """Pictures of a case: files by their endings, the film and the poster of the page, volumes for
    the viewer.
    """

    files: dict[str, bytes]
    film: bytes
    poster: bytes
    volumes: ViewerVolumes


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
    params: Annotated[VisualizeParams, stage.Key("visualize")],
) -> None:
    """Draw the figures and write the report and the model card of a run."""
    described, catalogue = read_card(models), read_json(raw / "catalogue.json", Catalogue)
    network, card, rows = network_file(models), models / "card.json", read_table(cases)
    names = chosen(rows, params.names, params.cases, cases)
    viewed = from_both_ends(names)
    read: dict[str, Any] = {"history": read_table(history), **read_tables(tables)}
    work = partial(_draw, raw, predictions, catalogue, rows, params)
    drawn = dict(zip(names, over_cases(work, names, "picture"), strict=True))
    sources = (raw / "catalogue.json", split, network, card, predictions, cases, evaluation)
    run = Run(
        catalogue=catalogue,
        split=read_json(split, Split),
        rows=rows,
        evaluation=read_json(evaluation, Plain).root,
        verify=read_json(verify, Plain).root,
        card=described.model_dump(mode="json"),
        pictured=[
            Pictured(name, case.files["overlay.png"], case.film) for name, case in drawn.items()
        ],
        thumbnails=thumbnails.read_bytes(),
        provenance=provenance({f"{path.parent.name}/{path.name}": path for path in sources}),
        previous=_previous(cases, evaluation),
        volumes=[drawn[name].volumes for name in viewed],
        poster=drawn[viewed[0]].poster,
        **read,
    )
    folder = TemporaryDirectory()
    dated = Path(folder.name) / report.name
    parts = (
        model_part(network, card, history),
        evaluation_part(evaluation, cases, tables, inference=models / "inference.json"),
        report_part(dated, figures, model_card),
    )
    with folder, reproduction.run(described.tags, data_of(catalogue, run.split), *parts) as tracked:
        plots = figures_of(run, params.dpi)
        pictures = {
            name: dict(zip(("png", "svg"), files, strict=True)) for name, files in plots.items()
        }
        pictures |= {name: case.files for name, case in drawn.items()}
        for name, files in pictures.items():
            for ending, data in files.items():
                write_bytes(figures / f"{name}.{ending}", data)
        write_bytes(model_card, card_page(run).encode())
        page = report_page(run, plots)
        write_bytes(report, page.encode())
        write_bytes(dated, under_title(page, circumstances(tracked.id)).encode())
        cases_drawn = counted(len(drawn), "case")
        log.info("%s pictured in %s; report: %s", cases_drawn, figures, logs.shown(report))
        tracked.log_metrics({"cost": {row["stage"]: row for row in costs.read()}})


def _previous(cases: Path, evaluation: Path) -> Previous | None:
    """The scores in the newest commit, if it holds any and they differ."""
    found = committed(cases, evaluation)
    if found is None or found.texts[0] == cases.read_text(encoding="utf-8"):
        return None
    before = Plain.model_validate_json(found.texts[1]).root
    rows = parse_table(found.texts[0], f"{cases} of {found.name}").to_dict("records")
    return Previous(found.name, before, rows, committed_params())


def _draw(
    raw: Path,
    predictions: Path,
    catalogue: Catalogue,
    rows: Rows,
    params: VisualizeParams,
    name: str,
) -> _Drawn:
    schema = catalogue.cohort
    case = raw_cases.read(raw_cases.found_in(raw, catalogue.entry(name)), schema)
    view = view_of(
        case,
        predicted.read(predictions, name, case, schema),
        schema.modalities,
        predicted.read_uncertainty(predictions, name, case),
    )
    settings = (params.animations, params.frames, params.seconds_per_frame, params.dpi)
    try:
        files, film = case_files(view, schema, dice_line(rows, schema, name), *settings)
    except ValueError as error:
        raise InputError(f"params.yaml: visualize.animations: {error}") from None
    volumes = viewer_volumes(view, schema)
    return _Drawn(files, film, poster(view, schema, volumes.opened_on), volumes)


if __name__ == "__main__":
    stage.main(visualize, recorded=costs.recorded)
