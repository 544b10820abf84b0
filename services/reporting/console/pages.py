"""Renders the console's pages: complete as the server sends them, with JavaScript that only keeps
them up to date.
"""

from datetime import datetime
from typing import Any
from urllib.parse import urlsplit

from fastapi.responses import HTMLResponse
from jinja2 import Environment, PackageLoader, StrictUndefined

from services.reporting.figures.domain import DEFINITIONS
from services.reporting.timeline.domain.durations import format_duration, format_microseconds
from shared.events.alerts import count_alerts
from shared.events.intake import ReportedIncident
from shared.http.app import Problem
from shared.runtime.clock import Clock

_HEADERS = {
    "Content-Security-Policy": "default-src 'self'; object-src 'none'; base-uri 'none'; "
    "frame-ancestors 'none'; form-action 'self'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
}


class Pages:
    """The templates, and the headers that every page has."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._templates = _environment()

    def render(self, template: str, status: int = 200, /, **values: Any) -> HTMLResponse:
        """A page from the name of its template and the template's values."""
        values |= {"now": self._clock(), "definitions": DEFINITIONS}
        html = self._templates.get_template(template).render(**values)
        return HTMLResponse(html, status, _HEADERS)

    def problem(self, error: Problem) -> HTMLResponse:
        """A page that says what is wrong."""
        return self.render("problem.html", error.status, title=error.title, detail=error.detail)


def _environment() -> Environment:
    templates = Environment(
        loader=PackageLoader("services.reporting.console"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    templates.filters.update(
        clock=_clock,
        count_alerts=_count_alerts,
        duration=format_duration,
        iso=datetime.isoformat,
        label=_label,
        microseconds=format_microseconds,
    )
    templates.tests["web_link"] = _is_web_link
    return templates


def _clock(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M:%S} UTC"


def _count_alerts(report: ReportedIncident) -> str | None:
    return count_alerts(report.alerts_total, report.alerts_unlisted, len(report.alerts))


def _label(name: str) -> str:
    """The name of a detail for people; events say `cut` where pages and steps were cancelled."""
    return "cancelled" if name == "cut" else name.replace("_", " ")


def _is_web_link(text: str) -> bool:
    """Senders choose their links: only these become clickable, others (`javascript:`) stay text."""
    try:
        return urlsplit(text).scheme in ("http", "https")
    except ValueError:
        return False
