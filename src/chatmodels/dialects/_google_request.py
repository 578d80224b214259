"""A `Call` as the path and body of a generateContent request: messages and parts. Same call, same bytes.

Tools and settings are in `_google_settings`. Sources: ai.google.dev/api/generate-content and the Vertex AI
reference, checked 2026-11.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any
from urllib.parse import quote

import msgspec

from .._call import Call
from .._errors import UsageError
from .._json import mapping
from .._messages import (
    AIMessage,
    ChatMessage,
    FunctionMessage,
    Message,
    SystemMessage,
    ToolMessage,
)
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
from .._schema_walk import is_object
from ._body import merge
from ._google_settings import Warnings, settings_body, tools_body
from ._google_wire import is_modern
from ._open_calls import OpenCalls, is_made
from ._turns import has_foreign_citations, legacy_calls


class Profile(msgspec.Struct, frozen=True, kw_only=True):
    """Which of Google's two APIs, and where on it. See `Google` for what the fields mean."""

    vertex: bool = False
    project: str | None = None
    location: str = "global"
    version: str | None = None
    publisher: str = "google"
    json_schema: bool = True


#: The signature that Google documents for calls that a Gemini did not make, as base64
#: (ai.google.dev/gemini-api/docs/thought-signatures, "FAQs", 2026-11): without one, Gemini 3 refuses the
#: history of another model.
_NO_SIGNATURE = "c2tpcF90aG91Z2h0X3NpZ25hdHVyZV92YWxpZGF0b3I="
_FILES = "https://generativelanguage.googleapis.com/v1beta/"
_ROLES = {"user": "user", "human": "user", "assistant": "model", "ai": "model", "model": "model"}
_SYSTEM = ("system", "developer")
#: In the manner of 2023: read as calls.
_LEGACY = ("function_call", "tool_calls")
_TYPES = {
    b"\x89PNG": "image/png",
    b"\xff\xd8\xff": "image/jpeg",
    b"GIF8": "image/gif",
    b"%PDF": "application/pdf",
    b"ID3": "audio/mp3",
    b"OggS": "audio/ogg",
    b"fLaC": "audio/flac",
}
_RIFF = {b"WEBP": "image/webp", b"WAVE": "audio/wav", b"AVI ": "video/avi"}
_SUFFIXES = {
    "png": "image/png",
    "jpg": "image/jpeg",
    "jpeg": "image/jpeg",
    "webp": "image/webp",
    "gif": "image/gif",
    "heic": "image/heic",
    "pdf": "application/pdf",
    "txt": "text/plain",
    "md": "text/markdown",
    "csv": "text/csv",
    "html": "text/html",
    "json": "application/json",
    "mp3": "audio/mp3",
    "wav": "audio/wav",
    "ogg": "audio/ogg",
    "flac": "audio/flac",
    "mp4": "video/mp4",
    "mov": "video/mov",
    "webm": "video/webm",
    "mpeg": "video/mpeg",
}


def request_path(profile: Profile, model: str, stream: bool) -> str:
    """The path of the call, which names the model and says whether the answer streams."""
    action = ":streamGenerateContent?alt=sse" if stream else ":generateContent"
    if ".." in model.split("/") or not model.strip("/"):
        raise UsageError(f"{model!r} cannot be a model's name", argument="model")
    name = quote(model.strip("/"), safe="/-._~@")
    if not profile.vertex:
        own = name.startswith(("models/", "tunedModels/", "dynamic/"))
        return f"/{profile.version or 'v1beta'}/{name if own else 'models/' + name}{action}"
    root = f"/{profile.version or 'v1'}"
    if name.startswith("projects/"):
        return f"{root}/{name}{action}"
    if profile.project:
        root += f"/projects/{quote(profile.project, safe=':.-_')}/locations/{quote(profile.location, safe='-')}"
    if not name.startswith(("publishers/", "endpoints/")):
        name = f"publishers/{profile.publisher}/models/{name.removeprefix('models/')}"
    return f"{root}/{name}{action}"


