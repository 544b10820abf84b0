"""What pydantic found wrong, in plain sentences. Its own texts show types and patterns."""

from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError
from pydantic_core import ErrorDetails

NO_NUL = r"^[^\x00]*$"
NO_CONTROL = r"^[^\x00-\x1f\x7f]+$"
HTTP_ADDRESS = r"^https?://\S+$"

_PATTERNS = {
    NO_NUL: "must not contain a NUL character",
    NO_CONTROL: "must not be empty or contain control characters",
    HTTP_ADDRESS: "must be an http:// or https:// address",
}
"""What a value has to be that one of these patterns refuses."""

_REASONS = {
    "missing": "is required",
    "extra_forbidden": "is not known",
    "none_required": "must be absent",
    "string_type": "must be a text",
    "string_unicode": "must be a text",
    "bool_type": "must be true or false",
    "bool_parsing": "must be true or false",
    "int_type": "must be a whole number",
    "int_parsing": "must be a whole number",
    "int_parsing_size": "must be a whole number of fewer digits",
    "int_from_float": "must be a whole number",
    "float_type": "must be a number",
    "float_parsing": "must be a number",
    "finite_number": "must be a number",
    "list_type": "must be a list",
    "tuple_type": "must be a list",
    "set_type": "must be a list",
    "dict_type": "must be an object with names and values",
    "mapping_type": "must be an object with names and values",
    "model_type": "must be an object with names and values",
    "model_attributes_type": "must be an object with names and values",
    "path_type": "must be a path",
    "ip_v4_network": "must be an IP network such as 10.0.0.0/8",
    "ip_v6_network": "must be an IP network such as fd00::/8",
    "ip_any_network": "must be an IP network such as 10.0.0.0/8",
}
_FAMILIES = {
    "datetime_": "must be a time such as 2026-03-01T12:00:00Z",
    "timezone_": "must be a time with its offset, such as 2026-03-01T12:00:00Z",
    "date_": "must be a date such as 2026-03-01",
    "time_delta_": "must be a duration such as PT15S",
    "time_": "must be a time of day such as 09:00",
    "uuid_": "must be a UUID",
    "url_": "must be an http:// or https:// address",
}
"""By the beginning of the type; the first that fits counts."""


def plain_reason(problem: ErrorDetails) -> str:
    """What is wrong with a value, to be read after its name: `must be a whole number`."""
    kind, context = problem["type"], problem.get("ctx", {})
    if reason := _REASONS.get(kind):
        return reason
    if kind == "string_pattern_mismatch":
        return _PATTERNS.get(
            str(context.get("pattern")), "is not written in the form expected here"
        )
    if bound := _bound(kind, context):
        return bound
    for beginning, reason in _FAMILIES.items():
        if kind.startswith(beginning):
            return reason
    text = problem["msg"].removeprefix("Value error, ").removeprefix("Assertion failed, ")
    return text.replace("Input should be", "must be", 1).replace("Input should", "must", 1)


def first_problem_in(error: ValidationError) -> ErrorDetails:
    """The first problem, without the value, which may be secret."""
    return error.errors(include_url=False, include_input=False)[0]


def _bound(kind: str, context: Mapping[str, Any]) -> str | None:
    match kind:
        case "string_too_short" | "bytes_too_short":
            least = context["min_length"]
            return "must not be empty" if least == 1 else f"must have at least {least} characters"
        case "string_too_long" | "bytes_too_long":
            return f"must have at most {_count(context['max_length'], 'character')}"
        case "too_short":
            return f"must have at least {_count(context['min_length'], 'item')}"
        case "too_long":
            return f"must have at most {_count(context['max_length'], 'item')}"
        case "json_invalid":
            return f"is not JSON: {context['error']}"
        case _:
            return None


def _count(number: int, unit: str) -> str:
    return f"{number} {unit}" if number == 1 else f"{number} {unit}s"
