"""What is not found: the model of the batch, or something that one item names."""

from __future__ import annotations

from typing import Any

import pytest

from chatmodels.batch import iter_batch, run_batch

from ..conftest import chat
from ..servers import Exchange, Server, answer, plain

FILE = {"error": {"message": "No such File object: file-abc", "type": "invalid_request_error", "code": None}}
MODEL = {
    "error": {"message": "The model `gone` does not exist", "type": "invalid_request_error", "code": "model_not_found"}
}


def script(exchange: Exchange) -> None:
    body = exchange.request.json
    if body["model"] == "gone":
        plain(MODEL, status=404)(exchange)
    elif body["messages"][0]["content"] == "lost":
        plain(FILE, status=404)(exchange)
    else:
        plain(answer("ok"))(exchange)


@pytest.mark.parametrize("lost", [0, 5])
def test_what_one_item_names_is_that_items_error(server: Server, lost: int) -> None:
    items: list[Any] = [f"item {i}" for i in range(8)]
    items[lost] = "lost"
    found = {r.index: r for r in iter_batch(chat(server.route(script)), items, max_concurrency=1)}
    assert {i for i, r in found.items() if r.error is not None} == {lost}
    assert found[lost].error is not None
    assert found[lost].error.type == "NotFoundError"


@pytest.mark.parametrize("wrong", ["model", "address"])
def test_a_model_or_an_address_that_is_not_there_stops_the_batch(server: Server, wrong: str) -> None:
    route = server.route(script if wrong == "model" else plain(b"<h1>There is nothing here</h1>", status=404))
    model = chat(route, model="gone") if wrong == "model" else chat(route)
    summary = run_batch(model, [f"item {i}" for i in range(300)], max_concurrency=4)
    assert (summary.stopped, summary.failed) == ("fatal", 0)
    assert len(route.requests) <= 8


def test_a_model_that_one_item_names(server: Server) -> None:
    items = [{"prompt": "x", "settings": {"extra_body": {"model": "gone"}}}, "item 1", "item 2"]
    found = {r.index: r for r in iter_batch(chat(server.route(script)), items, max_concurrency=1)}
    assert {i for i, r in found.items() if r.error is not None} == {0}
