"""The checks of one provider row: it is whole, its key comes from the environment and shows nowhere, its address can be set."""

from __future__ import annotations

import os
import pickle
import re
import traceback
from collections.abc import Generator, Iterable
from contextlib import contextmanager
from typing import Any

from .._call import Call
from .._errors import ChatModelError, MissingKeyError
from .._messages import HumanMessage
from .._model import ChatModel
from .._providers import _ROWS, Provider, base_url_names, load, providers, register, url_fields
from ._conform_dialect import claim

_KEY = "conformance-canary-0123456789"
#: Nothing listens there.
_NOWHERE = "http://127.0.0.1:1/v1"


def check_row(row: Provider, options: dict[str, Any]) -> None:
    """The row names a page, a month and a dialect that exists; its name and address have the usual form."""
    claim(isinstance(row, Provider), f"a row is a Provider, not {type(row).__name__}")
    name = row.name
    claim(
        re.fullmatch(r"[a-z0-9][a-z0-9-]*", name) is not None,
        f"{name!r}: a name is lower-case letters, digits and hyphens",
    )
    claim(
        row.docs.startswith(("https://", "http://", "docs/")),
        f"{name}: docs= is the page that the row was written from",
    )
    claim(
        re.fullmatch(r"20\d\d-(0[1-9]|1[0-2])", row.checked) is not None,
        f"{name}: checked= is a month, such as '2026-11'",
    )
    claim(not row.needs_key or bool(row.key_env), f"{name}: it needs a key, and key_env= names no variable")
    if row.transport == "http" and row.base_url:
        local = "127.0.0.1" in row.base_url or "localhost" in row.base_url
        claim(local or row.base_url.startswith(("https://", "{")), f"{name}: the address is not https")
    dialect = load(row.dialect)(name, **row.options, **{k: v for k, v in options.items() if k in row.takes})
    for method in ("encode", "decode", "decode_error", "stream_decoder"):
        claim(callable(getattr(dialect, method, None)), f"{name}: its dialect has no {method}()")
    claim(dialect.provider == name, f"{name}: its dialect calls itself {dialect.provider!r}")


def check_environment(row: Provider, options: dict[str, Any]) -> None:
    """The key is taken from each variable; without one, a MissingKeyError names the first variable and the parameter."""
    if row.transport != "http" or not row.key_env:
        return
    with _registered(row):
        for variable in row.key_env:
            with _environment(row, {variable: _KEY}):
                claim(_sends_key(_model(row, options)), f"{row.name}: the key in {variable} is not sent")
        if row.needs_key and not row.keyless:
            with _environment(row, {}):
                _check_missing(row, options)


def _check_missing(row: Provider, options: dict[str, Any]) -> None:
    try:
        _model(row, options)
    except MissingKeyError as error:
        claim(row.key_env[0] in str(error), f"{row.name}: the error of a missing key does not name {row.key_env[0]}")
        claim("api_key" in (error.argument or ""), f"{row.name}: the error of a missing key names no parameter")
    else:
        raise AssertionError(f"{row.name}: a missing key is no MissingKeyError")


def check_secrets(row: Provider, options: dict[str, Any]) -> None:
    """The key is in no repr, pickle, request, error or traceback."""
    if row.transport != "http":
        return
    with _registered(row), _environment(row, {}):
        places = {name: _NOWHERE for name in ("base_url", *(n for n in row.auth_takes if n == "auth_url"))}
        model = _model(row, {**options, **places}, api_key=_KEY, max_retries=1)
        plan = model._plan()
        request = plan.dialect.encode(_call())
        claim(_KEY not in repr((model, model._config, plan, plan.target)), f"{row.name}: the key is in a repr")
        claim(_KEY.encode() not in pickle.dumps(model), f"{row.name}: the key is in a pickle")
        claim(_KEY not in repr(request), f"{row.name}: the dialect puts the key into the request")
        claim(_KEY not in "".join(_shown(_failure(model))), f"{row.name}: the key is in an error")


def check_address(row: Provider, options: dict[str, Any]) -> None:
    """`base_url=` holds, and so does each variable that may hold the address."""
    if row.transport != "http":
        return
    with _registered(row):
        with _environment(row, {}):
            found = _address(_model(row, {**options, "base_url": _NOWHERE + "/"}, api_key=_KEY))
            claim(found == _NOWHERE, f"{row.name}: base_url={_NOWHERE + '/'!r} gives {found!r}")
        for variable in base_url_names(row) if not url_fields(row) else ():
            with _environment(row, {variable: _NOWHERE}):
                found = _address(_model(row, options, api_key=_KEY))
                claim(found == _NOWHERE, f"{row.name}: the address in {variable} is not used, but {found!r}")


def _model(row: Provider, options: dict[str, Any], **more: Any) -> ChatModel:
    return ChatModel(f"{row.name}:m", **{**options, **more})


def _call() -> Call:
    return Call(model="m", messages=(HumanMessage("Hi"),))


def _address(model: ChatModel) -> str:
    return model._plan().target.base_url


def _sends_key(model: ChatModel) -> bool:
    """Is the key in a header, or does the target get its headers by a flow of its own?"""
    target = model._plan().target
    return target.authorise is not None or any(_KEY in value for value in target.headers.values())


def _failure(model: ChatModel) -> ChatModelError:
    try:
        model("Hi")
    except ChatModelError as error:
        return error
    raise AssertionError(f"{model.provider}: a call to an address where nothing listens did not fail")


def _shown(error: BaseException) -> Iterable[str]:
    yield repr(error)
    yield repr(vars(error))
    yield "".join(traceback.TracebackException.from_exception(error, capture_locals=True).format())


@contextmanager
def _registered(row: Provider) -> Generator[None]:
    """The row can be named, while the block runs."""
    before = providers().get(row.name)
    if before != row:
        register(row)
    try:
        yield
    finally:
        if before is None:
            _ROWS.pop(row.name, None)
        elif before != row:
            register(before)


@contextmanager
def _environment(row: Provider, given: dict[str, str]) -> Generator[None]:
    """Of the variables that the row reads, those given are set, and no others."""
    names = {*row.key_env, *base_url_names(row), *row.env.values(), *given}
    before = {name: os.environ.pop(name) for name in names if name in os.environ}
    os.environ.update(given)
    try:
        yield
    finally:
        for name in names:
            os.environ.pop(name, None)
        os.environ.update(before)
