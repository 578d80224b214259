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
from chatmodels._calls import Plan, Streaming, call_flow, stream_flow
from chatmodels._drive import achunks, arun, chunks, run
from chatmodels._errors import (
    ChatModelError,
    DeadlineError,
    IncompleteStream,
    ProviderError,
    TransportError,
    UsageError,
)
from chatmodels._events import Event, Restarted
from chatmodels._json import is_object, mapping
from chatmodels._messages import AIMessage
from chatmodels._model import ChatModel
from chatmodels._output import Output
from chatmodels._stream import AsyncChatStream, ChatStream
from chatmodels.dialects.openai_chat import OpenAIChat

from ._openai_answers import ChunkWriter, Wire, answer_of

_READER = OpenAIChat("openai")


class Asked(msgspec.Struct, frozen=True):
    """One request: the plan and the call that it means, and how its answer is to be written."""

    plan: Plan
    call: Call
    with_usage: bool
    #: The name of the typed answer, where the provider may give it as a call.
    output: str | None


class Server:
    """Answers Chat Completions with a model. `pass_model` sends the `model` of a request on; else the model's own answers."""

    def __init__(self, model: ChatModel, pass_model: bool = False) -> None:
        self._model = model
        self._pass_model = pass_model

    def models(self) -> Wire:
        """The list of models: the one."""
        return {"object": "list", "data": [self.model()]}

    def model(self) -> Wire:
        """The model, in the list's form."""
        return {"id": self._model.model, "object": "model", "created": 0, "owned_by": self._model.provider}

    def asked(self, body: Wire) -> Asked:
        """What a request's body asks for; a UsageError where it is none."""
        call = _READER.decode_request(body)
        model, config = self._model, self._model._config
        if self._pass_model and call.model:
            model = model.with_model(call.model)
        plan = model._plan()
        settings, output = _settings(config.settings, call.settings), config.output
        if not isinstance(plan.dialect, OpenAIChat):
            settings, wanted = _translated(settings, plan.dialect.provider)
            output = wanted or output
        return Asked(
            plan,
            Call(
                model=model.model,
                messages=call.messages,
                settings=settings,
                tools=call.tools or config.tools,
                output=output,
                stream=call.stream,
            ),
            bool(mapping(body.get("stream_options")).get("include_usage")),
            output.name if output is not None else None,
        )

    # -- whole answers

    def answer(self, asked: Asked) -> tuple[AIMessage, Wire]:
        """The answer, and its wire form."""
        message = run(call_flow(asked.plan, asked.call))
        return message, _whole(asked, message)

    async def aanswer(self, asked: Asked) -> tuple[AIMessage, Wire]:
        """`answer` in the async world."""
        message = await arun(call_flow(asked.plan, asked.call))
        return message, _whole(asked, message)

    # -- streams

    def stream(self, asked: Asked) -> Iterator[Wire]:
        """The chunks of an answer; closing the iterator closes the connection."""
        state, writer = Streaming(), _writer(asked)
        stream = ChatStream(chunks(stream_flow(asked.plan, asked.call, state), state), state)
        try:
            for piece in stream:
                for event in piece.events:
                    yield from _written(writer, event)
        finally:
            stream.close()

    async def astream(self, asked: Asked) -> AsyncIterator[Wire]:
        """`stream` in the async world."""
        state, writer = Streaming(), _writer(asked)
        stream = AsyncChatStream(achunks(stream_flow(asked.plan, asked.call, state), state), state)
        try:
            async for piece in stream:
                for event in piece.events:
                    for chunk in _written(writer, event):
                        yield chunk
        finally:
            await stream.aclose()


def _writer(asked: Asked) -> ChunkWriter:
    return ChunkWriter(
        model=asked.call.model, created=int(time.time()), with_usage=asked.with_usage, output=asked.output
    )


def _written(writer: ChunkWriter, event: Event) -> list[Wire]:
    if isinstance(event, Restarted):
        raise IncompleteStream(f"the answer began anew on another model ({event.reason}), which this form cannot say")
    return writer.chunks(event)


def _whole(asked: Asked, message: AIMessage) -> Wire:
    """The provider's own answer where it has this form, else ours written in it."""
    raw = message.raw
    if isinstance(asked.plan.dialect, OpenAIChat) and is_object(raw) and raw.get("object") == "chat.completion":
        return raw
    return answer_of(message, model=asked.call.model, created=int(time.time()), output=asked.output)


def _settings(own: Settings, asked: Settings) -> Settings:
    """The request's settings over the model's own."""
    given = {k: v for k in asked.__struct_fields__ if (v := getattr(asked, k)) is not None}
    if own.extra_body and asked.extra_body:
        given["extra_body"] = {**own.extra_body, **asked.extra_body}
    return msgspec.structs.replace(own, **given)


def _translated(settings: Settings, provider: str) -> tuple[Settings, Output[Any] | None]:
    """Settings for another wire format: a schema becomes a typed answer; fields that only this format has are told."""
    wanted, output = settings.response_format, None
    changes: dict[str, Any] = {}
    if wanted is not None and wanted.get("type") == "json_schema":
        output = Output.of(wanted)
        changes["response_format"] = None
    elif wanted == {"type": "text"}:
        changes["response_format"] = None
    if settings.extra_body:
        names = ", ".join(sorted(settings.extra_body))
        warnings.warn(f"{names}: not sent, since {provider} takes no fields of Chat Completions", stacklevel=6)
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
