"""The practice server's Chat Completions (all hosts that speak it, Mistral too) and OpenAI Responses. Pure.

Source: https://platform.openai.com/docs/api-reference/chat and .../responses (2026-11).
"""

from __future__ import annotations

import re
from typing import Any

from ..._json import dumps_text, is_array, is_object, mapping
from ._format import Format, halves, sse
from ._words import THOUGHT, Asked, Body, Said, asked_of, functions, told_schema

# -- Chat Completions


def _chat_asked(body: Body) -> Asked:
    wanted = mapping(body.get("response_format"))
    return asked_of(
        body["messages"],
        tools=functions(body.get("tools")),
        must_call=_must(body.get("tool_choice")),
        schema=mapping(wanted.get("json_schema")).get("schema")
        or (told_schema(body["messages"]) if wanted.get("type") == "json_object" else None),
    )


def _must(choice: Any) -> bool:
    return choice in ("required", "any") or is_object(choice)


def _chat_usage(said: Said) -> Body:
    return {"prompt_tokens": said.given, "completion_tokens": said.made, "total_tokens": said.given + said.made}


def _chat_calls(said: Said) -> list[Body]:
    return [
        {"id": f"call_{i}", "type": "function", "function": {"name": name, "arguments": dumps_text(args)}}
        for i, (name, args) in enumerate(said.calls, 1)
    ]


def _chat_whole(body: Body, said: Said) -> Body:
    message: Body = {"role": "assistant", "content": said.text}
    if said.calls:
        message |= {"content": None, "tool_calls": _chat_calls(said)}
    reason = "tool_calls" if said.calls else "stop"
    choices = [{"index": i, "message": message, "finish_reason": reason} for i in range(body.get("n") or 1)]
    return {**_chat_head(body, "chat.completion"), "choices": choices, "usage": _chat_usage(said)}


def _chat_head(body: Body, kind: str) -> Body:
    return {"id": "chatcmpl-1", "object": kind, "created": 1, "model": body["model"]}


def _chat_stream(body: Body, said: Said) -> list[bytes]:
    deltas: list[Body] = [{"role": "assistant", "content": ""}]
    if not said.calls:
        deltas += [{"content": piece} for piece in said.pieces]
    for index, call in enumerate(_chat_calls(said)):
        function = call["function"]
        deltas.append({"tool_calls": [{**call, "index": index, "function": {**function, "arguments": ""}}]})
        pieces = halves(function["arguments"])
        deltas += [{"tool_calls": [{"index": index, "function": {"arguments": piece}}]} for piece in pieces]
    head = _chat_head(body, "chat.completion.chunk")
    numbers = range(body.get("n") or 1)
    events = [
        {**head, "choices": [{"index": i, "delta": delta, "finish_reason": None}]} for delta in deltas for i in numbers
    ]
    reason = "tool_calls" if said.calls else "stop"
    events += [{**head, "choices": [{"index": i, "delta": {}, "finish_reason": reason}]} for i in numbers]
    events.append({**head, "choices": [], "usage": _chat_usage(said)})
    return [*sse(events, named=False), b"data: [DONE]\n\n"]


CHAT = Format(re.compile(r"/chat/completions$"), _chat_asked, _chat_whole, _chat_stream)


# -- Responses


def _responses_asked(body: Body) -> Asked:
    given = body.get("input")
    wanted = mapping(mapping(body.get("text")).get("format"))
    return asked_of(
        given if is_array(given) else [given],
        tools=functions(body.get("tools"), inside=""),
        must_call=_must(body.get("tool_choice")),
        schema=wanted.get("schema"),
        thinks=bool(body.get("reasoning")),
    )


def _responses_output(body: Body, said: Said) -> list[Body]:
    output: list[Body] = []
    if said.thought:
        summary = [{"type": "summary_text", "text": THOUGHT}]
        output.append({"type": "reasoning", "id": "rs_1", "summary": summary, "encrypted_content": "gAAA"})
    if "web_search" in dumps_text(body.get("tools") or ""):
        action = {"type": "search", "query": "practice"}
        output.append({"type": "web_search_call", "id": "ws_1", "status": "completed", "action": action})
    for i, (name, args) in enumerate(said.calls, 1):
        output.append(
            {"type": "function_call", "id": f"fc_{i}", "call_id": f"call_{i}", "name": name, "arguments": dumps_text(args),
             "status": "completed"}
        )  # fmt: skip
    if not said.calls:
        text: Body = {"type": "output_text", "text": said.text, "annotations": []}
        output.append({"type": "message", "id": "msg_1", "role": "assistant", "status": "completed", "content": [text]})
    return output


def _responses_whole(body: Body, said: Said) -> Body:
    thoughts = 20 if said.thought else 0
    usage: Body = {
        "input_tokens": said.given,
        "output_tokens": said.made + thoughts,
        "total_tokens": said.given + said.made + thoughts,
    }
    if thoughts:
        usage["output_tokens_details"] = {"reasoning_tokens": thoughts}
    return {**_responses_head(body, "completed"), "output": _responses_output(body, said), "usage": usage}


def _responses_head(body: Body, status: str) -> Body:
    return {"id": "resp_1", "object": "response", "created_at": 1, "status": status, "model": body["model"]}


def _responses_stream(body: Body, said: Said) -> list[bytes]:
    whole = _responses_whole(body, said)
    events: list[Body] = [
        {"type": "response.created", "response": {**_responses_head(body, "in_progress"), "output": []}}
    ]
    for index, item in enumerate(whole["output"]):
        at = {"output_index": index, "item_id": item["id"]}
        begun = {**item, "status": "in_progress"} | {k: type(item[k])() for k in _GROWING if k in item}
        events.append({"type": "response.output_item.added", "output_index": index, "item": begun})
        events += [{"type": f"response.{kind}", **at, **more} for kind, more in _grown(item, said)]
        events.append({"type": "response.output_item.done", "output_index": index, "item": item})
    events.append({"type": "response.completed", "response": whole})
    return sse([{**event, "sequence_number": i} for i, event in enumerate(events)], named=True)


#: What an item is begun without.
_GROWING = ("content", "arguments", "summary")


def _grown(item: Body, said: Said) -> list[tuple[str, Body]]:
    """What happens between the begin and the end of an item."""
    if item["type"] == "function_call":
        pieces = [("function_call_arguments.delta", {"delta": piece}) for piece in halves(item["arguments"])]
        return [*pieces, ("function_call_arguments.done", {"arguments": item["arguments"], "name": item["name"]})]
    if item["type"] == "reasoning":
        return _part(item["summary"][0], "reasoning_summary_part", "reasoning_summary_text", "summary_index", [THOUGHT])
    if item["type"] == "message":
        return _part(item["content"][0], "content_part", "output_text", "content_index", said.pieces)
    return []


def _part(part: Body, name: str, text: str, index: str, pieces: list[str]) -> list[tuple[str, Body]]:
    at: Body = {index: 0}
    deltas = [(f"{text}.delta", {**at, "delta": piece, **_logprobs(text)}) for piece in pieces]
    return [
        (f"{name}.added", {**at, "part": {**part, "text": ""}}),
        *deltas,
        (f"{text}.done", {**at, "text": part["text"], **_logprobs(text)}),
        (f"{name}.done", {**at, "part": part}),
    ]


def _logprobs(text: str) -> Body:
    return {"logprobs": []} if text == "output_text" else {}


RESPONSES = Format(re.compile(r"/responses$"), _responses_asked, _responses_whole, _responses_stream)
