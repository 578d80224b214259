"""A model that cannot work says so when it is made, with the argument's name; nothing that was given is left out in silence."""

from __future__ import annotations

import pickle
import traceback
from collections.abc import Callable
from typing import Any

import pytest

from chatmodels import ChatModel, ChatOpenAI, UsageError

from .conftest import World, chat
from .servers import Server, serving


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("http://127.0.0.1:1/v1?api-version=2024-10-21", "would not be sent"),
        ("http://127.0.0.1:1/v1#here", "would not be sent"),
        ("http://[::1/v1", "no address"),
        ("127.0.0.1:8000/v1", "http://"),
        ("ftp://host/v1", "http://"),
    ],
)
def test_an_address_that_cannot_be_used_whole_is_refused(url: str, words: str) -> None:
    """A query in the address went the way of many a parameter: it was never sent."""
    with pytest.raises(UsageError, match=words) as raised:
        ChatOpenAI(api_key="a-key-of-no-use", base_url=url)
    assert raised.value.argument == "base_url"


@pytest.mark.parametrize("proxy", ["http://u:a-password@127.0.0.1:port", "http://u:a-password@127.0.0.1:99999"])
def test_a_proxy_that_is_no_address(world: World, server: Server, proxy: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UsageError, match="no address") as raised:
        world.call(chat(server.route(), proxy=proxy))
    assert raised.value.argument == "proxy"
    monkeypatch.setenv("HTTP_PROXY", proxy)
    with serving() as another, pytest.raises(UsageError, match="no address") as raised:
        world.call(chat(another.route()))
    assert "a-password" not in str(raised.value)


def test_a_model_whose_making_failed_can_be_shown() -> None:
    """Tools that show local variables with a traceback call `repr` on it."""
    given: dict[str, Any] = {"temperature": "hot"}
    with pytest.raises(UsageError) as raised:
        ChatOpenAI(api_key="a-key-of-no-use", **given)
    shown = traceback.TracebackException.from_exception(raised.value, capture_locals=True)
    assert "<ChatOpenAI>" in "".join(shown.format())


@pytest.mark.parametrize("given", [{"stream": True}, {"stream": False}, {"messages": []}])
def test_habits_from_other_libraries_are_answered_before_anything_is_sent(
    server: Server, given: dict[str, Any]
) -> None:
    """`stream=True` was sent as it was, and the stream that came was no JSON; `messages=` took the place of the messages."""
    route = server.route()
    [name] = given
    calls: list[Callable[[], Any]] = [lambda: chat(route, **given), lambda: chat(route).with_settings(**given)]
    if name != "messages":
        calls.append(lambda: chat(route)("hi", **given))
    for call in calls:
        with pytest.raises(UsageError) as raised:
            call()
        assert raised.value.argument == name
    assert route.requests == []


class Named(ChatOpenAI):
    """A user's own class below ours, with an attribute of its own."""

    def __init__(self, *args: Any, owner: str = "nobody", **options: Any) -> None:
        super().__init__(*args, **options)
        object.__setattr__(self, "owner", owner)


def test_a_class_below_ours_keeps_its_attributes(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "a-key-of-no-use")
    model = Named(base_url=server.route().url, owner="me")
    for one in (model.with_settings(temperature=0), model.with_retry(attempts=2), pickle.loads(pickle.dumps(model))):
        assert (type(one), one.owner, one("hi").text) == (Named, "me", "J'aime programmer.")


def test_a_model_is_a_field_of_a_pydantic_model(server: Server) -> None:
    """Without `arbitrary_types_allowed`. Data makes no model: that would read keys."""
    pydantic = pytest.importorskip("pydantic")

    class Service(pydantic.BaseModel):  # type: ignore[misc, name-defined]
        llm: ChatModel
        spare: ChatOpenAI | None = None

    made = Service(llm=chat(server.route()))
    assert made.llm("hi").text
    assert made.model_copy(deep=True).llm is made.llm
    assert made.model_dump_json() == '{"llm":"openai:gpt-4o-mini","spare":null}'
    assert Service.model_json_schema()["properties"]["llm"]["type"] == "string"
    for given in ('{"llm": "openai:gpt-4o"}', '{"llm": {"provider": "openai"}}'):
        with pytest.raises(pydantic.ValidationError):
            Service.model_validate_json(given)
