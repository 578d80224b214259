"""Keyword arguments of the model classes -> settings and policies. Every mistake is named before anything is sent.

Knows the 2023 spellings (`model_name`, `openai_api_key`, `request_timeout`, ...) and today's; one meaning has one field.
"""

from __future__ import annotations

import math
import os
import re
import sys
import warnings
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Literal, TypedDict, cast
from urllib.parse import urlsplit

import msgspec

from ._call import Settings
from ._checks import MOST_SECONDS, number, whole
from ._errors import UsageError
from ._flow import Timeouts
from ._json import is_object, is_sequence
from ._names_elsewhere import OPTIONS, WITHOUT_EFFECT
from ._retry import Retry
from ._secret import hidden


class CallOptions(TypedDict, total=False):
    """What one call, or a model for all its calls, may ask for. See `Settings` for what each means."""

    temperature: float | None
    top_p: float | None
    top_k: int | None
    min_p: float | None
    max_tokens: int | None
    n: int | None
    seed: int | None
    presence_penalty: float | None
    frequency_penalty: float | None
    logprobs: bool | None
    top_logprobs: int | None
    logit_bias: dict[str, float] | None
    tool_choice: str | dict[str, Any] | None
    parallel_tool_calls: bool | None
    reasoning_effort: str | None
    reasoning_budget: int | None
    reasoning_summary: str | None
    response_format: dict[str, Any] | None
    modalities: list[str] | None
    audio: dict[str, Any] | None
    service_tier: str | None
    verbosity: str | None
    user: str | None
    metadata: dict[str, str] | None
    store: bool | None
    extra_body: dict[str, Any] | None
    extra_headers: dict[str, str] | None
    model_kwargs: dict[str, Any] | None


class OneCall(CallOptions, total=False):
    """What one call takes. `deadline`: seconds for all of it, tries, waits and fallbacks included; an earlier one holds too."""

    deadline: float | None


class ModelOptions(CallOptions, total=False):
    """What every model class takes. Units: seconds; `max_retries` counts all tries, as in 2023."""

    model_name: str | None
    api_key: str | Callable[[], str | Awaitable[str]] | None
    base_url: str | None
    organization: str | None
    proxy: str | None
    stop: str | list[str] | None
    timeout: float | tuple[float, float] | dict[str, float | None] | Timeouts | None
    request_timeout: float | tuple[float, float] | None
    max_retries: int | None
    streaming: bool
    callbacks: list[Any] | None
    cache: Any
    headers: dict[str, str] | None
    verify: bool | str
    cert: str | tuple[str, str] | None
    http_client: Any


class HostOptions(ModelOptions, total=False):
    """What `ChatModel("provider:model")` takes beside `ModelOptions`: where a host is. See docs/providers.md for whose they are."""

    region: str | None
    profile: str | None
    project: str | None
    location: str | None
    publisher: str | None
    endpoint: str | None
    azure_endpoint: str | None
    azure_deployment: str | None
    azure_ad_token: str | None
    azure_ad_token_provider: Callable[[], str | Awaitable[str]] | None
    api_version: str | None
    account: str | None
    account_id: str | None
    workspace: str | None
    api: Literal["chat", "responses"] | None


ALIASES = {
    "model_name": "model",
    "openai_api_key": "api_key",
    "openai_api_base": "base_url",
    "openai_organization": "organization",
    "openai_proxy": "proxy",
    "anthropic_api_key": "api_key",
    "anthropic_api_url": "base_url",
    "google_api_key": "api_key",
    "cohere_api_key": "api_key",
    "mistral_api_key": "api_key",
    "azure_endpoint": "base_url",
    "request_timeout": "timeout",
    "stop_sequences": "stop",
    "max_completion_tokens": "max_tokens",
    "max_output_tokens": "max_tokens",
    "max_tokens_to_sample": "max_tokens",
    "random_seed": "seed",
    "default_headers": "headers",
    "frequencyPenalty": "frequency_penalty",
}

