"""The pieces of a message's content, in one closed union `Part`. Values only: no I/O, no provider's spelling.

Every part may carry `cache` (a prompt-cache point after this part; True, or a lifetime such as "1h") and
`provider_data`, a mapping keyed by provider name with what only that provider understands.
"""

from __future__ import annotations

import base64
import binascii
import mimetypes
from pathlib import Path
from typing import Any, Literal, TypeAlias

import msgspec

from ._errors import UsageError

ProviderData: TypeAlias = dict[str, Any]


class _Part(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, repr_omit_defaults=True, tag_field="type"):
    cache: bool | str = False
    provider_data: ProviderData | None = None


class Citation(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, repr_omit_defaults=True, tag="citation"):
    """Where a stretch of text comes from. `start`/`end` are character offsets into the part's text."""

    url: str | None = None
    title: str | None = None
    cited_text: str | None = None
    start: int | None = None
    end: int | None = None
    file_id: str | None = None
    provider_data: ProviderData | None = None


class Text(_Part, frozen=True, tag="text", kw_only=False):
    """Plain text, with the citations that the provider gave for it."""

    text: str = ""
    citations: tuple[Citation, ...] = ()


class Reasoning(_Part, frozen=True, tag="reasoning", kw_only=False):
    """The model's working, or a summary of it. `signature` and `encrypted` go back to the same provider as they came."""

    text: str = ""
    summary: bool = False
    signature: str | None = None
    encrypted: str | None = None


class Refusal(_Part, frozen=True, tag="refusal", kw_only=False):
    """The text with which the model refused."""

    text: str = ""


class _Media(_Part, frozen=True):
    url: str | None = None
    data: bytes | None = None
    file_id: str | None = None
    media_type: str | None = None
    name: str | None = None

    def __post_init__(self) -> None:
        given = [f for f in ("url", "data", "file_id") if getattr(self, f) is not None]
        if len(given) != 1:
            kind = type(self).__name__
            raise UsageError(
                f"{kind} takes exactly one of url, data (bytes) or file_id; got {', '.join(given) or 'none'}. "
                f"For a file on disk use {kind}.from_path(path).",
                argument=given[1] if given else "data",
            )
        if self.data is not None and not isinstance(self.data, (bytes, bytearray)):
            raise UsageError(
                f"{type(self).__name__}(data=...) takes bytes, not {type(self.data).__name__}; "
                "decode base64 text first, or give it as url='data:...;base64,...'.",
                argument="data",
            )
        if self.url is not None and self.url.startswith("data:"):
            _take_data_url(self)

    def __repr__(self) -> str:
        shown: list[str] = []
        for field in msgspec.structs.fields(self):
            value = getattr(self, field.name)
            if value != field.default:
                shown.append(
                    f"{field.name}=<{len(value)} bytes>" if field.name == "data" else f"{field.name}={value!r}"
                )
        return f"{type(self).__name__}({', '.join(shown)})"

    @property
    def base64(self) -> str | None:
        """The bytes as base64 text; None when the part is a URL or a file id."""
        return None if self.data is None else base64.b64encode(self.data).decode()

    @property
    def data_url(self) -> str | None:
        """The bytes as a `data:` URL, or the URL itself; None for a file id."""
        if self.data is None:
            return self.url
        return f"data:{self.media_type or 'application/octet-stream'};base64,{self.base64}"

    @classmethod
    def from_path(cls, path: str | Path, *, media_type: str | None = None, **fields: Any) -> Any:
        """A part with the file's bytes and name; the media type is guessed from the name where not given."""
        p = Path(path)
        kind = media_type or mimetypes.guess_type(p.name)[0]
        return cls(data=p.read_bytes(), media_type=kind, name=p.name, **fields)


def _take_data_url(part: _Media) -> None:
    head, found, body = (part.url or "").partition(",")
    if not found or not head.endswith(";base64"):
        return
    try:
        data = base64.b64decode(body, validate=True)
    except (binascii.Error, ValueError) as error:
        raise UsageError(f"the data: URL does not hold base64: {error}", argument="url") from error
    msgspec.structs.force_setattr(part, "url", None)
    msgspec.structs.force_setattr(part, "data", data)
    if part.media_type is None:
        msgspec.structs.force_setattr(part, "media_type", head[5:-7].split(";")[0] or None)


class Image(_Media, frozen=True, tag="image"):
    """An image by URL, bytes or provider file id. `detail`: "low", "high", "auto" where the provider has it."""

    detail: str | None = None


class Audio(_Media, frozen=True, tag="audio"):
    """Sound. `transcript` is what was said, where known."""

    transcript: str | None = None

    def __post_init__(self) -> None:
        if self.transcript is None or any(v is not None for v in (self.url, self.data, self.file_id)):
            super().__post_init__()


class Video(_Media, frozen=True, tag="video"):
    """A film by URL, bytes or provider file id."""


class File(_Media, frozen=True, tag="file"):
    """A document (PDF and others) by URL, bytes or provider file id."""


class ToolCall(_Part, frozen=True, tag="tool_call", kw_only=False):
    """A call that the model asks you to make; answer it with `ToolMessage(tool_call_id=call.id, ...)`.

    `args` is the decoded JSON object; for a free-text ("custom") tool it is the text. `text` keeps the
    arguments as the model wrote them, so that they can be sent back unchanged.
    """

    id: str = ""
    name: str = ""
    args: Any = {}
    text: str | None = None
    custom: bool = False

    @property
    def args_text(self) -> str:
        """The arguments as JSON text (or the free text of a custom tool)."""
        if self.text is not None:
            return self.text
        if isinstance(self.args, str):
            return self.args
        return msgspec.json.encode(self.args).decode()


class InvalidToolCall(_Part, frozen=True, tag="invalid_tool_call", kw_only=False):
    """A call whose arguments are not JSON (cut off, or badly written): `args` is the raw text, `error` says why."""

    id: str = ""
    name: str = ""
    args: str = ""
    error: str = ""

    @property
    def args_text(self) -> str:
        """The arguments as the model wrote them."""
        return self.args


class ToolResult(_Part, frozen=True, tag="tool_result", kw_only=False):
    """What a tool gave: text, or parts (text and images). `is_error` tells the model that the call failed."""

    tool_call_id: str = ""
    content: str | list[Part] = ""
    is_error: bool = False
    name: str | None = None


class ServerTool(_Part, frozen=True, tag="server_tool"):
    """A tool that the provider ran by itself: its call, or its result.

    `kind` is the provider-neutral name ("web_search", "code_execution", "file_search", "mcp", ...). `data`
    is the provider's own block, sent back to it unchanged.
    """

    phase: Literal["call", "result"] = "call"
    kind: str = ""
    id: str | None = None
    name: str | None = None
    args: Any = None
    result: Any = None


class Opaque(_Part, frozen=True, tag="opaque"):
    """A part that this version does not know. It is kept whole and sent back only to the dialect it came from."""

    provider: str = ""
    kind: str = ""
    data: Any = None


Part: TypeAlias = (
    Text
    | Image
    | Audio
    | Video
    | File
    | Reasoning
    | ToolCall
    | InvalidToolCall
    | ToolResult
    | ServerTool
    | Refusal
    | Opaque
)
PART_TYPES: tuple[type[Any], ...] = (
    Text,
    Image,
    Audio,
    Video,
    File,
    Reasoning,
    ToolCall,
    InvalidToolCall,
    ToolResult,
    ServerTool,
    Refusal,
    Opaque,
)
