"""Every figure of a run, for the page and for papers."""

from ...metrics.tumour_types import patient_rows
from ..page.run import Run
from .calibration import reliability_plot, uncertainty_plot
from .confusion import confusion_plot, types_plot
from .detection import detection_plot
from .learning_curves import learning_curves
from .scores import score_plot
from .volumes import dice_by_volume, volume_agreement


def figures_of(run: Run, dpi: int) -> dict[str, tuple[bytes, bytes]]:
    """Draw the figures for which a run has data.

    Parameters
    ----------
    run : Run
        Its tables.
    dpi : int
        Pixels per inch of the PNG files, which are 11 inches wide; the two matrices are as wide as
        they have classes.

    Returns
    -------
    dict of str to tuple of bytes
        Name, such as ``scores``, to a PNG file and an SVG file.
    """
    schema = run.schema
    drawings = {
        "learning_curves": (run.history, lambda: learning_curves(run.history, schema, dpi)),
        "scores": (run.rows, lambda: score_plot(run.rows, schema, dpi)),
        "volume_agreement": (run.rows, lambda: volume_agreement(run.rows, schema, dpi)),
        "dice_by_volume": (run.rows, lambda: dice_by_volume(run.rows, schema, dpi)),
        "detection": (run.detection, lambda: detection_plot(run.detection, schema, dpi)),
        "confusion": (run.confusion, lambda: confusion_plot(run.confusion, dpi)),
        "reliability": (run.reliability, lambda: reliability_plot(run.reliability, schema, dpi)),
        "uncertainty": (run.calibration, lambda: uncertainty_plot(run.calibration, schema, dpi)),
        "types": (run.types, lambda: types_plot(run.types, schema, dpi)),
        "types_of_patients": (
            run.types,
            lambda: types_plot(patient_rows(run.rows, schema), schema, dpi),
        ),
    }
    return {name: draw() for name, (rows, draw) in drawings.items() if rows}
