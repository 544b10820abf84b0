"""The topics as an AsyncAPI 3.0 document: shape, messages, and which service sends and receives."""

from datetime import timedelta
from inspect import getdoc
from typing import Any

from shared.kafka.topics import TOPICS, Topic
from tests.contract.kinds import EVENTS, SERVICES, Kind

_DRAFT = "application/schema+json;version=draft-2020-12"
_ABOUT = """\
Every message is a CloudEvent 1.0 with JSON data. Tocsin writes structured mode; on `tocsin.signals.v1` and
`tocsin.commands.v1` it takes structured and binary mode. Read with isolation level read_committed. Ignore types, fields
and enumeration values that you do not know. An installation may put a prefix before all topic names.
Operations are seen from Tocsin: what a service receives others may send, if they are allowed to.
"""
_KEYS = {
    "tocsin.signals.v1": "chosen by the publisher; signals with one key keep their order",
    "tocsin.commands.v1": "the incident's id",
    "tocsin.rejections.v1": "the rejection's id",
    "tocsin.dead-letters.v1": "the dead letter's id",
}
_NOTES = {
    "tocsin.redrive.v1": "Records of other topics as they were, given back by operators to the service that failed on "
    "them; the first header says which, and where they stood. It is no way in for other systems. ",
}
_SUBJECT_KEY = (
    "the subject: the id of the incident, request or change, whose events keep their order"
)


def asyncapi(version: str) -> dict[str, Any]:
    """The whole document."""
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "Tocsin",
            "version": version,
            "description": _ABOUT,
            "license": {"name": "Apache-2.0"},
        },
        "defaultContentType": "application/cloudevents+json",
        "channels": {channel_name(topic.name): _channel(topic) for topic in TOPICS},
        "operations": dict(
            _operation(service, action, topic)
            for service, (received, sent) in SERVICES.items()
            for action, topics in (("receive", received), ("send", sent))
            for topic in topics
        ),
    }


def channel_name(topic: str) -> str:
    """`intake` of `tocsin.intake.v1`."""
    return topic.split(".")[1]


def _channel(topic: Topic) -> dict[str, Any]:
    kinds = [kind for kind in EVENTS if kind.topic == topic.name]
    kept = (
        f"{topic.retention // timedelta(days=1)} days"
        if topic.retention
        else "the newest message of each key"
    )
    configuration: dict[str, Any] = {"cleanup.policy": [topic.configuration["cleanup.policy"]]}
    if "retention.ms" in topic.configuration:
        configuration["retention.ms"] = int(topic.configuration["retention.ms"])
    return {
        "address": topic.name,
        "description": f"{_NOTES.get(topic.name, '')}Keeps {kept}.",
        "messages": {kind.name.rpartition(".")[2]: _message(kind) for kind in kinds},
        "bindings": {
            "kafka": {
                "partitions": topic.partitions,
                "topicConfiguration": configuration,
                "bindingVersion": "0.5.0",
            }
        },
    }


def _message(kind: Kind) -> dict[str, Any]:
    key = {"type": "string", "description": _KEYS.get(kind.topic, _SUBJECT_KEY)}
    if kind.written:
        key["format"] = "uuid"
    envelope = "envelope.fact" if kind.written else "envelope.signal"
    return {
        "name": kind.name,
        "summary": (getdoc(kind.model) or "").partition("\n\n")[0].replace("\n", " "),
        "bindings": {"kafka": {"key": key, "bindingVersion": "0.5.0"}},
        "payload": {
            "schemaFormat": _DRAFT,
            "schema": {
                "allOf": [{"$ref": f"./schemas/{envelope}.json"}],
                "properties": {
                    "type": {"const": kind.name},
                    "data": {"$ref": f"./schemas/{kind.name}.json"},
                },
            },
        },
    }


def _operation(service: str, action: str, topic: str) -> tuple[str, dict[str, Any]]:
    operation: dict[str, Any] = {
        "action": action,
        "channel": {"$ref": f"#/channels/{channel_name(topic)}"},
        "tags": [{"name": service}],
    }
    if action == "receive":
        group = {
            "type": "string",
            "const": service,
            "description": "after the installation's prefix",
        }
        operation["bindings"] = {"kafka": {"groupId": group, "bindingVersion": "0.5.0"}}
    return f"{service}-{action}-{channel_name(topic)}", operation
