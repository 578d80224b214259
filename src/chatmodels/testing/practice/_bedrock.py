"""The practice server's Bedrock Converse, with AWS's binary frames. Pure.

Source: https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_Converse.html (2026-11).
"""

from __future__ import annotations

import re
from struct import pack
from zlib import crc32

from ..._json import dumps_text, loads, mapping, objects
from ._format import Format, at, halves
from ._words import THOUGHT, Asked, Body, Said, Tool, asked_of


def _asked(body: Body) -> Asked:
    config = mapping(body.get("toolConfig"))
    specs = [mapping(tool.get("toolSpec")) for tool in objects(config.get("tools"))]
    choice = mapping(config.get("toolChoice"))
    wanted = mapping(mapping(mapping(body.get("outputConfig")).get("textFormat")).get("structure"))
    schema = mapping(wanted.get("jsonSchema")).get("schema")
    return asked_of(
        body["messages"],
        tools=tuple(Tool(s["name"], mapping(s.get("inputSchema")).get("json")) for s in specs if "name" in s),
        must_call="any" in choice or "tool" in choice,
        schema=loads(schema) if isinstance(schema, str) else schema,
        thinks=bool(mapping(body.get("additionalModelRequestFields")).get("thinking")),
    )


def _usage(said: Said) -> Body:
    return {"inputTokens": said.given, "outputTokens": said.made, "totalTokens": said.given + said.made}


def _blocks(said: Said) -> list[Body]:
    thought: Body = {"reasoningContent": {"reasoningText": {"text": THOUGHT, "signature": "c2ln"}}}
    calls = enumerate(said.calls, 1)
    uses: list[Body] = [
        {"toolUse": {"toolUseId": f"tooluse_{i}", "name": name, "input": args}} for i, (name, args) in calls
    ]
    return [*([thought] if said.thought else []), *(uses or [{"text": said.text}])]


def _reason(said: Said) -> str:
    return "tool_use" if said.calls else "end_turn"


def _whole(body: Body, said: Said) -> Body:
    message = {"role": "assistant", "content": _blocks(said)}
    return {"output": {"message": message}, "stopReason": _reason(said), "usage": _usage(said),
            "metrics": {"latencyMs": 5}}  # fmt: skip


def _stream(body: Body, said: Said) -> list[bytes]:
    events: list[tuple[str, Body]] = [("messageStart", {"role": "assistant"})]
    for index, block in enumerate(_blocks(said)):
        begun, deltas = _begun(block, said)
        if begun is not None:
            events.append(("contentBlockStart", {"contentBlockIndex": index, "start": begun}))
        events += [("contentBlockDelta", {"contentBlockIndex": index, "delta": delta}) for delta in deltas]
        events.append(("contentBlockStop", {"contentBlockIndex": index}))
    events.append(("messageStop", {"stopReason": _reason(said)}))
    events.append(("metadata", {"usage": _usage(said), "metrics": {"latencyMs": 5}}))
    return [_frame(kind, dumps_text(event).encode()) for kind, event in events]


def _begun(block: Body, said: Said) -> tuple[Body | None, list[Body]]:
    """How a block begins (only tool calls say), and what is added to it."""
    if "text" in block:
        return None, [{"text": piece} for piece in said.pieces]
    if "reasoningContent" in block:
        return None, [{"reasoningContent": {"text": THOUGHT}}, {"reasoningContent": {"signature": "c2ln"}}]
    use = block["toolUse"]
    pieces = [{"toolUse": {"input": piece}} for piece in halves(dumps_text(use["input"]))]
    return {"toolUse": {"toolUseId": use["toolUseId"], "name": use["name"]}}, pieces


def _frame(kind: str, payload: bytes) -> bytes:
    """Lengths, their checksum, headers of texts, the payload, the checksum of all."""
    named = {":event-type": kind, ":content-type": "application/json", ":message-type": "event"}
    headers = b"".join(
        pack(">B", len(name)) + name.encode() + pack(">BH", 7, len(value)) + value.encode()
        for name, value in named.items()
    )
    prelude = pack(">II", 16 + len(headers) + len(payload), len(headers))
    start = prelude + pack(">I", crc32(prelude)) + headers + payload
    return start + pack(">I", crc32(start))


CONVERSE = Format(
    re.compile(r"/(converse|converse-stream)$"),
    _asked, _whole, _stream, at("-stream"), "application/vnd.amazon.eventstream",
)  # fmt: skip
