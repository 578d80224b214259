"""What cannot happen here, over every public way to call a model; and the page of guarantees names tests that exist.

The rows of docs/guarantees.md lead to the tests that show them. Those here are the ones that belong to no single module.
"""

from __future__ import annotations

import ast
import json
import re
import subprocess
import sys
import time
from functools import cache
from pathlib import Path
from typing import Any

import pytest

import chatmodels
from chatmodels import (
    DeadlineError,
    IncompleteStream,
    OutputError,
    OverloadedError,
    ProtocolError,
    RateLimitError,
    TransportError,
    track_usage,
)
from chatmodels._inputs import messages_from_dict
from chatmodels.batch import run_batch

from .conftest import KEY, chat
from .servers import DONE, USAGE, Exchange, Server, answer, error, event, plain, raw, response, sse
from .ways import TEXT, WAYS, Told, Way

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs" / "guarantees.md"
SOURCE = Path(chatmodels.__file__).parent

every_way = pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)


def raised(way: Way, model: Any, *classes: type[BaseException]) -> BaseException:
    """The error that a way gives: one of these classes, or told by the name of one."""
    with pytest.raises((*classes, Told)) as caught:
        way(model)
    found = caught.value
    if isinstance(found, Told):
        assert found.args[0] in {c.__name__ for c in classes}
    return found


# ---- a truncated answer is never a success


def _without_an_end(exchange: Exchange) -> None:
    """Half an answer: a stream that says `[DONE]` without a finish reason, or a JSON that breaks off."""
    if exchange.request.json.get("stream"):
        sse([event({"role": "assistant", "content": ""}), event({"content": TEXT}), DONE])(exchange)
    else:
        raw(response(json.dumps(answer(TEXT)).encode())[:-9])(exchange)


@every_way
@pytest.mark.parametrize("streaming", [False, True], ids=["plain", "streaming"])
def test_half_an_answer_is_an_error_in_every_way_to_call(server: Server, way: Way, streaming: bool) -> None:
    route = server.route(_without_an_end)
    raised(way, chat(route, streaming=streaming), IncompleteStream, TransportError, ProtocolError)
    assert len(route.requests) == 1


@every_way
def test_an_answer_cut_by_its_length_limit_says_so(server: Server, way: Way) -> None:
    """For the provider it is whole: the finish reason tells, and a typed answer is refused without asking again."""
    body = answer(TEXT)
    body["choices"][0]["finish_reason"] = "length"
    pieces = [event({"content": TEXT}), event({}, "length"), DONE]
    route = server.route(lambda e: (sse(pieces) if e.request.json.get("stream") else plain(body))(e))
    if way in (WAYS["with_output"], WAYS["with_output.stream"]):
        found = raised(way, chat(route), OutputError)
        assert isinstance(found, OutputError)
        assert found.truncated
    else:
        assert way(chat(route)) == TEXT
    assert len(route.requests) == 1


# ---- nothing waits for ever


def _a_word_and_silence(exchange: Exchange) -> None:
    if exchange.request.json.get("stream"):
        sse([event({"role": "assistant", "content": ""}), event({"content": "{"})], end=False)(exchange)
    else:
        exchange.wait(20)


@pytest.mark.clock
@every_way
def test_silence_ends_at_the_deadline_in_every_way_to_call(server: Server, way: Way) -> None:
    route = server.route(_a_word_and_silence)
    began = time.monotonic()
    raised(way, chat(route, timeout={"idle": 0.1, "first_token": 0.1, "total": 0.1}), DeadlineError)
    assert time.monotonic() - began < 5
    route.wait_left()


# ---- retries are counted once


@every_way
def test_tries_do_not_multiply_in_any_way_to_call(server: Server, way: Way) -> None:
    route = server.route(error(500, "down"))
    model = chat(route).with_retry(attempts=3, base=0)
    found = raised(way, model, OverloadedError)
    assert len(route.requests) == 3
    assert len(getattr(found, "attempts", "123")) == 3


# ---- usage is there, and counted once


def _usage_where_asked_for(exchange: Exchange) -> None:
    asked = exchange.request.json
    if not asked.get("stream"):
        plain(answer(TEXT))(exchange)
        return
    usage = [event(None, usage=USAGE)] if asked.get("stream_options", {}).get("include_usage") else []
    sse([event({"content": TEXT}), event({}, "stop"), *usage, DONE])(exchange)


