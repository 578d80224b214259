"""The public object: a chat model. Thin: it holds a frozen configuration and starts flows.

A model is immutable and cheap. `with_*` gives a new one that shares connections. It is safe to share between threads, tasks
and forks, and it pickles without its key.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar, Self, Unpack, cast

import msgspec

from ._call import Call
from ._calls import call_flow, stream_flow
from ._config import Config, plan_of
from ._drive import achunks, arun, chunks, run
from ._errors import UsageError
from ._flow import Flow
from ._http_common import without_user
from ._inputs import Input, messages_of
from ._json import is_object
from ._layers import ambient, with_ambient
from ._messages import AIMessage
from ._model_2023 import OldNames
from ._model_given import config_of, names_of
from ._model_many import ManyCalls
from ._model_policies import Policies
from ._model_steps import Step
from ._model_tokens import Counting
from ._model_tools import ToolCalls
from ._model_variations import Variations
from ._options import SETTINGS, HostOptions, OneCall, handlers_of, one_name_each, settings_of, stop_of
from ._plan import Plan, Streaming
from ._providers import load, provider
from ._retry import Budget
from ._stream import AsyncChatStream, ChatStream


class ChatModel(ManyCalls, ToolCalls, Variations, Policies, Counting, OldNames, Step[AIMessage]):
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
            row = provider(names_of(model or options.get("model_name"))[0])
            if row.model_class is not None:
                return cast(Self, object.__new__(load(row.model_class)))
        return object.__new__(cls)

    def __init__(self, model: str | None = None, **options: Unpack[HostOptions]) -> None:
        self._start(model, dict(options))

    def _start(self, model: str | None, options: dict[str, Any], provider_name: str | None = None) -> None:
        given = one_name_each({"model": model, **options})
        name, model_name = self._names(given.pop("model", None))
        self._hold(config_of(provider_name or name, model_name, given, self.own_options), Budget())

    def _names(self, model: str | None) -> tuple[str, str | None]:
        return names_of(model, self.provider_name)

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
        from ._names_elsewhere import METHODS

        text = f"{type(self).__name__!r} object has no attribute {name!r}"
        if name in METHODS:
            raise AttributeError(f"{text}: {METHODS[name]}")
        raise AttributeError(text, name=name, obj=self)

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
        config = msgspec.structs.replace(
            self._config, key=None, key_source=None, headers={}, http=http, http_client=None, layers=layers
        )
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


def _callbacks(config: Any, callbacks: Any) -> Any:
    if is_object(config) and config.get("callbacks") is not None:
        given = handlers_of(config["callbacks"])
        return (*given, *handlers_of(callbacks))
    return callbacks
