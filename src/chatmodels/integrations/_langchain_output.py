"""`with_structured_output` over our typed outputs: the parser that checks an answer, and streams what has come of it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator
from importlib import import_module
from operator import itemgetter
from typing import Any, cast

from chatmodels._errors import OutputError, UsageError
from chatmodels._messages import AIMessage
from chatmodels._output import Output
from chatmodels._outputs import value_of

from ._langchain_messages import from_langchain

_parsers: Any = import_module("langchain_core.output_parsers")
_exceptions: Any = import_module("langchain_core.exceptions")
_runnables: Any = import_module("langchain_core.runnables")
_calling: Any = import_module("langchain_core.utils.function_calling")
_Base: Any = _parsers.BaseCumulativeTransformOutputParser


class StructuredOutputParser(_Base):  # type: ignore[misc]
    """Text -> the value. A whole answer is checked against the schema; while it streams, partial dicts come first.

    Raises `OutputParserException` when the answer does not fit, or was cut by a length limit.
    """

    output: Any
    target: Any = None

    def parse_result(self, result: list[Any], *, partial: bool = False) -> Any:
        """The value of an answer; of a partial one a dict, or None where that says nothing."""
        message = getattr(result[0], "message", None)
        if partial:
            return self._partial(message, result[0].text)
        if message is None:
            return self.parse(result[0].text)
        return self._made(lambda: value_of(self.output, cast(AIMessage, from_langchain(message))), result[0].text)

    def _partial(self, message: Any, text: str) -> Any:
        if self.target is not None:
            return None
        calls = "" if message is None else "".join(c["args"] or "" for c in message.tool_call_chunks)
        return self.output.parse_partial(text or calls)

    def parse(self, text: str) -> Any:
        """The value of a whole text."""
        return self._made(lambda: self.output.parse(text), text)

    def _made(self, read: Callable[[], Any], text: str) -> Any:
        try:
            value = read()
        except OutputError as error:
            raise _exceptions.OutputParserException(str(error), llm_output=text) from error
        return value if self.target is None else self.target(value)

    def _transform(self, input: Iterator[Any]) -> Iterator[Any]:
        whole: Any = None
        last: Any = None
        for piece in input:
            whole = piece if whole is None else whole + piece
            last, before = self.parse_result([_generation(whole)], partial=True), last
            if last is not None and last != before:
                yield last
        if whole is not None and (value := self.parse_result([_generation(whole)])) != last:
            yield value

    async def _atransform(self, input: AsyncIterator[Any]) -> AsyncIterator[Any]:
        whole: Any = None
        last: Any = None
        async for piece in input:
            whole = piece if whole is None else whole + piece
            last, before = self.parse_result([_generation(whole)], partial=True), last
            if last is not None and last != before:
                yield last
        if whole is not None and (value := self.parse_result([_generation(whole)])) != last:
            yield value

    @property
    def _type(self) -> str:
        return "chatmodels_structured"


class _Generation:
    def __init__(self, given: Any) -> None:
        self.message = None if isinstance(given, str) else given
        self.text: str = given if isinstance(given, str) else str(given.text)


def _generation(given: Any) -> _Generation:
    return _Generation(given)


def structured(
    model: Any, schema: Any, *, method: str, include_raw: bool, strict: bool | None, rest: dict[str, Any]
) -> Any:
    """The model with the schema bound to it, and the parser behind it."""
    if method not in ("json_schema", "json_mode"):
        raise UsageError(
            f"method is 'json_schema', 'function_calling' or 'json_mode', not {method!r}", argument="method"
        )
    output, target = _wanted(schema, strict)
    about = {"kwargs": {"method": method, "strict": strict}, "schema": schema}
    asked = _response_format(output) if method == "json_schema" else {"type": "json_object"}
    bound = model.bind(response_format=asked, ls_structured_output_format=about, **rest)
    parser = StructuredOutputParser(output=output, target=target)
    if not include_raw:
        return bound | parser
    parsed = _runnables.RunnablePassthrough.assign(parsed=itemgetter("raw") | parser, parsing_error=_nothing)
    failed = _runnables.RunnablePassthrough.assign(parsed=_nothing)
    return _runnables.RunnableMap(raw=bound) | parsed.with_fallbacks([failed], exception_key="parsing_error")


def _response_format(output: Output[Any]) -> dict[str, Any]:
    """The output as data: LangChain's caches take what is bound into their keys, as text."""
    said = {"name": output.name, "description": output.description, "schema": output.schema, "strict": output.strict}
    return {"type": "json_schema", "json_schema": {k: v for k, v in said.items() if v is not None}}


def _wanted(schema: Any, strict: bool | None) -> tuple[Output[Any], Any]:
    """(the output to ask for, what makes of its value what LangChain's users expect; None: it is that)."""
    if isinstance(schema, type) and hasattr(schema, "model_validate"):
        return Output.of(schema, strict=strict), _same
    made = _calling.convert_to_json_schema(schema)
    name = made.get("title") or getattr(schema, "__name__", None)
    output = Output.of(made, name=name, description=made.get("description"), strict=strict)
    old: Any = getattr(schema, "parse_obj", None) if isinstance(schema, type) else None  # a model of pydantic 1
    return output, old


def _same(value: Any) -> Any:
    return value


def _nothing(_: Any) -> None:
    return None
