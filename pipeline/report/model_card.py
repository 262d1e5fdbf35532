"""The model card in Markdown: what a network is for, what it was made from, how well it does and
for whom, and where it fails.

Its parts follow Mitchell et al., "Model Cards for Model Reporting", FAT* 2019
(doi:10.1145/3287560.3287596), section 4.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from ..core.catalogue import Catalogue
from ..core.folds import Split
from ..core.schema import Schema
from ..metrics.lesion_rules import why_unscored
from ..statistics.bootstrap import interval

LEAST_CASES = 3
"""Of a group, for a score of its own."""
NAMED = 5
"""At most so many of the worst cases, and of the changed files."""
_NO_GROUPS = ("fold",)  # told of a case, but not of its patient
_CALIBRATION = {
    "ece": "Expected calibration error",
    "brier": "Brier score",
    "aurc": "Risk-coverage area",
    "aurc_oracle": "of the best order",
    "aurc_random": "of a random order",
}

Row = Mapping[str, Any]


def model_card(
    card: Mapping[str, Any],
    evaluation: Mapping[str, Any],
    rows: Sequence[Row],
    catalogue: Catalogue,
    split: Split,
    provenance: Mapping[str, Any],
) -> str:
    """Write the model card.

    Parameters
    ----------
    card, evaluation : mapping
        models/card.json and metrics/evaluate.json.
    rows : sequence of mapping
        metrics/cases.csv with its numbers as such.
    catalogue : Catalogue
        The cohort. What it tells of the cases (``attributes``) makes subgroups: those told of at
        least two groups of `LEAST_CASES`.
    split : Split
        Its parts.
    provenance : mapping
        As `pipeline.runtime.provenance.provenance` gives it.

    Returns
    -------
    str
        Markdown, the same for the same arguments.
    """
    schema = catalogue.cohort
    regions = [row for row in rows if row["kind"] == "region"]
    parts = {
        "Intended use": _intended(card, schema),
        "Not intended": _not_intended(card, schema),
        "Data": _data(catalogue, split),
        "Network and training": _training(card),
        "Scores": _scores(evaluation, schema),
        "Scores by subgroup": _subgroups(regions, catalogue),
        "Where it fails": _failures(regions, schema),
        "Calibration": _calibration(evaluation),
        "Limits": _limits(evaluation, catalogue, split),
        "How to use": _usage(),
        "Provenance": _provenance(card, provenance),
    }
    title = f"# Model card: U-Net for {schema.cohort}\n\n**{card['use']}**"
    return (
        "\n\n".join([title, *(f"## {name}\n\n{_joined(lines)}" for name, lines in parts.items())])
        + "\n"
    )


def _joined(blocks: Iterable[str]) -> str:
    return "\n\n".join(blocks)


def _intended(card: Mapping[str, Any], schema: Schema) -> Iterator[str]:
    thing = "slices" if schema.dimensions == 2 else "volumes"
    yield (
        f"Drawing {_listed(schema.labels)} in MRI {thing} that have {_listed(schema.modalities)},"
        f" prepared as the cases of {schema.cohort} were, for research: comparing methods,"
        " measuring volumes in groups of cases, first drafts of masks that an expert corrects."
    )
    regions = "\n".join(
        f"- {name}: {' + '.join(members)}" for name, members in schema.regions.items()
    )
    yield f"Regions, each a union of labels:\n\n{regions}"


def _not_intended(card: Mapping[str, Any], schema: Schema) -> Iterator[str]:
    stripped = (
        card["preprocess"]["foreground"] == "nonzero"
        if card.get("stripped") is None
        else card["stripped"]
    )
    skull = f"images from which the skull was {'not ' * stripped}removed"
    edges = " x ".join(f"{edge:.3g}" for edge in card["spacing_mm"])
    yield "\n".join(
        [
            "- diagnosis, treatment, or any decision about a patient",
            f"- cases that lack one of {_listed(schema.modalities)}, or whose modalities do not lie on one grid",
            f"- {skull}; voxels that are far from {edges} mm once prepared (`predict` refuses more than a quarter)",
            f"- diseases, ages, scanners or stages of treatment that {schema.cohort} does not hold: nothing is known of the scores there",
            "- saying that there is no tumour: cases without one may be missing from the cohort",
        ]
    )


def _data(catalogue: Catalogue, split: Split) -> Iterator[str]:
    parts = {"training": split.train, "validation": split.val, "test": split.test}
    lines = [
        [name, str(len(cases)), str(len({split.patients[case] for case in cases}))]
        for name, cases in parts.items()
    ]
    yield _table(["part", "cases", "patients"], lines)
    yield (
        f"Cohort {catalogue.cohort.cohort}; no patient is in two parts. Terms: {catalogue.licence}"
    )
    if catalogue.alike:
        yield (
            f"{len(catalogue.alike)} pairs of cases look like one examination; metrics/verify.json"
            " names them."
        )


def _training(card: Mapping[str, Any]) -> Iterator[str]:
    shape, train, recipe = card["network"], card["train"], card["preprocess"]
    kind = "nested regions by sigmoids" if shape["output"] == "regions" else "labels by one softmax"
    spacing = (
        "the raw grid's spacing"
        if recipe["spacing_mm"] is None
        else f"{' x '.join(f'{edge:g}' for edge in recipe['spacing_mm'])} mm"
    )
    low, high = recipe["clip_percentiles"]
    dice = "not measured" if card["val_dice"] is None else _number(card["val_dice"])
    yield "\n".join(
        [
            f"- {shape['dimensions']}D U-Net of {shape['depth']} levels, {shape['filters']} to "
            f"{min(shape['filters'] * 2 ** (shape['depth'] - 1), shape['max_filters'])} channels, {shape['normalization']} normalisation, "
            f"{card['weights']:,} weights; it gives {kind}",
            f"- prepared: {spacing}, intensities of the {'brain' if recipe['foreground'] == 'nonzero' else 'head'} clipped to percentiles "
            f"{low:g} and {high:g} and standardised, each modality by itself",
            f"- patches of {' x '.join(map(str, card['patch']))} voxels, {train['batch_size']} at a time, {train['epochs']} epochs of "
            f"{train['steps_per_epoch']} steps, {train['optimizer']}, learning rate {train['learning_rate']:g} ({train['schedule']}), "
            f"precision {train['precision']}",
            f"- loss: {train['dice_weight']:g} x soft Dice + {train['cross_entropy_weight']:g} x cross-entropy",
            f"- kept: epoch {card['best_epoch']}, mean Dice over regions of its validation patches {dice}",
            f"- seed {card['seed']}, trained by {card['backend']}",
        ]
    )


def _scores(evaluation: Mapping[str, Any], schema: Schema) -> Iterator[str]:
    mean = evaluation["mean_region_dice"]
    yield (
        f"Mean region Dice **{_number(mean['value'])}**"
        f" {_bounds(mean.get('low'), mean.get('high'))} over {evaluation['cases']} cases of the"
        " test part, on the raw grid against the untouched reference. In brackets 95 % confidence"
        " intervals over cases (BCa bootstrap)."
    )
    header = [
        "",
        "Dice",
        "median",
        "HD95 (mm)",
        "median",
        "NSD 2 mm",
        "cases",
        "by rule",
        "undefined",
    ]
    labels_alone = all(len(members) == 1 for members in schema.regions.values())
    for kind in ("region",) if labels_alone else ("region", "label"):
        yield _table(
            [kind, *header[1:]],
            [[name, *_score_cells(summary)] for name, summary in evaluation[kind].items()],
        )
    yield (
        f"By rule: Dice, HD95 that the cohort's rule for empty regions ({schema.empty_rule}) gave."
        " Undefined: cases left out of the mean of Dice, of HD95."
    )
    if evaluation.get("lesionwise"):
        lines = [
            [name, *_lesion_cells(summary)] for name, summary in evaluation["lesionwise"].items()
        ]
        yield "Lesion by lesion, missed and false ones counting 0:"
        yield _table(["region", "Dice", "HD95 (mm)"], lines)
    elif schema.lesion_rules is None:
        yield why_unscored(schema.cohort)
    if evaluation.get("instances"):
        lines = [
            [name, *_instance_cells(summary)] for name, summary in evaluation["instances"].items()
        ]
        yield "Connected components, matched by IoU above 0.5:"
        yield _table(["region", "F1", "panoptic quality"], lines)


def _score_cells(summary: Mapping[str, Any]) -> list[str]:
    dice, distance, surface = summary["dice"], summary["hd95_mm"], summary.get("nsd_2mm")
    return [
        *(
            _with_interval(dice, 3),
            _number(dice["median"]),
            _with_interval(distance, 1),
            _number(distance["median"], 1),
        ),
        *(_number(surface["mean"]) if surface else "–", str(dice["cases"])),
        *(f"{dice[count]}, {distance[count]}" for count in ("filled", "undefined")),
    ]


def _lesion_cells(summary: Mapping[str, Any]) -> list[str]:
    return [
        _with_interval(summary[name], digits)
        for name, digits in (("lesion_dice", 3), ("lesion_hd95_mm", 1))
    ]


def _instance_cells(summary: Mapping[str, Any]) -> list[str]:
    return [_with_interval(summary[name], 3) for name in ("f1", "pq")]


def _subgroups(rows: Sequence[Row], catalogue: Catalogue) -> Iterator[str]:
    schema, cases = catalogue.cohort, list(dict.fromkeys(row["case"] for row in rows))
    groups = {**_by_volume(rows, schema), **_by_attribute(cases, catalogue)}
    if not groups:
        yield (
            "None: neither tumour volume nor what the cohort tells of its cases makes two groups"
            f" of {LEAST_CASES} test cases."
        )
        return
    lines = [
        [name, str(len(members)), *_group_cells(rows, set(members), schema)]
        for name, members in groups.items()
    ]
    yield _table(["subgroup", "cases", *(f"Dice {region}" for region in schema.regions)], lines)
    yield (
        f"Groups of fewer than {LEAST_CASES} cases are left out. With many groups some lie apart by"
        " chance: the intervals are not corrected for their number, and none is a test of a"
        " difference."
    )


def _by_volume(rows: Sequence[Row], schema: Schema) -> dict[str, list[str]]:
    """Thirds of the cases by the reference volume of the first region, where each has enough."""
    whole = next(iter(schema.regions))
    volumes = sorted(
        (row["reference_ml"], row["case"])
        for row in rows
        if row["name"] == whole and row["reference_ml"] > 0
    )
    if len(volumes) < 3 * LEAST_CASES:
        return {}
    thirds = np.array_split(np.arange(len(volumes)), 3)
    return {
        f"{size} {whole}, {volumes[third[0]][0]:.1f} to {volumes[third[-1]][0]:.1f} ml": [
            volumes[place][1] for place in third
        ]
        for size, third in zip(("small", "medium", "large"), thirds, strict=True)
    }


def _by_attribute(cases: Sequence[str], catalogue: Catalogue) -> dict[str, list[str]]:
    told = {entry.case: entry.attributes for entry in catalogue.cases}
    groups: dict[str, list[str]] = {}
    for attribute in sorted({name for case in cases for name in told[case]} - set(_NO_GROUPS)):
        values = sorted({told[case].get(attribute, "") for case in cases} - {""})
        own = {
            f"{attribute}: {value}": [case for case in cases if told[case].get(attribute) == value]
            for value in values
        }
        enough = {name: members for name, members in own.items() if len(members) >= LEAST_CASES}
        groups |= enough if len(enough) > 1 else {}
    return groups


def _group_cells(rows: Sequence[Row], members: set[str], schema: Schema) -> list[str]:
    cells = []
    for region in schema.regions:
        own = [row for row in rows if row["name"] == region and row["case"] in members]
        values = [row["dice"] for row in own]
        defined = [value for value in values if value == value]
        mean = sum(defined) / len(defined) if defined else None
        low, high = interval(values, "mean", clusters=[row["patient"] for row in own])
        left_out = f", n = {len(defined)}" if len(defined) < len(values) else ""
        cells.append(f"{_number(mean)} {_bounds(low, high)}{left_out}")
    return cells


def _failures(rows: Sequence[Row], schema: Schema) -> Iterator[str]:
    yield _table(
        ["region", "missed or misplaced altogether", "drawn where there is none"],
        [_missed(rows, name) for name in schema.regions],
    )
    means = _case_means(rows)
    worst = sorted((mean, case) for case, mean in means.items() if mean == mean)[:NAMED]
    lines = [[f"`{case}`", _number(mean), *_case_cells(rows, case, schema)] for mean, case in worst]
    yield "The worst cases by the mean of their regions' Dice:"
    yield _table(
        [
            "case",
            "mean",
            *(f"Dice {region}" for region in schema.regions),
            "volumes: reference, prediction (ml)",
        ],
        lines,
    )


def _missed(rows: Sequence[Row], region: str) -> list[str]:
    present = [row for row in rows if row["name"] == region and row["reference_ml"] > 0]
    absent = [row for row in rows if row["name"] == region and row["reference_ml"] == 0]
    missed, drawn = (
        sum(row["dice"] == 0 for row in present),
        sum(row["prediction_ml"] > 0 for row in absent),
    )
    return [region, f"{missed} of {len(present)}", f"{drawn} of {len(absent)}"]


def _case_means(rows: Sequence[Row]) -> dict[str, float]:
    dice: dict[str, list[float]] = {}
    for row in rows:
        dice.setdefault(row["case"], []).append(row["dice"])
    defined = {case: [value for value in values if value == value] for case, values in dice.items()}
    return {
        case: sum(values) / len(values) if values else float("nan")
        for case, values in defined.items()
    }


def _case_cells(rows: Sequence[Row], case: str, schema: Schema) -> list[str]:
    own = {row["name"]: row for row in rows if row["case"] == case}
    volumes = "; ".join(
        f"{name} {own[name]['reference_ml']:.1f}, {own[name]['prediction_ml']:.1f}"
        for name in schema.regions
    )
    return [*(_number(own[name]["dice"]) for name in schema.regions), volumes]


def _calibration(evaluation: Mapping[str, Any]) -> Iterator[str]:
    measured = evaluation.get("calibration")
    if not measured:
        yield "Not measured."
        return
    columns = {
        name: title
        for name, title in _CALIBRATION.items()
        if all(name in measured[region] for region in measured)
    }
    lines = [
        [region, *(_with_interval(measured[region][name], 4) for name in columns)]
        for region in measured
    ]
    yield _table(["region", *columns.values()], lines)
    yield (
        "Means over cases. A probability is calibrated where, of the voxels that get it, that share"
        " is tumour (error 0). The uncertainty predicts errors as far as the risk-coverage area"
        " lies below that of a random order."
    )


def _limits(evaluation: Mapping[str, Any], catalogue: Catalogue, split: Split) -> Iterator[str]:
    patients = len({split.patients[case] for case in split.test})
    yield "\n".join(
        [
            f"- scored on {evaluation['cases']} cases of {patients} patients of the cohort it was trained on; other hospitals were not tried",
            "- the references are drawings by people or programs: no score can be better than their agreement",
            "- one training with one seed: another seed moves the scores, and the intervals do not hold that spread",
            f"- a voxel is {_listed(catalogue.cohort.labels)} or background: anything else is drawn as one of these",
            "- missing modalities were not tried",
        ]
    )


def _usage() -> Iterator[str]:
    yield "```\npython -m pipeline predict CASE_FOLDER --model models --out FILE.nii.gz\n```"
    yield (
        "`CASE_FOLDER` holds one file per modality. The folder `models` holds all that is needed:"
        " network.keras, card.json and inference.json, the settings that were scored."
    )


def _provenance(card: Mapping[str, Any], provenance: Mapping[str, Any]) -> Iterator[str]:
    versions = ", ".join(f"{name} {version}" for name, version in sorted(card["versions"].items()))
    changed = f", with changes in {_few(provenance['changed'])}" if provenance["changed"] else ""
    yield "\n".join(
        [
            f"- network: sha256 `{card['network_sha256']}`",
            f"- data: sha256 `{card['data_hash']}` of catalogue and split",
            f"- trained with {versions}",
            f"- this card: commit `{provenance['commit'] or 'none'}`{changed}",
            f"- again: `{provenance['command']}`",
        ]
    )


def _table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join(f"| {' | '.join(cell.replace('|', '/') for cell in line)} |" for line in lines)


def _listed(names: Iterable[str]) -> str:
    *most, last = names
    return f"{', '.join(most)} and {last}" if most else last


def _few(names: Sequence[str]) -> str:
    return ", ".join(names[:NAMED]) + (
        f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
    )


def _with_interval(summary: Mapping[str, Any], digits: int) -> str:
    return (
        f"{_number(summary['mean'], digits)}"
        f" {_bounds(summary.get('mean_low'), summary.get('mean_high'), digits)}"
    )


def _bounds(low: float | None, high: float | None, digits: int = 3) -> str:
    return f"[{_number(low, digits)}, {_number(high, digits)}]"


def _number(value: float | None, digits: int = 3) -> str:
    """A number, or a dash for None (NaN in JSON) and NaN."""
    return "–" if value is None or value != value else f"{value:.{digits}f}"
