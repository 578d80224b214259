"""The practice server's Gemini. Pure. Source: https://ai.google.dev/api/generate-content (2026-11)."""

from __future__ import annotations

import re

from ..._json import dumps_text, mapping, objects
from ._format import Format, at, sse
from ._words import THOUGHT, Asked, Body, Said, Tool, asked_of


def _asked(body: Body) -> Asked:
    wanted = mapping(body.get("generationConfig"))
    declared = [f for tool in objects(body.get("tools")) for f in objects(tool.get("functionDeclarations"))]
    calling = mapping(mapping(body.get("toolConfig")).get("functionCallingConfig"))
    return asked_of(
        body["contents"],
        tools=tuple(Tool(str(f.get("name")), next((f[k] for k in _PARAMETERS if k in f), None)) for f in declared),
        must_call=calling.get("mode") == "ANY",
        schema=wanted.get("responseJsonSchema") or wanted.get("responseSchema"),
        thinks=bool(wanted.get("thinkingConfig")),
    )


#: As Google's own SDK writes it, too.
_PARAMETERS = ("parametersJsonSchema", "parameters_json_schema", "parameters")


def _usage(said: Said) -> Body:
    usage = {
        "promptTokenCount": said.given,
        "candidatesTokenCount": said.made,
        "totalTokenCount": said.given + said.made,
    }
    return usage | {"thoughtsTokenCount": 5, "totalTokenCount": said.given + said.made + 5} if said.thought else usage


def _parts(said: Said) -> list[Body]:
    parts: list[Body] = [{"text": THOUGHT, "thought": True}] if said.thought else []
    if said.calls:
        calls = [{"functionCall": {"name": name, "args": args}} for name, args in said.calls]
        return [*parts, {**calls[0], "thoughtSignature": "c2ln"}, *calls[1:]]
    return [*parts, {"text": said.text}]


def _candidate(parts: list[Body], body: Body | None, said: Said) -> Body:
    """One candidate; `body` is given with its last chunk."""
    candidate: Body = {"content": {"role": "model", "parts": parts}, "index": 0}
    if body is not None:
        candidate["finishReason"] = "STOP"
        if "google_search" in dumps_text(body) or "googleSearch" in dumps_text(body):
            source = {"web": {"uri": "https://example.org/translate", "title": "example.org"}}
            segment = {"startIndex": 0, "endIndex": min(7, len(said.text)), "text": said.text[:7]}
            support = {"segment": segment, "groundingChunkIndices": [0]}
            candidate["groundingMetadata"] = {"groundingChunks": [source], "groundingSupports": [support]}
    return candidate


def _answer(candidate: Body, said: Said) -> Body:
    return {"candidates": [candidate], "usageMetadata": _usage(said), "modelVersion": "gemini-3.5-flash",
            "responseId": "r1"}  # fmt: skip


def _whole(body: Body, said: Said) -> Body:
    return _answer(_candidate(_parts(said), body, said), said)


def _stream(body: Body, said: Said) -> list[bytes]:
    parts = _parts(said)
    chunks = parts if said.calls else [*parts[:-1], *({"text": piece} for piece in said.pieces)]
    last = len(chunks) - 1
    answers = [_answer(_candidate([part], body if i == last else None, said), said) for i, part in enumerate(chunks)]
    return sse(answers, named=False)


GENERATE = Format(
    re.compile(r":(generateContent|streamGenerateContent)$"),
    _asked, _whole, _stream, at(":streamGenerateContent"),
)  # fmt: skip
