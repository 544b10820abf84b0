"""Opsgenie's search queries."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.intake.gateways.opsgenie.query import parse_query
from shared.http.problems import Problem

ALERT: dict[str, Any] = {
    "id": "0199-1",
    "tinyId": "1042",
    "alias": "disk/db-1",
    "message": "Disk full on db-1",
    "status": "open",
    "acknowledged": False,
    "isSeen": False,
    "tags": ["db", "Prod EU"],
    "snoozed": False,
    "count": 12,
    "lastOccurredAt": "2026-03-01T12:00:00.000Z",
    "createdAt": "2026-03-01T11:00:00.000Z",
    "updatedAt": "2026-03-01T12:00:00.000Z",
    "source": "nagios",
    "owner": "",
    "priority": "P2",
    "responders": [{"type": "team", "name": "Databases"}],
    "integration": {"id": "nagios", "name": "nagios", "type": "API"},
    "entity": "db-1",
    "description": "91 % of /var",
    "details": {"host": "db-1"},
    "actions": ["restart"],
}


@pytest.mark.parametrize(
    "query",
    [
        *["", "  ", "disk", '"disk full"', "status:open", "status: open", "STATUS=OPEN"],
        *["status: (closed OR open)", "NOT status:closed", "not not status:open"],
        *["status:open AND priority:P2", "status:open priority:P2", "status != closed"],
        *["status:closed OR priority:P2", "status:closed OR (count > 5 AND count <= 12)"],
        *["tag:db", "tag: (db AND 'prod' OR db)", 'tags:"prod eu"', "tag:pro*", "alias:disk/db-1"],
        *["tinyId:1042", "count:12", "count < 100", "count >= 12", "acknowledged:false"],
        *["createdAt:1772362800000", "createdAt > 1772000000000", "createdAt < 2026-03-02"],
        *["priority > P1", "teams:Databases", "responders:Databases", "entity:db-1"],
        *["message:full", "message:disk*db-1", "description:91", "integration.name:nagios"],
        *["alertId:0199-1", "details.key:host", "owner:\"\"", "source:nagios", "snoozed:false"],
    ],
)  # fmt: skip
def test_a_query_finds(query: str) -> None:
    assert parse_query(query)(ALERT)


@pytest.mark.parametrize(
    "query",
    [
        *["cpu", "status:closed", "NOT status:open", "status:open AND priority:P1", "tag:prod"],
        *[
            "status: (closed OR snoozed)",
            "count > 12",
            "count < 12",
            "status != open",
            "alias:disk",
        ],
        *["createdAt > 1772362800000", "createdAt:7", "acknowledged:true", "priority < P2"],
        *["NOT (status:open OR priority:P1)", "tag:*x", "message:[ab]*", "count:x"],
    ],
)
def test_a_query_leaves_out(query: str) -> None:
    assert not parse_query(query)(ALERT)


@pytest.mark.parametrize(
    "query",
    [
        *["(", ")", "status:", "status", ":open", "status:open)", "(status:open", "nothing:x"],
        *["AND", "OR", "status:open OR", "NOT", "count > many", "createdAt > then", '"open'],
        *["(" * 500, "x " * 600, "status::open", "a:b:c", "!", "status !open"],
    ],
)
def test_what_is_no_query_is_422_and_says_why(query: str) -> None:
    if query == "status":  # a word to look for
        parse_query(query)
        return
    with pytest.raises(Problem) as caught:
        parse_query(query)
    assert (caught.value.status, caught.value.extra["field"]) == (422, "query")


WORDS = st.sampled_from(
    [
        *"()<>:=!",
        "AND",
        "OR",
        "NOT",
        "status",
        "open",
        "tag",
        "count",
        "1",
        "createdAt",
        '"a b"',
        "*",
    ]
)


@given(st.text(max_size=60) | st.lists(WORDS, max_size=20).map(" ".join))
def test_no_text_raises_anything_else(query: str) -> None:
    try:
        matches = parse_query(query)
    except Problem:
        return
    assert matches(ALERT) in (True, False)
