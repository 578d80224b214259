"""An answer as the items that it came as, for the next request: texts of one message item together, reasoning
with its encrypted content, calls, and what the provider's own tools did. What another provider wrote is
dropped with a warning.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from .._messages import AIMessage
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
from ._kept import kept, kept_dict
from ._openai_responses_items import build_citation, build_image, build_reasoning
from ._turns import legacy_calls

if TYPE_CHECKING:
    from ._openai_responses_request import Encoder


class Answer:
    """One answer on its way into `encoder.items`."""

    def __init__(self, encoder: Encoder, message: AIMessage) -> None:
        self.encoder = encoder
        self.provider = encoder.provider
        self.message = message
        self.own = message.provider == encoder.provider
        #: The fields of the first message item, until it is written.
        self._head: dict[str, Any] | None = kept_dict(message, encoder.provider, "message")
        self._run: list[tuple[Part, str]] = []
        self._key: dict[str, Any] | None = None

    def write(self, where: str) -> None:
        """Append the items."""
        before = len(self.encoder.items)
        for position, part in enumerate(self.message.parts):
            self._add(part, f"{where}.content[{position}]")
        self._end_of_message()
        self._silent_message()
        for call in legacy_calls(self.message):
            self.encoder.items.append(self.encoder.calls.call(call))
        if self.message.content == "" and len(self.encoder.items) == before:
            self.encoder.items.append({"type": "message", "role": "assistant", "content": ""})

    def _add(self, part: Part, where: str) -> None:
        if isinstance(part, (Text, Refusal)) or kept(part, self.provider, "content") is not None:
            key = kept(part, self.provider, "message")
            if self._run and key != self._key:
                self._end_of_message()
            self._key = key
            self._run.append((part, where))
            return
        self._end_of_message()
        item = _ITEMS.get(type(part), Answer._other)(self, part, where)
        if item is not None:
            self.encoder.items.append(item)

    # -- message items

    def _end_of_message(self) -> None:
        """Write the message item of the texts so far."""
        if not self._run:
            return
        fields = self._key
        if fields is None:
            fields, self._head = self._head or {}, None
        for part, where in self._run:
            self._tell_losses(part, where)
        if fields.get("id") or any(self._needs_list(p) for p, _ in self._run):
            status = {"status": "completed"} if fields.get("id") else {}
            content = [self._content(p) for p, _ in self._run]
            item = {"type": "message", "role": "assistant", **status, "content": content, **fields}
        else:
            said = "".join(p.text for p, _ in self._run if isinstance(p, (Text, Refusal)))
            # llama.cpp's server knows an answer only by its type, which is optional at OpenAI.
            item = {"type": "message", "role": "assistant", "content": said, **fields}
        self.encoder.items.append(item)
        self._run, self._key = [], None

    def _silent_message(self) -> None:
        """A message item that said nothing has no part, but the reasoning before it may need it."""
        if self.own and self._head and self._head.get("id"):
            said: dict[str, Any] = {"type": "output_text", "text": "", "annotations": []}
            item: dict[str, Any] = {
                "type": "message",
                "role": "assistant",
                "status": "completed",
                "content": [said],
                **self._head,
            }
            self.encoder.items.append(item)

    def _needs_list(self, part: Part) -> bool:
        """Does the part hold what only the list form of content can say?"""
        cited = isinstance(part, Text) and any(build_citation(c, self.provider) for c in part.citations)
        return cited or kept(part, self.provider, "content") is not None

    def _content(self, part: Part) -> dict[str, Any]:
        if isinstance(part, Text):
            notes = [a for c in part.citations if (a := build_citation(c, self.provider))]
            wire = {"type": "output_text", "text": part.text, "annotations": notes}
            return {**wire, **kept_dict(part, self.provider, "content")}
        if isinstance(part, Refusal):
            return {"type": "refusal", "refusal": part.text}
        data: dict[str, Any] = part.data if isinstance(part, Opaque) else {}
        return data

    def _tell_losses(self, part: Part, where: str) -> None:
        if part.cache:
            self.encoder.warn(f"{where}: {self.provider} takes no prompt-cache point in an answer: not sent")
        if isinstance(part, Text) and any(build_citation(c, self.provider) is None for c in part.citations):
            self.encoder.warn(f"{where}: citations of another provider are not sent to {self.provider}")

    # -- other items

    def _reasoning(self, part: Reasoning, where: str) -> dict[str, Any] | None:
        options = self.encoder.options
        if not (self.own or kept_dict(part, self.provider, "extra")):
            if options.plain_reasoning and part.text:
                return build_reasoning(Reasoning(part.text), self.provider)
            self.encoder.warn(f"{where}: reasoning that {self.provider} did not write is not sent to it")
            return None
        item = build_reasoning(part, self.provider)
        known_again = part.encrypted or item.get("content") or self.encoder.call.settings.store is not False
        if known_again or options.plain_reasoning:
            return item
        self.encoder.warn(
            f"{where}: this reasoning has no encrypted content; with store=False {self.provider} does not "
            "know it by its id: not sent"
        )
        return None

    def _call(self, part: ToolCall | InvalidToolCall, where: str) -> dict[str, Any]:
        return self.encoder.calls.call(part)

    def _server_tool(self, part: ServerTool, where: str) -> dict[str, Any] | None:
        item = kept_dict(part, self.provider, "item")
        if not item:
            what = part.kind or "tool"
            self.encoder.warn(f"{where}: the {what} that another provider ran is not sent to {self.provider}")
            return None
        if item.get("type") == "mcp_approval_request":
            self.encoder.calls.approval_asked(part.id or "", part.name or "")
        return item

    def _image(self, part: Image, where: str) -> dict[str, Any] | None:
        item = build_image(part, self.provider)
        if item is None:
            self.encoder.warn(f"{where}: {self.provider} takes no image in an answer but its own: not sent")
        return item

    def _audio(self, part: Audio, where: str) -> dict[str, Any] | None:
        if not part.transcript:
            self._other(part, where)
            return None
        self.encoder.warn(f"{where}: audio of an answer is sent as its transcript")
        return {"type": "message", "role": "assistant", "content": part.transcript}

    def _opaque(self, part: Opaque, where: str) -> dict[str, Any] | None:
        return self.encoder.opaque(part, where)

    def _result(self, part: ToolResult, where: str) -> dict[str, Any]:
        return self.encoder.calls.result(part)

    def _other(self, part: Part, where: str) -> None:
        self.encoder.warn(f"{where}: {type(part).__name__} has no place in an answer: not sent")


_ITEMS: dict[type[Any], Callable[[Answer, Any, str], dict[str, Any] | None]] = {
    Reasoning: Answer._reasoning,
    ToolCall: Answer._call,
    InvalidToolCall: Answer._call,
    ServerTool: Answer._server_tool,
    Image: Answer._image,
    Audio: Answer._audio,
    Opaque: Answer._opaque,
    ToolResult: Answer._result,
}
