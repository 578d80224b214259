"""What holds across shards: the same question is paid once in the whole cluster, and long beginnings are asked near each other."""

from __future__ import annotations

import json
import sqlite3
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("ray")
pytest.importorskip("pyarrow")

from chatmodels import ChatModel, UsageError
from chatmodels.batch import run_batch
from chatmodels.ray import RayEngine
from chatmodels.ray._keys import KeyTable
from chatmodels.ray._same import Same, keys_of
from chatmodels.ray._shards import cut

from ..batch.test_prefixes import PromptCache, about
from ..servers import Server, serving
from .conftest import Counting
from .test_batch import COUNTED, chat, lines, same

pytestmark = [pytest.mark.filterwarnings("ignore"), pytest.mark.timeout(300)]


def twins(count: int, different: int) -> list[dict[str, Any]]:
    """Each asked many times, in other forms, with ids of their own, in shards near and far."""
    texts = [f"q{n * n % different}" for n in range(count)]
    return [
        {"id": n, "prompt": text} if n % 2 else {"id": n, "messages": [{"role": "user", "content": text}]}
        for n, text in enumerate(texts)
    ]


def test_the_same_question_is_paid_once_in_the_whole_cluster(server: Counting, tmp_path: Path) -> None:
    server.reset(takes=0.02)
    items = twins(200, 40)
    engine = RayEngine(workers=2, shard_size=11, max_concurrency=4)
    there = run_batch(chat(server), items, out=tmp_path / "ray.jsonl", engine=engine)
    assert set(server.asked.values()) == {1}
    here = run_batch(chat(server), items, out=tmp_path / "here.jsonl", ordered=True)
    assert same(lines(tmp_path / "ray.jsonl"), lines(tmp_path / "here.jsonl"))
    for name in COUNTED:
        assert getattr(there, name) == getattr(here, name), name
    # the same call goes on: nothing is asked; what the input has grown by is known from the first shards
    server.reset()
    one = RayEngine(workers=1)
    more = run_batch(chat(server), [*items, "q0", "q1", "another"], out=tmp_path / "ray.jsonl", engine=one)
    assert server.asked == {"another": 1}
    assert (more.called, more.done, more.failed) == (1, 203, 0)
    assert [one["index"] for one in lines(tmp_path / "ray.jsonl")] == list(range(203))


def test_a_question_that_failed_is_asked_where_it_stands_next(server: Counting, tmp_path: Path) -> None:
    server.refuses = {"q0"}
    items = ["q0", "q1", "q2", "q3", "q0", "q1", "q0", "q0"]
    engine = RayEngine(workers=1, shard_size=2)
    failed = run_batch(chat(server), items, out=tmp_path / "out.jsonl", engine=engine, max_tokens=1000)
    assert (failed.failed, failed.done) == (4, 4)
    assert server.asked["q1"] == 1
    server.reset()
    # what has failed may be corrected in its place: nothing else is asked
    corrected = run_batch(chat(server), ["q9", *items[1:]], out=tmp_path / "out.jsonl", engine=engine, max_tokens=1000)
    assert (corrected.failed, corrected.called, dict(server.asked)) == (3, 1, {"q9": 1})
    assert [one.get("text") for one in lines(tmp_path / "out.jsonl")][:2] == ["answer to q9", "answer to q1"]
    with pytest.raises(UsageError, match="another input"):
        run_batch(chat(server), ["q9", "q8", *items[2:]], out=tmp_path / "out.jsonl", engine=engine)


def test_what_others_have_paid_for_needs_no_money(server: Counting, tmp_path: Path) -> None:
    server.reset(takes=0.2)
    engine = RayEngine(workers=2, shard_size=4, max_concurrency=1)
    out = tmp_path / "out.jsonl"
    summary = run_batch(chat(server), ["q0"] * 12 + ["q1"] * 4, out=out, engine=engine, max_tokens=10)
    assert (summary.stopped, summary.done, sum(server.asked.values())) == (None, 16, 2), summary


def table(folder: Path) -> KeyTable:
    return KeyTable(folder / "keys.sqlite")


def noted(folder: Path, items: list[str], ended: bool) -> list[int]:
    """How many items of each shard wait for an earlier one."""
    model = ChatModel("openai:m", base_url="http://127.0.0.1:9/v1", api_key="k")
    known = Same(table(folder), keys_of(model, None), 10, lambda number: False)
    found: list[int] = []
    for shard in cut(items, 10, {}):
        known.note(shard, ended=ended)
        known.tell(shard)
        found.append(len(shard.held))
    known.close()
    return found


def test_the_table_of_keys_can_be_made_again(tmp_path: Path) -> None:
    items = [f"q{n % 25}" for n in range(60)]
    waiting = [0, 0, 5, 10, 10, 10]
    assert noted(tmp_path, items, False) == waiting
    assert noted(tmp_path, items, False) == waiting  # read from the file
    assert noted(tmp_path, items, True) == [0] * 6
    (tmp_path / "keys.sqlite").write_bytes(b"nothing of the kind, and long enough to be a header" * 90)
    assert noted(tmp_path, items, False) == waiting
    with sqlite3.connect(tmp_path / "keys.sqlite") as db:
        assert db.execute("SELECT count(*) FROM sorted").fetchone() == (25,)
    db.close()


def test_items_that_cannot_be_asked_have_no_key(tmp_path: Path) -> None:
    model = ChatModel("openai:m", base_url="http://127.0.0.1:9/v1", api_key="k")
    key_of = keys_of(model, "be brief")
    assert key_of({"prompt": 5}) is key_of({"nothing": 1}) is key_of(None) is None
    assert key_of("a") == key_of({"prompt": "a", "id": 7}) != keys_of(model, None)("a")


def share(server: Server, items: list[Any], pieces: int, out: Path, **options: Any) -> float:
    """Of the tokens that could come from the cache, those that did."""
    model = ChatModel("openai:m", base_url=server.route(PromptCache(pieces)).url, api_key="k")
    engine = RayEngine(workers=2, shard_size=64, max_concurrency=4)
    assert run_batch(model, items, out=out, engine=engine, **options).ok
    usages = [json.loads(line)["message"]["usage"] for line in out.read_text().splitlines()]
    return float(sum(u.get("cache_read_tokens", 0) for u in usages) / sum(u["input_tokens"] for u in usages))


def test_prompt_caches_hit_more(tmp_path: Path) -> None:
    """Document by document, which goes over the edges of shards; and shuffled, with room for six of eight documents."""
    with serving() as server:
        assert share(server, about(8, 16), 10_000, tmp_path / "a.jsonl") > 0.8
        shuffled = about(8, 32, 3)
        grouped = share(server, shuffled, 24, tmp_path / "b.jsonl")
        plain = share(server, shuffled, 24, tmp_path / "c.jsonl", group_prefixes=False)
    assert grouped > plain + 0.05
    assert grouped > 0.4
