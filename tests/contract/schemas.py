"""JSON Schemas (2020-12) of the data of every event, from the models."""

from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import GenerateJsonSchema

from tests.contract.kinds import EVENTS


class _Plain(GenerateJsonSchema):
    """Without titles that only repeat a field's name."""

    def field_title_should_be_set(self, schema: Any) -> bool:
        return False


def data_schema(model: type[BaseModel]) -> dict[str, Any]:
    """The schema of one model, standing by itself."""
    return {"$schema": _Plain.schema_dialect, **model.model_json_schema(schema_generator=_Plain)}


def data_schemas() -> dict[str, dict[str, Any]]:
    """The schema of every event's data, by CloudEvents type."""
    return {kind.type: data_schema(kind.model) for kind in EVENTS}
