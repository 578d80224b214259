"""A recorded Messages request -> the `Call` that it means, for gateways and migration. Pure.

What has no neutral place goes into `settings.extra_body` or the `provider_data` of a part or message, so
that encoding the call again means the same.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from .._call import Call, Settings
from .._errors import UsageError
from .._inputs import plain
from .._messages import AIMessage, ChatMessage, HumanMessage, Message, SystemMessage, ToolMessage
from .._parts import Part, Text, ToolResult
from .._schema_walk import is_array, is_object
from .._tools import Tool, as_tool
from . import _claude
from ._anthropic_blocks import read_block
from ._anthropic_request import Profile
from ._kept import beside, items, kept_dict, mapping, settings_of, text, text_or_none

_MODEL_IN_PATH = re.compile(r"/models/([^/:]+):(stream)?[rR]awPredict")


def parse_request(body: dict[str, Any], path: str, provider: str, profile: Profile) -> Call:
    """The call; a UsageError names what is not a Messages request."""
    messages = body.get("messages")
    if not is_array(messages):
        raise UsageError("a Messages request has a list 'messages'", argument="body")
    in_path = _MODEL_IN_PATH.search(path)
    model = text(body.get("model")) or (in_path[1] if in_path else "")
    found: list[Message] = []
    if body.get("system"):
        found.append(SystemMessage(plain(_parts(body["system"], provider))))
    for message in messages:
        found += _messages(message, provider)
    return Call(
        model=model,
        messages=tuple(found),
        settings=_settings(body, model, profile),
        tools=tuple(_tool(t) for t in items(body.get("tools"))),
        stream=bool(body.get("stream")) or bool(in_path and in_path[2]),
    )


def _parts(content: Any, provider: str) -> list[Part]:
    if isinstance(content, str):
        return [Text(content)] if content else []
    return [p for block in items(content) if (p := read_block(block, provider)) is not None]


def _messages(wire: Any, provider: str) -> list[Message]:
    if not is_object(wire):
        raise UsageError("each of 'messages' is an object", argument="body")
    role = text(wire.get("role"))
    parts = _parts(wire.get("content"), provider)
    if role == "assistant":
        return [AIMessage(plain(parts), provider=provider)]
    if role == "system":
        kept = {"role": "system", **beside(wire, "role", "content")}
        return [SystemMessage(plain(parts), provider_data={provider: {"inner": kept}})]
    if role != "user":
        return [ChatMessage(plain(parts), role=role or "user")]
    return _user(parts, provider)


def _user(parts: list[Part], provider: str) -> list[Message]:
    """A turn of the user: results of calls are messages of their own."""
    found: list[Message] = []
    run: list[Part] = []
    for part in parts:
        if isinstance(part, ToolResult):
            if run:
                found.append(HumanMessage(plain(run)))
                run = []
            found.append(_result(part, provider))
        else:
            run.append(part)
    if run or not found:
        found.append(HumanMessage(plain(run)))
    return found


def _result(part: ToolResult, provider: str) -> ToolMessage:
    extra = kept_dict(part, provider, "extra")
    if part.cache:
        ttl = {"ttl": part.cache} if isinstance(part.cache, str) else {}
        extra = {**extra, "cache_control": {"type": "ephemeral", **ttl}}
    return ToolMessage(
        part.content,
        tool_call_id=part.tool_call_id,
        is_error=part.is_error,
        provider_data={provider: {"extra": extra}} if extra else None,
    )


def _tool(wire: Any) -> Tool:
    if not is_object(wire):
        raise UsageError("each of 'tools' is an object", argument="body")
    if is_object(wire.get("input_schema")) and wire.get("type") in (None, "custom") and text(wire.get("name")):
        try:
            return as_tool(wire)
        except UsageError:  # a definition that only the provider can judge is sent as it is
            pass
    return Tool(name=text(wire.get("name")) or text(wire.get("type")) or "tool", kind="provider", raw=wire)


# ---- settings


def _settings(body: dict[str, Any], model: str, profile: Profile) -> Settings:
    settings: dict[str, Any] = {}
    extra: dict[str, Any] = {}
    for key, value in body.items():
        if key in _ELSEWHERE or value is None or (key == "anthropic_version" and profile.version_in_body == value):
            continue
        reader = _READERS.get(key)
        if reader is not None:
            reader(settings, extra, value)
        elif key in _SAME:
            settings[key] = value
        else:
            extra[key] = value
    _reasoning(body, model, settings, extra)
    _format(body, model, profile, settings, extra)
    if extra:
        settings["extra_body"] = extra
    return settings_of(settings)


def _stop(settings: dict[str, Any], extra: dict[str, Any], value: Any) -> None:
    settings["stop"] = tuple(items(value)) or None


def _metadata(settings: dict[str, Any], extra: dict[str, Any], value: Any) -> None:
    if is_object(value) and value.keys() == {"user_id"} and text_or_none(value["user_id"]):
        settings["user"] = value["user_id"]
    else:
        extra["metadata"] = value


def _tool_choice(settings: dict[str, Any], extra: dict[str, Any], value: Any) -> None:
    choice = dict(mapping(value))
    parallel = choice.pop("disable_parallel_tool_use", None)
    if isinstance(parallel, bool):
        settings["parallel_tool_calls"] = not parallel
    kind = choice.get("type")
    plain_choice = choice.keys() == {"type"} and kind in ("auto", "any", "none")
    if (
        kind == "tool"
        and choice.keys() == {"type", "name"}
        and choice["name"] not in ("auto", "any", "none", "required")
    ):
        settings["tool_choice"] = choice["name"]
    else:
        settings["tool_choice"] = ("required" if kind == "any" else kind) if plain_choice else value


def _reasoning(body: dict[str, Any], model: str, settings: dict[str, Any], extra: dict[str, Any]) -> None:
    """`thinking` and the effort, as neutral settings where these say exactly the same for this model."""
    config, effort = (
        mapping(body.get("thinking")),
        text_or_none(mapping(body.get("output_config")).get("effort")),
    )
    if not config and effort is None:
        return
    budget = {"enabled": config.get("budget_tokens"), "disabled": 0}.get(str(config.get("type")))
    neutral: dict[str, Any] = {
        "reasoning_budget": budget,
        "reasoning_effort": effort,
        "reasoning_summary": config.get("display"),
    }
    said = _claude.thinking(model, Settings(**neutral))
    if (said.config or {}, said.effort, said.notes) == (config, effort, ()):
        settings.update(neutral)
        return
    if config:
        extra["thinking"] = config
    if effort is not None:
        extra.setdefault("output_config", {})["effort"] = effort


def _format(
    body: dict[str, Any], model: str, profile: Profile, settings: dict[str, Any], extra: dict[str, Any]
) -> None:
    config = mapping(body.get("output_config"))
    rest = beside(config, "effort", "format")
    if rest:
        extra.setdefault("output_config", {}).update(rest)
    wanted = config.get("format") or body.get("output_format")
    if wanted is None:
        return
    schema = mapping(wanted).get("schema")
    native = _claude.has_json_schema(model) if profile.json_schema is None else profile.json_schema
    if native and is_object(schema) and mapping(wanted).keys() == {"type", "schema"}:
        name = text_or_none(schema.get("title")) or "output"
        settings["response_format"] = {"type": "json_schema", "json_schema": {"name": name, "schema": schema}}
    else:
        extra.setdefault("output_config", {})["format"] = wanted


_ELSEWHERE = frozenset({"model", "messages", "system", "tools", "stream", "thinking", "output_config", "output_format"})
_SAME = frozenset({"max_tokens", "temperature", "top_p", "top_k", "service_tier"})
_READERS: dict[str, Callable[[dict[str, Any], dict[str, Any], Any], None]] = {
    "stop_sequences": _stop,
    "metadata": _metadata,
    "tool_choice": _tool_choice,
}
