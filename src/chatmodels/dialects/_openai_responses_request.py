"""A `Call` as the body of an OpenAI Responses request. Pure and deterministic: same call, same bytes.

The conversation is one flat list of items; an answer goes back as the items that it came as. Source: the API
reference of Responses ("Create a model response") and the types of openai-python 3.54, checked 2026-11.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Any

import msgspec

from .._call import Call, Settings
from .._errors import UsageError
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
from .._parts import Audio, File, Image, Opaque, Part, Refusal, Text, ToolResult, Video
from .._schema import enforced
from .._schema_walk import is_object
from .._tools import Tool
from ._body import merge
from ._kept import items, kept, kept_dict
from ._media_types import media_type
from ._numbers import check_finite
from ._openai_responses_answer import Answer
from ._openai_responses_results import Calls
from ._writer import Writer

_AUDIO_FORMATS = {
    "audio/wav": "wav",
    "audio/x-wav": "wav",
    "audio/wave": "wav",
    "audio/mpeg": "mp3",
    "audio/mp3": "mp3",
}
#: Models that have no reasoning refuse `include: ["reasoning.encrypted_content"]` with a 400.
_NO_REASONING = re.compile(r"(^|[/.])(gpt-3|gpt-4|chatgpt-4)")
#: Explicit cache points are an error before gpt-5.6.
_CACHE_FAMILY = re.compile(r"(^|[/.])gpt-(\d+)(?:\.(\d+))?")
_ROLES = ("user", "system", "developer", "assistant")
_ENCRYPTED = "reasoning.encrypted_content"
_LOGPROBS = "message.output_text.logprobs"


class Options(msgspec.Struct, frozen=True, kw_only=True):
    """How one host's Responses API differs from the reference.

    `instructions` puts the system messages at the head of the conversation into `instructions` (else they are
    input items). `cache_points` and `encrypted_reasoning`: whether the host takes explicit cache points and
    gives encrypted reasoning; None decides by the model's name. `plain_reasoning`: reasoning text without an
    id is taken back. `audio`: audio input is taken.
    """

    instructions: bool = False
    cache_points: bool | None = None
    encrypted_reasoning: bool | None = None
    plain_reasoning: bool = False
    audio: bool = False


class Encoder(Writer):
    """Builds one request body; `warnings` collects what the wire has no place for."""

    def __init__(self, provider: str, options: Options, call: Call) -> None:
        super().__init__(provider)
        self.options = options
        self.call = call
        self.items: list[dict[str, Any]] = []
        self.calls = Calls(self)
        self.where = ""
        self._instructions: list[str] = []

    def body(self) -> dict[str, Any]:
        call = self.call
        self._messages(call.messages)
        body: dict[str, Any] = {"model": call.model} if call.model else {}
        if self._instructions:
            body["instructions"] = "\n\n".join(self._instructions)
        if self.items:
            body["input"] = self.items
        if call.tools:
            body["tools"] = [self._tool(t) for t in call.tools]
        extra = dict(call.settings.extra_body or {})
        self._settings(call.settings, body)
        self._include(call.settings, body, extra)
        if call.output is not None:
            body.setdefault("text", {})["format"] = self._output(call.output)
        if call.stream:
            body["stream"] = True
        return merge(body, extra)

    # -- messages

    def _messages(self, messages: Sequence[Message]) -> None:
        for number, message in enumerate(messages):
            self.where = f"messages[{number}]"
            _MESSAGES[type(message)](self, message)
            if message.name and not isinstance(message, (ToolMessage, FunctionMessage)):
                self.warn(f"{self.provider} does not take the name of a speaker: not sent")
            known = ("function_call", "tool_calls") if isinstance(message, AIMessage) else ()
            for key, value in message.additional_kwargs.items():
                if value is not None and key not in known:
                    self.warn(f"additional_kwargs[{key!r}] has no place in an item of {self.provider}: not sent")

    def _system(self, message: SystemMessage) -> None:
        wanted = self.options.instructions or kept(message, self.provider, "instructions")
        plain = all(isinstance(p, Text) and not p.cache for p in message.parts)
        if wanted and plain and not self.items:
            self._instructions.append(message.text)
        else:
            self._speech("system", message.content)

    def _human(self, message: HumanMessage) -> None:
        content = message.content
        if not isinstance(content, str):
            self.items += [self.calls.result(p) for p in content if isinstance(p, ToolResult)]
            rest: list[Part] = [p for p in content if not isinstance(p, ToolResult)]
            if content and not rest:
                return
            content = rest
        self._speech("user", content)

    def _chat(self, message: ChatMessage) -> None:
        role = message.role
        if role == "assistant":
            self._assistant(AIMessage(message.content))
            return
        if role not in _ROLES:
            self.warn(f"{self.where}: {self.provider} has no role {role!r}: sent as 'user'")
            role = "user"
        self._speech(role, message.content)

    def _assistant(self, message: AIMessage) -> None:
        Answer(self, message).write(self.where)

    def _tool_message(self, message: ToolMessage) -> None:
        item = kept_dict(message, self.provider, "item")
        self.items.append(item or self.calls.result(message.result))

    def _function(self, message: FunctionMessage) -> None:
        """The 2023 form names its function instead of its call."""
        sent = self.calls.open_call(message.name)
        if sent is None:
            self.warn(f"{self.where}: no call of {message.name!r} before this result: sent as a user message")
            self._speech("user", message.content)
        else:
            self.items.append(self.calls.result(ToolResult("", message.content), sent))

    def _speech(self, role: str, content: str | list[Part]) -> None:
        """A message of the caller's side; items among its parts stand on their own."""
        if isinstance(content, str):
            self.items.append({"role": role, "content": content})
            return
        parts: list[dict[str, Any]] = []
        for position, part in enumerate(content):
            wire = self.part(part, f"{self.where}.content[{position}]")
            if wire is None:
                continue
            if isinstance(part, Opaque) and not str(wire.get("type")).startswith("input_"):
                self._say(role, parts)
                parts = []
                self.items.append(wire)
            else:
                parts.append(wire)
        self._say(role, parts)

    def _say(self, role: str, parts: list[dict[str, Any]]) -> None:
        if parts:
            self.items.append({"role": role, "content": parts})

    # -- parts of the caller's side

    def part(self, part: Part, where: str) -> dict[str, Any] | None:
        """A part as input content; None where it has no place."""
        build = _PARTS.get(type(part))
        if build is not None:
            return build(self, part, where)
        self.warn(f"{where}: {type(part).__name__} has no place in this message: not sent")
        return None

    def _text(self, part: Text, where: str) -> dict[str, Any]:
        return self._cached(part, {"type": "input_text", "text": part.text})

    def _refusal(self, part: Refusal, where: str) -> dict[str, Any]:
        return {"type": "input_text", "text": part.text}

    def _cached(self, part: Part, wire: dict[str, Any]) -> dict[str, Any]:
        if not part.cache:
            return wire
        if not self._takes_cache_points():
            self.warn(f"{self.provider} takes no prompt-cache points for {self.call.model}: not sent")
            return wire
        point = {"mode": "explicit"}
        if isinstance(part.cache, str) and part.cache not in ("5m", "30m"):
            point["ttl"] = "12h"
            if part.cache != "12h":
                self.warn(f"a cache point for {part.cache!r} is sent as '12h': {self.provider} has '30m' and '12h'")
        return {**wire, "prompt_cache_breakpoint": point}

    def _takes_cache_points(self) -> bool:
        if self.options.cache_points is not None:
            return self.options.cache_points
        found = _CACHE_FAMILY.search(self.call.model)
        return found is not None and (int(found[2]), int(found[3] or 0)) >= (5, 6)

    def image(self, part: Image, where: str) -> dict[str, Any]:
        """An image as input content."""
        wire: dict[str, Any] = {"type": "input_image", "detail": part.detail or "auto"}
        if part.file_id is not None:
            wire["file_id"] = part.file_id
        elif part.data is not None:
            wire["image_url"] = f"data:{media_type(part.data, part.media_type) or 'image/png'};base64,{part.base64}"
        else:
            wire["image_url"] = part.url
        return self._cached(part, wire)

    def _file(self, part: File, where: str) -> dict[str, Any]:
        wire: dict[str, Any] = {"type": "input_file"}
        if part.file_id is not None:
            wire["file_id"] = part.file_id
        elif part.data is None:
            wire["file_url"] = part.url
        else:
            kind = media_type(part.data, part.media_type)
            if kind is None:
                raise UsageError(f"{where}: File(data=...) needs media_type= (e.g. 'application/pdf')", argument=where)
            wire["filename"] = part.name or "file.pdf"
            wire["file_data"] = f"data:{kind};base64,{part.base64}"
        return self._cached(part, wire)

    def _audio(self, part: Audio, where: str) -> dict[str, Any]:
        if part.transcript and not (part.data or part.url or part.file_id):
            return {"type": "input_text", "text": part.transcript}
        if not self.options.audio or part.data is None:
            raise self.cannot(where, "audio", "use one that does (google, or openai's chat completions)")
        kind = part.media_type or "audio/wav"
        form = _AUDIO_FORMATS.get(kind) or kind.rpartition("/")[2]
        return {"type": "input_audio", "input_audio": {"data": part.base64, "format": form}}

    def _video(self, part: Video, where: str) -> dict[str, Any]:
        raise self.no_video(where)

    # -- everything else

    def _tool(self, tool: Tool) -> dict[str, Any]:
        """A tool. Left out, `strict` would make every argument required; None means not strict."""
        if tool.raw is not None:
            return dict(tool.raw)
        wire: dict[str, Any] = {"type": "function", "name": tool.name}
        if tool.description is not None:
            wire["description"] = tool.description
        wire["parameters"], wire["strict"] = self._enforced(tool.parameters, bool(tool.strict), f"tool {tool.name}")
        data = tool.provider_data or {}
        return {**wire, **(data.get("openai") or {}), **(data.get(self.provider) or {})}

    def _enforced(self, schema: dict[str, Any], strict: bool | None, what: str) -> tuple[dict[str, Any], bool]:
        try:
            sent, held, notes = enforced(schema, strict)
        except UsageError as error:
            raise UsageError(f"{what}: {error.text}", argument=error.argument) from error
        for note in notes:
            self.warn(f"{what}: {note}")
        return sent, held

    def _output(self, output: Output[Any]) -> dict[str, Any]:
        """The wanted output as `text.format`: strict where OpenAI's strict mode can say the schema."""
        schema, strict = self._enforced(output.schema, output.strict, f"output {output.name}")
        wire: dict[str, Any] = {
            "type": "json_schema",
            "name": output.name,
            "schema": schema,
            "strict": strict,
        }
        return {**wire, "description": output.description} if output.description else wire

    def _settings(self, settings: Settings, body: dict[str, Any]) -> None:
        for name in settings.__struct_fields__:
            value = getattr(settings, name)
            if value is None or name in ("extra_body", "extra_headers"):
                continue
            check_finite(name, value)
            write = _SETTINGS.get(name)
            if write is not None:
                write(self, body, value)
            elif name in _SAME:
                body[name] = value
            else:
                self.warn(f"{self.provider} does not take {name} in the Responses API: not sent")

    def _max_tokens(self, body: dict[str, Any], value: Any) -> None:
        body["max_output_tokens"] = value

    def _count(self, body: dict[str, Any], value: Any) -> None:
        if value != 1:
            self.warn(f"{self.provider} gives one answer in the Responses API: n={value} is not sent")

    def _logprobs(self, body: dict[str, Any], value: Any) -> None:
        """`logprobs` is an entry of `include`, which is written last."""

    def _modalities(self, body: dict[str, Any], value: Any) -> None:
        if tuple(value) != ("text",):
            self.warn(f"{self.provider} does not take modalities in the Responses API: not sent")

    def _effort(self, body: dict[str, Any], value: Any) -> None:
        body.setdefault("reasoning", {})["effort"] = value

    def _summary(self, body: dict[str, Any], value: Any) -> None:
        body.setdefault("reasoning", {})["summary"] = value

    def _budget(self, body: dict[str, Any], value: Any) -> None:
        if value == 0:
            body.setdefault("reasoning", {}).setdefault("effort", "none")
        else:
            self.warn(f"{self.provider} takes reasoning_effort, not a reasoning_budget in tokens: not sent")

    def _verbosity(self, body: dict[str, Any], value: Any) -> None:
        body.setdefault("text", {})["verbosity"] = value

    def _response_format(self, body: dict[str, Any], value: Any) -> None:
        if not is_object(value):
            raise UsageError("response_format is an object with a 'type'", argument="response_format")
        inner = value.get("json_schema")
        if value.get("type") == "json_schema" and is_object(inner):
            value = {"type": "json_schema", **inner}
        body.setdefault("text", {})["format"] = value

    def _tool_choice(self, body: dict[str, Any], value: Any) -> None:
        if is_object(value):
            inner = value.get("function") or value.get("custom")
            chat_style = is_object(inner) and "name" in inner and "name" not in value
            body["tool_choice"] = {"type": value.get("type"), "name": inner["name"]} if chat_style and inner else value
        elif value in ("auto", "none", "required"):
            body["tool_choice"] = value
        elif value == "any":
            body["tool_choice"] = "required"
        else:
            body["tool_choice"] = self._named(value)

    def _named(self, name: str) -> dict[str, Any]:
        for tool in self.call.tools:
            raw = tool.raw
            if raw is not None and name in (raw.get("type"), raw.get("name")):
                named = raw.get("type") in ("function", "custom")
                return {"type": raw["type"], "name": name} if named else {"type": raw.get("type")}
        return {"type": "function", "name": name}

    def _include(self, settings: Settings, body: dict[str, Any], extra: dict[str, Any]) -> None:
        """Without `store` reasoning can only go back encrypted: it is asked for where you name nothing."""
        given = extra.pop("include", None)
        include = list(items(given))
        if given is None and settings.store is False and self._encrypts():
            include.append(_ENCRYPTED)
        if (settings.logprobs or settings.top_logprobs) and _LOGPROBS not in include:
            include.append(_LOGPROBS)
        if include:
            body["include"] = include

    def _encrypts(self) -> bool:
        if self.options.encrypted_reasoning is not None:
            return self.options.encrypted_reasoning
        return _NO_REASONING.search(self.call.model) is None


