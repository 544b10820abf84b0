"""The page behind a signed link. To fetch it changes nothing, since mail scanners follow links; to
press its button does.
"""

import base64
import hashlib
from typing import Any

from fastapi import APIRouter
from fastapi.responses import HTMLResponse
from jinja2 import Environment

from services.escalation.links.domain import BadLink, Link, Links
from services.escalation.response import store
from services.escalation.response.domain.orders import Order, Respond
from shared.events.escalation import Response
from shared.postgres.database import Database
from shared.runtime.clock import Clock

_STYLE = """
:root{color-scheme:light dark;font:16px/1.5 system-ui,sans-serif}
body{max-width:34rem;margin:12vh auto;padding:0 1.25rem}
h1{font-size:1.35rem;line-height:1.3;margin:.25rem 0 .5rem}
p{margin:.5rem 0}
.fine{opacity:.75;font-size:.875rem}
button{font:inherit;font-weight:600;padding:.75rem 1.5rem;margin:1rem 0;border:0;
border-radius:.4rem;background:#0b57d0;color:#fff;cursor:pointer}
button:focus-visible{outline:3px solid #f9ab00;outline-offset:2px}
"""

_PAGE = Environment(autoescape=True).from_string(
    """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="robots" content="noindex">
<title>{{ title }} · Tocsin</title>
<style>{{ style | safe }}</style>
</head>
<body>
<main>
{% if incident %}
<p class="fine">{{ incident.priority }} · INC-{{ incident.number }} ·
{{ incident.service or "unknown service" }}</p>
<h1>{{ incident.summary }}</h1>
{% else %}
<h1>{{ title }}</h1>
{% endif %}
{% if said %}<p role="status">{{ said }}</p>{% endif %}
{% for line in cancelled %}<p class="fine">Cancelled: {{ line }}</p>{% endfor %}
{% if button %}<form method="post"><button type="submit">{{ button }}</button></form>
<p class="fine">You act as {{ user }}.</p>{% endif %}
</main>
</body>
</html>
"""
)

_STYLE_DIGEST = base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()
_HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'; "
        f"style-src 'sha256-{_STYLE_DIGEST}'"
    ),
    # The address of this page is the credential: it must not travel on, nor be kept.
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
    "X-Robots-Tag": "noindex, nofollow",
    "X-Content-Type-Options": "nosniff",
}
_GONE = "There is no such incident here any more."


def make_router(database: Database, respond: Respond, clock: Clock, links: Links) -> APIRouter:
    """GET, HEAD and POST of /a/{token}."""
    router = APIRouter(include_in_schema=False)

    @router.api_route("/a/{token}", methods=["GET", "HEAD"])
    async def show(token: str) -> HTMLResponse:
        try:
            link = links.read(token, clock())
        except BadLink as error:
            return _page("Link refused", 403, said=str(error))
        async with database.connection() as connection:
            stored = await store.load_incident(connection, link.incident_id)
        if stored is None:
            return _page("Not found", 404, said=_GONE)
        return _offer(link, stored.incident.response)

    @router.post("/a/{token}")
    async def press(token: str) -> HTMLResponse:
        try:
            link = links.read(token, clock())
        except BadLink as error:
            return _page("Link refused", 403, said=str(error))
        answer = await respond(link.incident_id, Order(link.action, link.user, "link"))
        if answer is None:
            return _page("Not found", 404, said=_GONE)
        return _page(
            link.action.capitalize(),
            incident=answer.incident.response,
            said=f"{answer.said.capitalize()}." if answer.acted else f"It is {answer.said}.",
            cancelled=answer.cancelled,
        )

    return router


def _offer(link: Link, response: Response) -> HTMLResponse:
    """The page with the button, unless there is nothing left to do."""
    done = _is_done(link, response.status)
    return _page(
        link.action.capitalize(),
        incident=response,
        said=f"It is {response.status}" + _by_whom(response) + ".",
        button=None if done else f"{link.action.capitalize()} INC-{response.number}",
        user=link.user,
    )


def _is_done(link: Link, status: str) -> bool:
    return status == "resolved" or (link.action == "acknowledge" and status == "acknowledged")


def _by_whom(response: Response) -> str:
    people = {"acknowledged": response.acknowledged_by, "resolved": response.resolved_by}
    who = people.get(response.status)
    return f" by {who}" if who else ""


def _page(title: str, status: int = 200, **content: Any) -> HTMLResponse:
    return HTMLResponse(
        _PAGE.render(title=title, style=_STYLE, **content), status, headers=_HEADERS
    )
