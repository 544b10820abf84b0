"""How people name an incident: by its number, or by its id."""

import re
from uuid import UUID

_NUMBER = re.compile(r"(?:INC-)?([0-9]{1,18})", re.IGNORECASE | re.ASCII)

NUMBER_PATTERN = "^(INC-)?[0-9]{1,18}$"
REFERENCE_PATTERN = (
    "^((INC-)?[0-9]{1,18}|[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12})$"
)
"""How documents write them. Readers take a little more: both cases, white space around it."""


def parse_reference(text: str) -> UUID | int:
    """The number of `INC-1042` or `1042`, or the id. Raises ValueError that says what to write."""
    text = text.strip()
    if number := _NUMBER.fullmatch(text):
        return int(number[1])
    try:
        return UUID(text)
    except ValueError:
        raise ValueError("is neither a number such as INC-1042 nor a UUID") from None


def format_reference(number: int) -> str:
    """`INC-1042`."""
    return f"INC-{number}"
