"""Advisories in documents of OSV (https://ossf.github.io/osv-schema), OpenVEX, CycloneDX and CSAF.

Each says of software that it is affected by a weakness, that it is not, or what fixes it. Lenient:
what is odd in one place costs that place.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from services.intake.signals.domain.data import AdvisoryData
from shared.events.malformed import Malformed
from shared.events.text import shorten
from shared.events.times import read_time

_MAX_LISTED = 100

Status = Literal["affected", "investigating", "not affected", "fixed", "withdrawn"]
_OPENVEX: Mapping[str, Status] = {
    "affected": "affected",
    "not_affected": "not affected",
    "fixed": "fixed",
    "under_investigation": "investigating",
}
_CYCLONEDX: Mapping[str, Status] = {
    "exploitable": "affected",
    "in_triage": "investigating",
    "resolved": "fixed",
    "resolved_with_pedigree": "fixed",
    "false_positive": "not affected",
    "not_affected": "not affected",
}
_CSAF: Mapping[str, Status] = {  # what matters most is first
    "known_affected": "affected",
    "under_investigation": "investigating",
    "fixed": "fixed",
    "known_not_affected": "not affected",
}


@dataclass(slots=True)
class Advised:
    """An advisory in a document, its texts as they are there. `revision` tells its versions apart:
    a repeat of one is recognised by it.
    """

    advisory: str
    revision: str
    status: Status
    summary: str
    severity: str = ""
    aliases: Sequence[str] = ()
    packages: Sequence[str] = ()
    fixed_in: Sequence[str] = ()
    description: str = ""
    links: Sequence[str] = ()
    published_at: str = ""

    def data(self, service: str | None) -> AdvisoryData:
        """The advisory within the bounds of a signal, about a service."""
        name = shorten(self.advisory, 255)
        return AdvisoryData(
            advisory=name,
            status=self.status,
            summary=shorten(self.summary.strip() or name, 1024),
            severity=shorten(self.severity, 64) or None,
            service=service,
            aliases=_names(self.aliases),
            packages=_names(self.packages),
            fixed_in=_names(self.fixed_in),
            description=shorten(self.description, 16_384) or None,
            links=[link for link in self.links if 0 < len(link) <= 2048][:20],
            published_at=read_time(self.published_at) if self.published_at else None,
        )


def find_advisories(document: Any, digest: str) -> Iterator[Advised]:
    """The advisories in a document; `digest` identifies one that has no id. Raises Malformed."""
    if isinstance(document, list):
        for place, one in enumerate(document):
            yield from _osv(one, f"[{place}].")
        return
    if not isinstance(document, dict):
        raise Malformed("body", "must be a JSON object, or a list of advisories")
    if "vulns" in document:  # as an answer of OSV's API
        for place, one in enumerate(_list(document["vulns"])):
            yield from _osv(one, f"vulns[{place}].")
        return
    yield from _format(document)(document, digest)


def _format(document: Mapping[str, Any]) -> Callable[[Mapping[str, Any], str], Iterator[Advised]]:
    if document.get("bomFormat") == "CycloneDX":
        return _cyclonedx
    if isinstance(document.get("document"), dict):
        return _csaf
    if "statements" in document:
        return _openvex
    if "id" in document and "modified" in document:
        return lambda osv, _: _osv(osv)
    raise Malformed("body", "is none of OSV, OpenVEX, CycloneDX and CSAF")


def _osv(document: Any, where: str = "") -> Iterator[Advised]:
    osv = _object(document)
    for name in ("id", "modified"):
        if not _text(osv.get(name)):
            raise Malformed(f"{where}{name}", "is required, as a text")
    affected = [_object(one) for one in _list(osv.get("affected"))]
    fixed = [
        _text(_object(event).get("fixed"))
        for one in affected
        for part in _list(one.get("ranges"))
        for event in _list(_object(part).get("events"))
    ]
    packages = [_object(one.get("package")) for one in affected]
    severities = [_text(_object(one).get("score")) for one in _list(osv.get("severity"))]
    details = _text(osv.get("details"))
    yield Advised(
        advisory=_text(osv["id"]),
        revision=_text(osv["modified"]),
        status="withdrawn" if osv.get("withdrawn") else "affected",
        summary=_text(osv.get("summary")) or details.partition("\n")[0],
        severity=next(iter(severities), ""),
        aliases=[_text(one) for one in _list(osv.get("aliases"))],
        packages=[
            _text(one.get("purl")) or "/".join(filter(None, map(_text, map(one.get, _PACKAGE))))
            for one in packages
        ],
        fixed_in=fixed,
        description=details,
        links=[_text(_object(one).get("url")) for one in _list(osv.get("references"))],
        published_at=_text(osv.get("published")),
    )


_PACKAGE = ("ecosystem", "name")


def _openvex(document: Mapping[str, Any], digest: str) -> Iterator[Advised]:
    revision = f"{_text(document.get('@id')) or digest}@{_text(document.get('version'))}"
    for place, each in enumerate(_list(document["statements"])):
        statement = _object(each)
        vulnerability = statement.get("vulnerability")
        named = _object(vulnerability)
        name = _text(named.get("name")) or _text(named.get("@id")) or _text(vulnerability)
        status = _text(statement.get("status"))
        if not name:
            raise Malformed(f"statements[{place}].vulnerability", "has no name")
        if status not in _OPENVEX:
            raise Malformed(f"statements[{place}].status", f"must be one of {', '.join(_OPENVEX)}")
        said = ("impact_statement", "action_statement", "status_notes")
        texts = [text for one in said if (text := _text(statement.get(one)))]
        because = _text(statement.get("justification")).replace("_", " ")
        yield Advised(
            advisory=name,
            revision=f"{revision} {place}",
            status=_OPENVEX[status],
            summary=_text(named.get("description")) or because or next(iter(texts), ""),
            aliases=[_text(one) for one in _list(named.get("aliases"))],
            packages=[_product(one) for one in _list(statement.get("products"))],
            description="\n".join(filter(None, [because, *texts])),
            published_at=_text(statement.get("timestamp")) or _text(document.get("timestamp")),
        )


def _product(value: Any) -> str:
    product = _object(value)
    purl = _text(_object(product.get("identifiers")).get("purl"))
    return purl or _text(product.get("@id")) or _text(value)


def _cyclonedx(document: Mapping[str, Any], digest: str) -> Iterator[Advised]:
    revision = f"{_text(document.get('serialNumber')) or digest}@{_text(document.get('version'))}"
    for place, each in enumerate(_list(document.get("vulnerabilities"))):
        one = _object(each)
        if not _text(one.get("id")):
            raise Malformed(f"vulnerabilities[{place}].id", "is required, as a text")
        analysis = _object(one.get("analysis"))
        ratings = [_object(rating) for rating in _list(one.get("ratings"))]
        severities = [
            text
            for rating in ratings
            for name in ("severity", "vector", "score")
            if (text := _text(rating.get(name)))
        ]
        yield Advised(
            advisory=_text(one["id"]),
            revision=f"{revision} {place}",
            status=_CYCLONEDX.get(_text(analysis.get("state")), "affected"),
            summary=_text(one.get("description")).partition("\n")[0],
            severity=next(iter(severities), ""),
            packages=[_text(_object(ref).get("ref")) for ref in _list(one.get("affects"))],
            description=_text(analysis.get("detail")) or _text(one.get("detail")),
            links=[_text(_object(link).get("url")) for link in _list(one.get("advisories"))],
            published_at=_text(one.get("published")),
        )


def _csaf(document: Mapping[str, Any], _: str) -> Iterator[Advised]:
    about = _object(document["document"])
    tracking, publisher = _object(about.get("tracking")), _object(about.get("publisher"))
    number = _text(tracking.get("id"))
    if not number:
        raise Malformed("document.tracking.id", "is required, as a text")
    revision = f"{_text(publisher.get('namespace'))} {number}@{_text(tracking.get('version'))}"
    title, published = _text(about.get("title")), _text(tracking.get("current_release_date"))
    severity = _text(_object(about.get("aggregate_severity")).get("text"))
    links = [_text(_object(link).get("url")) for link in _list(about.get("references"))]
    common: dict[str, Any] = {"severity": severity, "links": links, "published_at": published}
    given = _list(document.get("vulnerabilities"))
    if not given:
        yield Advised(number, revision, "affected", title, **common)
    for place, each in enumerate(given):
        one = _object(each)
        products = _object(one.get("product_status"))
        status = next((name for name in _CSAF if _list(products.get(name))), "known_affected")
        yield Advised(
            advisory=_text(one.get("cve")) or number,
            revision=f"{revision} {place}",
            status=_CSAF[status],
            summary=_text(one.get("title")) or title,
            aliases=[number],
            packages=[_text(product) for product in _list(products.get(status))],
            fixed_in=[_text(product) for product in _list(products.get("fixed"))],
            **common,
        )


def _names(texts: Sequence[str]) -> list[str]:
    return [shorten(text, 255) for text in dict.fromkeys(texts) if text][:_MAX_LISTED]


def _text(value: Any, length: int = 65_536) -> str:
    """A text or a number as a text without NUL; empty for anything else."""
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        return ""
    return shorten(str(value).replace("\x00", "").strip(), length)


def _object(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []
