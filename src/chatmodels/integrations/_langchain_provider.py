"""A chat model of LangChain as a provider of ours: a row, a dialect over JSON, and a transport that calls the model.

So it has all that other providers have: retries, fallback, caches, limits and recordings work on the encoded call.
Needs langchain-core to be imported.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any, ClassVar, TypeAlias

from msgspec.structs import replace

from chatmodels._call import Call, HTTPRequest, HTTPResponse, Settings
from chatmodels._config import Config
from chatmodels._errors import IncompleteStream, ProviderError, UsageError
from chatmodels._events import (
    End,
    Event,
    MessageInfo,
    PartDone,
    PartInfo,
    ReasoningDelta,
    RefusalDelta,
    Start,
    TextDelta,
    ToolCallDelta,
)
from chatmodels._json import encode, is_object, loads, mapping, string
from chatmodels._messages import AIMessage
from chatmodels._model import ChatModel
from chatmodels._parts import ToolCall
from chatmodels._providers import Provider, register
from chatmodels._tools import Tool
from chatmodels.dialects._base import Decoder, Dialect, StreamDecoder
from chatmodels.dialects._errors import http_error

from ._langchain_blocks import as_list, parts_of
from ._langchain_messages import finish_reason, from_langchain, to_langchain, usage_of
from ._langchain_transport import LangChainTransport
from ._parts_data import OURS, part_of_data

_messages: Any = import_module("langchain_core.messages")
_models: Any = import_module("langchain_core.language_models.chat_models")

NAME = "langchain"


class LangChainBacked(ChatModel):
    """A ChatModel over a chat model of LangChain; made by `from_langchain`."""

    __slots__ = ()

    provider_name: ClassVar[str | None] = NAME
    own_options: ClassVar[frozenset[str]] = frozenset({"langchain_model"})


def model_over(model: Any) -> ChatModel:
    """The ChatModel over a `BaseChatModel`."""
    if not isinstance(model, _models.BaseChatModel):
        raise UsageError(f"model is a BaseChatModel of langchain-core, not {type(model).__name__}", argument="model")
    options: dict[str, Any] = {"langchain_model": model}
    return LangChainBacked(name_of(model), **options)


def name_of(model: Any) -> str:
    """The name of LangChain's model at its provider; that of its class where it has none."""
    words = (getattr(model, k, None) for k in ("model", "model_name", "model_id"))
    return next((w for w in words if isinstance(w, str) and w), type(model).__name__)


def transport_of(config: Config) -> LangChainTransport:
    """The transport of a model's configuration."""
    model = config.provider_options.get("langchain_model")
    if model is None:
        raise UsageError("a langchain model is made by from_langchain(model)", argument="model")
    return LangChainTransport(model, name_of(model))


register(
    Provider(
        name=NAME,
        dialect=f"{__name__}:LangChainDialect",
        transport=f"{__name__}:transport_of",
        auth="none",
        needs_key=False,
        docs="https://reference.langchain.com/python/langchain_core/language_models/",
    )
)

#: Settings that go to LangChain's model under another name, or in another way.
_APART = frozenset({"stop", "tool_choice", "extra_body", "extra_headers", "n", "parallel_tool_calls"})


class LangChainDialect(Dialect):
    """Calls as JSON with LangChain's messages in it, answers as one message, streams as lines with a chunk each."""

    def __init__(self, provider: str = NAME) -> None:
        self.provider = provider

    def encode(self, call: Call) -> HTTPRequest:
        settings = call.settings
        warnings = [f"{n} is not sent: a model of LangChain takes none" for n in ("n", "extra_headers")
                    if getattr(settings, n) is not None]  # fmt: skip
        body: dict[str, Any] = {
            "model": call.model,
            "messages": [_messages.message_to_dict(to_langchain(m)) for m in call.messages],
            "settings": _settings(settings),
        }
        if settings.stop:
            body["stop"] = list(settings.stop)
        tools = [_definition(t) for t in call.tools]
        choice = settings.tool_choice
        if call.output is not None:
            # every model of LangChain with tools can be made to call one; few can be held to a schema
            output = call.output
            said = {"name": output.name, "description": output.description or "", "parameters": output.schema}
            tools.append({"type": "function", "function": said})
            choice = output.name
        if tools:
            body["tools"] = tools
            body["tool_choice"] = "any" if choice == "required" else choice
            body["parallel_tool_calls"] = settings.parallel_tool_calls
        return HTTPRequest(path="/invoke", body=encode(body), stream=call.stream, warnings=tuple(warnings))

    def decode(self, response: HTTPResponse) -> AIMessage:
        found = _messages.messages_from_dict([loads(response.body)])[0]
        message = from_langchain(found)
        if not isinstance(message, AIMessage):
            raise ProviderError(f"{self.provider}: the answer is a {type(found).__name__}", provider=self.provider)
        if message.finish_reason is None:
            calls = any(isinstance(p, ToolCall) for p in message.parts)
            message = replace(message, finish_reason="tool_calls" if calls else "unknown")
        return message

    def decode_error(self, response: HTTPResponse) -> ProviderError:
        return http_error(self.provider, response)

    def stream_decoder(self) -> StreamDecoder:
        return LangChainStream(self)


def _settings(settings: Settings) -> dict[str, Any]:
    given = {k: getattr(settings, k) for k in settings.__struct_fields__ if k not in _APART}
    return {**{k: v for k, v in given.items() if v is not None}, **(settings.extra_body or {})}


