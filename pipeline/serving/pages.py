"""The pages: templates filled in, and the files that they load."""

from functools import cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined, select_autoescape

from ..report.rendering import ASSETS as REPORT_ASSETS
from ..report.rendering import TEMPLATES as REPORT_TEMPLATES

ASSETS = Path(__file__).parent / "assets"
_TEMPLATES = Path(__file__).parent / "templates"
FOLDERS = {"page": ASSETS, "report": REPORT_ASSETS}
"""Folders of files below /assets."""


def render(template: str, **context: Any) -> str:
    """Fill in a template of templates/; one of the report may be included."""
    return _environment().get_template(template).render(context)


@cache
def _environment() -> Environment:
    return Environment(
        loader=FileSystemLoader((_TEMPLATES, REPORT_TEMPLATES)),
        autoescape=select_autoescape(("html.j2",)),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
