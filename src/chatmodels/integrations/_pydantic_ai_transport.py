"""The transport of models of pydantic-ai: what is sent is a request of the model, in one event loop that all calls share.

A model of pydantic-ai keeps its connections in the loop that it was first used in. So all its requests, from sync code, from any
loop and from trio, go to our own loop in the background.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from importlib import import_module
from typing import Any

import msgspec

from chatmodels._async import in_trio
from chatmodels._call import HTTPResponse
from chatmodels._errors import ChatModelError, DeadlineError, ProviderError, TransportError, UsageError
from chatmodels._flow import Open, Send
from chatmodels._http import ThreadedOpened
from chatmodels._inputs import from_dict
from chatmodels._json import loads
from chatmodels._portal import portal
from chatmodels.dialects._errors import make_error

from ._loop import PumpedStream, in_the_loop, starter, within
from ._pydantic_ai_requests import native_of, requests_of, tool_of

_direct: Any = import_module("pydantic_ai.direct")
_exceptions: Any = import_module("pydantic_ai.exceptions")
_models: Any = import_module("pydantic_ai.models")
_output: Any = import_module("pydantic_ai.output")
_pa: Any = import_module("pydantic_ai.messages")

#: Models that answer by themselves and never say why they end.
_WITHOUT_ENDS = ("test", "function")
#: States of an answer that is whole, or that the provider will go on with.
_WHOLE = ("complete", "suspended")


class PydanticAITransport:
    """Performs `Send` and `Open` by asking a model of pydantic-ai."""

    def __init__(self, model: Any) -> None:
        self._model = model

    def send(self, effect: Send) -> HTTPResponse:
        """Ask the model."""
        return portal().run(self._answer(effect))

    async def asend(self, effect: Send) -> HTTPResponse:
        """`send` in the async world."""
        response: HTTPResponse = await in_the_loop(self._answer(effect))
        return response

    def open(self, effect: Open) -> PumpedStream:
        """Begin a stream of the model."""
        return PumpedStream(_lines(self._model, self._asked(effect.request.body)), portal().start, _ours)

    async def aopen(self, effect: Open) -> Any:
        """`open` in the async world."""
        opened = PumpedStream(_lines(self._model, self._asked(effect.request.body)), starter(), _ours)
        return ThreadedOpened(opened) if in_trio() else opened

    def _asked(self, body: bytes) -> dict[str, Any]:
        """The arguments of the request."""
        asked = loads(body)
        messages = [from_dict(m) for m in asked["messages"]]
        return {
            "messages": requests_of(messages, self._model.system),
            "model_settings": asked["settings"] or None,
            "model_request_parameters": _parameters(self._model, asked),
        }

    async def _answer(self, effect: Send) -> HTTPResponse:
        asked = self._asked(effect.request.body)
        response = await within(_direct.model_request(self._model, **asked), effect.deadline, None, "total", _ours)
        return HTTPResponse(status=200, body=msgspec.json.encode(_data(response), enc_hook=str))


def _parameters(model: Any, asked: dict[str, Any]) -> Any:
    given: dict[str, Any] = {
        "function_tools": [tool_of(t) for t in asked.get("tools", ())],
        "native_tools": [native_of(t) for t in asked.get("native_tools", ())],
    }
    output = asked.get("output")
    if output is not None and model.profile.get("supports_json_schema_output"):
        wanted = _output.OutputObjectDefinition(
            json_schema=output["schema"], name=output["name"], description=output["description"],
            strict=output["strict"],
        )  # fmt: skip
        given |= {"output_mode": "native", "output_object": wanted}
    elif output is not None:  # every model with tools can be made to call one
        tool = {**output, "parameters": output["schema"]}
        given |= {"output_mode": "tool", "output_tools": [tool_of(tool, "output")], "allow_text_output": False}
    return _models.ModelRequestParameters(**given)


async def _lines(model: Any, asked: dict[str, Any]) -> AsyncIterator[bytes]:
    """The events of a stream as lines, and a last one with the whole answer."""
    async with _direct.model_request_stream(model, **asked) as stream:
        async for event in stream:
            line = _line(event)
            if line is not None:
                yield _encode(line)
        yield _encode(_last(model, stream))


def _data(response: Any) -> dict[str, Any]:
    data: dict[str, Any] = _pa.ModelMessagesTypeAdapter.dump_python([response], mode="json")[0]
    return data


def _last(model: Any, stream: Any) -> dict[str, Any]:
    """The whole answer, and whether the provider said that it has ended: where it did not, pydantic-ai may make up a "stop"."""
    answer = stream.get()
    told = getattr(stream, "_has_finish_reason", answer.finish_reason is not None)
    ended = told or answer.finish_reason not in (None, "stop") or model.system in _WITHOUT_ENDS
    return {"answer": _data(answer), "ended": ended and getattr(answer, "state", "complete") in _WHOLE}


def _line(event: Any) -> dict[str, Any] | None:
    """An event as data; None for those that say nothing new."""
    if event.event_kind == "part_start":
        part = _data(_pa.ModelResponse(parts=[event.part]))["parts"][0]
        return {"index": event.index, "part": part}
    if event.event_kind != "part_delta":
        return None
    delta = event.delta
    names = ("content_delta", "signature_delta", "tool_name_delta", "args_delta")
    return {"index": event.index, "delta": {k: v for k in names if (v := getattr(delta, k, None)) is not None}}


def _encode(line: dict[str, Any]) -> bytes:
    return msgspec.json.encode(line, enc_hook=str) + b"\n"


# ---- errors

#: pydantic-ai's categories that came without a status -> ours.
_CATEGORIES: tuple[tuple[str, type[ChatModelError]], ...] = (
    ("ModelTimeoutError", DeadlineError),
    ("ModelConnectionError", TransportError),
)


def _ours(error: Exception) -> Exception:
    """An error of pydantic-ai as ours, by its status or its category; ours itself, where it was the cause."""
    if isinstance(error, ChatModelError):
        return error
    if isinstance(error.__cause__, ChatModelError):
        return error.__cause__
    if isinstance(error, _exceptions.UserError):
        return UsageError(f"pydantic-ai: {error}", argument="model")
    if isinstance(error, _exceptions.ModelHTTPError):
        return _refused(error)
    for name, cls in _CATEGORIES:
        theirs = getattr(_exceptions, name, None)
        if theirs is not None and isinstance(error, theirs):
            return _unreached(error, cls)
    return ProviderError(f"pydantic-ai: {type(error).__name__}: {error}", provider="pydantic-ai")


def _refused(error: Any) -> ChatModelError:
    made = make_error("pydantic-ai", str(error), status=error.status_code, body=error.body)
    wait = getattr(error, "retry_after", None)
    if isinstance(wait, (int, float)):
        made.retry_after = float(wait)
    return made


def _unreached(error: Exception, cls: type[ChatModelError]) -> ChatModelError:
    said = f"pydantic-ai: {type(error).__name__}: {error}"
    return DeadlineError(said, phase="total") if cls is DeadlineError else cls(said)
