"""The public object: a chat model. Thin: it holds a frozen configuration and starts flows.

A model is immutable and cheap. `with_*` gives a new one that shares connections. It is safe to share between threads, tasks
and forks, and it pickles without its key.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Self, TypeVar, Unpack, cast, overload

import msgspec

from ._call import Call
from ._calls import Plan, Streaming, call_flow, stream_flow
from ._config import Config, base_url_of, key_of, plan_of
from ._drive import achunks, arun, chunks, run
from ._errors import UsageError
from ._flow import Flow, Timeouts
from ._http_common import HTTPConfig, without_user
from ._inputs import Input, messages_of
from ._json import is_object
from ._layers import ambient, with_ambient
from ._messages import AIMessage, HumanMessage
from ._model_2023 import OldNames
from ._model_many import ManyCalls
from ._model_policies import Policies
from ._model_steps import Step
from ._model_tokens import Counting
from ._model_tools import ToolCalls
from ._options import (
    POLICIES,
    SETTINGS,
    CallOptions,
    ModelOptions,
    OneCall,
    handlers_of,
    one_name_each,
    policies_of,
    retry_of,
    settings_of,
    stop_of,
    timeouts_of,
)
from ._providers import keywords, load, provider
from ._retry import Budget
from ._secret import Hidden, Secret, hidden
from ._stream import AsyncChatStream, ChatStream

if TYPE_CHECKING:
    from ._typed import OutputModel

T = TypeVar("T")
Errors = Literal["raise", "return"]


class ChatModel(ManyCalls, ToolCalls, Policies, Counting, OldNames, Step[AIMessage]):
    """A chat model: messages in, a message out.

    `ChatModel("provider:model")` reaches any provider; `ChatModel()` is the model that the variable CHATMODELS_MODEL names,
    else the embedded one, which needs no key and no network.

    >>> chat = ChatModel()
    >>> chat("Say hello.").text  # doctest: +SKIP
    'Hello!'
    """

    __slots__ = ("__weakref__", "_budget", "_config", "_plan_made")

    #: The provider of a class that stands for one; None on ChatModel itself.
    provider_name: ClassVar[str | None] = None
    #: Keyword arguments of the class that are neither settings nor policies.
    own_options: ClassVar[frozenset[str]] = frozenset()

    _config: Config
    _budget: Budget
    _plan_made: Plan | None

    def __new__(cls, model: str | None = None, **options: Any) -> Self:
        if cls is ChatModel:
            row = provider(_split(model or options.get("model_name") or _default())[0])
            if row.model_class is not None:
                return cast(Self, object.__new__(load(row.model_class)))
        return object.__new__(cls)

    def __init__(self, model: str | None = None, **options: Unpack[ModelOptions]) -> None:
        self._start(model, dict(options))

    def _start(self, model: str | None, options: dict[str, Any], provider_name: str | None = None) -> None:
        given = one_name_each({"model": model, **options})
        name, model_name = self._names(given.pop("model", None))
        name = provider_name or name
        row = provider(name)
        policy = policies_of({k: given.pop(k) for k in list(given) if k in POLICIES})
        mine = self.own_options.union(keywords(row))
        own = {k: given.pop(k) for k in list(given) if k in mine}
        config = Config(
            provider=name,
            model=model_name or row.default_model or _need_model(name),
            settings=settings_of(given),
            key=_key(policy.get("api_key")),
            base_url=_base_url(policy.get("base_url")),
            organization=policy.get("organization") or _organization(name),
            headers=hidden(policy.get("headers") or {}),
            timeouts=timeouts_of(policy.get("timeout")),
            retry=retry_of(policy.get("max_retries")),
            handlers=handlers_of(policy.get("callbacks")),
            streaming=bool(policy.get("streaming")),
            http=_http(policy, name),
            http_client=policy.get("http_client"),
            layers=_cache_layers(policy.get("cache")),
            engine=own.get("engine_options") or {},
            provider_options={k: v for k, v in own.items() if k != "engine_options" and v is not None},
        )
        key_of(config, row)
        base_url_of(config, row)
        self._hold(config, Budget())

    def _names(self, model: str | None) -> tuple[str, str | None]:
        own = self.provider_name
        if model is not None and not isinstance(model, str):
            raise UsageError(f"model is a str such as 'gpt-4o', not {type(model).__name__}", argument="model")
        if own is None:
            return _split(model or _default())
        if model is None:
            return own, None
        head, found, rest = model.partition(":")
        return (own, rest or None) if found and head == own else (own, None if model == own else model)

    def _hold(self, config: Config, budget: Budget) -> None:
        object.__setattr__(self, "_config", config)
        object.__setattr__(self, "_budget", budget)
        object.__setattr__(self, "_plan_made", None)

    @classmethod
    def _of(cls, config: Config, budget: Budget) -> Self:
        model = object.__new__(cls)
        model._hold(config, budget)
        return model

    def _changed(self, **changes: Any) -> Self:
        model = self._of(msgspec.structs.replace(self._config, **changes), self._budget)
        own = self._own_fields()
        if own:
            vars(model).update(own)
        return model

    def _own_fields(self) -> dict[str, Any]:
        """The attributes that a class of the user's, below this one, has added."""
        return getattr(self, "__dict__", {})

    # -- what it is

    @property
    def provider(self) -> str:
        """The provider's name."""
        return self._config.provider

    @property
    def model(self) -> str:
        """The model's name at the provider."""
        return self._config.model

    model_name = model

    def __getattr__(self, name: str) -> Any:
        if name in SETTINGS:
            return getattr(self._config.settings, name)
        raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")

    def __setattr__(self, name: str, value: Any) -> None:
        raise AttributeError(f"a model is immutable: use model.with_settings({name}=...), which gives a new one")

    def __delattr__(self, name: str) -> None:
        raise AttributeError("a model is immutable")

    def __repr__(self) -> str:
        config: Config | None = getattr(self, "_config", None)
        if config is None:  # its making failed, and a traceback shows its local variables
            return f"<{type(self).__name__}>"
        shown = [f"model={config.model!r}"]
        if type(self) is ChatModel:
            shown = [repr(f"{config.provider}:{config.model}")]
        for name in config.settings.__struct_fields__:
            value = getattr(config.settings, name)
            if value is not None and name != "extra_headers":
                shown.append(f"{name}={value!r}")
        return f"{type(self).__name__}({', '.join(shown)})"

    def __reduce__(self) -> tuple[Any, ...]:
        http = self._config.http
        if http.proxy:
            http = msgspec.structs.replace(http, proxy=without_user(http.proxy))
        layers = tuple(kept for layer in self._config.layers if (kept := layer.pickled()) is not None)
        config = msgspec.structs.replace(self._config, key=None, headers={}, http=http, http_client=None, layers=layers)
        return _unpickled, (type(self), config), self._own_fields() or None

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: Any) -> Any:
        from ._pydantic import model_schema

        return model_schema(cls)

    @classmethod
    def __get_pydantic_json_schema__(cls, source: Any, handler: Any) -> Any:
        return {"title": cls.__name__, "type": "string", "readOnly": True}

    def __copy__(self) -> Self:
        return self

    def __deepcopy__(self, memo: object) -> Self:
        return self

    # -- variations

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
        return self._changed(model=model)

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

        return OutputModel(self, Output.of(output, name=name, strict=strict), attempts)

    def with_structured_output(self, schema: Any, **options: Any) -> OutputModel[Any]:
        """`with_output` under its other name."""
        return self.with_output(schema, **options)

    def bind_tools(self, tools: Sequence[Any], *, tool_choice: Any = None, **settings: Any) -> Self:
        """`with_tools` under its other name: a list of tools."""
        bound = self.with_tools(*tools, tool_choice=tool_choice)
        return bound.with_settings(**settings) if settings else bound

    def bind(self, **settings: Unpack[CallOptions]) -> Self:
        """`with_settings` under its other name."""
        return self.with_settings(**settings)

    # -- one call

    def __call__(
        self,
        messages: Input,
        stop: str | list[str] | None = None,
        callbacks: Any = None,
        **settings: Unpack[OneCall],
    ) -> AIMessage:
        """The answer to the messages.

        `messages`: a str, a message, a list of messages, (role, text) pairs or OpenAI dicts, or a prompt value. Raises
        `UsageError` before anything is sent, `ProviderError`, `TransportError` or `ProtocolError` after the last try.
        `deadline`: seconds for all of this call, tries, waits and fallbacks included.

        >>> ChatModel()([HumanMessage(content="Hi")])  # doctest: +SKIP
        AIMessage(content='Hello!', additional_kwargs={})
        """
        if stop is None and callbacks is None and not settings:
            return run(call_flow(self._plan(), self._call(messages)))
        return run(call_flow(self._plan(callbacks, settings), self._call(messages, stop, settings)))

    def invoke(
        self,
        input: Input,
        config: Any = None,
        *,
        stop: str | list[str] | None = None,
        callbacks: Any = None,
        **settings: Unpack[OneCall],
    ) -> AIMessage:
        """The same as calling the model."""
        return self(input, stop, _callbacks(config, callbacks), **settings)

    async def ainvoke(
        self,
        input: Input,
        config: Any = None,
        *,
        stop: str | list[str] | None = None,
        callbacks: Any = None,
        **settings: Unpack[OneCall],
    ) -> AIMessage:
        """`invoke` in the async world."""
        plan = self._plan(_callbacks(config, callbacks), settings)
        return await arun(call_flow(plan, self._call(input, stop, settings)))

    def stream(
        self,
        input: Input,
        config: Any = None,
        *,
        stop: str | list[str] | None = None,
        callbacks: Any = None,
        **settings: Unpack[OneCall],
    ) -> ChatStream:
        """The answer as it comes: an iterator of chunks; `.message` is the whole answer at the end.

        >>> for chunk in ChatModel().stream("Hi"):  # doctest: +SKIP
        ...     print(chunk.text, end="")
        """
        plan, call, state = (
            self._plan(_callbacks(config, callbacks), settings),
            self._call(input, stop, settings, True),
            Streaming(),
        )
        return ChatStream(chunks(stream_flow(plan, call, state), state), state)

    def astream(
        self,
        input: Input,
        config: Any = None,
        *,
        stop: str | list[str] | None = None,
        callbacks: Any = None,
        **settings: Unpack[OneCall],
    ) -> AsyncChatStream:
        """`stream` in the async world: `async for chunk in model.astream(...)`."""
        plan, call, state = (
            self._plan(_callbacks(config, callbacks), settings),
            self._call(input, stop, settings, True),
            Streaming(),
        )
        return AsyncChatStream(achunks(stream_flow(plan, call, state), state), state)

    # -- inside

    def _own_plan(self) -> Plan:
        """The plan of this model alone, without what is around every call."""
        plan = self._plan_made
        if plan is None:
            plan = plan_of(self._config, self._budget)
            object.__setattr__(self, "_plan_made", plan)
        return plan

    def _plan(self, callbacks: Any = None, settings: Any = None) -> Plan:
        """The plan of one call; `deadline` is taken out of its settings."""
        plan = self._plan_made or self._own_plan()
        if around := ambient():
            plan = msgspec.structs.replace(plan, layers=with_ambient(plan.layers, around))
        if settings and (seconds := settings.pop("deadline", None)) is not None:
            from .control._deadline import within

            plan = within(plan, seconds)
        if callbacks is None:
            return plan
        return msgspec.structs.replace(plan, handlers=(*plan.handlers, *handlers_of(callbacks)))

    def _call(self, given: Input, stop: Any = None, settings: Any = None, stream: bool = False) -> Call:
        config = self._config
        have = config.settings
        if settings:
            have = settings_of(one_name_each(settings), have)
        if stop is not None:
            if config.settings.stop is not None:
                raise UsageError(
                    "stop is given twice: on the model and in the call; give it in one place", argument="stop"
                )
            have = msgspec.structs.replace(have, stop=stop_of(stop))
        return Call(
            model=config.model,
            messages=tuple(messages_of(given)),
            settings=have,
            tools=config.tools,
            output=config.output,
            stream=stream,
        )

    def _many(
        self, config: Any, settings: Any, stop: Any = None, callbacks: Any = None
    ) -> Callable[[Input], Flow[AIMessage]]:
        """The maker of flows for many inputs; a wrong setting is an error now, not an error per item."""
        settings = dict(settings)
        stop = settings.pop("stop", None) if stop is None else stop
        callbacks = settings.pop("callbacks", None) if callbacks is None else callbacks
        seconds = settings.pop("deadline", None)
        like = self._call("check", stop, settings)
        plan = self._plan(_callbacks(config, callbacks))
        if seconds is None:
            return lambda given: call_flow(plan, msgspec.structs.replace(like, messages=tuple(messages_of(given))))
        from .control._deadline import within

        within(plan, seconds)  # wrong: said now
        return lambda given: call_flow(
            within(plan, seconds), msgspec.structs.replace(like, messages=tuple(messages_of(given)))
        )


