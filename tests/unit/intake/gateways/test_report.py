"""The report form's decisions, and its errors."""

import json
from contextlib import suppress
from typing import Any
from urllib.parse import urlencode
from uuid import uuid4

import aiohttp
import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.intake.gateways.report.form import Faulty, as_signal, read_form, read_report, similar
from services.intake.signals.domain import KnownAlert, as_alert
from shared.events.malformed import Malformed
from tests.unit.intake.builders import NOON, only, submission, take
from tests.unit.intake.gateways.serving import KEY, Served, serving
from tests.unit.intake.gateways.strategies import ANYTHING

BAD: list[tuple[str, Any]] = [
    ("what", {}),
    ("what", {"what": ""}),
    ("what", {"what": "  "}),
    ("what", {"what": None}),
    ("what", {"what": 5}),
    ("what", {"what": ["x"]}),
    ("what", {"what": "x" * 201}),
    ("what", {"what": "a\0b"}),
    ("service", {"what": "x", "service": "s" * 201}),
    ("service", {"what": "x", "service": {}}),
    ("since", {"what": "x", "since": "yesterday"}),
    ("since", {"what": "x", "since": -1}),
    ("since", {"what": "x", "since": 10_081}),
    ("since", {"what": "x", "since": None}),
    ("severity", {"what": "x", "severity": "awful"}),
    ("severity", {"what": "x", "severity": 1}),
    ("who", {"what": "x", "who": "w" * 201}),
    ("details", {"what": "x", "details": "d" * 4001}),
    ("join", {"what": "x", "join": "INC-1"}),
    ("ticket", {"what": "x", "ticket": "1"}),
    ("body", []),
    ("body", "text"),
]


def known(what: str, service: str | None = "mail", status: Any = "firing") -> KnownAlert:
    return KnownAlert(
        *(uuid4(), 1000, "key report", str(uuid4()), status, what, "error", service),
        *({}, {}, [], 1, NOON, NOON, None),
    )


@pytest.mark.parametrize(("field", "body"), BAD)
def test_an_error_names_its_field(field: str, body: Any) -> None:
    with pytest.raises(Faulty) as raised:
        read_report(body)
    assert field in {name.partition("[")[0] for name in raised.value.faults}
    assert all(raised.value.faults.values())


@given(st.binary(max_size=300))
def test_any_body_is_a_form_or_malformed(body: bytes) -> None:
    with suppress(Malformed, Faulty):
        read_report(read_form(body))


@given(ANYTHING)
def test_any_document_is_a_report_or_faulty(document: Any) -> None:
    try:
        report = read_report(document)
    except Faulty:
        return
    assert as_signal(report, uuid4(), uuid4(), submission()).data.summary


def test_too_many_fields_are_refused() -> None:
    with pytest.raises(Malformed, match="at most 20 fields"):
        read_form(urlencode([(f"f{n}", "") for n in range(21)]).encode())


def test_similar_are_open_of_the_same_service_and_the_most_alike_first() -> None:
    alike, same = known("login to mail is slow"), known("cannot log in to mail")
    others = [known("printer is on fire"), known("cannot log in to mail", "shop")]
    over = known("cannot log in to mail", status="resolved")
    report = read_report({"what": "Mail: cannot log in", "service": "Mail"})
    found = similar(report, [alike, *others, over, same])
    assert found[0] == same
    assert not {one.incident_id for one in found} & {one.incident_id for one in (*others, over)}


def test_me_too_joins_and_another_report_opens() -> None:
    first, second, third = uuid4(), uuid4(), uuid4()
    report = read_report({"what": "mail is down"})
    opening, joining, other = (
        as_alert(as_signal(report, ticket, group, submission()))
        for ticket, group in ((first, first), (second, first), (third, third))
    )
    assert opening
    assert joining
    assert other
    assert len(take([opening, joining]).opened) == 1
    assert only(take([opening, joining])).signal_count == 2
    assert len(take([opening, other]).opened) == 2


async def test_an_error_stands_beside_its_field_and_what_was_typed_is_kept() -> None:
    async with serving() as api, aiohttp.ClientSession(api.address) as http:
        typed = {"what": "", "who": '"><script>alert(1)</script>'}
        async with http.post(f"/report/{KEY}/form", data=typed) as answer:
            text = await answer.text()
            assert answer.status == 400
            assert "default-src 'none'" in answer.headers["Content-Security-Policy"]
        assert 'aria-describedby="what-fault"' in text
        assert "<script>" not in text
        assert "&lt;script&gt;" in text
        assert api.stored == []


async def test_a_report_is_committed_and_leads_to_its_progress() -> None:
    async with serving() as api, aiohttp.ClientSession(api.address) as http:
        form = {"what": "mail is down", "ticket": str(uuid4())}
        async with http.post(f"/report/{KEY}/form", data=form, allow_redirects=False) as answer:
            assert answer.status == 303
            assert answer.headers["Location"] == f"progress/{form['ticket']}"
        async with http.get(f"/report/{KEY}/progress/{uuid4()}") as answer:
            assert answer.status == 404
        async with http.get("/report/wrong/form") as answer:
            assert answer.status == 401
            assert answer.content_type == "text/html"
        assert [one.signal_id for one in api.stored] == [form["ticket"]]


async def json_answer(api: Served, body: Any) -> tuple[int, Any]:
    headers = {"Content-Type": "application/json"}
    return await api.send(f"/v1/report/{KEY}", json.dumps(body).encode(), headers)


async def test_the_api_answers_what_the_form_shows() -> None:
    async with serving() as api:
        status, answer = await json_answer(api, {"what": "mail is down"})
        assert (status, answer["ticket"]) == (200, api.stored[0].signal_id)
        status, problem = await json_answer(api, {"what": "x", "since": "yesterday"})
        assert (status, problem["field"]) == (400, "since")
        status, problem = await json_answer(api, {"what": "x", "join": str(uuid4())})
        assert (status, problem["field"]) == (400, "join")
