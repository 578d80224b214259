"""The real `openai.OpenAI` client over a model of ours: its HTTP client's transport is our `Server`.

So everything in the SDK that rests on Chat Completions works as written (`create`, `parse`, `stream`, raw responses), with
the SDK's own types and errors. Its retries are switched off: ours hold.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from importlib import import_module
from typing import Any

from chatmodels._errors import ChatModelError, DeadlineError, UsageError
from chatmodels._json import encode, loads
from chatmodels._model import ChatModel

from ._openai_answers import Wire
from ._openai_server import Asked, Beside, Server, error_body, is_transport, status_of

_openai: Any = import_module("openai")

#: The SDK never reaches this address.
_ADDRESS = "http://chatmodels.invalid/v1"


def _http() -> Any:
    """The HTTP library of the SDK: httpx, or httpx2 in the newer releases."""
    for cls in _openai.DefaultHttpxClient.__mro__:
        library = cls.__module__.partition(".")[0]
        if library in ("httpx", "httpx2"):
            return import_module(library)
    raise ImportError("the openai SDK uses an HTTP library that chatmodels does not know")  # pragma: no cover


_lib = _http()
_Transport: Any = _lib.BaseTransport
_AsyncTransport: Any = _lib.AsyncBaseTransport
_Bytes: Any = _lib.SyncByteStream
_AsyncBytes: Any = _lib.AsyncByteStream


def client(model: ChatModel, pass_model: bool, options: dict[str, Any]) -> Any:
    """An `openai.OpenAI`."""
    model, options = _retrying(model, options)
    http = _lib.Client(transport=_Sync(Server(model, pass_model)))
    return _openai.OpenAI(**options, http_client=http)


def async_client(model: ChatModel, pass_model: bool, options: dict[str, Any]) -> Any:
    """An `openai.AsyncOpenAI`."""
    model, options = _retrying(model, options)
    http = _lib.AsyncClient(transport=_Async(Server(model, pass_model)))
    return _openai.AsyncOpenAI(**options, http_client=http)


_FIXED: dict[str, Any] = {"api_key": "none", "base_url": _ADDRESS}


def _retrying(model: ChatModel, options: dict[str, Any]) -> tuple[ChatModel, dict[str, Any]]:
    """The SDK's `max_retries` are tries of the model's: one engine tries again, not two within each other."""
    again = options.get("max_retries")
    if again is not None:
        model = model.with_retry(attempts=again + 1)
    return model, {**_FIXED, **options, "max_retries": 0}


class _Sync(_Transport):  # type: ignore[misc]
    def __init__(self, server: Server) -> None:
        self._server = server

    def handle_request(self, request: Any) -> Any:
        found = _other(self._server, request)
        if found is not None:
            return found
        try:
            asked = _asked(self._server, request, request.read())
            if not asked.call.stream:
                message, wire = self._server.answer(asked)
                return _response(200, wire, message.request_id)
            chunks = self._server.stream(asked)
            first = next(chunks, None)  # errors before the first chunk have a status
        except ChatModelError as error:
            return _refused(error, request)
        return _lib.Response(200, headers=_STREAMED, stream=_SyncStream(first, chunks))


class _Async(_AsyncTransport):  # type: ignore[misc]
    def __init__(self, server: Server) -> None:
        self._server = server

    async def handle_async_request(self, request: Any) -> Any:
        found = _other(self._server, request)
        if found is not None:
            return found
        try:
            asked = _asked(self._server, request, await request.aread())
            if not asked.call.stream:
                message, wire = await self._server.aanswer(asked)
                return _response(200, wire, message.request_id)
            chunks = self._server.astream(asked)
            first = await anext(chunks, None)
        except ChatModelError as error:
            return _refused(error, request)
        return _lib.Response(200, headers=_STREAMED, stream=_AsyncStream(first, chunks))


_STREAMED = {"content-type": "text/event-stream"}
_DONE = b"data: [DONE]\n\n"


def _event(wire: Wire) -> bytes:
    kind = wire.get("type")
    named = f"event: {kind}\n".encode() if isinstance(kind, str) else b""
    return named + b"data: " + encode(wire) + b"\n\n"


class _SyncStream(_Bytes):  # type: ignore[misc]
    def __init__(self, first: Wire | None, rest: Iterator[Wire]) -> None:
        self._first = first
        self._rest: Any = rest

    def __iter__(self) -> Iterator[bytes]:
        if self._first is not None:
            yield _event(self._first)
        try:
            for chunk in self._rest:
                yield _event(chunk)
        except ChatModelError as error:
            yield _event(error_body(error))  # the SDK raises it as an APIError
            return
        yield _DONE

    def close(self) -> None:
        self._rest.close()


class _AsyncStream(_AsyncBytes):  # type: ignore[misc]
    def __init__(self, first: Wire | None, rest: AsyncIterator[Wire]) -> None:
        self._first = first
        self._rest: Any = rest

    async def __aiter__(self) -> AsyncIterator[bytes]:
        if self._first is not None:
            yield _event(self._first)
        try:
            async for chunk in self._rest:
                yield _event(chunk)
        except ChatModelError as error:
            yield _event(error_body(error))
            return
        yield _DONE

    async def aclose(self) -> None:
        await self._rest.aclose()


#: Headers that the SDK itself sets: they say how to reach OpenAI.
_SDKS = frozenset(
    {
        "accept", "accept-encoding", "authorization", "connection", "content-length", "content-type", "host",
        "idempotency-key", "openai-organization", "openai-project", "transfer-encoding", "user-agent",
    }
)  # fmt: skip
#: The SDK's timeout where its user gave none, in seconds: then the model's own deadlines hold.
_NOT_GIVEN = 600


def _asked(server: Server, request: Any, body: bytes) -> Asked:
    """What a request asks for, with the headers and the timeout that its user gave."""
    if request.url.query:
        raise UsageError("extra_query has no place here: set it on the model, in base_url", argument="extra_query")
    wire = loads(body)
    headers = {k: v for k, v in request.headers.items() if k not in _SDKS and not k.startswith("x-stainless-")}
    timeouts = _timeouts(request.extensions.get("timeout") or {}, bool(wire.get("stream")))
    beside = Beside(headers=headers, timeouts=timeouts)
    return server.asked(wire, beside, responses=str(request.url.path).endswith("/responses"))


def _timeouts(given: dict[str, Any], stream: bool) -> dict[str, float | None]:
    """The SDK's timeout is one of silence: of a whole answer its total, of a stream the time between two pieces."""
    read = given.get("read", _NOT_GIVEN)
    if read == _NOT_GIVEN:
        return {}
    waits: dict[str, float | None] = {"first_token": read, "idle": read} if stream else {"total": read}
    return {"connect": given.get("connect"), **waits}