SETTINGS = frozenset(Settings.__struct_fields__)
_CONVERTERS: dict[str, Any] = {f.name: f.type for f in msgspec.structs.fields(Settings)}
_AT_LEAST: dict[str, float] = {
    "temperature": 0,
    "max_tokens": 1,
    "n": 1,
    "top_k": 0,
    "top_logprobs": 0,
    "reasoning_budget": 0,
}


def one_name_each(given: Mapping[str, Any]) -> dict[str, Any]:
    """The arguments under their one name; the same thing given twice is an error."""
    out: dict[str, Any] = {}
    seen: dict[str, str] = {}
    for name, value in given.items():
        key = ALIASES.get(name, name)
        if key in seen and value is not None and out[key] is not None:
            raise UsageError(f"{seen[key]} and {name} are the same setting: give one of them", argument=name)
        if value is not None or key not in out:
            out[key], seen[key] = value, name
    return out


def settings_of(given: Mapping[str, Any], base: Settings | None = None, *, where: str = "") -> Settings:
    """The settings with these in them. Unknown names are warned about and sent in the body, as in 2023."""
    fields: dict[str, Any] = {}
    extra: dict[str, Any] = {}
    for name, value in given.items():
        if name in ("extra_body", "model_kwargs"):
            if value:
                _take_extra(extra, value, name)
        elif name in SETTINGS:
            fields[name] = _checked(name, value)
        elif _is_sent(name):
            extra[name] = value
    for name in extra:
        if fields.get(name) is not None:
            raise UsageError(f"{name} is given twice: as {name}= and in the body's extra fields", argument=name)
    if extra:
        before = (base.extra_body if base else None) or {}
        fields["extra_body"] = {**before, **extra}
    if base is None:
        return Settings(**fields)
    return msgspec.structs.replace(base, **fields) if fields else base


#: How the names of keys end: what no body and no repr may hold.
_KEYS = (
    "api_key", "apikey", "access_key", "access_key_id", "secret_key", "secret", "session_token", "access_token", "ad_token",
    "auth_token", "bearer_token", "password", "credentials",
)  # fmt: skip


def _is_sent(name: str) -> bool:
    """Does a field that is no setting go into the body?"""
    if name in POLICIES or name in _OF_THE_MODEL:
        raise UsageError(f"{name} is no setting of a call: {_OF_THE_MODEL.get(name, _GIVE)}", argument=name)
    if name in OPTIONS:
        raise UsageError(f"{name} is no setting here: {OPTIONS[name]}", argument=name)
    if name.lower().endswith(_KEYS):
        raise UsageError(
            f"{name} is taken for a key, and keys are never sent in a body: give api_key=, or set the provider's variables "
            "(for AWS: AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or give profile=)",
            argument=name,
        )
    if name in WITHOUT_EFFECT:
        _warn(f"{name!r} has no effect here, and is not sent; {WITHOUT_EFFECT[name]}")
        return False
    _warn(
        f"{name!r} is not a setting that chatmodels knows; it is sent in the request's body as it is "
        "(give it in extra_body={...} to say that you mean it)"
    )
    return True


def _warn(text: str) -> None:
    warnings.warn(text, UserWarning, stacklevel=_levels_to_the_caller())


def _levels_to_the_caller() -> int:
    """How many frames above this function's caller the first code stands that is not ours."""
    level, frame = 1, sys._getframe(1)
    while frame.f_back is not None and str(frame.f_globals.get("__name__")).partition(".")[0] == __package__:
        level, frame = level + 1, frame.f_back
    return level


def _take_extra(extra: dict[str, Any], value: Any, name: str) -> None:
    if not is_object(value):
        raise UsageError(
            f"{name} is a dict of fields for the request's body, not {type(value).__name__}", argument=name
        )
    for key, item in value.items():
        if key in extra:
            raise UsageError(f"{key} is given twice: in extra_body and in model_kwargs", argument=name)
        extra[key] = item


