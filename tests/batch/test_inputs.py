"""Files as people have them: marks, blank lines, other separators, other encodings, other formats, other places."""

from __future__ import annotations

import gzip
import json
import os
import subprocess
import sys
import threading
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

from chatmodels import ChatPromptTemplate, UsageError
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
    "data",
    [
        b'[{"prompt": "a"}, {"prompt": "\xc3\xbc"}]',
        b'[\n  {"prompt": "a"},\n  {"prompt":\n "\xc3\xbc"}\n]',
        b'\xef\xbb\xbf[{"prompt": "a"},\r\n{"prompt": "\xc3\xbc"}]\r\n',
    ],
)
def test_a_json_array_has_its_elements(server: Server, tmp_path: Path, data: bytes) -> None:
    assert said(read(tmp_path / "in.json", data, server)) == ["a", "\xfc"]
    assert count_of(tmp_path / "in.json") is None


def test_an_array_is_read_piece_by_piece(tmp_path: Path) -> None:
    found = [{"id": i, "prompt": "y" * (i * 37 % 5000)} for i in range(300)] + [{"prompt": "z" * 300_000}]
    (tmp_path / "in.json").write_text(json.dumps(found, indent=2))
    assert list(items_in(tmp_path / "in.json")) == found


def test_an_array_that_is_cut_off_says_where(tmp_path: Path) -> None:
    path = tmp_path / "in.json"
    path.write_text('[\n{"prompt": "a"},\n{"prompt": "b"},\n{"pro')
    items = items_in(path)
    assert [next(items), next(items)] == [{"prompt": "a"}, {"prompt": "b"}]
    with pytest.raises(UsageError, match="at its item 3"):
        next(items)
    path.write_text('{\n  "prompt": "a"\n}\n')
    with pytest.raises(UsageError, match="jq -c"):
        list(items_in(path))


def test_lines_of_message_lists_are_no_array(tmp_path: Path) -> None:
    path = tmp_path / "in.jsonl"
    path.write_text('[{"role": "user", "content": "a", "id": "m1"}]\n["b"]\n')
    assert list(items_in(path)) == [[{"role": "user", "content": "a", "id": "m1"}], ["b"]]
    assert count_of(path) == 2


@pytest.mark.parametrize("module", ["gzip", "bz2", "lzma"])
def test_compressed_files(server: Server, tmp_path: Path, module: str) -> None:
    compress = import_module(module).compress
    suffix = {"gzip": ".gz", "bz2": ".bz2", "lzma": ".xz"}[module]
    data = compress(b'"a"\n"b"\n')
    assert said(read(tmp_path / f"in.jsonl{suffix}", data, server)) == ["a", "b"]
    assert count_of(tmp_path / f"in.jsonl{suffix}") == 2
    (tmp_path / "in.jsonl").write_bytes(data)  # the name does not say it
    assert list(items_in(tmp_path / "in.jsonl")) == ["a", "b"]
    assert said(read(tmp_path / f"in.csv{suffix}", compress(b'prompt,n\n"a\nb",1\n'), server)) == ["a\nb"]


def test_a_compressed_file_that_is_cut_off_keeps_what_was_answered(server: Server, tmp_path: Path) -> None:
    whole = gzip.compress(b"".join(b'"item %d"\n' % i for i in range(3)))
    path, out = tmp_path / "in.jsonl.gz", tmp_path / "out.jsonl"
    path.write_bytes(whole[:-8])
    model = chat(server.route(echo))
    with pytest.raises(UsageError, match="ends in its middle"):
        run_batch(model, path, out=out)
    path.write_bytes(whole)
    assert run_batch(model, path, out=out).done == 3


def test_utf_16_says_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "in.jsonl").write_bytes('"a"\n'.encode("utf-16"))
    with pytest.raises(UsageError, match="iconv"):
        list(items_in(tmp_path / "in.jsonl"))


def test_ids_of_any_kind_come_back_or_are_errors(server: Server, tmp_path: Path) -> None:
    ids = ["", "\xfc\u2028", 0, 2**70, 1.5, float("nan"), None, True, ["a"]]
    run_batch(chat(server.route(echo)), [{"id": i, "prompt": "a"} for i in ids], out=tmp_path / "o.jsonl", ordered=True)
    with (tmp_path / "o.jsonl").open(encoding="utf-8", newline="\n") as file:
        found = [json.loads(line) for line in file]
    assert [one.get("id") for one in found] == [*ids[:5], None, None, None, None]
    assert [one["error"]["message"] for one in found if "error" in one] == [
        "id is a text or a number; got True", "id is a text or a number; got ['a']",
    ]  # fmt: skip


LINE = {"custom_id": "r1", "method": "POST", "url": "/v1/chat/completions"}


def test_lines_for_openais_batch_api_are_items(server: Server, tmp_path: Path) -> None:
    route = server.route(echo)
    body = {
        "model": "gpt-4o-mini",
        "messages": [{"role": "user", "content": "a"}],
        "max_tokens": 5,
        "prediction": {"n": 1},
    }
    items = [
        {**LINE, "body": body},
        {**LINE, "body": {**body, "model": "gpt-4o"}},
        {**LINE, "url": "/v1/embeddings", "body": body},
    ]
    found = list(iter_batch(chat(route), items, ordered=True))
    assert (found[0].id, found[0].text) == ("r1", "a")
    sent = route.requests[0].json
    assert (sent["model"], sent["prediction"]) == ("gpt-4o-mini", {"n": 1})
    assert 5 in (sent.get("max_tokens"), sent.get("max_completion_tokens"))
    assert found[1].error is not None
    assert "asks for the model 'gpt-4o'" in found[1].error.message
    assert found[2].error is not None
    assert "/v1/embeddings" in found[2].error.message
    assert len(route.requests) == 1


