"""A recorded Converse request -> the `Call` that it means, for gateways and migration. Pure.

What has no neutral place goes into `settings.extra_body` or the `provider_data` of a part, so that encoding
the call again means the same.
"""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import unquote

from .._call import Call, Settings
from .._errors import UsageError
from .._inputs import plain
from .._json import loads
from .._messages import AIMessage, ChatMessage, HumanMessage, Message, SystemMessage, ToolMessage
from .._parts import Opaque, Part, Reasoning, ToolResult
from .._schema_walk import is_array, is_object
from .._tools import Tool, as_tool
from ._bedrock_blocks import read_block, with_cache
from ._bedrock_models import output_form
from ._bedrock_request import Profile
from ._kept import beside, items, mapping, settings_of, text

_MODEL_IN_PATH = re.compile(r"/model/([^/]+)/converse(-stream)?")


def parse_request(body: dict[str, Any], path: str, provider: str, profile: Profile) -> Call:
    """The call; a UsageError names what is not a Converse request."""
    messages = body.get("messages")
    if not is_array(messages):
        raise UsageError("a Converse request has a list 'messages'", argument="body")
    in_path = _MODEL_IN_PATH.search(path)
    model = unquote(in_path[1]) if in_path else text(body.get("modelId"))
    found: list[Message] = []
    if body.get("system"):
        found.append(SystemMessage(plain(_parts(body["system"], provider))))
    for message in messages:
        found += _messages(message, provider)
    config = mapping(body.get("toolConfig"))
    return Call(
        model=model,
        messages=tuple(found),
        settings=_settings(body, config, model, profile),
        tools=tuple(_tool(t) for t in items(config.get("tools"))),
        stream=bool(in_path and in_path[2]),
    )


def _parts(blocks: Any, provider: str) -> list[Part]:
    """Blocks as parts; a cache point belongs to the part before it."""
    found: list[Part] = []
    for block in items(blocks):
        point = mapping(block).get("cachePoint")
        if is_object(point) and found and _takes_cache(found[-1], point):
            found[-1] = with_cache(found[-1], point)
        elif (part := read_block(block, provider)) is not None:
            found.append(part)
    return found


def _takes_cache(part: Part, point: dict[str, Any]) -> bool:
    known = not beside(point, "type", "ttl") and point.get("type") == "default"
    return known and not part.cache and not isinstance(part, (Opaque, Reasoning))


def _messages(wire: Any, provider: str) -> list[Message]:
    if not is_object(wire):
        raise UsageError("each of 'messages' is an object", argument="body")
    role = text(wire.get("role"))
    parts = _parts(wire.get("content"), provider)
    if role == "assistant":
        return [AIMessage(plain(parts), provider=provider)]
    if role != "user":
        return [ChatMessage(plain(parts), role=role or "user")]
    return _user(parts)


def _user(parts: list[Part]) -> list[Message]:
    """A turn of the user: results of calls are messages of their own, unless a cache point follows them."""
    found: list[Message] = []
    run: list[Part] = []
    for part in parts:
        if isinstance(part, ToolResult) and not part.cache:
            if run:
                found.append(HumanMessage(plain(run)))
                run = []
            found.append(_result(part))
        else:
            run.append(part)
    if run or not found:
        found.append(HumanMessage(plain(run)))
    return found


def _result(part: ToolResult) -> ToolMessage:
    return ToolMessage(
        part.content, tool_call_id=part.tool_call_id, is_error=part.is_error, provider_data=part.provider_data
    )


def _tool(wire: Any) -> Tool:
    if not is_object(wire):
        raise UsageError("each of 'tools' is an object", argument="body")
    spec = mapping(wire.get("toolSpec"))
    schema = mapping(spec.get("inputSchema")).get("json")
    if (
        text(spec.get("name"))
        and is_object(schema)
        and not beside(spec, "name", "description", "inputSchema", "strict")
    ):
        try:
            return as_tool(wire)
        except UsageError:  # a definition that only the provider can judge is sent as it is
            pass
    return Tool(name=text(spec.get("name")) or next(iter(wire), "tool"), kind="provider", raw=wire)


# ---- settings


def _settings(body: dict[str, Any], config: dict[str, Any], model: str, profile: Profile) -> Settings:
    settings: dict[str, Any] = {}
    extra: dict[str, Any] = {k: v for k, v in body.items() if k not in _KNOWN and v is not None}
    _inference(mapping(body.get("inferenceConfig")), settings, extra)
    if config.get("toolChoice"):
        settings["tool_choice"] = _choice(mapping(config["toolChoice"]))
    tier = mapping(body.get("serviceTier"))
    if tier.keys() == {"type"}:
        settings["service_tier"] = tier["type"]
    if body.get("requestMetadata"):
        settings["metadata"] = body["requestMetadata"]
    if body.get("outputConfig"):
        _output(mapping(body["outputConfig"]), model, profile, settings, extra)
    if extra:
        settings["extra_body"] = extra
    return settings_of(settings)


def _inference(config: dict[str, Any], settings: dict[str, Any], extra: dict[str, Any]) -> None:
    for wire, name in (("maxTokens", "max_tokens"), ("temperature", "temperature"), ("topP", "top_p")):
        if config.get(wire) is not None:
            settings[name] = config[wire]
    if config.get("stopSequences"):
        settings["stop"] = tuple(items(config["stopSequences"]))
    rest = beside(config, "maxTokens", "temperature", "topP", "stopSequences")
    if rest:
        extra["inferenceConfig"] = rest


def _choice(choice: dict[str, Any]) -> Any:
    if "auto" in choice:
        return "auto"
    if "any" in choice:
        return "required"
    named = mapping(choice.get("tool")).get("name")
    return named if named and named not in ("auto", "none", "any", "required") else choice


def _output(
    config: dict[str, Any], model: str, profile: Profile, settings: dict[str, Any], extra: dict[str, Any]
) -> None:
    """The wanted schema in OpenAI's form where that says the same; else it stays as it is."""
    definition = mapping(mapping(mapping(config.get("textFormat")).get("structure")).get("jsonSchema"))
    try:
        schema: Any = loads(text(definition.get("schema")))
    except ValueError:
        schema = None
    native = (profile.output_form or output_form(model)) == "schema"
    if native and is_object(schema) and config.keys() == {"textFormat"}:
        wanted = {"name": text(definition.get("name")) or "output", "schema": schema}
        said = {"description": definition["description"]} if text(definition.get("description")) else {}
        settings["response_format"] = {"type": "json_schema", "json_schema": {**wanted, **said}}
    else:
        extra["outputConfig"] = config


_KNOWN = frozenset(
    {
        "messages",
        "system",
        "modelId",
        "toolConfig",
        "inferenceConfig",
        "serviceTier",
        "requestMetadata",
        "outputConfig",
    }
)
