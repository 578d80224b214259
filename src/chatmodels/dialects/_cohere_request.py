"""A `Call` as the body of a Cohere v2 chat request. Pure and deterministic: same call, same bytes.

Source: the API reference of "Chat" (v2), "Reasoning" and "Structured Outputs" at docs.cohere.com and the types of
cohere-python 7.3, checked 2026-11.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

from .._call import Call, Settings
from .._errors import UsageError
from .._json import dumps_text
from .._messages import (
    AIMessage,
    ChatMessage,
    FunctionMessage,
    HumanMessage,
    Message,
    SystemMessage,
    ToolMessage,
)
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
from .._schema_walk import is_object
from .._tools import Tool
from ._body import merge
from ._call_ids import CallIds
from ._cohere_schema import for_cohere
from ._cohere_wire import build_citations
from ._kept import kept, kept_dict
from ._media_types import media_type
from ._numbers import check_finite
from ._turns import has_foreign_citations, legacy_calls
from ._writer import Writer

_REFUSED_IN_IDS = re.compile(r"[^\x21-\x7e]")
_LONGEST_ID = 256
_ROLES = {"system": "system", "developer": "system", "user": "user", "human": "user"}
_ANSWER_ROLES = ("assistant", "ai")


class Encoder(Writer):
    """Builds one request body; `warnings` collects what the wire has no place for."""

    def __init__(self, provider: str, call: Call) -> None:
        super().__init__(provider)
        self.call = call
        self._ids = CallIds(_REFUSED_IN_IDS, _LONGEST_ID)
        self._out: list[dict[str, Any]] = []
        #: Images of tool results: they are sent after the results, as a message of the user.
        self._images: list[dict[str, Any]] = []
        self._own = self._hand_made = False

    def body(self) -> dict[str, Any]:
        call = self.call
        self._messages(call.messages)
        body: dict[str, Any] = {"model": call.model, "messages": self._out}
        if call.tools:
            body["tools"] = [self._tool(t) for t in call.tools]
            if any(t.strict for t in call.tools):
                body["strict_tools"] = True
        self._settings(call.settings, body)
        if call.output is not None:
            self._output(call.output, body)
        body["stream"] = call.stream
        return merge(body, call.settings.extra_body) if call.settings.extra_body else body

    # -- messages

    def _messages(self, messages: Sequence[Message]) -> None:
        for number, message in enumerate(messages):
            where = f"messages[{number}]"
            if not isinstance(message, (ToolMessage, FunctionMessage)):
                self._send_images()
                if message.name:
                    self.warn(f"{self.provider} does not take the name of a speaker: not sent")
            _MESSAGES[type(message)](self, message, where)
            known = ("function_call", "tool_calls") if isinstance(message, AIMessage) else ()
            for key, value in message.additional_kwargs.items():
                if value is not None and key not in known:
                    self.warn(f"additional_kwargs[{key!r}] has no place in {self.provider}'s messages: not sent")
        self._send_images()

    def _send_images(self) -> None:
        if self._images:
            self._out.append({"role": "user", "content": self._images})
            self._images = []

    def _system(self, message: SystemMessage, where: str) -> None:
        self._say("system", message.content, _SYSTEM, where)

    def _human(self, message: HumanMessage, where: str) -> None:
        content = message.content
        if isinstance(content, list):
            for part in content:
                if isinstance(part, ToolResult):
                    self._result(part, self._ids.result(part.tool_call_id, part.name), where)
            rest: list[Part] = [p for p in content if not isinstance(p, ToolResult)]
            if content and not rest:
                return
            self._send_images()
            content = rest
        self._say("user", content, _USER, where)

    def _chat(self, message: ChatMessage, where: str) -> None:
        role = message.role.lower()
        if role in _ANSWER_ROLES:
            self._assistant(AIMessage(message.content), where)
            return
        if role not in _ROLES:
            self.warn(f"{where}: {self.provider} has no role {message.role!r}: sent as 'user'")
        wire_role = _ROLES.get(role, "user")
        self._say(wire_role, message.content, _SYSTEM if wire_role == "system" else _USER, where)

    def _tool_message(self, message: ToolMessage, where: str) -> None:
        self._result(message.result, self._ids.result(message.tool_call_id, message.name), where)

    def _function(self, message: FunctionMessage, where: str) -> None:
        """The 2023 form names its function instead of its call."""
        wire_id = self._ids.open_call(message.name)
        if wire_id is None:
            self.warn(f"{where}: no call of {message.name!r} before this result: sent as a user message")
            self._say("user", message.content, _USER, where)
        else:
            self._result(ToolResult("", message.content), wire_id, where)

    def _say(self, role: str, content: str | list[Part], writers: _Writers, where: str) -> None:
        if not isinstance(content, str):
            self._out.append({"role": role, "content": self._write(content, writers, where) or ""})
            return
        self._out.append({"role": role, "content": content})

    def _write(self, parts: Sequence[Part], writers: _Writers, where: str) -> list[dict[str, Any]]:
        out: list[dict[str, Any]] = []
        for position, part in enumerate(parts):
            place = f"{where}.content[{position}]"
            if part.cache:
                self.warn(f"{self.provider} has no prompt-cache points (it caches by itself): not sent")
            writer: _Writer = writers.get(type(part), Encoder._no_place)
            wire = writer(self, part, place)
            if wire is not None:
                out.append(wire)
        return out

    def _no_place(self, part: Part, where: str) -> dict[str, Any] | None:
        what = f"the {part.kind or 'tool'} that a provider ran" if isinstance(part, ServerTool) else type(part).__name__
        self.warn(f"{where}: {what} has no place in this message of {self.provider}: not sent")
        return None

    # -- parts

    def _text(self, part: Text | Refusal, where: str) -> dict[str, Any]:
        return {"type": "text", "text": part.text}

    def _image(self, part: Image, where: str) -> dict[str, Any]:
        if part.file_id is not None:
            raise self.cannot(where, "an image by file id", "give url= or data=")
        url = part.url
        if part.data is not None:
            url = f"data:{media_type(part.data, part.media_type) or 'image/png'};base64,{part.base64}"
        image: dict[str, Any] = {"url": url}
        if part.detail:
            image["detail"] = part.detail
        return {"type": "image_url", "image_url": image}

    def _file(self, part: File, where: str) -> dict[str, Any]:
        """Text files go in as text; Cohere reads no other files."""
        kind = part.media_type or ""
        if part.data is None or not (kind.startswith("text/") or kind == "application/json"):
            raise self.cannot(where, "files but text", "send the text, or use a provider that reads files (google)")
        said = part.data.decode("utf-8", "replace")
        return {"type": "text", "text": f"{part.name}:\n{said}" if part.name else said}

    def _audio(self, part: Audio, where: str) -> dict[str, Any]:
        if part.transcript and not (part.data or part.url or part.file_id):
            return {"type": "text", "text": part.transcript}
        raise self.cannot(where, "audio", "use a provider that takes audio (google, openai)")

    def _video(self, part: Video, where: str) -> dict[str, Any]:
        raise self.no_video(where)

    # -- results of calls

    def _result(self, result: ToolResult, wire_id: str, where: str) -> None:
        content: str | list[dict[str, Any]]
        if isinstance(result.content, str):
            content = ("[error] " if result.is_error else "") + result.content
        else:
            content = [{"type": "text", "text": "[error]"}] if result.is_error else []
            content += self._write(result.content, _RESULT, where)
            content = content or ("(see the next message)" if self._images else "")
        self._out.append({"role": "tool", "tool_call_id": wire_id, "content": content})

    def _result_text(self, part: Text, where: str) -> dict[str, Any]:
        document = kept_dict(part, self.provider, "document")
        return {"type": "document", "document": document} if document else self._text(part, where)

    def _result_image(self, part: Image, where: str) -> None:
        self._images.append(self._image(part, where))
        self.warn(f"{where}: images of a tool result are sent to {self.provider} in a user message after it")

    # -- answers sent back

    def _assistant(self, message: AIMessage, where: str) -> None:
        self._own, self._hand_made = message.provider == self.provider, message.provider is None
        wire: dict[str, Any] = {"role": "assistant"}
        calls = [*message.tool_calls, *legacy_calls(message)]
        said = [p for p in message.parts if not isinstance(p, (ToolCall, InvalidToolCall))]
        plans = [p for p in said if isinstance(p, Reasoning) and kept(p, self.provider, "plan")]
        content = self._write([p for p in said if p not in plans], _ANSWER, where)
        if isinstance(message.content, str):
            wire["content"] = message.content
        elif content:
            wire["content"] = content
        if plans:
            wire["tool_plan"] = "".join(p.text for p in plans if isinstance(p, Reasoning))
        if calls:
            wire["tool_calls"] = [self._call(c) for c in calls]
        self._citations(message, wire, where)
        if not wire.keys() & {"content", "tool_calls", "tool_plan"}:
            wire["content"] = ""
        self._out.append(wire)

    def _reasoning(self, part: Reasoning, where: str) -> dict[str, Any] | None:
        if self._own or (self._hand_made and not (part.signature or part.encrypted or part.provider_data)):
            return {"type": "thinking", "thinking": part.text}
        self.warn(f"{where}: reasoning that {self.provider} did not write is not sent to it")
        return None

    def _said_aloud(self, part: Audio, where: str) -> dict[str, Any] | None:
        if not part.transcript:
            return self._no_place(part, where)
        self.warn(f"{where}: audio of an answer is sent to {self.provider} as its transcript")
        return {"type": "text", "text": part.transcript}

    def _call(self, part: ToolCall | InvalidToolCall) -> dict[str, Any]:
        arguments = part.args_text or "{}"
        if isinstance(part, ToolCall) and (part.custom or not is_object(part.args)):
            arguments = dumps_text({"input": part.args})
        function = {"name": part.name, "arguments": arguments}
        wire = {"id": self._ids.call(part.id, part.name), "type": "function", "function": function}
        return {**wire, **kept_dict(part, self.provider, "extra")}

    def _citations(self, message: AIMessage, wire: dict[str, Any], where: str) -> None:
        texts = [p for p in message.parts if isinstance(p, Text)]
        found = [c for p in texts for c in build_citations(p, self.provider)]
        found += kept(message, self.provider, "citations") or []
        if found:
            wire["citations"] = found
        if any(has_foreign_citations(p, self.provider) for p in texts):
            self.warn(f"{where}: citations of another provider are not sent to {self.provider}")

    # -- everything else

    def _tool(self, tool: Tool) -> dict[str, Any]:
        if tool.raw is not None:
            return dict(tool.raw)
        function: dict[str, Any] = {"name": tool.name}
        if tool.description is not None:
            function["description"] = tool.description
        schema = tool.parameters or {"type": "object", "properties": {}}
        function["parameters"] = self._schema(schema, f"tool {tool.name}") if tool.strict else schema
        return {"type": "function", "function": function}

    def _schema(self, schema: dict[str, Any], what: str) -> dict[str, Any]:
        out, notes = for_cohere(schema)
        for note in notes:
            self.warn(f"{what}: {note}")
        return out

    def _output(self, output: Output[Any], body: dict[str, Any]) -> None:
        """The schema as `response_format`; beside tools and documents, which exclude it, as words."""
        if body.get("tools") or (self.call.settings.extra_body or {}).get("documents"):
            said = f"Answer with JSON only, that fits this JSON schema:\n{dumps_text(output.schema)}"
            body["messages"].insert(0, {"role": "system", "content": said})
            return
        schema = self._schema(output.schema, f"output {output.name}")
        body["response_format"] = {"type": "json_object", "json_schema": schema}

    def _settings(self, settings: Settings, body: dict[str, Any]) -> None:
        for name in settings.__struct_fields__:
            value = getattr(settings, name)
            if value is None or name in ("extra_body", "extra_headers"):
                continue
            check_finite(name, value)
            write = _SETTINGS.get(name)
            if write is not None:
                write(self, body, value)
            elif name in _NAMES:
                body[_NAMES[name]] = value
            else:
                self.warn(f"{self.provider} does not take {name}: not sent")

    def _stop(self, body: dict[str, Any], value: Any) -> None:
        body["stop_sequences"] = list(value)

    def _one(self, body: dict[str, Any], value: Any) -> None:
        if value != 1:
            self.warn(f"{self.provider} gives one answer: n={value} is not sent")

    def _modalities(self, body: dict[str, Any], value: Any) -> None:
        if tuple(value) != ("text",):
            self.warn(f"{self.provider} does not take modalities: not sent")

    def _effort(self, body: dict[str, Any], value: Any) -> None:
        if value == "none":
            body["thinking"] = {"type": "disabled"}
            return
        body.setdefault("thinking", {"type": "enabled"})
        self.warn(f"{self.provider} thinks or does not: reasoning_effort={value!r} is sent as 'enabled'")

    def _budget(self, body: dict[str, Any], value: Any) -> None:
        body["thinking"] = {"type": "enabled", "token_budget": value} if value else {"type": "disabled"}

    def _response_format(self, body: dict[str, Any], value: Any) -> None:
        if not is_object(value):
            raise UsageError("response_format is an object with a 'type'", argument="response_format")
        inner = value.get("json_schema")
        if value.get("type") == "json_schema" and is_object(inner):
            schema = self._schema(inner.get("schema") or {"type": "object"}, "response_format")
            value = {"type": "json_object", "json_schema": schema}
        body["response_format"] = value

    def _tool_choice(self, body: dict[str, Any], value: Any) -> None:
        if is_object(value):
            inner = value.get("function")
            value = inner["name"] if is_object(inner) and "name" in inner else value
        if not isinstance(value, str):
            body["tool_choice"] = value
        elif value in ("required", "any", "none"):
            body["tool_choice"] = "NONE" if value == "none" else "REQUIRED"
        elif value != "auto":
            self._forced(body, value)

    def _forced(self, body: dict[str, Any], name: str) -> None:
        """One tool by name: it is the only one that is offered, and one must be called."""
        only = [wire for wire, tool in zip(body.get("tools", []), self.call.tools, strict=False) if tool.name == name]
        if not only:
            raise UsageError(f"tool_choice names {name!r}, which is no tool of this call", argument="tool_choice")
        body["tool_choice"] = "REQUIRED"
        if len(only) < len(body["tools"]):
            body["tools"] = only
            self.warn(f"{self.provider} cannot be told which tool to call: only {name} is offered")


_Writer: TypeAlias = Callable[[Encoder, Any, str], dict[str, Any] | None]
_Writers: TypeAlias = dict[type[Any], _Writer]

_MESSAGES: dict[type[Any], Callable[[Encoder, Any, str], None]] = {
    SystemMessage: Encoder._system,
    HumanMessage: Encoder._human,
    AIMessage: Encoder._assistant,
    ToolMessage: Encoder._tool_message,
    ChatMessage: Encoder._chat,
    FunctionMessage: Encoder._function,
}

_SYSTEM: _Writers = {Text: Encoder._text, Refusal: Encoder._text, Opaque: Encoder.opaque}
_USER: _Writers = {
    **_SYSTEM,
    Image: Encoder._image,
    File: Encoder._file,
    Audio: Encoder._audio,
    Video: Encoder._video,
}
_RESULT: _Writers = {**_USER, Text: Encoder._result_text, Image: Encoder._result_image}
_ANSWER: _Writers = {**_SYSTEM, Reasoning: Encoder._reasoning, Audio: Encoder._said_aloud}

_NAMES = {
    "temperature": "temperature",
    "top_p": "p",
    "top_k": "k",
    "max_tokens": "max_tokens",
    "seed": "seed",
    "frequency_penalty": "frequency_penalty",
    "presence_penalty": "presence_penalty",
    "logprobs": "logprobs",
}

_SETTINGS: dict[str, Callable[[Encoder, dict[str, Any], Any], None]] = {
    "stop": Encoder._stop,
    "n": Encoder._one,
    "modalities": Encoder._modalities,
    "reasoning_effort": Encoder._effort,
    "reasoning_budget": Encoder._budget,
    "response_format": Encoder._response_format,
    "tool_choice": Encoder._tool_choice,
}