def _response(status: int, wire: Wire, request_id: str | None = None) -> Any:
    headers = {"content-type": "application/json"}
    if request_id:
        headers["x-request-id"] = request_id
    return _lib.Response(status, headers=headers, content=encode(wire))


def _other(server: Server, request: Any) -> Any:
    """The answer to everything but a call; None for a call."""
    path = str(request.url.path)
    if request.method == "POST" and path.endswith(("/chat/completions", "/responses")):
        return None
    if request.method == "GET" and path.endswith("/models"):
        return _response(200, server.models())
    if request.method == "GET" and path.endswith(f"/models/{server.model()['id']}"):
        return _response(200, server.model())
    message = f"{request.method} {path}: this client has chat.completions, responses.create and models only"
    said = {"message": message, "type": "invalid_request_error", "param": None, "code": "unsupported"}
    return _response(404, {"error": said})


def _refused(error: ChatModelError, request: Any) -> Any:
    """The response of an error; where none came, the error of the HTTP library that the SDK expects."""
    if is_transport(error):
        kind = _lib.ReadTimeout if isinstance(error, DeadlineError) else _lib.ConnectError
        raise kind(str(error), request=request) from error
    response = _response(status_of(error), error_body(error), getattr(error, "request_id", None))
    response.headers["x-should-retry"] = (
        "false"  # the model has tried again: the SDK heeds it, whatever its max_retries
    )
    retry_after = getattr(error, "retry_after", None)
    if retry_after is not None:
        response.headers["retry-after"] = str(retry_after)
    return response
