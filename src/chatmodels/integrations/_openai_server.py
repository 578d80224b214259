"""Requests of the OpenAI SDK answered by a model of ours: bodies in, wire answers out, errors as the API spells them.

Knows no HTTP client; `_openai_client.py` puts it under the SDK, `_openai_light.py` under objects of the same shape.
"""

from __future__ import annotations

import time
import warnings
from collections.abc import AsyncIterator, Iterator
from typing import Any

import msgspec

from chatmodels._call import Call, Settings
from chatmodels._calls import call_flow, stream_flow
from chatmodels._drive import achunks, arun, chunks, run
from chatmodels._errors import (
    ChatModelError,
    DeadlineError,
    IncompleteStream,
    ProviderError,
    TransportError,
    UsageError,
)
from chatmodels._events import End, Event, Restarted
from chatmodels._json import is_object, mapping
from chatmodels._messages import AIMessage
from chatmodels._model import ChatModel
from chatmodels._output import Output
from chatmodels._plan import Plan, Streaming
from chatmodels._stream import AsyncChatStream, ChatStream
from chatmodels.dialects._base import Dialect
from chatmodels.dialects.openai_chat import OpenAIChat
from chatmodels.dialects.openai_responses import OpenAIResponses

from ._openai_answers import ChunkWriter, Wire, answer_of
from ._openai_responses import ResponseWriter, response_of, with_reasoning

_CHAT: Any = OpenAIChat("openai")
_RESPONSES: Any = OpenAIResponses("openai")
#: Fields of a Responses request that mean what OpenAI has stored: nobody else can answer them.
_STORED = ("previous_response_id", "conversation", "background", "prompt")


class Asked(msgspec.Struct, frozen=True):
    """One request: the plan and the call that it means, and how its answer is to be written."""

    plan: Plan
    call: Call
    body: Wire
    #: The name of the typed answer, where the provider may give it as a call.
    output: str | None
    #: Asked in the form of Responses, not of Chat Completions.
    responses: bool = False


class Beside(msgspec.Struct, frozen=True, kw_only=True):
    """What a request says beside its body: headers for the provider, and seconds of patience (`timeouts`: names of ours)."""

    headers: dict[str, str] = {}
    timeouts: dict[str, float | None] = {}


class Server:
    """Answers Chat Completions and Responses with a model. `pass_model` sends a request's `model` on; else it is not looked at."""

    def __init__(self, model: ChatModel, pass_model: bool = False) -> None:
        self._model = model
        self._pass_model = pass_model

    def models(self) -> Wire:
        """The list of models: the one."""
        return {"object": "list", "data": [self.model()]}

    def model(self) -> Wire:
        """The model, in the list's form."""
        return {"id": self._model.model, "object": "model", "created": 0, "owned_by": self._model.provider}

    def asked(self, body: Wire, beside: Beside | None = None, *, responses: bool = False) -> Asked:
        """What a request's body asks for; a UsageError where it is none."""
        reader = _RESPONSES if responses else _CHAT
        call: Call = reader.decode_request(body)
        model, config = self._model, self._model._config
        if self._pass_model and call.model:
            model = model.with_model(call.model)
        if beside is not None and beside.timeouts:
            model = model.with_timeouts(**beside.timeouts)
        plan = model._plan()
        settings, output = _settings(config.settings, call.settings), config.output
        if beside is not None and beside.headers:
            headers = {**(settings.extra_headers or {}), **beside.headers}
            settings = msgspec.structs.replace(settings, extra_headers=headers)
        messages = call.messages
        if not isinstance(plan.dialect, type(reader)):
            messages = tuple(with_reasoning(m, plan.dialect.provider) for m in messages)
            settings, wanted = _translated(settings, plan.dialect, "Responses" if responses else "Chat Completions")
            output = wanted or output
        made = Call(
            model=model.model,
            messages=messages,
            settings=settings,
            tools=call.tools or config.tools,
            output=output,
            stream=call.stream,
        )
        return Asked(plan, made, body, output.name if output is not None else None, responses)

    # -- whole answers

    def answer(self, asked: Asked) -> tuple[AIMessage, Wire]:
        """The answer, and its wire form."""
        message = run(call_flow(asked.plan, asked.call))
        _tell(message)
        return message, _whole(asked, message)

    async def aanswer(self, asked: Asked) -> tuple[AIMessage, Wire]:
        """`answer` in the async world."""
        message = await arun(call_flow(asked.plan, asked.call))
        _tell(message)
        return message, _whole(asked, message)

    # -- streams

    def stream(self, asked: Asked) -> Iterator[Wire]:
        """The chunks (or events) of an answer; closing the iterator closes the connection."""
        state, writer = Streaming(), _writer(asked)
        stream = ChatStream(chunks(stream_flow(asked.plan, asked.call, state), state), state)
        try:
            for piece in stream:
                for event in piece.events:
                    yield from _written(writer, event, state)
        finally:
            stream.close()

    async def astream(self, asked: Asked) -> AsyncIterator[Wire]:
        """`stream` in the async world."""
        state, writer = Streaming(), _writer(asked)
        stream = AsyncChatStream(achunks(stream_flow(asked.plan, asked.call, state), state), state)
        try:
            async for piece in stream:
                for event in piece.events:
                    for chunk in _written(writer, event, state):
                        yield chunk
        finally:
            await stream.aclose()


