"""A `Call` as the body of an OpenAI Chat Completions request. Pure and deterministic: same call, same bytes.

Source: the API reference of Chat Completions ("Create chat completion"), checked 2026-11. Where hosts differ, a `Profile`
says how; a provider row fills it in.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import msgspec

from .._call import Call, Settings
from .._errors import UsageError
from .._json import encode as to_json
from .._json import is_array, is_object, mapping
from .._messages import AIMessage, ChatMessage, FunctionMessage, HumanMessage, Message, ToolMessage
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


if TYPE_CHECKING:
    from .._output import Output
    from .._tools import Tool


class Profile(msgspec.Struct, frozen=True, kw_only=True):
    """How one host's Chat Completions differ from the reference.

    `reasoning_field` is the field in which the model's working goes back ("reasoning_content" or "reasoning"; None:
    it does not). `sampling` lists settings beyond the reference that the host takes ("top_k", "min_p"). `media` lists
    input forms beyond the reference ("video", "file_url", "audio_url", "tool_images"). `cache_points` says that text
    parts may carry `cache_control`. `usage_option` says that a stream is asked for its usage by `stream_options`.
    """

    max_tokens_field: str = "max_tokens"
    reasoning_field: str | None = None
    reasoning_style: str = "effort"
    sampling: frozenset[str] = frozenset()
    media: frozenset[str] = frozenset()
    cache_points: bool = False
    usage_option: bool = True
    json_schema: bool = True


_AUDIO_FORMATS = {"audio/wav": "wav", "audio/x-wav": "wav", "audio/wave": "wav", "audio/mpeg": "mp3", "audio/mp3": "mp3"}


class Encoder:
    """Builds one request body; `warnings` collects what the wire has no place for."""

    def __init__(self, provider: str, profile: Profile) -> None:
        self.provider = provider
        self.profile = profile
        self.warnings: list[str] = []
        self._where = ""

    def warn(self, text: str) -> None:
        if text not in self.warnings:
            self.warnings.append(text)

    def body(self, call: Call) -> dict[str, Any]:
        body: dict[str, Any] = {"model": call.model, "messages": self.messages(call.messages)}
        if call.tools:
            body["tools"] = [self.tool(t) for t in call.tools]
        self.settings(call.settings, body)
        if call.output is not None:
            body["response_format"] = self.output(call.output, body["messages"])
        if call.stream:
            body["stream"] = True
            if self.profile.usage_option:
                body["stream_options"] = {"include_usage": True}
        return merge(body, call.settings.extra_body) if call.settings.extra_body else body

    # -- messages

    def messages(self, messages: Sequence[Message]) -> list[dict[str, Any]]:
        out: list[dict[str, Any]] = []
        images: list[dict[str, Any]] = []
        for number, message in enumerate(messages):
            self._where = f"messages[{number}]"
            if images and not isinstance(message, ToolMessage):
                out.append({"role": "user", "content": images})
                images = []
            self.message(message, out, images)
        if images:
            out.append({"role": "user", "content": images})
        return out

    def message(self, message: Message, out: list[dict[str, Any]], images: list[dict[str, Any]]) -> None:
        if isinstance(message, HumanMessage):
            self.human(message, out, images)
            return
        if isinstance(message, AIMessage):
            wire = self.assistant(message)
        elif isinstance(message, ToolMessage):
            wire = self.tool_result(message.result, images)
        elif isinstance(message, ChatMessage):
            wire = {"role": message.role, "content": self.content(message.content)}
        elif isinstance(message, FunctionMessage):
            wire = {"role": "function", "name": message.name, "content": message.text}
        else:
            wire = {"role": "system", "content": self.content(message.content)}
        out.append(self.extras(message, wire))

    def extras(self, message: Message, wire: dict[str, Any]) -> dict[str, Any]:
        name = message.name
        if name and wire["role"] != "tool":
            wire["name"] = name
        for key, value in message.additional_kwargs.items():
            wire.setdefault(key, value)
        return wire

    def human(self, message: HumanMessage, out: list[dict[str, Any]], images: list[dict[str, Any]]) -> None:
        content = message.content
        if is_array(content) and any(isinstance(p, ToolResult) for p in content):
            for part in content:
                if isinstance(part, ToolResult):
                    out.append(self.tool_result(part, images))
            content = [p for p in content if not isinstance(p, ToolResult)]
            if not content:
                return
        out.append(self.extras(message, {"role": "user", "content": self.content(content)}))

    def content(self, content: str | list[Part]) -> str | list[dict[str, Any]]:
        if isinstance(content, str):
            return content
        parts = [wire for i, p in enumerate(content) if (wire := self.part(p, i)) is not None]
        if not parts:
            return ""
        return parts

    def part(self, part: Part, position: int) -> dict[str, Any] | None:
        return _PARTS[type(part)](self, part, f"{self._where}.content[{position}]")

    def text(self, part: Text, where: str) -> dict[str, Any] | None:
        wire: dict[str, Any] = {"type": "text", "text": part.text}
        if part.cache:
            if self.profile.cache_points:
                wire["cache_control"] = cache_control(part.cache)
            else:
                self.warn(f"{self.provider} has no prompt-cache points (it caches by itself): not sent")
        return wire

    def image(self, part: Image, where: str) -> dict[str, Any] | None:
        url = part.data_url
        if url is None:
            raise self.cannot(where, "an image by file id", "give url= or data=")
        image = {"url": url}
        if part.detail:
            image["detail"] = part.detail
        return {"type": "image_url", "image_url": image}

    def audio(self, part: Audio, where: str) -> dict[str, Any] | None:
        if part.data is None:
            if part.url and "audio_url" in self.profile.media:
                return {"type": "audio_url", "audio_url": {"url": part.url}}
            raise self.cannot(where, "audio by URL or file id", "give the bytes: Audio(data=...)")
        kind = part.media_type or "audio/wav"
        return {
            "type": "input_audio",
            "input_audio": {"data": part.base64, "format": _AUDIO_FORMATS.get(kind) or self.audio_format(kind, where)},
        }

    def audio_format(self, kind: str, where: str) -> str:
        if "audio_url" in self.profile.media or self.provider != "openai":
            return kind.rpartition("/")[2]
        raise self.cannot(where, f"audio of type {kind}", "convert it to WAV or MP3")

    def video(self, part: Video, where: str) -> dict[str, Any] | None:
        if "video" not in self.profile.media or part.data_url is None:
            raise self.cannot(where, "video", "send images of it, or use a provider that takes video (google)")
        return {"type": "video_url", "video_url": {"url": part.data_url}}

    def file(self, part: File, where: str) -> dict[str, Any] | None:
        if part.file_id is not None:
            return {"type": "file", "file": {"file_id": part.file_id}}
        if part.data is None and "file_url" not in self.profile.media:
            raise self.cannot(where, "a file by URL", "give its bytes: File(data=...) or File.from_path(...)")
        if part.data is not None and not part.media_type:
            raise UsageError(f"{where}: File(data=...) needs media_type= (e.g. 'application/pdf')", argument=where)
        return {"type": "file", "file": {"filename": part.name or "file.pdf", "file_data": part.data_url}}

    def refused(self, part: Refusal, where: str) -> dict[str, Any] | None:
        return {"type": "refusal", "refusal": part.text}

    def opaque(self, part: Opaque, where: str) -> dict[str, Any] | None:
        if part.provider == self.provider and is_object(part.data):
            return part.data
        self.warn(f"{where}: a {part.kind or 'part'} of {part.provider} means nothing to {self.provider}: not sent")
        return None

    def dropped(self, part: Part, where: str) -> dict[str, Any] | None:
        self.warn(f"{where}: {type(part).__name__} has no place in this message: not sent")
        return None

    def cannot(self, where: str, what: str, remedy: str) -> UsageError:
        return UsageError(f"{where}: {self.provider} does not take {what} here; {remedy}", argument=where)

    # -- answers sent back

    def assistant(self, message: AIMessage) -> dict[str, Any]:
        content = message.content
        if isinstance(content, str):
            return {"role": "assistant", "content": content}
        wire: dict[str, Any] = {"role": "assistant", "content": None}
        texts = [p for p in content if isinstance(p, Text)]
        own = message.provider in (self.provider, None)
        if len(texts) == 1 and not texts[0].cache:
            wire["content"] = texts[0].text
        elif texts:
            wire["content"] = [self.text(p, self._where) for p in texts]
        for position, part in enumerate(content):
            where = f"{self._where}.content[{position}]"
            _ANSWER_PARTS.get(type(part), Encoder.answer_other)(self, part, wire, own, where)
        self.own_data(message, wire)
        if wire["content"] is None and not any(k in wire for k in ("tool_calls", "function_call", "refusal", "audio")):
            wire["content"] = ""
        return wire

    def own_data(self, message: AIMessage, wire: dict[str, Any]) -> None:
        for key, value in mapping(own_data(message, self.provider).get("message")).items():
            wire.setdefault(key, value)

    def answer_call(self, part: ToolCall | InvalidToolCall, wire: dict[str, Any], own: bool, where: str) -> None:
        data = own_data(part, self.provider)
        if data.get("legacy"):
            wire["function_call"] = {"name": part.name, "arguments": part.args_text}
            return
        call: dict[str, Any] = {"id": part.id, "type": "function"}
        if isinstance(part, ToolCall) and part.custom:
            call = {"id": part.id, "type": "custom", "custom": {"name": part.name, "input": part.args_text}}
        else:
            call["function"] = {"name": part.name, "arguments": part.args_text or "{}"}
        call.update(mapping(data.get("extra")))
        wire.setdefault("tool_calls", []).append(call)

    def answer_reasoning(self, part: Reasoning, wire: dict[str, Any], own: bool, where: str) -> None:
        data = own_data(part, self.provider)
        field = self.profile.reasoning_field
        if not own:
            self.warn(f"{where}: the reasoning of another provider is not sent to {self.provider}")
        elif field:
            if part.text:
                wire[field] = wire.get(field, "") + part.text
            if data.get("reasoning_details"):
                wire["reasoning_details"] = data["reasoning_details"]

    def answer_refusal(self, part: Refusal, wire: dict[str, Any], own: bool, where: str) -> None:
        wire["refusal"] = wire.get("refusal", "") + part.text

    def answer_audio(self, part: Audio, wire: dict[str, Any], own: bool, where: str) -> None:
        audio_id = part.file_id or (part.provider_data or {}).get("audio_id")
        if own and audio_id:
            wire["audio"] = {"id": audio_id}
        elif part.transcript:
            wire["content"] = (wire["content"] or "") + part.transcript
            self.warn(f"{where}: audio of another answer is sent as its transcript")
        else:
            self.warn(f"{where}: audio of an answer cannot be sent back: not sent")

    def answer_image(self, part: Image, wire: dict[str, Any], own: bool, where: str) -> None:
        if "answer_images" in self.profile.media and part.data_url:
            wire.setdefault("images", []).append({"type": "image_url", "image_url": {"url": part.data_url}})
        else:
            self.warn(f"{where}: {self.provider} takes no images in an answer: not sent")

    def answer_opaque(self, part: Opaque, wire: dict[str, Any], own: bool, where: str) -> None:
        data = self.opaque(part, where)
        if data is None:
            return
        have = wire["content"]
        content = have if is_array(have) else [{"type": "text", "text": have}] if have else []
        wire["content"] = [*content, data]

    def answer_server_tool(self, part: ServerTool, wire: dict[str, Any], own: bool, where: str) -> None:
        self.warn(f"{where}: the {part.kind} that the provider ran is not sent to {self.provider}")

    def answer_text(self, part: Text, wire: dict[str, Any], own: bool, where: str) -> None:
        """Texts are taken together above."""

    def answer_other(self, part: Part, wire: dict[str, Any], own: bool, where: str) -> None:
        self.warn(f"{where}: {type(part).__name__} has no place in an answer: not sent")

    def tool_result(self, result: ToolResult, images: list[dict[str, Any]]) -> dict[str, Any]:
        content: str | list[dict[str, Any]]
        if isinstance(result.content, str):
            content = ("[error] " if result.is_error else "") + result.content
        else:
            content = self._result_parts(result, images)
        wire: dict[str, Any] = {"role": "tool", "content": content, "tool_call_id": result.tool_call_id}
        if result.name and "tool_name" in self.profile.media:
            wire["name"] = result.name
        return wire

    def _result_parts(self, result: ToolResult, images: list[dict[str, Any]]) -> list[dict[str, Any]]:
        parts: list[dict[str, Any]] = [{"type": "text", "text": "[error]"}] if result.is_error else []
        moved = 0
        for position, part in enumerate(content_parts(result)):
            wire = self.part(part, position)
            if wire is None:
                continue
            if wire["type"] == "text" or "tool_images" in self.profile.media:
                parts.append(wire)
            else:
                images.append(wire)
                moved += 1
        if moved:
            self.warn(f"{self._where}: images and files of a tool result are sent in a user message after it")
        return parts or [{"type": "text", "text": "(see the next message)" if moved else ""}]

    # -- everything else

    def tool(self, tool: Tool) -> dict[str, Any]:
        if tool.raw is not None:
            return dict(tool.raw)
        function: dict[str, Any] = {"name": tool.name}
        if tool.description is not None:
            function["description"] = tool.description
        function["parameters"] = tool.parameters
        if tool.strict is not None:
            function["strict"] = tool.strict
        return {"type": "function", "function": function}

    def settings(self, settings: Settings, body: dict[str, Any]) -> None:
        for name in settings.__struct_fields__:
            value = getattr(settings, name)
            if value is None or name in ("extra_body", "extra_headers"):
                continue
            special = _SETTINGS.get(name)
            if special is not None:
                special(self, name, value, body)
            else:
                body[name] = value  # tuples become JSON arrays

    def max_tokens(self, name: str, value: Any, body: dict[str, Any]) -> None:
        body[self.profile.max_tokens_field] = value

    def tool_choice(self, name: str, value: Any, body: dict[str, Any]) -> None:
        if value == "any":
            value = "required"
        if isinstance(value, str) and value not in ("auto", "none", "required"):
            value = {"type": "function", "function": {"name": value}}
        body["tool_choice"] = value

    def beyond(self, name: str, value: Any, body: dict[str, Any]) -> None:
        if name in self.profile.sampling:
            body[name] = value
        else:
            self.warn(f"{self.provider} does not take {name}: not sent")

    def effort(self, name: str, value: Any, body: dict[str, Any]) -> None:
        style = self.profile.reasoning_style
        if style == "object":
            key = {"reasoning_effort": "effort", "reasoning_budget": "max_tokens"}.get(name)
            if key is not None:
                body.setdefault("reasoning", {})[key] = value
                return
        elif name == "reasoning_effort":
            body[name] = value
            return
        self.warn(f"{self.provider} does not take {name} in chat completions: not sent")

    def output(self, output: Output[Any], messages: list[dict[str, Any]]) -> dict[str, Any]:
        if not self.profile.json_schema:
            said = f"Answer with JSON only, that fits this JSON schema:\n{to_json(output.schema).decode()}"
            messages.insert(0, {"role": "system", "content": said})
            return {"type": "json_object"}
        schema: dict[str, Any] = {"name": output.name}
        if output.description:
            schema["description"] = output.description
        schema["schema"] = output.schema
        if output.strict is not None:
            schema["strict"] = output.strict
        return {"type": "json_schema", "json_schema": schema}


def content_parts(result: ToolResult) -> list[Part]:
    """The result's content as parts."""
    return [Text(result.content)] if isinstance(result.content, str) else result.content


