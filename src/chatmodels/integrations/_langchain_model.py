"""The class that `as_langchain` gives: a `BaseChatModel` of langchain-core over a ChatModel of ours.

Thin: it turns LangChain's arguments into a call, and the answer into LangChain's. Needs langchain-core to be imported.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from importlib import import_module
from typing import Any, cast

import msgspec

from chatmodels._call import Call
from chatmodels._calls import call_flow, stream_flow
from chatmodels._drive import achunks, arun, chunks, run
from chatmodels._errors import ChatModelError, UsageError
from chatmodels._json import is_object, mapping, objects
from chatmodels._messages import AIMessage
from chatmodels._model import ChatModel
from chatmodels._output import Output
from chatmodels._plan import Plan, Streaming
from chatmodels._results import generation_of
from chatmodels._stream import AIMessageChunk, AsyncChatStream, ChatStream
from chatmodels._tools import Tool, as_tool

from ._langchain_errors import as_langchain_error
from ._langchain_messages import messages_from_langchain, to_langchain
from ._langchain_output import structured
from ._langchain_profile import profile_of
from ._langchain_stream import ChunkWriter

_models: Any = import_module("langchain_core.language_models.chat_models")
_outputs: Any = import_module("langchain_core.outputs")
_calling: Any = import_module("langchain_core.utils.function_calling")
_pydantic: Any = import_module("pydantic")

#: Arguments of a call that are LangChain's own affair.
_THEIRS = frozenset({"ls_structured_output_format", "strict", "stream", "stream_usage", "output_version"})
_Base: Any = _models.BaseChatModel


class LangChainChatModel(_Base):  # type: ignore[misc]
    """A chat model of LangChain that calls through chatmodels.

    Made by `as_langchain(model)`, or by itself from what a `ChatModel` takes:
    `LangChainChatModel(model="anthropic:claude-...", temperature=0)`. Errors are ours and LangChain's at once.
    """

    chat: Any = _pydantic.Field(exclude=True, repr=False)

    def __init__(self, **options: Any) -> None:
        own = {k: options.pop(k) for k in list(options) if k in type(self).model_fields}
        if "chat" not in own:
            own["chat"] = ChatModel(**{k: v for k, v in options.items() if v not in (None, [])})
        elif options:
            raise UsageError(
                f"{next(iter(options))} is given beside chat=: set it on the model", argument=next(iter(options))
            )
        _Base.__init__(self, **own)

    # -- what it is

    @property
    def _llm_type(self) -> str:
        return "chatmodels"

    @property
    def model(self) -> str:
        """The model's name at its provider."""
        return cast(str, self.chat.model)

    @property
    def _identifying_params(self) -> dict[str, Any]:
        """What tells models apart, for LangChain's caches: no key is in it."""
        config = self.chat._config
        params: dict[str, Any] = {"provider": config.provider, "model": config.model}
        params |= msgspec.to_builtins(msgspec.structs.replace(config.settings, extra_headers=None))
        if config.base_url:
            params["base_url"] = config.base_url
        if config.tools:
            params["tools"] = [repr(t) for t in config.tools]
        return params

    def _get_ls_params(self, stop: list[str] | None = None, **kwargs: Any) -> Any:
        params: dict[str, Any] = _Base._get_ls_params(self, stop=stop, **kwargs)
        settings = self.chat._config.settings
        params["ls_provider"] = self.chat.provider
        params.setdefault("ls_model_name", self.chat.model)
        for name, value in (("ls_temperature", settings.temperature), ("ls_max_tokens", settings.max_tokens)):
            if value is not None:
                params.setdefault(name, value)
        if settings.stop:
            params.setdefault("ls_stop", list(settings.stop))
        return params

    def _resolve_model_profile(self) -> Any:
        """What is known of the model without asking: its context window, from genai-prices where that is installed."""
        return profile_of(self.chat)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.chat!r})"

    __str__ = __repr__

    # -- tokens

    def get_num_tokens(self, text: str) -> int:
        """The tokens of a text: by the model's vocabulary where it is at hand, else estimated. Nothing is sent."""
        if self.custom_get_token_ids is not None:
            return len(self.custom_get_token_ids(text))
        return cast(int, self.chat.get_num_tokens(text))

    def get_num_tokens_from_messages(self, messages: list[Any], tools: Sequence[Any] | None = None) -> int:
        """The input tokens of the messages, with what stands around them, and of the tools."""
        model = self.chat.with_tools(*[_definition(t, None) for t in tools]) if tools else self.chat
        return cast(int, model.count_tokens(messages_from_langchain(messages)).value)

    # -- calls

    def _asked(self, messages: Sequence[Any], stop: Any, given: dict[str, Any], stream: bool) -> tuple[Plan, Call]:
        """The plan and the call for LangChain's arguments."""
        settings = {k: v for k, v in given.items() if k not in _THEIRS}
        model: ChatModel = self.chat
        if (name := settings.pop("model", None)) is not None:
            model = model.with_model(name)
        tools = settings.pop("tools", None)
        output = _output_of(settings)
        if "tool_choice" in settings:
            settings["tool_choice"] = tool_choice(settings["tool_choice"], tools or ())
        if stop:
            settings["stop"] = stop
        try:
            call = model._call(messages_from_langchain(messages), None, settings, stream)
            if tools is not None:
                call = msgspec.structs.replace(call, tools=with_own(call.tools, [as_tool(t) for t in tools]))
            if output is not None:
                call = msgspec.structs.replace(call, output=output)
            return model._plan(), call
        except ChatModelError as error:
            raise as_langchain_error(error) from error.__cause__

    def _generate(self, messages: list[Any], stop: Any = None, run_manager: Any = None, **kwargs: Any) -> Any:
        plan, call = self._asked(messages, stop, kwargs, False)
        try:
            return _result(run(call_flow(plan, call)))
        except ChatModelError as error:
            raise as_langchain_error(error) from error.__cause__

    async def _agenerate(self, messages: list[Any], stop: Any = None, run_manager: Any = None, **kwargs: Any) -> Any:
        plan, call = self._asked(messages, stop, kwargs, False)
        try:
            return _result(await arun(call_flow(plan, call)))
        except ChatModelError as error:
            raise as_langchain_error(error) from error.__cause__

    def _stream(self, messages: list[Any], stop: Any = None, run_manager: Any = None, **kwargs: Any) -> Iterator[Any]:
        plan, call = self._asked(messages, stop, kwargs, True)
        state, writer = Streaming(), ChunkWriter()
        stream = ChatStream(chunks(stream_flow(plan, call, state), state), state)
        try:
            for piece in stream:
                made = _chunk(writer, piece, state.message)
                if made is not None:
                    if run_manager:
                        run_manager.on_llm_new_token(made.message.text, chunk=made)
                    yield made
        except ChatModelError as error:
            raise as_langchain_error(error) from error.__cause__
        finally:
            stream.close()

    async def _astream(
        self, messages: list[Any], stop: Any = None, run_manager: Any = None, **kwargs: Any
    ) -> AsyncIterator[Any]:
        plan, call = self._asked(messages, stop, kwargs, True)
        state, writer = Streaming(), ChunkWriter()
        stream = AsyncChatStream(achunks(stream_flow(plan, call, state), state), state)
        try:
            async for piece in stream:
                made = _chunk(writer, piece, state.message)
                if made is not None:
                    if run_manager:
                        await run_manager.on_llm_new_token(made.message.text, chunk=made)
                    yield made
        except ChatModelError as error:
            raise as_langchain_error(error) from error.__cause__
        finally:
            await stream.aclose()

    # -- tools and typed answers

    def bind_tools(
        self,
        tools: Sequence[Any],
        *,
        tool_choice: Any = None,
        strict: bool | None = None,
        parallel_tool_calls: bool | None = None,
        **kwargs: Any,
    ) -> Any:
        """A runnable whose calls may use these tools: LangChain's, functions, pydantic models, dicts of any provider.

        `tool_choice`: "auto", "none", "any" (or "required", True), a tool's name, or a provider's dict.
        """
        bound: dict[str, Any] = {"tools": [_definition(t, strict) for t in tools], **kwargs}
        if tool_choice is not None:
            bound["tool_choice"] = tool_choice
        if parallel_tool_calls is not None:
            bound["parallel_tool_calls"] = parallel_tool_calls
        return self.bind(**bound)

    def with_structured_output(
        self,
        schema: Any,
        *,
        method: str = "json_schema",
        include_raw: bool = False,
        strict: bool | None = None,
        **kwargs: Any,
    ) -> Any:
        """A runnable that gives a `schema`: an object of a pydantic model, a dict for a TypedDict or a JSON schema.

        `method`: "json_schema" (the provider's own, or what comes nearest), "function_calling" or "json_mode".
        """
        if method == "function_calling":
            return _Base.with_structured_output(self, schema, include_raw=include_raw, **kwargs)
        return structured(self, schema, method=method, include_raw=include_raw, strict=strict, rest=kwargs)