def _unpickled(cls: type[ChatModel], config: Config) -> ChatModel:
    return cls._of(config, Budget())


def _default() -> str:
    return os.environ.get("CHATMODELS_MODEL") or "local"


def _split(name: str) -> tuple[str, str | None]:
    if not isinstance(name, str):
        raise UsageError(f"model is a str such as 'openai:gpt-4o', not {type(name).__name__}", argument="model")
    head, found, rest = name.partition(":")
    if not found and not _is_provider(name):
        raise UsageError(
            f"{name!r} does not say which provider: write 'provider:model', e.g. 'openai:{name}'", argument="model"
        )
    return head, rest or None


def _is_provider(name: str) -> bool:
    try:
        provider(name)
    except UsageError:
        return False
    return True


def _need_model(name: str) -> str:
    raise UsageError(f"{name} has no default model: give model=, e.g. ChatModel('{name}:...')", argument="model")


def _key(given: Any) -> Secret | None:
    if given is None:
        return None
    if hasattr(given, "get_secret_value"):
        given = given.get_secret_value()
    if isinstance(given, Secret):
        return given
    if not isinstance(given, str):
        raise UsageError(f"api_key is a str, not {type(given).__name__}", argument="api_key")
    return Secret(given.strip()) if given.strip() else None


def _base_url(given: Any) -> str | None:
    if given is None or isinstance(given, str):
        return given.rstrip("/") if given else None
    return str(given).rstrip("/")


def _organization(name: str) -> str | None:
    if name != "openai":
        return None
    return os.environ.get("OPENAI_ORGANIZATION") or os.environ.get("OPENAI_ORG_ID") or None


def _http(policy: dict[str, Any], name: str) -> HTTPConfig:
    proxy = policy.get("proxy")
    if proxy is None and name == "openai":
        proxy = os.environ.get("OPENAI_PROXY") or None
    if proxy:
        proxy = Hidden(proxy)
    verify = policy.get("verify")
    return HTTPConfig(proxy=proxy, verify=True if verify is None else verify, cert=policy.get("cert"))


def _cache_layers(cache: Any) -> tuple[Any, ...]:
    """What `cache=` asks for: True the process's cache, False none, a cache that one; None leaves it open."""
    if cache is None:
        return ()
    from .caches import layer_of

    return (layer_of(cache),)


def _callbacks(config: Any, callbacks: Any) -> Any:
    if is_object(config) and config.get("callbacks") is not None:
        given = handlers_of(config["callbacks"])
        return (*given, *handlers_of(callbacks))
    return callbacks


__all__ = ["AIMessage", "ChatModel", "HumanMessage", "Timeouts"]
