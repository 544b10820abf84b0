"""Advisories in the four formats, after the examples of their specifications."""

from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.intake.gateways.advisories import MAX_ADVISORIES, read_advisories
from services.intake.signals.domain import AdvisoryData, Signal
from shared.events.cloudevents import Malformed
from tests.unit.intake.builders import submission

OSV = {
    "schema_version": "1.7.5",
    "id": "GHSA-vxv8-r8q2-63xw",
    "modified": "2026-02-20T10:00:00Z",
    "published": "2026-02-19T09:00:00Z",
    "aliases": ["CVE-2026-20001"],
    "related": None,
    "summary": "a crafted header overflows the parser",
    "details": "Versions before 2.4.1 copy a header without a bound.\n\nUpdate.",
    "severity": [{"type": "CVSS_V3", "score": "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H"}],
    "affected": [
        {
            "package": {"ecosystem": "PyPI", "name": "parser", "purl": "pkg:pypi/parser"},
            "ranges": [
                {"type": "ECOSYSTEM", "events": [{"introduced": "0"}, {"fixed": "2.4.1"}]},
                {"type": "GIT", "repo": "https://git.example", "events": [{"introduced": "0"}]},
            ],
            "versions": None,
        },
        {"package": {"ecosystem": "Debian:12", "name": "python3-parser"}, "versions": ["2.0-1"]},
    ],
    "references": [{"type": "ADVISORY", "url": "https://security.example/1"}],
}
OPENVEX = {
    "@context": "https://openvex.dev/ns/v0.2.0",
    "@id": "https://openvex.dev/docs/example/vex-9fb3463de1b57",
    "author": "Wolfi J Inkinson",
    "timestamp": "2026-01-08T18:02:03.647787998-06:00",
    "version": 1,
    "statements": [
        {
            "vulnerability": {"name": "CVE-2026-12345", "aliases": ["GHSA-1"]},
            "products": [
                {"@id": "pkg:apk/wolfi/git@2.39.0-r1?arch=armv7"},
                {"@id": "x", "identifiers": {"purl": "pkg:apk/wolfi/git@2.39.0-r1?arch=x86_64"}},
            ],
            "status": "not_affected",
            "justification": "vulnerable_code_not_in_execute_path",
            "impact_statement": "the function is never called",
        },
        {"vulnerability": "CVE-2026-2", "products": ["pkg:a/b"], "status": "under_investigation"},
        {"vulnerability": {"name": "CVE-2026-3"}, "status": "fixed", "products": []},
    ],
}
CYCLONEDX = {
    "bomFormat": "CycloneDX",
    "specVersion": "1.5",
    "serialNumber": "urn:uuid:3e671687-395b-41f5-a30f-a58921a69b79",
    "version": 1,
    "vulnerabilities": [
        {
            "id": "CVE-2026-25649",
            "source": {"name": "NVD", "url": "https://nvd.example/CVE-2026-25649"},
            "ratings": [{"score": 7.5, "severity": "high", "method": "CVSSv31"}],
            "description": "FasterXML Jackson Databind allows XXE",
            "published": "2026-01-03T00:00:00Z",
            "advisories": [{"url": "https://security.example/2"}],
            "affects": [{"ref": "urn:cdx:3e671687/1#pkg:maven/jackson-databind@2.10.0"}],
            "analysis": {
                "state": "not_affected",
                "justification": "code_not_reachable",
                "response": ["will_not_fix", "update"],
                "detail": "automated dataflow analysis found no way to the code",
            },
        },
        {"id": "CVE-2026-2", "analysis": {"state": "exploitable"}},
        {"id": "CVE-2026-3", "analysis": {"state": "resolved_with_pedigree"}},
        {"id": "CVE-2026-4", "analysis": {"state": "in_triage"}},
        {"id": "CVE-2026-5"},
    ],
}
CSAF = {
    "document": {
        "category": "csaf_vex",
        "title": "Example VEX document",
        "csaf_version": "2.0",
        "aggregate_severity": {"text": "Important"},
        "publisher": {"category": "vendor", "name": "V", "namespace": "https://vendor.example"},
        "references": [{"url": "https://vendor.example/advisory", "summary": "this"}],
        "tracking": {
            "id": "2026-EVD-UC-01-A-001",
            "version": "2",
            "status": "final",
            "current_release_date": "2026-03-01T11:00:00.000Z",
        },
    },
    "vulnerabilities": [
        {
            "cve": "CVE-2026-44228",
            "product_status": {
                "known_not_affected": ["CSAFPID-0001"],
                "fixed": ["CSAFPID-0002"],
                "known_affected": ["CSAFPID-0003"],
            },
        },
        {"title": "no number", "product_status": {"fixed": ["CSAFPID-0004"]}},
    ],
}


