"""Mails of every kind: what they say, which are no reports, and what hostile ones cost."""

from email.message import EmailMessage

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.intake.mail.domain.message import MAX_TEXT, read_mail

PLAIN = (
    b"From: Nagios <nagios@mon>\r\nSubject: disk full\r\nMessage-ID: <1@mon>\r\n\r\n/ is full\r\n"
)


def mail(text: str = "/ is full", **headers: str) -> EmailMessage:
    message = EmailMessage()
    for name, value in ({"Subject": "disk full", "From": "a@mon"} | headers).items():
        message[name.replace("_", "-")] = value
    message.set_content(text)
    return message


def test_a_plain_mail() -> None:
    read = read_mail(PLAIN)
    assert (read.subject, read.sender) == ("disk full", "Nagios <nagios@mon>")
    assert (read.text, read.message_id, read.ignored) == ("/ is full", "<1@mon>", None)


@pytest.mark.parametrize(
    ("header", "subject"),
    [
        (b"=?utf-8?q?Gr=C3=BC=C3=9Fe?=", "Grüße"),
        (b"=?utf-8?b?R3LDvMOfZQ==?=", "Grüße"),
        (b"=?iso-8859-1?q?Gr=FC=DFe?=", "Grüße"),
        ("Grüße".encode(), "Grüße"),
        (b"a\r\n folded\r\n\tone", "a folded one"),
        (b"=?x-unknown?q?abc?=", "abc"),
        (b"=?utf-8?b?!!!?=", "=?utf-8?b?!!!?="),
        (b"\xff\xfe", "��"),
        (b"=?punycode?b?" + b"QUFB" * 10 + b"?=", "AAA" * 10),
    ],
)
def test_subjects_are_decoded(header: bytes, subject: str) -> None:
    assert read_mail(b"Subject: " + header + b"\r\n\r\nx").subject == subject


def test_the_plain_text_is_taken_and_of_html_what_is_shown() -> None:
    message = mail()
    message.add_alternative("<p>no</p>", subtype="html")
    message.add_attachment(b"x" * 1000, maintype="image", subtype="png")
    assert read_mail(message.as_bytes()).text == "/ is full"
    page = "<html><head><title>t</title></head><style>p {}</style><p>full &amp; <b>slow</b></p>"
    only = mail()
    only.set_content(page, subtype="html")
    assert read_mail(only.as_bytes()).text == "full & slow"


@pytest.mark.parametrize(
    ("headers", "reason"),
    [
        ({"Auto-Submitted": "auto-replied"}, "automatic reply"),
        ({"Auto-Submitted": "Auto-Replied; owner-email=x"}, "automatic reply"),
        ({"X-Autoreply": "yes"}, "automatic reply"),
        ({"X-Autorespond": "1"}, "automatic reply"),
        ({"Precedence": "auto_reply"}, "automatic reply"),
        ({"Content-Type": "multipart/report; report-type=delivery-status; boundary=b"}, "delivery"),
        ({"X-Tocsin": "page"}, "Tocsin sent it"),
    ],
)
def test_what_is_no_report_is_recognised(headers: dict[str, str], reason: str) -> None:
    lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    ignored = read_mail(lines.encode() + PLAIN).ignored
    assert ignored is not None
    assert reason in ignored


@pytest.mark.parametrize(
    "header",
    ["Auto-Submitted: auto-generated", "Auto-Submitted: no", "Precedence: bulk", "List-Id: <x>"],
)
def test_alerts_are_generated_and_sent_in_bulk(header: str) -> None:
    assert read_mail(header.encode() + b"\r\n" + PLAIN).ignored is None


def test_a_mail_that_goes_round_is_recognised() -> None:
    hops = b"Received: from a by b\r\n"
    assert read_mail(hops * 20 + PLAIN).ignored is None
    assert read_mail(hops * 51 + PLAIN).ignored == "it goes round in circles"


def test_a_mail_without_an_id_is_known_by_what_it_says() -> None:
    one = read_mail(b"Subject: a\r\nDate: today\r\n\r\nx")
    again = read_mail(b"Received: from y\r\nSubject: a\r\nDate: today\r\n\r\nx")
    other = read_mail(b"Subject: a\r\nDate: tomorrow\r\n\r\nx")
    assert one.message_id == again.message_id != other.message_id


NESTED = b"".join(
    b"Content-Type: multipart/mixed; boundary=b%d\r\n\r\n--b%d\r\n" % (n, n) for n in range(2000)
)


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"\x00",
        b"\r\n\r\n",
        b"no header at all",
        b": : :\r\n\r\n",
        b"\xff" * 5000,
        PLAIN[:20],
        NESTED,
        b"Content-Type: message/rfc822\r\n\r\n" * 5000,
        b"Content-Type: multipart/mixed\r\n\r\nx",
        b"Content-Type: multipart/mixed; boundary=\r\n\r\nx",
        b"Content-Type: text/plain; charset=nonsense\r\n\r\nx",
        b"Content-Type: text/plain; charset=punycode\r\n\r\n" + b"a-" * 100_000,
        b"Content-Type: text/plain\r\nContent-Transfer-Encoding: base64\r\n\r\n!!!" + b"=" * 5000,
        b"Content-Type: text/html\r\n\r\n" + b"<" * 500_000,
        b"Content-Type: text/html\r\n\r\n" + b"<style>" * 70_000,
        b"Content-Type: text/html\r\n\r\n" + b"&" * 500_000,
        b"Subject: " + b"=?utf-8?q?" * 5000 + b"\r\n\r\nx",
        b"Subject: x\r\n" * 20_000 + b"\r\nx",
        b"X: " + b"y" * 500_000 + b"\r\n\r\nx",
        b"Content-Disposition: " + b'a="' * 5000 + b"\r\n\r\nx",
        b"Content-Type: text/plain; " + b"a*0=b;" * 5000 + b"\r\n\r\nx",
    ],
    ids=lambda raw: raw[:30].decode("ascii", "replace"),
)
def test_whatever_is_sent_is_read_at_a_low_cost(raw: bytes) -> None:
    read = read_mail(raw)
    assert len(read.text) <= MAX_TEXT
    assert "\x00" not in read.subject + read.text + read.sender + read.message_id


HEADERS = [b"Subject: ", b"Content-Type: multipart/mixed; boundary=b", b"--b", b"--b--", b"\r\n"]
PIECES = st.sampled_from(
    [
        *HEADERS,
        b"Content-Type: text/html; charset=utf-16",
        b"Content-Transfer-Encoding: base64",
        b"=?utf-7?b?+AAA-?=",
        b"Message-ID: <>",
        b"\r\n\r\n",
    ]
)


@settings(max_examples=200, deadline=None)
@given(st.lists(PIECES | st.binary(max_size=8), max_size=30).map(b"".join))
def test_every_mail_is_read(raw: bytes) -> None:
    read = read_mail(raw)
    (read.subject + read.text + read.sender + read.message_id).encode()
