"""A `Call` as the body of an Ollama chat request. Pure and deterministic: same call, same bytes.

Source: docs.ollama.com/api/chat and the server's own types (api/types.go of ollama/ollama), checked 2026-11.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import groupby
from typing import Any

from .._call import Call
from .._json import dumps_text
from .._messages import AIMessage, ChatMessage, FunctionMessage, HumanMessage, Message, ToolMessage
from .._output import Output
from .._parts import (
    Audio,
    File,
    Image,
    InvalidToolCall,
    Opaque,
    Part,
    Reasoning,
    Refusal,
    ServerTool,
    Text,
    ToolCall,
    ToolResult,
    Video,
)
from .._schema import inline_refs
from .._schema_walk import is_object
from .._tools import Tool
from ._body import merge
from ._open_calls import OpenCalls, is_made
from ._turns import has_foreign_citations, legacy_calls
from ._writer import Writer

_ROLES = {"developer": "system", "human": "user", "ai": "assistant"}
#: In the manner of 2023: read as calls.
_LEGACY = ("function_call", "tool_calls")
_THINK = ("low", "medium", "high", "max")


class Encoder(Writer):
    """Builds one request body; `warnings` collects what the wire has no place for."""

    def __init__(self, provider: str) -> None:
        super().__init__(provider)
        self._where = ""
        self._calls = OpenCalls()
        #: Results that have no id, by `id()` of what is sent, with the place of the call that each answers.
        self._places: dict[int, int] = {}

    def body(self, call: Call) -> dict[str, Any]:
        body: dict[str, Any] = {"model": call.model, "messages": self.messages(call.messages)}
        if call.tools and call.settings.tool_choice != "none":
            body["tools"] = [self.tool(t) for t in call.tools]
        for name in call.settings.__struct_fields__:
            value: Any = getattr(call.settings, name)
            if value is not None and name not in ("extra_body", "extra_headers"):
                _SETTINGS.get(name, Encoder.not_taken)(self, body, name, value)
        if call.output is not None:
            body["format"] = self.output(call.output)
        body["stream"] = call.stream
        extra = call.settings.extra_body
        return merge(body, extra) if extra else body

    # -- messages

    def messages(self, messages: Sequence[Message]) -> list[dict[str, Any]]:
        out: list[dict[str, Any]] = []
        for number, message in enumerate(messages):
            self._where = f"messages[{number}]"
            if message.name and not isinstance(message, (ToolMessage, FunctionMessage)):
                self.warn(f"{self._where}: {self.provider} has no place for a speaker's name: not sent")
            wires = self.message(message)
            legacy = _LEGACY if isinstance(message, AIMessage) else ()
            for key, value in message.additional_kwargs.items():
                if key not in legacy:
                    wires[-1].setdefault(key, value)
            out += wires
        return self.in_call_order(out)

    def in_call_order(self, wires: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """Results without ids that follow each other, in the order of their calls: nothing else tells them apart."""
        out: list[dict[str, Any]] = []
        for unnamed, group in groupby(wires, key=lambda wire: id(wire) in self._places):
            run = list(group)
            out += sorted(run, key=lambda wire: self._places[id(wire)]) if unnamed else run
        return out

    def message(self, message: Message) -> list[dict[str, Any]]:
        if isinstance(message, AIMessage):
            return [self.answer([*message.parts, *legacy_calls(message)], message.provider)]
        if isinstance(message, ToolMessage):
            return [self.result(message.result)]
        if isinstance(message, FunctionMessage):
            return [self.result(ToolResult("", message.content, name=message.name))]
        if isinstance(message, ChatMessage):
            role = _ROLES.get(message.role.lower(), message.role)
            return [self.answer(message.parts, None) if role == "assistant" else self.said(role, message.parts)]
        return self.human(message.parts) if isinstance(message, HumanMessage) else [self.said("system", message.parts)]

    def human(self, parts: list[Part]) -> list[dict[str, Any]]:
        out = [self.result(p) for p in parts if isinstance(p, ToolResult)]
        rest = [p for p in parts if not isinstance(p, ToolResult)]
        return [*out, self.said("user", rest)] if rest or not out else out

    def said(self, role: str, parts: Sequence[Part]) -> dict[str, Any]:
        wire: dict[str, Any] = {"role": role, "content": ""}
        for position, part in enumerate(parts):
            self.part(part, wire, f"{self._where}.content[{position}]")
        return wire

    def answer(self, parts: Sequence[Part], provider: str | None) -> dict[str, Any]:
        self._calls = OpenCalls()
        wire: dict[str, Any] = {"role": "assistant", "content": ""}
        for position, part in enumerate(parts):
            where = f"{self._where}.content[{position}]"
            if isinstance(part, Reasoning):
                self.reasoning(part, wire, provider, where)
            elif isinstance(part, (ToolCall, InvalidToolCall)):
                self.call(part, wire, where)
            else:
                self.part(part, wire, where)
        return wire

    def result(self, result: ToolResult) -> dict[str, Any]:
        wire: dict[str, Any] = {"role": "tool", "content": "[error] " if result.is_error else ""}
        parts = [Text(result.content)] if isinstance(result.content, str) else result.content
        for position, part in enumerate(parts):
            self.part(part, wire, f"{self._where}.content[{position}]")
        place, ident, name = self._calls.answer(result.tool_call_id, result.name)
        if is_made(ident):
            self._places[id(wire)] = place
        if name:
            wire["tool_name"] = name
        if not is_made(ident):
            wire["tool_call_id"] = ident
        return wire

    # -- parts

    def part(self, part: Part, wire: dict[str, Any], where: str) -> None:
        if part.cache:
            self.warn(f"{self.provider} has no prompt-cache points (it caches by itself): not sent")
        write = _PARTS.get(type(part))
        if write is None:
            self.dropped(part, where)
        else:
            write(self, part, wire, where)

    def text(self, part: Text | Refusal, wire: dict[str, Any], where: str) -> None:
        if isinstance(part, Text) and has_foreign_citations(part, self.provider):
            self.warn(f"{where}: citations have no place in {self.provider}'s requests: not sent")
        wire["content"] += part.text

    def image(self, part: Image, wire: dict[str, Any], where: str) -> None:
        if part.data is None:
            what = "an image by URL" if part.url else "an image by file id"
            raise self.cannot(where, what, "give the bytes: Image(data=...) or Image.from_path(...)")
        if part.detail not in (None, "auto"):
            self.warn(f"{where}: {self.provider} does not take detail: not sent")
        wire.setdefault("images", []).append(part.base64)

    def file(self, part: File, wire: dict[str, Any], where: str) -> None:
        """A text file is sent as its text, which is all that Ollama takes of files."""
        kind = part.media_type or ""
        if part.data is None or not (kind.startswith("text/") or kind == "application/json"):
            raise self.cannot(where, "files", "send their text")
        try:
            text = bytes(part.data).decode()
        except UnicodeDecodeError as error:
            raise self.cannot(where, "a text file that is not UTF-8", "decode it yourself") from error
        self.warn(f"{where}: {self.provider} takes no files: its text is sent")
        head = f"{part.name}:\n" if part.name else ""
        wire["content"] += f"{head}{text}\n"

    def audio(self, part: Audio, wire: dict[str, Any], where: str) -> None:
        if part.transcript is None:
            raise self.cannot(where, "audio", "send what is said as text")
        self.warn(f"{where}: {self.provider} takes no audio: its transcript is sent")
        wire["content"] += part.transcript

    def video(self, part: Video, wire: dict[str, Any], where: str) -> None:
        raise self.cannot(where, "video", "send images of it")

    def reasoning(self, part: Reasoning, wire: dict[str, Any], provider: str | None, where: str) -> None:
        if provider not in (self.provider, None):
            self.warn(f"{where}: the reasoning of {provider} is not sent to {self.provider}")
        elif part.text:
            wire["thinking"] = wire.get("thinking", "") + part.text

    def call(self, part: ToolCall | InvalidToolCall, wire: dict[str, Any], where: str) -> None:
        args: Any = part.args
        if not is_object(args):
            self.warn(f"{where}: {self.provider} takes arguments only as an object: the text is sent inside one")
            args = {"input": args}
        call: dict[str, Any] = {"function": {"name": part.name, "arguments": args}}
        if not is_made(part.id):
            call = {"id": part.id, **call}
        self._calls.add(part.id, part.name)
        wire.setdefault("tool_calls", []).append(call)

    def server_tool(self, part: ServerTool, wire: dict[str, Any], where: str) -> None:
        self.warn(f"{where}: the {part.kind or 'server tool'} {part.phase} of another provider is not sent")

    def unknown(self, part: Opaque, wire: dict[str, Any], where: str) -> None:
        """Ollama's own messages hold nothing that would be opaque."""
        self.foreign(part, where)

    # -- tools and the wanted output

    def tool(self, tool: Tool) -> dict[str, Any]:
        if tool.raw is not None:
            return dict(tool.raw)
        if tool.strict:
            self.warn(f"{self.provider} does not take strict: not sent")
        parameters = tool.parameters
        if '"$ref"' in dumps_text(parameters):
            # Ollama reads a tool's properties into a fixed form that has no references.
            parameters, notes = inline_refs(parameters)
            for note in notes:
                self.warn(f"tool {tool.name}: {note}")
        function: dict[str, Any] = {"name": tool.name}
        if tool.description is not None:
            function["description"] = tool.description
        function["parameters"] = {"type": "object", "properties": {}, **parameters}
        return {"type": "function", "function": function}

    def output(self, output: Output[Any]) -> dict[str, Any]:
        if output.description and "description" not in output.schema:
            return {**output.schema, "description": output.description}
        return output.schema

    # -- settings

    def option(self, body: dict[str, Any], name: str, value: Any) -> None:
        key = _OPTIONS.get(name, name)
        body.setdefault("options", {})[key] = list[str](value) if name == "stop" else value

    def top(self, body: dict[str, Any], name: str, value: Any) -> None:
        body[name] = value
        if name == "top_logprobs":
            body["logprobs"] = True

    def effort(self, body: dict[str, Any], name: str, value: Any) -> None:
        effort = str(value).lower()
        if effort == "none":
            body["think"] = False
        elif effort in _THINK:
            body["think"] = effort
        else:
            near = "low" if effort == "minimal" else "max"
            self.warn(f"{self.provider} does not know reasoning_effort {value!r}: sent as {near!r}")
            body["think"] = near

    def budget(self, body: dict[str, Any], name: str, value: Any) -> None:
        if not value:
            body["think"] = False
            return
        self.warn(f"{self.provider} takes no reasoning budget: reasoning is only switched on")
        if body.get("think") in (None, False):
            body["think"] = True

    def tool_choice(self, body: dict[str, Any], name: str, value: Any) -> None:
        if value == "none":
            return  # the tools are left out
        if value != "auto":
            self.warn(f"{self.provider} does not take tool_choice: not sent")

    def parallel(self, body: dict[str, Any], name: str, value: Any) -> None:
        if not value:
            self.not_taken(body, name, value)

    def response_format(self, body: dict[str, Any], name: str, value: Any) -> None:
        kind = value.get("type")
        inner = value.get("json_schema")
        schema = inner.get("schema") if is_object(inner) else value.get("schema")
        if kind in ("json_object", "json_schema"):
            body["format"] = schema if is_object(schema) else "json"
        elif kind != "text":
            self.warn(f"{self.provider} does not take response_format of type {kind!r}: not sent")

    def not_taken(self, body: dict[str, Any], name: str, value: Any) -> None:
        self.warn(f"{self.provider} does not take {name}: not sent")


_PARTS: dict[type[Any], Callable[[Encoder, Any, dict[str, Any], str], None]] = {
    Text: Encoder.text,
    Refusal: Encoder.text,
    Image: Encoder.image,
    File: Encoder.file,
    Audio: Encoder.audio,
    Video: Encoder.video,
    ServerTool: Encoder.server_tool,
    Opaque: Encoder.unknown,
}

_OPTIONS = {"max_tokens": "num_predict"}

_SETTINGS: dict[str, Callable[[Encoder, dict[str, Any], str, Any], None]] = {
    "temperature": Encoder.option,
    "top_p": Encoder.option,
    "top_k": Encoder.option,
    "min_p": Encoder.option,
    "max_tokens": Encoder.option,
    "stop": Encoder.option,
    "seed": Encoder.option,
    "presence_penalty": Encoder.option,
    "frequency_penalty": Encoder.option,
    "logprobs": Encoder.top,
    "top_logprobs": Encoder.top,
    "reasoning_effort": Encoder.effort,
    "reasoning_budget": Encoder.budget,
    "tool_choice": Encoder.tool_choice,
    "parallel_tool_calls": Encoder.parallel,
    "response_format": Encoder.response_format,
}
