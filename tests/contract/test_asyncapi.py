"""The AsyncAPI document matches the services and the samples."""

import json
import re
from importlib import import_module
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import yaml
from faststream.specification.asyncapi.v3_0_0.schema import ApplicationSchema
from jsonschema import Draft202012Validator, FormatChecker
from referencing import Registry, Resource

from deploy.contracts.asyncapi import channel_name
from deploy.contracts.event_types import EVENTS, SERVICES
from deploy.contracts.files import ROOT, load, sample_files
from shared.kafka.topics import TOPICS

DOCUMENT = yaml.safe_load((ROOT / "asyncapi.yaml").read_text())


def _retrieve(uri: str) -> Resource[Any]:
    return Resource.from_contents(json.loads(Path(urlsplit(uri).path).read_text()))


def payload(type: str) -> Draft202012Validator:
    """A validator of a whole message of this type, with its references resolved."""
    channel = channel_name(next(kind.topic for kind in EVENTS if kind.name == type))
    schema = DOCUMENT["channels"][channel]["messages"][type.rpartition(".")[2]]["payload"]["schema"]
    registry: Registry[Any] = Registry(retrieve=_retrieve)  # type: ignore[call-arg]
    return Draft202012Validator(
        {"$id": (ROOT / "asyncapi.yaml").as_uri(), **schema},
        registry=registry,
        format_checker=FormatChecker(),
    )


def test_another_implementation_of_asyncapi_reads_it() -> None:
    ApplicationSchema.model_validate(DOCUMENT)


def test_it_has_every_topic_and_every_message() -> None:
    assert {channel["address"] for channel in DOCUMENT["channels"].values()} == {
        topic.name for topic in TOPICS
    }
    messages = [
        m["name"] for channel in DOCUMENT["channels"].values() for m in channel["messages"].values()
    ]
    assert sorted(messages) == sorted(kind.name for kind in EVENTS)


@pytest.mark.parametrize("path", sample_files(), ids=lambda path: f"{path.parent.name} {path.stem}")
def test_every_sample_is_valid_by_it(path: Path) -> None:
    payload(path.parent.name).validate(load(path))


@pytest.mark.parametrize(
    "change", [{"data": {}}, {"type": "another"}, {"sequence": 7}, {"specversion": "0.3"}]
)
def test_an_invalid_message_is_refused(change: dict[str, Any]) -> None:
    sample = load(
        next(
            path for path in sample_files() if path.parent.name == "tocsin.incidents.IncidentState"
        )
    )
    assert not payload("tocsin.incidents.IncidentState").is_valid(sample | change)


@pytest.mark.parametrize("service", SERVICES)
def test_the_docstring_of_a_service_names_the_same_topics(service: str) -> None:
    docstring = import_module(f"services.{service}").__doc__ or ""
    inward, outward = docstring.split("Topics in:")[1].split("Topics out:")
    topics = re.compile(r"tocsin\.[a-z-]+\.v\d")
    assert tuple(set(topics.findall(text)) for text in (inward, outward)) == tuple(
        map(set, SERVICES[service])
    )
