"""Every committed sample can still be read, by Tocsin and by the schema, also with additions of a
newer writer.
"""

from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import orjson
import pytest
from jsonschema import Draft202012Validator, FormatChecker

from deploy.contracts.event_types import COMMANDS, EVENTS, FACTS
from deploy.contracts.files import load, sample_files
from deploy.contracts.schemas import data_schemas
from services.intake.signals.domain import KINDS, read_signal
from shared.events.cloudevents import Malformed, from_record, from_structured
from shared.events.facts import event_message, read_fact
from shared.kafka.record import Record

NOON = datetime(2026, 3, 3, 12, tzinfo=UTC)
UNKNOWN_FIELD = {"from_a_later_version": {"nested": [1, None, "two"]}}

every_sample = pytest.mark.parametrize(
    "path", sample_files(), ids=lambda path: f"{path.parent.name} {path.stem}"
)
every_fact = pytest.mark.parametrize(
    "path", [path for path in sample_files() if path.parent.name in FACTS], ids=str
)


def as_record(document: Mapping[str, Any]) -> Record:
    """The sample as a Kafka record in structured mode."""
    headers = (("content-type", b"application/cloudevents+json"),)
    return Record("tocsin.any.v1", 0, 0, NOON, None, orjson.dumps(document), headers)


def rewrite(document: Mapping[str, Any]) -> Any:
    """The document after reading and writing it; for signals and commands, which others write, only
    their data.
    """
    if document["type"] in FACTS:
        event = read_fact(as_record(document))
        assert event is not None
        return orjson.loads(event_message(event).value or b"")
    envelope = from_record(as_record(document))
    if envelope.type in KINDS:
        return {"data": read_signal(envelope, "sample", NOON).data.model_dump(mode="json")}
    return {"data": COMMANDS[envelope.type].model_validate(envelope.data).model_dump(mode="json")}


def lost(sample: Any, again: Any, path: str = "") -> list[str]:
    """Paths whose value differs in `again`. Additional values are no loss."""
    if isinstance(sample, dict) and isinstance(again, dict):
        return [
            p for key, value in sample.items() for p in lost(value, again.get(key), f"{path}.{key}")
        ]
    return [] if sample == again else [f"{path}: {sample!r} became {again!r}"]


def with_unknown_fields(value: Any) -> Any:
    """The value with an unknown field in every object of fixed shape (labels and annotations are
    free).
    """
    if isinstance(value, dict):
        free = ("labels", "annotations")
        return {
            k: v if k in free else with_unknown_fields(v) for k, v in value.items()
        } | UNKNOWN_FIELD
    return value


def test_every_event_type_has_a_sample() -> None:
    assert {path.parent.name for path in sample_files()} == {kind.name for kind in EVENTS}


@every_sample
def test_its_data_is_valid_by_the_schema(path: Path) -> None:
    sample = load(path)
    assert sample["type"] == path.parent.name
    Draft202012Validator(data_schemas()[sample["type"]], format_checker=FormatChecker()).validate(
        sample["data"]
    )


@every_sample
def test_reading_and_writing_it_again_loses_nothing(path: Path) -> None:
    sample, again = load(path), rewrite(load(path))
    assert lost(sample if sample["type"] in FACTS else {"data": sample["data"]}, again) == []


@every_sample
def test_unknown_fields_change_nothing(path: Path) -> None:
    sample = load(path)
    later = sample | {"later": "extension", "data": with_unknown_fields(sample["data"])}
    assert rewrite(later) == rewrite(sample)


@every_fact
def test_readers_of_facts_ignore_an_unknown_type(path: Path) -> None:
    assert read_fact(as_record(load(path) | {"type": "tocsin.intake.FromALaterVersion"})) is None


def test_an_unknown_signal_is_refused_with_the_known_types() -> None:
    with pytest.raises(Malformed, match="is not known; send one of"):
        read_signal(
            from_structured({"specversion": "1.0", "id": "1", "source": "/x", "type": "y"}),
            "sample",
            NOON,
        )


@every_sample
def test_a_sample_without_a_required_field_is_refused(path: Path) -> None:
    sample = load(path)
    required = data_schemas()[sample["type"]]["required"][0]
    broken = sample | {
        "data": {name: value for name, value in sample["data"].items() if name != required}
    }
    with pytest.raises(ValueError, match=required):
        rewrite(broken)
