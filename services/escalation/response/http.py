"""The API: acknowledge, resolve, and look at a response with its delivery ledger. Every call is
safe to repeat.
"""

import re
from typing import Any
from uuid import UUID

from fastapi import APIRouter, Depends, Request
from pydantic import BaseModel, ConfigDict, Field

from services.escalation.response import store
from services.escalation.response.domain import Action
from services.escalation.response.respond import Answer, respond
from shared.events.text import shorten
from shared.events.trace_context import trace_in_headers
from shared.http.app import Problem, require_token
from shared.postgres.database import Database
from shared.runtime.clock import Clock

_NUMBER = re.compile(r"INC-([1-9][0-9]{0,17})", re.IGNORECASE)


class Order(BaseModel):
    """Who acts, and why or what was done."""

    model_config = ConfigDict(extra="forbid")

    by: str = Field(min_length=1, max_length=200, pattern=r"^[^\x00-\x1f\x7f]+$")
    note: str | None = Field(default=None, max_length=2000, pattern=r"^[^\x00]*$")


def make_router(database: Database, clock: Clock, token: str) -> APIRouter:
    """Routes under /v1/incidents, for bearers of the API token."""
    router = APIRouter(prefix="/v1/incidents", dependencies=[Depends(require_token(token))])

    async def act(reference: str, action: Action, order: Order, request: Request) -> dict[str, Any]:
        answer = await respond(
            database,
            clock,
            _parse(reference),
            action,
            by=order.by,
            via="api",
            note=order.note,
            caller=trace_in_headers(request.headers.raw),
        )
        if answer is None:
            raise _unknown(reference)
        return _told(answer)

    @router.post("/{reference}/acknowledge")
    async def acknowledge(reference: str, order: Order, request: Request) -> dict[str, Any]:
        """Take it: no page starts after the answer. `cut` names the pages and steps that now do not
        happen.
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
            id = await store.find_incident(connection, _parse(reference))
            if id is None:
                raise _unknown(reference)
            stored, pages = await store.load_view(connection, id)
        return _shown(stored, pages)

    return router


def _told(answer: Answer) -> dict[str, Any]:
    response = answer.incident.response
    return {
        "incident": f"INC-{response.number}",
        "said": answer.said,
        "changed": answer.acted,
        "cut": answer.cut,
        "response": response,
    }


def _shown(stored: store.Stored, pages: list[dict[str, Any]]) -> dict[str, Any]:
    incident = stored.incident
    return {
        "incident": f"INC-{incident.response.number}",
        "response": incident.response,
        "due": incident.due,
        "policy": incident.policy.name,
        "trace_id": stored.trace.trace_id,
        "deliveries": pages,
    }


def _parse(reference: str) -> UUID | int:
    if number := _NUMBER.fullmatch(reference):
        return int(number[1])
    try:
        return UUID(reference)
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
