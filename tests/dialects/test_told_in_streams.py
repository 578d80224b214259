"""Fields that a host adds to ordinary chunks of a Chat Completions stream are kept, wherever and whenever they come."""

from __future__ import annotations

import json
from typing import Any

import pytest

from chatmodels._fold import fold
from chatmodels._messages import AIMessage
from chatmodels.dialects.openai_chat import OpenAIChat

from .wire_records import events

HEAD: dict[str, Any] = {"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "m"}


def chunk(text: str | None, *, finish: str | None = None, on: str = "", data: dict[str, Any] | None = None) -> bytes:
    """A chunk with `data` on the chunk, the choice or the delta."""
    delta: dict[str, Any] = {} if text is None else {"content": text}
    choice: dict[str, Any] = {"index": 0, "delta": delta, "finish_reason": finish}
    body: dict[str, Any] = {**HEAD, "choices": [choice]}
    {"": {}, "chunk": body, "choice": choice, "delta": delta}[on].update(data or {})
    return b"data: %s\n\n" % json.dumps(body).encode()


def told(*chunks: bytes) -> tuple[AIMessage, Any]:
    message = fold(events(OpenAIChat(), [b"".join(chunks) + chunk(None, finish="stop") + b"data: [DONE]\n\n"]))
    return message, (message.provider_data or {}).get("openai", {}).get("answer")


@pytest.mark.parametrize("on", ["chunk", "choice", "delta"])
@pytest.mark.parametrize("place", [0, 1, 5, 39])
def test_an_unknown_field_is_kept_wherever_it_stands(on: str, place: int) -> None:
    data: dict[str, Any] = {"x_new": {"a": [1, "two"], "b": 0}}
    pieces = [chunk(f"{n} ", on=on if n == place else "", data=data) for n in range(40)]
    message, answer = told(*pieces)
    assert message.text == "".join(f"{n} " for n in range(40))
    assert answer == data


@pytest.mark.parametrize(
    "name",
    ["system_fingerprint", "service_tier", "provider", "prompt_filter_results", "content_filter_results", "x_groq"],
)
def test_fields_of_hosts_in_the_midst_of_text(name: str) -> None:
    value: Any = {"id": "r", "ok": True} if name.startswith(("x_", "content")) else "fp_2"
    _, answer = told(*[chunk("a") for _ in range(4)], chunk("b", on="chunk", data={name: value}), chunk("c"))
    assert answer == {name: value}


def test_constants_that_change_are_told_as_they_were_last() -> None:
    said = [chunk("a", on="chunk", data={"service_tier": "flex", "provider": p}) for p in ("A", "A", "A", "B", "B")]
    _, answer = told(*said)
    assert answer == {"service_tier": "flex", "provider": "B"}


def test_a_filter_of_each_choice() -> None:
    safe, found = {"hate": {"filtered": False}}, {"hate": {"filtered": True}}
    said = [chunk("a", on="choice", data={"content_filter_results": f}) for f in ({}, safe, safe, safe, found)]
    message, answer = told(*said)
    assert message.text == "aaaaa"
    assert answer == {"content_filter_results": found}


def test_pieces_of_unknown_kinds_are_joined() -> None:
    said = [chunk(t, on="delta", data={"plan": t, "steps": [{"t": t}], "at": n}) for n, t in enumerate("abcb")]
    _, answer = told(*said)
    assert answer == {"plan": "abcb", "steps": [{"t": t} for t in "abcb"], "at": 3}


def test_ids_of_tokens_are_joined() -> None:
    message, answer = told(*[chunk("a", on="choice", data={"token_ids": [n]}) for n in (7, 7, 9)])
    assert message.text == "aaa"
    assert answer == {"token_ids": [7, 7, 9]}


def test_log_probabilities_in_the_old_form() -> None:
    said = [chunk(t, on="choice", data={"logprobs": {"tokens": [t], "token_logprobs": [-0.5]}}) for t in "ab"]
    _, answer = told(*said)
    assert answer == {"logprobs": {"tokens": ["a", "b"], "token_logprobs": [-0.5, -0.5]}}


def test_padding_and_what_every_chunk_has_are_not_kept() -> None:
    said = [chunk("a", on="chunk", data={"obfuscation": "x" * n}) for n in range(5)]
    assert told(*said)[1] is None


def test_what_stands_beside_sound() -> None:
    _, answer = told(chunk(None, on="delta", data={"audio": {"id": "a", "data": "AAA=", "expires_at": 9}}))
    assert answer == {"audio": {"expires_at": 9}}
