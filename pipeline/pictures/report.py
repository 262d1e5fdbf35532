"""The report of a run: what was tried on what, how well it went, and what that looks like."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from pipeline.domain.catalogue import Catalogue
from pipeline.domain.folds import Split
from pipeline.domain.schema import Schema
from pipeline.domain.scores import EMPTY_RULES, summarise_values
from pipeline.pictures.page import Html, document, element, join, picture, section, table
from pipeline.pictures.palette import region_colours
from pipeline.pictures.ranking import mean_region_dice
from pipeline.pictures.sheet import cut
from pipeline.pictures.stylesheet import STYLE
from pipeline.pictures.view import CONVENTION

EMBEDDED_BYTES = 15_000_000
"""Pictures of cases are put into the page, worst case first, until they exceed this; the rest are named."""

_FEW_CASES = 10
_THUMBNAILS = 300
_SHARES = {"precision": "Precision", "sensitivity": "Sensitivity", "specificity": "Specificity"}
_COLUMNS = (
    {"dice": "Dice", "iou": "IoU"}
    | _SHARES
    | {"hd95_mm": "HD95 (mm)", "reference_ml": "Reference (ml)", "prediction_ml": "Prediction (ml)"}
)
_DIGITS = {"hd95_mm": 1, "reference_ml": 1, "prediction_ml": 1}
_MULTICLASS = {"accuracy": "Accuracy", "mean_iou": "Mean IoU", "mean_dice": "Mean Dice"} | _SHARES
_USE = "Research use only. Not for diagnosis, treatment or any other clinical decision."


@dataclass(frozen=True)
class Pictured:
    """Pictures of one case, as files: a PNG and a GIF."""

    case: str
    overlay: bytes
    animation: bytes


@dataclass(frozen=True)
class Run:
    """All that the report shows.

    Attributes
    ----------
    catalogue : Catalogue
        The cohort.
    split : Split
        Its parts.
    rows : sequence of dict
        As `pipeline.domain.scores.score_case` gives them, with ``case`` and ``patient``.
    evaluation, verify, card : dict
        metrics/evaluate.json, metrics/verify.json and models/card.json.
    curves, scores : bytes
        PNG files.
    pictured : sequence of Pictured
        From the worst case to the best.
    thumbnails : bytes
        The sheet of all cases of the catalogue, in its order (`pipeline.pictures.sheet`).
    """

    catalogue: Catalogue
    split: Split
    rows: Sequence[dict[str, Any]]
    evaluation: dict[str, Any]
    verify: dict[str, Any]
    card: dict[str, Any]
    curves: bytes
    scores: bytes
    pictured: Sequence[Pictured]
    thumbnails: bytes

    @property
    def schema(self) -> Schema:
        """Of the cohort."""
        return self.catalogue.cohort


def report_page(run: Run) -> str:
    """Write the report.

    Parameters
    ----------
    run : Run
        What to show.

    Returns
    -------
    str
        One HTML page with everything in it.
    """
    parts = {
        "scores": ("Scores", _scores(run)),
        "cases": ("Case by case", _cases(run)),
        "pictures": ("Reference and prediction", _pictures(run)),
        "training": ("Training", _training(run)),
        "data": ("Data", _data(run)),
        "verification": ("Verification", _verification(run)),
        "definitions": ("Definitions", _definitions(run)),
        "model": ("Model", _model(run)),
        "limits": ("Limits", _limits(run)),
    }
    links = element("nav", *(element("a", title, href=f"#{name}") for name, (title, _) in parts.items()), aria_label="Parts of the report")
    sections = [section(name, title, content) for name, (title, content) in parts.items()]
    return document(f"TumorFlow report: {run.schema.cohort}", STYLE, _verdict(run), links, *sections)


def _verdict(run: Run) -> Html:
    schema, mean = run.schema, run.evaluation["mean_region_dice"]
    cases, patients = run.evaluation["cases"], len({row["patient"] for row in run.rows})
    per_case = list(mean_region_dice(run.rows).values())
    spread = summarise_values(per_case, [False] * len(per_case))["sd"]
    figure = (element("span", "Mean region Dice"), element("b", _number(mean["value"])), _small(f"sd {_number(spread)} over cases"))
    tiles = element("div", element("div", *figure, class_="tile main"), *(_tile(run, region) for region in schema.regions), class_="tiles")
    trained = f"Trained on {_count(len(run.split.train), 'case')}, validated on {len(run.split.val)}, scored on {cases} held out of both"
    held_out = f"{trained} ({_count(patients, 'patient')}, none of whom is in another part)."
    few = f" With {_count(cases, 'case')} the mean may move by much when other cases are held out." if cases < _FEW_CASES else ""
    return element(
        "header",
        element("p", "TumorFlow report", class_="eyebrow"),
        element("h1", f"Mean region Dice {_number(mean['value'])} on {_count(cases, 'held-out case')} of cohort {schema.cohort}"),
        element("p", held_out + few),
        tiles,
        element("p", _empty_rule(schema, mean), class_="faint"),
        element("p", _USE, class_="caution"),
        class_="verdict",
    )


def _tile(run: Run, region: str) -> Html:
    summary = run.evaluation["region"][region]
    dice, distance = summary["dice"], summary["hd95_mm"]
    return element(
        "div",
        element("span", element("i", style=f"background:{region_colours(run.schema)[region]}"), region),
        element("b", _number(dice["mean"])),
        _small(f"sd {_number(dice['sd'])}, median {_number(dice['median'])}"),
        _small(f"HD95 median {_number(distance['median'], 1)} mm"),
        _small(f"n = {dice['cases']}" + (f", {dice['undefined']} undefined" if dice["undefined"] else "")),
        class_="tile",
    )


def _empty_rule(schema: Schema, mean: dict[str, Any]) -> str:
    fills, total = EMPTY_RULES[schema.empty_rule], mean["cases"] + mean["undefined"]
    if not fills:
        return (
            f"Where neither the reference nor the prediction has a voxel of a region, its Dice is undefined and left out of the mean "
            f"(rule “{schema.empty_rule}”): {mean['undefined']} of {total} region scores."
        )
    both, one = fills["both_empty"], fills["reference_empty"]
    return (
        f"Two empty masks count as Dice {both['dice']:g} and HD95 {both['hd95_mm']:g} mm, "
        f"one empty mask as Dice 0 and HD95 {one['hd95_mm']:.2f} mm (rule “{schema.empty_rule}” of the cohort). "
        f"It gave the Dice of {mean['filled']} of {total} region scores."
    )


def _scores(run: Run) -> Html:
    schema, regions = run.schema, ", ".join(f"{name} = {' + '.join(members)}" for name, members in run.schema.regions.items())
    plot = picture(
        run.scores,
        "png",
        f"Dice and HD95 of {', '.join((*schema.regions, *schema.labels))}: boxes with a dot per case; the tables below hold the numbers.",
        "Regions left of the line, labels right of it. Boxes span the quartiles, the dark line is the median.",
        "plot",
    )
    return join(
        plot,
        _summary_table(run, "region", tuple(schema.regions), f"Regions, mean ± sd over cases, median below. {regions}."),
        _summary_table(run, "label", tuple(schema.labels), "Labels, mean ± sd over cases, median below."),
        element("h3", "All classes in one table"),
        element("p", _MULTICLASS_NOTE),
        _multiclass_table(run.evaluation["multiclass"]),
        element("p", f"Mean loss on the held-out cases: {_number(run.evaluation['held_out_loss'], 4)}."),
    )


_MULTICLASS_NOTE = (
    "Each class is scored against all others on hard labels of the raw grid, averaged over classes with equal weight, then over "
    "cases. With background, the easy background counts as one class more and nearly every voxel is right; without it, the numbers "
    "speak of the tumour alone."
)


def _summary_table(run: Run, kind: str, names: Sequence[str], caption: str) -> Html:
    summaries = run.evaluation[kind]
    rows = [[name, *(_summary(summaries[name][column], _DIGITS.get(column, 3)) for column in _COLUMNS)] for name in names]
    return table(["", *_COLUMNS.values()], rows, caption)


def _summary(summary: dict[str, Any], digits: int) -> Html:
    """Mean ± sd, then the median, and over how many cases if not over all or if the rule gave some."""
    lines = [_small(f"median {_number(summary['median'], digits)}")]
    if summary["undefined"]:
        lines.append(_small(f"n = {summary['cases']}, {summary['undefined']} undefined"))
    if summary["filled"]:
        lines.append(_small(f"{summary['filled']} of {summary['cases']} by rule"))
    return join(f"{_number(summary['mean'], digits)} ± {_number(summary['sd'], digits)}", *lines)


def _multiclass_table(means: dict[str, float]) -> Html:
    endings = ("with_background", "without_background")
    rows = [[title, *(_number(means[f"{name}_{ending}"], 4) for ending in endings)] for name, title in _MULTICLASS.items()]
    return table(["", "With background", "Without background"], rows, "Mean over cases.")


def _cases(run: Run) -> Html:
    schema, means = run.schema, mean_region_dice(run.rows)
    scored = {(row["case"], row["name"]): row for row in run.rows if row["kind"] == "region"}
    patients = {row["case"]: row["patient"] for row in run.rows}
    named = any(case != patient for case, patient in patients.items())
    outermost = next(iter(schema.regions))
    header = ["Case", *(["Patient"] if named else []), "Mean Dice"]
    header += [f"Dice {region}" for region in schema.regions] + [f"HD95 {region} (mm)" for region in schema.regions]
    header += [f"{outermost} reference (ml)", f"{outermost} prediction (ml)"]
    anchors = {pictured.case: f"#case-{place}" for place, pictured in enumerate(run.pictured)}
    lines = []
    for case, mean in means.items():
        own = [scored[case, region] for region in schema.regions]
        name = element("a", case, href=anchors[case]) if case in anchors else case
        lines.append([
            name, *([patients[case]] if named else []), _bar(mean), *(_bar(row["dice"], row["filled"]) for row in own),
            *(_number(row["hd95_mm"], 1) + _mark(row["filled"]) for row in own),
            *(_number(own[0][volume], 1) for volume in ("reference_ml", "prediction_ml")),
        ])  # fmt: skip
    note = "† The reference or the prediction has no voxel of the region, so the cohort's rule decides the scores."
    marked = any(row["filled"] for row in scored.values())
    return join(table(header, lines, "From the worst to the best case."), element("p", note, class_="faint") if marked else "")


def _bar(value: float, filled: str = "") -> Html:
    """A cell whose background shows a share."""
    share = value if value == value else 0
    return element("td", _number(value) + _mark(filled), class_="bar", style=f"--share:{share:.3f}")


def _mark(filled: str) -> str:
    return "†" if filled else ""


def _pictures(run: Run) -> Html:
    fills = "Fills are the labels of the prediction, lines outline the regions of the reference"
    intro = f"{fills}. Each row shows the slice with the largest tumour area. {CONVENTION}"
    shown, left_out, size = [], [], 0
    for place, pictured in enumerate(run.pictured):
        size += len(pictured.overlay) + len(pictured.animation)
        if size > EMBEDDED_BYTES and shown:
            left_out.append(pictured.case)
        else:
            shown.append(_case_pictures(run, place, pictured))
    rest = f"Left out to keep this page below 25 MB, to be found in the folder of figures: {', '.join(left_out)}." if left_out else ""
    return join(element("p", intro), *shown, element("p", rest) if rest else "")


def _case_pictures(run: Run, place: int, pictured: Pictured) -> Html:
    dice = dice_line(run.rows, run.schema, pictured.case)
    alt = f"Case {pictured.case} in {', '.join(run.schema.modalities)}, with the prediction filled and the reference outlined. {dice}."
    caption = f"{dice}. The last column shows tumour that was missed, false alarms, and tumour under another label."
    film = f"Axial slices of case {pictured.case} from bottom to top through the tumour: the reference left, the prediction right."
    return join(
        element("h3", pictured.case, id=f"case-{place}"),
        picture(pictured.overlay, "png", alt, caption, "scan"),
        picture(pictured.animation, "gif", film, film, "film"),
    )


def dice_line(rows: Sequence[dict[str, Any]], schema: Schema, case: str) -> str:
    """Dice of each region of a case in one line."""
    dice = {row["name"]: row["dice"] for row in rows if row["case"] == case and row["kind"] == "region"}
    return "Dice  " + "   ".join(f"{region} {_number(dice[region], 2)}" for region in schema.regions)


def _training(run: Run) -> Html:
    alt = "Three plots over epochs: training and validation loss, Dice on the validation patches for each region and label, learning rate."
    caption = "The validation cases steer training, so their Dice flatters; the scores above are those of cases that training never saw."
    return picture(run.curves, "png", alt, caption, "plot")


def _data(run: Run) -> Html:
    verify = run.verify
    named = lambda values, ending="": ", ".join(f"{region} {values[region]:g}{ending}" for region in run.schema.regions)  # noqa: E731
    facts = {
        "Cohort": verify["cohort"],
        "Verified": f"{_count(verify['cases'], 'case')} of {_count(verify['patients'], 'patient')}, {_count(verify['files'], 'file')}",
        "Parts": f"train {len(run.split.train)}, val {len(run.split.val)}, test {len(run.split.test)} cases",
        "Modalities": ", ".join(run.schema.modalities),
        "Labels": ", ".join(f"{name} = {value}" for name, value in run.schema.labels.items()),
        "Shapes (voxels)": _plain(verify["shapes"]),
        "Voxel sizes (mm)": _plain(verify["spacings_mm"]),
        "Orientations": _plain(verify["orientations"]),
        "Cases without a region": named(verify["without"]),
        "Mean volume in the reference": named(verify["mean_ml"], " ml"),
        "Terms": run.catalogue.licence,
    }
    return _facts(facts.items(), "What the verification of every file and voxel found.")


def _verification(run: Run) -> Html:
    """What was checked, what was found, and every case at a glance; those with a finding first."""
    warnings = run.verify["warnings"]
    found = [element("ul", *(element("li", warning) for warning in warnings))] if warnings else [element("p", "Nothing to warn of.")]
    names = [entry.case for entry in run.catalogue.cases]
    remarked = [name for name in names if any(warning.startswith(f"{name}:") for warning in warnings)]
    shown = [*remarked, *(name for name in names if name not in set(remarked))][:_THUMBNAILS]
    left_out = f" {_count(len(names) - len(shown), 'more case')} in metrics/thumbnails.png." if len(shown) < len(names) else ""
    part = {case: name for name in ("train", "val", "test") for case in getattr(run.split, name)}
    pictures = cut(run.thumbnails, [names.index(name) for name in shown])
    glances = [_glance(run, name, part.get(name, "in no part"), data) for name, data in zip(shown, pictures, strict=True)]
    return join(
        element(
            "p",
            f"{_count(run.verify['files'], 'file')} read to the last byte and voxel. What does not hold is refused, or is a finding:",
        ),
        element("ul", *(element("li", check) for check in run.verify["checks"])),
        element("h3", f"{_count(len(warnings), 'finding')} to look at"),
        *found,
        element("h3", "Every case at a glance"),
        element("p", f"The axial slice with the most tumour, all labels outlined together. {CONVENTION}{left_out}", class_="faint"),
        element("div", *glances, class_="glances"),
    )


def _glance(run: Run, name: str, part: str, data: bytes) -> Html:
    entry = run.catalogue.entry(name)
    volumes = ", ".join(f"{region} {entry.region_ml(run.schema, region):.1f} ml" for region in run.schema.regions if entry.label_voxels)
    caption = join(element("b", name), f" {part}", element("br"), _small(volumes))
    return picture(data, "png", f"Case {name}, {part}: {volumes}", caption, "film")


def _definitions(run: Run) -> Html:
    return _facts(run.evaluation["definitions"].items(), "How the numbers are computed.")


def _model(run: Run) -> Html:
    facts = _facts(_flat(run.card), "The model card: schema, recipe, settings and versions.")
    return element("details", element("summary", "What the model was made with"), facts)


def _limits(run: Run) -> Html:
    limits = (
        _USE,
        f"The scores hold for cases like those of cohort {run.schema.cohort}; other scanners, protocols and tumours may do worse.",
        "A mean hides cases that fail: look at the worst ones.",
        "The reference was drawn by people or by a generator and errs too.",
    )
    return element("ul", *(element("li", limit) for limit in limits))


def _facts(facts: Any, caption: str) -> Html:
    return element("div", table(["what", "found"], [[name, str(text)] for name, text in facts], caption), class_="words")


def _flat(value: dict[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    """Nested keys as dotted names."""
    for key, item in value.items():
        if isinstance(item, dict) and item:
            yield from _flat(item, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", _plain(item)


def _plain(value: Any) -> str:
    """A JSON value as text; lists within a list by a cross, as in 240 × 240 × 155."""
    if isinstance(value, list):
        return ", ".join(" × ".join(map(_plain, item)) if isinstance(item, list) else _plain(item) for item in value) or "none"
    if value is None or value == "" or value == {}:
        return "–"
    return f"{value:g}" if isinstance(value, float) else str(value)


def _number(value: float | None, digits: int = 3) -> str:
    return "–" if value is None or value != value else f"{value:.{digits}f}"


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" + "s" * (number != 1)


def _small(text: str) -> Html:
    return element("small", text)