def _writer(asked: Asked) -> ChunkWriter | ResponseWriter:
    model, now = asked.call.model, int(time.time())
    if asked.responses:
        return ResponseWriter(asked.body, model=model, created=now, output=asked.output)
    with_usage = bool(mapping(asked.body.get("stream_options")).get("include_usage"))
    return ChunkWriter(model=model, created=now, with_usage=with_usage, output=asked.output)


def _written(writer: ChunkWriter | ResponseWriter, event: Event, state: Streaming) -> list[Wire]:
    if isinstance(event, Restarted):
        raise IncompleteStream(f"the answer began anew on another model ({event.reason}), which this form cannot say")
    if isinstance(event, End):
        _tell(state.message())
    if isinstance(writer, ChunkWriter):
        return writer.chunks(event)
    return writer.end(state.message()) if isinstance(event, End) else writer.events(event)


def _tell(message: AIMessage) -> None:
    """What could not be sent as asked: this form's answers have no place for it."""
    for said in message.warnings:
        warnings.warn(said, stacklevel=5)


def _whole(asked: Asked, message: AIMessage) -> Wire:
    """The provider's own answer where it has this form, else ours written in it."""
    raw = message.raw
    dialect, kind = (OpenAIResponses, "response") if asked.responses else (OpenAIChat, "chat.completion")
    if isinstance(asked.plan.dialect, dialect) and is_object(raw) and raw.get("object") == kind:
        return raw
    model, now = asked.call.model, int(time.time())
    if asked.responses:
        return response_of(message, asked.body, model=model, created=now, output=asked.output)
    return answer_of(message, model=model, created=now, output=asked.output)


def _settings(own: Settings, asked: Settings) -> Settings:
    """The request's settings over the model's own."""
    given = {k: v for k in asked.__struct_fields__ if (v := getattr(asked, k)) is not None}
    if own.extra_body and asked.extra_body:
        given["extra_body"] = {**own.extra_body, **asked.extra_body}
    return msgspec.structs.replace(own, **given)


def _translated(settings: Settings, dialect: Dialect, form: str) -> tuple[Settings, Output[Any] | None]:
    """Settings for another wire format: a schema becomes a typed answer; fields that only this format has are told."""
    wanted, output = settings.response_format, None
    changes: dict[str, Any] = {}
    if wanted is not None and wanted.get("type") == "json_schema":
        output = Output.of(wanted)
        changes["response_format"] = None
    elif wanted == {"type": "text"}:
        changes["response_format"] = None
    extra = settings.extra_body or {}
    for name in _STORED:
        if extra.get(name):
            raise UsageError(f"{name} means what OpenAI has stored, and {dialect.provider} answers", argument=name)
    told = sorted(k for k, v in extra.items() if v not in (None, [], {}))
    if told:
        said = f"{', '.join(told)}: not sent, since {dialect.provider} takes no fields of {form}"
        warnings.warn(said, stacklevel=6)
    if extra:
        changes["extra_body"] = None
    return msgspec.structs.replace(settings, **changes), output


# ---- errors


def status_of(error: ChatModelError) -> int:
    """The HTTP status that says what happened."""
    if isinstance(error, ProviderError):
        return error.status if error.status is not None and error.status >= 400 else 502
    if isinstance(error, UsageError):
        return 400
    return 504 if isinstance(error, DeadlineError) else 502


def error_body(error: ChatModelError) -> Wire:
    """The error in the API's form, with the provider's own words where there are some."""
    body = getattr(error, "body", None)
    if is_object(body) and is_object(body.get("error")):
        return body
    kind = "invalid_request_error" if isinstance(error, UsageError) else "api_error"
    said = {
        "message": error.message if isinstance(error, ProviderError) else str(error),
        "type": getattr(error, "kind", None) or kind,
        "param": getattr(error, "argument", None),
        "code": getattr(error, "code", None),
    }
    return {"error": said}


def is_transport(error: ChatModelError) -> bool:
    """Did no response come at all?"""
    return isinstance(error, TransportError)
