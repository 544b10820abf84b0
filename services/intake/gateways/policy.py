"""Which senders' bodies are understood, and how: `mappings/*.yaml`. And by which secrets they sign:
`signatures.yaml`. Both may be missing. A mapping of the policy folder replaces the one of that name
that comes with Tocsin.
"""

import hashlib
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from functools import cache
from pathlib import Path
from typing import Annotated, Any, Literal

import orjson
from pydantic import BeforeValidator, Field, StringConstraints

from services.intake.gateways.domain.expression import Written
from services.intake.gateways.domain.signature import Header, Signature
from shared.events.text import shorten
from shared.policy.files import (
    Duration,
    Finding,
    InvalidPolicy,
    PolicyError,
    PolicyFile,
    PolicyModel,
    check_file,
    read_policy,
)
from shared.policy.secrets import WrittenRule, must_be_reference

FOLDER = "mappings"
SIGNATURES = "signatures.yaml"
_SHIPPED = Path(__file__).parent / FOLDER
_NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,62}")
_MAX_FILES = 500
_MAX_BYTES = 4 * 1024 * 1024


def _flag(value: Any) -> Any:
    """true or false alone: pydantic takes `on` and `y` too."""
    if value not in ("true", "false", True, False):
        raise ValueError("write true or false")
    return value


Flag = Annotated[bool, BeforeValidator(_flag)]
Values = Annotated[tuple[str, ...], Field(max_length=100)]
LabelName = Annotated[str, StringConstraints(min_length=1, max_length=255)]


class Status(PolicyModel):
    """The values, in any case, that mean that an alert is over, that somebody has it, or that there
    is nothing to do. All others fire.
    """

    of: Written = Field(alias="from")
    resolved: Values = ()
    acknowledged: Values = ()
    skipped: Values = ()


class SeverityOf(PolicyModel):
    """A sender's severities, in any case, in Tocsin's words. What is not in the map stays."""

    of: Written = Field(alias="from")
    map: dict[str, str] = {}


class ChangeOf(PolicyModel):
    """Which version was deployed, and the values that mean that it was taken back."""

    of: Written | None = Field(default=None, alias="from")
    rollback: Values = ()
    version: Written | None = None


class Rule(PolicyModel):
    """Where the parts of a signal stand. Expressions find them in an object with `body`, `headers`
    (by name in lower case, `_` for `-`), `query` and, with `each`, `item`.
    """

    when: Written | None = None
    kind: Literal["alert", "change"] = "alert"
    each: Written | None = None
    id: Written | None = None
    key: Written | None = None
    status: Status | None = None
    severity: SeverityOf | None = None
    summary: Written
    description: Written | None = None
    service: Written | None = None
    links: Written | None = None
    labels: dict[LabelName, Written] = {}
    tags: Written | None = None
    time: Written | None = None
    by: Written | None = None
    change: ChangeOf | None = None


class Authentication(PolicyModel):
    """The header that a sender puts the integration key into, if it cannot send Authorization."""

    header: Header


class Reply(PolicyModel):
    """What a sender wants to hear when its signals are committed."""

    status: int = Field(default=200, ge=200, le=299)
    body: str | None = None


class SenderMapping(PolicyModel):
    """How the bodies of one sender are read. Every rule whose `when` is true makes
    a signal."""

    about: Annotated[str, StringConstraints(min_length=1, max_length=500)]
    sends_resolved: Flag
    expire_after: Duration | None = Field(
        default=None, ge=timedelta(minutes=1), le=timedelta(days=90)
    )
    format: Literal["json", "form"] = "json"
    authentication: Authentication | None = None
    signature: Signature | None = None
    unmatched: Literal["skip", "refuse"] = "refuse"
    answer: Reply = Reply()
    signals: Annotated[tuple[Rule, ...], Field(min_length=1, max_length=50)]


class Signer(PolicyModel):
    """The secret of an integration that signs, and another during a rotation. The headers replace
    those of its gateway or mapping. `topics` are the only SNS topics that it may come from.
    """

    secret: str | None = Field(default=None, repr=False)
    previous: str | None = Field(default=None, repr=False)
    header: Header | None = None
    timestamp_header: Header | None = None
    topics: Annotated[tuple[str, ...], Field(max_length=50)] = ()

    @property
    def secrets(self) -> tuple[str, ...]:
        """All that are good."""
        return tuple(secret for secret in (self.secret, self.previous) if secret)


class Signers(PolicyModel):
    """signatures.yaml: by the name of the integration."""

    integrations: dict[str, Signer] = {}


class MappingFiles(PolicyModel):
    """The mappings of the policy folder by name."""

    mappings: dict[str, SenderMapping] = {}


@dataclass(frozen=True, slots=True)
class GatewayPolicy:
    """What gateways go by: mappings by name, and signers by integration."""

    mappings: dict[str, SenderMapping] = field(default_factory=dict)
    signers: dict[str, Signer] = field(default_factory=dict)


