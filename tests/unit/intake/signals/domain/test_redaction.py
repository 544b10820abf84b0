"""What is taken out of signals, what stays, and that it is said."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.intake.signals.domain import AlertData, Redacted, RequestData, SignalContent
from services.intake.signals.domain.redaction import Redactor
from services.intake.signals.domain.shapes import card_numbers, is_checked
from services.intake.signals.policy import OwnPattern, Redaction

REDACTOR = Redactor(Redaction())
# Put together here, so that no scanner takes them for real ones.
GITHUB = "ghp_" + "a1B2" * 9
STRIPE = "sk_" + "live_" + "a1B2c3D4e5F6g7H8"
JWT = ".".join(["eyJ" + "hbGciOiJIUzI1NiJ9", "eyJ" + "zdWIiOiIxMjM0In0", "c2lnbmF0dXJl"])
SLACK = "hooks.slack.com/services/" + "T0000/B0000/" + "x1Y2" * 6
CARD = "4111 1111 1111 1111"


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        (f"push failed for {GITHUB}", "push failed for [redacted token]"),
        (f"charge with {STRIPE} failed", "charge with [redacted token] failed"),
        (f"session {JWT} expired", "session [redacted token] expired"),
        ("AKIA" + "IOSFODNN7EXAMPLE is used", "[redacted token] is used"),
        (f"https://{SLACK}", "https://hooks.slack.com/services/[redacted token]"),
        ("Authorization: Bearer abc123def456ghi789", "Authorization: Bearer [redacted token]"),
        ("postgres://app:hunter2@db/app", "postgres://app:[redacted token]@db/app"),
        ("login with password=hunter2, twice", "login with password=[redacted token], twice"),
        ('{"api_key": "k-12345"}', '{"api_key": "[redacted token]"}'),
        ("https://x.example/?token=abcdef&a=1", "https://x.example/?token=[redacted token]&a=1"),
        (f"card {CARD} was declined", "card [redacted card number] was declined"),
        ("4111-1111-1111-1111", "[redacted card number]"),
        ("378282246310005 (Amex)", "[redacted card number] (Amex)"),
        (f"22 {CARD} 2027", "22 [redacted card number] 2027"),
        ("mail to ana.li+x@corp.example.com.", "mail to [redacted e-mail address]."),
        ("jürgen@exämple.de", "[redacted e-mail address]"),
    ],
)
def test_what_must_not_be_kept_is_taken_out(text: str, kept: str) -> None:
    assert REDACTOR.text(text) == kept
    assert REDACTOR.text(kept) == kept, "once is enough"


@pytest.mark.parametrize(
    "text",
    [
        "disk /dev/sda1 is 91 % full",
        "password: authentication failed",
        "the token expired",
        "basic authentication-failures on the proxy",
        "4111 1111 1111 1112 has a wrong check digit",
        "at 1772366400000 ms, pod 7d9f8b6c5-x2x4z",
        "1234567890123456789012345678901234567890",
        "2026-03-01T12:00:00Z 10.0.0.1:9100",
        "unit user@1000.service failed",
        "git@github.com:acme/checkout.git",
        "https://grafana.example/d/abc?from=1772366400000&to=1772370000000",
    ],
)
def test_what_only_looks_like_it_stays(text: str) -> None:
    assert REDACTOR.text(text) == text


def redacted(data: SignalContent) -> tuple[SignalContent, tuple[Redacted, ...]]:
    changed, done = REDACTOR.fields(vars(data))
    return data.model_copy(update=changed), done


def alert(**data: Any) -> AlertData:
    return AlertData(**{"summary": "s", "key": "k", **data})


def test_it_is_said_which_rule_took_what_out_of_which_field_and_never_what_it_was() -> None:
    data, done = redacted(
        alert(
            summary=f"{CARD} and {CARD}",
            labels={"password": "hunter2", "team": "a", "owner": "ana@corp.example"},
            links=[f"https://{SLACK}", "https://x.example"],
        )
    )
    assert isinstance(data, AlertData)
    assert data.labels == {
        "password": "[redacted value]",
        "team": "a",
        "owner": "[redacted e-mail address]",
    }
    assert done == (
        Redacted("summary", "card number", 2),
        Redacted("labels.password", "value", 1),
        Redacted("labels.owner", "e-mail address", 1),
        Redacted("links", "token", 1),
    )
    assert "hunter2" not in f"{data}{done}"


def test_a_secret_in_the_name_of_a_label_is_taken_out() -> None:
    data, done = redacted(alert(labels={GITHUB: "x"}))
    assert data.labels == {"[redacted token]": "x"}
    assert GITHUB not in str(done)


def test_who_wants_or_did_something_keeps_the_address() -> None:
    request = RequestData(summary="access", requester="ana@corp.example")
    assert redacted(request) == (request, ())
    taken = alert(status="acknowledged", by="ana@corp.example")
    assert redacted(taken) == (taken, ())


def test_a_key_still_tells_one_alert_from_another() -> None:
    ana, _ = redacted(alert(key="login ana@corp.example"))
    ben, _ = redacted(alert(key="login ben@corp.example"))
    again, _ = redacted(alert(key="login ana@corp.example"))
    assert isinstance(ana, AlertData)
    assert isinstance(ben, AlertData)
    assert "corp" not in f"{ana.key}"
    assert ana.key != ben.key
    assert ana == again
    assert REDACTOR.key("login ana@corp.example") == ana.key
    assert REDACTOR.key(ana.key or "") == ana.key


def test_alerts_without_a_key_that_differ_in_what_is_taken_out_stay_two() -> None:
    ana, _ = redacted(alert(key=None, labels={"user": "ana@corp.example"}))
    ben, _ = redacted(alert(key=None, labels={"user": "ben@corp.example"}))
    assert isinstance(ana, AlertData)
    assert isinstance(ben, AlertData)
    assert ana.labels == ben.labels
    assert ana.key != ben.key


def test_rules_can_be_switched_off_and_added() -> None:
    nothing = Redaction(tokens=False, card_numbers=False, email_addresses=False, labels=())
    text = f"{CARD} ana@corp.example password=hunter2 CUST-4711"
    assert Redactor(nothing).text(text) == text
    own = OwnPattern(name="customer", pattern=r"CUST-(?P<secret>\d+)")
    redactor = Redactor(nothing.model_copy(update={"patterns": (own,)}))
    assert redactor.text(text).endswith("CUST-[redacted customer]")


def test_a_pattern_that_would_take_other_engines_for_ever_takes_no_time() -> None:
    evil = OwnPattern(name="evil", pattern=r"(a+)+(b+)+c")
    text = "a" * 100_000 + "b" * 100_000
    assert Redactor(Redaction(patterns=(evil,))).text(text) == text


def test_a_document_is_redacted_however_deep_it_is() -> None:
    document = {"a": [{"password": "x", "mail": "ana@corp.example", "n": 1}], "b": None}
    assert REDACTOR.document(document) == {
        "a": [{"password": "[redacted value]", "mail": "[redacted e-mail address]", "n": 1}],
        "b": None,
    }


@given(st.from_regex(r"\A[2-6][0-9]{11,17}\Z"))
def test_every_number_with_its_check_digit_is_found(digits: str) -> None:
    (last,) = (str(digit) for digit in range(10) if is_checked(f"{digits}{digit}"))
    number = digits + last
    assert card_numbers(number) == [(0, len(number))]
    assert REDACTOR.text(f"n {number}.") == "n [redacted card number]."


@given(st.text())
def test_any_text_can_be_redacted_and_once_is_enough(text: str) -> None:
    once = REDACTOR.text(text)
    assert REDACTOR.text(once) == once
