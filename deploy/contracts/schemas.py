"""JSON Schemas (2020-12) of the envelopes and of every event's data, generated from the models."""

from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import GenerateJsonSchema

from deploy.contracts.event_types import EVENTS


class _Untitled(GenerateJsonSchema):
    """Omits titles that only repeat a field's name."""

    def field_title_should_be_set(self, schema: Any) -> bool:
        """No field gets a generated title."""
        return False


def data_schema(model: type[BaseModel]) -> dict[str, Any]:
    """A self-contained schema of one model."""
    return {
        "$schema": _Untitled.schema_dialect,
        **model.model_json_schema(schema_generator=_Untitled),
    }


def data_schemas() -> dict[str, dict[str, Any]]:
    """The schema of every event's data, by CloudEvents type."""
    return {kind.name: data_schema(kind.model) for kind in EVENTS}


def schemas() -> dict[str, dict[str, Any]]:
    """Every schema by its name: the data of each type, `envelope.fact` and `envelope.signal`."""
    return data_schemas() | {
        "envelope.fact": _fact_envelope(),
        "envelope.signal": _envelope(*_REQUIRED),
    }


_TEXT = {"type": "string", "minLength": 1, "maxLength": 1024}
_REQUIRED = ("specversion", "id", "source", "type")


def _fact_envelope() -> dict[str, Any]:
    written = _envelope(*_REQUIRED, "subject", "time", "datacontenttype", "sequence", "data")
    written["description"] = (
        "The CloudEvents envelope of events that Tocsin writes, in structured mode."
    )
    written["properties"] |= {
        "subject": {
            "type": "string",
            "format": "uuid",
            "description": "what the event is about; also the record's key",
        },
        "sequence": {
            "type": "string",
            "pattern": "^[0-9]{20}$",
            "description": "increases with every event of this source about this subject; "
            "the highest is the newest",
        },
    }
    return written


def _envelope(*required: str) -> dict[str, Any]:
    return {
        "$schema": _Untitled.schema_dialect,
        "description": "The CloudEvents envelope that Tocsin accepts, in structured mode. "
        "`source` and `id` identify an event: another event with the same two is a repeat.",
        "type": "object",
        "properties": {
            "specversion": {"type": "string", "const": "1.0"},
            "id": _TEXT,
            "source": _TEXT,
            "type": _TEXT,
            "subject": {"type": "string", "maxLength": 1024},
            "time": {"type": "string", "format": "date-time"},
            "datacontenttype": {"type": "string"},
            "traceparent": {
                "type": "string",
                "description": "W3C Trace Context; the incident's trace continues there",
            },
            "tracestate": {"type": "string"},
            "data": {"type": "object"},
        },
        "required": list(required),
    }
