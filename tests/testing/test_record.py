"""Record and replay: what was recorded comes again as it was, in all worlds; what was not is an error that shows the difference."""

from __future__ import annotations

import asyncio
import json
import os
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from chatmodels import ChatModel, ChatOpenAI, DeadlineError, IncompleteStream, RateLimitError, UsageError
from chatmodels.testing import ChatScripted, NotRecorded, cassette, record, replay

from ..conftest import World, chat
from ..servers import Route, Server, chunked, either, error, events, plain, raw, silent, sse

pytestmark = pytest.mark.clock


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "deep" / "talk.json"


def everything(world: World, model: ChatModel) -> list[Any]:
    """One of each: an answer, a stream, an error, a cut stream, a broken connection."""
    found: list[Any] = []
    answer = world.call(model, "plain")
    found.append((answer.to_dict() | {"attempts": []}, answer.raw))
    read = world.read(model, "streamed")
    found.append((read.texts, read.stream.message.to_dict() | {"attempts": []}))
    with pytest.raises(RateLimitError) as limited:
        world.call(model, "error")
    found.append((str(limited.value), limited.value.retry_after, limited.value.body))
    cut = world.read(model, "cut")
    assert isinstance(cut.error, IncompleteStream)
    found.append((cut.texts, cut.error.message.text, str(cut.error)))
    broken = world.calls(model, 1)[0]
    found.append((type(broken), broken.phase, str(broken)))
    return found


def scripts() -> list[Any]:
    return [
        plain(headers={"x-request-id": "r1"}),
        sse(events("J'aime ", "été \N{WAVING HAND SIGN}")),
        error(429, "slow", headers={"retry-after": "7", "set-cookie": "session=canary"}),
        sse(events("some", "more")[:2]),
        raw(b"", "rst"),
    ]


@pytest.mark.parametrize("recorder", ["sync", "asyncio", "trio"])
def test_what_was_recorded_comes_again(recorder: str, server: Server, path: Path) -> None:
    route = server.route(*scripts())
    model = chat(route)
    with record(path):
        first = everything(World(recorder), model)
    for name in ("sync", "asyncio", "trio"):
        with replay(path) as made:
            assert everything(World(name), model) == first
        assert made.unused == []
    assert len(route.requests) == 5


def test_the_file_is_readable_and_exact(server: Server, path: Path) -> None:
    model = chat(server.route(plain(), sse(events("é"), gap=0.01), plain(b"\xff\x00 no text", 500)), temperature=0)
    with record(path):
        model("hi")
        list(model.stream("hi"))
        with pytest.raises(Exception, match="HTTP 500"):
            model("hi")
    text = path.read_text("utf-8")
    data = json.loads(text)
    first, second, third = data["exchanges"]
    assert data["chatmodels"] == 1
    assert first["request"]["body"]["messages"] == [{"role": "user", "content": "hi"}]
    assert (first["request"]["method"], first["request"]["path"]) == ("POST", "/chat/completions")
    assert first["response"]["body"]["json"]["choices"][0]["message"]["content"] == "J'aime programmer."
    lines = [line for piece in second["response"]["stream"] for line in piece["text"] if line]
    assert all(line.startswith("data: {") for line in lines[:-1])
    times = [piece["at"] for piece in second["response"]["stream"]]
    assert times == sorted(times)
    assert times[0] < times[-1]
    assert set(third["response"]["body"]) == {"base64"}
    assert "\n  " in text


def test_a_stream_that_was_left_is_replayed_as_far_as_it_was_read(world: World, server: Server, path: Path) -> None:
    model = chat(server.route(sse(events("a", "b", "c"), gap=0.02)))
    with record(path):
        assert world.read(model, most=1).texts == ["a"]
    with replay(path):
        assert world.read(model, most=1).texts == ["a"]
    with replay(path):
        beyond = world.read(model)
    assert beyond.texts[0] == "a"
    assert isinstance(beyond.error, NotRecorded)


def test_the_time_it_took_at_will(world: World, path: Path) -> None:
    with record(path):
        ChatScripted(["a b"])("x")
        list(ChatScripted(["a b"]).stream("x"))
    data = json.loads(path.read_text())
    for number, piece in enumerate(data["exchanges"][1]["response"]["stream"]):
        piece["at"] = 100.0 * number
    path.write_text(json.dumps(data))
    slow = ChatScripted([])
    with replay(path):
        began = time.monotonic()
        assert world.read(slow, "x").text == "a b"
        assert time.monotonic() - began < 50
    with replay(path, speed=5_000):
        began = time.monotonic()
        assert world.read(slow, "x").text == "a b"
        assert time.monotonic() - began >= 0.06
    with replay(path, speed=1):
        late = world.read(slow.with_timeouts(idle=0.001, first_token=0.001).with_retry(attempts=1), "x")
    assert isinstance(late.error, DeadlineError)