_NOUNS: dict[Any, str] = {
    float | None: "a number",
    int | None: "a whole number",
    bool | None: "True or False",
    str | None: "a str",
    tuple[str, ...] | None: "a list of strs",
    str | dict[str, Any] | None: "a str or a dict",
    dict[str, Any] | None: "a dict with str keys",
    dict[str, str] | None: "a dict from str to str",
    dict[str, float] | None: "a dict from str to numbers",
}


def _shown(value: Any, error: Exception) -> str:
    """A wrong value as an error may show it: containers may hold secrets, and long text says no more than short."""
    if isinstance(value, (str, int, float)):
        text = repr(value)
        return text if len(text) <= 60 else text[:56] + "...'"
    if is_object(value) or is_sequence(value):
        return f"this {type(cast(object, value)).__name__}: {error}"
    return type(value).__name__


def _checked(name: str, value: Any) -> Any:
    if value is None:
        return None
    if name == "stop":
        return stop_of(value)
    if isinstance(value, float) and not math.isfinite(value):
        raise UsageError(f"{name} is a finite number, not {value}", argument=name)
    try:
        found = msgspec.convert(value, _CONVERTERS[name], strict=True)
    except msgspec.ValidationError as error:
        raise UsageError(f"{name} is {_NOUNS[_CONVERTERS[name]]}, not {_shown(value, error)}", argument=name) from error
    if isinstance(value, int) and isinstance(found, float):
        found = value  # 0 stays 0 on the wire
    if name == "extra_headers":
        headers = cast("dict[str, str]", found)
        check_headers(headers, name)
        return hidden(headers)
    least = _AT_LEAST.get(name)
    if least is not None and found < least:
        raise UsageError(f"{name} is at least {least:g}, not {found!r}", argument=name)
    return found


def stop_of(value: Any) -> tuple[str, ...] | None:
    """Stop sequences from a str or a list of str; an empty list means none."""
    items: tuple[Any, ...] = (value,) if isinstance(value, str) else tuple(value) if is_sequence(value) else (None,)
    if not all(isinstance(s, str) and s for s in items):
        raise UsageError("stop is a str or a list of non-empty strs", argument="stop")
    return items or None


def timeouts_of(value: Any) -> Timeouts:
    """Deadlines from a number (the total, in which the first token may take its time), a pair (connect, between bytes), a
    dict or a `Timeouts`."""
    if value is None:
        return Timeouts()
    if isinstance(value, Timeouts):
        return value
    value = _of_httpx(value)
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return Timeouts(first_token=None, total=_seconds(value))
    if is_sequence(value) and len(value) == 2:
        return Timeouts(connect=_seconds(value[0]), first_token=_seconds(value[1]), idle=_seconds(value[1]))
    if is_object(value) and set(value) <= set(Timeouts.__struct_fields__):
        return Timeouts(**{k: None if v is None else _seconds(v) for k, v in value.items()})
    raise UsageError(
        "timeout is seconds for the whole call, (connect, read) in seconds, or a dict of "
        f"{', '.join(Timeouts.__struct_fields__)}; got {value!r}",
        argument="timeout",
    )


def _of_httpx(value: Any) -> Any:
    """An httpx.Timeout as a dict of deadlines; everything else as it is."""
    if all(hasattr(value, name) for name in ("connect", "read", "write", "pool")):
        return {"connect": value.connect, "first_token": value.read, "idle": value.read}
    return value


