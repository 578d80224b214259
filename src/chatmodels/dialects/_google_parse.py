"""A recorded generateContent request -> the `Call` that it means, for gateways and migration. Pure.

Both spellings of the fields are read (`functionCall`, `function_call`). What has no neutral place goes into
`settings.extra_body` or a part's `provider_data`, in Google's spelling.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from typing import Any
from urllib.parse import unquote

from .._call import Call, Settings
from .._errors import UsageError
from .._events import Event
from .._fold import fold
from .._inputs import plain
from .._json import dumps_text
from .._messages import AIMessage, HumanMessage, Message, SystemMessage, ToolMessage
from .._parts import InvalidToolCall, Part, Text, ToolCall
from .._schema_walk import is_array, is_object, map_children
from .._tools import Tool
from ._google_answer import Assembler
from ._google_wire import camel_key, is_modern, number
from ._open_calls import OpenCalls

_PATH = re.compile(r"/(?:(tunedModels|endpoints)/|models/)([^/:?]+(?:%3A[^/:?]*)?):(\w+)", re.IGNORECASE)
#: What stands under these keys is the user's own, not Google's fields.
_FREE = frozenset(
    {
        "args",
        "response",
        "parameters",
        "parametersJsonSchema",
        "responseSchema",
        "responseJsonSchema",
        "labels",
        "partMetadata",
        "customMetadata",
    }
)


def parse_request(provider: str, body: dict[str, Any], path: str) -> Call:
    """The call; a UsageError names what is not a generateContent request."""
    wire = _camel(body)
    contents = _list(wire.get("contents"))
    if not isinstance(body.get("contents"), (list, dict)):
        raise UsageError("a generateContent request has a list 'contents'", argument="body")
    reader = _Reader(provider)
    messages: list[Message] = []
    system = wire.get("systemInstruction")
    if is_object(system) or isinstance(system, str):
        messages.append(_system(provider, system))
    for content in contents:
        messages += reader.content(content)
    model, stream = _model(path, wire)
    settings, extra = _settings(wire, model)
    tools = [tool for group in _list(wire.get("tools")) if is_object(group) for tool in _tools(group)]
    _tool_config(wire.get("toolConfig"), settings, extra, any(t.raw is None for t in tools))
    if extra:
        settings["extra_body"] = extra
    return Call(
        model=model,
        messages=tuple(messages),
        settings=Settings(**settings),
        tools=tuple(tools),
        stream=stream,
    )


def _camel(value: Any) -> Any:
    if is_array(value):
        return [_camel(v) for v in value]
    if not is_object(value):
        return value
    out: dict[str, Any] = {}
    for key, inner in value.items():
        name = camel_key(key)
        out[name] = inner if name in _FREE else _camel(inner)
    return out


def _list(value: Any) -> list[Any]:
    """Google takes a lone object where a list is meant."""
    return value if is_array(value) else [] if value is None else [value]


def _model(path: str, wire: dict[str, Any]) -> tuple[str, bool]:
    found = _PATH.search(path)
    if found is None:
        return str(wire.get("model") or "").removeprefix("models/"), False
    kind, name, action = found.groups()
    name = unquote(name)
    return f"{kind}/{name}" if kind else name, action.startswith("stream")


# -- contents


def parts_of(provider: str, wires: Any) -> list[Part]:
    """The parts of one content, each a part of its own."""
    events: list[Event] = []
    reader = Assembler(provider, {}, join=False)
    reader.chunk(events, {"candidates": [{"content": {"parts": _list(wires)}}]})
    reader.give_up(events)
    return fold(events).parts


def _system(provider: str, wire: Any) -> SystemMessage:
    if isinstance(wire, str):
        return SystemMessage(wire)
    return SystemMessage(plain(parts_of(provider, wire.get("parts"))))


class _Reader:
    """Reads contents in order; knows the last calls, so that results find theirs."""

    def __init__(self, provider: str) -> None:
        self._provider = provider
        self._calls = OpenCalls()

    def content(self, wire: Any) -> list[Message]:
        if not is_object(wire):
            raise UsageError("each of 'contents' is an object", argument="body")
        wires = _list(wire.get("parts"))
        if wire.get("role") == "model":
            parts = parts_of(self._provider, wires)
            self._calls = OpenCalls()
            for call in parts:
                if isinstance(call, (ToolCall, InvalidToolCall)):
                    self._calls.add(call.id, call.name)
            return [AIMessage(plain(parts), provider=self._provider)]
        out: list[Message] = []
        said: list[Any] = []
        for part in wires:
            if is_object(part) and is_object(part.get("functionResponse")):
                out += self._human(said) if said else []
                said = []
                out.append(self._result(part))
            else:
                said.append(part)
        return out + (self._human(said) if said or not out else [])

    def _human(self, wires: list[Any]) -> list[Message]:
        return [HumanMessage(plain(parts_of(self._provider, wires)))]

    def _result(self, part: dict[str, Any]) -> ToolMessage:
        wire: dict[str, Any] = part["functionResponse"]
        _, ident, name = self._calls.answer(str(wire.get("id") or ""), str(wire.get("name") or ""))
        text, is_error = _result_text(wire.get("response"))
        media = parts_of(self._provider, wire.get("parts"))
        rest = {k: v for k, v in part.items() if k != "functionResponse"}
        more = {k: v for k, v in wire.items() if k not in ("id", "name", "response", "parts") and v is not None}
        if more:
            rest["functionResponse"] = more
        return ToolMessage(
            [Text(text), *media] if media else text,
            tool_call_id=ident,
            is_error=is_error,
            name=name,
            provider_data={self._provider: rest} if rest else None,
        )


def _result_text(response: Any) -> tuple[str, bool]:
    """(the tool's words, whether they are an error): as they encode to the same object again."""
    if not is_object(response):
        return ("" if response is None else dumps_text(response)), False
    if response.keys() == {"error"} and isinstance(response["error"], str):
        return response["error"], True
    said = response.get("output")
    if response.keys() == {"output"} and isinstance(said, str) and not said.startswith("{"):
        return said, False
    return dumps_text(response), False


# -- tools


def _tools(group: dict[str, Any]) -> Iterable[Tool]:
    for key, value in group.items():
        if key == "functionDeclarations":
            yield from (_tool(d) for d in _list(value) if is_object(d))
        elif value is not None:
            yield Tool(name=key, kind="provider", raw={key: value})


def _tool(wire: dict[str, Any]) -> Tool:
    given: Any = wire.get("parametersJsonSchema")
    if given is None:
        given = json_schema(wire.get("parameters"))
    schema: dict[str, Any] = given if is_object(given) else {}
    known = ("name", "description", "parameters", "parametersJsonSchema")
    rest = {k: v for k, v in wire.items() if k not in known and v is not None}
    return Tool(
        name=str(wire.get("name") or ""),
        description=wire.get("description"),
        parameters=schema or {"type": "object", "properties": {}},
        provider_data={"google": rest} if rest else None,
    )


_COUNTS = ("minItems", "maxItems", "minProperties", "maxProperties", "minLength", "maxLength")


def json_schema(wire: Any) -> Any:
    """Google's OpenAPI form of a schema as JSON Schema: types in lower case, `nullable` as a type."""
    if not is_object(wire):
        return wire
    out = map_children({camel_key(k): v for k, v in wire.items()}, lambda sub, _: json_schema(sub))
    if isinstance(out.get("type"), str):
        out["type"] = out["type"].lower()
    for key in _COUNTS:
        if isinstance(out.get(key), str):  # protobuf writes 64-bit numbers as text
            out[key] = number(out[key])
    nullable = out.pop("nullable", False)
    if nullable and isinstance(out.get("type"), str):
        out["type"] = [out["type"], "null"]
        if is_array(out.get("enum")):
            out["enum"] = [*out["enum"], None]
    elif nullable and is_array(out.get("anyOf")):
        out["anyOf"] = [*out["anyOf"], {"type": "null"}]
    return out


def _tool_config(wire: Any, settings: dict[str, Any], extra: dict[str, Any], functions: bool) -> None:
    if not is_object(wire):
        return
    rest = {k: v for k, v in wire.items() if k != "functionCallingConfig" and v is not None}
    calling = wire.get("functionCallingConfig")
    if is_object(calling) and calling:
        if functions:
            settings["tool_choice"] = _choice(calling)
        else:
            rest["functionCallingConfig"] = calling
    if rest:
        extra["toolConfig"] = rest


def _choice(calling: dict[str, Any]) -> str | dict[str, Any]:
    names: list[Any] = calling.get("allowedFunctionNames") or []
    mode = calling.get("mode")
    if not calling.keys() - {"mode", "allowedFunctionNames"}:
        if not names and mode in ("AUTO", "NONE", "ANY"):
            return {"AUTO": "auto", "NONE": "none", "ANY": "required"}[mode]
        if mode == "ANY" and len(names) == 1 and names[0] not in ("auto", "none", "required", "any"):
            return str(names[0])
    return {"functionCallingConfig": calling}


# -- settings


def _settings(wire: dict[str, Any], model: str) -> tuple[dict[str, Any], dict[str, Any]]:
    settings: dict[str, Any] = {}
    extra: dict[str, Any] = {}
    config = wire.get("generationConfig")
    rest = dict(config) if is_object(config) else {}
    for read in (_sampling, _format, _speech):
        read(rest, settings)
    _thoughts(rest, settings, is_modern(model))
    rest = {k: v for k, v in rest.items() if v is not None}
    if rest:
        extra["generationConfig"] = rest
    for key, value in wire.items():
        if key in _DONE or value is None:
            continue
        name = _TOP.get(key)
        if name and _fits(name, value):
            settings[name] = value
        else:
            extra[key] = value
    return settings, extra


def _fits(name: str, value: Any) -> bool:
    if name == "metadata":
        return is_object(value) and all(isinstance(v, str) for v in value.values())
    return isinstance(value, bool if name == "store" else str) and value not in ("auto", "default")


def _sampling(rest: dict[str, Any], settings: dict[str, Any]) -> None:
    for key, (name, convert) in _SAMPLING.items():
        value = rest.pop(key, None)
        if value is not None:
            settings[name] = convert(value)


def _format(rest: dict[str, Any], settings: dict[str, Any]) -> None:
    """JSON mode and schemas. Other media types (`text/x.enum`) stay Google's own."""
    if rest.get("responseMimeType") != "application/json":
        return
    schema = rest.get("responseJsonSchema")
    if schema is None:
        schema = json_schema(rest.get("responseSchema"))
    if schema is not None and not is_object(schema):
        return
    for key in ("responseMimeType", "responseSchema", "responseJsonSchema"):
        rest.pop(key, None)
    settings["response_format"] = (
        {"type": "json_object"}
        if schema is None
        else {"type": "json_schema", "json_schema": {"name": "answer", "schema": schema}}
    )


def _thoughts(rest: dict[str, Any], settings: dict[str, Any], modern: bool) -> None:
    wire = rest.get("thinkingConfig")
    if not is_object(wire) or wire.keys() - {"thinkingBudget", "thinkingLevel", "includeThoughts"}:
        return
    level, budget = wire.get("thinkingLevel"), wire.get("thinkingBudget")
    if level is not None and (not modern or not isinstance(level, str) or budget is not None):
        return  # there is no neutral word that would come out the same
    del rest["thinkingConfig"]
    if budget is not None:
        settings["reasoning_budget"] = budget
    if isinstance(level, str):
        settings["reasoning_effort"] = level.lower()
    if "includeThoughts" in wire or (wire and budget != 0):
        settings["reasoning_summary"] = "auto" if wire.get("includeThoughts") else "none"


def _speech(rest: dict[str, Any], settings: dict[str, Any]) -> None:
    wire = rest.get("speechConfig")
    if not is_object(wire) or "voice" in wire:
        return
    del rest["speechConfig"]
    voice = wire.get("voiceConfig")
    inner = voice.get("prebuiltVoiceConfig") if is_object(voice) else None
    name = inner.get("voiceName") if is_object(inner) else None
    exact = {"voiceConfig": {"prebuiltVoiceConfig": {"voiceName": name}}}
    settings["audio"] = {"voice": name} if name and wire == exact else wire


def _same(value: Any) -> Any:
    return value


def _whole(value: Any) -> Any:
    return int(value) if isinstance(value, float) and value.is_integer() else value


_SAMPLING: dict[str, tuple[str, Callable[[Any], Any]]] = {
    "temperature": ("temperature", _same),
    "topP": ("top_p", _same),
    "topK": ("top_k", _whole),
    "maxOutputTokens": ("max_tokens", _same),
    "candidateCount": ("n", _same),
    "stopSequences": ("stop", tuple),
    "seed": ("seed", _same),
    "presencePenalty": ("presence_penalty", _same),
    "frequencyPenalty": ("frequency_penalty", _same),
    "responseLogprobs": ("logprobs", _same),
    "logprobs": ("top_logprobs", _same),
    "responseModalities": ("modalities", lambda words: tuple(str(w).lower() for w in words)),
}
_DONE = frozenset({"contents", "systemInstruction", "tools", "toolConfig", "generationConfig", "model"})
_TOP = {"serviceTier": "service_tier", "labels": "metadata", "store": "store"}
