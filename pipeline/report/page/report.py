"""The report of a run as one HTML page that opens from disk and loads nothing."""

import hashlib
from collections.abc import Sequence
from typing import Any

from markupsafe import Markup, escape

from ..plots.figures import Figures
from ..rendering import ASSETS, base64_of, render
from ..results import Run
from .cases import cases_table, pictures
from .cohort import data, definitions, model, provenance, verification
from .scores import calibration, lesions, missing_modalities, scores, types
from .verdict import comparison, verdict
from .viewer import viewer

PAGE_BYTES = 24_900_000
"""Pictures of cases are added, the worst case first, as long as the page stays below this size."""

_POLICY = (
    "default-src 'none'; img-src data: blob:; style-src 'unsafe-inline'; script-src {}"
    " 'wasm-unsafe-eval' blob:; worker-src blob:; connect-src data: blob:; font-src data:"
)
"""Content-Security-Policy: only the scripts of this page run, and nothing comes from or goes to a
network. The viewer needs WebAssembly and blobs.
"""


def report_page(run: Run, figures: Figures) -> str:
    """The report as a self-contained HTML page, the same for the same run and figures; sections
    without data are left out.
    """
    parts: dict[str, tuple[str, dict[str, Any] | None]] = {
        "viewer": ("Viewer", viewer(run.volumes, run.schema, run.poster)),
        "scores": ("Scores", scores(run)),
        "comparison": ("Comparison", comparison(run)),
        "lesions": ("Lesions", lesions(run)),
        "types": ("Tumour types", types(run)),
        "cases": ("Case by case", cases_table(run)),
        "pictures": ("Pictures", pictures(run, 0) if run.pictured else None),
        "calibration": ("Calibration", calibration(run)),
        "missing_modalities": ("Missing modalities", missing_modalities(run)),
        "training": ("Training", {} if "learning_curves" in figures else None),
        "data": ("Data", data(run)),
        "verification": ("Verification", verification(run)),
        "definitions": ("Definitions", definitions(run)),
        "provenance": ("Reproduce", provenance(run)),
        "model": ("Model", model(run)),
        "limits": ("Limits", {"cohort": run.schema.cohort}),
    }
    shared = {
        "figures": {name: png for name, (png, _) in figures.items()},
        "regions": run.schema.regions,
        "three_dimensional": run.schema.dimensions == 3,
    }
    frame = {
        "title": f"TumorFlow report: {run.schema.cohort}",
        "head": verdict(run),
        **_styles_and_scripts(with_viewer=bool(run.volumes)),
    }
    sections = {
        name: (title, _section(name, values, shared))
        for name, (title, values) in parts.items()
        if values is not None
    }
    page = render("page.html.j2", sections=sections, **frame)
    if not run.pictured:
        return page
    room = PAGE_BYTES - len(page.encode())
    sections["pictures"] = ("Pictures", _section("pictures", pictures(run, room), shared))
    return render("page.html.j2", sections=sections, **frame)


def under_title(page: str, words: Sequence[str]) -> str:
    """A copy of a report with a line below its title, for what differs between equal runs."""
    return page.replace("</h1>", f'</h1>\n<p class="faint">{escape(" · ".join(words))}</p>', 1)


def _section(name: str, values: dict[str, Any], shared: dict[str, Any]) -> Markup:
    return Markup(render(f"sections/{name}.html.j2", **{name: values}, **shared))


def _styles_and_scripts(with_viewer: bool) -> dict[str, Any]:
    """Style sheets, scripts and a policy that allows these scripts by their hashes."""
    names = {"css": ["page"], "js": ["sortable", "reduced_motion"]}
    if with_viewer:
        names["css"] += ["viewer"]
        names["js"] += ["label_painting", "viewer", "embedded_volumes"]
    styles, scripts = (
        [(ASSETS / f"{name}.{kind}").read_text(encoding="utf-8") for name in names[kind]]
        for kind in ("css", "js")
    )
    digests = [base64_of(hashlib.sha256(script.encode()).digest()) for script in scripts]
    return {
        "styles": list(map(Markup, styles)),
        "scripts": list(map(Markup, scripts)),
        "policy": _POLICY.format(" ".join(f"'sha256-{digest}'" for digest in digests)),
    }