def own_data(value: AIMessage | Part, provider: str) -> dict[str, Any]:
    """What the provider itself put beside a message or a part; empty for anybody else's."""
    return mapping((value.provider_data or {}).get(provider))


def cache_control(cache: bool | str) -> dict[str, Any]:
    """A prompt-cache point in the spelling that Anthropic has and others took over."""
    return {"type": "ephemeral", "ttl": cache} if isinstance(cache, str) else {"type": "ephemeral"}


def merge(body: dict[str, Any], extra: dict[str, Any]) -> dict[str, Any]:
    """The body with the extra fields in it; mappings are merged, everything else is replaced."""
    out = dict(body)
    for key, value in extra.items():
        have = out.get(key)
        out[key] = merge(have, value) if is_object(have) and is_object(value) else value
    return out


def body_bytes(body: dict[str, Any]) -> bytes:
    """The body as JSON; text that is not Unicode is the caller's error."""
    try:
        return to_json(body)
    except UnicodeEncodeError as error:
        raise UsageError(
            f"the messages hold a lone surrogate, which is not text and cannot be sent: {error}", argument="messages"
        ) from error
    except (TypeError, msgspec.MsgspecError) as error:
        raise UsageError(f"the request cannot be written as JSON: {error}", argument="extra_body") from error