_MESSAGES: dict[type[Any], Callable[[Encoder, Any], None]] = {
    SystemMessage: Encoder._system,
    HumanMessage: Encoder._human,
    AIMessage: Encoder._assistant,
    ToolMessage: Encoder._tool_message,
    ChatMessage: Encoder._chat,
    FunctionMessage: Encoder._function,
}

_PARTS: dict[type[Any], Callable[[Encoder, Any, str], dict[str, Any] | None]] = {
    Text: Encoder._text,
    Image: Encoder.image,
    File: Encoder._file,
    Audio: Encoder._audio,
    Video: Encoder._video,
    Refusal: Encoder._refusal,
    Opaque: Encoder.opaque,
}

_SAME = frozenset(
    {
        "temperature",
        "top_p",
        "top_logprobs",
        "parallel_tool_calls",
        "service_tier",
        "user",
        "metadata",
        "store",
    }
)

_SETTINGS: dict[str, Callable[[Encoder, dict[str, Any], Any], None]] = {
    "max_tokens": Encoder._max_tokens,
    "n": Encoder._count,
    "logprobs": Encoder._logprobs,
    "modalities": Encoder._modalities,
    "reasoning_effort": Encoder._effort,
    "reasoning_summary": Encoder._summary,
    "reasoning_budget": Encoder._budget,
    "verbosity": Encoder._verbosity,
    "response_format": Encoder._response_format,
    "tool_choice": Encoder._tool_choice,
}
