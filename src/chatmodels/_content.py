"""What users may give as a message's content -> a list of parts. Knows the parts and the common dict spellings.

Taken: parts; strings; our own dicts (`{"type": "image", "url": ...}`); OpenAI chat's content dicts
(`text`, `image_url`, `input_audio`, `audio_url`, `file`, `video_url`, `refusal`). Anything else is a UsageError that
names the item.
"""

from __future__ import annotations

from base64 import b64decode
from collections.abc import Callable, Sequence
from typing import Any, cast

import msgspec

from ._errors import UsageError
from ._json import is_object, mapping
from ._parts import PART_TYPES, Audio, File, Image, Opaque, Part, Reasoning, Refusal, Text, Video

_AUDIO_TYPES = {"wav": "audio/wav", "mp3": "audio/mpeg"}


def content_of(content: Any) -> str | list[Part]:
    """Content as the messages hold it. None becomes the empty string (an answer that only calls tools)."""
    if isinstance(content, str):
        return content
    if content is None:
        return ""
    if isinstance(content, PART_TYPES):
        return [cast(Part, content)]
    if isinstance(content, Sequence) and not isinstance(content, (bytes, bytearray)):
        return [part_of(item, i) for i, item in enumerate(cast("Sequence[Any]", content))]
    raise UsageError(_refused(content), argument="content")


def _refused(content: Any) -> str:
    if is_object(content):
        return "content is a str or a list of parts: put a part given as a dict into a list, [{'type': 'text', ...}]"
    return f"content is a str or a list of parts, not {type(content).__name__}"


def part_of(item: Any, position: int = 0) -> Part:
    """One item of a content list as a part."""
    if isinstance(item, PART_TYPES):
        return cast(Part, item)
    if isinstance(item, str):
        return Text(item)
    if is_object(item):
        return _from_dict(item, f"content[{position}]")
    raise UsageError(
        f"content[{position}] is a part, a str or a dict with a 'type', not {type(item).__name__}",
        argument=f"content[{position}]",
    )


def _from_dict(item: dict[str, Any], where: str) -> Part:
    item = _our_words(item) if is_standard(item) else item
    kind = item.get("type")
    reader = _OPENAI.get(kind or "")
    try:
        if reader is not None and (kind != "file" or "file" in item):
            part = reader(item)
            cache = item.get("cache_control") or item.get("prompt_cache_breakpoint") or item.get("cache")
            return msgspec.structs.replace(part, cache=_cache(cache)) if cache else part
        return cast(Part, msgspec.convert(item, cast(Any, Part)))
    except UsageError as error:
        raise UsageError(f"{where}: {error.text}", argument=where) from error
    except (msgspec.ValidationError, KeyError, TypeError, AttributeError, ValueError) as error:
        raise UsageError(
            f"{where}: a dict of type {kind!r} that is neither one of our parts nor an OpenAI content part ({error})",
            argument=where,
        ) from error


def is_standard(item: dict[str, Any]) -> bool:
    """Is it a block as LangChain has them (`base64` or `source_type`, `mime_type`)?"""
    return item.get("type") in ("image", "audio", "video", "file") and not _STANDARD.isdisjoint(item)


_STANDARD = frozenset({"base64", "mime_type", "source_type"})


def _our_words(item: dict[str, Any]) -> dict[str, Any]:
    by_id = item["id"] if item.get("source_type") == "id" and "id" in item else None
    found = {
        "type": item["type"],
        "data": item.get("base64") or item.get("data"),
        "url": item.get("url"),
        "file_id": item.get("file_id") or by_id,
        "media_type": item.get("mime_type"),
        "name": item.get("filename") or mapping(item.get("extras") or item.get("metadata")).get("filename"),
    }
    return {key: value for key, value in found.items() if value is not None}


def _thinking(item: dict[str, Any]) -> Part:
    return Reasoning(item["thinking"], signature=item.get("signature"))


def _cache(value: Any) -> bool | str:
    if is_object(value):
        return str(value.get("ttl") or "") or True
    return value if isinstance(value, str) else bool(value)


def _text(item: dict[str, Any]) -> Part:
    if isinstance(item.get("citations"), list):
        return msgspec.convert(item, Text)
    return Text(item["text"])


def _image_url(item: dict[str, Any]) -> Part:
    image = item["image_url"]
    if isinstance(image, str):
        return Image(url=image)
    return Image(url=image["url"], detail=image.get("detail"))


def _bytes(text: str) -> bytes:
    """Base64 text, which may be broken into lines, as bytes; ValueError when it is something else."""
    return b64decode("".join(text.split()), validate=True)


def _input_audio(item: dict[str, Any]) -> Part:
    audio = item["input_audio"]
    kind = audio.get("format") or "wav"
    return Audio(data=_bytes(audio["data"]), media_type=_AUDIO_TYPES.get(kind, f"audio/{kind}"))


def _audio_url(item: dict[str, Any]) -> Part:
    audio = item["audio_url"]
    return Audio(url=audio if isinstance(audio, str) else audio["url"])


def _file(item: dict[str, Any]) -> Part:
    file = item["file"]
    if file.get("file_id"):
        return File(file_id=file["file_id"], name=file.get("filename"))
    data = file["file_data"]
    if data.startswith("data:") or "://" in data[:20]:
        return File(url=data, name=file.get("filename"))
    return File(data=_bytes(data), name=file.get("filename"), media_type="application/pdf")


def _video_url(item: dict[str, Any]) -> Part:
    video = item["video_url"]
    return Video(url=video if isinstance(video, str) else video["url"])


def _refusal(item: dict[str, Any]) -> Part:
    return Refusal(item.get("refusal") or item["text"])


_OPENAI: dict[str, Callable[[dict[str, Any]], Part]] = {
    "text": _text,
    "input_text": _text,
    "output_text": lambda item: Text(item["text"]),
    "image_url": _image_url,
    "input_audio": _input_audio,
    "audio_url": _audio_url,
    "file": _file,
    "video_url": _video_url,
    "refusal": _refusal,
    "thinking": _thinking,
}


def opaque(provider: str, data: Any) -> Opaque:
    """A part that the dialect `provider` does not know, kept whole."""
    kind = mapping(data).get("type")
    return Opaque(provider=provider, kind=str(kind or ""), data=data)
