"""The topics as an AsyncAPI 3.0 document: messages, configuration, senders and receivers."""

from datetime import timedelta
from inspect import getdoc
from typing import Any

from deploy.contracts.event_types import EVENTS, SERVICES, EventType
from shared.kafka.topics import TOPICS, Topic

_DRAFT = "application/schema+json;version=draft-2020-12"
_ABOUT = """\
Every message is a CloudEvent 1.0 with JSON data. Tocsin writes structured mode; on
`tocsin.signals.v1` and `tocsin.commands.v1` it accepts structured and binary mode. Delivery is at
least once: drop any event whose sequence is not above the highest that you have seen for its
subject and source. Read `tocsin.incidents.v1` with isolation level read_committed. Ignore types,
fields and enumeration values that you do not know. An installation may put a prefix before all
topic names. Operations are described from the point of view of Tocsin: others may send to a topic
that a service receives from, if they are authorised.
"""
_KEYS = {
    "tocsin.signals.v1": "chosen by the publisher; signals with the same key keep their order",
    "tocsin.commands.v1": "the incident's id",
    "tocsin.rejections.v1": "the rejection's id",
    "tocsin.dead-letters.v1": "the dead letter's id",
    "tocsin.operations.v1": "the id of the run",
}
_NOTES = {
    "tocsin.redrive.v1": "Unchanged records of other topics, redriven by operators to the service "
    "that failed on them; the first header names the service and the original position. "
    "Not for use by other systems. "
}
_SUBJECT_KEY = (
    "the subject: id of the incident, request or change; events with the same key keep their order"
)


def asyncapi(version: str) -> dict[str, Any]:
    """The document."""
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
    """`tocsin.intake.v1` -> `intake`."""
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


def _message(kind: EventType) -> dict[str, Any]:
    key = {"type": "string", "description": _KEYS.get(kind.topic, _SUBJECT_KEY)}
    key |= {"format": "uuid"} if kind.written else {}
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
