"""What a model and a call may be given: each mistake is named before anything is sent; each good value arrives."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from chatmodels import ChatModel, ChatOpenAI, UsageError
from chatmodels._errors import MissingKeyError
from chatmodels._flow import Timeouts
from chatmodels._options import ALIASES, POLICIES, SETTINGS, CallOptions, ModelOptions
from chatmodels._retry import Retry
from chatmodels.callbacks import BaseCallbackHandler, CallbackManager

from .conftest import KEY, chat
from .servers import Server

NAN, INF = float("nan"), float("inf")

#: Settings, for the model and for a call: name -> values that are wrong.
BAD_SETTINGS: dict[str, list[Any]] = {
    "temperature": ["hot", True, -0.1, NAN, INF, [0], {"a": 1}],
    "top_p": ["a", True, NAN],
    "top_k": [1.5, "a", True, -1],
    "min_p": ["a", True, NAN],
    "max_tokens": [0, -1, 1.5, "10", True, INF],
    "n": [0, -1, 1.5, "2", True],
    "stop": [1, [1], [""], "", ["a", None], {"a": 1}, True],
    "seed": [1.5, "a", True],
    "presence_penalty": ["a", True, NAN],
    "frequency_penalty": ["a", True, INF],
    "logprobs": ["yes", 1],
    "top_logprobs": [-1, 1.5, "a", True],
    "logit_bias": [[1], "a", {"1": "much"}],
    "tool_choice": [1, ["f"], True],
    "parallel_tool_calls": ["no", 0],
    "reasoning_effort": [1, True],
    "reasoning_budget": [-1, 0.5, "a"],
    "reasoning_summary": [1],
    "response_format": ["json", 1, [1]],
    "modalities": ["text", 1, [1]],
    "audio": ["alloy", 1],
    "service_tier": [1],
    "verbosity": [1],
    "user": [1],
    "metadata": ["a", {"a": 1}],
    "store": ["yes", 1],
    "extra_body": ["a", [1], 5],
    "extra_headers": ["a", {"a": 1}, {"a": "b\n"}, {"a b": "c"}, {"a": "é"}, {"": "a"}],
    "model_kwargs": ["a", [1], 5],
}
#: What only a model takes.
BAD_POLICIES: dict[str, list[Any]] = {
    "model": [1, ["gpt"], True],
    "api_key": [1, ["sk"], True],
    "base_url": [1, "localhost:80", "ftp://host", "http://", "/v1", "http://user:pw@host/v1"],
    "organization": [1],
    "proxy": [1, "socks5://host:1", "http://", "ftp://host"],
    "timeout": [0, -1, NAN, INF, "10", True, (1,), (1, 2, 3), (0, 1), {"first": 1}, {"idle": 0}, {"idle": "a"}, []],
    "max_retries": [-1, 1.5, "3", True],
    "streaming": ["yes", 1],
    "cache": ["yes", 1, dict],
    "headers": ["a", {"a": 1}, {"a": "b\r\nc: d"}, {"a:": "b"}],
    "verify": [1, "/no/such/file.pem", []],
    "cert": [1, ("a",), ("a", "b", "c"), "/no/such/file.pem", ("/no/such.pem", "/no/such.key")],
    "http_client": [1, "httpx", {}],
}


def cases(table: dict[str, list[Any]]) -> list[Any]:
    return [pytest.param(name, value, id=f"{name}={value!r}") for name, values in table.items() for value in values]


def test_the_tables_are_complete() -> None:
    assert {*SETTINGS, "extra_body", "model_kwargs"} == set(BAD_SETTINGS)
    assert set(CallOptions.__annotations__) | {"stop"} == set(BAD_SETTINGS)
    assert set(POLICIES) == set(BAD_POLICIES) - {"model"} | {"callbacks"}
    assert set(ModelOptions.__annotations__) <= {*BAD_SETTINGS, *BAD_POLICIES, *ALIASES, "callbacks"}


@pytest.mark.parametrize(("name", "value"), cases({**BAD_SETTINGS, **BAD_POLICIES}))
def test_wrong_for_a_model(name: str, value: Any) -> None:
    with pytest.raises(UsageError) as caught:
        ChatOpenAI(**{"openai_api_key": KEY, name: value} if name != "api_key" else {name: value})
    assert caught.value.argument == name
    assert name in str(caught.value)


@pytest.mark.parametrize(("name", "value"), cases(BAD_SETTINGS))
def test_wrong_for_a_call(server: Server, name: str, value: Any) -> None:
    route = server.route()
    model = chat(route)
    ways: list[Callable[[], Any]] = [
        lambda: model("hi", **{name: value}),
        lambda: model.invoke("hi", **{name: value}),
        lambda: model.stream("hi", **{name: value}),
        lambda: model.astream("hi", **{name: value}),
        lambda: model.batch(["hi"], **{name: value}),
        lambda: model.batch_as_completed(["hi"], **{name: value}),
        lambda: model.abatch_as_completed(["hi"], **{name: value}),
        lambda: model.generate([["hi"]], **{name: value}),
        lambda: model.with_settings(**{name: value}),
        lambda: model.bind(**{name: value}),
    ]
    for way in ways:
        if name == "metadata" and way is ways[7]:
            continue  # what `generate` calls so is for tracing, as in 2023
        with pytest.raises(UsageError) as caught:
            way()
        assert caught.value.argument == name
    assert not route.requests


@pytest.mark.parametrize(
    ("way", "argument"),
    [
        (lambda m: m.batch(["a"], max_concurrency=0), "max_concurrency"),
        (lambda m: m.batch(["a"], max_concurrency=2.5), "max_concurrency"),
        (lambda m: m.batch(["a"], max_concurrency=True), "max_concurrency"),
        (lambda m: m.batch(["a"], errors="ignore"), "errors"),
        (lambda m: m.generate([["a"]], errors=None), "errors"),
        (lambda m: m.batch("hi"), "inputs"),
        (lambda m: m.batch({"role": "user"}), "inputs"),
        (lambda m: m.batch(5), "inputs"),
        (lambda m: m.batch(None), "inputs"),
        (lambda m: m.batch_as_completed("hi"), "inputs"),
        (lambda m: m.batch_as_completed(["a"], max_concurrency=0), "max_concurrency"),
        (lambda m: m.abatch_as_completed("hi"), "inputs"),
        (lambda m: m.with_retry(attempts=-1), "attempts"),
        (lambda m: m.with_retry(base=-1), "base"),
        (lambda m: m.with_retry(cap="long"), "cap"),
        (lambda m: m.with_retry(patience=NAN), "patience"),
        (lambda m: m.with_timeouts(idle=0), "timeout"),
        (lambda m: m.with_timeouts(total="a"), "timeout"),
        (lambda m: m.predict(["hi"]), "text"),
    ],
)
def test_wrong_for_a_method(server: Server, way: Callable[[ChatModel], Any], argument: str) -> None:
    route = server.route()
    with pytest.raises(UsageError) as caught:
        way(chat(route))
    assert caught.value.argument == argument
    assert not route.requests


# ---- names


@pytest.mark.parametrize(
    "twice",
    [
        {"model": "a", "model_name": "b"},
        {"api_key": "a", "openai_api_key": "b"},
        {"base_url": "http://a", "openai_api_base": "http://b"},
        {"timeout": 5, "request_timeout": 6},
        {"max_tokens": 5, "max_completion_tokens": 6},
        {"stop": "a", "stop_sequences": ["b"]},
        {"temperature": 0, "model_kwargs": {"temperature": 1}},
        {"top_p": 0.5, "extra_body": {"top_p": 1}},
        {"extra_body": {"a": 1}, "model_kwargs": {"a": 2}},
    ],
)
def test_the_same_thing_twice(twice: dict[str, Any]) -> None:
    with pytest.raises(UsageError, match=r"same setting|given twice"):
        ChatOpenAI(**{"openai_api_key": KEY, **twice} if "api_key" not in twice else twice)


def test_stop_twice(server: Server) -> None:
    route = server.route()
    with pytest.raises(UsageError, match="twice"):
        chat(route, stop=["a"])("hi", stop=["b"])
    assert not route.requests


def test_none_is_as_if_it_were_not_given(server: Server) -> None:
    route = server.route()
    names = {*ModelOptions.__annotations__, *ALIASES} - {"base_url", "openai_api_base", "azure_endpoint",
             "anthropic_api_url", "max_retries", "timeout", "request_timeout", "api_key", "openai_api_key"}  # fmt: skip
    chat(route, **dict.fromkeys(names))("hi", **dict.fromkeys(CallOptions.__annotations__))
    assert route.requests[0].json == {"model": "gpt-4o-mini", "messages": [{"role": "user", "content": "hi"}]}


@pytest.mark.parametrize(("alias", "name"), [(a, n) for a, n in ALIASES.items() if n in SETTINGS and n != "stop"])
def test_other_spellings(server: Server, alias: str, name: str) -> None:
    value = 7 if name in ("max_tokens", "seed") else 0.5
    one, other = server.route(), server.route()
    chat(one, **{alias: value})("hi")
    chat(other)("hi", **{name: value})
    assert one.requests[0].json == other.requests[0].json


def test_an_unknown_name_is_warned_about_and_sent(server: Server) -> None:
    route = server.route()
    with pytest.warns(UserWarning, match="'flavour' is not a setting") as caught:
        model = chat(route, flavour="sweet")
    assert {w.filename for w in caught} == {str(Path(__file__).with_name("conftest.py"))}
    model("hi")
    assert route.requests[0].json["flavour"] == "sweet"
    ways: list[Callable[[], Any]] = [
        lambda: chat(route)("hi", flavour="sour"),
        lambda: chat(route).invoke("hi", flavour="sour"),
        lambda: chat(route).stream("hi", flavour="sour").close(),
        lambda: chat(route).with_settings(flavour="sour"),
        lambda: chat(route).bind(flavour="sour"),
        lambda: chat(route).batch(["a", "b"], flavour="sour"),
        lambda: chat(route).generate([["a"], ["b"]], flavour="sour"),
    ]
    for way in ways:
        with pytest.warns(UserWarning, match="'flavour' is not a setting") as caught:
            way()
        assert [w.filename for w in caught] == [__file__], "the warning names another place than the caller's"


def test_the_body_takes_any_further_field_without_a_warning(server: Server) -> None:
    route = server.route()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        chat(route, extra_body={"a": 1}, model_kwargs={"b": 2})("hi", extra_body={"c": 3})
    assert {k: route.requests[0].json[k] for k in "abc"} == {"a": 1, "b": 2, "c": 3}


# ---- values that arrive


def test_policies() -> None:
    handler = BaseCallbackHandler()
    model = ChatOpenAI(
        openai_api_key=KEY, max_retries=5, request_timeout=7, callbacks=[handler], streaming=True, headers={"a": "b"}
    )
    config = model._config
    assert config.retry == Retry(attempts=5)
    assert config.timeouts == Timeouts(first_token=None, total=7.0)
    assert (config.handlers, config.streaming, config.headers) == ((handler,), True, {"a": "b"})
    assert ChatOpenAI(openai_api_key=KEY, callbacks=CallbackManager([handler]))._config.handlers == (handler,)
    assert ChatOpenAI(openai_api_key=KEY, callbacks=handler)._config.handlers == (handler,)
    changed = model.with_retry(base=0.1, patience=5)
    assert changed._config.retry == Retry(attempts=5, base=0.1, patience=5)


def test_headers(server: Server) -> None:
    route = server.route()
    model = chat(route, headers={"X-A": "model", "Authorization": "Bearer other"}, openai_organization="org")
    model("hi", extra_headers={"x-a": "call", "X-B": "b"})
    model("hi")
    first, second = (r.headers for r in route.requests)
    assert (first["x-a"], first["x-b"], second["x-a"]) == ("call", "b", "model")
    assert first["authorization"] == second["authorization"] == "Bearer other"
    assert first["openai-organization"] == "org"
    assert first["content-type"] == "application/json"
    assert first["user-agent"].startswith("chatmodels/")


def test_a_model_is_immutable() -> None:
    model = ChatOpenAI(openai_api_key=KEY, temperature=0.5)
    with pytest.raises(AttributeError, match="with_settings"):
        model.temperature = 1
    with pytest.raises(AttributeError):
        del model.temperature
    assert model.with_settings(temperature=1).temperature == 1
    assert model.with_settings(temperature=None).temperature is None
    assert model.temperature == 0.5
    with pytest.raises(AttributeError):
        _ = model.nonsense


# ---- the environment


def test_the_environment(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    route = server.route()
    monkeypatch.setenv("OPENAI_API_KEY", " sk-env \n")
    monkeypatch.setenv("OPENAI_API_BASE", route.url + "/")
    monkeypatch.setenv("OPENAI_ORGANIZATION", "org-env")
    ChatOpenAI()("hi")
    headers = route.requests[0].headers
    assert headers["authorization"] == "Bearer sk-env"
    assert headers["openai-organization"] == "org-env"
    assert route.requests[0].target.endswith("/v1/chat/completions")
    other = server.route()
    ChatOpenAI(openai_api_key="sk-given", openai_api_base=other.url, openai_organization="org-given")("hi")
    headers = other.requests[0].headers
    assert (headers["authorization"], headers["openai-organization"]) == ("Bearer sk-given", "org-given")


def test_a_missing_key(monkeypatch: pytest.MonkeyPatch) -> None:
    for given in ({}, {"openai_api_key": ""}, {"api_key": "  "}, {"openai_api_key": None}):
        with pytest.raises(MissingKeyError) as caught:
            ChatOpenAI(**given)  # type: ignore[arg-type]
        assert isinstance(caught.value, ValueError)
        assert "OPENAI_API_KEY" in str(caught.value)
        assert "openai_api_key" in str(caught.value)


def test_a_key_that_is_a_secret_of_another_library(server: Server) -> None:
    from pydantic import SecretStr

    route = server.route()
    ChatOpenAI(api_key=SecretStr("sk-pydantic"), base_url=route.url)("hi")
    assert route.requests[0].headers["authorization"] == "Bearer sk-pydantic"


@pytest.mark.parametrize("name", [*POLICIES, "openai_api_key", "request_timeout", "deadline"])
def test_what_belongs_to_the_model_is_refused_in_a_call(server: Server, name: str) -> None:
    """A key would else be sent in a body, and a timeout would be sent instead of kept."""
    route = server.route()
    model = chat(route)
    ways: list[Callable[..., Any]] = [lambda **given: model.with_settings(**given)]
    if name not in ("callbacks", "deadline"):  # a call takes them, too
        ways += [partial(model, "hi"), partial(model.stream, "hi"), partial(model.batch, ["hi"])]
    for way in ways:
        with pytest.raises(UsageError) as raised:
            way(**{name: "x"})
        assert any(way in str(raised.value) for way in ("when you make the model", "(...)", "with_timeouts"))
    assert not route.requests
