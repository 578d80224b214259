"""A provider's own count of a call: its dialect's request turned into one for the counting endpoint, and the answer read. Pure.

Run by the ordinary flow of a call, so that keys, deadlines, retries and limits hold. Sources: the API references of Anthropic
(messages/count_tokens), Bedrock (count-tokens), Google (countTokens, Gemini API and Vertex AI) and OpenAI
(responses/input_tokens), and recordings, 2026-11.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

import msgspec

from .._call import Call, HTTPRequest, HTTPResponse
from .._errors import ProtocolError, ProviderError
from .._json import is_object, loads
from .._messages import AIMessage
from .._usage import Usage
from ..dialects._base import Dialect, StreamDecoder
from ..dialects._body import body_bytes
from ..dialects._errors import json_value

Body: TypeAlias = "dict[str, Any]"


def _names(text: str) -> frozenset[str]:
    return frozenset(text.split())


_ANTHROPIC = _names(
    "messages model system tools tool_choice thinking cache_control mcp_servers output_config output_format "
    "context_management speed compaction"
)
_RESPONSES = _names(
    "model input instructions tools tool_choice reasoning text truncation parallel_tool_calls conversation previous_response_id"
)
_CONVERSE = _names("messages system toolConfig additionalModelRequestFields")
_VERTEX = _names("contents systemInstruction tools generationConfig")


class Endpoint(msgspec.Struct, frozen=True):
    """How one API counts: its path and body from those of the call, and the field of the answer with the number."""

    path: Callable[[str], str]
    body: Callable[[Body, Call], Body]
    field: str


def _only(names: frozenset[str]) -> Callable[[Body, Call], Body]:
    return lambda body, call: {k: v for k, v in body.items() if k in names}


def _gemini(body: Body, call: Call) -> Body:
    return {"generateContentRequest": {**body, "model": f"models/{call.model.removeprefix('models/')}"}}


def _converse(body: Body, call: Call) -> Body:
    return {"input": {"converse": {k: v for k, v in body.items() if k in _CONVERSE}}}


def _google_path(path: str) -> str:
    return path.partition("?")[0].replace(":generateContent", ":countTokens")


def _under(name: str) -> Callable[[str], str]:
    def path(path: str) -> str:
        head, found, query = path.partition("?")
        return f"{head}/{name}{found}{query}"

    return path


#: By the provider's name, as its row has it.
ENDPOINTS: dict[str, Endpoint] = {
    "anthropic": Endpoint(_under("count_tokens"), _only(_ANTHROPIC), "input_tokens"),
    "google": Endpoint(_google_path, _gemini, "totalTokens"),
    "vertex": Endpoint(_google_path, _only(_VERTEX), "totalTokens"),
    "bedrock": Endpoint(lambda path: path.removesuffix("/converse") + "/count-tokens", _converse, "inputTokens"),
    "openai-responses": Endpoint(_under("input_tokens"), _only(_RESPONSES), "input_tokens"),
}


class Counting(Dialect):
    """The dialect of a provider's counting endpoint; the "answer" is a message whose usage has the number."""

    def __init__(self, dialect: Dialect, endpoint: Endpoint) -> None:
        self.provider = dialect.provider
        self.dialect = dialect
        self.endpoint = endpoint

    def encode(self, call: Call) -> HTTPRequest:
        request = self.dialect.encode(call)
        body = self.endpoint.body(loads(request.body), call)
        return msgspec.structs.replace(request, path=self.endpoint.path(request.path), body=body_bytes(body))

    def decode(self, response: HTTPResponse) -> AIMessage:
        body = json_value(self.provider, response.body)
        value = body.get(self.endpoint.field) if is_object(body) else None
        if isinstance(value, bool) or not isinstance(value, int) or value < 0:
            raise ProtocolError(
                f"{self.provider}: the count has no number {self.endpoint.field!r}",
                path=self.endpoint.field, data=response.body, provider=self.provider,
            )  # fmt: skip
        return AIMessage("", usage=Usage(input_tokens=value))

    def decode_error(self, response: HTTPResponse) -> ProviderError:
        return self.dialect.decode_error(response)

    def stream_decoder(self) -> StreamDecoder:
        return self.dialect.stream_decoder()
