"""Event loops as programs really treat them: one for each job, never closed, thrown away."""

from __future__ import annotations

import asyncio
import gc
import threading
import time
import weakref
from typing import Any

import pytest

from chatmodels import ChatModel

from .conftest import chat
from .servers import Server, serving


def _one_call(model: ChatModel) -> weakref.ref[Any]:
    loop = asyncio.new_event_loop()
    assert loop.run_until_complete(model.ainvoke("hi")).text
    return weakref.ref(loop)


@pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning")
def test_a_loop_that_is_never_closed_goes_with_its_connections() -> None:
    """Each such loop kept its files, five of them, until the program had no more."""
    with serving() as server:
        model = chat(server.route())
        loops = [_one_call(model) for _ in range(8)]
        gc.collect()
        assert [loop() for loop in loops] == [None] * 8
        ends = time.monotonic() + 5
        while server.open and time.monotonic() < ends:
            time.sleep(0.005)
        assert server.open == 0


def test_a_loop_that_is_used_again_keeps_its_connection(server: Server) -> None:
    route = server.route()
    model = chat(route)
    with asyncio.Runner() as runner:
        for _ in range(3):
            runner.run(model.ainvoke("hi"))
            gc.collect()
    assert route.connections == 1


def test_loops_that_begin_at_the_same_time_in_many_threads(server: Server) -> None:
    model = chat(server.route())
    found: list[Any] = []

    def work() -> None:
        for _ in range(5):
            try:
                found.append(asyncio.run(model.ainvoke("hi")).text)
            except Exception as error:
                found.append(error)

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == ["J'aime programmer."] * 40