def test_what_is_not_there_is_an_error_with_the_difference(world: World, server: Server, path: Path) -> None:
    route = server.route(plain())
    model = chat(route)
    with record(path):
        model("I love programming.")
        model("Quite something else, and longer")
    with replay(path) as made:
        with pytest.raises(NotRecorded) as caught:
            world.call(model, "I love programming!")
        assert len(made.unused) == 2
    said = str(caught.value)
    assert '-      "content": "I love programming."' in said
    assert '+      "content": "I love programming!"' in said
    assert "something else" not in said
    assert str(path) in said
    assert len(route.requests) == 2


def test_a_request_counts_as_often_as_it_was_recorded(server: Server, path: Path) -> None:
    model = chat(server.route(plain(), error(429, "2nd")))
    with record(path):
        model("x")
        with pytest.raises(RateLimitError):
            model("x")
    with replay(path):
        assert model("x").text
        with pytest.raises(RateLimitError):
            model("x")
        with pytest.raises(NotRecorded, match="recorded 2x"):
            model("x")
    with replay(path, repeat=True):
        model("x")
        for _ in range(3):
            with pytest.raises(RateLimitError):
                model("x")


def test_retries_are_recorded_one_by_one(server: Server, path: Path) -> None:
    route = server.route(error(503), plain())
    model = chat(route).with_retry(attempts=2, base=0)
    with record(path):
        model("x")
    with replay(path):
        assert [a.outcome for a in model("x").attempts] == ["OverloadedError", "ok"]
    assert len(route.requests) == 2


def test_fields_that_may_differ(server: Server, path: Path) -> None:
    model = chat(server.route(plain()))
    with record(path):
        model("x", user="me")
    with replay(path, ignore=("user",)):
        assert model("x", user="you").text
    with replay(path), pytest.raises(NotRecorded):
        model("x", user="you")


def test_modes(server: Server, path: Path) -> None:
    route = server.route(either("a"))
    model = chat(route)
    with cassette(path, "none"), pytest.raises(NotRecorded, match="no such file"):
        model("1")
    with cassette(path, "once"):
        model("1")
    with cassette(path, "once"):
        model("1")
        with pytest.raises(NotRecorded):
            model("2")
    assert len(route.requests) == 1
    with cassette(path, "new"):
        model("1")
        model("2")
    assert len(route.requests) == 2
    with cassette(path, "none"):
        assert [m.text for m in model.batch(["2", "1"])] == ["a", "a"]
    before = path.read_text()
    with cassette(path, "all"):
        pass
    assert path.read_text() == before
    with cassette(path, "all"):
        model("3")
    assert len(json.loads(path.read_text())["exchanges"]) == 1


def test_it_reaches_threads_batches_streams_and_fallbacks(server: Server, path: Path) -> None:
    route, other = server.route(either("thread")), server.route(either("other"))
    model = chat(route)
    careful = chat(server.route(error(503))).with_fallback(chat(other))
    hasty = chat(server.route(silent())).with_hedge(after=0.01, other=chat(other, temperature=0))

    def work() -> list[str]:
        found: list[str] = []
        thread = threading.Thread(target=lambda: found.append(model("in a thread").text))
        thread.start()
        thread.join()
        found += [m.text for m in model.batch(["a", "b"])]
        found += [careful("x").text, careful.stream("x").until_done().text, hasty("y").text]

        async def tasks() -> list[str]:
            return [m.text for m in await asyncio.gather(model.ainvoke("c"), model.ainvoke("d"))]

        return found + asyncio.run(tasks())

    with record(path):
        first = work()
    sent = len(route.requests), len(other.requests)
    with replay(path):
        assert work() == first
    assert (len(route.requests), len(other.requests)) == sent


async def test_a_call_that_was_given_up_is_silent_again(server: Server, path: Path) -> None:
    model = chat(server.route(silent()))

    async def given_up() -> None:
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(model.ainvoke("x"), 0.02)
        stream = model.astream("y")
        waiting = asyncio.ensure_future(anext(stream, None))
        await asyncio.sleep(0.02)
        await stream.aclose()
        assert await waiting is None

    with record(path):
        await given_up()
    assert path.read_text().count('"left": true') == 2  # noqa: ASYNC240
    with replay(path):
        await given_up()


