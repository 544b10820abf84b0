"""What a page says, whatever the summary holds."""

from dataclasses import fields, replace
from typing import Any

import orjson
import pytest

from services.escalation.delivery.channels.email import mail
from services.escalation.delivery.channels.webhook import webhook_body
from services.escalation.delivery.domain.page import Notice
from services.escalation.policies.domain.page_order import PageOrder
from services.escalation.response.domain.triage import on_triage
from shared.events.facts import Event
from shared.events.triage import TriagedIncident
from tests.support.outage import GROUP
from tests.unit.escalation.builders import teams, was_confirmed, was_triaged
from tests.unit.escalation.delivery.notices import NOON, notice


def test_the_text_has_the_links_and_the_reasons() -> None:
    text = notice(why="step 1: user ana\r\nBcc: x@example.com").text
    assert "Acknowledge  https://tocsin.example/a/1" in text
    assert "- step 1: user ana Bcc: x@example.com" in text
    assert "Service   unknown" in text


@pytest.mark.parametrize("summary", ["x\r\ny", "x\n\n.\nQUIT", "x\x00\x1b[31m", "é" * 3000, ""])
def test_the_subject_is_one_short_line_whatever_the_summary_holds(summary: str) -> None:
    subject = notice(summary).subject
    assert subject.startswith("[P1] INC-1042")
    assert subject.isprintable()
    assert len(subject) <= 200


def test_the_data_has_every_field_of_the_order_that_a_receiver_may_know() -> None:
    data = notice().data
    names = {field.name for field in fields(PageOrder)} - {"attempt_key", "method"}
    assert names <= data.keys()
    assert (data["incident"], data["user"], data["why"]) == (
        "INC-1042",
        "ana",
        ("step 1: user ana",),
    )


def about(event: Event, **alerts: Any) -> Event:
    """A fact of triage about an incident with other alerts."""
    triaged: TriagedIncident = event.data.triage  # type: ignore[attr-defined]
    incident = triaged.incident.model_copy(update=alerts)
    known = triaged.model_copy(update={"incident": incident})
    return replace(event, data=type(event.data)(triage=known))


def page_after(*events: Event) -> Notice:
    incident = None
    for event in events:
        incident = on_triage(incident, event, teams(), NOON).incident
    assert incident is not None
    return replace(notice(), incident=incident)


def test_a_page_about_many_alerts_names_those_that_fire_first_and_counts_all() -> None:
    page = page_after(about(was_triaged(), **GROUP))
    shown = """
800 alerts and 5 that its sender did not list, 3 of them:
- disk full on web-2 (firing)
- disk full on web-3 (firing)
- disk full on web-1 (resolved)
It began often lately: it stays open until it is calm.
"""
    assert shown in page.text
    assert shown.strip() in mail(page, ("", "t@example.com"), "ana@example.com").get_content()
    data = orjson.loads(webhook_body(page))["data"]
    counts = ("alerts_total", "alerts_unlisted", "flapping")
    assert [data[name] for name in counts] == [800, 5, True]
    assert data["alerts"][0] == {
        "key": "web-2",
        "status": "firing",
        "summary": "disk full on web-2",
    }


def test_a_page_tells_of_the_alerts_as_they_are_known_last() -> None:
    page = page_after(
        about(was_triaged(), **GROUP), about(was_confirmed(2), alerts_total=2, alerts=[])
    )
    assert "2 alerts\n" in page.text
    late = page_after(
        about(was_confirmed(2), alerts_total=2, alerts=[]), about(was_triaged(), **GROUP)
    )
    assert late.text == page.text


def test_a_page_about_one_alert_does_not_list_it() -> None:
    assert "alert" not in page_after(was_triaged()).text.replace("alertname", "")


def test_text_of_an_alert_stays_in_its_line() -> None:
    hostile = GROUP["alerts"][0].model_copy(update={"summary": "x\r\nAcknowledge  http://evil"})
    page = page_after(about(was_triaged(), alerts_total=2, alerts=[hostile]))
    assert "- x Acknowledge http://evil (resolved)" in page.text.splitlines()
