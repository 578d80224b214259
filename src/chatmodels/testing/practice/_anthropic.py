"""The practice server's Anthropic Messages. Pure. Source: https://docs.anthropic.com/en/api/messages (2026-11)."""

from __future__ import annotations

import re

from ..._json import dumps_text, mapping
from ._format import Format, halves, sse
from ._words import THOUGHT, Asked, Body, Said, asked_of, functions

SIGNATURE = "EqoBCkgIARAB"


def _asked(body: Body) -> Asked:
    wanted = mapping(mapping(body.get("output_config")).get("format")) or mapping(body.get("output_format"))
    return asked_of(
        body["messages"],
        tools=functions(body.get("tools"), inside="", schema="input_schema"),
        must_call=mapping(body.get("tool_choice")).get("type") in ("any", "tool"),
        schema=wanted.get("schema"),
        thinks=mapping(body.get("thinking")).get("type") in ("enabled", "adaptive"),
    )


def _whole(body: Body, said: Said) -> Body:
    content: list[Body] = []
    if said.thought:
        content.append({"type": "thinking", "thinking": THOUGHT, "signature": SIGNATURE})
    if said.calls:
        calls = enumerate(said.calls, 1)
        content += [{"type": "tool_use", "id": f"toolu_{i}", "name": name, "input": args} for i, (name, args) in calls]
    else:
        content.append({"type": "text", "text": said.text})
    usage = {"input_tokens": said.given, "output_tokens": said.made}
    if "cache_control" in dumps_text(body):
        usage |= {"input_tokens": 8, "cache_read_input_tokens": 2000, "cache_creation_input_tokens": 0}
    return {"id": "msg_1", "type": "message", "role": "assistant", "model": body["model"], "content": content,
            "stop_reason": "tool_use" if said.calls else "end_turn", "stop_sequence": None, "usage": usage}  # fmt: skip


def _stream(body: Body, said: Said) -> list[bytes]:
    whole = _whole(body, said)
    head: Body = {**whole, "content": [], "stop_reason": None, "usage": {**whole["usage"], "output_tokens": 1}}
    events: list[Body] = [{"type": "message_start", "message": head}]
    for index, block in enumerate(whole["content"]):
        begun, deltas = _block(block, said)
        events.append({"type": "content_block_start", "index": index, "content_block": begun})
        events += [{"type": "content_block_delta", "index": index, "delta": delta} for delta in deltas]
        events.append({"type": "content_block_stop", "index": index})
    ended = {"stop_reason": whole["stop_reason"], "stop_sequence": None}
    events.append({"type": "message_delta", "delta": ended, "usage": {"output_tokens": said.made}})
    events.append({"type": "message_stop"})
    return sse(events, named=True)


def _block(block: Body, said: Said) -> tuple[Body, list[Body]]:
    """How a block begins, and what is added to it."""
    if block["type"] == "text":
        return {**block, "text": ""}, [{"type": "text_delta", "text": piece} for piece in said.pieces]
    if block["type"] == "thinking":
        return {**block, "thinking": "", "signature": ""}, [
            {"type": "thinking_delta", "thinking": THOUGHT},
            {"type": "signature_delta", "signature": SIGNATURE},
        ]
    pieces = halves(dumps_text(block["input"]))
    return {**block, "input": {}}, [{"type": "input_json_delta", "partial_json": piece} for piece in pieces]


MESSAGES = Format(re.compile(r"/v1/messages$"), _asked, _whole, _stream)
