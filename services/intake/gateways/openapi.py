"""What OpenAPI says of intake's routes, by hand: they are plain ones, which FastAPI does not
describe.
"""

from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from pydantic.json_schema import models_json_schema

from services.intake.signals.domain import KINDS
from shared.http.app import PROBLEM

_REF = "#/components/schemas/{model}"
_TEXT = {"type": "string", "minLength": 1, "maxLength": 1024}
_DATA = {type: {"$ref": _REF.format(model=model.__name__)} for type, model in KINDS.items()}
_EVENT = {"oneOf": [{"$ref": _REF.format(model=type.rpartition(".")[2])} for type in KINDS]}
_ATTRIBUTES = ("specversion", "id", "source", "type", "time", "traceparent")


def describe(app: FastAPI) -> dict[str, Any]:
    """The document of intake's application."""
    document = get_openapi(title=app.title, version=app.version, routes=[])
    schemes = {
        "HTTPBearer": {"type": "http", "scheme": "bearer", "description": "an integration key"}
    }
    return document | {
        "paths": _paths(),
        "components": {"schemas": _schemas(), "securitySchemes": schemes},
    }


def _schemas() -> dict[str, Any]:
    _, definitions = models_json_schema(
        [(model, "validation") for model in KINDS.values()], ref_template=_REF
    )
    data: dict[str, Any] = definitions["$defs"]
    return data | {type.rpartition(".")[2]: _event(type) for type in KINDS}


def _paths() -> dict[str, Any]:
    accepted = {"accepted": {"type": "integer", "description": "how many signals are committed"}}
    return {
        "/v1/signals": {
            "post": _operation(
                "CloudEvents: structured, binary (`ce-` headers, the data as the body) or a batch.",
                {
                    "application/cloudevents+json": {"schema": _EVENT},
                    "application/cloudevents-batch+json": {
                        "schema": {
                            "type": "array",
                            "items": _EVENT,
                            "minItems": 1,
                            "maxItems": 10_000,
                        }
                    },
                    "application/json": {"schema": {"anyOf": list(_DATA.values())}},
                },
                {
                    "202": _answer(accepted | {"signals": {"type": "array", "items": _TAKEN}}),
                    "default": PROBLEM,
                },
                [
                    {
                        "name": f"ce-{a}",
                        "in": "header",
                        "description": "binary mode",
                        "schema": _TEXT,
                    }
                    for a in _ATTRIBUTES
                ],
            )
        },
        "/v1/alertmanager": {
            "post": _operation(
                "Alertmanager's webhook, version 4.",
                {"application/json": {"schema": {"type": "object", "required": ["alerts"]}}},
                {"200": _answer(accepted), "default": PROBLEM},
            )
        },
    }


_TAKEN = {
    "type": "object",
    "required": ["id", "decision", "subject"],
    "properties": {
        "id": {"type": "string", "description": "the event's own"},
        "decision": {
            "type": "string",
            "examples": [
                "opened",
                "joined",
                "alert ended",
                "cleared",
                "nothing was open",
                "logged",
                "repeat",
            ],
        },
        "subject": {
            "type": ["string", "null"],
            "format": "uuid",
            "description": "the incident, request or change that it went into",
        },
    },
}


def _event(type: str) -> dict[str, Any]:
    return {
        "type": "object",
        "required": ["specversion", "id", "source", "type", "data"],
        "properties": {
            "specversion": {"const": "1.0"},
            "id": _TEXT,
            "source": _TEXT,
            "type": {"const": type},
            "time": {"type": "string", "format": "date-time"},
            "traceparent": {"type": "string", "description": "W3C Trace Context"},
            "data": _DATA[type],
        },
    }


def _operation(
    summary: str,
    content: dict[str, Any],
    responses: dict[str, Any],
    parameters: list[dict[str, Any]] | None = None,
) -> dict[str, Any]:
    return {
        "summary": summary,
        "security": [{"HTTPBearer": []}],
        "parameters": parameters or [],
        "requestBody": {"required": True, "content": content},
        "responses": responses,
    }


def _answer(properties: dict[str, Any]) -> dict[str, Any]:
    schema = {"type": "object", "required": list(properties), "properties": properties}
    return {"description": "Committed.", "content": {"application/json": {"schema": schema}}}
