"""The class that `as_pydantic_ai` gives. Needs pydantic-ai to be imported."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from importlib import import_module
from typing import Any

import msgspec

from chatmodels._call import Call
from chatmodels._calls import call_flow, stream_flow
from chatmodels._config import dialect_of
from chatmodels._drive import achunks, arun
from chatmodels._errors import ChatModelError, ProviderError, UsageError
from chatmodels._messages import Message, SystemMessage
from chatmodels._model import ChatModel
from chatmodels._output import Output
from chatmodels._parts import InvalidToolCall, Part, Text, ToolCall
from chatmodels._plan import Plan, Streaming
from chatmodels._providers import provider
from chatmodels._stream import AsyncChatStream
from chatmodels._tools import Tool, as_tool
from chatmodels._usage import Usage

from ._pydantic_ai_messages import message_of_response, messages_of_request, response_of, usage_of
from ._pydantic_ai_native import all_types, definitions, limits_not_kept, types_of
from ._pydantic_ai_stream import streamed

_models: Any = import_module("pydantic_ai.models")
_profiles: Any = import_module("pydantic_ai.profiles")
_exceptions: Any = import_module("pydantic_ai.exceptions")
_choice: Any = import_module("pydantic_ai.models._tool_choice")
_Base: Any = _models.Model

#: pydantic-ai's settings -> ours, those that mean the same.
_SETTINGS = {
    "max_tokens": "max_tokens",
    "temperature": "temperature",
    "top_p": "top_p",
    "top_k": "top_k",
    "seed": "seed",
    "presence_penalty": "presence_penalty",
    "frequency_penalty": "frequency_penalty",
    "logit_bias": "logit_bias",
    "stop_sequences": "stop",
    "parallel_tool_calls": "parallel_tool_calls",
    "service_tier": "service_tier",
    "extra_headers": "extra_headers",
    "extra_body": "extra_body",
}
_PROFILE = {
    "supports_tools": True,
    "supports_json_schema_output": True,
    "supports_image_input": True,
    "supports_document_input": True,
    "supports_audio_file_input": True,
    "supports_video_input": True,
    "supports_inline_system_prompts": True,
    "supports_thinking": True,
}


#: Formats that can be held to a schema, but not to "any JSON".
_WITHOUT_JSON_MODE = ("Anthropic", "BedrockConverse")


class PydanticAIModel(_Base):  # type: ignore[misc]
    """A model of pydantic-ai that calls through chatmodels; made by `as_pydantic_ai`."""

    def __init__(self, chat: ChatModel, *, settings: Any = None, profile: Any = None) -> None:
        self.chat = chat
        self._dialect = dialect_of(chat._config, provider(chat.provider))
        own = {
            **_PROFILE,
            "supports_json_object_output": type(self._dialect).__name__ not in _WITHOUT_JSON_MODE,
            "supported_native_tools": types_of(self._dialect),
        }
        _Base.__init__(self, settings=settings, profile=_profile(own, profile))

    @classmethod
    def supported_native_tools(cls) -> frozenset[type[Any]]:
        """The classes of native tools that some provider has; `profile` says which this one has."""
        return all_types()

    def unsupported_native_tool_settings(self, native_tool: Any) -> frozenset[str]:
        """The limits of a native tool that this provider could not be told."""
        return limits_not_kept(self._dialect, native_tool)

    @property
    def model_name(self) -> str:
        """The model's name at its provider."""
        return self.chat.model

    @property
    def system(self) -> str:
        """The provider's name."""
        return self.chat.provider

    @property
    def base_url(self) -> str | None:
        """The provider's address."""
        return self.chat._plan().target.base_url or None

    async def request(self, messages: list[Any], model_settings: Any, model_request_parameters: Any) -> Any:
        """One answer."""
        plan, call = self._asked(messages, model_settings, model_request_parameters, False)
        try:
            message = await arun(call_flow(plan, call))
        except ChatModelError as error:
            raise self._error(error) from error
        return response_of(message, untyped(message.parts, call.output))

    async def count_tokens(self, messages: list[Any], model_settings: Any, model_request_parameters: Any) -> Any:
        """The input tokens of a request: by the provider's counting endpoint or a vocabulary where there is one, else estimated."""
        _, call = self._asked(messages, model_settings, model_request_parameters, False)
        model = self.chat._changed(tools=call.tools, output=call.output)
        try:
            counted = await model.acount_tokens(list(call.messages), exact=True)
        except UsageError:  # there is no exact count for this model
            counted = await model.acount_tokens(list(call.messages))
        except ChatModelError as error:
            raise self._error(error) from error
        return usage_of(Usage(input_tokens=counted.value, output_tokens=0))

    @asynccontextmanager
    async def request_stream(
        self, messages: list[Any], model_settings: Any, model_request_parameters: Any, run_context: Any = None
    ) -> AsyncGenerator[Any]:
        """An answer as it comes."""
        plan, call = self._asked(messages, model_settings, model_request_parameters, True)
        state = Streaming()
        stream = AsyncChatStream(achunks(stream_flow(plan, call, state), state), state)
        try:
            try:
                first = await anext(stream, None)  # an error before the first event is one of the request
            except ChatModelError as error:
                raise self._error(error) from error
            yield streamed(self, model_request_parameters, first, stream, call.output)
        finally:
            await stream.aclose()

    # -- inside

    def _asked(self, messages: list[Any], settings: Any, parameters: Any, stream: bool) -> tuple[Plan, Call]:
        _models.check_allow_model_requests()
        settings, parameters = self.prepare_request(settings, parameters)
        settings = dict(settings or {})
        choice, tools = _tools(settings, parameters)
        ours = {mine: settings[theirs] for theirs, mine in _SETTINGS.items() if settings.get(theirs) is not None}
        ours |= _thinking(parameters.thinking)
        if tools and choice is not None:
            ours["tool_choice"] = choice
        if parameters.output_mode == "prompted" and not tools and self.profile.get("supports_json_object_output"):
            ours["response_format"] = {"type": "json_object"}
        model = self.chat
        if isinstance(timeout := settings.get("timeout"), (int, float)):
            model = model.with_timeouts(total=timeout)
        try:
            call = model._call(self._messages(messages, parameters), None, ours, stream)
        except UsageError as error:
            raise _exceptions.UserError(str(error)) from error
        output = _output(parameters)
        tools += [as_tool(d) for d in definitions(self._dialect, getattr(parameters, "native_tools", ()))]
        names = {t.name for t in tools}
        own = [t for t in call.tools if t.name not in names]
        return model._plan(), msgspec.structs.replace(call, tools=(*own, *tools), output=output or call.output)

    def _messages(self, messages: list[Any], parameters: Any) -> list[Message]:
        out: list[Message] = []
        for message in messages:
            out += [message_of_response(message)] if message.kind == "response" else messages_of_request(message)
        instructions = self._get_instruction_parts(messages, parameters) or ()
        said = [SystemMessage(part.content) for part in instructions]
        place = next((i for i, m in enumerate(out) if not isinstance(m, SystemMessage)), len(out))
        out[place:place] = said
        return out

    def _error(self, error: ChatModelError) -> Exception:
        """The error in pydantic-ai's tree, of its category where one fits; ours is its cause."""
        if isinstance(error, UsageError):
            made: Exception = _exceptions.UserError(str(error))
        elif isinstance(error, ProviderError) and error.status is not None:
            made = _http_error(type(error).__name__)(error.status, self.model_name, error.body)
            # arguments in the newer releases, and of use in the older ones too
            for name, value in (
                ("headers", error.headers),
                ("provider_error_code", error.code),
                ("retry_after", error.retry_after),
            ):
                setattr(made, name, value)
        else:
            made = _category(type(error).__name__)(self.model_name, str(error))
        return made


