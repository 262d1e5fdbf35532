"""The scores of regions, labels and all classes, with what they were taken over."""

from collections.abc import Sequence

from ..plots.volumes import agreement
from .html import Html, element, join, table
from .metrics import SCORES, summary_table
from .plots import Figures, plot
from .run import Run
from .text import number, small, taken_over

_MULTICLASS = {
    "accuracy": "Accuracy",
    "mean_iou": "Mean IoU",
    "mean_dice": "Mean Dice",
    "precision": "Precision",
    "sensitivity": "Sensitivity",
    "specificity": "Specificity",
}
_MULTICLASS_NOTE = (
    "Each class is scored against all others on hard labels of the raw grid, averaged over classes"
    " with equal weight, then over cases. With background, the easy background counts as one class"
    " more and nearly every voxel is right; without it, the numbers speak of the tumour alone."
)


def scores(run: Run, figures: Figures) -> Html:
    """Plots and tables of the scores."""
    schema = run.schema
    regions = ", ".join(
        f"{name} = {' + '.join(members)}" for name, members in schema.regions.items()
    )
    note = "Means in bold with their 95 % interval, medians below"
    return join(
        _score_plot(run, figures),
        summary_table(
            _named(run, "region", schema.regions), SCORES, f"Regions. {note}. {regions}."
        ),
        _labels(run, note),
        element("h3", "Volumes"),
        _volume_plots(run, figures),
        element("h3", "All classes in one table"),
        element("p", _MULTICLASS_NOTE),
        _multiclass_table(run),
        _confusion(figures),
        element(
            "p", f"Mean loss on the held-out cases: {number(run.evaluation['held_out_loss'], 4)}."
        ),
    )


def _named(run: Run, kind: str, names: Sequence[str]) -> dict:
    """Summaries in the order of the schema: files sort by name."""
    return {name: run.evaluation[kind][name] for name in names}


def _labels(run: Run, note: str) -> Html:
    """The table of the labels, folded; nothing where each region is one label."""
    if all(len(members) == 1 for members in run.schema.regions.values()):
        return Html("")
    labels = summary_table(_named(run, "label", run.schema.labels), SCORES, f"Labels. {note}.")
    return element("details", element("summary", "Label by label"), labels)


def _score_plot(run: Run, figures: Figures) -> Html:
    names = ", ".join((*run.schema.regions, *run.schema.labels))
    alt = (
        f"Dice and HD95 of {names}: a dot per case, violins and boxes; the tables below hold the"
        " numbers."
    )
    caption = (
        "Regions left of the line, labels right of it. Boxes span the quartiles, the dark line is"
        " the median; violins show how dense the values are. With fewer than five cases there are"
        " dots alone."
    )
    return plot(figures, "scores", alt, caption)


def _volume_plots(run: Run, figures: Figures) -> Html:
    found = {region: agreement(run.rows, region) for region in run.schema.regions}
    biases = ", ".join(
        f"{region} {number(values['bias'], 1)} ml" for region, values in found.items()
    )
    agreement_alt = (
        "Difference of predicted and reference volume against their mean, for each region. Mean"
        f" difference: {biases}."
    )
    agreement_caption = (
        "Bland-Altman plot: the solid line is the mean difference (bias), dashed lines are the"
        " limits of agreement, bias ± 1.96 standard deviations. Dots above 0 were drawn too large."
    )
    dice_alt = (
        "Dice of each case against the volume of the region in the reference, for each region."
    )
    dice_caption = (
        "Small tumours are harder: the same error at the border costs them more. The line joins"
        " medians of cases of like volume."
    )
    return join(
        plot(figures, "volume_agreement", agreement_alt, agreement_caption),
        plot(figures, "dice_by_volume", dice_alt, dice_caption),
    )


def _multiclass_table(run: Run) -> Html:
    rows = [
        [
            title,
            *(
                _multiclass(run, f"{name}_{ending}")
                for ending in ("with_background", "without_background")
            ),
        ]
        for name, title in _MULTICLASS.items()
    ]
    return table(
        ["", "With background", "Without background"],
        rows,
        "Mean over the cases in which it is defined.",
    )


def _multiclass(run: Run, column: str) -> Html:
    summary = run.evaluation["multiclass"][column]
    return join(number(summary["mean"], 4), small(taken_over(summary)))


def _confusion(figures: Figures) -> Html:
    alt = (
        "Matrix of voxels: a row for each class of the reference, a column for what the prediction"
        " calls them, in shares of the row."
    )
    caption = (
        "Voxels of all held-out cases together. Each row adds up to 100 %: where the voxels of a"
        " class of the reference went."
    )
    return plot(figures, "confusion", alt, caption, "small plot")
