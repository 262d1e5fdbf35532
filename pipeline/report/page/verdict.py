"""The head of the report: what was trained on what, how well it does, and what that is to be held
against.
"""

from typing import Any

from ...core.schema import Schema
from ...metrics.scores import EMPTY_RULES
from ..plots.palette import region_colours
from .html import Html, element, join, table
from .previous import against_previous
from .published import anchors
from .run import Run
from .text import count, interval, number, small, taken_over

USE = "Research use only. Not for diagnosis, treatment or any other clinical decision."

_FEW_CASES = 10


def verdict(run: Run) -> Html:
    """The verdict in a heading, a paragraph, one tile per region, and two comparisons."""
    mean, cases = run.evaluation["mean_region_dice"], run.evaluation["cases"]
    return element(
        "header",
        element("p", "TumorFlow report", class_="eyebrow"),
        element(
            "h1",
            f"Mean region Dice {number(mean['value'])} on {count(cases, 'held-out case')} of cohort"
            f" {run.schema.cohort}",
        ),
        element("p", _trained(run, cases)),
        element(
            "div",
            _main_tile(mean),
            *(_tile(run, region) for region in run.schema.regions),
            class_="tiles",
        ),
        element("p", _intervals(run), " ", _empty_rule(run.schema, mean), class_="faint"),
        element("div", against_previous(run), _anchors(run.schema.cohort), class_="sides"),
        element("p", USE, class_="caution"),
        class_="verdict",
    )


def _trained(run: Run, cases: int) -> str:
    patients = len({row["patient"] for row in run.rows})
    network = _network(run.card)
    trained = (
        f"{network} trained on {count(len(run.split.train), 'case')}, validated on"
        f" {len(run.split.val)}"
    )
    held_out = (
        f"scored on {cases} held out of both ({count(patients, 'patient')}, none of whom is in"
        " another part)."
    )
    few = (
        f" With {count(cases, 'case')} the mean may move by much when other cases are held out."
        if cases < _FEW_CASES
        else ""
    )
    return f"{trained}, {held_out}{few}"


def _network(card: dict[str, Any]) -> str:
    """Such as ``A 2D U-Net of 1,928,691 weights,``."""
    if "weights" not in card or "network" not in card:
        return "A network"
    return f"A {card['network']['dimensions']}D U-Net of {card['weights']:,} weights,"


def _main_tile(mean: dict[str, Any]) -> Html:
    between = interval(mean.get("low"), mean.get("high"))
    figure = (element("span", "Mean region Dice"), element("b", number(mean["value"])))
    spread = [small(between), small("95 % interval")] if between else []
    return element("div", *figure, *spread, class_="tile main")


def _tile(run: Run, region: str) -> Html:
    summary = run.evaluation["region"][region]
    dice, distance = summary["dice"], summary["hd95_mm"]
    between = interval(dice.get("mean_low"), dice.get("mean_high"))
    lesions = run.evaluation.get("lesionwise", {}).get(region, {}).get("lesion_dice")
    return element(
        "div",
        element(
            "span",
            element("i", style=f"background:{region_colours(run.schema)[region]}"),
            f"Dice {region}",
        ),
        element("b", number(dice["mean"])),
        *([small(between)] if between else []),
        small(taken_over(dice)),
        small(f"median {number(dice['median'])}"),
        *([small(f"lesion-wise {number(lesions['mean'])}")] if lesions else []),
        small(f"HD95 {number(distance['median'], 1)} mm (median)"),
        class_="tile",
    )


def _intervals(run: Run) -> str:
    if run.evaluation["mean_region_dice"].get("low") is None:
        return ""
    return (
        "Ranges are 95 % intervals: made again and again from other patients of the same kind, 95"
        " of 100 would hold the true mean."
    )


def _empty_rule(schema: Schema, mean: dict[str, Any]) -> str:
    fills, total = EMPTY_RULES[schema.empty_rule], mean["cases"] + mean["undefined"]
    if not fills:
        return (
            "Where neither the reference nor the prediction has a voxel of a region, its Dice is"
            f" undefined and left out of the mean (rule “{schema.empty_rule}”): {mean['undefined']}"
            f" of {total} region scores."
        )
    both, one = fills["both_empty"], fills["reference_empty"]
    return (
        f"Two empty masks count as Dice {both['dice']:g} and HD95 {both['hd95_mm']:g} mm, one empty"
        f" mask as Dice 0 and HD95 {one['hd95_mm']:.2f} mm (rule “{schema.empty_rule}” of the"
        f" cohort). It gave the Dice of {mean['filled']} of {total} region scores."
    )


def _anchors(cohort: str) -> Html:
    found = anchors(cohort)
    if not found:
        return Html("")
    rows = [
        [
            join(each.system, small(each.source)),
            join(each.value, small(each.metric), small(each.data)),
        ]
        for each in found
    ]
    note = (
        "Other data, other split: not a comparison. They tell the order of what others reach on"
        " cases of this kind."
    )
    caption = "As published." + " ET / TC / WT: enhancing tumour, tumour core, whole tumour." * any(
        "ET" in each.metric for each in found
    )
    return element(
        "div",
        element("h2", "Published results on cases of this kind"),
        element("p", note, class_="caution"),
        element("div", table(["System", "Result"], rows, caption), class_="prose"),
    )


def limits(run: Run) -> Html:
    """What the scores do not say."""
    sentences = (
        USE,
        (
            f"The scores hold for cases like those of cohort {run.schema.cohort}; other scanners,"
            " protocols and tumours may do worse."
        ),
        "A mean hides cases that fail: look at the worst ones.",
        (
            "Intervals tell how much the mean depends on which patients were held out, not what"
            " another training run, another site or another reader of the reference would change."
        ),
        "The reference was drawn by people or by a generator and errs too.",
    )
    return join(element("ul", *(element("li", sentence) for sentence in sentences)))
