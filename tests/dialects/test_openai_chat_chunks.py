"""Chat Completions streams, case by case: chunks as real hosts send them, and the message they mean.

Facts only: the reference (checked 2026-11), and what real hosts were seen to send.
"""

# ruff: noqa: E501 (a body stands in one line, as it is sent)

from __future__ import annotations

import json
from typing import Any

import pytest

from chatmodels._call import Call
from chatmodels._errors import (
    IncompleteStream,
)
from chatmodels._events import End, Start, TextDelta, ToolCallDelta, UsageSoFar, Warned
from chatmodels._fold import fold
from chatmodels._messages import (
    AIMessage,
    HumanMessage,
    Message,
)
from chatmodels._parts import (
    ToolCall,
)
from chatmodels.dialects.openai_chat import OpenAIChat

from .openai_chat_bodies import answer, chunk
from .stream_checks import events_of, plain_of, same_but_provider, sse

PNG = b"\x89PNG\r\n\x1a\n"
H = HumanMessage("hi")


def call(*messages: Message, model: str = "m", **rest: Any) -> Call:
    return Call(model=model, messages=messages, **rest)


def check(provider: str, data: bytes, body: dict[str, Any]) -> AIMessage:
    """The same events however the bytes are cut; their fold is the plain answer."""
    ours = OpenAIChat(provider)
    whole = events_of(ours, [data])
    for size in (1, 2, 7, 31):
        assert events_of(ours, [data[i : i + size] for i in range(0, len(data), size)]) == whole
    message = fold(whole)
    assert same_but_provider(message) == same_but_provider(plain_of(ours, body))
    return message


def streamed(*payloads: Any, done: bool = True, provider: str = "host") -> AIMessage:
    return fold(events_of(OpenAIChat(provider), [sse(*payloads, done=done)]))


def test_events_of_a_stream() -> None:
    usage = {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5}
    data = sse(chunk({"role": "assistant", "content": ""}), chunk({"content": "Hi"}), chunk({"content": " you"}), chunk({}, "stop"),
               {"id": "c-1", "model": "m-1", "choices": [], "usage": usage}, done=True)  # fmt: skip
    whole = events_of(OpenAIChat(), [data])
    assert whole[:3] == [Start(id="c-1", model="m-1"), TextDelta("Hi"), TextDelta(" you")]
    assert isinstance(whole[3], UsageSoFar)
    assert isinstance(whole[4], End)
    assert (whole[4].finish_reason, whole[4].usage) == ("stop", whole[3].usage)
    body = {**answer({"content": "Hi you"}), "usage": usage}
    assert check("openai", data, body).text == "Hi you"


def test_parallel_calls_interleaved() -> None:
    def piece(index: int, arguments: str, **rest: Any) -> dict[str, Any]:
        return chunk(
            {
                "tool_calls": [
                    {
                        "index": index,
                        "function": {"arguments": arguments, **({"name": rest.pop("name")} if "name" in rest else {})},
                        **rest,
                    }
                ]
            }
        )

    data = sse(piece(0, "", id="a", name="f", type="function"), piece(1, "", id="b", name="g", type="function"), piece(0, '{"x"'), piece(1, '{"y":'),
               piece(0, ": 1}", id=""), piece(1, " 2}", id=None), chunk({}, "tool_calls"), done=True)  # fmt: skip
    calls = [
        {"id": "a", "function": {"name": "f", "arguments": '{"x": 1}'}},
        {"id": "b", "function": {"name": "g", "arguments": '{"y": 2}'}},
    ]
    message = check("openai", data, answer({"content": None, "tool_calls": calls}, "tool_calls"))
    assert [(c.id, c.name, c.args) for c in message.tool_calls] == [("a", "f", {"x": 1}), ("b", "g", {"y": 2})]


def test_the_same_index_again_is_another_call() -> None:
    """Cerebras: two calls, both under index 0, told apart by id and name."""
    first, second = ({"index": 0, "id": i, "function": {"name": "f", "arguments": "{}"}} for i in "ab")
    message = streamed(chunk({"tool_calls": [first]}), chunk({"tool_calls": [second]}), chunk({}, "tool_calls"))
    assert [(c.id, c.args) for c in message.tool_calls] == [("a", {}), ("b", {})]


