"""Every figure of a run and every picture of a case, for the page and for papers."""

from collections.abc import Callable, Mapping, Sequence

from ...core.schema import Schema
from ...metrics.tumour_types import patient_rows
from ..results import Rows, Run
from .animation import Kind, animation
from .calibration import reliability_plot, uncertainty_plot
from .confusion import confusion_plot, types_plot
from .detection import detection_plot
from .drawing import Files
from .learning_curves import learning_curves
from .overlays import overlay
from .planes import View
from .scores import score_plot
from .volumes import dice_by_volume, volume_agreement

Figures = Mapping[str, Files]
"""Name, such as ``scores``, to its files."""


def figures_of(run: Run, dpi: int) -> Figures:
    """Draw the figures for which a run has data; ``dpi`` are the pixels per inch of the PNG files,
    which are 11 inches wide; the matrices are as wide as their classes need.
    """
    patients: Rows = patient_rows(run.rows, run.schema) if run.types else ()
    plots: dict[str, tuple[Callable[[Rows, Schema, int], Files], Rows]] = {
        "learning_curves": (learning_curves, run.history),
        "scores": (score_plot, run.rows),
        "volume_agreement": (volume_agreement, run.rows),
        "dice_by_volume": (dice_by_volume, run.rows),
        "detection": (detection_plot, run.detection),
        "confusion": (confusion_plot, run.confusion),
        "reliability": (reliability_plot, run.reliability),
        "uncertainty": (uncertainty_plot, run.calibration),
        "types": (types_plot, run.types),
        "types_of_patients": (types_plot, patients),
    }
    return {name: plot(rows, run.schema, dpi) for name, (plot, rows) in plots.items() if rows}


def case_files(
    view: View,
    schema: Schema,
    subtitle: str,
    animations: Sequence[Kind],
    frames: int,
    seconds_per_frame: float,
    dpi: int,
) -> tuple[dict[str, bytes], bytes]:
    """Draw the pictures of one case: an `overlay` and films (`animation`).

    Returns
    -------
    files : dict of str to bytes
        Ending of the file name, such as ``overlay.png`` and ``gif``, to the file.
    film : bytes
        The one for the page: the WebP, the GIF, or a WebP where neither was asked for.

    Raises
    ------
    ValueError
        If an MP4 cannot be made.
    """
    files = {
        f"overlay.{kind}": overlay(view, schema, subtitle, dpi, kind) for kind in ("png", "svg")
    }
    for kind in animations:
        files[kind] = animation(view, schema, frames, seconds_per_frame, kind)
    film = files.get("webp") or files.get("gif")
    return files, film or animation(view, schema, frames, seconds_per_frame, "webp")
