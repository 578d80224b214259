"""Our reading of recorded answers beside that of the official SDKs, over one loopback socket: the runs, the numbers, the classes of
difference. `tests/compare_sdks.py` is the script, `sdk_readers` the SDKs, `sdk_differences` the table.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import inspect
import json
import sys
import warnings
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

from . import wire_records
from .sdk_differences import Case, explain
from .sdk_page import page
from .sdk_reader import SDK, arguments, texts
from .sdk_readers import SDKS

PROVIDERS = {
    "openai-chat": ("openai", "/v1"),
    "huggingface-chat": ("huggingface", "/v1"),
    "openai-responses": ("openai-responses", "/v1"),
    "anthropic-messages": ("anthropic", ""),
    "google-generate": ("google", ""),
    "cohere-chat-v2": ("cohere", ""),
    "mistral-chat": ("mistral", "/v1"),
    "ollama-chat": ("ollama", ""),
    "bedrock-converse": ("bedrock", ""),
}


class Ours:
    """Our reading of a record, through the public API."""

    def __init__(self, server: Any) -> None:
        self.server = server

    def model(self, record: dict[str, Any]) -> Any:
        from chatmodels import ChatModel

        provider, suffix = PROVIDERS[record["api"]]
        base = self.server.base(record["id"]) + suffix
        return ChatModel(f"{provider}:m", base_url=base, api_key="test").with_retry(attempts=1)

    def read(self, record: dict[str, Any]) -> dict[str, Any]:
        model = self.model(record)
        if not record["stream"]:
            return neutral(model.invoke("hi"))
        with model.stream("hi") as chunks:
            for _ in chunks:
                pass
        return neutral(chunks.message)

    async def aread(self, record: dict[str, Any]) -> dict[str, Any]:
        model = self.model(record)
        if not record["stream"]:
            return neutral(await model.ainvoke("hi"))
        chunks = model.astream("hi")
        async for _ in chunks:
            pass
        return neutral(chunks.message)


def neutral(message: Any) -> dict[str, Any]:
    """Our message in the form that the readings of the SDKs have."""
    usage = message.usage
    names = ("input_tokens", "output_tokens", "cache_read_tokens", "cache_write_tokens", "reasoning_tokens")
    return {
        "text": message.text,
        "reasoning": message.reasoning,
        "calls": [(c.id, c.name, arguments(c.args)) for c in message.tool_calls],
        "finish": message.raw_finish_reason,
        "usage": usage and tuple(getattr(usage, n) or 0 for n in names),
        "model": message.model,
        "id": message.id,
        "refusal": message.refusal,
        "choices": 1 + len(message.alternatives),
        "logprobs": len(message.logprobs or ()),
        "citations": len(message.citations),
        "message": message,
    }


def theirs(sdk: SDK, record: dict[str, Any]) -> dict[str, Any]:
    answer = sdk.ask(record, False)
    if not record["stream"]:
        return sdk.plain(answer) | {"texts": set(texts(answer))}
    chunks = list(answer)
    return sdk.streamed(chunks) | {"texts": {found for c in chunks for found in texts(c)}}


async def atheirs(sdk: SDK, record: dict[str, Any]) -> dict[str, Any]:
    answer = sdk.ask(record, True)
    if inspect.isawaitable(answer):
        answer = await answer
    return sdk.streamed([c async for c in answer]) if record["stream"] else sdk.plain(answer)


def cases(sdk: SDK, record: dict[str, Any], data: bytes, ours: Any, other: Any) -> list[Case]:
    """The differences between the two readings: one case for each field, or one where either raised."""
    if isinstance(ours, Exception) or isinstance(other, Exception):
        case = Case(sdk.name, record, data, "raises", ours, other)
        return [] if case.same_error() else [case]
    fields = [f for f in other if f in ours]
    if ours["usage"] and other["usage"]:
        ours = ours | {"usage": ours["usage"][: len(other["usage"])]}  # the counts that the SDK has
    found = [Case(sdk.name, record, data, f, ours[f], other[f], other) for f in fields if ours[f] != other[f]]
    lost = missing(ours["message"], other.get("texts", set()))
    return found + [Case(sdk.name, record, data, "kept", None, one) for one in sorted(lost)]


def missing(message: Any, told: set[tuple[str, str]]) -> set[tuple[str, str]]:
    """The texts that stand nowhere in our message's JSON form, nor in the pieces that it was put together from."""
    stored = json.dumps(json.loads(message.to_json()) if told else {}, ensure_ascii=False)
    stored += message.text + message.reasoning
    return {(place, text) for place, text in told if not any(form in stored for form in spellings(text))}


