"""The report of a run as one HTML page that opens from disk and loads nothing."""

import base64
import hashlib
from collections.abc import Mapping
from typing import Any

from markupsafe import Markup

from ..plots.figures import Figures
from ..rendering import ASSETS, render
from ..run import Run
from .cases import cases_table, pictures
from .cohort import data, definitions, model, provenance, verification
from .scores import calibration, lesions, scores, types
from .verdict import verdict
from .viewer import viewer

PAGE_BYTES = 24_900_000
"""Pictures of cases are added, the worst case first, as long as the page stays below this size."""

_TITLES = {
    "scores": "Scores",
    "lesions": "Lesions",
    "types": "Tumour types",
    "cases": "Case by case",
    "pictures": "Pictures",
    "viewer": "Viewer",
    "calibration": "Calibration",
    "training": "Training",
    "data": "Data",
    "verification": "Verification",
    "definitions": "Definitions",
    "provenance": "Reproduce",
    "model": "Model",
    "limits": "Limits",
}
_POLICY = (
    "default-src 'none'; img-src data: blob:; style-src 'unsafe-inline'; script-src {}"
    " 'wasm-unsafe-eval' blob:; worker-src blob:; connect-src data: blob:; font-src data:"
)
"""Content-Security-Policy: only the scripts of this page run, and nothing comes from or goes to a
network. The viewer needs WebAssembly and blobs.
"""


def report_page(run: Run, figures: Figures) -> str:
    """Write the report.

    Parameters
    ----------
    run : Run
        What to show. Sections without data are left out.
    figures : mapping of str to (bytes, bytes)
        As `pipeline.report.plots.figures.figures_of` gives them.

    Returns
    -------
    str
        A self-contained HTML page, the same for the same arguments.
    """
    parts = {
        "scores": scores(run),
        "lesions": lesions(run),
        "types": types(run),
        "cases": cases_table(run),
        "viewer": viewer(run.volumes, run.schema),
        "calibration": calibration(run),
        "training": {} if "learning_curves" in figures else None,
        "data": data(run),
        "verification": verification(run),
        "definitions": definitions(run),
        "provenance": provenance(run),
        "model": model(run),
        "limits": {"cohort": run.schema.cohort},
    }
    shared = {
        "title": f"TumorFlow report: {run.schema.cohort}",
        "head": verdict(run),
        "figures": {name: png for name, (png, _) in figures.items()},
        "regions": run.schema.regions,
        "three_dimensional": run.schema.dimensions == 3,
        **_styles_and_scripts("viewer" if parts["viewer"] else ""),
    }
    if not run.pictured:
        return _page(parts, shared)
    room = PAGE_BYTES - len(_page(parts | {"pictures": pictures(run, 0)}, shared).encode())
    return _page(parts | {"pictures": pictures(run, room)}, shared)


def _page(parts: Mapping[str, Any], shared: Mapping[str, Any]) -> str:
    sections = {name: title for name, title in _TITLES.items() if parts.get(name) is not None}
    return render("page.html.j2", sections=sections, **parts, **shared)


def _styles_and_scripts(*more: str) -> dict[str, Any]:
    """Style sheets and scripts of the page, and a policy with the hashes of the scripts."""
    names = [name for name in more if name]
    styles = [(ASSETS / f"{name}.css").read_text(encoding="utf-8") for name in ("page", *names)]
    scripts = [
        (ASSETS / f"{name}.js").read_text(encoding="utf-8")
        for name in ("sortable", "reduced_motion", *names)
    ]
    hashes = [
        base64.b64encode(hashlib.sha256(script.encode()).digest()).decode() for script in scripts
    ]
    return {
        "styles": [Markup(style) for style in styles],
        "scripts": [Markup(script) for script in scripts],
        "policy": _POLICY.format(" ".join(f"'sha256-{digest}'" for digest in hashes)),
    }