def _definition(tool: Any, strict: bool | None) -> Any:
    """A tool as data; what a provider runs by itself stays as it is."""
    if is_object(tool) and _is_providers(tool):
        return tool
    return _calling.convert_to_openai_tool(tool, strict=strict)


def _is_providers(tool: dict[str, Any]) -> bool:
    """A dict of a provider's own: it may say more than LangChain's form has words for."""
    return len(tool) == 1 or "input_schema" in tool or tool.get("type") not in (None, "function", "object")


def tool_choice(given: Any, tools: Sequence[Any]) -> Any:
    """LangChain's and the providers' ways to say which tool -> ours."""
    if given is True:
        names = [mapping(t.get("function")).get("name") or t.get("name") for t in objects(list(tools))]
        return names[0] if len(names) == 1 and names[0] else "required"
    if given is False:
        return "none"
    if given == "any":
        return "required"
    if is_object(given):
        return _named_choice(given)
    return given


def _named_choice(given: dict[str, Any]) -> Any:
    kind = given.get("type")
    name = mapping(given.get("function")).get("name") or (given.get("name") if kind == "tool" else None)
    if name:
        return name
    return {"any": "required", "auto": "auto", "none": "none"}.get(kind or "", given)


def with_own(own: Sequence[Tool], given: Sequence[Tool]) -> tuple[Tool, ...]:
    """The model's own tools and those of a call, which stand for the model's of the same name."""
    names = {t.name for t in given}
    return (*(t for t in own if t.name not in names), *given)


