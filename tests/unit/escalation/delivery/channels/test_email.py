"""Mails and mail addresses."""

from email import message_from_bytes, policy

import pytest
from pydantic import SecretStr, ValidationError

from services.escalation.delivery.channels.email import CHANNEL, EmailSettings, mail, mailbox
from tests.unit.escalation.delivery.notices import notice

SENDER = ("", "tocsin@example.com")


@pytest.mark.parametrize(
    "summary", ["x\r\nBcc: evil@example.com", "x\n\n.\nQUIT", "x\x00\x1b[31m", "é" * 3000, ""]
)
def test_a_summary_cannot_make_a_header_or_end_a_mail(summary: str) -> None:
    message = message_from_bytes(mail(notice(summary), SENDER, "ana@example.com").as_bytes())
    assert "Bcc" not in message
    assert message["To"] == "ana@example.com"
    assert len(message.keys()) == len(set(message.keys()))


def test_the_mail_reads_as_text() -> None:
    raw = mail(notice(), SENDER, "ana@example.com").as_bytes()
    message = message_from_bytes(raw, policy=policy.default)
    assert "Acknowledge  https://tocsin.example/a/1" in message.get_content()
    assert message["Auto-Submitted"] == "auto-generated"


def test_a_display_name_is_encoded_and_the_mail_is_ascii() -> None:
    raw = mail(notice(), ("Töcsin Alarm", "tocsin@example.com"), "ana@example.com").as_bytes()
    raw.decode("ascii")
    message = message_from_bytes(raw, policy=policy.default)
    assert message["From"] == "Töcsin Alarm <tocsin@example.com>"


@pytest.mark.parametrize(
    ("address", "sent_to"),
    [
        ("ana@example.com", "ana@example.com"),
        ("cleo@müller.example", "cleo@xn--mller-kva.example"),
        ("cleo@MÜLLER.example", "cleo@xn--mller-kva.example"),
        ("cleo@straße.example", "cleo@xn--strae-oqa.example"),  # no other host than strasse
        ("cleo@例え.example", "cleo@xn--r8jz45g.example"),
    ],
)
def test_a_mail_goes_to_the_ascii_form_of_its_domain(address: str, sent_to: str) -> None:
    assert mailbox(address) == sent_to
    assert CHANNEL.check(address, []) is None


@pytest.mark.parametrize(
    ("address", "reason"),
    [
        ("cleo", "write one mail address, name@host"),
        ("a@b@c", "write one mail address, name@host"),
        ("a b@example.com", "write one mail address, name@host"),
        ("x" * 250 + "@example.com", "write one mail address, name@host"),
        ("clé@example.com", "before the @ of a mail address only ASCII characters can be used"),
        ("cleo@ü..example", "the host of the mail address is no valid domain name"),
    ],
)
def test_a_wrong_address_is_refused_in_words_that_do_not_repeat_it(
    address: str, reason: str
) -> None:
    assert CHANNEL.check(address, []) == reason


def test_the_senders_address_is_checked_when_the_channel_is_set_up() -> None:
    for sender in ("Tocsin", "Tocsin <tocsin>", "tö@example.com"):
        with pytest.raises(ValidationError):
            EmailSettings(smtp=SecretStr("smtp://x"), smtp_from=sender, webhook_timeout=1)
    EmailSettings(smtp_from="Töcsin Alarm <tocsin@müller.example>", webhook_timeout=1)
