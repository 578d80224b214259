"""The canary: no key and no password shows in a repr, an error, a traceback with its variables, a log or a pickle."""

from __future__ import annotations

import base64
import copy
import io
import logging
import pickle
import traceback
from collections.abc import Iterator
from typing import Any

import pytest

from chatmodels import ChatModel, ChatOpenAI, UsageError
from chatmodels._errors import ConnectError, MissingKeyError
from chatmodels._flow import Send
from chatmodels._secret import Hidden

from .conftest import KEY, World, chat
from .servers import Route, Server, error, events, plain, raw, response, silent, sse

PASSWORD = "pw-canary-987"
CANARIES = (KEY, PASSWORD, base64.b64encode(f"user:{PASSWORD}".encode()).decode(), "header-canary")


def clean(text: str) -> None:
    for canary in CANARIES:
        assert canary not in text, text[max(0, text.index(canary) - 300) : text.index(canary) + 100]


@pytest.fixture
def log() -> Iterator[io.StringIO]:
    """All that is logged by anybody, at DEBUG."""
    out = io.StringIO()
    handler = logging.StreamHandler(out)
    root = logging.getLogger()
    names = ["", "urllib3", "aiohttp", "aiohttp.client", "asyncio", "chatmodels", "httpx", "httpcore"]
    before = {name: logging.getLogger(name).level for name in names}
    root.addHandler(handler)
    for name in names:
        logging.getLogger(name).setLevel(logging.DEBUG)
    yield out
    root.removeHandler(handler)
    for name, level in before.items():
        logging.getLogger(name).setLevel(level)


def secretive(route: Route | str, **options: Any) -> ChatOpenAI:
    return chat(route, headers={"x-secret": "header-canary"}, **options)


def shown(failed: BaseException) -> Iterator[str]:
    """Every way in which an error is looked at."""
    yield str(failed)
    yield repr(failed)
    yield repr(vars(failed))
    yield "".join(traceback.format_exception(failed))
    yield "".join(traceback.TracebackException.from_exception(failed, capture_locals=True).format())
    yield repr(pickle.dumps(failed))
    if failed.__cause__ is not None:
        yield repr(failed.__cause__)
        yield repr(failed.__cause__.args)


def test_a_model(server: Server) -> None:
    proxy = f"http://user:{PASSWORD}@127.0.0.1:1"
    model = secretive(server.route(), openai_proxy=proxy).with_settings(extra_headers={"x-more": "header-canary"})
    plan = model._plan()
    send = Send(plan.target, plan.dialect.encode(model._call("hi")), None)
    for one in (model, plan, plan.target, send, model._config, plan.target.transport, vars(plan.target.transport)):
        clean(repr(one))
        clean(str(one))
    clean(repr(pickle.dumps(model.with_settings(extra_headers=None))))


def test_a_pickled_model_takes_its_key_from_the_environment(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    route = server.route()
    data = pickle.dumps(chat(route).with_settings(temperature=0))
    again: ChatModel = pickle.loads(data)
    with pytest.raises(MissingKeyError):
        again("hi")
    assert not route.requests
    monkeypatch.setenv("OPENAI_API_KEY", "sk-other")
    assert pickle.loads(data)("hi").text
    assert route.requests[0].headers["authorization"] == "Bearer sk-other"
    assert route.requests[0].json["temperature"] == 0


def test_a_copied_model_keeps_its_key(server: Server) -> None:
    """It is immutable, so a copy is the model itself."""
    model = chat(server.route())
    assert copy.copy(model) is model
    assert copy.deepcopy({"a": [model]})["a"][0] is model


def test_calls_and_errors(world: World, server: Server, log: io.StringIO) -> None:
    pieces = events("Bon", "jour")
    scripts = [
        plain(), error(401, f"wrong key: {KEY[:5]}"), error(500), silent(), raw(b""), raw(b"no http\r\n\r\n\r\n"),
        plain(b"<html>"), raw(response(b"{}" * 50)[:-9]),
    ]  # fmt: skip
    route = server.route(*scripts)
    model = secretive(route, timeout={"connect": 1, "first_token": 0.1, "total": 5})
    found = world.calls(model, len(scripts))
    found += world.calls(secretive("http://127.0.0.1:9/v1"), 1)
    found += world.calls(secretive("http://no-such-host.invalid/v1"), 1)
    for script in (sse(pieces[:2]), sse([*pieces[:2], b"data: {\n\n"]), sse(pieces[:2], end=False)):
        found.append(world.read(secretive(server.route(script), timeout={"idle": 0.1, "total": 5})).error)
    answers = [f for f in found if not isinstance(f, BaseException)]
    failures = [f for f in found if isinstance(f, BaseException)]
    assert (len(answers), len(failures)) == (1, 12)
    for one in failures:
        for text in shown(one):
            clean(text)
        clean(repr(one.attempts))  # type: ignore[attr-defined]
    clean(repr(vars(answers[0]) if hasattr(answers[0], "__dict__") else answers[0]))
    clean(repr(answers[0].attempts))
    clean(repr(pickle.dumps(answers[0])))
    clean(log.getvalue())


def test_a_proxy_that_is_not_there(world: World, server: Server, log: io.StringIO) -> None:
    for base in ("http://service.invalid/v1", "https://service.invalid/v1"):
        model = secretive(base, openai_proxy=f"http://user:{PASSWORD}@127.0.0.1:9")
        found = world.calls(model, 1)[0]
        assert isinstance(found, ConnectError)
        for text in shown(found):
            clean(text)
    clean(log.getvalue())


def test_wrong_arguments() -> None:
    wrong: list[dict[str, Any]] = [
        {"openai_api_key": KEY + "\n" + KEY},
        {"openai_api_key": KEY + "é"},
        {"openai_api_key": KEY, "headers": {"x": "header-canary\n"}},
        {"openai_api_key": KEY, "openai_proxy": f"socks5://user:{PASSWORD}@host:1"},
        {"openai_api_key": KEY, "openai_proxy": f"http://user:{PASSWORD}@"},
        {"openai_api_key": KEY, "base_url": f"ftp://user:{PASSWORD}@host"},
        {"openai_api_key": KEY, "base_url": f"http://user:{PASSWORD}@host"},
    ]
    for options in wrong:
        with pytest.raises(UsageError) as caught:
            ChatOpenAI(**options)("hi")
        clean(str(caught.value))
        clean(repr(caught.value))
        clean(repr(vars(caught.value)))


def test_the_key_is_sent(server: Server) -> None:
    """That it does not show is no reason for it not to arrive."""
    route = server.route()
    secretive(route).with_settings(extra_headers={"X-More": "m"})("hi")
    headers = route.requests[0].headers
    assert headers["authorization"] == f"Bearer {KEY}"
    assert (headers["x-secret"], headers["x-more"]) == ("header-canary", "m")


def test_hidden() -> None:
    hidden = Hidden("abc")
    assert (hidden, str(hidden), f"{hidden}", len(hidden)) == ("abc", "abc", "abc", 3)
    assert repr({"a": hidden}) == "{'a': '...'}"
