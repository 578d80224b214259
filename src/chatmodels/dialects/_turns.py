"""A conversation as instructions and turns of user and assistant, for wires that want it so (Anthropic,
Bedrock).

Owns where each message goes, which call a result answers, and what is said about what could not be sent. A
subclass says how each kind of part is written: tables from part type to a method that gives the wire
blocks.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar, TypeAlias

from .._inputs import tool_call
from .._messages import (
    AIMessage,
    ChatMessage,
    FunctionMessage,
    HumanMessage,
    Message,
    SystemMessage,
    ToolMessage,
)
from .._parts import File, Image, InvalidToolCall, Opaque, Part, ServerTool, Text, ToolCall, ToolResult, Video
from .._schema_walk import is_array, is_object
from ._call_ids import CallIds
from ._writer import Writer

Block: TypeAlias = dict[str, Any]
Writers: TypeAlias = Mapping[type[Any], Callable[[Any, Any, str], list[Block]]]

_USER_ROLES = ("user", "human")
_SYSTEM_ROLES = ("system", "developer")
_ANSWER_ROLES = ("assistant", "ai")
_LEGACY_CALLS = ("function_call", "tool_calls")


class Turns(Writer):
    """Collects `system` (blocks) and `turns` (`{"role", "content": [blocks]}`); `warnings` says what was
    left out.
    """

    #: Part type -> method that writes it, by the place in which the part stands.
    SYSTEM: ClassVar[Writers] = {}
    USER: ClassVar[Writers] = {}
    ANSWER: ClassVar[Writers] = {}
    RESULT: ClassVar[Writers] = {}

    def __init__(self, provider: str, refused_in_ids: re.Pattern[str], longest_id: int) -> None:
        super().__init__(provider)
        self.system: list[Block] = []
        self.turns: list[dict[str, Any]] = []
        self.ids = CallIds(refused_in_ids, longest_id)
        #: Does the answer that is being written come from this provider?
        self.own = False

    def walk(self, messages: Sequence[Message]) -> None:
        """Write all messages."""
        for number, message in enumerate(messages):
            where = f"messages[{number}]"
            _MESSAGES[type(message)](self, message, where)
            self._rest_of(message, where)

    def _rest_of(self, message: Message, where: str) -> None:
        if message.name and not isinstance(message, (ToolMessage, FunctionMessage)):
            self.warn(f"{self.provider} does not take the name of a speaker: not sent")
        known = _LEGACY_CALLS if isinstance(message, AIMessage) else ()
        for key, value in message.additional_kwargs.items():
            if value is not None and key not in known:
                self.warn(f"{where}: additional_kwargs[{key!r}] has no place in {self.provider}: not sent")

    # -- one method per kind of message

    def system_message(self, message: SystemMessage | ChatMessage, where: str) -> None:
        blocks = self.write(message.parts, self.SYSTEM, where)
        if self.inner_system(message, blocks):
            return
        self.system += blocks
        if self.turns:
            self.warn(f"{where}: instructions in the middle of the conversation are sent with those at its head")

    def inner_system(self, message: SystemMessage | ChatMessage, blocks: list[Block]) -> bool:
        """Write instructions where they stand; False when the wire has no place for them there."""
        return False

    def human(self, message: HumanMessage | ChatMessage, where: str) -> None:
        self.speak("user", self.write(message.parts, self.USER, where), where)

    def answer(self, message: AIMessage, where: str) -> None:
        self.own = message.provider == self.provider
        blocks = self.write(message.parts, self.ANSWER, where)
        for call in legacy_calls(message):
            blocks += self.write([call], self.ANSWER, where)
        self.speak("assistant", blocks, where)

    def tool_message(self, message: ToolMessage, where: str) -> None:
        self.speak("user", self.write([message.result], self.USER, where), where)

    def function(self, message: FunctionMessage, where: str) -> None:
        """The manner of 2023 names the function, not the call: it answers the oldest open call of that
        name.
        """
        wire_id = self.ids.open_call(message.name)
        if wire_id is None:
            self.warn(f"{where}: no call of {message.name!r} comes before this result: sent as a user message")
            self.speak("user", self.write(message.parts, self.USER, where), where)
        else:
            result = ToolResult("", message.content, name=message.name)
            self.speak("user", self.tool_result(result, wire_id, where), where)

    def chat(self, message: ChatMessage, where: str) -> None:
        role = message.role.lower()
        if role in _SYSTEM_ROLES:
            self.system_message(message, where)
        elif role in _ANSWER_ROLES:
            self.answer(AIMessage(message.content), where)
        else:
            if role not in _USER_ROLES:
                self.warn(f"{where}: {self.provider} has no role {message.role!r}: sent as 'user'")
            self.human(message, where)

    # -- blocks

    def speak(self, role: str, blocks: list[Block], where: str) -> None:
        """Add blocks to the turn of that role, which may be the one that is open."""
        if not blocks:
            self.warn(f"{where}: an empty message is not sent")
        elif self.turns and self.turns[-1]["role"] == role:
            self.turns[-1]["content"] += blocks
        else:
            self.turns.append({"role": role, "content": blocks})

    def write(self, parts: Sequence[Part], writers: Writers, where: str) -> list[Block]:
        """The parts as blocks."""
        blocks: list[Block] = []
        for position, part in enumerate(parts):
            place = f"{where}.content[{position}]"
            writer = writers.get(type(part))
            if writer is None:
                self.dropped(part, place)
            else:
                blocks += writer(self, part, place)
        return blocks

    def foreign_tool(self, part: ServerTool, where: str) -> None:
        self.warn(f"{where}: the {part.kind or 'tool'} that another provider ran is not sent to {self.provider}")

    def kept(self, part: Opaque, where: str) -> list[Block]:
        """An opaque part of this provider as it came; none for another's."""
        found = self.opaque(part, where)
        return [] if found is None else [dict(found)]

    def answer_media(self, part: Image | File | Video, where: str) -> list[Block]:
        self.warn(f"{where}: {self.provider} takes no {type(part).__name__.lower()} in an answer: not sent")
        return []

    def foreign_reasoning(self, where: str) -> None:
        self.warn(f"{where}: reasoning that {self.provider} did not sign is not sent to it")

    def result_part(self, part: ToolResult, where: str) -> list[Block]:
        return self.tool_result(part, self.ids.result(part.tool_call_id, part.name), where)

    def tool_result(self, part: ToolResult, wire_id: str, where: str) -> list[Block]:
        """The result of the call `wire_id` as blocks."""
        raise NotImplementedError


