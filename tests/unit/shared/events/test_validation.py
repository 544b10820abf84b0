"""What pydantic finds wrong is said in plain words; neither its types nor a value are shown."""

from datetime import date, datetime, time, timedelta
from typing import Annotated, Any, Literal
from uuid import UUID

import pytest
from pydantic import AwareDatetime, BaseModel, Field, HttpUrl, TypeAdapter, ValidationError

from shared.events.intake import Severity
from shared.events.validation import (
    HTTP_ADDRESS,
    NO_CONTROL,
    NO_NUL,
    first_problem_in,
    plain_reason,
)


class Inner(BaseModel):
    name: str


WRONG: list[tuple[Any, Any, str]] = [
    (Inner, {}, "is required"),
    (Inner, 7, "must be an object with names and values"),
    (dict[str, str], [], "must be an object with names and values"),
    (list[int], "x", "must be a list"),
    (tuple[int, ...], 7, "must be a list"),
    (str, 7, "must be a text"),
    (int, "x", "must be a whole number"),
    (int, 1.5, "must be a whole number"),
    (float, "x", "must be a number"),
    (bool, "x", "must be true or false"),
    (UUID, "x", "must be a UUID"),
    (datetime, "x", "must be a time such as 2026-03-01T12:00:00Z"),
    (AwareDatetime, "2026-03-01T12:00:00", "must be a time with its offset, such as"),
    (date, "x", "must be a date such as 2026-03-01"),
    (time, "x", "must be a time of day such as 09:00"),
    (timedelta, "x", "must be a duration such as PT15S"),
    (HttpUrl, "x", "must be an http:// or https:// address"),
    (Literal["low", "high"], "x", "must be 'low' or 'high'"),
    (Severity, "x", "must be 'critical', 'error', 'warning' or 'info'"),
    (Annotated[str, Field(min_length=1)], "", "must not be empty"),
    (Annotated[str, Field(min_length=2)], "x", "must have at least 2 characters"),
    (Annotated[str, Field(max_length=2)], "xxx", "must have at most 2 characters"),
    (Annotated[list[int], Field(min_length=1)], [], "must have at least 1 item"),
    (Annotated[list[int], Field(max_length=1)], [1, 2], "must have at most 1 item"),
    (Annotated[int, Field(ge=1)], 0, "must be greater than or equal to 1"),
    (Annotated[int, Field(lt=1)], 1, "must be less than 1"),
    (Annotated[str, Field(pattern=NO_NUL)], "\0", "must not contain a NUL character"),
    (Annotated[str, Field(pattern=NO_CONTROL)], "\t", "must not be empty or contain control"),
    (Annotated[str, Field(pattern=HTTP_ADDRESS)], "x", "must be an http:// or https:// address"),
    (Annotated[str, Field(pattern="^[ab]+$")], "x", "is not written in the form expected here"),
]


def said_of(kind: Any, value: Any) -> str:
    """What is wrong with the value; empty where it is right."""
    try:
        TypeAdapter(kind).validate_python(value)
    except ValidationError as error:
        return plain_reason(first_problem_in(error))
    return ""


@pytest.mark.parametrize(("kind", "value", "reason"), WRONG)
def test_each_kind_of_problem_has_a_plain_sentence(kind: Any, value: Any, reason: str) -> None:
    said = said_of(kind, value)
    assert said.startswith(reason)
    assert not any(word in said for word in ("Input", "should", "valid ", "parse", "^", "$", "_"))


@pytest.mark.parametrize(
    "secret", ["hunter2" * 20, ["hunter2"], {"hunter2": "hunter2"}, b"hunter2"]
)
def test_no_value_is_repeated(secret: Any) -> None:
    for kind, _, _ in WRONG:
        assert "hunter2" not in said_of(kind, secret)
