"""The pages: templates filled in, the files that they load, and what is said instead of a page."""

from datetime import timedelta
from functools import cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined, select_autoescape
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response

from ..core.layout import counted
from ..report.rendering import ASSETS as REPORT_ASSETS
from ..report.rendering import TEMPLATES as REPORT_TEMPLATES

ASSETS = Path(__file__).parent / "assets"
_TEMPLATES = Path(__file__).parent / "templates"
FOLDERS = {"page": ASSETS, "report": REPORT_ASSETS}
"""Folders of files below /assets."""
_NO_PAGES = ("/api/", "/assets/")


def render(template: str, **context: Any) -> str:
    """Fill in a template of templates/; one of the report may be included."""
    return _environment().get_template(template).render(context)


def duration(time: timedelta) -> str:
    """A time in days or hours, such as ``24 hours``."""
    hours = time.total_seconds() / 3600
    if hours > 48:
        return counted(round(hours / 24), "day")
    return f"{hours:g} hour{'' if hours == 1 else 's'}"


def refusal(request: Request, message: str, status: int) -> Response:
    """What is said instead of an answer: a page where a browser asks for one, else JSON."""
    is_page = "text/html" in request.headers.get("accept", "")
    if request.url.path.startswith(_NO_PAGES) or not is_page:
        return JSONResponse({"message": message}, status)
    return HTMLResponse(render("refusal.html.j2", token="", message=message), status)


@cache
def _environment() -> Environment:
    return Environment(
        loader=FileSystemLoader((_TEMPLATES, REPORT_TEMPLATES)),
        autoescape=select_autoescape(("html.j2",)),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
