"""The official SDK's own reading of the same recorded bytes, over a loopback socket, beside ours. Where the two differ, the
reason is one of `REASONS`: each says who is right. A sample, where the recordings lie beside the repository.
"""

from __future__ import annotations

from typing import Any

import pytest

from chatmodels._errors import ChatModelError
from chatmodels._fold import fold
from chatmodels._messages import AIMessage
from chatmodels.dialects.openai_chat import OpenAIChat

from .wire_records import THERE, events, load, records, response

openai = pytest.importorskip("openai")
pytestmark = pytest.mark.skipif(not THERE, reason="the recorded traffic is not beside the repository")

REASONS = {
    "empty": "an empty string for the id, the finish reason or the refusal says nothing: ours is None",
    "reasoning tokens": "x.ai leaves the reasoning tokens out of completion_tokens, though it bills them: ours has them in",
    "object": "Cloudflare gives JSON answers as an object in place of text: the SDK's `content` is then no str; ours is its JSON",
    "legacy call": "the SDK has a call in the manner of 2023 under `function_call`; ours is one of the tool calls",
    "same index": "two calls under one index: summing up by index, as the SDK's users must, glues them; ours are two",
    "error inside": "an error inside a 200 is no error to the SDK: it gives an empty or half answer; ours raises",
    "status inside": "an error in the middle of a stream has no status in the SDK; ours has the one that the body names",
    "cut": "a stream that ends early is no error to the SDK; ours raises",
}
CLASSES = ("text", "calls", "finish", "usage", "model", "id", "refusal", "logprobs", "choices")


def theirs_plain(answer: Any) -> dict[str, Any]:
    choice = answer.choices[0] if answer.choices else None
    message = choice.message if choice else None
    calls = (message.tool_calls if message else None) or []
    usage, logprobs = answer.usage, choice.logprobs if choice else None
    return {
        "text": (message.content if message else None) or "",
        "calls": [_call(c) for c in calls],
        "finish": choice.finish_reason if choice else None,
        "usage": (usage.prompt_tokens, usage.completion_tokens) if usage else None,
        "model": answer.model,
        "id": answer.id,
        "refusal": message.refusal if message else None,
        "logprobs": len(logprobs.content or []) if logprobs else 0,
        "choices": len(answer.choices or []),
    }


def _call(call: Any) -> tuple[Any, ...]:
    if call.type == "custom":
        return call.id, call.custom.name, call.custom.input
    return call.id, call.function.name, call.function.arguments


def theirs_streamed(chunks: Any) -> dict[str, Any]:
    said: dict[str, Any] = dict.fromkeys(CLASSES)
    said.update(text="", logprobs=0)
    calls: dict[int, list[Any]] = {}
    refusal, choices = "", set[int]()
    for chunk in chunks:
        said["model"], said["id"] = chunk.model or said["model"], said["id"] or chunk.id
        if chunk.usage:
            said["usage"] = (chunk.usage.prompt_tokens, chunk.usage.completion_tokens)
        for choice in chunk.choices or []:
            choices.add(choice.index)
            if choice.index:
                continue
            said["finish"] = choice.finish_reason or said["finish"]
            said["logprobs"] += len((choice.logprobs and choice.logprobs.content) or [])
            delta = choice.delta
            said["text"] += (delta and delta.content) or ""
            refusal += (delta and delta.refusal) or ""
            for piece in (delta and delta.tool_calls) or []:
                call = calls.setdefault(piece.index, [None, None, ""])
                call[0] = call[0] or piece.id
                call[1] = call[1] or piece.function.name
                call[2] += piece.function.arguments or ""
    return {**said, "calls": [tuple(c) for c in calls.values()], "refusal": refusal or None, "choices": len(choices)}


def ours_read(message: AIMessage) -> dict[str, Any]:
    usage = message.usage
    return {
        "text": message.text,
        "calls": [(c.id, c.name, c.args_text) for c in message.tool_calls],
        "finish": message.raw_finish_reason,
        "usage": (usage.input_tokens, usage.output_tokens) if usage else None,
        "model": message.model,
        "id": message.id,
        "refusal": message.refusal,
        "logprobs": len(message.logprobs or []),
        "choices": 1 + len(message.alternatives),
    }


def reason(field: str, ours: Any, theirs: Any, body: bytes) -> str | None:
    """Which of `REASONS` explains the difference."""
    if ours is None and theirs == "":
        return "empty"
    if (
        field == "usage"
        and ours[0] == theirs[0]
        and f'"reasoning_tokens":{ours[1] - theirs[1]}' in body.decode().replace(" ", "")
    ):
        return "reasoning tokens"
    if field == "text" and isinstance(theirs, dict):
        return "object"
    if field == "calls" and not theirs and b'"function_call"' in body:
        return "legacy call"
    if field == "calls" and "".join(c[2] for c in ours) == "".join(c[2] for c in theirs) and len(ours) > len(theirs):
        return "same index"
    return None


def reason_of_raising(ours: Any, theirs: Any) -> str | None:
    if isinstance(ours, ChatModelError) and isinstance(theirs, Exception):
        same = getattr(ours, "status", None) == getattr(theirs, "status_code", None)
        return "" if same else "status inside" if not hasattr(theirs, "status_code") else None
    if isinstance(ours, ChatModelError):
        return "error inside" if getattr(ours, "body", None) is not None else "cut"
    return None


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("start", [0, 3])
def test_the_sdk_reads_the_same(start: int) -> None:
    oracle = load("oracle")
    sample = [r for api in ("openai-chat", "huggingface-chat") for r in records(api)][start::8]
    dialect, asked = OpenAIChat(), [{"role": "user", "content": "hi"}]
    unexplained: list[Any] = []
    with (
        load("replay").Replay(sample) as server,
        openai.OpenAI(base_url="http://127.0.0.1", api_key="x", max_retries=0) as client,
    ):
        for record in sample:
            data = oracle.body_bytes(record)
            theirs: Any
            ours: Any
            try:
                completions = client.with_options(base_url=server.base(record["id"]) + "/v1").chat.completions
                answer = completions.create(model="m", messages=asked, stream=record["stream"])
                theirs = theirs_streamed(answer) if record["stream"] else theirs_plain(answer)
            except openai.OpenAIError as error:
                theirs = error
            try:
                ours = (
                    dialect.decode_error(response(record, data))
                    if record["status"] >= 400
                    else read(dialect, record, data)
                )
            except ChatModelError as error:
                ours = error
            if isinstance(ours, Exception) or isinstance(theirs, Exception):
                if reason_of_raising(ours, theirs) is None:
                    unexplained.append((record["id"], ours, theirs))
                continue
            unexplained += [
                (record["id"], field, ours[field], theirs[field])
                for field in CLASSES
                if ours[field] != theirs[field] and reason(field, ours[field], theirs[field], data) is None
            ]
    assert unexplained == []


def read(dialect: OpenAIChat, record: dict[str, Any], data: bytes) -> dict[str, Any]:
    return ours_read(fold(events(dialect, [data])) if record["stream"] else dialect.decode(response(record, data)))