@every_way
@pytest.mark.parametrize("streaming", [False, True], ids=["plain", "streaming"])
def test_usage_is_booked_once_in_every_way_to_call(server: Server, way: Way, streaming: bool) -> None:
    route = server.route(_usage_where_asked_for)
    with track_usage() as used:
        assert way(chat(route, streaming=streaming)) == TEXT
    assert (used.total_tokens, used.usage.estimated) == (USAGE["total_tokens"], False)
    assert used.calls == 1


def test_usage_that_no_provider_told_is_an_estimate_and_says_so(server: Server) -> None:
    untold = {k: v for k, v in answer(TEXT).items() if k != "usage"}
    told = sse([event({"content": TEXT}), event({}, "stop"), DONE])
    model = chat(
        server.route(lambda e: (told if e.request.json.get("stream") else plain(untold))(e)), model="some-model"
    )
    for call in (lambda: model("hi"), lambda: model.stream("hi").until_done()):
        with track_usage() as used:
            assert call().usage is None  # nothing is made up on the answer itself
        assert used.usage.estimated
        assert used.total_tokens > 0


# ---- items keep their places


def _now_and_then(exchange: Exchange, seen: set[str]) -> None:
    """Every third question is refused at its first try; some answers take longer than others."""
    text = exchange.request.json["messages"][-1]["content"]
    number = int(text.split()[1])
    if number % 3 == 0 and text not in seen:
        seen.add(text)
        error(500, "again")(exchange)
    else:
        plain(answer(f"answer {number}"), after=0.002 * (number % 4))(exchange)


@pytest.mark.parametrize("how", ["batch", "generate", "as_completed", "run_batch"])
def test_answers_stand_at_their_items_after_retries(server: Server, tmp_path: Path, how: str) -> None:
    seen: set[str] = set()
    model = chat(server.route(lambda e: _now_and_then(e, seen))).with_retry(attempts=3, base=0)
    asked = [f"item {n}" for n in range(30)]
    found: list[Any]
    if how == "batch":
        found = [a.text for a in model.batch(asked, max_concurrency=8)]
    elif how == "generate":
        found = [g[0].text for g in model.generate([[a] for a in asked]).generations]
    elif how == "as_completed":
        found = [a.text for _, a in sorted(model.batch_as_completed(asked), key=lambda pair: pair[0])]
    else:
        run_batch(model, asked, out=tmp_path / "out.jsonl", ordered=True)
        found = [json.loads(line)["text"] for line in (tmp_path / "out.jsonl").read_text().splitlines()]
    assert found == [f"answer {n}" for n in range(30)]
    assert len(seen) == 10


# ---- keys


@every_way
def test_no_key_in_any_error(server: Server, way: Way) -> None:
    """The provider itself shows the key in its error, as some do."""
    route = server.route(error(429, f"Incorrect API key provided: {KEY}"))
    found = raised(way, chat(route), RateLimitError)
    seen: BaseException | None = found
    while seen is not None:
        assert KEY not in f"{seen} {seen!r} {seen.args} {vars(seen)}"
        seen = seen.__cause__ or seen.__context__


# ---- what stands in data is data


def test_data_names_no_class_and_reads_no_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """The trick of CVE-2025-68664: what a model or a user wrote looks like a serialised object of the library."""
    monkeypatch.setenv("A_SECRET_OF_THE_MACHINE", "canary-of-the-environment")
    tricks: list[dict[str, Any]] = [
        {"lc": 1, "type": "secret", "id": ["A_SECRET_OF_THE_MACHINE"]},
        {"lc": 1, "type": "constructor", "id": ["subprocess", "Popen"], "kwargs": {"args": ["true"]}},
        {"py/object": "subprocess.Popen"},
        {"__reduce__": ["os.system", ["true"]]},
    ]
    for trick in tricks:
        data = {
            "type": "ai",
            "data": {"content": "x", "additional_kwargs": {"k": trick}, "provider_data": {"openai": trick}},
        }
        [message] = messages_from_dict([data])
        assert message.additional_kwargs == {"k": trick}
        assert "canary" not in repr(message.to_dict())


#: What runs code, and the modules that may use it, each for no data from outside.
_RUNS_CODE = re.compile(
    r"^\s*(?:import|from) (pickle|marshal|shelve|dill|cloudpickle|runpy)\b|(?<![\w.])(eval|exec)\(", re.MULTILINE
)
_MAY = {
    "_errors.py": {"pickle"},  # asks whether a cause can be pickled
    "compat.py": {"exec"},  # runs the user's own script
    "testing/practice/_pages.py": {"exec"},  # runs the guide that the user names
    "testing/_conform_dialect.py": {"pickle"},  # pickles what it has just made
    "testing/_conform_provider.py": {"pickle"},
    "ray/_run.py": {"pickle"},  # errors of its own workers, which Ray pickles in any case
}