def _profile(own: dict[str, Any], given: Any) -> Any:
    """Ours with the user's on it: a part of a profile, or a function of the profile that it would be."""

    def over_the_default(default: dict[str, Any]) -> Any:
        return given(_profiles.ModelProfile(**{**default, **own}))

    if callable(given):
        return over_the_default
    return _profiles.ModelProfile(**{**own, **(given or {})})


#: Our errors -> pydantic-ai's categories.
_CATEGORIES = {
    "RateLimitError": "ModelRateLimitError",
    "OutOfCreditError": "ModelQuotaExceededError",
    "OverloadedError": "ModelOverloadedError",
    "AuthenticationError": "ModelAuthenticationError",
    "NotFoundError": "ModelNotFoundError",
    "ContextTooLongError": "ModelContextWindowExceededError",
    "ConnectError": "ModelConnectionError",
    "TransportError": "ModelConnectionError",
    "DeadlineError": "ModelTimeoutError",
    "IncompleteStream": "ModelConnectionError",
}


def _category(name: str) -> Any:
    return getattr(_exceptions, _CATEGORIES.get(name, "ModelAPIError"), _exceptions.ModelAPIError)


def _http_error(name: str) -> Any:
    """A class that is `ModelHTTPError` and of the category."""
    return globals().get(f"HTTP{_category(name).__name__}", _exceptions.ModelHTTPError)


def _made(category: Any) -> Any:
    about = {"__module__": __name__, "__doc__": category.__doc__}
    return type(f"HTTP{category.__name__}", (_exceptions.ModelHTTPError, category), about)


# named in this module, so that pickle finds them
globals().update({f"HTTP{n}": _made(getattr(_exceptions, n)) for n in _CATEGORIES.values() if hasattr(_exceptions, n)})


def _thinking(level: Any) -> dict[str, Any]:
    if level is None:
        return {}
    if level is False:
        return {"reasoning_budget": 0}
    return {"reasoning_effort": "medium" if level is True else str(level)}


def _tools(settings: dict[str, Any], parameters: Any) -> tuple[str | None, list[Tool]]:
    """(the choice, the tools to send) for what pydantic-ai asks."""
    # the first releases of pydantic-ai 2 withhold no tools
    defined: dict[str, Any] = dict(getattr(parameters, "declared_tool_defs", parameters.tool_defs))
    if not defined:
        return None, []
    resolved: Any = _choice.resolve_tool_choice(settings, parameters)
    choice: str = resolved if isinstance(resolved, str) else resolved[0]
    if not isinstance(resolved, str):
        names: set[str] = resolved[1]
        if choice == "required" and len(names) == 1:
            choice = next(iter(names))
        else:
            defined = {name: tool for name, tool in defined.items() if name in names}
    return choice, [
        Tool(name=t.name, description=t.description, parameters=t.parameters_json_schema, strict=t.strict)
        for t in defined.values()
    ]


def _output(parameters: Any) -> Output[Any] | None:
    wanted = parameters.output_object
    if parameters.output_mode != "native" or wanted is None:
        return None
    name = wanted.name or "final_result"
    return Output.of(wanted.json_schema, name=name, description=wanted.description, strict=wanted.strict)


def untyped(parts: list[Part], output: Output[Any] | None) -> list[Part]:
    """An answer's parts; a call by which the provider gave a typed answer is text to pydantic-ai."""
    if output is None:
        return parts
    made: list[Part] = [
        Text(p.args_text) if isinstance(p, (ToolCall, InvalidToolCall)) and p.name == output.name else p for p in parts
    ]
    return made
