"""The data of the CloudEvents that publishers send, validated and bounded."""

from datetime import MAXYEAR, MINYEAR, UTC, datetime
from typing import Annotated, Any, Literal, TypeAlias

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StringConstraints,
    ValidationError,
    ValidatorFunctionWrapHandler,
    WrapValidator,
    field_validator,
)

from shared.events.intake import Severity


def without_nul(text: str) -> str:
    """The text. Raises ValueError for a NUL, which Postgres cannot keep."""
    if "\x00" in text:
        raise ValueError("contains a NUL character")
    return text


def _not_blank(text: str) -> str:
    if not text.strip():
        raise ValueError("holds nothing but white space")
    return text


def known_time(moment: datetime | None) -> datetime | None:
    """In UTC. None in year 1 and 9999, which senders write for "unset" and "never"."""
    if moment is None or moment.year in (MINYEAR, MAXYEAR):
        return None
    return moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)


def _lenient_time(value: Any, read: ValidatorFunctionWrapHandler) -> datetime | None:
    """A time that cannot be read costs itself, never the signal."""
    try:
        return known_time(read(value))
    except (ValidationError, OverflowError):
        return None


def _severity_text(value: Any) -> Any:
    return value if value is None or isinstance(value, str) else str(value)


Name = Annotated[str, StringConstraints(min_length=1, max_length=255), AfterValidator(without_nul)]
SeverityText = Annotated[str, StringConstraints(max_length=64), AfterValidator(without_nul)]
Text = Annotated[
    str,
    StringConstraints(min_length=1, max_length=1024),
    AfterValidator(without_nul),
    AfterValidator(_not_blank),
]
LongText = Annotated[str, StringConstraints(max_length=16_384), AfterValidator(without_nul)]
Labels = Annotated[
    dict[Name, Annotated[str, StringConstraints(max_length=4096), AfterValidator(without_nul)]],
    Field(max_length=128),
]
Links = Annotated[
    list[Annotated[str, StringConstraints(max_length=2048), AfterValidator(without_nul)]],
    Field(max_length=20),
]
Names = Annotated[list[Name], Field(max_length=100)]
Moment = Annotated[datetime | None, WrapValidator(_lenient_time)]
# Made by factories and named in the schema by hand: pydantic copies a mutable default deeply for
# every signal.
_EMPTY_OBJECT: dict[str, Any] = {"default": {}}
_EMPTY_ARRAY: dict[str, Any] = {"default": []}


class SignalData(BaseModel):
    """Fields that every kind of signal has."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    summary: Text = Field(description="what is wrong or wanted, in one line")
    service: Name | None = Field(default=None, description="name in the service catalogue")
    labels: Labels = Field(default_factory=dict, json_schema_extra=_EMPTY_OBJECT)


class AlertData(SignalData):
    """`tocsin.signals.Alert`: something is wrong (`firing`), somebody at the sender has it
    (`acknowledged`), or it is right again (`resolved`).
    """

    status: Literal["firing", "acknowledged", "resolved"] = "firing"
    by: Name | None = Field(
        default=None, description="who acknowledged or resolved it at the sender"
    )
    severity: Annotated[SeverityText | None, BeforeValidator(_severity_text)] = Field(
        default=None,
        description="critical, error, warning or info; anything else takes the policy's default",
    )
    key: Name | None = Field(
        default=None,
        description="what this is about: signals with one key join one incident, and one that is "
        "`resolved` ends it, whatever their texts; default: service and labels. Alerts of a "
        "source that give none of the three are about one thing",
    )
    alert: Name | None = Field(default=None, description="one of several alerts under the same key")
    component: Name | None = Field(default=None, description="the part of the service")
    environment: Name | None = Field(default=None, description="production, staging...")
    category: Name | None = Field(default=None, description="what kind of fault it is")
    description: LongText | None = None
    annotations: Labels = Field(default_factory=dict, json_schema_extra=_EMPTY_OBJECT)
    links: Links = Field(default_factory=list, json_schema_extra=_EMPTY_ARRAY)
    starts_at: Moment = None
    ends_at: Moment = Field(default=None, description="firing until then unless sent again")


class RequestData(SignalData):
    """`tocsin.signals.ServiceRequest`: something routine is wanted."""

    requester: Name | None = None
    description: LongText | None = None


class ChangeData(SignalData):
    """`tocsin.signals.Change`: something was changed."""

    kind: Literal["deployment", "rollback", "configuration", "patch"] = "deployment"
    version: Name | None = None
    links: Links = Field(default_factory=list, json_schema_extra=_EMPTY_ARRAY)


class AdvisoryData(SignalData):
    """`tocsin.signals.Advisory`: software has a weakness, or a patch for one is there."""

    advisory: Name = Field(description="its id: a CVE, GHSA or vendor's number")
    status: Literal["affected", "investigating", "not affected", "fixed", "withdrawn"] = "affected"
    severity: Annotated[SeverityText | None, BeforeValidator(_severity_text)] = Field(
        default=None, description="a word, a score or a CVSS vector, as its publisher has it"
    )
    aliases: Names = Field(default_factory=list, json_schema_extra=_EMPTY_ARRAY)
    packages: Names = Field(
        default_factory=list,
        json_schema_extra=_EMPTY_ARRAY,
        description="what it is about, as package URLs where there are any",
    )
    fixed_in: Names = Field(
        default_factory=list,
        json_schema_extra=_EMPTY_ARRAY,
        description="versions that are not affected any more",
    )
    description: LongText | None = None
    links: Links = Field(default_factory=list, json_schema_extra=_EMPTY_ARRAY)
    published_at: Moment = None


class HeartbeatData(BaseModel):
    """`tocsin.signals.Heartbeat`: the sender is alive. With `every_seconds`, a heartbeat of that
    name is made, or changed, if no policy file has it.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    name: Annotated[str, StringConstraints(min_length=1, max_length=200, strip_whitespace=True)] = (
        Field(description="which heartbeat this is a beat of")
    )
    every_seconds: int | None = Field(
        default=None, ge=1, le=400 * 86_400, description="the longest time between two beats"
    )
    grace_seconds: int = Field(
        default=60, ge=0, le=31 * 86_400, description="how late a beat may be"
    )
    summary: Text = Field(default="", description="of the incident when one is missed")
    severity: Severity | None = None
    service: Name | None = Field(default=None, description="name in the service catalogue")
    labels: Labels = Field(default_factory=dict, json_schema_extra=_EMPTY_OBJECT)

    @field_validator("name")
    @classmethod
    def _name(cls, name: str) -> str:
        return without_nul(name)


SignalContent: TypeAlias = AlertData | RequestData | ChangeData | AdvisoryData | HeartbeatData
"""What a signal may hold."""

KINDS: dict[str, type[SignalContent]] = {
    "tocsin.signals.Alert": AlertData,
    "tocsin.signals.ServiceRequest": RequestData,
    "tocsin.signals.Change": ChangeData,
    "tocsin.signals.Advisory": AdvisoryData,
    "tocsin.signals.Heartbeat": HeartbeatData,
}
"""The data of each CloudEvents type that is a signal."""
