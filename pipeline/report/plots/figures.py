"""Every figure of a run and every picture of a case, for the page and for papers."""

from collections.abc import Mapping, Sequence

from ...core.schema import Schema
from ...metrics.tumour_types import patient_rows
from ..run import Run
from .animation import Kind, animation
from .calibration import reliability_plot, uncertainty_plot
from .confusion import confusion_plot, types_plot
from .detection import detection_plot
from .learning_curves import learning_curves
from .overlays import overlay
from .planes import View
from .scores import score_plot
from .volumes import dice_by_volume, volume_agreement

Figures = Mapping[str, tuple[bytes, bytes]]
"""Name, such as ``scores``, to a PNG file and an SVG file."""


def figures_of(run: Run, dpi: int) -> Figures:
    """Draw the figures for which a run has data.

    Parameters
    ----------
    run : Run
        Its tables.
    dpi : int
        Pixels per inch of the PNG files, which are 11 inches wide; the matrices are as wide as
        their classes need.

    Returns
    -------
    Figures
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


def case_files(
    view: View,
    schema: Schema,
    subtitle: str,
    animations: Sequence[Kind],
    frames: int,
    seconds_per_frame: float,
    dpi: int,
) -> tuple[dict[str, bytes], bytes]:
    """Draw the pictures of one case.

    Parameters
    ----------
    view : View
        The case.
    schema : Schema
        Names the labels.
    subtitle : str
        As for `overlay`.
    animations : sequence of {"gif", "webp", "mp4"}
        Which films to make.
    frames, seconds_per_frame
        As for `animation`.
    dpi : int
        As for `overlay`.

    Returns
    -------
    files : dict of str to bytes
        Ending of the file name, such as ``overlay.png`` and ``gif``, to the file.
    film : bytes
        The one for the page: the WebP, or a GIF where none was asked for.

    Raises
    ------
    ValueError
        If an MP4 cannot be made.
    """
    overlays = {
        f"overlay.{kind}": overlay(view, schema, subtitle, dpi, kind) for kind in ("png", "svg")
    }
    films = {kind: animation(view, schema, frames, seconds_per_frame, kind) for kind in animations}
    film = (
        films.get("webp") or films.get("gif") or animation(view, schema, frames, seconds_per_frame)
    )
    return overlays | films, film
