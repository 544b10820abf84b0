"""The API of decisions: explain, try and correct them. Every call can be repeated without harm."""

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Query, Request
from pydantic import BaseModel, ConfigDict, Field

from services.intake.incidents.decisions import Decisions
from services.intake.incidents.domain.payload import Payload
from services.intake.incidents.domain.reclassification import Reclassify
from shared.events.text import shorten
from shared.events.validation import NO_CONTROL, NO_NUL
from shared.http.app import Problem, read_body, require_token
from shared.http.problems import PROBLEM

_MAX_BODY = 32 * 1024 * 1024


GatewayName = Annotated[str, Query(description="whose format the body has")]
CallPath = Annotated[str | None, Query(description="which call, where there are several")]
Sender = Annotated[str, Query(description="who would send it")]


class ReclassifyOrder(BaseModel):
    """What it is instead, who says so, and why."""

    model_config = ConfigDict(extra="forbid")

    kind: Literal["request", "change", "patch"]
    by: str = Field(min_length=1, max_length=200, pattern=NO_CONTROL)
    note: str | None = Field(default=None, max_length=2000, pattern=NO_NUL)


def make_router(decisions: Decisions, token: str) -> APIRouter:
    """The routes, for bearers of the API token."""
    router = APIRouter(
        prefix="/v1", dependencies=[Depends(require_token(token))], responses={"default": PROBLEM}
    )

    @router.post("/try", openapi_extra={"requestBody": _ANY_BODY})
    async def try_out(
        request: Request,
        gateway: GatewayName = "cloudevents",
        path: CallPath = None,
        integration: Sender = "try",
    ) -> dict[str, Any]:
        """What this body would do if it were sent to a gateway now. Nothing is kept of it."""
        return await decisions.try_out(await _payload(request, gateway, path, integration))

    @router.get("/decisions/{name:path}")
    async def explain(name: str) -> dict[str, Any]:
        """Why a signal, by its id, or an incident, by its number or UUID, became what it is."""
        found = await decisions.explain(name)
        if found is None:
            raise _unknown(name, "signal or incident")
        return found

    @router.post("/incidents/{reference}/reclassify")
    async def reclassify(reference: str, order: ReclassifyOrder) -> dict[str, Any]:
        """Make a request or a change of an incident: nobody is paged for it any more."""
        done = await decisions.reclassify(reference, Reclassify(order.kind, order.by, order.note))
        if done is None:
            raise _unknown(reference, "incident")
        return done

    return router


async def _payload(request: Request, gateway: str, path: str | None, integration: str) -> Payload:
    content_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    return Payload(
        body=await read_body(request, _MAX_BODY),
        gateway=gateway,
        path=path,
        content_type=content_type or None,
        integration=integration,
        query=request.query_params,
        headers=request.headers.raw,
    )


_ANY_BODY: dict[str, Any] = {
    "required": True,
    "description": "as its sender would send it",
    "content": {"*/*": {"schema": {}}},
}


def _unknown(name: str, what: str) -> Problem:
    detail = f"there is no {what} {shorten(name, 80)}"
    return Problem(404, "Not found", detail, field="reference")