@cache
def shipped() -> GatewayPolicy:
    """The mappings that come with Tocsin."""
    files = {path.stem: path for path in sorted(_SHIPPED.glob("*.yaml"))}
    return GatewayPolicy(
        {name: read_mapping(name, path.read_bytes()) for name, path in files.items()}
    )


def in_force(files: MappingFiles, signers: Signers) -> GatewayPolicy:
    """The policy folder's files and what comes with Tocsin."""
    return GatewayPolicy(shipped().mappings | files.mappings, signers.integrations)


def shipped_text(name: str) -> str:
    """A mapping that comes with Tocsin, as it is written."""
    return (_SHIPPED / f"{name}.yaml").read_text()


def read_mapping(name: str, data: bytes) -> SenderMapping:
    """Raises InvalidPolicy with all errors."""
    return read_policy(f"{FOLDER}/{name}.yaml", data, SenderMapping, _findings).content


def _findings(mapping: SenderMapping) -> Iterator[Finding]:
    resolving = any(rule.status and rule.status.resolved for rule in mapping.signals)
    alerts = any(rule.kind == "alert" for rule in mapping.signals)
    if alerts and mapping.sends_resolved and not resolving:
        yield Finding(
            ("sends_resolved",),
            "no signal says which status means that it is over",
            "add `status.resolved`, or write `sends_resolved: false`",
        )
    if alerts and not mapping.sends_resolved and mapping.expire_after is None:
        yield Finding(
            ("sends_resolved",),
            "nothing ends these alerts",
            "add how long one fires that is not sent again: `expire_after: 1d`",
        )
    for place, rule in enumerate(mapping.signals):
        if rule.kind == "alert" and rule.key is None:
            yield Finding(
                ("signals", place),
                "the key `key` is missing",
                "add what identifies the alert, the same when it begins and when it ends",
            )


def read_signatures(data: bytes) -> PolicyFile[Signers]:
    """signatures.yaml, checked. Raises InvalidPolicy with all errors."""
    return read_policy(SIGNATURES, data, Signers, _secrets)


def _secrets(signers: Signers) -> Iterator[Finding | WrittenRule]:
    for name, signer in signers.integrations.items():
        for secret in ("secret", "previous"):
            yield must_be_reference(("integrations", name, secret))
        if signer.previous and not signer.secret:
            yield Finding(("integrations", name), "`previous` is there without `secret`")


def bundle(folder: Path) -> bytes:
    """The mapping files of a policy folder as one text: they are in force together. Raises OSError
    and InvalidPolicy.
    """
    texts: dict[str, str] = {}
    left = _MAX_BYTES
    for path in sorted(folder.glob("*.yaml")):
        data = path.read_bytes()
        left -= len(data)
        if len(texts) >= _MAX_FILES or left < 0:
            most = f"at most {_MAX_FILES} files with {_MAX_BYTES} bytes are read"
            raise InvalidPolicy([PolicyError(FOLDER, 0, "the folder is too large", most)])
        try:
            texts[path.name] = data.decode()
        except UnicodeDecodeError:
            where = f"{FOLDER}/{path.name}"
            raise InvalidPolicy([PolicyError(where, 0, "the file is not UTF-8")]) from None
    return orjson.dumps(texts) if texts else b""


def read_bundle(data: bytes) -> PolicyFile[MappingFiles]:
    """The files of `bundle`, checked. Raises InvalidPolicy with the errors of all."""
    texts: dict[str, str] = orjson.loads(data) if data else {}
    found: dict[str, SenderMapping] = {}
    errors: list[PolicyError] = []
    for file, text in texts.items():
        name = file.removesuffix(".yaml")
        if not _NAME.fullmatch(name):
            where = f"{FOLDER}/{shorten(file, 80)}"
            fix = "use small letters, digits and dashes: it is a part of the URL"
            errors.append(PolicyError(where, 0, "the name cannot be used", fix))
            continue
        try:
            found[name] = read_mapping(name, text.encode())
        except InvalidPolicy as invalid:
            errors += invalid.errors
    if errors:
        raise InvalidPolicy(errors)
    version = hashlib.sha256(data).hexdigest()[:12]
    return PolicyFile(FOLDER, version, data.decode(), MappingFiles(mappings=found))


def check(directory: Path) -> list[PolicyError]:
    """All errors of the mappings and of signatures.yaml in a policy folder."""
    return [*_folder_errors(directory / FOLDER), *_signature_errors(directory / SIGNATURES)]


def _folder_errors(folder: Path) -> Iterable[PolicyError]:
    try:
        read_bundle(bundle(folder))
    except OSError as error:
        return [PolicyError(FOLDER, 0, f"a file cannot be read: {error.strerror}")]
    except InvalidPolicy as invalid:
        return invalid.errors
    return []


def _signature_errors(file: Path) -> Iterable[PolicyError]:
    return check_file(file, read_signatures) if file.exists() else []