def test_no_module_reads_data_as_code() -> None:
    found: dict[str, set[str]] = {}
    for path in SOURCE.rglob("*.py"):
        names = {a or b for a, b in _RUNS_CODE.findall(path.read_text())}
        found[str(path.relative_to(SOURCE))] = names
    assert {k: v for k, v in found.items() if v - _MAY.get(k, set())} == {}


# ---- no network but the call


_ALONE = """
import importlib, sys
seen = []
def hook(event, args):
    if event in ("socket.connect", "socket.getaddrinfo", "socket.gethostbyname", "urllib.Request", "http.client.connect"):
        seen.append((event, str(args)))
sys.addaudithook(hook)
from chatmodels import ChatModel, ChatModelError
names = "batch caches callbacks chat_models history jobs prices prompts schema telemetry testing tokens _weights _http_sync"
for name in names.split():
    importlib.import_module(f"chatmodels.{name}")
ChatModel("openai:gpt-4o-mini", api_key="k").count_tokens("Hello")
print(seen)
for name in ("openai", "anthropic", "google", "mistral", "cohere", "ollama", "groq"):
    try:
        ChatModel(f"{name}:m", api_key="k", base_url="http://127.0.0.1:1", max_retries=1)("hi")
    except ChatModelError:
        pass
sdks = ("openai", "anthropic", "google.genai", "mistralai", "cohere", "ollama", "groq", "litellm", "langchain_core", "pydantic")
print([m for m in sdks if m in sys.modules])
"""


@cache
def _alone() -> list[str]:
    """What a fresh interpreter saw: the uses of the network before the first call, and the SDKs that calls have loaded."""
    return subprocess.run(
        [sys.executable, "-c", _ALONE], capture_output=True, text=True, check=True
    ).stdout.splitlines()


def test_no_module_uses_the_network_when_imported() -> None:
    """The modules, the making of a model, a count of tokens: nothing is fetched."""
    assert _alone()[0] == "[]"


def test_no_sdk_of_a_provider_is_loaded_by_a_call() -> None:
    assert _alone()[1] == "[]"


@pytest.mark.parametrize("provider", ["openai", "openai-responses", "anthropic", "google", "mistral", "cohere"])
def test_addresses_in_messages_are_passed_on_and_never_fetched(server: Server, provider: str) -> None:
    inside = server.route(plain())
    api = server.route(error(400, "that is all"))
    model = chatmodels.ChatModel(f"{provider}:m", api_key="k", base_url=api.url, max_retries=1)
    message = chatmodels.HumanMessage([chatmodels.Text("What is it?"), chatmodels.Image(url=f"{inside.url}/a.png")])
    model.count_tokens([message])
    with pytest.raises(chatmodels.ChatModelError):
        model([message])
    assert inside.requests == []


# ---- the page


@cache
def _tests_of(path: Path) -> set[str]:
    """The names of a file's tests, from its syntax: `test_x`, `TestA::test_x`."""
    names: set[str] = set()
    for node in ast.parse(path.read_text()).body:
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            names.add(node.name)
        elif isinstance(node, ast.ClassDef):
            names |= {
                f"{node.name}::{n.name}" for n in node.body if isinstance(n, (ast.FunctionDef, ast.AsyncFunctionDef))
            }
    return {n for n in names if n.rpartition("::")[2].startswith("test_")}


def _named() -> list[str]:
    return re.findall(r"`(tests/[\w/]+\.py::[\w:]+)`", PAGE.read_text())


def test_every_test_that_the_page_names_exists() -> None:
    missing = [
        n
        for n in _named()
        if (p := ROOT / n.partition("::")[0]) and (not p.exists() or n.partition("::")[2] not in _tests_of(p))
    ]
    assert missing == []


def test_every_guarantee_names_its_tests() -> None:
    rows = [line for line in PAGE.read_text().splitlines() if re.match(r"\| \d+ \|", line)]
    assert [int(line.split("|")[1]) for line in rows] == list(range(1, len(rows) + 1))
    assert len(rows) >= 38
    assert [line.split("|")[1] for line in rows if "`tests/" not in line] == []
