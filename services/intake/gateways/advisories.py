"""Advisories over HTTP: documents of OSV, OpenVEX, CycloneDX and CSAF, recognised by what they
hold.
"""

import hashlib
from collections.abc import Mapping, Sequence
from itertools import islice

from pydantic import BaseModel, Field

from services.intake.gateways.gateway import Answer, Body, Gateway, Parameter, Route, Submission
from services.intake.signals.domain import Identity, Signal, Taken
from services.intake.signals.domain.advisories import Advised, find_advisories
from services.intake.signals.domain.bounds import within_bounds
from shared.events.cloudevents import load_json
from shared.events.text import shorten

MAX_BODY_BYTES = 16 * 1024 * 1024
MAX_ADVISORIES = 10_000


class AcceptedAdvisories(BaseModel):
    """The advisories of a request are committed."""

    accepted: int = Field(description="how many advisories are committed")


def read_advisories(submission: Submission) -> list[Signal]:
    """The advisories of one request; of very many, the first."""
    document = load_json(submission.body, "body", MAX_BODY_BYTES)
    digest = hashlib.sha256(submission.body).hexdigest()[:32]
    found = islice(find_advisories(document, digest), MAX_ADVISORIES)
    given = submission.query.get("service") or ""
    service = shorten(given.replace("\x00", "").strip(), 255) or None
    signals = {one.identity: one for each in found for one in [_signal(submission, each, service)]}
    return list(signals.values())


def _signal(submission: Submission, found: Advised, service: str | None) -> Signal:
    data = found.data(service)
    identity = hashlib.sha256(f"{found.revision}\x1f{found.advisory}".encode()).hexdigest()
    return Signal(
        origin=f"{submission.integration.name} advisories",
        signal_id=f"{shorten(data.advisory, 200)} {identity[:32]} {service or ''}".strip(),
        sent_at=data.published_at or submission.received_at,
        received_at=submission.received_at,
        trace=submission.trace,
        data=within_bounds(data),
    )


def _render(signals: Sequence[Signal], _: Mapping[Identity, Taken]) -> dict[str, int]:
    return {"accepted": len(signals)}


_SCHEMA = {"description": "OSV (one, or a list), OpenVEX, CycloneDX or CSAF", "type": "object"}
GATEWAY = Gateway(
    "advisories",
    [
        Route(
            path="/v1/advisories",
            summary="Advisories: OSV, OpenVEX, CycloneDX VEX and CSAF documents.",
            bodies=[Body("application/json", _SCHEMA, MAX_BODY_BYTES)],
            read=read_advisories,
            answer=Answer(202, AcceptedAdvisories, _render),
            parameters=[
                Parameter(
                    "service",
                    "the service in the catalogue whose software was examined",
                    {"type": "string", "maxLength": 255},
                    "query",
                )
            ],
        )
    ],
)