_PARTS: dict[type[Any], Callable[[Encoder, Any, str], dict[str, Any] | None]] = {
    Text: Encoder.text,
    Image: Encoder.image,
    Audio: Encoder.audio,
    Video: Encoder.video,
    File: Encoder.file,
    Refusal: Encoder.refused,
    Opaque: Encoder.opaque,
    Reasoning: Encoder.dropped,
    ToolCall: Encoder.dropped,
    InvalidToolCall: Encoder.dropped,
    ToolResult: Encoder.dropped,
    ServerTool: Encoder.dropped,
}

_ANSWER_PARTS: dict[type[Any], Callable[[Encoder, Any, dict[str, Any], bool, str], None]] = {
    Text: Encoder.answer_text,
    Reasoning: Encoder.answer_reasoning,
    ToolCall: Encoder.answer_call,
    InvalidToolCall: Encoder.answer_call,
    Refusal: Encoder.answer_refusal,
    Audio: Encoder.answer_audio,
    Image: Encoder.answer_image,
    Opaque: Encoder.answer_opaque,
    ServerTool: Encoder.answer_server_tool,
}

_SETTINGS: dict[str, Callable[[Encoder, str, Any, dict[str, Any]], None]] = {
    "max_tokens": Encoder.max_tokens,
    "tool_choice": Encoder.tool_choice,
    "top_k": Encoder.beyond,
    "min_p": Encoder.beyond,
    "reasoning_effort": Encoder.effort,
    "reasoning_budget": Encoder.effort,
    "reasoning_summary": Encoder.effort,
}

__all__ = ["Encoder", "Profile", "body_bytes", "cache_control", "merge"]
