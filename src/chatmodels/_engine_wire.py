"""Both ends of an embedded call as bytes: the request as llama.cpp gets it, its chunks as a server would send them.

Pure. Knows JSON and the chat-completions format (llama.cpp tools/server README, and trials with xllamacpp 2026.10;
checked 2026-11), not the engine, its threads or its queue.
"""

from __future__ import annotations

from typing import Any, cast

import msgspec

from ._engine_schema import BadSchema, for_grammar
from ._json import loads

SSE = "text/event-stream"
JSON = "application/json"
#: How a chunk begins that is an error, and one that only carries usage.
ERROR = b'{"error"'
_USAGE_ONLY = b'{"choices":[],'
#: Only in chunks that tell how far the prompt is; inside a JSON string the quotes would be escaped.
PROGRESS = b'"prompt_progress":'
_OVERFLOW = b"Context size has been exceeded"

_SCHEMA_FIELDS = ("response_format", "json_schema", "tools")
_LIMIT_FIELDS = ("n_predict", "max_completion_tokens", "max_tokens")
_TRUE = msgspec.Raw(b"true")
_USAGE = msgspec.Raw(b'{"include_usage":true}')
_fields = msgspec.json.Decoder(dict[str, msgspec.Raw])
_encode = msgspec.json.encode


class BadRequest(ValueError):
    """The body is not a chat request; the text says why."""


class Request(msgspec.Struct, frozen=True):
    """A chat request as the engine runs it.

    `body` is what llama.cpp gets; `stream` what the caller asked for. `whole` is True for the requests that
    llama.cpp must answer in one piece because its stream would leave something out. `n` answers are wanted, of at
    most `limit` tokens each (None: no limit given). `prompt` is a guess at the prompt's tokens, on the high side.
    """

    body: bytes
    stream: bool
    whole: bool
    n: int
    limit: int | None
    usage: bool
    progress: bool
    prompt: int


