"""Parts -> content blocks of Anthropic Messages: one method per kind of part and place. Knows no settings.

Source: the Messages API reference and the types of anthropic 2.12, checked 2026-11.
"""

from __future__ import annotations

import re
from typing import ClassVar

from .._messages import ChatMessage, SystemMessage
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
from ._kept import kept, kept_dict
from ._media_types import media_type
from ._turns import Block, Turns, Writers, args_object, has_foreign_citations

_IMAGES = ("image/jpeg", "image/png", "image/gif", "image/webp")
_LIFETIMES = ("5m", "1h")
_REFUSED_IN_IDS = re.compile(r"[^a-zA-Z0-9_-]")


class AnthropicTurns(Turns):
    """The conversation in Anthropic's blocks. `files` tells that a block names an uploaded file."""

    def __init__(self, provider: str, *, inner_system: bool, unsigned_reasoning: bool) -> None:
        super().__init__(provider, _REFUSED_IN_IDS, 128)
        self._inner_system = inner_system
        self._unsigned = unsigned_reasoning
        self.files = False

    def inner_system(self, message: SystemMessage | ChatMessage, blocks: list[Block]) -> bool:
        extra = kept_dict(message, self.provider, "inner")
        after_user = bool(self.turns) and self.turns[-1]["role"] == "user"
        if not (extra or (self._inner_system and after_user)):
            return False
        fields = {k: v for k, v in extra.items() if k != "role"}
        self.turns.append({"role": "system", "content": blocks, **fields})
        return True

    # -- what all blocks share

    def block(self, part: Part, block: Block, *, cached: bool = True) -> list[Block]:
        """The block with its cache point and with what else this provider keeps on the part."""
        block.update(kept_dict(part, self.provider, "extra"))
        if part.cache and cached:
            block["cache_control"] = self.cache_control(part.cache)
        return [block]

    def cache_control(self, cache: bool | str) -> Block:
        """A prompt-cache point; a text is its lifetime."""
        if cache is True:
            return {"type": "ephemeral"}
        if cache not in _LIFETIMES:
            self.warn(f"{self.provider} keeps prompts for 5m or 1h: a cache point for {cache!r} is sent as '1h'")
            cache = "1h"
        return {"type": "ephemeral", "ttl": cache}

    # -- text

    def text(self, part: Text, where: str) -> list[Block]:
        if part.citations:
            self.warn(f"{where}: {self.provider} takes citations only in its own answers: not sent")
        return self.block(part, {"type": "text", "text": part.text}) if part.text else []

    def answer_text(self, part: Text, where: str) -> list[Block]:
        if not part.text:
            return []
        block: Block = {"type": "text", "text": part.text}
        citations = [c for given in part.citations if (c := kept(given, self.provider, "citation")) is not None]
        if citations:
            block["citations"] = citations
        if has_foreign_citations(part, self.provider):
            self.warn(f"{where}: citations of another provider are not sent to {self.provider}")
        return self.block(part, block)

    def refusal(self, part: Refusal, where: str) -> list[Block]:
        if kept(part, self.provider, "stop_details"):
            return []
        return [{"type": "text", "text": part.text}] if part.text else []

    # -- media

    def image(self, part: Image, where: str) -> list[Block]:
        return self.block(part, {"type": "image", "source": self.source(part, where, _IMAGES)})

    def source(self, part: Image | File, where: str, types: tuple[str, ...]) -> Block:
        if part.file_id is not None:
            self.files = True
            return {"type": "file", "file_id": part.file_id}
        if part.data is None:
            return {"type": "url", "url": part.url}
        kind = media_type(part.data, part.media_type)
        kind = "image/jpeg" if kind == "image/jpg" else kind
        if kind not in types:
            raise self.cannot(where, f"{kind or 'data of an unknown type'}", f"give media_type= of {', '.join(types)}")
        return {"type": "base64", "media_type": kind, "data": part.base64}

    def file(self, part: File, where: str) -> list[Block]:
        kind = media_type(part.data, part.media_type) if part.data is not None else None
        if kind is not None and kind.startswith("image/"):
            return self.block(part, {"type": "image", "source": self.source(part, where, _IMAGES)})
        if kind is not None and (kind.startswith("text/") or kind == "application/json"):
            source = self.plain_text(part, where)
        else:
            source = self.source(part, where, ("application/pdf",))
        block: Block = {"type": "document", "source": source}
        if part.name:
            block["title"] = part.name
        return self.block(part, block)

    def plain_text(self, part: File, where: str) -> Block:
        try:
            said = (part.data or b"").decode()
        except UnicodeDecodeError as error:
            raise self.cannot(where, f"text that is not UTF-8 ({error})", "convert it first") from error
        return {"type": "text", "media_type": "text/plain", "data": said}

    def audio(self, part: Audio, where: str) -> list[Block]:
        if part.transcript:
            self.warn(f"{where}: {self.provider} takes no audio: its transcript is sent")
            return [{"type": "text", "text": part.transcript}]
        raise self.cannot(where, "audio", "give its transcript, or use a provider that takes audio (google, openai)")

    def video(self, part: Video, where: str) -> list[Block]:
        raise self.no_video(where)

    # -- answers sent back

    def reasoning(self, part: Reasoning, where: str) -> list[Block]:
        if part.cache:
            self.warn(f"{where}: {self.provider} takes no prompt-cache point on reasoning: not sent")
        if self.own and part.encrypted is not None:
            return self.block(part, {"type": "redacted_thinking", "data": part.encrypted}, cached=False)
        if self.own and part.signature is not None:
            block = {"type": "thinking", "thinking": part.text, "signature": part.signature}
            return self.block(part, block, cached=False)
        if self._unsigned and part.text:
            return [{"type": "thinking", "thinking": part.text, "signature": ""}]
        self.foreign_reasoning(where)
        return []

    def call(self, part: ToolCall | InvalidToolCall, where: str) -> list[Block]:
        wire_id = self.ids.call(part.id, part.name)
        return self.block(part, {"type": "tool_use", "id": wire_id, "name": part.name, "input": args_object(part)})

    def server_tool(self, part: ServerTool, where: str) -> list[Block]:
        own = kept_dict(part, self.provider, "block")
        if not own:
            self.foreign_tool(part, where)
            return []
        return self.block(part, dict(own))

    def answer_audio(self, part: Audio, where: str) -> list[Block]:
        if part.transcript:
            return self.audio(part, where)
        self.warn(f"{where}: {self.provider} takes no audio in an answer: not sent")
        return []

    # -- results

    def tool_result(self, part: ToolResult, wire_id: str, where: str) -> list[Block]:
        block: Block = {"type": "tool_result", "tool_use_id": wire_id}
        if isinstance(part.content, str):
            if part.content:
                block["content"] = part.content
        else:
            blocks = self.write(part.content, self.RESULT, where)
            if blocks:
                block["content"] = blocks
        if part.is_error:
            block["is_error"] = True
        return self.block(part, block)

    SYSTEM: ClassVar[Writers] = {Text: text, Opaque: Turns.kept}
    USER: ClassVar[Writers] = {
        Text: text,
        Image: image,
        File: file,
        Audio: audio,
        Video: video,
        Refusal: refusal,
        Opaque: Turns.kept,
        ToolResult: Turns.result_part,
    }
    ANSWER: ClassVar[Writers] = {
        Text: answer_text,
        Reasoning: reasoning,
        ToolCall: call,
        InvalidToolCall: call,
        ServerTool: server_tool,
        Refusal: refusal,
        Opaque: Turns.kept,
        Image: Turns.answer_media,
        File: Turns.answer_media,
        Video: Turns.answer_media,
        Audio: answer_audio,
    }
    RESULT: ClassVar[Writers] = {
        Text: text,
        Image: image,
        File: file,
        Audio: audio,
        Video: video,
        Opaque: Turns.kept,
    }
