"""Files as people have them: marks, blank lines, other separators, other encodings, other formats, other places."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

from chatmodels import UsageError
from chatmodels.batch import iter_batch, run_batch
from chatmodels.batch._items import count_of, items_in

from ..conftest import chat
from ..servers import Exchange, Server, answer, plain


def echo(exchange: Exchange) -> None:
    plain(answer(exchange.request.json["messages"][-1]["content"]))(exchange)


def read(path: Path, data: bytes, server: Server, **options: Any) -> list[Any]:
    path.write_bytes(data)
    return list(iter_batch(chat(server.route(echo)), path, ordered=True, **options))


def said(records: list[Any]) -> list[str]:
    return [r.text if r.error is None else r.error.message for r in records]


def test_lines_with_marks_and_blanks(server: Server, tmp_path: Path) -> None:
    path = tmp_path / "in.jsonl"
    data = b'\xef\xbb\xbf{"id":"a","prompt":"one"}\r\n\r\n{"id":"a","prompt":"two"}\r\n   \n'
    assert said(read(path, data, server)) == ["one", "two"]
    assert count_of(path) == 2


def test_what_is_not_utf_8_is_an_error_of_its_line(server: Server, tmp_path: Path) -> None:
    lines = said(read(tmp_path / "in.jsonl", b'{"prompt":"one"}\n{"prompt":"caf\xe9"}\n"two"\n', server))
    assert (lines[0], lines[2]) == ("one", "two")
    assert "line 2 is not UTF-8" in lines[1]
    rows = said(read(tmp_path / "in.csv", b"prompt\none\ncaf\xe9\n", server))
    assert rows == ["one", "line 3 is not UTF-8: save the table as UTF-8"]


@pytest.mark.parametrize("separator", [",", ";", "\t"])
def test_tables_with_any_separator_and_long_fields(server: Server, tmp_path: Path, separator: str) -> None:
    long = "x" * 200_000
    head = separator.join(["id", "prompt", "colour"])
    text = f'\ufeff{head}\r\n1{separator}"a, b; c\r\nd"{separator}red\r\n2{separator}{long}{separator}blue\r\n'
    found = read(tmp_path / "in.csv", text.encode(), server)
    assert said(found) == ["a, b; c\r\nd", long]
    assert found[0].metadata == {"colour": "red"}


@pytest.mark.parametrize(
    "data", [b'[{"prompt": "a"}, {"prompt": "b"}]', b'[\n  {"prompt": "a"},\n  {"prompt": "b"}\n]']
)
def test_one_json_value_is_no_json_lines(server: Server, tmp_path: Path, data: bytes) -> None:
    with pytest.raises(UsageError, match="jq -c"):
        read(tmp_path / "in.json", data, server)


def test_a_line_for_openais_batch_api_says_what_to_do(server: Server, tmp_path: Path) -> None:
    line = b'{"custom_id":"r1","method":"POST","url":"/v1/chat/completions","body":{"model":"m","messages":[]}}\n'
    assert "under messages" in said(read(tmp_path / "in.jsonl", line, server))[0]


def test_places_that_cannot_be(server: Server, tmp_path: Path) -> None:
    path = tmp_path / "in.jsonl"
    path.write_text('"a"\n')
    model = chat(server.route(echo))
    (tmp_path / "again.jsonl").symlink_to(path)
    for out in (path, str(path), tmp_path / "again.jsonl"):
        with pytest.raises(UsageError, match="is the input"):
            run_batch(model, path, out=out)
    with pytest.raises(UsageError, match="is a folder"):
        run_batch(model, str(tmp_path), out=tmp_path / "o.jsonl")
    with pytest.raises(UsageError, match="there is no file"):
        run_batch(model, tmp_path / "no.jsonl")
    assert path.read_text() == '"a"\n'
    assert sorted(p.name for p in tmp_path.iterdir()) == ["again.jsonl", "in.jsonl"]


def test_a_named_pipe_is_read(server: Server, tmp_path: Path) -> None:
    pipe = tmp_path / "in.jsonl"
    os.mkfifo(pipe)
    writer = threading.Thread(target=lambda: pipe.write_text('"one"\n"two"'))
    writer.start()
    assert run_batch(chat(server.route(echo)), pipe, progress=False).done == 2
    writer.join()
    assert list(items_in(["a"])) == ["a"]


def test_a_reader_that_goes_away_ends_the_command(server: Server) -> None:
    """`chatmodels batch - | head -1`."""
    command = [sys.executable, "-m", "chatmodels", "batch", "-", "-m", "openai:gpt-4o-mini", "--quiet",
               "--base-url", server.route(echo).url]  # fmt: skip
    environment = {**os.environ, "OPENAI_API_KEY": "k"}
    run = subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment
    )
    assert run.stdin is not None
    assert run.stdout is not None
    assert run.stderr is not None
    run.stdin.write(b'"item 1"\n')
    run.stdin.flush()
    run.stdin.write(b"".join(b'"item %d"\n' % i for i in range(2, 300)))
    assert b"item" in run.stdout.readline()
    run.stdout.close()
    run.stdin.close()
    assert run.wait(20) != 0
    assert b"Traceback" not in run.stderr.read()
    run.stderr.close()
