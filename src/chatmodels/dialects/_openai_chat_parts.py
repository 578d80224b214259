"""Our parts as content parts of Chat Completions, and the `Profile` that says how a host differs from the reference.

Source: the API reference of Chat Completions and the parameter types of openai 3.54, checked 2026-11. Pure.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import msgspec

from .._errors import UsageError
from .._inputs_openai import SHAPE
from .._json import mapping
from .._messages import Message
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
from ._media_types import media_type
from ._writer import Writer


class Profile(msgspec.Struct, frozen=True, kw_only=True):
    """How one host's Chat Completions differ from the reference.

    `reasoning_field` is the field in which the model's working goes back ("reasoning_content" or "reasoning"; None:
    it does not). `reasoning_style` is "effort" (`reasoning_effort`) or "object" (`reasoning: {effort, max_tokens}`).
    `sampling` lists settings beyond the reference that the host takes ("top_k", "min_p"). `media` lists input forms
    beyond the reference ("video", "file_url", "audio_url", "tool_images", "tool_name", "answer_images").
    `audio_formats` lists the sound formats that are taken (empty: any). `cache_points` says how a prompt-cache point is
    spelled: "" (there are none), "cache_control" (Anthropic's, which gateways took over) or "breakpoint" (OpenAI's).
    `usage_option` says that a stream is asked for its usage by `stream_options`. `json_schema` says that
    `response_format` takes a schema; `strict` that outputs are held to it in OpenAI's strict subset, where it can say them.
    """

    max_tokens_field: str = "max_tokens"
    reasoning_field: str | None = None
    reasoning_style: str = "effort"
    sampling: frozenset[str] = frozenset()
    media: frozenset[str] = frozenset()
    audio_formats: frozenset[str] = frozenset()
    cache_points: str = ""
    usage_option: bool = True
    json_schema: bool = True
    strict: bool = False


_AUDIO_FORMATS = {
    "audio/wav": "wav",
    "audio/x-wav": "wav",
    "audio/wave": "wav",
    "audio/mpeg": "mp3",
    "audio/mp3": "mp3",
}
_SUFFIXES = {"application/pdf": "pdf", "text/plain": "txt", "text/markdown": "md", "application/json": "json"}

#: Models of OpenAI that refuse explicit cache points, which came with gpt-5.6 (guide "Prompt caching", checked 2026-11).
_NO_BREAKPOINTS = re.compile(r"(^|[/.])(gpt-3|gpt-4|chatgpt-4|o[134](-|$)|gpt-5(\.[0-5])?(?![.\d]))")


class PartWriter(Writer):
    """Writes the parts of the caller's side; `warnings` collects what the wire has no place for."""

    def __init__(self, provider: str, profile: Profile) -> None:
        super().__init__(provider)
        self.profile = profile
        self.model = ""
        self._where = ""

    def content(self, content: str | list[Part]) -> str | list[dict[str, Any]]:
        if isinstance(content, str):
            return content
        parts = [wire for i, p in enumerate(content) if (wire := self.part(p, i)) is not None]
        return parts or ""

    def instructions(self, content: str | list[Part], role: str) -> str | list[dict[str, Any]]:
        """The content of a message that takes text only."""
        if not isinstance(content, str):
            for position, part in enumerate(content):
                if isinstance(part, (Image, Audio, Video, File)):
                    where, kind = f"{self._where}.content[{position}]", type(part).__name__
                    raise self.cannot(where, f"{kind} in a {role} message", "put it into a HumanMessage")
        return self.content(content)

    def part(self, part: Part, position: int) -> dict[str, Any] | None:
        wire = _PARTS[type(part)](self, part, f"{self._where}.content[{position}]")
        if wire is None or part.provider_data is None:
            return wire
        return {**wire, **mapping(own_data(part, self.provider).get("extra"))}

    def cached(self, part: Part, wire: dict[str, Any]) -> dict[str, Any]:
        """The part's cache point in the host's spelling."""
        style = self.profile.cache_points
        if not part.cache:
            return wire
        if style == "cache_control":
            wire["cache_control"] = cache_control(part.cache)
        elif style == "breakpoint" and not _NO_BREAKPOINTS.search(self.model):
            wire["prompt_cache_breakpoint"] = self._breakpoint(part.cache)
        elif style:
            self.warn(f"{self.provider} takes no prompt-cache points for {self.model}: not sent")
        else:
            self.warn(f"{self.provider} has no prompt-cache points (it caches by itself): not sent")
        return wire

    def _breakpoint(self, cache: bool | str) -> dict[str, Any]:
        """OpenAI's cache point: the lifetime is a minimum, "30m" where it is left out, or "12h"."""
        if not isinstance(cache, str) or cache == "5m":
            return {"mode": "explicit"}
        if cache not in ("30m", "12h"):
            self.warn(f"a cache point for {cache!r} is sent as '12h': {self.provider} has '30m' and '12h'")
        return {"mode": "explicit", "ttl": "30m" if cache == "30m" else "12h"}

    # -- one method per kind of part

    def text(self, part: Text, where: str) -> dict[str, Any] | None:
        return self.cached(part, {"type": "text", "text": part.text})

    def image(self, part: Image, where: str) -> dict[str, Any] | None:
        url = part.url
        if part.data is not None:
            url = f"data:{media_type(part.data, part.media_type) or 'image/png'};base64,{part.base64}"
        if url is None:
            raise self.cannot(where, "an image by file id", "give url= or data=")
        image = {"url": url, "detail": part.detail} if part.detail else {"url": url}
        return self.cached(part, {"type": "image_url", "image_url": image})

    def audio(self, part: Audio, where: str) -> dict[str, Any] | None:
        if part.data is None:
            return self._audio_elsewhere(part, where)
        kind = media_type(part.data, part.media_type) or "audio/wav"
        name = _AUDIO_FORMATS.get(kind) or kind.rpartition("/")[2]
        taken = self.profile.audio_formats
        if taken and name not in taken:
            raise self.cannot(where, f"audio of type {kind}", f"convert it to {' or '.join(sorted(taken))}")
        return self.cached(part, {"type": "input_audio", "input_audio": {"data": part.base64, "format": name}})

    def _audio_elsewhere(self, part: Audio, where: str) -> dict[str, Any] | None:
        if part.url and "audio_url" in self.profile.media:
            return self.cached(part, {"type": "audio_url", "audio_url": {"url": part.url}})
        if part.transcript:
            self.warn(f"{where}: audio without its bytes is sent as its transcript")
            return self.cached(part, {"type": "text", "text": part.transcript})
        raise self.cannot(where, "audio by URL or file id", "give the bytes: Audio(data=...)")

    def video(self, part: Video, where: str) -> dict[str, Any] | None:
        if "video" not in self.profile.media or part.data_url is None:
            raise self.no_video(where)
        return self.cached(part, {"type": "video_url", "video_url": {"url": part.data_url}})

    def file(self, part: File, where: str) -> dict[str, Any] | None:
        if part.file_id is not None:
            named = {"filename": part.name} if part.name else {}
            return self.cached(part, {"type": "file", "file": {"file_id": part.file_id, **named}})
        url, suffix = part.url, "pdf"
        if part.data is not None:
            kind = media_type(part.data, part.media_type)
            if kind is None:
                raise UsageError(f"{where}: File(data=...) needs media_type= (e.g. 'application/pdf')", argument=where)
            url, suffix = f"data:{kind};base64,{part.base64}", _SUFFIXES.get(kind, kind.rpartition("/")[2])
        elif "file_url" not in self.profile.media:
            raise self.cannot(where, "a file by URL", "give its bytes: File(data=...) or File.from_path(...)")
        file: dict[str, Any] = {"filename": part.name or f"file.{suffix}", "file_data": url}
        return self.cached(part, {"type": "file", "file": file})

    def refused(self, part: Refusal, where: str) -> dict[str, Any] | None:
        """The caller's side has no refusals: their text."""
        return self.cached(part, {"type": "text", "text": part.text})


def own_data(value: Message | Part, provider: str) -> dict[str, Any]:
    """What the provider itself put beside a message or a part; empty for anybody else's."""
    data = value.provider_data
    if not data:
        return {}
    shaped = mapping(data.get(SHAPE))
    return {**shaped, **mapping(data.get(provider))} if shaped else mapping(data.get(provider))


def cache_control(cache: bool | str) -> dict[str, Any]:
    """A prompt-cache point in the spelling that Anthropic has and others took over."""
    return {"type": "ephemeral", "ttl": cache} if isinstance(cache, str) else {"type": "ephemeral"}


_PARTS: dict[type[Any], Callable[[PartWriter, Any, str], dict[str, Any] | None]] = {
    Text: PartWriter.text,
    Image: PartWriter.image,
    Audio: PartWriter.audio,
    Video: PartWriter.video,
    File: PartWriter.file,
    Refusal: PartWriter.refused,
    Opaque: PartWriter.opaque,
    Reasoning: PartWriter.dropped,
    ToolCall: PartWriter.dropped,
    InvalidToolCall: PartWriter.dropped,
    ToolResult: PartWriter.dropped,
    ServerTool: PartWriter.dropped,
}
