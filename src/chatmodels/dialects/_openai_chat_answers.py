"""The model's side of the conversation sent back in a Chat Completions request: answers, and the results of calls. Pure.

What a provider put beside its answer goes back to it whole, and to nobody else. Calls of another provider get ids that are
valid here, and the same on their results.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from .._errors import UsageError
from .._json import is_array, mapping
from .._messages import AIMessage, FunctionMessage, Message
from .._parts import (
    Audio,
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
)
from ._call_ids import CallIds
from ._openai_chat_parts import PartWriter, Profile, cache_control, own_data

#: OpenAI takes any characters in the id of a call, and 40 of them (error "string too long", checked 2026-11).
_ANY = re.compile(r"(?!)")
_LONGEST_ID = 40
_SAID = ("tool_calls", "function_call", "refusal", "audio")


class AnswerWriter(PartWriter):
    """Writes answers and tool results."""

    def __init__(self, provider: str, profile: Profile) -> None:
        super().__init__(provider, profile)
        self._foreign = CallIds(_ANY, _LONGEST_ID)
        self._own_ids: set[str] = set()
        self._own_open: list[tuple[str, str]] = []
        #: Ids of which the last call is this provider's own, and names of calls in the manner of 2023.
        self._own_last: set[str] = set()
        self._legacy: set[str] = set()

    def extras(self, message: Message, wire: dict[str, Any]) -> dict[str, Any]:
        """What stands beside the content: the speaker's name, `additional_kwargs`, what this provider itself put there."""
        name = message.name
        if name and wire["role"] != "tool":
            wire["name"] = name
        for key, value in message.additional_kwargs.items():
            if value is not None:
                wire.setdefault(key, value)
        for key, value in mapping(own_data(message, self.provider).get("message")).items():
            wire.setdefault(key, value)
        return wire

    # -- answers

    def assistant(self, message: AIMessage) -> dict[str, Any]:
        content = message.content
        if isinstance(content, str):
            return {"role": "assistant", "content": content}
        wire: dict[str, Any] = {"role": "assistant", "content": self._texts(content)}
        for position, part in enumerate(content):
            where = f"{self._where}.content[{position}]"
            write = _ANSWER_PARTS.get(type(part))
            if write is None:
                self.answer_other(part, wire, message, where)
            else:
                write(self, part, wire, message, where)
        if wire["content"] is None and not any(k in wire for k in _SAID):
            wire["content"] = ""
        return wire

    def _texts(self, content: list[Part]) -> str | list[dict[str, Any]] | None:
        """All texts, as one where there is one; None where there is none."""
        texts = [(i, p) for i, p in enumerate(content) if isinstance(p, Text)]
        if not texts:
            return None
        written = [wire for i, p in texts if (wire := self.part(p, i)) is not None]
        if len(written) == 1 and written[0].keys() == {"type", "text"}:
            return str(written[0]["text"])
        return written

    def _say(self, wire: dict[str, Any], part: dict[str, Any]) -> None:
        """Put a content part behind what the answer says already."""
        have = wire["content"]
        if not have and part.keys() == {"type", "text"}:
            wire["content"] = part["text"]
            return
        before = have if is_array(have) else [{"type": "text", "text": have}] if have else []
        wire["content"] = [*before, part]

    def is_own(self, message: AIMessage) -> bool:
        """Is the answer this provider's, or made by hand?"""
        return message.provider in (self.provider, None)

    def answer_call(
        self, part: ToolCall | InvalidToolCall, wire: dict[str, Any], message: AIMessage, where: str
    ) -> None:
        data = own_data(part, self.provider)
        if data.get("legacy"):
            self._legacy.add(part.name)
            wire["function_call"] = {"name": part.name, "arguments": part.args_text}
            return
        call: dict[str, Any] = {"id": self._call_id(part, message), "type": "function"}
        if isinstance(part, ToolCall) and part.custom:
            call |= {"type": "custom", "custom": {"name": part.name, "input": part.args_text}}
        else:
            call["function"] = {"name": part.name, "arguments": part.args_text or "{}"}
        if part.cache and self.profile.cache_points == "cache_control":
            call["cache_control"] = cache_control(part.cache)
        elif part.cache:
            self.warn(f"{where}: {self.provider} takes no prompt-cache point on a call: not sent")
        call.update(mapping(data.get("extra")))
        wire.setdefault("tool_calls", []).append(call)

    def _call_id(self, part: ToolCall | InvalidToolCall, message: AIMessage) -> str:
        if message.provider == self.provider or (message.provider is None and part.id):
            self._own_ids.add(part.id)
            self._own_last.add(part.id)
            self._own_open.append((part.id, part.name))
            return part.id
        self._own_last.discard(part.id)
        return self._foreign.call(part.id, part.name)

    def answer_reasoning(self, part: Reasoning, wire: dict[str, Any], message: AIMessage, where: str) -> None:
        data = own_data(part, self.provider)
        usual = (self.profile.reasoning_field,) if self.profile.reasoning_field else ()
        fields = data.get("fields", usual)
        if not self.is_own(message):
            self.warn(f"{where}: the reasoning of another provider is not sent to {self.provider}")
        elif message.provider is None and not fields and not data and part.text:
            self.warn(f"{where}: {self.provider} takes no reasoning back: not sent")
        else:
            for field in fields if part.text else ():
                wire[field] = wire.get(field, "") + part.text
            if data.get("reasoning_details"):
                wire["reasoning_details"] = [*wire.get("reasoning_details", ()), *data["reasoning_details"]]

    def answer_refusal(self, part: Refusal, wire: dict[str, Any], message: AIMessage, where: str) -> None:
        if part.text:
            wire["refusal"] = wire.get("refusal", "") + part.text

    def answer_audio(self, part: Audio, wire: dict[str, Any], message: AIMessage, where: str) -> None:
        audio_id = own_data(part, self.provider).get("audio_id") or part.file_id
        if self.is_own(message) and audio_id:
            wire["audio"] = {"id": audio_id}
        elif part.transcript:
            self._say(wire, {"type": "text", "text": part.transcript})
            self.warn(f"{where}: audio of another answer is sent as its transcript")
        else:
            self.warn(f"{where}: audio of an answer cannot be sent back: not sent")

    def answer_image(self, part: Image, wire: dict[str, Any], message: AIMessage, where: str) -> None:
        if "answer_images" in self.profile.media and part.data_url:
            wire.setdefault("images", []).append({"type": "image_url", "image_url": {"url": part.data_url}})
        else:
            self.warn(f"{where}: {self.provider} takes no images in an answer: not sent")

    def answer_opaque(self, part: Opaque, wire: dict[str, Any], message: AIMessage, where: str) -> None:
        data = self.opaque(part, where)
        if data is not None:
            self._say(wire, data)

    def answer_server_tool(self, part: ServerTool, wire: dict[str, Any], message: AIMessage, where: str) -> None:
        self.warn(f"{where}: the {part.kind or 'tool'} that the provider ran is not sent to {self.provider}")

    def answer_text(self, part: Text, wire: dict[str, Any], message: AIMessage, where: str) -> None:
        """Texts are taken together above; Chat Completions takes no citations back, of which only other makers' are told."""
        if part.citations and message.provider != self.provider:
            self.warn(f"{where}: citations of another provider are not sent to {self.provider}")

    def answer_other(self, part: Part, wire: dict[str, Any], message: Any, where: str) -> None:
        self.warn(f"{where}: {type(part).__name__} has no place in an answer: not sent")

    # -- results

    def tool_result(self, result: ToolResult, images: list[dict[str, Any]]) -> dict[str, Any]:
        content: str | list[dict[str, Any]]
        if isinstance(result.content, str):
            content = ("[error] " if result.is_error else "") + result.content
        else:
            content = self._result_parts(result, images)
        if not result.tool_call_id and result.name in self._legacy and isinstance(content, str):
            return {"role": "function", "name": result.name, "content": content}
        if result.cache:
            content = content if is_array(content) else [{"type": "text", "text": content}]
            content[-1] = self.cached(result, dict(content[-1]))
        wire: dict[str, Any] = {"role": "tool", "content": content, "tool_call_id": self._result_id(result)}
        if result.name and "tool_name" in self.profile.media:
            wire["name"] = result.name
        return wire

    def _result_id(self, result: ToolResult) -> str:
        found = self._foreign.find(result.tool_call_id, result.name)
        if found is not None and result.tool_call_id not in self._own_last:
            return found
        if not result.tool_call_id and "" not in self._own_ids:
            raise UsageError(
                f"{self._where}: a tool's result needs tool_call_id=, the id of the call that it answers",
                argument="tool_call_id",
            )
        self._close(0, result.tool_call_id)
        return result.tool_call_id

    def _close(self, field: int, value: str) -> str | None:
        """Take the oldest own call without a result that has this id (field 0) or name (1); its id."""
        found = next((c for c in self._own_open if c[field] == value), None)
        if found is None:
            return None
        self._own_open.remove(found)
        return found[0]

    def _result_parts(self, result: ToolResult, images: list[dict[str, Any]]) -> list[dict[str, Any]]:
        parts: list[dict[str, Any]] = [{"type": "text", "text": "[error]"}] if result.is_error else []
        moved = 0
        for position, part in enumerate(result.content):
            wire = self.part(part, position)  # type: ignore[arg-type]
            if wire is None:
                continue
            if wire.get("type") == "text" or "tool_images" in self.profile.media:
                parts.append(wire)
            else:
                images.append(wire)
                moved += 1
        if moved:
            self.warn(f"{self._where}: images and files of a tool result are sent in a user message after it")
        return parts or [{"type": "text", "text": "(see the next message)" if moved else ""}]

    def function_result(self, message: FunctionMessage) -> dict[str, Any]:
        """A result in the manner of 2023, which names the function: of an answer in today's form, that of its call."""
        if is_array(message.content):
            for position, part in enumerate(message.content):
                if not isinstance(part, Text):
                    self.dropped(part, f"{self._where}.content[{position}]")
        own = self._close(1, message.name)
        wire_id = self._foreign.open_call(message.name) if own is None else own
        if wire_id is not None:
            return {"role": "tool", "content": message.text, "tool_call_id": wire_id}
        return {"role": "function", "name": message.name, "content": message.text}


_ANSWER_PARTS: dict[type[Any], Callable[[AnswerWriter, Any, dict[str, Any], AIMessage, str], None]] = {
    Text: AnswerWriter.answer_text,
    Reasoning: AnswerWriter.answer_reasoning,
    ToolCall: AnswerWriter.answer_call,
    InvalidToolCall: AnswerWriter.answer_call,
    Refusal: AnswerWriter.answer_refusal,
    Audio: AnswerWriter.answer_audio,
    Image: AnswerWriter.answer_image,
    Opaque: AnswerWriter.answer_opaque,
    ServerTool: AnswerWriter.answer_server_tool,
}
