"""What a model is asked with, as methods: `with_settings`, `with_tools`, `with_output`, and their other names."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Self, TypeVar, Unpack, cast, overload

from ._errors import UsageError
from ._options import CallOptions, one_name_each, settings_of

if TYPE_CHECKING:
    from ._config import Config
    from ._model import ChatModel
    from ._typed import OutputModel

T = TypeVar("T")


class Variations:
    """What a model needs for this are its frozen configuration and `_changed`."""

    __slots__ = ()

    _config: Config

    def _changed(self, **changes: Any) -> Self:
        raise NotImplementedError

    def with_settings(self, *, stop: str | list[str] | None = None, **settings: Unpack[CallOptions]) -> Self:
        """A model with other settings; None takes a setting back.

        >>> chat = ChatModel("local").with_settings(temperature=0, max_tokens=20)
        """
        given = one_name_each(cast("dict[str, Any]", settings))
        if stop is not None:
            given["stop"] = stop
        return self._changed(settings=settings_of(given, self._config.settings))

    def with_model(self, model: str) -> Self:
        """The same with another model of the same provider."""
        return self._changed(model=model, named=True)

    def with_tools(
        self, *tools: Any, tool_choice: str | dict[str, Any] | None = None, parallel_tool_calls: bool | None = None
    ) -> Self:
        """A model that may call these tools: functions, `tool` objects, pydantic models, dicts of any provider, MCP tools.

        `tool_choice`: "auto", "none", "required", or the name of the tool that must be called.
        """
        from ._tools import as_tool

        changes: dict[str, Any] = {}
        if tool_choice is not None:
            changes["tool_choice"] = tool_choice
        if parallel_tool_calls is not None:
            changes["parallel_tool_calls"] = parallel_tool_calls
        settings = settings_of(changes, self._config.settings)
        made = (*self._config.tools, *(as_tool(t) for t in tools))
        names = [t.name for t in made]
        twice = next((n for n in names if n and names.count(n) > 1), None)
        if twice:
            raise UsageError(f"two tools are called {twice!r}: give one of them another name=", argument="tools")
        return self._changed(tools=made, settings=settings)

    @overload
    def with_output(
        self, output: type[T], *, name: str | None = None, strict: bool | None = None, attempts: int = 2
    ) -> OutputModel[T]: ...
    @overload
    def with_output(
        self, output: Any, *, name: str | None = None, strict: bool | None = None, attempts: int = 2
    ) -> OutputModel[Any]: ...
    def with_output(
        self, output: Any, *, name: str | None = None, strict: bool | None = None, attempts: int = 2
    ) -> OutputModel[Any]:
        """A model whose answers are values of a type: a pydantic model, dataclass, TypedDict, msgspec.Struct, `list[...]`, a union,
        a `Literal`, or a JSON schema (a dict).

        `attempts` bounds how often a model is asked whose answer does not fit; every try is in the message's `attempts`.

        >>> chat.with_output(Invoice)("...")  # doctest: +SKIP
        Invoice(number=7, total=12.5)
        """
        from ._output import Output
        from ._typed import OutputModel

        return OutputModel(cast("ChatModel", self), Output.of(output, name=name, strict=strict), attempts)

    def with_structured_output(
        self, schema: Any, *, method: str | None = None, include_raw: bool = False, **options: Any
    ) -> OutputModel[Any]:
        """`with_output` under its other name.

        `method` ("json_schema", "function_calling", "json_mode") changes nothing: the provider's own way is taken. For
        `include_raw` there is `with_output(T).typed(...)`, which gives the value and its message.
        """
        if method not in (None, "json_schema", "function_calling", "json_mode"):
            raise UsageError(
                f"method is 'json_schema', 'function_calling' or 'json_mode', not {method!r}; the provider's own way is "
                "taken whichever it is",
                argument="method",
            )
        if include_raw:
            raise UsageError(
                "include_raw: call model.with_output(T).typed(...), which gives .value and .message; what does not fit "
                "is an OutputError with .message",
                argument="include_raw",
            )
        return self.with_output(schema, **options)

    def bind_tools(self, tools: Sequence[Any], *, tool_choice: Any = None, **settings: Any) -> Self:
        """`with_tools` under its other name: a list of tools."""
        bound = self.with_tools(*tools, tool_choice=tool_choice)
        return bound.with_settings(**settings) if settings else bound

    def bind(self, **settings: Unpack[CallOptions]) -> Self:
        """`with_settings` under its other name."""
        return self.with_settings(**settings)
