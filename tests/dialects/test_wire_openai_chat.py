"""The Chat Completions dialect on recorded traffic of some forty hosts, where that lies beside the repository."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from chatmodels._call import Call
from chatmodels._errors import UsageError
from chatmodels._fold import fold
from chatmodels._messages import AIMessage, HumanMessage, Message
from chatmodels.dialects.openai_chat import OpenAIChat

from .wire_checks import Recorded, without_nulls
from .wire_records import THERE, events

pytestmark = pytest.mark.skipif(not THERE, reason="the recorded traffic is not beside the repository")

#: How the hosts whose requests need it differ from the reference.
HOSTS: dict[str, dict[str, Any]] = {
    "api.openai.com": {"cache_points": "breakpoint", "strict": True},
    "openrouter.ai": {
        "cache_points": "cache_control",
        "reasoning_style": "object",
        "reasoning_field": "reasoning",
        "sampling": frozenset({"top_k", "min_p"}),
        "media": frozenset({"video", "file_url", "tool_images"}),
    },
    "ai-gateway.vercel.sh": {"cache_points": "cache_control"},
    "localhost:11434": {"media": frozenset({"tool_images"})},
    "api.deepseek.com": {"reasoning_field": "reasoning_content"},
}


def dialect(record: dict[str, Any]) -> OpenAIChat:
    return OpenAIChat(record["host"], **HOSTS.get(record["host"], {}))


@pytest.fixture(scope="module", params=["openai-chat", "huggingface-chat"])
def recorded(request: pytest.FixtureRequest) -> Recorded:
    return Recorded(request.param, OpenAIChat())


def test_answers(recorded: Recorded) -> None:
    recorded.check_answers()


def test_streams(recorded: Recorded) -> None:
    recorded.check_streams()


def test_cut_streams(recorded: Recorded) -> None:
    recorded.check_cuts()


def test_errors(recorded: Recorded) -> None:
    if recorded.api == "openai-chat":  # there are none of the other
        recorded.check_errors()


# -- requests

#: What is deliberately not kept of a request, since it means the same:
#: - nulls, `stream: false`, empty lists of tools, empty descriptions and names, `stream_options` of a plain request;
#: - an answer's content "" or [] beside calls (now null), or as a list of one text (now that text);
#: - `max_completion_tokens` (now `max_tokens`: the row's `max_tokens_field`, and its quirks, say which name a model wants);
#: - `index` of a call in an answer, which belongs to streams only;
#: - a function without parameters (now with those of no parameters, as the reference reads it);
#: - the name that a file without one gets, which the reference wants;
#: and what is added on purpose: `stream_options` asks a stream for its usage.


def normal(body: dict[str, Any]) -> dict[str, Any]:
    out: dict[str, Any] = without_nulls(body)
    out["messages"] = [normal_message(m) for m in out["messages"]]
    out["tools"] = [normal_tool(t) for t in out.get("tools") or []]
    if "max_completion_tokens" in out:
        out["max_tokens"] = out.pop("max_completion_tokens")
    if not out.get("stream"):
        out.pop("stream", None)
        out.pop("stream_options", None)
    else:
        out["stream_options"] = {**out.get("stream_options", {}), "include_usage": True}
    return out


def normal_message(message: dict[str, Any]) -> dict[str, Any]:
    out = {k: v for k, v in message.items() if v != []}
    content = out.get("content") or []
    content = [{"type": "text", "text": content}] if isinstance(content, str) else content
    out["content"] = [normal_part(p) for p in content if p != {"type": "text", "text": ""}]
    for call in out.get("tool_calls", ()):
        call.pop("index", None)
    return out


def normal_part(part: dict[str, Any]) -> dict[str, Any]:
    if "file" in part and "file_data" in part["file"]:
        part["file"].setdefault("filename", "file.pdf")
    return part


def normal_tool(tool: dict[str, Any]) -> dict[str, Any]:
    function = tool.get("function")
    if isinstance(function, dict):
        function.setdefault("parameters", {"type": "object", "properties": {}})
        if not function.get("description"):
            function.pop("description", None)
    return tool


def requests(recorded: Recorded) -> Iterator[tuple[dict[str, Any], dict[str, Any]]]:
    for record in recorded.records:
        body = (record["request"] or {}).get("body")
        if isinstance(body, dict) and "messages" in body:
            yield record, body


def test_requests_survive(recorded: Recorded) -> None:
    seen = 0
    for record, body in requests(recorded):
        seen += 1
        ours = dialect(record)
        call = ours.decode_request(body, record["request"]["path"])
        request = ours.encode(call)
        again = json.loads(request.body)
        if not body.get("model"):  # in the path of Azure
            assert again.pop("model", None) in (None, call.model)
        assert normal(again) == normal(body), record["id"]
        assert request.warnings == (), record["id"]
        assert ours.encode(ours.decode_request(json.loads(request.body))).body == request.body, record["id"]
    assert seen > 20


def test_requests_are_neutral(recorded: Recorded) -> None:
    """What another dialect sees of them: text, calls, results and media as our parts, never as opaque ones."""
    kinds = {"text", "image_url", "input_audio", "file"}
    for record, body in requests(recorded):
        call = dialect(record).decode_request(body)
        for wire, message in zip(body["messages"], call.messages, strict=True):
            known = isinstance(wire.get("content"), list) and all(p.get("type") in kinds for p in wire["content"])
            if known or isinstance(wire.get("content"), str):
                assert all(p.__struct_config__.tag != "opaque" for p in message.parts), record["id"]
            if wire["role"] == "assistant" and isinstance(message, AIMessage):
                assert len(message.tool_calls) == len(wire.get("tool_calls") or []) + bool(wire.get("function_call"))
                assert message.reasoning == (
                    wire.get("reasoning_content") or wire.get("reasoning") or message.reasoning
                )


# -- sending back


def answers(recorded: Recorded) -> Iterator[tuple[dict[str, Any], OpenAIChat, AIMessage]]:
    """Every recorded answer, plain and streamed, as its own provider's."""
    for kind in ("json", "stream"):
        for record, data, _ in recorded.of(kind):
            ours = dialect(record)
            if kind == "stream":
                message = fold(events(ours, [data]))
                yield (
                    record,
                    ours,
                    AIMessage(message.content, provider=ours.provider, provider_data=message.provider_data),
                )
            else:
                from .wire_records import response

                yield record, ours, ours.decode(response(record, data))


