"""The OpenAPI of all gateways."""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import chain
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from pydantic import TypeAdapter
from starlette.routing import BaseRoute

from services.intake.gateways.gateway import Gateway, Route

_COMPONENT = "#/components/schemas/{model}"
_PATH_NAME = re.compile(r"{(\w+)(:path)?")
_PATH_TYPE = re.compile(r":\w+}")


def describe(
    app: FastAPI, gateways: Iterable[Gateway], others: Sequence[BaseRoute] = ()
) -> dict[str, Any]:
    """The OpenAPI document of an application that has the routes of these gateways, and others of
    FastAPI's own.
    """
    document = get_openapi(title=app.title, version=app.version, routes=others)
    described = [
        (gateway, route) for gateway in gateways for route in gateway.routes if route.described
    ]
    routes = [route for _, route in described]
    schemas, components = _schemas(routes)
    used = [route.authentication for route in routes]
    schemes = {one.name: dict(one.scheme) for one in used if one.scheme is not None}
    paths: dict[str, dict[str, Any]] = document["paths"]
    for gateway, route in described:
        operations = paths.setdefault(_PATH_TYPE.sub("}", route.path), {})
        operations[route.method.lower()] = _operation(gateway, route, schemas)
    own = document.get("components", {})
    components = own.get("schemas", {}) | components
    schemes = own.get("securitySchemes", {}) | schemes
    return document | {"components": {"schemas": components, "securitySchemes": schemes}}


def _schemas(routes: Iterable[Route]) -> tuple[dict[str, Any], dict[str, Any]]:
    """The JSON schemas of parameters, bodies and answers, each by route and name, and the models
    that they refer to.
    """
    given: dict[str, Any] = {}
    adapters: list[tuple[str, Any, TypeAdapter[Any]]] = []
    for place, mode, schema in chain.from_iterable(map(_declared_schemas, routes)):
        if isinstance(schema, Mapping):
            given[place] = dict(schema)
        else:
            adapters.append((place, mode, TypeAdapter(schema)))
    found, definitions = TypeAdapter.json_schemas(adapters, ref_template=_COMPONENT)
    given |= {place: schema for (place, _), schema in found.items()}
    return given, definitions.get("$defs", {})


def _declared_schemas(route: Route) -> Iterator[tuple[str, str, Any]]:
    for parameter in route.parameters:
        yield _place(route, parameter.name), "validation", parameter.schema
    for body in route.bodies:
        yield _place(route, body.content_type), "validation", body.schema
    if route.answer.schema is not None:
        yield _place(route, route.answer.status), "serialization", route.answer.schema


def _place(route: Route, name: object) -> str:
    return f"{route.method} {route.path} {name}"


def _operation(gateway: Gateway, route: Route, schemas: Mapping[str, Any]) -> dict[str, Any]:
    def described(name: object) -> dict[str, Any]:
        return {"schema": schemas[_place(route, name)]}

    answer: dict[str, Any] = {"description": "Committed."}
    if route.answer.schema is not None:
        answer["content"] = {route.answer.content_type: described(route.answer.status)}
    operation = {
        "summary": route.summary,
        "security": [{route.authentication.name: []}] if route.authentication.scheme else [],
        "parameters": [
            *(_in_path(name, bool(many)) for name, many in _PATH_NAME.findall(route.path)),
            *(
                {"name": one.name, "in": one.place, "description": one.meaning}
                | described(one.name)
                for one in route.parameters
            ),
        ],
        "responses": {str(route.answer.status): answer, "default": dict(gateway.problem)},
    }
    if route.bodies:
        content = {one.content_type: described(one.content_type) for one in route.bodies}
        operation["requestBody"] = {"required": True, "content": content}
    return operation


def _in_path(name: str, many: bool) -> dict[str, Any]:
    """A part of the path, or `many` with the slashes between them: those take no line break."""
    schema = {"type": "string"} | ({"pattern": r"^[^\n]+$"} if many else {})
    return {"name": name, "in": "path", "required": True, "schema": schema}