def test_calls_without_index() -> None:
    """Mistral, Ollama and Gemini's compatible endpoint: whole calls, told apart by id, or by a name that begins anew."""
    whole = [{"id": i, "function": {"name": "f", "arguments": {"n": n}}} for n, i in enumerate(["a", "b"])]
    assert [(c.id, c.args) for c in streamed(chunk({"tool_calls": whole}), chunk({}, "stop")).tool_calls] == [
        ("a", {"n": 0}),
        ("b", {"n": 1}),
    ]
    bare = [
        {"id": "", "function": {"name": "f", "arguments": "{}"}},
        {"function": {"name": "g", "arguments": "{"}},
        {"function": {"arguments": "}"}},
    ]
    assert [(c.id, c.name, c.args) for c in streamed(chunk({"tool_calls": bare}), chunk({}, "stop")).tool_calls] == [
        ("", "f", {}),
        ("", "g", {}),
    ]


def test_a_whole_object_replaces_the_pieces() -> None:
    pieces = [
        {"index": 0, "id": "a", "function": {"name": "f", "arguments": "{}"}},
        {"index": 0, "function": {"arguments": {"x": 1}}},
    ]
    assert streamed(*(chunk({"tool_calls": [p]}) for p in pieces), chunk({}, "stop")).tool_calls[0].args == {"x": 1}


def test_custom_calls() -> None:
    pieces = [
        {"index": 0, "id": "a", "type": "custom", "custom": {"name": "f", "input": "SEL"}},
        {"index": 0, "custom": {"input": "ECT"}},
    ]
    message = streamed(*(chunk({"tool_calls": [p]}) for p in pieces), chunk({}, "tool_calls"))
    assert message.tool_calls == [ToolCall("a", "f", "SELECT", custom=True)]


def test_n_streams() -> None:
    first, second = ({"index": n, "delta": {"content": t}, "finish_reason": None} for n, t in enumerate("ab"))
    end = [{"index": n, "delta": {}, "finish_reason": f} for n, f in enumerate(["stop", "length"])]
    message = streamed({"choices": [second, first]}, {"choices": [end[0]]}, {"choices": [end[1]]})
    assert (message.text, message.finish_reason) == ("a", "stop")
    assert [(m.text, m.finish_reason) for m in message.alternatives] == [("b", "length")]
    with pytest.raises(IncompleteStream):
        streamed({"choices": [first, second]}, {"choices": [end[0]]}, done=False)


COMPLETE: list[tuple[str, list[Any], bool]] = [
    ("finish and [DONE]", [chunk({"content": "a"}), chunk({}, "stop")], True),
    ("finish without [DONE] (Cerebras, Perplexity)", [chunk({"content": "a"}), chunk({}, "stop")], False),
    ("finish with the text", [chunk({"content": "a"}, "stop")], False),
    ("usage after the finish", [chunk({"content": "a"}, "stop"), {"choices": [], "usage": {"prompt_tokens": 1, "completion_tokens": 1}}], False),
    ("Azure: a first chunk that says nothing", [{"id": "", "model": "", "object": "", "choices": [], "prompt_filter_results": []}, chunk({"content": "a"}), chunk({}, "stop")], True),
    ("Azure: a choice without delta", [chunk({"content": "a"}), {"choices": [{"index": 0, "finish_reason": None, "content_filter_results": {}}]}, chunk({}, "stop")], True),
    ("Perplexity: message beside delta", [{**chunk({"content": "a"}), "object": "chat.completion.chunk"},
                                          {"object": "chat.completion.done", "choices": [{"index": 0, "message": {"content": "a"}, "delta": {"content": ""}, "finish_reason": "stop"}]}], False),
    ("a whole message in one chunk", [{"choices": [{"index": 0, "message": {"content": "a"}, "finish_reason": "stop"}]}], True),
    ("wrapped (SDK dumps)", [{"data": chunk({"content": "a"})}, {"data": chunk({}, "stop")}], True),
    ("null choices", [{"choices": None}, {"choices": [None]}, chunk({"content": "a"}, "stop")], True),
    ("Azure: the filter's findings beside an empty delta", [chunk({"content": "a"}), {"choices": [{"index": 0, "delta": {}, "content_filter_results": {"hate": {"filtered": False}}, "finish_reason": None}]}, chunk({}, "stop")], True),
    ("further keys", [{**chunk({"content": "a", "channel": "final", "token_id": 7, "padding": "xx"}), "obfuscation": "Qz"}, chunk({"padding": "x"}, "stop")], True),
    ("no object, id or model", [{"choices": [{"index": 0, "delta": {"role": "assistant", "content": "a", "tool_calls": None}}]}, {"choices": [{"delta": {}, "finish_reason": "stop"}]}], True),
    ("empty lists of calls", [chunk({"content": "a", "tool_calls": []}), chunk({"content": "", "tool_calls": []}, "stop")], True),
    ("events of a new kind", [{"type": "ping"}, chunk({"content": "a"}), {"timings": {}}, chunk({}, "stop")], True),
]  # fmt: skip


