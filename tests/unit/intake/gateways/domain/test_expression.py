"""JMESPath within bounds: no expression takes longer than it may, whatever the body is."""

from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.intake.gateways.domain.expression import Interpreter, TooMuchWork, parse


def value(expression: str, document: Any) -> Any:
    return parse(expression).value(document, Interpreter())


@pytest.mark.parametrize(
    ("expression", "found"),
    [
        ("lower(a)", "abc"),
        ("split(tags, ',')", ["env:prod", "service: till", "urgent"]),
        ("tag(tags, 'service')", "till"),
        ("tag(pairs, 'service')", "till"),
        ("tag(objects, 'service')", "till"),
        ("tag(named, 'service')", "till"),
        ("tag(none, 'service')", None),
        ("tag(tags, 'urgent')", None),
        ("replace(a, 'B', '-')", "A-C"),
        ("words([a, none, `7`, ' x '])", "ABC 7 x"),
    ],
)
def test_functions_that_jmespath_does_not_have(expression: str, found: Any) -> None:
    document = {
        "a": "ABC",
        "tags": "env:prod, service: till,urgent",
        "pairs": [["env", "prod"], ["service", "till"]],
        "objects": [{"tag": "service", "value": "till"}],
        "named": {"service": "till"},
    }
    assert value(expression, document) == found


@pytest.mark.parametrize(
    "expression", ["lower(n)", "split(n, ',')", "max_by(l, &x)", "sort(l)", "n.a.b", "l[7]"]
)
def test_what_does_not_fit_is_nothing(expression: str) -> None:
    assert value(expression, {"n": 7, "l": [1, "a", None], "s": ""}) in (None, [])


@pytest.mark.parametrize(
    "expression",
    [
        " | ".join(["join('', [@, @])"] * 30),  # a text that doubles
        " | ".join(["replace(@, 'a', 'aaaaaaaaaaaaaaaaaaaaaa')"] * 15),
        "[@] | " + " | ".join(["[@, @][][]"] * 60),  # a list that doubles
        "body[*].[" + ", ".join(["body[]"] * 60) + "]",
    ],
)
def test_work_without_end_ends(expression: str) -> None:
    with pytest.raises(TooMuchWork):
        value(expression, "a") if "body" not in expression else value(
            expression, {"body": [{"body": [1] * 500}] * 5_000}
        )


def test_a_long_list_is_within_the_bounds() -> None:
    document = {"items": [{"state": "ok", "n": n} for n in range(5_000)]}
    assert value("items[?n > `4998`].n", document) == [4999]
    with pytest.raises(TooMuchWork):
        value("items[?n > `4998`].n", {"items": document["items"] * 20})


@pytest.mark.parametrize(
    "expression", ["(" * 500 + "a" + ")" * 400, "[" * 900, "a" + ".a" * 499, "!" * 999 + "a"]
)
def test_deep_expressions_end_too(expression: str) -> None:
    with suppress(ValueError, TooMuchWork):
        parse(expression).value({"a": {}}, Interpreter())


@given(st.text(max_size=40), st.recursive(st.none() | st.integers() | st.text(), st.lists))
def test_any_text_is_an_expression_or_is_refused(text: str, document: Any) -> None:
    try:
        expression = parse(text)
    except ValueError:
        return
    expression.value(document, Interpreter())
