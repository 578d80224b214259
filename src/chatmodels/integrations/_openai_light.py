"""The shape of the OpenAI SDK without it: `chat.completions.create` and `parse`, `responses.create`, `models.list`; streams too.

Answers are `Light` objects: attributes all the way down, `model_dump()` for the plain data. Errors are ours.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from typing import Any, Self

from chatmodels._errors import UsageError
from chatmodels._json import dumps_text, is_array, is_object
from chatmodels._messages import AIMessage
from chatmodels._model import ChatModel
from chatmodels._output import Output
from chatmodels._outputs import value_of

from ._openai_answers import Wire
from ._openai_server import Asked, Server


class Light:
    """An object of an answer: its fields are attributes; a field that is not there is None."""

    def __init__(self, wire: Wire) -> None:
        self._wire = wire
        for name, value in wire.items():
            setattr(self, name, _light(value))

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        return None

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Light) and self._wire == other._wire

    def __hash__(self) -> int:
        return hash(dumps_text(self._wire))

    def __repr__(self) -> str:
        return f"Light({', '.join(f'{k}={_light(v)!r}' for k, v in self._wire.items())})"

    def model_dump(self) -> Wire:
        """The plain data."""
        return self._wire

    def model_dump_json(self) -> str:
        """The plain data as JSON text."""
        return dumps_text(self._wire)


def _light(value: Any) -> Any:
    if is_object(value):
        return Light(value)
    return [_light(v) for v in value] if is_array(value) else value


class LightStream:
    """The chunks of an answer; leaving it closes the connection."""

    def __init__(self, chunks: Iterator[Wire]) -> None:
        self._chunks: Any = chunks

    def __iter__(self) -> Iterator[Light]:
        for chunk in self._chunks:
            yield Light(chunk)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def close(self) -> None:
        """Stop."""
        self._chunks.close()


class LightAsyncStream:
    """`LightStream` in the async world."""

    def __init__(self, chunks: AsyncIterator[Wire]) -> None:
        self._chunks: Any = chunks

    async def __aiter__(self) -> AsyncIterator[Light]:
        async for chunk in self._chunks:
            yield Light(chunk)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Stop."""
        await self._chunks.aclose()


class _Part:
    def __init__(self, server: Server) -> None:
        self._server = server

    def _asked(self, body: Wire, *, responses: bool = False) -> Asked:
        extra: Wire = body.pop("extra_body", None) or {}
        for name in ("extra_headers", "extra_query", "timeout"):
            if body.pop(name, None) is not None:
                raise UsageError(f"{name} is set on the model here, not in a call", argument=name)
        return self._server.asked({**body, **extra}, responses=responses)

    def stream(self, **body: Any) -> Any:
        """Not there without the SDK; `create(stream=True)` is."""
        raise UsageError(
            "chat.completions.stream needs the SDK: pip install 'chatmodels[openai]'; create(stream=True) does not",
            argument="stream",
        )


class _Completions(_Part):
    def create(self, **body: Any) -> Any:
        """The answer, or with `stream=True` its chunks."""
        asked = self._asked(body)
        if asked.call.stream:
            return LightStream(self._server.stream(asked))
        return Light(self._server.answer(asked)[1])

    def parse(self, *, response_format: Any, **body: Any) -> Light:
        """The answer, with `.choices[0].message.parsed` made from the type that `response_format` is."""
        output, asked = _typed(self, response_format, body)
        return _parsed(output, *self._server.answer(asked))


class _AsyncCompletions(_Part):
    async def create(self, **body: Any) -> Any:
        """The answer, or with `stream=True` its chunks."""
        asked = self._asked(body)
        if asked.call.stream:
            return LightAsyncStream(self._server.astream(asked))
        return Light((await self._server.aanswer(asked))[1])

    async def parse(self, *, response_format: Any, **body: Any) -> Light:
        """The answer, with `.choices[0].message.parsed` made from the type that `response_format` is."""
        output, asked = _typed(self, response_format, body)
        return _parsed(output, *(await self._server.aanswer(asked)))


def _typed(part: _Part, wanted: Any, body: Wire) -> tuple[Output[Any], Asked]:
    output = Output.of(wanted)
    said = {"name": output.name, "schema": output.schema, "strict": True}
    return output, part._asked({**body, "response_format": {"type": "json_schema", "json_schema": said}})


def _parsed(output: Output[Any], message: AIMessage, wire: Wire) -> Light:
    light = Light(wire)
    called = any(c.name != output.name for c in message.tool_calls)
    light.choices[0].message.parsed = None if message.refusal or called else value_of(output, message)
    return light


class _Responses(_Part):
    def create(self, **body: Any) -> Any:
        """The answer, with `.output_text`, or with `stream=True` its events."""
        asked = self._asked(body, responses=True)
        if asked.call.stream:
            return LightStream(self._server.stream(asked))
        return _with_text(*self._server.answer(asked))


class _AsyncResponses(_Part):
    async def create(self, **body: Any) -> Any:
        """The answer, with `.output_text`, or with `stream=True` its events."""
        asked = self._asked(body, responses=True)
        if asked.call.stream:
            return LightAsyncStream(self._server.astream(asked))
        return _with_text(*(await self._server.aanswer(asked)))


def _with_text(message: AIMessage, wire: Wire) -> Light:
    parts = [part for item in wire["output"] for part in item.get("content") or ()]
    return Light({**wire, "output_text": "".join(p["text"] for p in parts if p["type"] == "output_text")})


class _Models(_Part):
    def list(self) -> Light:
        """The models: the one."""
        return Light(self._server.models())


class _AsyncModels(_Part):
    async def list(self) -> Light:
        """The models: the one."""
        return Light(self._server.models())


class _Chat:
    def __init__(self, completions: Any) -> None:
        self.completions = completions


class LightOpenAI:
    """What `as_openai` gives without the SDK."""

    def __init__(self, model: ChatModel, pass_model: bool) -> None:
        server = Server(model, pass_model)
        self.chat = _Chat(_Completions(server))
        self.responses = _Responses(server)
        self.models = _Models(server)


class LightAsyncOpenAI:
    """What `as_async_openai` gives without the SDK."""

    def __init__(self, model: ChatModel, pass_model: bool) -> None:
        server = Server(model, pass_model)
        self.chat = _Chat(_AsyncCompletions(server))
        self.responses = _AsyncResponses(server)
        self.models = _AsyncModels(server)