@pytest.mark.parametrize(("payloads", "done"), [c[1:] for c in COMPLETE], ids=[c[0] for c in COMPLETE])
def test_complete_streams(payloads: list[Any], done: bool) -> None:
    message = streamed(*payloads, done=done)
    assert (message.text, message.finish_reason, message.raw_finish_reason) == ("a", "stop", "stop")


def test_done_without_a_finish_reason() -> None:
    """[DONE] alone does not end an answer; with the usage before it, it does (Snowflake), and a warning says so."""
    with pytest.raises(IncompleteStream):
        streamed(chunk({"content": "a"}), done=True)
    message = streamed(chunk({"content": "a"}, "", usage={"prompt_tokens": 1, "completion_tokens": 1}), done=True)
    assert (message.finish_reason, message.raw_finish_reason) == ("unknown", None)
    assert message.warnings == ("host ended the answer without a finish reason",)
    events = events_of(
        OpenAIChat(), [sse(chunk({"content": "a"}, "", usage={"prompt_tokens": 1, "completion_tokens": 1}), done=True)]
    )
    assert any(isinstance(e, Warned) for e in events)


def test_id_and_model_that_come_late_or_change() -> None:
    """Copilot leaves the id out of the first chunk; some hosts the model."""
    first = {"id": "", "model": "m-1", "choices": [{"index": 0, "delta": {"role": "assistant"}}]}
    message = streamed(
        first,
        {**first, "id": "c-1", "choices": [{"index": 0, "delta": {"content": "a"}}]},
        {"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]},
    )
    assert (message.id, message.model) == ("c-1", "m-1")
    message = streamed(
        {"id": "c-1", "model": "", "choices": []},
        {"id": "c-2", "model": "m-2", "choices": [{"index": 0, "delta": {"content": "a"}, "finish_reason": "stop"}]},
    )
    assert (message.id, message.model) == ("c-1", "m-2")


def test_the_model_changes_in_a_run_of_text() -> None:
    """A router that falls back in the middle: the answer names the model that ended it."""
    first, later = chunk({"content": "a"}), {**chunk({"content": "b"}), "model": "m-2"}
    message = streamed(
        first, first, first, later, later, {"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}
    )
    assert (message.text, message.model) == ("aaabb", "m-2")


def test_halves_of_emoji_beside_the_text() -> None:
    """Where no other half can follow, what is left of an emoji is mended: the answer is text throughout."""
    data = (
        b'data: {"id": "c\\ud83d", "choices": [{"index": 0, "delta": {"content": "\\ud83d"}, "logprobs": {"content": [{"token": "\\ud83d"}]}}]}\n\n'
        b'data: {"choices": [{"index": 0, "delta": {"content": "\\ude00", "annotations": [{"type": "f", "x": "\\ud83d"}]}, "finish_reason": "stop"}]}\n\n'
    )
    message = fold(events_of(OpenAIChat("host"), [data]))
    assert (message.text, message.id, message.logprobs) == ("😀", "c\ufffd", [{"token": "\ufffd"}])
    assert message.provider_data == {"host": {"message": {"annotations": [{"type": "f", "x": "\ufffd"}]}}}
    message.to_json()


def test_usage_is_overwritten_never_added() -> None:
    def used(given: int, made: int) -> dict[str, Any]:
        return {"usage": {"prompt_tokens": given, "completion_tokens": made}}

    message = streamed(
        chunk({"content": "a"}, **used(9, 1)),
        chunk({"content": "b"}, **used(9, 2)),
        chunk({}, "stop", **used(9, 3), x_groq={"usage": {"prompt_tokens": 9, "completion_tokens": 3}}),
    )
    assert message.usage is not None
    assert (message.usage.input_tokens, message.usage.output_tokens) == (9, 3)
    groq = streamed(
        chunk({"content": "a"}), chunk({}, "stop", x_groq={"usage": {"prompt_tokens": 4, "completion_tokens": 2}})
    )
    assert groq.usage is not None
    assert groq.usage.output_tokens == 2


def test_comments_blank_data_and_line_ends() -> None:
    payloads = [json.dumps(chunk({"content": "a"})), json.dumps(chunk({}, "stop"))]
    for end in ("\n", "\r\n", "\r"):
        text = f": OPENROUTER PROCESSING{end}{end}data:{end}{end}" + "".join(f"data: {p}{end}{end}" for p in payloads)
        assert fold(events_of(OpenAIChat(), [text.encode()])).text == "a"
    assert fold(events_of(OpenAIChat(), [b"\xef\xbb\xbf" + text.encode()])).text == "a"


def test_a_plain_answer_in_place_of_a_stream() -> None:
    data = (
        b"\n  "
        + json.dumps({**answer({"content": "a"}), "usage": {"prompt_tokens": 1, "completion_tokens": 1}}).encode()
    )
    message = fold(events_of(OpenAIChat(), [data[:9], data[9:]]))
    assert (message.text, message.finish_reason) == ("a", "stop")
    with pytest.raises(IncompleteStream):
        events_of(OpenAIChat(), [data[:-5]])


def test_text_and_other_things_in_turn() -> None:
    """The quick way for runs of text gives up nothing: whatever comes between is read in full."""
    between = [
        chunk({"content": "b", "reasoning": "r"}),
        chunk({"content": "b"}, logprobs=None),
        {
            "id": "c-1",
            "model": "m-1",
            "choices": [{"index": 0, "delta": {"content": "b"}, "logprobs": {"content": [{"token": "b"}]}}],
        },
        chunk({"content": [{"type": "text", "text": "b"}]}),
        {"id": "c-1", "model": "m-9", "choices": [{"index": 0, "delta": {"content": "b"}}]},
        chunk({"content": "b", "annotations": [{"type": "url_citation", "url_citation": {"url": "u"}}]}),
        chunk({"content": "b"}, usage={"prompt_tokens": 1, "completion_tokens": 1}),
        {"id": "c-1", "model": "m-1", "choices": [{"index": 1, "delta": {"content": "z"}, "finish_reason": "stop"}]},
    ]
    payloads = [p for odd in between for p in (chunk({"content": "a"}), chunk({"content": "a"}), odd)]
    message = streamed(*payloads, chunk({"content": "c"}, "stop"))
    assert message.text == "aab" * 7 + "aa" + "c"
    assert (message.reasoning, message.model, len(message.citations)) == ("r", "m-1", 1)
    assert message.logprobs == [{"token": "b"}]
    assert message.alternatives[0].text == "z"


# ---- llama.cpp's server, the embedded engine's too


def test_llama_cpp() -> None:
    """`timings` beside the usage, a null first content, working under `reasoning_content`, `__verbose` when asked for."""
    head = {
        "created": 1,
        "id": "chatcmpl-x",
        "model": "m",
        "system_fingerprint": "b1-abc",
        "object": "chat.completion.chunk",
    }
    data = sse(
        {**head, "choices": [{"finish_reason": None, "index": 0, "delta": {"role": "assistant", "content": None}}]},
        {**head, "choices": [{"finish_reason": None, "index": 0, "delta": {"reasoning_content": "hm"}}]},
        {
            **head,
            "choices": [{"finish_reason": None, "index": 0, "delta": {"content": "Hi"}}],
            "__verbose": {"content": "Hi"},
        },
        {**head, "choices": [{"finish_reason": "stop", "index": 0, "delta": {}}]},
        {
            **head,
            "choices": [],
            "usage": {"completion_tokens": 2, "prompt_tokens": 9, "total_tokens": 11},
            "timings": {"prompt_n": 9, "cache_n": 3},
        },
        done=True,
    )
    body = {
        **head, "object": "chat.completion", "usage": {"completion_tokens": 2, "prompt_tokens": 9, "total_tokens": 11},
        "timings": {"prompt_n": 9, "cache_n": 3},
        "choices": [{"finish_reason": "stop", "index": 0, "message": {"role": "assistant", "reasoning_content": "hm", "content": "Hi"}}],
    }  # fmt: skip
    message = check("local", data, body)
    assert (message.reasoning, message.text, message.model) == ("hm", "Hi", "m")
    kept = {"system_fingerprint": "b1-abc", "timings": {"prompt_n": 9, "cache_n": 3}}
    assert message.provider_data == {"local": {"answer": kept}}


def test_pieces_of_a_call_in_one_chunk() -> None:
    """Several pieces of one call, and of two calls, in the `tool_calls` of one delta."""
    pieces = [
        {"index": 0, "id": "a", "function": {"name": "f", "arguments": '{"x":'}},
        {"index": 1, "id": "b", "function": {"name": "g", "arguments": "{}"}},
        {"index": 0, "function": {"arguments": "1}"}},
    ]
    events = events_of(OpenAIChat(), [sse(chunk({"tool_calls": pieces}), chunk({}, "tool_calls"))])
    assert [e for e in events if isinstance(e, ToolCallDelta)] == [
        ToolCallDelta(0, "a", "f", '{"x":'),
        ToolCallDelta(1, "b", "g", "{}"),
        ToolCallDelta(0, None, None, "1}"),
    ]
    assert [c.args for c in fold(events).tool_calls] == [{"x": 1}, {}]