async def test_a_block_inside_and_one_beside_have_their_own(server: Server, tmp_path: Path) -> None:
    model = chat(server.route(plain()))

    async def one(name: str) -> None:
        with record(tmp_path / name):
            await asyncio.sleep(0.01)
            await model.ainvoke(name)

    with record(tmp_path / "outer"):
        with record(tmp_path / "inner"):
            await model.ainvoke("inner")
        await model.ainvoke("outer")
    await asyncio.gather(one("left"), one("right"))
    for name in ("outer", "inner", "left", "right"):
        exchanges = json.loads((tmp_path / name).read_text())["exchanges"]
        assert [e["request"]["body"]["messages"][0]["content"] for e in exchanges] == [name]


def test_nothing_stays_after_the_block(server: Server, path: Path) -> None:
    route = server.route(plain())
    model = chat(route)

    def failing() -> None:
        with record(path):
            model("x")
            raise KeyError

    with pytest.raises(KeyError):
        failing()
    assert path.exists()
    model("y")
    assert len(json.loads(path.read_text())["exchanges"]) == 1
    assert [p.name for p in path.parent.iterdir()] == [path.name]


def test_scripted_models_can_be_recorded_too(path: Path) -> None:
    scripted = ChatScripted(["one", "two words"])
    with record(path):
        scripted("a")
        list(scripted.stream("b"))
    with replay(path):
        assert scripted("a").text == "one"
        assert [c.text for c in scripted.stream("b") if c.text] == ["two ", "words"]
    assert len(scripted.calls) == 2


def test_a_broken_stream_breaks_again(world: World, server: Server, path: Path) -> None:
    model = chat(server.route(raw(chunked(events("x", "y")[:2], b""), "rst", hold=0.02)))
    with record(path):
        first = world.read(model)
    with replay(path):
        again = world.read(model)
    assert isinstance(first.error, IncompleteStream)
    assert isinstance(again.error, IncompleteStream)
    assert str(again.error) == str(first.error)


@pytest.mark.parametrize(
    "text", ["", "no json", "[]", '{"chatmodels": 99, "exchanges": []}', '{"chatmodels": 1, "exchanges": [1]}']
)
def test_a_file_that_is_none(text: str, tmp_path: Path) -> None:
    wrong = tmp_path / "wrong.json"
    wrong.write_text(text)
    with pytest.raises(UsageError, match="no recording") as caught, replay(wrong):
        pass
    assert caught.value.argument == "path"
    assert wrong.read_text() == text


@pytest.mark.parametrize(
    ("options", "argument"), [({"mode": "some"}, "mode"), ({"speed": 0}, "speed"), ({"ignore": "user"}, "ignore")]
)
def test_mistakes_are_named(options: dict[str, Any], argument: str, path: Path) -> None:
    with pytest.raises(UsageError) as caught, cassette(path, **options):
        pass
    assert caught.value.argument == argument
    with pytest.raises(UsageError, match="no recording"):
        replay(path)


def test_the_same_body_at_another_address(server: Server, path: Path) -> None:
    here: Route = server.route(plain())
    with record(path):
        chat(here)("x")
    with replay(path):
        assert chat("https://elsewhere.example/v1")("x").text


def test_a_replay_needs_no_key(server: Server, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    url = server.route(plain()).url
    with record(path):
        ChatOpenAI(openai_api_key="sk-real", base_url=url)("hi")
    with replay(path):
        with replay(path):  # its end leaves the outer one's alone
            pass
        assert ChatOpenAI(base_url=url)("hi").text == "J'aime programmer."
    assert "OPENAI_API_KEY" not in os.environ
    with pytest.raises(UsageError, match="OPENAI_API_KEY"), cassette(path, "all"):
        ChatOpenAI(base_url=url)


async def test_blocks_in_the_async_world(server: Server, path: Path) -> None:
    route = server.route(plain(), plain())
    model = chat(route)

    @cassette(path)
    async def ask(text: str) -> str:
        return (await model.ainvoke(text)).text

    @cassette(path)
    def again(text: str) -> str:
        return model(text).text

    assert await ask("hi") == await ask("hi") == again("hi") == "J'aime programmer."
    async with replay(path):
        assert (await model.ainvoke("hi")).text == "J'aime programmer."
    assert len(route.requests) == 1
    with pytest.raises(UsageError, match="is a generator"):

        @cassette(path)
        async def later() -> Any:
            yield await model.ainvoke("hi")


def test_two_that_record_what_is_new_into_one_file(server: Server, path: Path) -> None:
    """As two workers of a test run do: each has read the file before the other writes."""
    route = server.route(either("yes"))
    chat = ChatOpenAI(api_key="k", base_url=route.url)
    with record(path):
        chat("before")
    with cassette(path, "new"):
        chat("one")
        with cassette(path, "new"):
            chat("two")
    with replay(path) as made:
        assert [chat(text).text for text in ("two", "one", "before")] == ["yes"] * 3
        assert made.unused == []
    assert len(route.requests) == 3
    assert [p.name for p in path.parent.iterdir()] == [path.name]
