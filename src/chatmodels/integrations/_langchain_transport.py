"""The transport of models of LangChain: what is sent is a call of the model, in this thread or this task.

A sync call of LangChain cannot be stopped from outside: its deadlines are looked at between the pieces of a stream.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import suppress
from importlib import import_module
from time import monotonic
from typing import Any

import msgspec

from chatmodels._async import in_thread, in_trio
from chatmodels._call import HTTPResponse
from chatmodels._errors import ChatModelError, DeadlineError, ProviderError, UsageError
from chatmodels._flow import Open, Send
from chatmodels._http import ThreadedOpened, passed
from chatmodels._json import loads
from chatmodels.dialects._base import make_error

from ._langchain_errors import class_of
from ._needs import caused

_messages: Any = import_module("langchain_core.messages")
_END = b'{"end":true}\n'


class LangChainTransport:
    """Performs `Send` and `Open` by calling a chat model of LangChain. `name` is the model's own."""

    def __init__(self, model: Any, name: str) -> None:
        self._model = model
        self._name = name

    def _asked(self, body: bytes) -> tuple[Any, dict[str, Any]]:
        """The runnable, and the arguments of its call."""
        asked = loads(body)
        settings = asked["settings"]
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
        runnable, asked = self._asked(effect.request.body)
        return LangChainOpened(runnable.stream(**asked))

    async def asend(self, effect: Send) -> HTTPResponse:
        """`send` in the async world."""
        if in_trio():
            return await in_thread(self.send, effect)
        runnable, asked = self._asked(effect.request.body)
        return _response(await _within(lambda: runnable.ainvoke(**asked), effect.deadline, None, "total"))

    async def aopen(self, effect: Open) -> Any:
        """`open` in the async world."""
        if in_trio():
            return ThreadedOpened(self.open(effect))
        runnable, asked = self._asked(effect.request.body)
        return AsyncLangChainOpened(runnable.astream(**asked))


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


class AsyncLangChainOpened:
    """A stream of the model, as lines, in the async world."""

    def __init__(self, stream: AsyncIterator[Any]) -> None:
        self.status = 200
        self.headers: dict[str, str] = {}
        self._stream = stream
        self._over = False
        self._closing: Any = None

    async def aread(self, idle: float | None, deadline: float | None, phase: str) -> bytes:
        """The next line; empty at the end."""
        if self._over:
            return b""
        try:
            return _line(await _within(self._stream.__anext__, deadline, idle, phase))
        except StopAsyncIteration:
            self._over = True
            return _END
        except BaseException:
            self._over = True
            raise

    async def afinish(self) -> None:
        """The model has said all."""
        self._over = True

    def abort(self) -> None:
        """Close LangChain's generator, which closes its connection."""
        import asyncio

        self._over = True
        close: Callable[[], Any] | None = getattr(self._stream, "aclose", None)
        if close is not None and self._closing is None:
            self._closing = asyncio.ensure_future(_quietly(close))


async def _quietly(close: Callable[[], Any]) -> None:
    with suppress(RuntimeError):  # another task is waiting in it
        await close()


async def _within(start: Callable[[], Any], deadline: float | None, idle: float | None, phase: str) -> Any:
    """What comes of an awaitable, in time; errors of LangChain's as ours."""
    import asyncio

    left = None if deadline is None else deadline - monotonic()
    wait, late = (idle, "idle") if left is None or (idle is not None and idle < left) else (left, phase)
    limit = asyncio.timeout(wait)
    try:
        async with limit:
            return await start()
    except StopAsyncIteration:
        raise
    except Exception as error:
        raised = error
    if limit.expired():
        raise DeadlineError(passed(late), phase=late) from raised
    raise caused(_ours(raised), raised)


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
    status = getattr(error, "status_code", None)
    if isinstance(status, int):
        body = getattr(error, "body", None)
        return make_error("langchain", str(error), status=status, body=body)
    cls = class_of(error) or ProviderError
    return cls(f"langchain: {type(error).__name__}: {error}", provider="langchain")
