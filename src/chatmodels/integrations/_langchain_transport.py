"""The transport of models of LangChain: what is sent is a call of the model, in this thread, or in one loop for all async calls.

A sync call of LangChain cannot be stopped from outside: its deadlines are looked at between the pieces of a stream.
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import suppress
from importlib import import_module
from time import monotonic
from typing import Any

import msgspec

from chatmodels._async import in_trio
from chatmodels._call import HTTPResponse
from chatmodels._errors import ChatModelError, DeadlineError, ProviderError, UsageError
from chatmodels._flow import Open, Send
from chatmodels._http import ThreadedOpened
from chatmodels._http_common import passed
from chatmodels._json import loads
from chatmodels.dialects._errors import make_error

from ._langchain_errors import class_of
from ._loop import PumpedStream, in_the_loop, starter, within
from ._needs import caused

_messages: Any = import_module("langchain_core.messages")
_END = b'{"end":true}\n'
_NOT_TAKEN = re.compile(r"unexpected keyword argument '(\w+)'")


class LangChainTransport:
    """Performs `Send` and `Open` by calling a chat model of LangChain. `name` is the model's own."""

    def __init__(self, model: Any, name: str) -> None:
        self._model = model
        self._name = name

    def _asked(self, body: bytes, *, stream: bool = False) -> tuple[Any, dict[str, Any]]:
        """The runnable, and the arguments of its call."""
        asked = loads(body)
        settings = asked["settings"]
        if stream and getattr(self._model, "stream_usage", ...) is None:
            settings.setdefault("stream_usage", True)  # those of OpenAI's hosts give none where they are not asked
        if asked["model"] != self._name:
            settings["model"] = asked["model"]
        runnable = self._model
        if "tools" in asked:
            named = {k: asked[k] for k in ("tool_choice", "parallel_tool_calls") if asked.get(k) is not None}
            try:
                runnable = runnable.bind_tools(asked["tools"], **named)
            except NotImplementedError as error:
                raise UsageError(
                    f"{type(self._model).__name__} of LangChain takes no tools, which typed answers need too",
                    argument="tools",
                ) from error
        messages = _messages.messages_from_dict(asked["messages"])
        return runnable, {"input": messages, "stop": asked.get("stop"), **settings}

    def send(self, effect: Send) -> HTTPResponse:
        """Call the model."""
        runnable, asked = self._asked(effect.request.body)
        try:
            return _response(runnable.invoke(**asked))
        except Exception as error:
            raised = error
        raise caused(_ours(raised), raised)

    def open(self, effect: Open) -> LangChainOpened:
        """Begin a stream of the model."""
        runnable, asked = self._asked(effect.request.body, stream=True)
        return LangChainOpened(runnable.stream(**asked))

    async def asend(self, effect: Send) -> HTTPResponse:
        """`send` in the async world."""
        runnable, asked = self._asked(effect.request.body)
        call = within(runnable.ainvoke(**asked), effect.deadline, None, "total", _ours)
        return _response(await in_the_loop(call))

    async def aopen(self, effect: Open) -> Any:
        """`open` in the async world."""
        runnable, asked = self._asked(effect.request.body, stream=True)
        opened = PumpedStream(_lines(runnable.astream(**asked)), starter(), _ours)
        return ThreadedOpened(opened) if in_trio() else opened


class LangChainOpened:
    """A stream of the model, as lines."""

    def __init__(self, stream: Iterator[Any]) -> None:
        self.status = 200
        self.headers: dict[str, str] = {}
        self._stream = stream
        self._over = False

    def read(self, idle: float | None, deadline: float | None, phase: str) -> bytes:
        """The next line; empty at the end."""
        if self._over:
            return b""
        if deadline is not None and monotonic() >= deadline:
            self.abort()
            raise DeadlineError(passed(phase), phase=phase)
        try:
            return _line(next(self._stream))
        except StopIteration:
            self._over = True
            return _END
        except Exception as error:
            self._over = True
            raised = error
        raise caused(_ours(raised), raised)

    def finish(self) -> None:
        """The model has said all."""
        self.abort()

    def abort(self) -> None:
        """Close LangChain's generator, which closes its connection."""
        self._over = True
        close: Callable[[], None] | None = getattr(self._stream, "close", None)
        if close is not None:
            with suppress(ValueError):  # another thread is waiting in it
                close()


async def _lines(stream: AsyncIterator[Any]) -> AsyncIterator[bytes]:
    """The chunks of a stream as lines, and a last one that says that there are no more."""
    async for chunk in stream:
        yield _line(chunk)
    yield _END


def _response(answer: Any) -> HTTPResponse:
    return HTTPResponse(status=200, body=_encode(_messages.message_to_dict(answer)))


def _line(chunk: Any) -> bytes:
    return _encode(chunk.model_dump()) + b"\n"


def _encode(value: Any) -> bytes:
    return msgspec.json.encode(value, enc_hook=str)


def _ours(error: Exception) -> Exception:
    """An error of LangChain's model as ours, by its class, its status, or else as it says."""
    if isinstance(error, ChatModelError):
        return error
    if isinstance(error, TypeError) and (found := _NOT_TAKEN.search(str(error))):
        said = f"this model of LangChain takes no {found[1]}: leave the setting out"
        return UsageError(said, argument=found[1])
    status = getattr(error, "status_code", None)
    if isinstance(status, int):
        body = getattr(error, "body", None)
        return make_error("langchain", str(error), status=status, body=body)
    cls = class_of(error) or ProviderError
    return cls(f"langchain: {type(error).__name__}: {error}", provider="langchain")
