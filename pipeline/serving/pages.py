"""The pages: templates filled in, the files that they load, and what is said instead of a page."""

from datetime import timedelta
from functools import cache
from http import HTTPStatus
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined, select_autoescape
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response

from ..core.layout import counted
from ..report.rendering import ASSETS as REPORT_ASSETS
from ..report.rendering import TEMPLATES as REPORT_TEMPLATES

ASSETS = Path(__file__).parent / "assets"
_TEMPLATES = Path(__file__).parent / "templates"
FOLDERS = {"page": ASSETS, "report": REPORT_ASSETS}
"""Folders of files below /assets."""


def render(template: str, **context: Any) -> str:
    """Fill in a template of templates/; one of the report may be included."""
    return _environment().get_template(template).render(context)


def duration(time: timedelta) -> str:
    """A time in days or hours, such as ``24 hours``."""
    hours = time.total_seconds() / 3600
    if hours > 48:
        return counted(round(hours / 24), "day")
    return f"{hours:g} hour{'' if hours == 1 else 's'}"


async def refuse_input(request: Request, error: Exception) -> Response:
    """The answer to an InputError: a page for a person, JSON for a script."""
    if _is_page(request):
        return _refusal("This page cannot be shown", str(error), HTTPStatus.NOT_FOUND)
    return JSONResponse({"message": str(error)}, HTTPStatus.BAD_REQUEST)


async def refuse_request(request: Request, error: Exception) -> Response:
    """The answer to a request that no route takes."""
    assert isinstance(error, HTTPException)
    message = f"{HTTPStatus(error.status_code).phrase}."
    if error.status_code == HTTPStatus.NOT_FOUND:
        message = "There is nothing at this address. It may be mistyped, or its case deleted."
    if _is_page(request):
        return _refusal("This page cannot be shown", message, error.status_code)
    return JSONResponse({"message": message}, error.status_code, error.headers)


def _is_page(request: Request) -> bool:
    is_wanted = "text/html" in request.headers.get("accept", "")
    return is_wanted and not request.url.path.startswith(("/api/", "/assets/"))


def _refusal(title: str, message: str, status: int) -> Response:
    page = render("refusal.html.j2", token="", title=title, message=message)
    return HTMLResponse(page, status)


@cache
def _environment() -> Environment:
    return Environment(
        loader=FileSystemLoader((_TEMPLATES, REPORT_TEMPLATES)),
        autoescape=select_autoescape(("html.j2",)),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