def values_in(value: Any) -> Iterator[str]:
    """All texts in what a provider put beside an answer that are long enough to be told from chance."""
    if isinstance(value, dict):
        for one in value.values():
            yield from values_in(one)
    elif isinstance(value, list):
        for one in value:
            yield from values_in(one)
    elif isinstance(value, str) and len(value) > 12:
        yield value


def sent_back(ours: OpenAIChat, message: AIMessage) -> tuple[dict[str, Any], str]:
    talk: tuple[Message, ...] = (HumanMessage("hi"), message, HumanMessage("go on"))
    body = ours.encode(Call(model="m", messages=talk)).body.decode()
    wire: dict[str, Any] = json.loads(body)["messages"][1]
    return wire, json.dumps(wire, ensure_ascii=False)


def test_answers_go_back_whole(recorded: Recorded) -> None:
    """All that its provider put beside an answer goes back to it: reasoning details, extras of calls, ids."""
    opaque = 0
    for record, ours, message in answers(recorded):
        wire, said = sent_back(ours, message)
        for part in message.parts:
            if part.__struct_config__.tag == "server_tool":
                continue  # no host takes back what it ran by itself
            for value in values_in((part.provider_data or {}).get(ours.provider)):
                opaque += 1
                assert json.dumps(value, ensure_ascii=False)[1:-1] in said, record["id"]
        own = (message.provider_data or {}).get(ours.provider) or {}
        for value in values_in({k: v for k, v in own.items() if k != "answer"}):  # that is told to the user only
            opaque += 1
            assert json.dumps(value, ensure_ascii=False)[1:-1] in said, record["id"]
        assert [c["id"] for c in wire.get("tool_calls", ())] == [
            c.id for c in message.tool_calls if "function_call" not in wire
        ]
        assert [c["function"]["arguments"] for c in wire.get("tool_calls", ()) if "function" in c] == [
            c.args_text or "{}"
            for c in message.tool_calls
            if not getattr(c, "custom", False) and "function_call" not in wire
        ]
        if ours.profile.reasoning_field and message.reasoning:
            assert wire[ours.profile.reasoning_field] == message.reasoning
        said_text = wire["content"] or ""
        assert (said_text if isinstance(said_text, str) else "".join(p.get("text", "") for p in said_text)).startswith(
            message.text
        )
    if recorded.api == "openai-chat":
        assert opaque > 100


def test_nothing_opaque_leaks_to_another_provider(recorded: Recorded) -> None:
    other = OpenAIChat("another", reasoning_field="reasoning_content", cache_points="cache_control")
    for record, _, message in answers(recorded):
        try:
            _, said = sent_back(other, message)
        except UsageError as error:  # media without bytes
            raise AssertionError(record["id"]) from error
        told = message.text + "".join(f"{c.args_text} {c.id}" for c in message.tool_calls)
        data = [message.provider_data, *(p.provider_data for p in message.parts)]
        for value in values_in([d for d in data if d]):
            assert value in told or json.dumps(value, ensure_ascii=False)[1:-1] not in said, record["id"]
        assert not message.reasoning or message.reasoning in message.text or "reasoning_content" not in json.loads(said)
