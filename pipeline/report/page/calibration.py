"""Whether the network's probabilities can be taken at their word, and its uncertainty as a warning."""

from .html import Html, element, join
from .metrics import CALIBRATION, summary_table
from .plots import Figures, plot
from .run import Run

_NOTE = (
    "Of the voxels to which the network gives a probability of 0.8 for a region, eight in ten"
    " should lie in it. The expected calibration error is the mean distance from that; lower is"
    " better, as for the Brier score, the mean squared error of the probabilities. Judged are the"
    " voxels of the brain: the background around it would make any network look calibrated."
)


def calibration(run: Run, figures: Figures) -> Html:
    """Curves and a table; nothing where calibration was not measured."""
    if not run.calibration:
        return Html("")
    measured = run.evaluation.get("calibration", {})
    summaries = {region: measured[region] for region in run.schema.regions if region in measured}
    curves_alt = (
        "Left: share of voxels in the region against the predicted probability, per region. Right:"
        " voxels by predicted probability."
    )
    curves_caption = "Below the diagonal the network is surer than it is right, above it less sure."
    risk_alt = (
        "One dot per case and region: its area under the risk-coverage curve between the best"
        " possible, 0, and chance, 1."
    )
    risk_caption = (
        "Left of the dashed line, looking at the most uncertain voxels first finds errors sooner"
        " than looking anywhere."
    )
    return join(
        element("p", _NOTE),
        plot(figures, "reliability", curves_alt, curves_caption),
        plot(figures, "uncertainty", risk_alt, risk_caption),
        (
            summary_table(summaries, CALIBRATION, "Mean over cases with 95 % intervals.")
            if summaries
            else ""
        ),
    )