def args_object(call: ToolCall | InvalidToolCall) -> dict[str, Any]:
    """The arguments as the object that these wires want; what is no object is wrapped, not lost.

    The name INVALID_JSON for arguments that are not JSON is Anthropic's ("Fine-grained tool streaming",
    2026-11).
    """
    if isinstance(call, InvalidToolCall):
        return {"INVALID_JSON": call.args}
    if is_object(call.args):
        return call.args
    return {"input": call.args} if call.args is not None else {}


def legacy_calls(message: AIMessage) -> list[ToolCall | InvalidToolCall]:
    """Calls that stand in `additional_kwargs`, as in 2023, unless the content has calls."""
    found: list[ToolCall | InvalidToolCall] = []
    if message.tool_calls:
        return found
    given = message.additional_kwargs.get("tool_calls")
    for wire in given if is_array(given) else ():
        function = wire.get("function") if is_object(wire) else None
        if is_object(function):
            found.append(
                tool_call(str(wire.get("id") or ""), str(function.get("name") or ""), function.get("arguments"))
            )
    one = message.additional_kwargs.get("function_call")
    if is_object(one):
        found.append(tool_call("", str(one.get("name") or ""), one.get("arguments")))
    return found


def has_foreign_citations(part: Text, provider: str) -> bool:
    """Is there a citation on the text that this provider did not make?"""
    return any(provider not in (c.provider_data or {}) for c in part.citations)


_MESSAGES: dict[type[Any], Callable[[Turns, Any, str], None]] = {
    SystemMessage: Turns.system_message,
    HumanMessage: Turns.human,
    AIMessage: Turns.answer,
    ToolMessage: Turns.tool_message,
    ChatMessage: Turns.chat,
    FunctionMessage: Turns.function,
}
