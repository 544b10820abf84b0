"""What a page says, whatever the summary holds."""

from dataclasses import fields

import pytest

from services.escalation.policies.domain.page_order import PageOrder
from tests.unit.escalation.delivery.notices import notice


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
