"""What counts as a breaking change: mistakes that anybody could make."""

from collections.abc import Iterator
from copy import deepcopy
from typing import Annotated, Any, Literal
from uuid import UUID

import pytest
from pydantic import BaseModel, Field, create_model

from deploy.contracts.breaking import breaking_changes
from deploy.contracts.event_types import EVENTS, EventType
from deploy.contracts.schemas import data_schema


class Responder(BaseModel):
    name: str
    note: str | None = None


class Page(BaseModel):
    """The model before the change."""

    incident_id: UUID
    attempts: int
    method: Literal["webhook", "email"]
    text: Annotated[str | None, Field(max_length=200)] = None
    labels: Annotated[dict[str, str], Field(max_length=8)] = {}
    why: list[str] = []
    responder: Responder | None = None
    kind: str = "page"


def breaks(written: bool = True, drop: str | None = None, **fields: Any) -> list[str]:
    """The breaking changes when fields of Page are replaced, added or dropped."""
    same = {
        name: (info.annotation, info) for name, info in Page.model_fields.items() if name != drop
    }
    changed: type[BaseModel] = create_model("Page", **(same | fields))
    return breaking_changes(data_schema(Page), data_schema(changed), written)


def test_the_same_schema_is_compatible() -> None:
    assert breaks() == []


@pytest.mark.parametrize("written", [True, False])
@pytest.mark.parametrize(
    ("change", "description"),
    [
        ({"drop": "attempts"}, "attempts: was removed"),
        ({"attempts": (str, ...)}, "attempts: is no longer integer"),
        ({"attempts": (float, ...)}, "attempts: is no longer integer"),
        ({"incident_id": (str, ...)}, "incident_id: is no longer string uuid"),
        ({"text": (Annotated[str, Field(max_length=200)], "")}, "text: is no longer null"),
        ({"method": (Literal["webhook"], ...)}, "method: no longer takes 'email'"),
        ({"kind": (Literal["page", "call"], "page")}, "kind: takes only listed values now"),
        ({"text": (str | None, ...)}, "text: is required now"),
        ({"room": (str, ...)}, "room: is new and required"),
        (
            {"text": (Annotated[str | None, Field(max_length=100)], None)},
            "text: maxLength went from 200 to 100",
        ),
        ({"attempts": (Annotated[int, Field(ge=1)], ...)}, "attempts: minimum went from None to 1"),
        (
            {"labels": (Annotated[dict[str, str], Field(max_length=4)], {})},
            "labels: maxProperties went from 8 to 4",
        ),
        (
            {"labels": (Annotated[dict[str, int], Field(max_length=8)], {})},
            "labels.*: is no longer string",
        ),
        ({"why": (list[int], [])}, "why[]: is no longer string"),
        (
            {"kind": (Annotated[str, Field(pattern="^p")], "page")},
            "kind: pattern went from None to ^p",
        ),
        ({"kind": (str, "call")}, "kind: when absent, means 'call' instead of 'page'"),
    ],
)
def test_a_breaking_change_is_described(
    change: dict[str, Any], description: str, written: bool
) -> None:
    assert description in breaks(written, **change)


def test_a_nested_breaking_change_is_described_by_its_path() -> None:
    class Renamed(BaseModel):
        full_name: str
        note: str | None = None

    found = breaks(responder=(Renamed | None, None))
    assert found == ["responder.full_name: is new and required", "responder.name: was removed"]


@pytest.mark.parametrize("written", [True, False])
@pytest.mark.parametrize(
    "change",
    [
        {"room": (str | None, None)},
        {"text": (Annotated[str | None, Field(max_length=500)], None)},
        {"text": (str | None, None)},
        {"method": (Literal["webhook", "email", "sms"], ...)},
        {"escort": (Responder | None, None)},
        {"why": (Annotated[list[str], Field(description="in words")], [])},
    ],
    ids=["optional field", "wider bound", "no bound", "new value", "optional object", "words"],
)
def test_a_compatible_change_passes(change: dict[str, Any], written: bool) -> None:
    assert breaks(written, **change) == []


def objects(schema: Any) -> Iterator[dict[str, Any]]:
    """Every object with fixed properties in a schema."""
    if isinstance(schema, dict):
        if "properties" in schema:
            yield schema
        schema = list(schema.values())
    for child in schema if isinstance(schema, list) else ():
        yield from objects(child)


@pytest.mark.parametrize("kind", EVENTS, ids=lambda kind: kind.name)
def test_no_field_of_any_event_can_be_removed_or_retyped(kind: EventType) -> None:
    schema = data_schema(kind.model)
    for place, shape in enumerate(objects(schema)):
        for name in shape["properties"]:
            removed, retyped = deepcopy(schema), deepcopy(schema)
            without = list(objects(removed))[place]
            del without["properties"][name]
            without["required"] = [other for other in without.get("required", ()) if other != name]
            list(objects(retyped))[place]["properties"][name] = {
                "type": "boolean",
                "format": "another",
            }
            assert any(
                "was removed" in line for line in breaking_changes(schema, removed, kind.written)
            ), name
            assert any(
                "is no longer" in line for line in breaking_changes(schema, retyped, kind.written)
            ), name


@pytest.mark.parametrize(
    ("change", "description"),
    [
        ({"attempts": (int | None, ...)}, "attempts: may be null now"),
        ({"attempts": (int, 0)}, "attempts: may be absent now"),
    ],
)
def test_written_events_stay_strict_and_accepted_ones_may_loosen(
    change: dict[str, Any], description: str
) -> None:
    assert breaks(written=True, **change) == [description]
    assert breaks(written=False, **change) == []
