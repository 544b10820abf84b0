"""Reads a mail of untrusted bytes: subject, sender and text, and whether a machine only answered.

Nothing is raised: what cannot be read is empty. The bounds keep the cost of any mail linear.
"""

import codecs
import hashlib
import html
import re
from dataclasses import dataclass
from email.header import decode_header
from email.message import Message
from email.parser import BytesHeaderParser, BytesParser

MAX_BYTES = 1024 * 1024
MAX_HEADER_BYTES = 64 * 1024
MAX_TEXT = 16_384
"""Characters of the text that are kept."""
LOOP_HEADER = "X-Tocsin"
"""In every mail that Tocsin sends."""
_MAX_PARTS = 50
_MAX_HOPS = 50
_MAX_RAW_TEXT = 64 * 1024
_MAX_VALUE = 2048
_NESTS = re.compile(rb"boundary|message/", re.IGNORECASE)
_END_OF_HEADERS = re.compile(rb"\r?\n\r?\n")
_TAG = re.compile(r"<[^<>]*>")
_HIDDEN = re.compile(r"<(/?)(?:style|script|head)\b[^<>]*>", re.IGNORECASE)
_BLANKS = re.compile(r"[ \t\r\f\v]+")
_NOT_TEXT = ("idna", "punycode", "raw_unicode_escape", "unicode_escape", "undefined")
"""Encodings that no mail has; some take a time that grows with the square of the length."""


@dataclass(frozen=True, slots=True)
class Mail:
    """A mail. `message_id` is its sender's, or made of what it says; `ignored` is why it is no
    report, if it is none.
    """

    subject: str
    sender: str
    text: str
    message_id: str
    ignored: str | None


def read_mail(raw: bytes) -> Mail:
    """The mail in its bytes."""
    end = _END_OF_HEADERS.search(raw)
    head = raw[: end.start()] if end else raw
    message = _parse(raw, head)
    text = _text(message)
    subject, sender = _value(message, "Subject"), _value(message, "From")
    said = "\x1f".join([subject, sender, _value(message, "Date"), text])
    return Mail(
        subject=subject,
        sender=sender,
        text=text,
        message_id=_value(message, "Message-ID") or hashlib.sha256(said.encode()).hexdigest(),
        ignored=_ignored(message),
    )


def _parse(raw: bytes, head: bytes) -> Message:
    """All of it, or the headers alone where it has too many parts to be an alert."""
    if len(head) > MAX_HEADER_BYTES:
        return BytesHeaderParser().parsebytes(head[:MAX_HEADER_BYTES])
    nested = sum(1 for _ in _NESTS.finditer(raw))
    if nested > _MAX_PARTS:
        return BytesHeaderParser().parsebytes(head)
    try:
        return BytesParser().parsebytes(raw)
    except Exception:  # the parser is known to fail on some mails in ways of its own
        return BytesHeaderParser().parsebytes(head)


def _ignored(message: Message) -> str | None:
    """Why it needs no attention: RFC 3834, and what programs wrote before there was one.

    That a mail was generated says nothing: alerts are.
    """
    if _values(message, LOOP_HEADER):
        return "Tocsin sent it"
    if len(_values(message, "Received")) > _MAX_HOPS:
        return "it goes round in circles"
    if message.get_content_type() == "multipart/report":
        return "it reports on the delivery of a mail"
    submitted = _value(message, "Auto-Submitted").partition(";")[0].strip().lower()
    precedence = _value(message, "Precedence").strip().lower()
    answers = ("X-Autoreply", "X-Autorespond", "X-Autoresponder")
    if submitted == "auto-replied" or precedence in ("auto_reply", "auto-reply"):
        return "it is an automatic reply"
    if any(_value(message, name) for name in answers):
        return "it is an automatic reply"
    return None


def _values(message: Message, name: str) -> list[str]:
    wanted = name.lower()
    return [str(value) for key, value in message.raw_items() if key.lower() == wanted]


def _value(message: Message, name: str) -> str:
    """A header as text in one line; empty if there is none."""
    raw = next(iter(_values(message, name)), "")[: 2 * _MAX_VALUE]
    raw = raw.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
    try:
        pieces = decode_header(raw)
    except Exception:  # of broken encodings the header itself says more than nothing
        pieces = [(raw, None)]
    text = "".join(
        _decoded(piece, charset) if isinstance(piece, bytes) else piece for piece, charset in pieces
    )
    return _clean(" ".join((text.strip() or raw).split()))[:_MAX_VALUE]


def _text(message: Message) -> str:
    """The text that a person would read."""
    plain, marked_up = "", ""
    for number, part in enumerate(message.walk()):
        if number > _MAX_PARTS or plain:
            break
        if part.is_multipart() or part.get_content_disposition() == "attachment":
            continue
        kind = part.get_content_type()
        if kind == "text/plain":
            plain = _content(part).strip()
        elif kind == "text/html" and not marked_up:
            marked_up = _without_tags(_content(part))
    return _clean(plain or marked_up)[:MAX_TEXT]


def _content(part: Message) -> str:
    try:
        payload = part.get_payload(decode=True)
        charset = part.get_content_charset("utf-8")
    except Exception:  # as above
        return ""
    return _decoded(payload[:_MAX_RAW_TEXT], charset) if isinstance(payload, bytes) else ""


def _decoded(raw: bytes, charset: str | None) -> str:
    try:
        name = codecs.lookup(charset or "utf-8").name
        if name not in _NOT_TEXT:
            return raw.decode(name, "replace")
    except (LookupError, ValueError):
        pass
    return raw.decode("utf-8", "replace")


def _without_tags(marked_up: str) -> str:
    """HTML as text; what is not shown is left out."""
    shown, hidden, place = [], False, 0
    for tag in _HIDDEN.finditer(marked_up):
        if not hidden:
            shown.append(marked_up[place : tag.start()])
        hidden, place = not tag[1], tag.end()
    if not hidden:
        shown.append(marked_up[place:])
    text = html.unescape(_TAG.sub(" ", " ".join(shown)))
    lines = (_BLANKS.sub(" ", line).strip() for line in text.split("\n"))
    return "\n".join(line for line in lines if line)


def _clean(text: str) -> str:
    """Without what neither Postgres nor JSON can hold."""
    return text.replace("\x00", "").encode("utf-8", "replace").decode("utf-8")
