"""Shared fixtures: the fault server, and the worlds (sync, asyncio, trio) that one table of scenarios runs through."""

from __future__ import annotations

import asyncio
import gc
import importlib
import os
from collections.abc import Callable, Coroutine, Iterator
from typing import Any

import pytest
import trio
from hypothesis import settings

from chatmodels import ChatModel, ChatOpenAI

from .servers import Route, Server, serving

KEY = "sk-canary-0123456789"

# The embedded model on one thread: its threads meet hundreds of times for each token, and other tests have the other processors.
os.environ.setdefault("OMP_NUM_THREADS", "1")

# The same examples in every run: a run says what the code does, not what luck did. `--hypothesis-profile=search` looks further.
settings.register_profile("same", derandomize=True, database=None, deadline=None, max_examples=50)
settings.register_profile("search", deadline=None)
settings.load_profile("same")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """A test of deadlines is tried up to three times: a machine that stops for a moment is no fault of what is tested.

    Such a test sets a deadline of a tenth of a second and looks at what comes of it; where the machine stands still for as
    long, the request has not even left. A wrong program fails three times.
    """
    for item in items:
        if item.get_closest_marker("clock"):
            item.add_marker(pytest.mark.flaky(reruns=2))


def pytest_collection_finish() -> None:
    """What the collected tests are made of stays: looking through it again and again is most of a collection's work."""
    gc.collect()
    gc.freeze()


@pytest.fixture(scope="session")
def server() -> Iterator[Server]:
    with serving() as made:
        yield made


@pytest.fixture(scope="session", autouse=True)
def warm() -> None:
    """What is imported at the first call takes its time before any deadline begins; tests measure what follows."""
    for name in ("chatmodels._http_async", "chatmodels._http_sync"):
        importlib.import_module(name)
    from chatmodels._portal import portal

    portal()


@pytest.fixture(autouse=True)
def no_settings_from_outside(monkeypatch: pytest.MonkeyPatch) -> None:
    """The machine's own proxies and keys are no part of a test."""
    for name in list(os.environ):
        if name.lower().endswith("_proxy") or name.startswith("OPENAI_"):
            monkeypatch.delenv(name)


class Read:
    """A stream that was read to its end or to an error."""

    def __init__(self) -> None:
        self.texts: list[str] = []
        self.error: BaseException | None = None
        self.stream: Any = None

    @property
    def text(self) -> str:
        return "".join(self.texts)


class World:
    """One way to drive a model: the same names for all three."""

    def __init__(self, name: str) -> None:
        self.name = name

    def run(self, function: Callable[..., Coroutine[Any, Any, Any]], *args: Any) -> Any:
        return asyncio.run(function(*args)) if self.name == "asyncio" else trio.run(function, *args)

    async def sleep(self, seconds: float) -> None:
        if self.name == "trio":
            await trio.sleep(seconds)
        else:
            await asyncio.sleep(seconds)

    def call(self, model: ChatModel, given: Any = "hi", **options: Any) -> Any:
        if self.name == "sync":
            return model.invoke(given, **options)

        async def go() -> Any:
            return await model.ainvoke(given, **options)

        return self.run(go)

    def read(self, model: ChatModel, given: Any = "hi", most: int | None = None) -> Read:
        """Read a stream: to its end, to an error, or `most` chunks with text."""
        found = Read()
        if self.name == "sync":
            found.stream = model.stream(given)
            try:
                for chunk in found.stream:
                    if chunk.text:
                        found.texts.append(chunk.text)
                    if most is not None and len(found.texts) >= most:
                        break
            except Exception as error:
                found.error = error
            found.stream.close()
            return found

        async def go() -> None:
            found.stream = model.astream(given)
            try:
                async for chunk in found.stream:
                    if chunk.text:
                        found.texts.append(chunk.text)
                    if most is not None and len(found.texts) >= most:
                        break
            except Exception as error:
                found.error = error
            await found.stream.aclose()

        self.run(go)
        return found

    def reads(self, model: ChatModel, count: int) -> list[Read]:
        """Read that many streams, one after the other, in one event loop."""
        if self.name == "sync":
            return [self.read(model) for _ in range(count)]
        found = []

        async def go() -> None:
            for _ in range(count):
                one = Read()
                one.stream = model.astream("hi")
                try:
                    async for chunk in one.stream:
                        if chunk.text:
                            one.texts.append(chunk.text)
                except Exception as error:
                    one.error = error
                found.append(one)

        self.run(go)
        return found

    def calls(self, model: ChatModel, count: int) -> list[Any]:
        """Make that many calls, one after the other, in one event loop: answers and errors."""
        found: list[Any] = []
        if self.name == "sync":
            for _ in range(count):
                try:
                    found.append(model.invoke("hi"))
                except Exception as error:
                    found.append(error)
            return found

        async def go() -> None:
            for _ in range(count):
                try:
                    found.append(await model.ainvoke("hi"))
                except Exception as error:
                    found.append(error)

        self.run(go)
        return found

    def batch(self, model: ChatModel, inputs: Any, **options: Any) -> Any:
        if self.name == "sync":
            return model.batch(inputs, **options)

        async def go() -> Any:
            return await model.abatch(inputs, **options)

        return self.run(go)


@pytest.fixture(params=["sync", "asyncio", "trio"])
def world(request: pytest.FixtureRequest) -> World:
    return World(request.param)


def chat(route: Route | str, **options: Any) -> ChatOpenAI:
    """A model at that address: one try, no deadline longer than the tests have patience."""
    url = route if isinstance(route, str) else route.url
    given: dict[str, Any] = {"max_retries": 1, "timeout": {"connect": 5, "first_token": 10, "idle": 10, "total": 20}}
    return ChatOpenAI(openai_api_key=KEY, base_url=url, **{**given, **options})
