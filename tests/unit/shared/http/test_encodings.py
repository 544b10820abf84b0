"""Bodies in gzip and deflate: read whole, in any division, and never further than is asked for."""

import gzip
import zlib
from contextlib import suppress
from itertools import islice

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.http.encodings import PART_BYTES, UnknownEncoding, decoder_of
from shared.http.problems import Problem

TEXT = b'{"alerts": []}' * 1_000


def raw_deflate(data: bytes) -> bytes:
    packer = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    return packer.compress(data) + packer.flush()


def decoded(encoding: str, body: bytes, size: int = 1_000) -> bytes:
    decoder = decoder_of(encoding)
    parts = [
        part
        for start in range(0, len(body), size)
        for part in decoder.decode(body[start : start + size])
    ]
    decoder.finish()
    return b"".join(parts)


@pytest.mark.parametrize("size", [1, 2, 3, 7, 100_000])
@pytest.mark.parametrize(
    ("encoding", "body"),
    [
        ("", TEXT),
        ("identity", TEXT),
        ("Identity", TEXT),
        ("gzip", gzip.compress(TEXT)),
        ("GZip", gzip.compress(TEXT)),
        (" x-gzip ", gzip.compress(TEXT)),
        ("identity, gzip", gzip.compress(TEXT)),
        ("gzip", gzip.compress(TEXT[:100]) + gzip.compress(TEXT[100:])),
        ("deflate", zlib.compress(TEXT)),
        ("Deflate", raw_deflate(TEXT)),
    ],
)
def test_a_body_is_read_in_each_encoding_and_any_division(
    encoding: str, body: bytes, size: int
) -> None:
    assert decoded(encoding, body, size) == TEXT


@pytest.mark.parametrize("encoding", ["br", "zstd", "compress", "gzip, gzip", "gzip, deflate", "*"])
def test_another_encoding_is_unknown(encoding: str) -> None:
    with pytest.raises(UnknownEncoding):
        decoder_of(encoding)


@pytest.mark.parametrize("encoding", ["gzip", "deflate"])
@pytest.mark.parametrize(
    "broken",
    [
        lambda whole: b"",
        lambda whole: whole[:1],
        lambda whole: whole[:-1],
        lambda whole: whole[: len(whole) // 2],
        lambda whole: whole + b"more",
        lambda whole: b"\xff" * 100,
        lambda whole: TEXT,
        lambda whole: whole[:-4] + b"\x00\x00\x00\x00",
    ],
)
def test_what_is_broken_is_refused_by_name(encoding: str, broken: object) -> None:
    whole = gzip.compress(TEXT) if encoding == "gzip" else zlib.compress(TEXT)
    assert callable(broken)
    with pytest.raises(Problem) as refused:
        decoded(encoding, broken(whole))
    assert (refused.value.status, refused.value.extra["field"]) == (400, "body")
    assert encoding in refused.value.detail


def test_more_members_than_a_sender_needs_are_refused() -> None:
    with pytest.raises(Problem):
        decoded("gzip", gzip.compress(b"") * 1_000)


def test_a_bomb_is_inflated_no_further_than_is_asked_for() -> None:
    bomb = gzip.compress(b"\x00" * (64 * 1024 * 1024))
    parts = decoder_of("gzip").decode(bomb)
    assert [len(part) for part in islice(parts, 3)] == [PART_BYTES] * 3


@pytest.mark.parametrize("size", [PART_BYTES + n for n in (-1, 0, 1)] + [7 * PART_BYTES + 5])
@pytest.mark.parametrize("encoding", ["gzip", "deflate"])
def test_a_body_of_whole_parts_is_read_to_its_end(encoding: str, size: int) -> None:
    text = b"a" * size
    body = gzip.compress(text) if encoding == "gzip" else zlib.compress(text)
    assert decoded(encoding, body) == text
    assert decoded(encoding, body, len(body)) == text


@given(st.sampled_from(["gzip", "deflate"]), st.binary(max_size=200), st.integers(1, 200))
def test_any_bytes_are_read_or_refused(encoding: str, body: bytes, size: int) -> None:
    with suppress(Problem):
        decoded(encoding, body, size)
