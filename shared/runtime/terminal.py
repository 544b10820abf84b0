"""Text of others in a terminal, where it can neither set colours nor move the cursor."""

import json
import re
from typing import Any

from rich.text import Text


def printable(text: str, keep: str = "") -> str:
    """The text with a space for each character that does not print (controls, escapes, marks that
    turn the direction of writing), but for those in `keep`.
    """
    return "".join(c if c.isprintable() or c in keep else " " for c in text)


def plain(text: str | None, keep: str = "") -> Text:
    """The same for rich, which reads no markup in it; `-` where there is no text."""
    return Text(printable(text, keep) if text else "-")


def json_text(value: Any) -> str:
    """Indented JSON in which each character that does not print is escaped."""
    return re.sub(r"[^\n -~]", _escaped, json.dumps(value, indent=2, ensure_ascii=False))


def _escaped(found: re.Match[str]) -> str:
    return found[0] if found[0].isprintable() else json.dumps(found[0])[1:-1]
