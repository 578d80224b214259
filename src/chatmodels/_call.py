"""One call, before any provider's spelling: messages, settings, tools, wanted output; and the HTTP values around it.

A dialect turns a `Call` into an `HTTPRequest` and an `HTTPResponse` into messages. No I/O here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import msgspec

from ._messages import Message

if TYPE_CHECKING:
    from ._output import Output
    from ._tools import Tool


class Settings(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, repr_omit_defaults=True):
    """What a call may ask for. None means: not sent, the provider's default holds.

    `stop` lists up to four stop sequences. `reasoning_effort` is the provider's word ("low", "medium", "high", ...);
    `reasoning_budget` is in tokens, 0 switches reasoning off. `tool_choice` is "auto", "none", "required" or a tool's
    name. `response_format` is an OpenAI-style object. `extra_body` is merged into the request's body as it is,
    `extra_headers` into its headers.
    """

    temperature: float | None = None
    top_p: float | None = None
    top_k: int | None = None
    min_p: float | None = None
    max_tokens: int | None = None
    n: int | None = None
    stop: tuple[str, ...] | None = None
    seed: int | None = None
    presence_penalty: float | None = None
    frequency_penalty: float | None = None
    logprobs: bool | None = None
    top_logprobs: int | None = None
    logit_bias: dict[str, float] | None = None
    tool_choice: str | dict[str, Any] | None = None
    parallel_tool_calls: bool | None = None
    reasoning_effort: str | None = None
    reasoning_budget: int | None = None
    reasoning_summary: str | None = None
    response_format: dict[str, Any] | None = None
    modalities: tuple[str, ...] | None = None
    audio: dict[str, Any] | None = None
    service_tier: str | None = None
    verbosity: str | None = None
    user: str | None = None
    metadata: dict[str, str] | None = None
    store: bool | None = None
    extra_body: dict[str, Any] | None = None
    extra_headers: dict[str, str] | None = None


class Call(msgspec.Struct, frozen=True, kw_only=True):
    """One call as the user means it."""

    model: str
    messages: tuple[Message, ...]
    settings: Settings = Settings()
    tools: tuple[Tool, ...] = ()
    output: Output[Any] | None = None
    stream: bool = False


class HTTPRequest(msgspec.Struct, frozen=True, kw_only=True):
    """A request without its key: the same call always gives the same bytes.

    `path` follows the provider's base URL and may carry a query. `warnings` lists what of the call could not be said.
    """

    path: str
    body: bytes = b""
    headers: dict[str, str] = {}
    method: str = "POST"
    stream: bool = False
    warnings: tuple[str, ...] = ()


class HTTPResponse(msgspec.Struct, frozen=True, kw_only=True):
    """A whole response. Header names are lower case."""

    status: int
    headers: dict[str, str] = {}
    body: bytes = b""


FinishReason = Literal[
    "stop", "length", "tool_calls", "content_filter", "refusal", "pause", "error", "other", "unknown"
]
