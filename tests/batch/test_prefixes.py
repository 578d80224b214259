"""Items with the same long beginning go near each other, the first of them alone, so that a provider's prompt cache hits."""

from __future__ import annotations

import itertools
import math
import random
import threading
import time
from collections import OrderedDict
from pathlib import Path
from typing import Any

import pytest

from chatmodels import HumanMessage, Image, SystemMessage, Text, UsageError
from chatmodels._call import Call
from chatmodels._parts import Part
from chatmodels.batch import iter_batch, run_batch
from chatmodels.batch._ledger import Entry
from chatmodels.batch._prefix import LONG, beginnings
from chatmodels.batch._ready import ALONE, PATIENCE, Ready

from ..conftest import chat
from ..servers import Exchange, Server, answer, plain

pytestmark = pytest.mark.clock


class PromptCache:
    """A provider that caches what messages begin with, in pieces of 128 tokens from 1,024 on, once it has begun to answer; it has
    room for `pieces`, and forgets what was not used for longest."""

    def __init__(self, pieces: int = 10_000) -> None:
        self._pieces = pieces
        self._known: OrderedDict[int, None] = OrderedDict()
        self._lock = threading.Lock()

    def __call__(self, exchange: Exchange) -> None:
        text = "".join(m["content"] for m in exchange.request.json["messages"])
        ends = range(4096, len(text) + 1, 512)
        with self._lock:
            cached = max((end for end in ends if hash(text[:end]) in self._known), default=0) // 4
        time.sleep(0.005)
        with self._lock:
            for end in ends:
                self._known[hash(text[:end])] = None
                self._known.move_to_end(hash(text[:end]))
            while len(self._known) > self._pieces:
                self._known.popitem(last=False)
        given = len(text) // 4
        usage = {"prompt_tokens": given, "completion_tokens": 1, "total_tokens": given + 1,
                 "prompt_tokens_details": {"cached_tokens": cached}}  # fmt: skip
        plain(answer("ok", usage=usage))(exchange)


def about(documents: int, questions: int, seed: int | None = None) -> list[Any]:
    luck = random.Random(7)
    texts = ["".join(luck.choices("abcdefgh ", k=6000)) for _ in range(documents)]
    items = [[("system", text), ("user", f"question {i}")] for text in texts for i in range(questions)]
    if seed is not None:
        random.Random(seed).shuffle(items)
    return items


def share(server: Server, items: list[Any], pieces: int, **options: Any) -> float:
    """Of the tokens that could come from the cache, those that did."""
    records = list(iter_batch(chat(server.route(PromptCache(pieces))), items, max_concurrency=4, **options))
    usages = [r.usage for r in records if r.usage is not None]
    assert len(usages) == len(items)
    return sum(u.cache_read_tokens or 0 for u in usages) / sum(u.input_tokens or 0 for u in usages)


@pytest.mark.parametrize(("seed", "pieces", "more"), [(None, 10_000, 0.05), (3, 16, 0.15)])
def test_caches_hit_more(server: Server, seed: int | None, pieces: int, more: float) -> None:
    """Document by document; and shuffled, where the cache has room for four of the eight documents."""
    items = about(8, 16, seed)
    grouped = share(server, items, pieces)
    assert grouped > share(server, items, pieces, group_prefixes=False) + more
    assert grouped > (0.85 if seed is None else 0.5)


def test_the_first_goes_alone_and_the_others_follow(server: Server) -> None:
    numbers, beside, all_are_here = itertools.count(), list[int](), threading.Event()

    def script(exchange: Exchange) -> None:
        number = next(numbers)
        if number == 0:
            time.sleep(0.1)
            beside.append(len(route.requests) - 1)
        elif number == 8:
            all_are_here.set()
        else:
            all_are_here.wait(20)
        plain()(exchange)

    route = server.route(script)
    began = time.monotonic()
    run_batch(chat(route), about(1, 9), max_concurrency=8)
    assert beside == [0]
    assert time.monotonic() - began < 15  # the eight others at once: one after the other each would wait for the last


def test_the_order_of_the_output_stays(server: Server, tmp_path: Path) -> None:
    found = list(iter_batch(chat(server.route(plain())), about(4, 10, seed=1), ordered=True, max_concurrency=4))
    assert [r.index for r in found] == list(range(40))


def entry(at: int, *texts: str) -> Entry:
    made = Entry(at, None, None, b"")
    made.call = Call(model="m", messages=tuple(HumanMessage(t) for t in texts))
    return made


A, B = "a" * LONG, "b" * LONG


def drawn(ready: Ready, now: float, flying: int = 1, most: int = 50) -> list[int]:
    found: list[int] = []
    while (got := ready.take(now, flying, most)[0]) is not None:
        found.append(got.position)
    return found