def _definition(tool: Tool) -> dict[str, Any]:
    if tool.raw is not None:
        return tool.raw
    function: dict[str, Any] = {
        "name": tool.name,
        "description": tool.description or "",
        "parameters": tool.parameters or {"type": "object", "properties": {}},
    }
    if tool.strict is not None:
        function["strict"] = tool.strict
    return {"type": "function", "function": function}


#: The kind of a part, and the number that LangChain's pieces of it bear.
Key: TypeAlias = tuple[str, Any]


class LangChainStream(Decoder):
    """Lines with a chunk each -> events; a last line `{"end": true}` says that the model had no more."""

    plain_start = None

    def __init__(self, dialect: Dialect) -> None:
        super().__init__(dialect)
        self._rest = b""
        self._places: dict[Key, int] = {}
        self._last: Key = ("", None)
        self._metadata: dict[str, Any] = {}
        self._usage: dict[str, Any] | None = None
        self._called = False

    def frames(self, data: bytes) -> list[bytes]:
        *lines, self._rest = (self._rest + data).split(b"\n")
        return [line for line in lines if line]

    def last_frames(self) -> list[bytes]:
        return []

    def finish(self, out: list[Event]) -> bool:
        return False

    def frame(self, out: list[Event], frame: bytes) -> None:
        chunk = mapping(loads(frame))
        if chunk.get("end"):
            self._end(out)
            return
        if string(chunk.get("id")) and not self._places:
            out.append(Start(id=chunk["id"]))
        self._content(out, chunk.get("content"))
        for call in chunk.get("tool_call_chunks") or ():
            self._call(out, call)
        refusal = string(mapping(chunk.get("additional_kwargs")).get("refusal"))
        if refusal:
            out.append(RefusalDelta(refusal, self._place(("refusal", None))))
        self._metadata.update(mapping(chunk.get("response_metadata")))
        self._add_usage(chunk.get("usage_metadata"))

    def _place(self, key: Key) -> int:
        """The index of the part that a piece belongs to; pieces without a number of their own go on with the last part."""
        self._last = key
        return self._places.setdefault(key, len(self._places))

    def _content(self, out: list[Event], content: Any) -> None:
        for item in as_list(content):
            if isinstance(item, str):
                if item:
                    out.append(TextDelta(item, self._place(self._going_on("text"))))
            elif is_object(item):
                self._block(out, item)

    def _going_on(self, kind: str, number: Any = None) -> Key:
        if number is not None:
            return kind, number
        return self._last if self._last[0] == kind else (kind, f"at {len(self._places)}")

    def _block(self, out: list[Event], item: dict[str, Any]) -> None:
        kind, number = item.get("type"), item.get("index")
        if kind in _CALLS:
            return  # they come among the chunks of calls
        if kind == "text" and not item.get("annotations"):
            if item.get("text"):
                out.append(TextDelta(item["text"], self._place(self._going_on("text", number))))
        elif kind in ("reasoning", "thinking"):
            self._reasoning(out, item, self._place(self._going_on("reasoning", number)))
        else:
            out += [PartDone(part, self._place(("part", len(self._places)))) for part in parts_of([item])]

    def _reasoning(self, out: list[Event], item: dict[str, Any], place: int) -> None:
        said = string(item.get("reasoning")) or string(item.get("thinking"))
        signature = string(item.get("signature")) or string(mapping(item.get("extras")).get("signature"))
        if said:
            out.append(ReasoningDelta(said, place))
        if signature:
            out.append(PartInfo(index=place, signature=signature))

    def _call(self, out: list[Event], call: dict[str, Any]) -> None:
        self._called = True
        number = call.get("index")
        if number is None and call.get("id"):
            number = call["id"]
        place = self._place(self._going_on("call", number))
        out.append(ToolCallDelta(place, call.get("id"), call.get("name"), call.get("args") or ""))

    def _add_usage(self, usage: Any) -> None:
        if not is_object(usage):
            return
        self._usage = usage if self._usage is None else _sum(self._usage, usage)

    def _end(self, out: list[Event]) -> None:
        metadata = self._metadata
        if finish_reason(metadata) is None and any(metadata.get(k) for k in _NAMED):
            raise IncompleteStream("the stream of LangChain's model ended without a finish reason: the answer was cut")
        model = string(metadata.get("model_name")) or string(metadata.get("model"))
        ident = string(metadata.get("id"))
        if model or ident:
            out.append(Start(id=ident, model=model))
        kept = mapping(metadata.get(OURS))
        if kept.get("provider_data"):
            out.append(MessageInfo(kept["provider_data"]))
        parts = [part_of_data(d) for d in kept.get("content") or ()]
        if len(parts) == len(self._places):  # as our own adapter gave them, with what chunks cannot say
            out += [PartDone(part, index) for index, part in enumerate(parts)]
        reason = finish_reason(metadata) or ("tool_calls" if self._called else "unknown")
        raw = string(metadata.get("raw_finish_reason")) or string(metadata.get("finish_reason"))
        raw = raw or string(metadata.get("stop_reason"))
        out.append(End(finish_reason=reason, raw_finish_reason=raw, usage=usage_of(self._usage, metadata)))
        self.ended = True


#: What providers' models put on their chunks. One that names itself also says why it ends, unless its stream was cut.
_NAMED = ("model_provider", "model_name", "model")
_CALLS = ("tool_call", "tool_call_chunk", "tool_use", "input_json_delta", "invalid_tool_call")


def _sum(one: dict[str, Any], other: dict[str, Any]) -> dict[str, Any]:
    out = dict(one)
    for key, value in other.items():
        have = out.get(key)
        out[key] = _sum(have, value) if is_object(have) else (have or 0) + (value or 0)
    return out
