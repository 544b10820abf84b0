"""Content encodings of request bodies (RFC 9110 8.4): inflated a part at a time, never further than
the reader asks.
"""

import zlib
from collections.abc import Iterator
from typing import Protocol

from shared.http.problems import Problem

ENCODINGS = ("gzip", "deflate")
PART_BYTES = 256 * 1024
_MAX_MEMBERS = 100
_GZIP = 16 + zlib.MAX_WBITS
_RAW = -zlib.MAX_WBITS


class UnknownEncoding(ValueError):
    """None of ENCODINGS, or several of them."""


class Decoder(Protocol):
    """Undoes the encoding of a body."""

    def decode(self, chunk: bytes) -> Iterator[bytes]:
        """What the next bytes become. Raises Problem for bytes that are not in the encoding."""

    def finish(self) -> None:
        """The body is at its end. Raises Problem when that is too early."""


def decoder_of(encodings: str) -> Decoder:
    """The decoder for a Content-Encoding, whose names are compared without case. Raises
    UnknownEncoding.
    """
    named = {name.strip().lower() for name in encodings.split(",")} - {"", "identity"}
    if not named:
        return _Identity()
    if named in ({"gzip"}, {"x-gzip"}) and encodings.lower().count("gzip") == 1:
        return _Inflating("gzip")
    if named == {"deflate"} and encodings.lower().count("deflate") == 1:
        return _Inflating("deflate")
    raise UnknownEncoding(encodings)


class _Identity:
    def decode(self, chunk: bytes) -> Iterator[bytes]:
        yield chunk

    def finish(self) -> None:
        """Any end is a good one."""


class _Inflating:
    """A gzip body may consist of several members, which are decoded to one text. A deflate body is
    in the zlib format, or, as some senders have it, in the raw one.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self._inflate: zlib._Decompress | None = None
        self._members = 0
        self._head = b""

    def decode(self, chunk: bytes) -> Iterator[bytes]:
        """Parts of at most PART_BYTES."""
        part = b""
        while chunk or len(part) == PART_BYTES:  # of a whole part, some may be left inside
            chunk = self._begun(chunk)
            if self._inflate is None:
                return  # nothing is left, or too little to recognise the format
            try:
                part = self._inflate.decompress(chunk, PART_BYTES)
            except zlib.error:
                raise self._broken() from None
            chunk = self._inflate.unconsumed_tail
            if self._inflate.eof:
                chunk = self._next_member()
            if part:
                yield part

    def finish(self) -> None:
        """The last member must be whole."""
        if self._head or self._members == 0 or self._inflate is not None:
            raise self._broken()

    def _begun(self, chunk: bytes) -> bytes:
        """The bytes to inflate next; before a member, its first two give the format."""
        if self._inflate is not None:
            return chunk
        head = self._head + chunk
        if len(head) < 2:
            self._head = head
            return b""
        self._head = b""
        self._members += 1
        if self._members > (_MAX_MEMBERS if self._name == "gzip" else 1):
            raise self._broken()
        self._inflate = zlib.decompressobj(self._format(head))
        return head

    def _format(self, head: bytes) -> int:
        if self._name == "gzip":
            return _GZIP
        is_zlib = head[0] & 0x0F == zlib.DEFLATED and int.from_bytes(head[:2]) % 31 == 0
        return zlib.MAX_WBITS if is_zlib else _RAW

    def _next_member(self) -> bytes:
        assert self._inflate is not None  # noqa: S101 - it has just inflated
        rest = self._inflate.unused_data
        self._inflate = None
        return rest

    def _broken(self) -> Problem:
        reason = f"is not {self._name}, as Content-Encoding says, or is cut off"
        return Problem(400, "Invalid request", f"body: {reason}", field="body", reason=reason)
