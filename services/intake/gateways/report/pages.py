"""The pages of the form. They need no JavaScript, and hold none."""

import base64
import hashlib
from typing import Any

from fastapi.responses import HTMLResponse
from jinja2 import Environment, PackageLoader, StrictUndefined

from shared.http.problems import Problem

_TEMPLATES = Environment(
    loader=PackageLoader("services.intake.gateways.report"),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)
_STYLE = """
:root{color-scheme:light dark;font:16px/1.5 system-ui,sans-serif}
body{max-width:38rem;margin:0 auto;padding:1.25rem;overflow-wrap:anywhere}
h1{font-size:1.5rem;line-height:1.3}
label,legend{font-weight:600}
input:not([type=radio]),select,textarea{display:block;box-sizing:border-box;width:100%;
font:inherit;padding:.5rem;margin:.25rem 0}
.field{margin:1rem 0}
.choice{display:block;font-weight:400;padding:.4rem 0}
.fault{color:light-dark(#b3261e,#ff8a80);font-weight:600;margin:.25rem 0}
button{font:inherit;font-weight:600;padding:.75rem 1.5rem;border:0;border-radius:.4rem;
background:#0b57d0;color:#fff;cursor:pointer}
:focus-visible{outline:3px solid #f9ab00;outline-offset:2px}
"""
_DIGEST = base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()
_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; form-action 'self'; frame-ancestors 'none'; "
    f"base-uri 'none'; style-src 'sha256-{_DIGEST}'",
    # The address is the credential: it must not travel on, nor be kept.
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
    "X-Robots-Tag": "noindex, nofollow",
    "X-Content-Type-Options": "nosniff",
}


def page(template: str, status: int = 200, **values: Any) -> HTMLResponse:
    """A page from a template."""
    text = _TEMPLATES.get_template(template).render(style=_STYLE, **values)
    return HTMLResponse(text, status, _HEADERS)


def refuse(problem: Problem) -> HTMLResponse:
    """An error as a page."""
    answer = page("problem.html", problem.status, title=problem.title, detail=problem.detail)
    answer.headers.update(problem.headers or {})
    return answer
