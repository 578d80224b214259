"""A `Call` as the body of a Mistral chat request: what differs from OpenAI's Chat Completions. Pure.

Mistral refuses fields that it does not know (422) and call ids that are not nine letters or digits (3280); some of its
models also a user's message right after a tool's result (3230). Source: docs.mistral.ai/api and the types of mistralai
3.7, checked 2026-11.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from hashlib import sha256
from typing import Any, TypeAlias

from .._call import Settings
from .._json import dumps_text
from .._messages import AIMessage, ChatMessage, FunctionMessage, Message, ToolMessage
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
from .._schema import enforced
from .._schema_walk import is_object, map_children
from .._tools import Tool
from ._call_ids import CallIds
from ._kept import kept_dict
from ._media_types import media_type
from ._mistral_content import text_chunks, thinking_chunk
from ._numbers import check_finite
from ._openai_chat_request import Encoder as ChatEncoder
from ._openai_chat_request import Profile
from ._turns import has_foreign_citations, legacy_calls

_ID = re.compile(r"[a-zA-Z0-9]{9}")
_ROLES = {"developer": "system", "human": "user", "ai": "assistant"}
_KNOWN_ROLES = ("system", "user", "assistant")
#: What is said between a tool's result and the user, where the model itself said nothing.
_BRIDGE = {"role": "assistant", "content": "OK."}


class NineIds(CallIds):
    """Ids of nine letters or digits; others become the first nine digits of their hash."""

    def __init__(self) -> None:
        super().__init__(re.compile(r"(?!)"), 9)

    def _valid(self, given: str) -> str:
        if _ID.fullmatch(given):
            return given
        return sha256((given or f"call {len(self._asked)}").encode()).hexdigest()[:9]


class MistralEncoder(ChatEncoder):
    """Builds one request body; `warnings` collects what the wire has no place for."""

    def __init__(self, provider: str, bridge: bool = False) -> None:
        super().__init__(provider, Profile(usage_option=False))
        self._bridge = bridge
        self._ids = NineIds()

    # -- messages

    def messages(self, messages: Sequence[Message]) -> list[dict[str, Any]]:
        out: list[dict[str, Any]] = []
        for wire in super().messages(messages):
            if self._bridge and out and out[-1]["role"] == "tool" and wire["role"] == "user":
                out.append(dict(_BRIDGE))
                self.warn(f"{self.provider} takes no user message right after a tool's result: 'OK.' is put between")
            if wire == {"role": "assistant", "content": ""}:
                self.warn(f"{self.provider} takes no empty answer in the conversation: not sent")
            else:
                out.append(wire)
        return out

    def message(self, message: Message, out: list[dict[str, Any]], images: list[dict[str, Any]]) -> None:
        if isinstance(message, FunctionMessage):
            self._function(message, out)
        elif isinstance(message, ChatMessage):
            self._chat_message(message, out)
        else:
            super().message(message, out, images)

    def _function(self, message: FunctionMessage, out: list[dict[str, Any]]) -> None:
        """The 2023 form names its function instead of its call."""
        wire_id = self._ids.open_call(message.name)
        if wire_id is None:
            self.warn(f"{self._where}: no call of {message.name!r} before this result: sent as a user message")
            out.append({"role": "user", "content": self.content(message.content)})
        else:
            result = ToolResult("", message.content, name=message.name)
            out.append(self.extras(message, self._result(result, wire_id)))

    def _chat_message(self, message: ChatMessage, out: list[dict[str, Any]]) -> None:
        role = _ROLES.get(message.role.lower(), message.role.lower())
        if role == "assistant":
            out.append(self.extras(message, self.assistant(AIMessage(message.content))))
            return
        if role not in _KNOWN_ROLES:
            self.warn(f"{self._where}: {self.provider} has no role {message.role!r}: sent as 'user'")
            role = "user"
        out.append(self.extras(message, {"role": role, "content": self.content(message.content)}))

    def extras(self, message: Message, wire: dict[str, Any]) -> dict[str, Any]:
        """Only `prefix` is known beside the fields that are written; anything else would be refused."""
        if message.name and not isinstance(message, (ToolMessage, FunctionMessage)):
            self.warn(f"{self.provider} does not take the name of a speaker: not sent")
        known = ("function_call", "tool_calls") if isinstance(message, AIMessage) else ()
        for key, value in message.additional_kwargs.items():
            if key == "prefix" and wire["role"] == "assistant":
                wire[key] = value
            elif value is not None and key not in known:
                self.warn(f"additional_kwargs[{key!r}] has no place in {self.provider}'s messages: not sent")
        return wire

    # -- parts of the caller's side

    def part(self, part: Part, position: int) -> dict[str, Any] | None:
        write: _Write = _PARTS.get(type(part), MistralEncoder.dropped)
        return write(self, part, f"{self._where}.content[{position}]")

    def _image(self, part: Image, where: str) -> dict[str, Any] | None:
        if part.data is None:
            return self.image(part, where)
        kind = media_type(part.data, part.media_type) or "image/png"
        image: dict[str, Any] = {"url": f"data:{kind};base64,{part.base64}"}
        return {"type": "image_url", "image_url": {**image, "detail": part.detail} if part.detail else image}

    def _file(self, part: File, where: str) -> dict[str, Any] | None:
        if part.file_id is not None:
            return {"type": "file", "file_id": part.file_id}
        url = part.url
        if part.data is not None:
            kind = media_type(part.data, part.media_type) or "application/octet-stream"
            url = f"data:{kind};base64,{part.base64}"
        chunk: dict[str, Any] = {"type": "document_url", "document_url": url}
        return {**chunk, "document_name": part.name} if part.name else chunk

    def _audio(self, part: Audio, where: str) -> dict[str, Any] | None:
        given = part.base64 or part.url
        if part.transcript and not (given or part.file_id):
            return {"type": "text", "text": part.transcript}
        if given is None:
            raise self.cannot(where, "audio by file id", "give url= or data=")
        return {"type": "input_audio", "input_audio": given}

    def _video(self, part: Video, where: str) -> dict[str, Any] | None:
        raise self.no_video(where)

    def _refused(self, part: Refusal, where: str) -> dict[str, Any] | None:
        return {"type": "text", "text": part.text}

    # -- results of calls

    def tool_result(self, result: ToolResult, images: list[dict[str, Any]]) -> dict[str, Any]:
        return self._result(result, self._ids.result(result.tool_call_id, result.name))

    def _result(self, result: ToolResult, wire_id: str) -> dict[str, Any]:
        content: str | list[dict[str, Any]]
        if isinstance(result.content, str):
            content = ("[error] " if result.is_error else "") + result.content
        else:
            content = [{"type": "text", "text": "[error]"}] if result.is_error else []
            content += [w for n, p in enumerate(result.content) if (w := self.part(p, n)) is not None]
        wire: dict[str, Any] = {"role": "tool", "content": content or "", "tool_call_id": wire_id}
        return {**wire, "name": result.name} if result.name else wire

    # -- answers sent back

    def assistant(self, message: AIMessage) -> dict[str, Any]:
        wire: dict[str, Any] = {"role": "assistant", "content": ""}
        chunks: list[dict[str, Any]] = []
        for position, part in enumerate(message.parts):
            chunks += self._answer_part(part, message, f"{self._where}.content[{position}]")
        if all(chunk.get("type") == "text" for chunk in chunks):
            wire["content"] = "".join(chunk["text"] for chunk in chunks)
        else:
            wire["content"] = chunks
        calls = [*message.tool_calls, *legacy_calls(message)]
        if calls:
            wire["tool_calls"] = [self._wire_call(c) for c in calls]
        return wire

    def _answer_part(self, part: Part, message: AIMessage, where: str) -> list[dict[str, Any]]:
        write = _ANSWER.get(type(part))
        if write is None:
            self.answer_other(part, {}, False, where)
            return []
        return write(self, part, message, where)

    def _said(self, part: Text | Refusal, message: AIMessage, where: str) -> list[dict[str, Any]]:
        if not isinstance(part, Text):
            return [{"type": "text", "text": part.text}]
        if has_foreign_citations(part, self.provider):
            self.warn(f"{where}: citations of another provider are not sent to {self.provider}")
        return text_chunks(part, self.provider) if part.text or part.citations else []

    def _thought(self, part: Reasoning, message: AIMessage, where: str) -> list[dict[str, Any]]:
        plain = not (part.signature or part.encrypted or part.provider_data)
        if message.provider == self.provider or (message.provider is None and plain):
            return [thinking_chunk(part, self.provider)]
        self.warn(f"{where}: the reasoning of another provider is not sent to {self.provider}")
        return []

    def _called(self, part: ToolCall | InvalidToolCall, message: AIMessage, where: str) -> list[dict[str, Any]]:
        """Calls have a field of their own."""
        return []

    def _kept_chunk(self, part: Opaque, message: AIMessage, where: str) -> list[dict[str, Any]]:
        chunk = self.opaque(part, where)
        return [chunk] if chunk is not None else []

    def _own_media(self, part: Image | File, message: AIMessage, where: str) -> list[dict[str, Any]]:
        if message.provider != self.provider:
            self.answer_other(part, {}, False, where)
            return []
        chunk = self._image(part, where) if isinstance(part, Image) else self._file(part, where)
        return [chunk] if chunk is not None else []

    def _said_aloud(self, part: Audio, message: AIMessage, where: str) -> list[dict[str, Any]]:
        if not part.transcript:
            self.answer_other(part, {}, False, where)
            return []
        self.warn(f"{where}: audio of an answer is sent to {self.provider} as its transcript")
        return [{"type": "text", "text": part.transcript}]

    def _server_tool(self, part: ServerTool, message: AIMessage, where: str) -> list[dict[str, Any]]:
        self.warn(f"{where}: the {part.kind or 'tool'} that a provider ran is not sent to {self.provider}")
        return []

    def _wire_call(self, part: ToolCall | InvalidToolCall) -> dict[str, Any]:
        arguments = part.args_text or "{}"
        if isinstance(part, ToolCall) and (part.custom or not is_object(part.args)):
            arguments = dumps_text({"input": part.args})
        function = {"name": part.name, "arguments": arguments}
        return {
            "id": self._ids.call(part.id, part.name),
            "type": "function",
            "function": function,
            **kept_dict(part, self.provider, "extra"),
        }

    # -- everything else

    def tool(self, tool: Tool) -> dict[str, Any]:
        if tool.raw is not None:
            return dict(tool.raw)
        function: dict[str, Any] = {"name": tool.name}
        if tool.description is not None:
            function["description"] = tool.description
        function["parameters"] = closed(tool.parameters) if tool.strict else tool.parameters
        if tool.strict is not None:
            function["strict"] = tool.strict
        return {"type": "function", "function": function}

    def output(self, output: Output[Any], messages: list[dict[str, Any]]) -> dict[str, Any]:
        """Strict where every object of the schema can be closed."""
        schema, strict, notes = enforced(output.schema, output.strict, lambda schema: (closed(schema), []))
        for note in notes:
            self.warn(f"output {output.name}: {note}")
        wire = {"name": output.name, "schema": schema, "strict": strict}
        return {
            "type": "json_schema",
            "json_schema": {**wire, "description": output.description} if output.description else wire,
        }

    def settings(self, settings: Settings, body: dict[str, Any]) -> None:
        for name in settings.__struct_fields__:
            value = getattr(settings, name)
            if value is None or name in ("extra_body", "extra_headers"):
                continue
            check_finite(name, value)
            write = _SETTINGS.get(name)
            if write is not None:
                write(self, name, value, body)
            elif name in _SAME:
                body[name] = value
            else:
                self.warn(f"{self.provider} does not take {name}: not sent")

    def _seed(self, name: str, value: Any, body: dict[str, Any]) -> None:
        body["random_seed"] = value

    def _tool_choice(self, name: str, value: Any, body: dict[str, Any]) -> None:
        if value in ("required", "any"):
            body["tool_choice"] = "any"
        else:
            self.tool_choice(name, value, body)

    def _budget(self, name: str, value: Any, body: dict[str, Any]) -> None:
        if value == 0:
            body.setdefault("reasoning_effort", "none")
        else:
            self.warn(f"{self.provider} takes reasoning_effort, not a reasoning_budget in tokens: not sent")

    def _modalities(self, name: str, value: Any, body: dict[str, Any]) -> None:
        if tuple(value) != ("text",):
            self.warn(f"{self.provider} does not take modalities: not sent")


def closed(schema: Any) -> Any:
    """The schema with every object closed to members that it does not list, as strict mode wants it."""
    if not is_object(schema):
        return schema
    out = map_children(schema, lambda sub, _: closed(sub))
    if "properties" in out or out.get("type") == "object":
        out.setdefault("additionalProperties", False)
    return out


_Write: TypeAlias = Callable[[MistralEncoder, Any, str], dict[str, Any] | None]

_PARTS: dict[type[Any], _Write] = {
    Text: MistralEncoder.text,
    Image: MistralEncoder._image,
    File: MistralEncoder._file,
    Audio: MistralEncoder._audio,
    Video: MistralEncoder._video,
    Refusal: MistralEncoder._refused,
    Opaque: MistralEncoder.opaque,
}

_ANSWER: dict[type[Any], Callable[[MistralEncoder, Any, AIMessage, str], list[dict[str, Any]]]] = {
    Text: MistralEncoder._said,
    Refusal: MistralEncoder._said,
    Reasoning: MistralEncoder._thought,
    ToolCall: MistralEncoder._called,
    InvalidToolCall: MistralEncoder._called,
    Opaque: MistralEncoder._kept_chunk,
    Image: MistralEncoder._own_media,
    File: MistralEncoder._own_media,
    Audio: MistralEncoder._said_aloud,
    ServerTool: MistralEncoder._server_tool,
}

_SAME = frozenset(
    {"temperature", "top_p", "top_k", "max_tokens", "n", "stop", "presence_penalty", "frequency_penalty", "logprobs"}
    | {"top_logprobs", "parallel_tool_calls", "reasoning_effort", "response_format", "service_tier", "metadata"}
)

_SETTINGS: dict[str, Callable[[MistralEncoder, str, Any, dict[str, Any]], None]] = {
    "seed": MistralEncoder._seed,
    "tool_choice": MistralEncoder._tool_choice,
    "reasoning_budget": MistralEncoder._budget,
    "modalities": MistralEncoder._modalities,
}
