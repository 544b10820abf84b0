"""Requests that are made from the OpenAPI documents: none breaks a service, and every answer is as
the documents say. `pytest --hypothesis-profile=long` sends more.
"""

import asyncio
from collections.abc import Callable
from functools import partial
from typing import Any

import requests
import schemathesis
from fastapi import FastAPI
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis.checks import not_a_server_error
from schemathesis.core.failures import FailureGroup
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    positive_data_acceptance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from services.escalation.response import http as responses
from services.intake.app import make_api
from services.intake.gateways.http import Services
from services.intake.gateways.registry import Registry
from services.intake.handlers import Handlers
from services.intake.heartbeats.register import Register
from services.intake.incidents.decisions import Decisions
from services.intake.incidents.http.decisions import make_router as decisions_router
from services.intake.incidents.known_alerts import KnownAlerts
from services.intake.incidents.policy import IntakePolicy
from services.intake.integrations.key_ring import KeyRing
from services.intake.integrations.store import create_key
from services.reporting.figures.http import make_router as figures_router
from services.reporting.timeline.http import make_router as incidents_router
from shared.events.cloudevents import from_structured
from shared.http.app import create_app
from shared.postgres.database import Database
from shared.runtime.clock import system_clock
from tests.integration.intake.conftest import committing
from tests.support import escalating
from tests.support.http import served
from tests.support.running import TOKEN, alert
from tests.support.stack import runtime_dsn

CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
]
COMPLETE = ("/v1/incidents", "/v1/metrics")
"""Whatever is as the document says is taken there. The other calls read formats which the
documents only outline.
"""
SHORT, LONG = 15, 500

Admit = Callable[[Any], None]
"""Puts what lets a request in where its call takes that."""


async def faults(app: FastAPI, admit: Admit) -> str:
    """Which answers to made requests are not as the application's document says, and how."""
    schema: Any = schemathesis.openapi.from_dict(app.openapi())
    async with served(app) as base:
        return await asyncio.to_thread(_faults, schema, base, admit)


def _faults(schema: Any, base: str, admit: Admit) -> str:
    found = []
    with requests.Session() as session:
        for result in schema.get_all_operations():
            operation = result.ok()
            try:
                _probe(operation, base, session, admit)
            except (Exception, FailureGroup) as error:
                found.append(_told(operation.label, error))
    return "\n\n".join(found)


def _told(label: str, error: BaseException) -> str:
    each = error.exceptions if isinstance(error, FailureGroup) else [error]
    return "\n".join([label, *(f"{type(one).__name__}: {one}" for one in each), str(error)])


def _probe(operation: Any, base: str, session: requests.Session, admit: Admit) -> None:
    is_long = settings().max_examples >= 1_000

    @settings(
        max_examples=LONG if is_long else SHORT,
        derandomize=not is_long,
        database=None,
        phases=[Phase.explicit, Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(case=operation.as_strategy())
    def probe(case: Any) -> None:
        admit(case)
        complete = case.path.startswith(COMPLETE)
        checks = [*CHECKS, positive_data_acceptance] if complete else CHECKS
        answer = case.call(base_url=base, session=session)
        case.validate_response(answer, checks=checks)

    probe()


def bearer(case: Any) -> None:
    """The token of the API."""
    case.headers["Authorization"] = f"Bearer {TOKEN}"


def with_key(case: Any, key: str) -> None:
    """An integration's key, where the gateway looks for it."""
    if case.path.startswith(("/v1/try", "/v1/decisions", "/v1/incidents")):
        return bearer(case)
    scheme = "GenieKey" if case.path.startswith("/v2/alerts") else "Bearer"
    case.headers["Authorization"] = f"{scheme} {key}"
    if "{key}" in case.path:
        case.path_parameters["key"] = key
    if isinstance(case.body, dict):
        case.body |= {name: key for name in ("routing_key", "service_key") if name in case.body}
    return None


async def test_intake(database: str) -> None:
    own, policy = Database(runtime_dsn(database, "intake")), IntakePolicy()
    handlers = Handlers(lambda: policy, system_clock)
    async with own.transaction() as connection:
        key = await create_key(connection, "tests", None, system_clock())
    async with committing(own, handlers.take_new, handlers.take) as commit:
        ring, lookup = KeyRing(own, system_clock), KnownAlerts(own).find
        register = Register(own, system_clock)
        services = Services(ring, commit.submit, lookup, system_clock, register)
        decisions = Decisions(own, handlers.preview, list(Registry.discover()), system_clock)
        app = make_api(services, others=decisions_router(decisions, TOKEN))
        found = await faults(app, partial(with_key, key=key))
    await own.close()
    assert not found, found


async def test_triage() -> None:
    found = await faults(create_app("Tocsin triage"), bearer)
    assert not found, found


async def test_escalation(database: str) -> None:
    async with escalating.world(database, "http://127.0.0.1:9") as it:
        app = create_app("Tocsin escalation")
        app.include_router(responses.make_router(it.database, it.handlers.respond, TOKEN))
        found = await faults(app, bearer)
        await it.database.close()
    assert not found, found


async def test_reporting(database: str) -> None:
    own = Database(runtime_dsn(database, "reporting"))
    app = create_app("Tocsin reporting")
    app.include_router(incidents_router(own, system_clock, None))
    app.include_router(figures_router(own, system_clock))
    found = await faults(app, bearer)
    await own.close()
    assert not found, found


def test_what_the_document_says_of_extensions_is_taken() -> None:
    nothing: Any = None
    schemas = make_api(nothing).openapi()["components"]["schemas"]
    described = schemas["Alert"]["additionalProperties"]["anyOf"]
    assert {one["type"] for one in described} == {"string", "boolean", "integer", "null"}
    event = alert("1") | {"partition": 7, "sampled": True, "region": "eu", "none": None}
    taken = from_structured(event).extensions
    assert taken == {"partition": "7", "sampled": "true", "region": "eu"}