def test_scouts_go_ahead_and_a_failed_one_is_replaced() -> None:
    ready = Ready()
    entries = [
        entry(0, A, "0"),
        entry(1, B, "1"),
        entry(2, A, "2"),
        entry(3, B, "3"),
        entry(4, "short"),
        entry(5, A, "5"),
    ]
    for one in entries:
        ready.append(one)
    assert drawn(ready, 0.0) == [0, 1, 4]
    assert len(ready) == 3
    ready.landed(entries[0], 0.1, ok=False)
    ready.append(entries[0])
    assert drawn(ready, 0.1) == [2]  # the next one of the same beginning, alone again
    ready.landed(entries[2], 0.2, ok=True)
    assert sorted(drawn(ready, 0.2)) == [0, 5]
    got, wait = ready.take(0.2, 1, 50)
    assert got is None
    assert wait == pytest.approx(ALONE - 0.2)
    assert drawn(ready, ALONE) == [3]  # its scout takes long: it waits no more
    assert len(ready) == 0


def test_nobody_is_overtaken_for_ever() -> None:
    ready = Ready()
    first = entry(0, A, "first")
    ready.append(first)
    assert drawn(ready, 0.0) == [0]
    ready.landed(first, 0.0, ok=True)
    ready.append(entry(1, A, "x"))
    ready.append(entry(-1, "short"))
    for at in range(2, 2 * PATIENCE):
        ready.append(entry(at, A, str(at)))
        got, _ = ready.take(0.0, 1, 50)
        assert got is not None
        ready.landed(got, 0.0, ok=True)
        if got.position == -1:
            break
    else:
        pytest.fail("it was overtaken for ever")


def test_not_grouped_is_first_come_first_served_and_all_can_be_dropped() -> None:
    ready = Ready(grouped=False)
    for at in range(4):
        ready.append(entry(at, A if at % 2 else B, str(at)))
    assert drawn(ready, 0.0) == [0, 1, 2, 3]
    ready = Ready()
    for at in range(6):
        ready.append(entry(at, A, str(at)))
    drawn(ready, 0.0)
    assert sorted(e.position for e in ready) == [1, 2, 3, 4, 5]
    assert ready.popleft().position == 1
    ready.clear()
    assert (len(ready), drawn(ready, 0.0)) == (0, [])


def call(*messages: Any) -> tuple[int, ...]:
    return beginnings(Call(model="m", messages=messages))


def test_beginnings() -> None:
    assert call(SystemMessage("short"), HumanMessage("question")) == ()
    one, other = call(SystemMessage(A + "x"), HumanMessage("1")), call(SystemMessage(A + "x"), HumanMessage("2"))
    assert one == other
    assert len(one) == 2  # after LONG characters, and where the message ends
    longer = call(SystemMessage(A + "x"), HumanMessage("1" * 2 * LONG))
    assert longer[:2] == one
    assert len(longer) == 3
    assert call(SystemMessage(A + "y"), HumanMessage("1"))[0] == one[0]
    assert call(SystemMessage(A + "y"), HumanMessage("1"))[1] != one[1]
    assert not set(call(HumanMessage(A + "x"), HumanMessage("1"))) & set(one)
    picture: list[Part] = [Image(data=b"1" * 10, media_type="image/png"), Text("what is it?")]
    again: list[Part] = [Image(data=b"1" * 10, media_type="image/png"), Text("and what not?")]
    different: list[Part] = [Image(data=b"2" * 10, media_type="image/png"), Text("what is it?")]
    assert call(HumanMessage(picture)) == call(HumanMessage(again)) != call(HumanMessage(different))


def test_the_option_is_known(server: Server) -> None:
    with pytest.raises(UsageError, match="group_prefixes"):
        run_batch(chat(server.route()), ["a"], group_prefix=True)


@pytest.mark.parametrize("seed", range(5))
def test_each_comes_out_once_whatever_happens(seed: int) -> None:
    """Entries come, go, fail and come again at random; time passes; in the end all have been answered, and nothing is kept."""
    luck, ready = random.Random(seed), Ready()
    waiting = [entry(at, *luck.choice([(A, B), (A,), (B,), (A, A), ()]), str(at)) for at in range(300)]
    flying: list[Entry] = []
    done: list[int] = []
    now = 0.0
    while len(done) < 300:
        now += luck.random() * 0.2
        for _ in range(luck.randrange(4)):
            if waiting:
                ready.append(waiting.pop())
        while len(flying) < 8:
            got, wait = ready.take(now, len(flying), 8)
            if got is None:
                assert wait > 0
                assert wait < math.inf or flying or not len(ready)
                now += wait if not flying and wait < math.inf else 0
                break
            flying.append(got)
        luck.shuffle(flying)
        for _ in range(luck.randrange(3)):
            if flying:
                ended = flying.pop()
                fine = luck.random() < 0.8
                ready.landed(ended, now, ok=fine)
                if fine:
                    done.append(ended.position)
                else:
                    ready.append(ended)
    assert sorted(done) == list(range(300))
    assert (len(ready), list(ready)) == (0, [])
    kept = [v for k, v in vars(ready).items() if k not in ("_known", "_newest", "_grouped") and v]
    assert kept == [] or kept == [ready._overtaken]