def test_a_prompt_is_filled_with_the_fields_of_a_table(server: Server, tmp_path: Path) -> None:
    data = b'id,text,label\n7,"I {love}\nit",good\n8,no,bad\n'
    found = read(tmp_path / "in.csv", data, server, prompt="Classify ({label}): {text}")
    assert said(found) == ["Classify (good): I {love}\nit", "Classify (bad): no"]
    assert (found[0].id, found[0].metadata) == ("7", {"text": "I {love}\nit", "label": "good"})
    with pytest.raises(UsageError, match="the columns are id, text, label"):
        read(tmp_path / "in.csv", data, server, prompt="Classify: {words}")


def test_a_prompt_is_filled_with_objects_and_texts(server: Server) -> None:
    model = chat(server.route(echo))
    rows = [{"text": "a", "settings": {"temperature": 0}, "n": 1}, "b", {"n": 2}, 5]
    found = list(iter_batch(model, rows, prompt="Say {text}", ordered=True))
    assert said(found)[:2] == ["Say a", "Say b"]
    assert [r.metadata for r in found[:2]] == [{"text": "a", "n": 1}, None]
    assert "text" in said(found)[2]
    assert "is filled with fields" in said(found)[3]
    template = ChatPromptTemplate.from_messages([("system", "Be kind."), ("human", "{text}")])
    assert said(list(iter_batch(model, ["c"], prompt=template))) == ["c"]
    for wrong in ("no variable", 5):
        with pytest.raises(UsageError, match="prompt"):
            run_batch(model, ["c"], prompt=wrong)


@pytest.mark.parametrize("lazily", [False, True])
def test_what_had_failed_may_be_corrected(server: Server, tmp_path: Path, lazily: bool) -> None:
    path, out = tmp_path / "in.jsonl", tmp_path / "out.jsonl"
    lines = [f'"item {i}"' for i in range(6)]
    bad = {1: '{"prompt": "on', 4: '{"text": "x"}'}
    path.write_text("\n".join(bad.get(i, line) for i, line in enumerate(lines)))
    route = server.route(echo)
    first = run_batch(chat(route), path, out=out)
    assert (first.done, first.failed, first.called) == (4, 2, 4)
    path.write_text("\n".join({4: bad[4]}.get(i, line) for i, line in enumerate(lines)))
    if lazily:  # an iterator cannot be looked through beforehand
        with pytest.raises(UsageError, match="--retry-failed"):
            run_batch(chat(route), iter(items_in(path)), out=out)
    else:
        second = run_batch(chat(route), path, out=out, ordered=True)
        assert (second.done, second.failed, second.called, second.reused) == (5, 1, 1, 5)
        found = [json.loads(line) for line in out.read_text().splitlines()]
        assert [one["index"] for one in found] == list(range(6))
        assert [one.get("text") for one in found] == [*lines_of(range(4)), None, "item 5"]
        assert len(route.requests) == 5


def lines_of(numbers: range) -> list[str]:
    return [f"item {n}" for n in numbers]


def test_an_answered_item_that_asks_something_else_is_refused(server: Server, tmp_path: Path) -> None:
    model = chat(server.route(echo))
    run_batch(model, ["a", "b"], out=tmp_path / "out.jsonl")
    with pytest.raises(UsageError, match=r"item 1 .* asks something else there"):
        run_batch(model, ["a", "c"], out=tmp_path / "out.jsonl")


def test_asking_failed_items_again_spares_another_batchs_output(server: Server, tmp_path: Path) -> None:
    model = chat(server.route(echo))
    run_batch(model, ["a"], out=tmp_path / "one.jsonl", journal=tmp_path / "one")
    other = tmp_path / "other.jsonl"
    other.write_text('{"index":5,"text":"precious"}\n')
    with pytest.raises(UsageError, match="is not the output of this journal"):
        run_batch(model, ["a"], out=other, journal=tmp_path / "one", retry_failed=True)
    assert "precious" in other.read_text()


def test_an_output_whose_journal_is_gone_says_what_to_do(server: Server, tmp_path: Path) -> None:
    route, out = server.route(echo), tmp_path / "out.jsonl"
    run_batch(chat(route), ["a"], out=out)
    before = out.read_bytes()
    (tmp_path / "out.jsonl.journal").unlink()
    for retry_failed in (False, True):
        with pytest.raises(UsageError, match="put it back"):
            run_batch(chat(route), ["a"], out=out, retry_failed=retry_failed)
    assert out.read_bytes() == before
    assert len(route.requests) == 1


def test_what_cannot_be_written_is_said_before_anything_is_asked(server: Server, tmp_path: Path) -> None:
    route = server.route(echo)
    (tmp_path / "folder").mkdir()
    for options in ({"report": tmp_path / "folder"}, {"metrics": tmp_path / "folder"}):
        with pytest.raises(UsageError, match="cannot be written"):
            run_batch(chat(route), ["a"], out=tmp_path / "out.jsonl", **options)
    assert not route.requests


@pytest.mark.parametrize("name", ["out.jsonl.gz", "out.parquet", "out.csv"])
def test_an_output_of_another_format_says_what_to_do(server: Server, tmp_path: Path, name: str) -> None:
    with pytest.raises(UsageError, match=r"name it \.jsonl"):
        run_batch(chat(server.route(echo)), ["a"], out=tmp_path / name)
    assert not list(tmp_path.glob("out*"))


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
