"""Every public way to get an answer out of a model, as functions of one shape: the model in, the text out, or its error raised.

A defect that one way has and the others have not is what users trip over; a guarantee is tested over all of them.
"""

from __future__ import annotations

import asyncio
import json
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from chatmodels import BatchError, ChatModel, ChatPromptTemplate
from chatmodels.batch import iter_batch, run_batch
from chatmodels.caches import InMemoryCache
from chatmodels.chains import LLMChain

Way = Callable[[ChatModel], str]

#: What `with_output` asks for, and a text that fits: the answer of a server for all ways.
SCHEMA = {"title": "Word", "type": "object", "properties": {"word": {"type": "string"}}, "required": ["word"]}
TEXT = '{"word": "ok"}'


def look_up(word: str) -> str:
    """Look a word up."""
    return word


def _one(call: Callable[[], Any]) -> Any:
    """What a batch of one gives: its answer, or its only error."""
    try:
        return call()
    except BatchError as error:
        [only] = error.results
        raise only from error


def _read(stream: Any) -> str:
    return "".join(chunk.text for chunk in stream)


async def _aread(stream: Any) -> str:
    return "".join([chunk.text async for chunk in stream])


def _completed(model: ChatModel) -> str:
    [(_, found)] = model.batch_as_completed(["hi"])
    if isinstance(found, BaseException):
        raise found
    return found.text


def _durable(model: ChatModel) -> str:
    """The line that the batch wrote; an error has lost its class on the way into the file, not its name."""
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder, "out.jsonl")
        summary = run_batch(model, ["hi"], out=out, patience=0)
        text = out.read_text()
        line = json.loads(text)
    if "error" in line:
        assert (summary.done, summary.failed) == (0, 1)
        raise Told(line["error"]["type"], text)
    return str(line["text"])


def _typed(model: ChatModel) -> str:
    stream = model.with_output(SCHEMA).stream("hi")
    for _ in stream:
        pass
    return json.dumps(stream.value)


class Told(Exception):
    """An error that a batch tells of: the name of its class, and what is said of it."""


class _Here:
    """A step behind a model."""

    def __call__(self, message: Any) -> str:
        return str(message.text)


async def _acompleted(model: ChatModel) -> str:
    [(_, found)] = [pair async for pair in model.abatch_as_completed(["hi"])]
    if isinstance(found, BaseException):
        raise found
    return found.text


def _records(model: ChatModel) -> str:
    [record] = list(iter_batch(model, ["hi"], patience=0))
    if record.error is not None:
        raise Told(record.error.type, record.error.message)
    return record.text or ""


WAYS: dict[str, Way] = {
    "call": lambda m: m("hi").text,
    "invoke": lambda m: m.invoke("hi").text,
    "ainvoke": lambda m: asyncio.run(m.ainvoke("hi")).text,
    "stream": lambda m: _read(m.stream("hi")),
    "astream": lambda m: asyncio.run(_aread(m.astream("hi"))),
    "batch": lambda m: _one(lambda: m.batch(["hi"]))[0].text,
    "abatch": lambda m: _one(lambda: asyncio.run(m.abatch(["hi"])))[0].text,
    "batch_as_completed": _completed,
    "abatch_as_completed": lambda m: asyncio.run(_acompleted(m)),
    "generate": lambda m: _one(lambda: m.generate([["hi"]])).generations[0][0].text,
    "agenerate": lambda m: _one(lambda: asyncio.run(m.agenerate([["hi"]]))).generations[0][0].text,
    "predict": lambda m: m.predict("hi"),
    "run_tools": lambda m: m.with_tools(look_up).run_tools("hi").message.text,
    "arun_tools": lambda m: asyncio.run(m.with_tools(look_up).arun_tools("hi")).message.text,
    "stream_tools": lambda m: _read(m.with_tools(look_up).stream_tools("hi")),
    "astream_tools": lambda m: asyncio.run(_aread(m.with_tools(look_up).astream_tools("hi"))),
    "with_output": lambda m: json.dumps(m.with_output(SCHEMA)("hi")),
    "with_output.stream": _typed,
    "prompt | model": lambda m: str((ChatPromptTemplate.from_messages([("human", "{x}")]) | m | _Here()).invoke("hi")),
    "LLMChain": lambda m: LLMChain(llm=m, prompt=ChatPromptTemplate.from_messages([("human", "{x}")])).run("hi"),
    "with_cache": lambda m: m.with_cache(InMemoryCache())("hi").text,
    "with_limits": lambda m: m.with_limits(requests_per_minute=1000)("hi").text,
    "with_hedge": lambda m: m.with_hedge(after=30)("hi").text,
    "with_budget": lambda m: m.with_budget(max_calls=9)("hi").text,
    "run_batch": _durable,
    "iter_batch": _records,
}
