"""Headers of HTTP requests and of Kafka records: pairs of a name and bytes, in which a name may
repeat.
"""

from collections.abc import Iterable, Iterator

Headers = Iterable[tuple[str, bytes]] | Iterable[tuple[bytes, bytes]]


def normalised(headers: Headers) -> Iterator[tuple[str, bytes]]:
    """Each with its name in lower case, and its value without the white space around it."""
    for name, value in headers:
        text = name.decode("latin-1") if isinstance(name, bytes) else name
        yield text.lower(), value.strip(b" \t")


def header_values(headers: Headers, name: str) -> list[bytes]:
    """All values of a header, whose `name` is in lower case, in their order."""
    return [value for found, value in normalised(headers) if found == name]