def read_request(body: bytes) -> Request:
    """Read a chat request (JSON bytes); raises BadRequest for what is none."""
    try:
        fields = _fields.decode(body)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise BadRequest(f"the request is not a JSON object: {error}") from error
    _mend_schemas(fields)
    stream = _flag(fields, "stream")
    usage = stream and bool(_value(fields, "stream_options", dict, {}).get("include_usage"))
    progress = stream and _flag(fields, "return_progress")
    whole = not stream and _needs_whole(fields)
    n = _value(fields, "n", int, 1)
    limits = [_value(fields, name, int, -1) for name in _LIMIT_FIELDS]
    if not whole:
        _as_stream(fields, stream)
    return Request(
        body=_encode(fields),
        stream=stream,
        whole=whole,
        n=max(1, n),
        limit=next((limit for limit in limits if limit > 0), None),
        usage=usage,
        progress=progress,
        prompt=max(64, len(body) // 2),
    )


def _mend_schemas(fields: dict[str, msgspec.Raw]) -> None:
    for name in _SCHEMA_FIELDS:
        if name not in fields:
            continue
        value = loads(bytes(fields[name]))
        try:
            mended = for_grammar(value)
        except BadSchema as error:
            raise BadRequest(f"{name}: {error}") from error
        if mended != value:
            fields[name] = msgspec.Raw(_encode(mended))


def _needs_whole(fields: dict[str, msgspec.Raw]) -> bool:
    # Streamed, llama.cpp refuses log-probabilities with tools, and loses those of tokens that its parser holds back.
    return _flag(fields, "logprobs") and any(name in fields for name in _SCHEMA_FIELDS)


def _as_stream(fields: dict[str, msgspec.Raw], stream: bool) -> None:
    # A call that is not streamed gives no sign of life until its end, and could not be stopped before.
    if not stream:
        if bytes(fields.get("stream", b"false")) not in (b"false", b"null"):
            return  # a wrong type: llama.cpp says so
        fields["stream"] = _TRUE
        fields["stream_options"] = _USAGE
    # Progress is what lets a call be stopped while its prompt is read.
    fields["return_progress"] = _TRUE


def _flag(fields: dict[str, msgspec.Raw], name: str) -> bool:
    return bytes(fields.get(name, b"")) == b"true"


def _value(fields: dict[str, msgspec.Raw], name: str, kind: type, default: Any) -> Any:
    raw = fields.get(name)
    value = loads(bytes(raw)) if raw is not None else default
    return value if isinstance(value, kind) else default


def error_body(status: int, kind: str, message: str) -> bytes:
    """An error as llama.cpp's server words it."""
    return _encode({"error": {"code": status, "message": message, "type": kind}})


def error_status(body: bytes) -> int:
    """The status that an error body names, 500 if none."""
    try:
        code = loads(body)["error"]["code"]
    except (ValueError, KeyError, TypeError):
        return 500
    return code if isinstance(code, int) and 400 <= code < 600 else 500


def is_overflow(body: bytes) -> bool:
    """Whether an error says that all requests together outgrew the context (one alone that does is a 400)."""
    return _OVERFLOW in body


def event(chunk: bytes) -> bytes:
    """A chunk as a server-sent event."""
    return b"data: %b\n\n" % chunk


def prompt_tokens(chunk: bytes) -> int | None:
    """The exact length of the prompt, from a progress chunk."""
    total = loads(chunk).get("prompt_progress", {}).get("total")
    return total if isinstance(total, int) else None


class StreamOut:
    """Chunks become server-sent events. Feed gives bytes to send on, or None."""

    def __init__(self, request: Request) -> None:
        self._merge = request.usage and request.n > 1
        self._usages: list[dict[str, Any]] = []

    def feed(self, chunk: bytes) -> bytes | None:
        # llama.cpp closes each of several answers with a usage of its own; a client expects one, of all.
        if self._merge and chunk.startswith(_USAGE_ONLY):
            self._usages.append(loads(chunk))
            return None
        return b"data: %b\n\n" % chunk

    def close(self) -> bytes:
        """What follows the last chunk."""
        tail = b"data: [DONE]\n\n"
        if not self._usages:
            return tail
        last = self._usages[-1]
        last["usage"] = _sum_usage([chunk["usage"] for chunk in self._usages])
        return event(_encode(last)) + tail


class WholeOut:
    """Chunks become the one body of a request that was not streamed."""

    def __init__(self) -> None:
        self._choices: dict[int, dict[str, Any]] = {}
        self._usages: list[dict[str, Any]] = []
        self._head: dict[str, Any] = {}

    def feed(self, chunk: bytes) -> None:
        found = loads(chunk)
        for choice in found.pop("choices", ()):
            self._add(choice)
        usage = found.pop("usage", None)
        if usage:
            self._usages.append(usage)
        found.pop("prompt_progress", None)
        self._head.update(found)

    def _add(self, choice: dict[str, Any]) -> None:
        index = choice.get("index", 0)
        kept = self._choices.get(index)
        if kept is None:
            message = {"role": "assistant", "content": ""}
            kept = self._choices[index] = {"finish_reason": None, "index": index, "message": message}
        kept["finish_reason"] = choice.get("finish_reason") or kept["finish_reason"]
        _join(kept["message"], choice.get("delta") or {})
        logprobs = choice.get("logprobs")
        if logprobs:
            kept.setdefault("logprobs", {"content": []})["content"] += logprobs.get("content") or []

    def close(self) -> bytes:
        """The body; llama.cpp's own order of fields."""
        head = {**self._head, "object": "chat.completion"}
        body: dict[str, Any] = {"choices": [self._choices[index] for index in sorted(self._choices)]}
        for name in ("created", "model", "system_fingerprint", "object"):
            if name in head:
                body[name] = head.pop(name)
        if self._usages:
            body["usage"] = _sum_usage(self._usages)
        return _encode({**body, **head})


def _join(message: dict[str, Any], delta: dict[str, Any]) -> None:
    for name, value in delta.items():
        if name == "tool_calls":
            calls: list[dict[str, Any]] = message.setdefault("tool_calls", [])
            for call in cast("list[dict[str, Any]]", value):
                _join_call(calls, call)
        elif name == "role":
            message["role"] = value
        elif isinstance(value, str):
            message[name] = (message.get(name) or "") + value
        elif value is not None:
            message[name] = value


def _join_call(calls: list[dict[str, Any]], delta: dict[str, Any]) -> None:
    index: int = delta.get("index", 0)
    while len(calls) <= index:
        calls.append({"type": "function", "function": {"name": "", "arguments": ""}, "id": ""})
    call: dict[str, Any] = calls[index]
    call["id"] = delta.get("id") or call["id"]
    function: dict[str, Any] = delta.get("function") or {}
    call["function"]["name"] += function.get("name") or ""
    call["function"]["arguments"] += function.get("arguments") or ""


def _sum_usage(usages: list[dict[str, Any]]) -> dict[str, Any]:
    """The usage of all answers to one prompt: the prompt counts once, as with OpenAI."""
    total = dict(usages[0])
    for usage in usages[1:]:
        total["completion_tokens"] += usage["completion_tokens"]
    total["total_tokens"] = total["prompt_tokens"] + total["completion_tokens"]
    return total
