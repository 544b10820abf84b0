"""JSON Schemas (2020-12) of the envelopes and of the data of every event, from the models."""

from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import GenerateJsonSchema

from tests.contract.kinds import EVENTS


class _Plain(GenerateJsonSchema):
    """Without titles that only repeat a field's name."""

    def field_title_should_be_set(self, schema: Any) -> bool:
        """Never."""
        return False


def data_schema(model: type[BaseModel]) -> dict[str, Any]:
    """The schema of one model, standing by itself."""
    return {"$schema": _Plain.schema_dialect, **model.model_json_schema(schema_generator=_Plain)}


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
    written["description"] = "The CloudEvents envelope of what Tocsin writes, in structured mode."
    written["properties"] |= {
        "subject": {
            "type": "string",
            "format": "uuid",
            "description": "what it is about; also the record's key",
        },
        "sequence": {
            "type": "string",
            "pattern": "^[0-9]{20}$",
            "description": "rises with every event of this source about this subject; the highest is the newest",
        },
    }
    return written


def _envelope(*required: str) -> dict[str, Any]:
    return {
        "$schema": _Plain.schema_dialect,
        "description": "The CloudEvents envelope that Tocsin takes, in structured mode. "
        "`source` and `id` tell an event from every other: what comes again with both is a repeat.",
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
