"""Parts -> content blocks of Bedrock Converse: one method per kind of part and place. Knows no settings.

Source: the service model of bedrock-runtime in botocore 1.44 and the Converse API reference, checked 2026-11.
"""

from __future__ import annotations

import re
from pathlib import PurePosixPath
from typing import ClassVar, TypeVar

from msgspec.structs import replace

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

M = TypeVar("M", Image, File, Video, Audio)

_REFUSED_IN_IDS = re.compile(r"[^a-zA-Z0-9_.:-]")
_REFUSED_IN_NAMES = re.compile(r"[^a-zA-Z0-9_()\[\] -]+")
_LIFETIMES = ("5m", "1h")

_IMAGES = {
    "image/png": "png",
    "image/jpeg": "jpeg",
    "image/jpg": "jpeg",
    "image/gif": "gif",
    "image/webp": "webp",
}
_FILES = {
    "application/pdf": "pdf",
    "text/csv": "csv",
    "application/msword": "doc",
    "application/vnd.openxmlformats-officedocument.wordprocessingml.document": "docx",
    "application/vnd.ms-excel": "xls",
    "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet": "xlsx",
    "text/html": "html",
    "text/plain": "txt",
    "text/markdown": "md",
}
_VIDEOS = {
    "video/x-matroska": "mkv",
    "video/quicktime": "mov",
    "video/mp4": "mp4",
    "video/webm": "webm",
    "video/x-flv": "flv",
    "video/mpeg": "mpeg",
    "video/x-ms-wmv": "wmv",
    "video/3gpp": "three_gp",
}
_AUDIOS = {
    "audio/mpeg": "mp3",
    "audio/mp3": "mp3",
    "audio/wav": "wav",
    "audio/x-wav": "wav",
    "audio/flac": "flac",
    "audio/ogg": "ogg",
    "audio/opus": "opus",
    "audio/aac": "aac",
    "audio/mp4": "mp4",
    "audio/m4a": "m4a",
    "audio/webm": "webm",
}


