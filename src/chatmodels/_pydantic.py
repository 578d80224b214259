"""Messages and models as fields of pydantic models. Imported by pydantic's own machinery only, never by us."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ._inputs import from_dict, is_message
from ._json import is_object


def message_schema(cls: type[Any]) -> Any:
    """The core schema of a message class: instances and our JSON form go in, the JSON form comes out."""
    from pydantic_core import core_schema  # the caller is pydantic: it is there

    validate = _validator(cls)
    return core_schema.no_info_plain_validator_function(
        validate,
        serialization=core_schema.plain_serializer_function_ser_schema(lambda message: message.to_dict()),
    )


def model_schema(cls: type[Any]) -> Any:
    """The core schema of a class of models: instances go in; data cannot make one, for that would read keys. In JSON it is its
    name, `provider:model`."""
    from pydantic_core import core_schema

    def name(model: Any) -> str:
        return f"{model.provider}:{model.model}"

    return core_schema.is_instance_schema(
        cls, serialization=core_schema.plain_serializer_function_ser_schema(name, when_used="json")
    )


def message_json_schema(cls: type[Any]) -> dict[str, Any]:
    """The JSON Schema of a message's JSON form, its parts left open."""
    parts = {"type": "array", "items": {"type": "object", "required": ["type"]}}
    return {
        "title": cls.__name__,
        "type": "object",
        "properties": {
            "type": {"const": cls.__struct_config__.tag, "type": "string"},
            "content": {"anyOf": [{"type": "string"}, parts]},
        },
        "required": ["type"],
    }


def _validator(cls: type[Any]) -> Callable[[Any], Any]:
    def validate(value: Any) -> Any:
        message = from_dict(value) if is_object(value) else value
        if not is_message(message) or not isinstance(message, cls):
            raise ValueError(f"not of class {cls.__name__}: give one, or its dict form")
        return message

    return validate
