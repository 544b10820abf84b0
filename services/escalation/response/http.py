"""The API: acknowledge, resolve, and show a response with its delivery ledger. Every call can be
repeated without harm.
"""

from typing import Any
from uuid import UUID

from fastapi import APIRouter, Depends, Request
from pydantic import BaseModel, ConfigDict, Field

from services.escalation.response import store
from services.escalation.response.domain import orders
from services.escalation.response.domain.orders import Action, Answer, Respond
from shared.events.reference import format_reference, parse_reference
from shared.events.text import shorten
from shared.events.trace_context import trace_in_headers
from shared.events.validation import NO_CONTROL, NO_NUL
from shared.http.app import Problem, require_token
from shared.postgres.database import Database


class Order(BaseModel):
    """Who acts, and why or what was done."""

    model_config = ConfigDict(extra="forbid")

    by: str = Field(min_length=1, max_length=200, pattern=NO_CONTROL)
    note: str | None = Field(default=None, max_length=2000, pattern=NO_NUL)


def make_router(database: Database, respond: Respond, token: str) -> APIRouter:
    """Routes under /v1/incidents, for bearers of the API token."""
    router = APIRouter(prefix="/v1/incidents", dependencies=[Depends(require_token(token))])

    async def act(reference: str, action: Action, body: Order, request: Request) -> dict[str, Any]:
        order = orders.Order(
            action, body.by, "api", body.note, trace_in_headers(request.headers.raw)
        )
        answer = await respond(_parse(reference), order)
        if answer is None:
            raise _unknown(reference)
        return _render_answer(answer)

    @router.post("/{reference}/acknowledge")
    async def acknowledge(reference: str, order: Order, request: Request) -> dict[str, Any]:
        """Take it: no page starts after the answer. `cut` names the pages and steps that are
        cancelled by it.
        """
        return await act(reference, "acknowledge", order, request)

    @router.post("/{reference}/resolve")
    async def resolve(reference: str, order: Order, request: Request) -> dict[str, Any]:
        """End the response."""
        return await act(reference, "resolve", order, request)

    @router.get("/{reference}")
    async def show(reference: str) -> dict[str, Any]:
        """The response as it is now, its trace, and every page with its attempts and the reasons
        for it.
        """
        async with database.connection() as connection:
            stored = await store.load_incident(connection, _parse(reference))
            if stored is None:
                raise _unknown(reference)
            pages = await store.list_pages(connection, stored.incident.id)
        return _render(stored, pages)

    return router


def _render_answer(answer: Answer) -> dict[str, Any]:
    response = answer.incident.response
    return {
        "incident": format_reference(response.number),
        "said": answer.said,
        "changed": answer.acted,
        "cut": answer.cancelled,
        "response": response,
    }


def _render(stored: store.StoredIncident, pages: list[dict[str, Any]]) -> dict[str, Any]:
    incident = stored.incident
    return {
        "incident": format_reference(incident.response.number),
        "response": incident.response,
        "due": incident.due,
        "policy": incident.policy.name,
        "trace_id": stored.trace.trace_id,
        "deliveries": pages,
    }


def _parse(reference: str) -> UUID | int:
    try:
        return parse_reference(reference)
    except ValueError:
        raise _unknown(reference) from None


def _unknown(reference: str) -> Problem:
    hint = "name it as INC-1042 or by its UUID"
    return Problem(
        404,
        "Not found",
        f"there is no incident {shorten(reference, 40)}; {hint}",
        field="reference",
    )