def _seconds(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 < value <= MOST_SECONDS:
        raise UsageError(
            f"timeout: a number of seconds above 0, or None to switch the deadline off; not {value!r}",
            argument="timeout",
        )
    return float(value)


def retry_of(attempts: Any, before: Retry | None = None, argument: str = "max_retries", **fields: Any) -> Retry:
    """The retry policy with this number of tries in all (0 counts as 1)."""
    if attempts is not None:
        fields["attempts"] = max(1, whole(argument, attempts, least=0))
    for name in ("base", "cap", "patience"):
        if name in fields:
            fields[name] = number(name, fields[name])
    return msgspec.structs.replace(before or Retry(), **fields)


#: What a model class takes besides settings -> its type, and that in words. None there: checked where it is used.
POLICIES: dict[str, tuple[Any, str] | None] = {
    "api_key": None,
    "base_url": (str, "a str: the address that the provider's paths follow"),
    "organization": (str, "a str"),
    "proxy": (str, "a str: the address of a proxy, or '' for none"),
    "timeout": None,
    "max_retries": None,
    "streaming": (bool, "True or False"),
    "callbacks": None,
    "cache": None,
    "headers": (dict[str, str], "a dict of header names and values, all str"),
    "verify": (bool | str, "True, False, or the path of a file with CA certificates"),
    "cert": (str | tuple[str, str], "the path of a client certificate, or (certificate, key)"),
    "http_client": None,
}


_GIVE = "give it when you make the model"
#: What belongs to a model, and how to have it for one call. (Sent in the body, a key would be told, and a timeout would not hold.)
_OF_THE_MODEL = {
    "timeout": "give the call deadline=..., the seconds for all of it, or model.with_timeouts(...)(...)",
    "deadline": "give it to the call itself; with_timeouts(total=...) is for all calls of a model",
    "max_retries": "model.with_retry(attempts=...)(...)",
    "cache": "model.with_cache(...)(...)",
    "callbacks": "give callbacks=[...] to the call itself, or when you make the model",
    "streaming": "model.stream(...), or streaming=True when you make the model",
    "stream": "model.stream(...) gives the chunks; streaming=True, when you make the model, reads any answer as a stream",
    "messages": "they are the first argument of the call",
    "api_key": "give it when you make the model (keys are never sent in a body)",
}


def policies_of(given: Mapping[str, Any]) -> dict[str, Any]:
    """The policies, their types checked."""
    for name, value in given.items():
        kind = POLICIES[name]
        if kind is None or value is None:
            continue
        try:
            msgspec.convert(value, kind[0], strict=True)
        except msgspec.ValidationError as error:
            shown = type(value).__name__ if name in ("proxy", "headers", "base_url") else repr(value)
            raise UsageError(f"{name} is {kind[1]}; got {shown}", argument=name) from error
    if given.get("proxy"):
        _check_proxy(given["proxy"])
    for name in ("verify", "cert"):
        _check_files(name, given.get(name))
    check_headers(given.get("headers"), "headers")
    if given.get("http_client") is not None:
        from ._http_client import client_transport

        client_transport(given["http_client"])
    return dict(given)


def _check_files(name: str, value: str | bool | tuple[str, ...] | None) -> None:
    paths = (value,) if isinstance(value, str) else value if isinstance(value, tuple) else ()
    for path in paths:
        if not os.path.exists(path):
            raise UsageError(f"{name}: there is no file {path!r}", argument=name)


def _check_proxy(proxy: str) -> None:
    parts = urlsplit(proxy if "://" in proxy else f"http://{proxy}")
    scheme, host = parts.scheme, parts.hostname
    del parts, proxy  # a password in them must not show among the variables of the error's traceback
    if scheme not in ("http", "https") or not host:
        raise UsageError("proxy is an http:// or https:// address such as 'http://host:3128'", argument="proxy")


def check_headers(headers: Mapping[str, str] | None, argument: str) -> None:
    """Header names and values that HTTP can carry."""
    for name, value in (headers or {}).items():
        if not name.isascii() or not _HEADER_NAME.fullmatch(name):
            raise UsageError(f"{argument}: {name!r} is no name of a header", argument=argument)
        if not value.isascii() or _NOT_IN_A_HEADER.search(value):
            raise UsageError(
                f"{argument}: the header {name} holds a line break or a character that is not ASCII", argument=argument
            )


_HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_NOT_IN_A_HEADER = re.compile(r"[\r\n\x00]")


def handlers_of(given: Any) -> tuple[Any, ...]:
    """Callback handlers from a list, one handler, or a manager that has `.handlers`."""
    if given is None:
        return ()
    if is_sequence(given):
        return tuple(given)
    inner: object = getattr(cast(object, given), "handlers", None)
    return tuple(inner) if is_sequence(inner) else (given,)