class BedrockTurns(Turns):
    """The conversation in the blocks of Converse."""

    def __init__(self, provider: str, *, unsigned_reasoning: bool) -> None:
        super().__init__(provider, _REFUSED_IN_IDS, 64)
        self._unsigned = unsigned_reasoning
        self._document_names: set[str] = set()
        #: Names of the tools that the conversation calls.
        self.called: dict[str, None] = {}

    # -- what all blocks share

    def block(self, part: Part, key: str, inner: object, *, cached: bool = True) -> list[Block]:
        """A block of one key, and after it the cache point, which is a block of its own."""
        blocks: list[Block] = [{key: inner}]
        if part.cache and cached:
            blocks.append(self.cache_point(part.cache))
        return blocks

    def cache_point(self, cache: bool | str) -> Block:
        point = {"type": "default"}
        if isinstance(cache, str):
            if cache not in _LIFETIMES:
                self.warn(f"{self.provider} keeps prompts for 5m or 1h: a cache point for {cache!r} is sent as '1h'")
            point["ttl"] = cache if cache in _LIFETIMES else "1h"
        return {"cachePoint": point}

    # -- text

    def text(self, part: Text, where: str) -> list[Block]:
        if part.citations:
            self.warn(f"{where}: {self.provider} takes citations only in its own answers: not sent")
        return self.block(part, "text", part.text) if part.text else []

    def answer_text(self, part: Text, where: str) -> list[Block]:
        citations = [c for given in part.citations if (c := kept(given, self.provider, "citation")) is not None]
        if has_foreign_citations(part, self.provider):
            self.warn(f"{where}: citations of another provider are not sent to {self.provider}")
        if not citations:
            return self.block(part, "text", part.text) if part.text else []
        content = {"content": [{"text": part.text}]} if part.text else {}
        return self.block(part, "citationsContent", {**content, "citations": citations})

    def refusal(self, part: Refusal, where: str) -> list[Block]:
        return [{"text": part.text}] if part.text else []

    # -- media

    def media(self, part: Image | File | Video | Audio, key: str, types: dict[str, str], where: str) -> list[Block]:
        extra = kept_dict(part, self.provider, "extra")
        as_text = bool(extra.get("source_is_text"))
        source = {"text": (part.data or b"").decode()} if as_text else self.source(part, where)
        form = types.get(part.media_type or "")
        inner: Block = {} if form is None else {"format": form}
        if key == "document":
            inner["name"] = self.document_name(part.name)
        # The service knows the format of a text, and a document in S3, by itself.
        if form is None and (part.media_type or key != "document" or not (as_text or part.data is None)):
            what = part.media_type or f"{key} data of an unknown type"
            raise self.cannot(where, what, f"give media_type= of {', '.join(types)}")
        inner["source"] = source
        inner.update({k: v for k, v in extra.items() if k != "source_is_text"})
        return self.block(part, key, inner)

    def source(self, part: Image | File | Video | Audio, where: str) -> Block:
        if part.data is not None:
            return {"bytes": part.base64}
        if part.url is not None and part.url.startswith("s3://"):
            return {"s3Location": {"uri": part.url}}
        what = "a file id" if part.file_id is not None else "a URL that is not s3://"
        raise self.cannot(where, what, f"give the bytes: {type(part).__name__}(data=...) or .from_path(...)")

    def document_name(self, given: str | None) -> str:
        """The file's name as the service takes it: without its ending, in few characters, unique in the
        request.
        """
        name = given or ""
        if PurePosixPath(name).suffix.lower().lstrip(".") in _FILES.values():
            name = PurePosixPath(name).stem
        base = " ".join(_REFUSED_IN_NAMES.sub(" ", name).split())[:190] or "document"
        name, number = base, 2
        while name.lower() in self._document_names:
            name, number = f"{base}-{number}", number + 1
        self._document_names.add(name.lower())
        return name

    def image(self, part: Image, where: str) -> list[Block]:
        kind = media_type(part.data or b"", part.media_type) or _by_ending(part.url, _IMAGES)
        return self.media(_typed(part, kind), "image", _IMAGES, where)

    def file(self, part: File, where: str) -> list[Block]:
        kind = media_type(part.data or b"", part.media_type) or _by_ending(part.url, _FILES)
        if kind in _IMAGES:
            return self.media(_typed(part, kind), "image", _IMAGES, where)
        if kind is not None and kind not in _FILES and (kind.startswith("text/") or kind == "application/json"):
            kind = "text/plain"
        return self.media(_typed(part, kind), "document", _FILES, where)

    def video(self, part: Video, where: str) -> list[Block]:
        kind = media_type(part.data or b"", part.media_type) or _by_ending(part.url, _VIDEOS)
        return self.media(_typed(part, kind), "video", _VIDEOS, where)

    def audio(self, part: Audio, where: str) -> list[Block]:
        if part.data is None and part.url is None and part.transcript:
            self.warn(f"{where}: of audio without its sound the transcript is sent")
            return [{"text": part.transcript}]
        kind = media_type(part.data or b"", part.media_type) or _by_ending(part.url, _AUDIOS)
        return self.media(_typed(part, kind), "audio", _AUDIOS, where)

    # -- answers sent back

    def reasoning(self, part: Reasoning, where: str) -> list[Block]:
        if part.cache:
            self.warn(f"{where}: {self.provider} takes no prompt-cache point on reasoning: not sent")
        if self.own and part.encrypted is not None:
            return [{"reasoningContent": {"redactedContent": part.encrypted}}]
        if self.own and part.signature is not None:
            return [{"reasoningContent": {"reasoningText": {"text": part.text, "signature": part.signature}}}]
        if self._unsigned and part.text:
            return [{"reasoningContent": {"reasoningText": {"text": part.text}}}]
        self.foreign_reasoning(where)
        return []

    def call(self, part: ToolCall | InvalidToolCall, where: str) -> list[Block]:
        self.called[part.name] = None
        inner = {
            "toolUseId": self.ids.call(part.id, part.name),
            "name": part.name,
            "input": args_object(part),
        }
        return self.block(part, "toolUse", {**inner, **kept_dict(part, self.provider, "extra")})

    def server_tool(self, part: ServerTool, where: str) -> list[Block]:
        own = kept_dict(part, self.provider, "block")
        if not own:
            self.foreign_tool(part, where)
            return []
        return [dict(own)]

    def answer_audio(self, part: Audio, where: str) -> list[Block]:
        self.warn(f"{where}: {self.provider} takes no audio in an answer: its transcript, if any, is sent")
        return [{"text": part.transcript}] if part.transcript else []

    # -- results

    def tool_result(self, part: ToolResult, wire_id: str, where: str) -> list[Block]:
        content = part.content
        parts: list[Part] = ([Text(content)] if content else []) if isinstance(content, str) else content
        blocks = [b for b in self.write(parts, self.RESULT, where) if "cachePoint" not in b]
        inner: Block = {"toolUseId": wire_id, "content": blocks}
        if part.is_error:
            inner["status"] = "error"
        if part.name:
            self.called.setdefault(part.name, None)
        return self.block(part, "toolResult", {**inner, **kept_dict(part, self.provider, "extra")})

    SYSTEM: ClassVar[Writers] = {Text: text, Opaque: Turns.kept}
    USER: ClassVar[Writers] = {
        Text: text,
        Image: image,
        File: file,
        Video: video,
        Audio: audio,
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
        Video: video,
        Opaque: Turns.kept,
    }


def _by_ending(url: str | None, types: dict[str, str]) -> str | None:
    """The media type by the ending of a URL."""
    ending = PurePosixPath(url or "").suffix.lower().lstrip(".")
    ending = {"jpg": "jpeg", "mpg": "mpeg", "3gp": "three_gp"}.get(ending, ending)
    return next((kind for kind, form in types.items() if form == ending), None)


def _typed(part: M, kind: str | None) -> M:
    return part if kind is None or kind == part.media_type else replace(part, media_type=kind)