def read(body: Any, query: str = "") -> list[Signal]:
    data = body if isinstance(body, bytes) else orjson.dumps(body)
    return read_advisories(submission(data, query=query))


def advisories(body: Any, query: str = "") -> list[AdvisoryData]:
    return [one.data for one in read(body, query) if isinstance(one.data, AdvisoryData)]


def test_osv() -> None:
    (found,) = advisories(OSV, "service=checkout")
    assert (found.advisory, found.status) == ("GHSA-vxv8-r8q2-63xw", "affected")
    assert (found.service, found.aliases) == ("checkout", ["CVE-2026-20001"])
    assert found.packages == ["pkg:pypi/parser", "Debian:12/python3-parser"]
    assert (found.fixed_in, found.links) == (["2.4.1"], ["https://security.example/1"])
    assert found.severity is not None
    assert found.severity.startswith("CVSS:3.1/AV:N")
    assert found.summary == "a crafted header overflows the parser"
    assert str(found.published_at) == "2026-02-19 09:00:00+00:00"


def test_osv_that_was_withdrawn_and_osv_without_a_summary() -> None:
    withdrawn = {"id": "X-1", "modified": "2026-01-01T00:00:00Z", "withdrawn": "2026-01-02"}
    bare = {"id": "X-2", "modified": "2026-01-01T00:00:00Z", "details": "first\nsecond"}
    found = advisories({"vulns": [withdrawn, bare]})
    assert [(one.status, one.summary) for one in found] == [
        ("withdrawn", "X-1"),
        ("affected", "first"),
    ]


def test_openvex() -> None:
    found = advisories(OPENVEX)
    assert [(one.advisory, one.status) for one in found] == [
        ("CVE-2026-12345", "not affected"),
        ("CVE-2026-2", "investigating"),
        ("CVE-2026-3", "fixed"),
    ]
    assert found[0].summary == "vulnerable code not in execute path"
    assert found[0].packages == [
        "pkg:apk/wolfi/git@2.39.0-r1?arch=armv7",
        "pkg:apk/wolfi/git@2.39.0-r1?arch=x86_64",
    ]
    assert found[1].packages == ["pkg:a/b"]


def test_cyclonedx() -> None:
    found = advisories(CYCLONEDX)
    assert [one.status for one in found] == [
        *("not affected", "affected", "fixed", "investigating", "affected")
    ]
    assert (found[0].severity, found[0].summary) == (
        "high",
        "FasterXML Jackson Databind allows XXE",
    )
    assert found[0].links == ["https://security.example/2"]


def test_csaf() -> None:
    first, second = advisories(CSAF)
    assert (first.advisory, first.status, first.severity) == (
        *("CVE-2026-44228", "affected"),
        "Important",
    )
    assert (first.packages, first.fixed_in) == (["CSAFPID-0003"], ["CSAFPID-0002"])
    assert first.summary == "Example VEX document"
    assert (second.advisory, second.status, second.summary) == (
        *("2026-EVD-UC-01-A-001", "fixed"),
        "no number",
    )
    (whole,) = advisories({"document": CSAF["document"]})
    assert (whole.advisory, whole.status) == ("2026-EVD-UC-01-A-001", "affected")


@pytest.mark.parametrize("document", [OSV, OPENVEX, CYCLONEDX, CSAF])
def test_a_repeat_is_known_and_a_revision_is_new(document: dict[str, Any]) -> None:
    first = [signal.identity for signal in read(document)]
    assert [signal.identity for signal in read(document)] == first
    assert len(set(first)) == len(first)
    later = orjson.loads(orjson.dumps(document))
    if "document" in later:
        later["document"]["tracking"]["version"] = "3"
    later |= {"modified": "2026-02-21T10:00:00Z", "version": 2}
    assert not set(first) & {signal.identity for signal in read(later)}
    other = {signal.identity for signal in read(document, "service=other")}
    assert not set(first) & other, "of another service it is another record"