def _output_of(settings: dict[str, Any]) -> Output[Any] | None:
    """A `response_format` with a schema (or a class) is the output of the call."""
    wanted = settings.get("response_format")
    if isinstance(wanted, type) or (is_object(wanted) and wanted.get("type") == "json_schema"):
        return Output.of(settings.pop("response_format"))
    return None


def _result(message: AIMessage) -> Any:
    made = [
        _outputs.ChatGeneration(message=_without_id(to_langchain(m)), generation_info=generation_of(m).generation_info)
        for m in (message, *message.alternatives)
    ]
    usage = message.usage
    counted: dict[str, Any] = {}
    if usage is not None and not message.from_cache:
        counted = {
            "prompt_tokens": usage.input_tokens or 0,
            "completion_tokens": usage.output_tokens or 0,
            "total_tokens": usage.total_tokens or 0,
        }
    return _outputs.ChatResult(generations=made, llm_output={"token_usage": counted, "model_name": message.model})


def _without_id(message: Any) -> Any:
    """LangChain gives each run's message an id: hosts repeat theirs, and an agent takes two of one id for the same."""
    message.id = None
    return message


def _chunk(writer: ChunkWriter, piece: AIMessageChunk, message: Callable[[], AIMessage]) -> Any:
    event = piece.event
    made = None if event is None else writer.chunk(event, message)
    return None if made is None else _outputs.ChatGenerationChunk(message=made)