def spellings(text: str) -> tuple[str, ...]:
    """A text as it may stand in JSON, in JSON within JSON, or as base64 of either alphabet."""
    once = json.dumps(text, ensure_ascii=False)[1:-1]
    return text, once, json.dumps(once, ensure_ascii=False)[1:-1], text.replace("-", "+").replace("_", "/")


async def compare(sdk: SDK, records: list[dict[str, Any]], server: Any, oracle: Any) -> list[list[Case]]:
    """The differences of each reading: of every record, sync and (where the SDK can) async."""
    found: list[list[Case]] = []
    us = Ours(server)
    for number, record in enumerate(records):
        data = oracle.body_bytes(record)
        found.append(cases(sdk, record, data, tried(us.read, record), tried(partial(theirs, sdk), record)))
        if sdk.has_async:
            other = await atried(atheirs(sdk, record))
            found.append(cases(sdk, record, data, await atried(us.aread(record)), other))
        if number % 50 == 0:
            gc.collect()
    await sdk.close()
    return found


def tried(read: Any, record: dict[str, Any]) -> Any:
    try:
        return read(record)
    except Exception as error:
        return error


async def atried(reading: Any) -> Any:
    try:
        return await reading
    except Exception as error:
        return error


def compared(apis: list[str], every: int = 1) -> Iterator[tuple[str, list[list[Case]] | ImportError]]:
    """For each SDK of these wire formats: its name, and the differences of every reading (or that it is not installed)."""
    oracle, replay = wire_records.load("oracle"), wire_records.load("replay")
    for kind in SDKS:
        records = [r for api in kind.apis if api in apis for r in wire_records.records(api)][::every]
        if not records:
            continue
        with replay.Replay(records) as server:
            try:
                sdk = kind(f"http://127.0.0.1:{server.port}")
            except ImportError as error:
                yield kind.name, error
                continue
            taken = [r for r in records if sdk.takes(r)]
            yield kind.name, asyncio.run(compare(sdk, taken, server, oracle))


@dataclass
class Summary:
    """What came of one SDK: how many readings, how many alike, and each class with its readings and its records."""

    name: str
    readings: int
    alike: int
    classes: dict[str, tuple[int, list[str]]]

    @property
    def unexplained(self) -> int:
        return sum(count for title, (count, _) in self.classes.items() if title.startswith("UNEXPLAINED"))


def title_of(case: Case) -> str:
    known = explain(case)
    return known.name if known else f"UNEXPLAINED {case.field}"


def summary(name: str, found: list[list[Case]]) -> Summary:
    counts: Counter[str] = Counter()
    ids: dict[str, dict[str, None]] = defaultdict(dict)
    for differences in found:
        counts.update({title_of(c) for c in differences})
        for case in differences:
            ids[title_of(case)][case.record["id"]] = None
    alike = sum(all(c.field == "kept" for c in differences) for differences in found)
    return Summary(name, len(found), alike, {title: (n, list(ids[title])) for title, n in counts.most_common()})


def show(one: Summary) -> None:
    print(f"{one.name:20} compared {one.readings:5}  alike {one.alike:5}", flush=True)
    for title, (count, ids) in one.classes.items():
        print(f"  {count:5}  {title}: {' '.join(ids[:3])}{' ...' if len(ids) > 3 else ''}")


def main() -> int:
    given = argparse.ArgumentParser()
    given.add_argument("--api", nargs="*", default=list(PROVIDERS))
    given.add_argument("--show", help="print every case of the classes whose name has this in it")
    given.add_argument("--markdown", action="store_true", help="print the page of the docs")
    asked = given.parse_args()
    if not wire_records.THERE:
        print("no recorded traffic beside this repository: nothing compared")
        return 0
    warnings.simplefilter("ignore")
    gc.disable()
    found: list[Summary] = []
    for name, result in compared(asked.api):
        if isinstance(result, ImportError):
            print(f"{name:20} not compared: {result}", file=sys.stderr)
            continue
        found.append(summary(name, result))
        if not asked.markdown:
            show(found[-1])
        for case in [c for cases in result for c in cases if asked.show and asked.show in title_of(c)]:
            print("     ", case)
    if asked.markdown:
        print(page([(s.name, s.readings, s.alike, s.classes) for s in found]), end="")
    return 1 if any(s.unexplained for s in found) else 0
