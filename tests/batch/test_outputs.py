"""Batches of typed answers: the value stands in the record, and what does not fit is an error that was paid for."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from chatmodels.batch import BatchRecord, iter_batch, run_batch
from chatmodels.cli import main
from chatmodels.prices import Price, Prices

from ..conftest import chat
from ..servers import Exchange, Server, answer, plain

TABLE = Prices({"gpt-4o-mini": Price(input=1.0, output=1.0)})
USAGE = {"prompt_tokens": 10, "completion_tokens": 10, "total_tokens": 20}


@dataclass
class City:
    name: str
    people: int


def said(exchange: Exchange) -> None:
    """What is asked comes back; the second time, for what is wrong in the first, as it should be."""
    messages = exchange.request.json["messages"]
    text = messages[0]["content"]
    if text == "mended" and len(messages) > 1:
        text = '{"name": "Oslo", "people": 1}'
    body = answer(text, usage=USAGE)
    body["choices"][0]["finish_reason"] = "length" if text == "cut" else "stop"
    plain(body)(exchange)


def by_id(path: Path) -> dict[Any, dict[str, Any]]:
    return {row["id"]: row for row in map(json.loads, path.read_text().splitlines())}


def test_values_stand_in_the_records(server: Server, tmp_path: Path) -> None:
    route, out = server.route(said), tmp_path / "out.jsonl"
    texts = ['{"name": "Rome", "people": 3}', "mended", "no JSON", '{"name": "Rome"}', "cut"]
    items = [{"id": text, "prompt": text} for text in texts]
    model = chat(route, temperature=0).with_output(City)
    summary = run_batch(model, items, out=out, prices=TABLE)
    rows = by_id(out)
    assert (summary.done, summary.failed) == (2, 3)
    assert rows[texts[0]]["output"] == {"name": "Rome", "people": 3}
    assert rows["mended"]["output"] == {"name": "Oslo", "people": 1}
    assert {rows[text]["error"]["type"] for text in texts[2:]} == {"OutputError"}
    assert "length limit" in rows["cut"]["error"]["message"]
    assert len(route.requests) == 1 + 2 + 2 + 2 + 1
    assert summary.cost is not None
    assert round(summary.cost * 1e6) == 20 * len(route.requests)
    assert "json_schema" in str(route.requests[0].json["response_format"])

    again = run_batch(model, items, out=out, prices=TABLE)
    assert (again.called, again.done, again.failed) == (0, 2, 3)


def test_a_value_that_is_no_object(server: Server) -> None:
    route = server.route(plain(answer('{"value": [1, 2]}')))
    found: list[BatchRecord] = list(iter_batch(chat(route).with_output(list[int], attempts=1), ["a"]))
    assert [record.output for record in found] == [[1, 2]]


def test_on_the_command_line(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-canary")
    route, schema = server.route(said), tmp_path / "city.json"
    (tmp_path / "in.csv").write_text('name,people\nRome,3\nOslo,"1\n"\n')
    words = [
        "batch",
        str(tmp_path / "in.csv"),
        "-o",
        str(tmp_path / "out.jsonl"),
        "-m",
        "openai:gpt-4o-mini",
        "--quiet",
    ]
    words += ["--base-url", route.url, "--prompt", '{{"name": "{name}", "people": {people}}}', "--schema", str(schema)]
    for content, words_of_it in ((None, "cannot be read"), ("{", "is not JSON"), ("[1]", "is no JSON schema")):
        if content is not None:
            schema.write_text(content)
        assert main(words) == 2
        assert words_of_it in capsys.readouterr().err
    types = {"name": {"type": "string"}, "people": {"type": "integer"}}
    schema.write_text(json.dumps({"title": "City", "type": "object", "properties": types, "required": [*types]}))
    assert main([*words, "--ordered"]) == 0
    with (tmp_path / "out.jsonl").open() as lines:
        rows = [json.loads(line) for line in lines]
    assert [row["output"] for row in rows] == [{"name": "Rome", "people": 3}, {"name": "Oslo", "people": 1}]
    assert rows[1]["metadata"] == {"name": "Oslo", "people": "1\n"}
    assert len(route.requests) == 2