class Encoder(Warnings):
    """Builds one request body; `warnings` collects what the wire has no place for."""

    def __init__(self, provider: str, profile: Profile, model: str) -> None:
        super().__init__(provider)
        self.profile = profile
        self.modern = is_modern(model)
        self.pro = "-pro" in model
        self._where = ""
        self._contents: list[dict[str, Any]] = []
        self._system: list[dict[str, Any]] = []
        self._calls = OpenCalls()
        self._results: list[tuple[int, dict[str, Any]]] = []
        self._moved: list[dict[str, Any]] = []

    def body(self, call: Call) -> dict[str, Any]:
        self.messages(call.messages)
        prompt = settings_body(self, call)
        if prompt is not None:
            self._system.append({"text": prompt})
        body: dict[str, Any] = {}
        if not self._contents:
            self.warn("there are only system messages: they are sent as the user's")
            self._contents, self._system = [{"role": "user", "parts": self._system or [{"text": ""}]}], []
        if self._system:
            body["systemInstruction"] = {"parts": self._system}
        body["contents"] = self._contents
        body.update(tools_body(self, call))
        body.update(self.settings)
        extra = call.settings.extra_body
        return merge(body, extra) if extra else body

    # -- messages

    def messages(self, messages: Sequence[Message]) -> None:
        for number, message in enumerate(messages):
            self._where = f"messages[{number}]"
            self._beside(message)
            if isinstance(message, (ToolMessage, FunctionMessage)):
                self._tool(message)
                continue
            if isinstance(message, SystemMessage) or (isinstance(message, ChatMessage) and message.role in _SYSTEM):
                self._instruct(message)
                continue
            if isinstance(message, AIMessage):
                self._answer([*message.parts, *legacy_calls(message)], message.provider)
            else:
                self._said(message)
        self._flush()

    def _beside(self, message: Message) -> None:
        if message.name and not isinstance(message, (ToolMessage, FunctionMessage)):
            self.warn(f"{self._where}: {self.provider} has no place for a speaker's name: not sent")
        legacy = _LEGACY if isinstance(message, AIMessage) else ()
        names = ", ".join(key for key, v in message.additional_kwargs.items() if v is not None and key not in legacy)
        if names:
            self.warn(f"{self._where}: {self.provider} has no place for additional_kwargs ({names}): not sent")

    def _instruct(self, message: Message) -> None:
        if self._contents or self._results:
            self.warn(f"{self._where}: {self.provider} takes system messages only at the beginning: moved there")
        self._system += self._wires(message.parts)

    def _said(self, message: Message) -> None:
        role = "user"
        if isinstance(message, ChatMessage):
            role = _ROLES.get(message.role.lower(), "")
            if not role:
                self.warn(f"{self._where}: {self.provider} has no role {message.role!r}: sent as the user's")
        if role == "model":
            self._answer(message.parts, None)
            return
        parts: list[Part] = []
        results = False
        for part in message.parts:
            if isinstance(part, ToolResult):
                self._user(parts)
                parts, results = [], True
                self._result(part)
            else:
                self._flush()
                parts.append(part)
        if parts or not results:
            self._flush()
            self._user(parts, empty=True)

    def _user(self, parts: list[Part], empty: bool = False) -> None:
        wires = self._wires(parts)
        if wires or empty:
            self._contents.append({"role": "user", "parts": wires or [{"text": ""}]})

    def _wires(self, parts: Sequence[Part]) -> list[dict[str, Any]]:
        return [wire for i, p in enumerate(parts) if (wire := self.part(p, f"{self._where}.content[{i}]")) is not None]

    def _answer(self, parts: Sequence[Part], provider: str | None) -> None:
        self._flush()
        self._calls = OpenCalls()
        wires: list[dict[str, Any]] = []
        for position, part in enumerate(parts):
            where = f"{self._where}.content[{position}]"
            wire = self._reasoning(part, provider, where) if isinstance(part, Reasoning) else self.part(part, where)
            if wire is not None:
                wires.append(wire)
        first = next((w for w in wires if mapping(w.get("functionCall")).get("name")), None)
        if first is not None and self.modern and "thoughtSignature" not in first:
            first["thoughtSignature"] = _NO_SIGNATURE
        self._contents.append({"role": "model", "parts": wires or [{"text": ""}]})

    # -- parts: each gives the wire part, or None with a warning

    def part(self, part: Part, where: str) -> dict[str, Any] | None:
        wire = _PARTS[type(part)](self, part, where)
        if wire is None:
            return None
        if part.cache:
            self.warn(f"{self.provider} has no prompt-cache points (see cachedContent): not sent")
        own = self._own(part)
        return wire if own is None or isinstance(part, (Opaque, ServerTool)) else merge(wire, own)

    def _own(self, part: Part) -> dict[str, Any] | None:
        own = (part.provider_data or {}).get(self.provider)
        return own if is_object(own) else None

    def _text(self, part: Text | Refusal, where: str) -> dict[str, Any] | None:
        if isinstance(part, Text) and has_foreign_citations(part, self.provider):
            self.warn(f"{where}: citations have no place in {self.provider}'s requests: not sent")
        # Google refuses empty parts; one with a signature is Google's own.
        return {"text": part.text} if part.text or self._own(part) else None

    def _reasoning(self, part: Reasoning, provider: str | None, where: str) -> dict[str, Any] | None:
        if provider not in (self.provider, None):
            self.warn(f"{where}: the reasoning of {provider} is not sent to {self.provider}")
            return None
        own = self._own(part) or {}
        signature = part.signature if provider == self.provider else None
        if not (part.text or signature or own):
            return None
        wire: dict[str, Any] = {"text": part.text, "thought": True}
        if signature:
            wire["thoughtSignature"] = signature
        return merge(wire, own)

    def _call(self, part: ToolCall | InvalidToolCall, where: str) -> dict[str, Any] | None:
        args: Any = part.args
        if not is_object(args):
            self.warn(f"{where}: {self.provider} takes arguments only as an object: the text is sent inside one")
            args = {"input": args}
        wire: dict[str, Any] = {"name": part.name or "unknown", "args": args}
        if not is_made(part.id):
            wire["id"] = part.id
        self._calls.add(part.id, wire["name"])
        return {"functionCall": wire}

    def _image(self, part: Image, where: str) -> dict[str, Any] | None:
        if part.detail not in (None, "auto"):
            self.warn(f"{where}: {self.provider} does not take detail (mediaResolution is near to it): not sent")
        return self.media(part, where)

    def _audio(self, part: Audio, where: str) -> dict[str, Any] | None:
        if part.data is None and part.url is None and part.file_id is None:
            return {"text": part.transcript or ""}
        if part.data is not None and part.transcript and self._type_of(part) is None:
            # What OpenAI says aloud names no type, and raw samples have no head that would tell it.
            self.warn(f"{where}: of audio of an unknown type the transcript is sent")
            return {"text": part.transcript}
        return self.media(part, where)

    def media(self, part: Image | Audio | Video | File, where: str) -> dict[str, Any] | None:
        if part.data is not None:
            blob: dict[str, Any] = {"mimeType": self._inline_type(part, where), "data": part.base64}
            if part.name and self.profile.vertex:
                blob["displayName"] = part.name
            return {"inlineData": blob}
        url = part.url or str(part.file_id)
        if part.file_id is not None and part.file_id.startswith("files/") and not self.profile.vertex:
            url = _FILES + part.file_id
        wire = {"fileUri": url}
        kind = part.media_type or _SUFFIXES.get(url.partition("?")[0].rpartition(".")[2].lower())
        return {"fileData": {"mimeType": kind, **wire} if kind else wire}

    def _type_of(self, part: Image | Audio | Video | File) -> str | None:
        data = bytes(part.data or b"")
        kind = part.media_type or _RIFF.get(data[8:12] if data[:4] == b"RIFF" else b"")
        kind = kind or next((k for magic, k in _TYPES.items() if data.startswith(magic)), None)
        return kind or _SUFFIXES.get((part.name or "").rpartition(".")[2].lower())

    def _inline_type(self, part: Image | Audio | Video | File, where: str) -> str:
        kind = self._type_of(part)
        if kind is None:
            name = type(part).__name__
            raise UsageError(f"{where}: {name}(data=...) needs media_type= (e.g. 'image/png')", argument=where)
        return kind

    def _server_tool(self, part: ServerTool, where: str) -> dict[str, Any] | None:
        own = self._own(part)
        if own is None:
            self.warn(f"{where}: the {part.kind or 'server tool'} {part.phase} of another provider is not sent")
        elif not self.modern and own.keys() & {"toolCall", "toolResponse"}:
            self.warn(f"{where}: this model does not take the {part.kind} {part.phase} of a newer one: not sent")
            return None
        return own

    # -- tool results: those of one turn go together, in the order of the calls

    def _tool(self, message: ToolMessage | FunctionMessage) -> None:
        if isinstance(message, ToolMessage):
            self._result(message.result)
        else:
            self._result(ToolResult("", message.content, name=message.name))

    def _result(self, result: ToolResult) -> None:
        place, ident, name = self._calls.answer(result.tool_call_id, result.name)
        if not name:
            name = ident or "unknown"
            self.warn(f"{self._where}: {self.provider} answers calls by name, and none is known: {name!r} is sent")
        response: dict[str, Any] = {"name": name}
        if not is_made(ident):
            response["id"] = ident
        texts, media = self._result_content(result.content)
        response["response"] = _response("".join(texts), result.is_error)
        if media and self.modern:
            response["parts"] = media
        elif media:
            self.warn(f"{self._where}: media of a tool result are sent in a message after it")
            self._moved += media
        wire = {"functionResponse": response}
        own = (result.provider_data or {}).get(self.provider)
        self._results.append((place, merge(wire, own) if is_object(own) else wire))

    def _result_content(self, content: str | list[Part]) -> tuple[list[str], list[dict[str, Any]]]:
        if isinstance(content, str):
            return [content], []
        texts: list[str] = []
        media: list[dict[str, Any]] = []
        for position, part in enumerate(content):
            where = f"{self._where}.content[{position}]"
            if isinstance(part, (Text, Refusal)):
                texts.append(part.text)
            elif isinstance(part, (Image, Audio, Video, File)):
                wire = self.part(part, where) or {}
                if "text" in wire:
                    texts.append(wire["text"])
                else:
                    media.append(wire)
            else:
                self.dropped(part, where)
        return texts, media

    def _flush(self) -> None:
        if self._results:
            parts = [wire for _, wire in sorted(self._results, key=lambda r: r[0])]
            self._contents.append({"role": "user", "parts": parts})
        if self._moved:
            self._contents.append({"role": "user", "parts": self._moved})
        self._results, self._moved = [], []


def _response(text: str, is_error: bool) -> dict[str, Any]:
    """A tool's words as the object that Google wants: `error` and `output` are the keys that it knows."""
    if is_error:
        return {"error": text}
    if text.startswith("{"):
        try:  # strictly: what would not come out the same stays text
            value = msgspec.json.decode(text)
        except msgspec.DecodeError:
            return {"output": text}
        if is_object(value):
            return value
    return {"output": text}


_PARTS: dict[type[Any], Callable[[Encoder, Any, str], dict[str, Any] | None]] = {
    Text: Encoder._text,
    Refusal: Encoder._text,
    Image: Encoder._image,
    Audio: Encoder._audio,
    Video: Encoder.media,
    File: Encoder.media,
    ToolCall: Encoder._call,
    InvalidToolCall: Encoder._call,
    ServerTool: Encoder._server_tool,
    Opaque: Encoder.opaque,
    Reasoning: Encoder.dropped,
    ToolResult: Encoder.dropped,
}