def test_too_much_is_shortened() -> None:
    huge = OSV | {
        "summary": "s" * 5000,
        "aliases": [f"A-{n}" for n in range(1000)],
        "references": [{"url": "https://x.example/" + "p" * n} for n in range(3000)],
    }
    (found,) = advisories(huge)
    assert (len(found.summary), len(found.aliases), len(found.links)) == (1024, 100, 20)
    many = [{"id": f"X-{n}", "modified": "1"} for n in range(MAX_ADVISORIES + 5)]
    assert len(read(many)) == MAX_ADVISORIES


@pytest.mark.parametrize(
    "odd",
    [
        {"affected": None, "severity": None, "references": None, "aliases": None},
        {"affected": {}, "severity": "high", "references": "none", "aliases": "CVE-1"},
        {"affected": [None, 1, {"package": None, "ranges": None}], "severity": [None, {}]},
        {"affected": [{"ranges": [{"events": None}, {"events": [1, {"fixed": None}]}]}]},
        {"published": "yesterday", "summary": 7, "details": ["x"]},
        {"published": "0001-01-01T00:00:00Z", "summary": "\x00", "details": "\x00"},
    ],
)
def test_odd_fields_cost_themselves(odd: dict[str, Any]) -> None:
    (found,) = advisories(OSV | odd)
    assert found.advisory == OSV["id"]


@pytest.mark.parametrize(
    "body",
    [
        [],
        {"vulns": []},
        {"bomFormat": "CycloneDX", "components": []},
        OPENVEX | {"statements": None},
    ],
)
def test_a_scan_that_found_nothing_is_no_error(body: Any) -> None:
    assert read(body) == []


@pytest.mark.parametrize(
    ("body", "field"),
    [
        (b"", "body"),
        (b"{", "body"),
        (b"\xff", "body"),
        (b"null", "body"),
        (b"1", "body"),
        (b'"x"', "body"),
        (b"[1,", "body"),
        (b"true", "body"),
        ({}, "body"),
        ({"modified": "2026-01-01T00:00:00Z"}, "body"),
        ({"document": []}, "body"),
        ([[]], "[0].id"),
        ({"id": "X"}, "body"),
        ({"vulns": [7]}, "vulns[0].id"),
        ([None], "[0].id"),
        ([OSV, {"id": "X"}], "[1].modified"),
        (OSV | {"id": ""}, "id"),
        (OSV | {"id": {}}, "id"),
        (OSV | {"modified": None}, "modified"),
        (OPENVEX | {"statements": [{}]}, "statements[0].vulnerability"),
        (OPENVEX | {"statements": [{"vulnerability": "X"}]}, "statements[0].status"),
        (CYCLONEDX | {"vulnerabilities": [{}]}, "vulnerabilities[0].id"),
        (CYCLONEDX | {"vulnerabilities": ["x"]}, "vulnerabilities[0].id"),
        ({"document": {}}, "document.tracking.id"),
        ({"document": {"tracking": {"id": ""}}}, "document.tracking.id"),
        (b"{" * 100, "body"),
    ],
)
def test_what_cannot_be_taken_is_refused_by_its_field(body: Any, field: str) -> None:
    with pytest.raises(Malformed) as refused:
        read(body)
    assert refused.value.field == field


NAMES = sorted({name for one in (OSV, OPENVEX, CYCLONEDX, CSAF) for name in one} | {"tracking"})
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(NAMES), inner, max_size=4)
    ),
    max_leaves=12,
)


@settings(max_examples=150, deadline=None)
@given(st.sampled_from([OSV, OPENVEX, CYCLONEDX, CSAF]), st.sampled_from(NAMES), VALUES)
def test_whatever_is_sent_is_taken_or_refused(
    document: dict[str, Any], place: str, value: Any
) -> None:
    for body in (document | {place: value}, value):
        try:
            for signal in read(orjson.dumps(body)):
                assert len(signal.signal_id) < 1024
        except Malformed:
            continue
