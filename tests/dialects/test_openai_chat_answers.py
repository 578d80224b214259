"""Chat Completions answers, case by case: a body and the message it means; every shape of error.

Facts only: the reference (checked 2026-11), and what real hosts were seen to send.
"""

# ruff: noqa: E501 (a body stands in one line, as it is sent)

from __future__ import annotations

import json
from typing import Any

import pytest

from chatmodels._call import Call, HTTPResponse
from chatmodels._errors import (
    AuthenticationError,
    ChatModelError,
    ContentFilterError,
    ContextTooLongError,
    OutOfCreditError,
    OverloadedError,
    ProtocolError,
    ProviderError,
    RateLimitError,
)
from chatmodels._events import TextDelta
from chatmodels._fold import fold
from chatmodels._messages import (
    AIMessage,
    HumanMessage,
    Message,
)
from chatmodels._parts import (
    Audio,
    Citation,
    Image,
    InvalidToolCall,
    Opaque,
    Reasoning,
    Refusal,
    ServerTool,
    Text,
    ToolCall,
)
from chatmodels.dialects.openai_chat import OpenAIChat

from .openai_chat_bodies import answer, chunk
from .stream_checks import events_of, plain_of, sse

PNG = b"\x89PNG\r\n\x1a\n"
H = HumanMessage("hi")


def call(*messages: Message, model: str = "m", **rest: Any) -> Call:
    return Call(model=model, messages=messages, **rest)


# ---- answers


def read(message: dict[str, Any], finish: Any = "stop", **rest: Any) -> AIMessage:
    return plain_of(OpenAIChat("host"), answer(message, finish, **rest))


def test_answer_in_full() -> None:
    body = {
        **answer({"role": "assistant", "content": "Hi", "refusal": None}, logprobs={"content": [{"token": "Hi", "logprob": -0.1}]}),
        "usage": {"prompt_tokens": 9, "completion_tokens": 5, "total_tokens": 14,
                  "prompt_tokens_details": {"cached_tokens": 4, "cache_write_tokens": 2, "audio_tokens": 1},
                  "completion_tokens_details": {"reasoning_tokens": 3, "audio_tokens": 0}},
    }  # fmt: skip
    message = plain_of(OpenAIChat("host"), body)
    assert (message.content, message.id, message.model, message.provider) == ("Hi", "c-1", "m-1", "host")
    assert (message.finish_reason, message.raw_finish_reason) == ("stop", "stop")
    assert message.logprobs == [{"token": "Hi", "logprob": -0.1}]
    usage = message.usage
    assert usage is not None
    assert (usage.input_tokens, usage.output_tokens, usage.cache_read_tokens, usage.cache_write_tokens) == (9, 5, 4, 2)
    assert (usage.reasoning_tokens, usage.input_audio_tokens, usage.uncached_input_tokens) == (3, 1, 3)
    assert usage.raw == body["usage"]
    assert message.raw == body


def test_n_answers() -> None:
    choices = [
        {"index": 1, "message": {"content": "b"}, "finish_reason": "length"},
        {"index": 0, "message": {"content": "a"}, "finish_reason": "stop"},
    ]
    message = plain_of(OpenAIChat("host"), {"choices": choices, "usage": {"prompt_tokens": 1, "completion_tokens": 2}})
    assert message.text == "a"
    assert [(m.text, m.finish_reason, m.provider, m.usage) for m in message.alternatives] == [
        ("b", "length", "host", None)
    ]
    assert message.usage is not None


PARTS: list[tuple[str, dict[str, Any], list[Any]]] = [
    ("nothing", {"content": None}, []),
    ("reasoning_content", {"content": "a", "reasoning_content": "hm"}, [Reasoning("hm"), Text("a")]),
    ("reasoning twice", {"content": "a", "reasoning": "hm", "reasoning_content": "hm"}, [Reasoning("hm"), Text("a")]),
    ("encrypted details", {"content": "a", "reasoning_details": [{"type": "reasoning.encrypted", "data": "x"}]},
     [Reasoning("", provider_data={"host": {"reasoning_details": [{"type": "reasoning.encrypted", "data": "x"}]}}), Text("a")]),
    ("summary", {"content": "a", "reasoning_details": [{"type": "reasoning.summary", "summary": "s"}]},
     [Reasoning("s", provider_data={"host": {"reasoning_details": [{"type": "reasoning.summary", "summary": "s"}]}}), Text("a")]),
    ("content list", {"content": [{"type": "thinking", "thinking": [{"type": "text", "text": "hm"}]}, {"type": "text", "text": "a"}, "b", {"text": "c"}, None]},
     [Reasoning("hm"), Text("abc")]),
    ("order", {"content": ["a", {"type": "new", "x": 1}, "b", {"type": "image_url", "image_url": {"url": "https://e.com/i"}}, "c"]},
     [Text("a"), Opaque(provider="host", kind="new", data={"type": "new", "x": 1}), Text("b"), Image(url="https://e.com/i"), Text("c")]),
    ("object", {"content": {"a": "é"}}, [Text('{"a": "é"}')]),
    ("refusal", {"content": None, "refusal": "No."}, [Refusal("No.")]),
    ("audio", {"content": None, "audio": {"id": "audio_1", "data": "UklGRg==", "transcript": "la", "expires_at": 1}},
     [Audio(data=b"RIFF", transcript="la", provider_data={"host": {"audio_id": "audio_1"}})]),
    ("audio without sound", {"content": None, "audio": {"id": "audio_1", "data": "", "transcript": ""}},
     [Audio(file_id="audio_1", provider_data={"host": {"audio_id": "audio_1"}})]),
    ("empty audio", {"content": "a", "audio": {"id": "", "data": "", "transcript": ""}}, [Text("a")]),
    ("citations", {"content": "a", "annotations": [{"type": "url_citation", "url_citation": {"url": "u", "title": "t", "start_index": 0, "end_index": 1}}]},
     [Text("a", (Citation(url="u", title="t", start=0, end=1),))]),
    ("images", {"content": "a", "images": [{"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBORw0KGgo="}}, {"image_url": {"url": "data:image/png;base64,!"}}]},
     [Text("a"), Image(data=PNG, media_type="image/png")]),
    ("server tool", {"content": "a", "executed_tools": [{"index": 0, "type": "search", "arguments": "{}", "output": "o"}]},
     [Text("a"), ServerTool(phase="result", kind="web_search", args="{}", result="o",
                            provider_data={"host": {"index": 0, "type": "search", "arguments": "{}", "output": "o"}})]),
    ("calls", {"content": "", "tool_calls": [{"id": "1", "type": "function", "function": {"name": "f", "arguments": '{"a": 1}'}},
                                             {"id": "2", "type": "custom", "custom": {"name": "g", "input": "free"}}]},
     [ToolCall("1", "f", {"a": 1}, text='{"a": 1}'), ToolCall("2", "g", "free", custom=True)]),
    ("odd calls", {"content": None, "tool_calls": [{"function": {"name": "f", "arguments": None}}, {"id": "", "function": {"name": "f", "arguments": {"a": 1}}},
                                                   {"id": "x", "function": {"name": "g", "arguments": '{"a": '}}, {"id": "y", "function": {"name": "h", "arguments": "[1]"}}, None, "?"]},
     [ToolCall("", "f", {}, text=""), ToolCall("", "f", {"a": 1}, text='{"a":1}'),
      InvalidToolCall("x", "g", '{"a": ', "the arguments are not JSON: Expecting value: line 1 column 7 (char 6)"),
      InvalidToolCall("y", "h", "[1]", "the arguments are not a JSON object but list")]),
    ("call of 2023", {"content": None, "function_call": {"name": "f", "arguments": "{}"}}, [ToolCall("", "f", {}, text="{}", provider_data={"host": {"legacy": True}})]),
    ("call told twice", {"content": None, "function_call": {"name": "f", "arguments": "{}"}, "tool_calls": [{"id": "1", "function": {"name": "f", "arguments": "{}"}}]},
     [ToolCall("1", "f", {}, text="{}")]),
    ("no call", {"content": "a", "function_call": {"name": "", "arguments": ""}, "tool_calls": None}, [Text("a")]),
    ("thought signature", {"content": None, "tool_calls": [{"id": "1", "function": {"name": "f", "arguments": "{}"}, "extra_content": {"google": {"thought_signature": "s"}}}]},
     [ToolCall("1", "f", {}, text="{}", provider_data={"host": {"extra": {"extra_content": {"google": {"thought_signature": "s"}}}}})]),
    ("wrong types", {"content": "a", "reasoning": 5, "reasoning_details": "x", "annotations": {}, "images": 1, "audio": [], "executed_tools": "x", "refusal": False, "tool_calls": 1},
     [Text("a")]),
]  # fmt: skip


@pytest.mark.parametrize(("message", "parts"), [p[1:] for p in PARTS], ids=[p[0] for p in PARTS])
def test_parts_of_an_answer(message: dict[str, Any], parts: list[Any]) -> None:
    plain = read(message)
    assert plain.parts == parts
    delta = {"id": "c-1", "model": "m-1", "choices": [{"index": 0, "delta": message, "finish_reason": "stop"}]}
    numbered = message.get("tool_calls")
    if isinstance(numbered, list):
        delta["choices"][0]["delta"] = {
            **message,
            "tool_calls": [{**c, "index": n} if isinstance(c, dict) else c for n, c in enumerate(numbered)],
        }  # type: ignore[index]
    assert fold(events_of(OpenAIChat("host"), [sse(delta)])).parts == parts


FINISHES = [("stop", "stop"), ("eos", "stop"), ("length", "length"), ("tool_calls", "tool_calls"), ("tool_call", "tool_calls"), ("function_call", "tool_calls"),
            ("content_filter", "content_filter"), ("error", "error"), ("something new", "other"), (None, "unknown"), ("", "unknown"), (7, "other")]  # fmt: skip


@pytest.mark.parametrize(("raw", "unified"), FINISHES)
def test_finish_reasons(raw: Any, unified: str) -> None:
    message = read({"content": "a"}, raw)
    assert message.finish_reason == unified
    assert message.raw_finish_reason == (str(raw) if raw else None)


def test_stop_with_calls_means_calls() -> None:
    assert (
        read({"tool_calls": [{"id": "1", "function": {"name": "f", "arguments": "{}"}}]}).finish_reason == "tool_calls"
    )


def test_a_filtered_answer_without_message() -> None:
    """Azure: the choice has the filter's findings and no message."""
    body = {
        "choices": [
            {"index": 0, "finish_reason": "content_filter", "content_filter_results": {"hate": {"filtered": True}}}
        ]
    }
    message = plain_of(OpenAIChat(), body)
    assert (message.content, message.finish_reason) == ("", "content_filter")
    assert message.raw["choices"][0]["content_filter_results"] == {"hate": {"filtered": True}}


def test_message_data_goes_back() -> None:
    given = {
        "content": "a",
        "reasoning_opaque": "o",
        "extra_content": {"google": {"x": 1}},
        "annotations": [{"type": "file", "file": {"hash": "h"}}],
    }
    message = read(given)
    kept = {
        "reasoning_opaque": "o",
        "extra_content": {"google": {"x": 1}},
        "annotations": [{"type": "file", "file": {"hash": "h"}}],
    }
    assert message.provider_data == {"host": {"message": kept}}
    wire = json.loads(OpenAIChat("host").encode(call(H, message)).body)["messages"][1]
    assert wire == {"role": "assistant", **given}
    assert json.loads(OpenAIChat("other").encode(call(H, message)).body)["messages"][1] == {
        "role": "assistant",
        "content": "a",
    }


def test_sources_of_a_search() -> None:
    body = {
        **answer({"content": "a [1]"}),
        "citations": ["https://e.com/1"],
        "search_results": [{"url": "https://e.com/1", "title": "t", "snippet": "s"}],
    }
    assert plain_of(OpenAIChat(), body).citations == [Citation(url="https://e.com/1", title="t", cited_text="s")]
    del body["search_results"]
    assert plain_of(OpenAIChat(), body).citations == [Citation(url="https://e.com/1")]


USAGES: list[tuple[str, dict[str, Any], tuple[Any, ...]]] = [
    ("deepseek", {"prompt_tokens": 9, "completion_tokens": 5, "prompt_cache_hit_tokens": 4, "prompt_cache_miss_tokens": 5}, (9, 5, 4, None, None)),
    ("gateway", {"prompt_tokens": 9, "completion_tokens": 5, "cache_creation_input_tokens": 3, "cache_read_input_tokens": 2}, (9, 5, 2, 3, None)),
    ("x.ai", {"prompt_tokens": 9, "completion_tokens": 5, "total_tokens": 21, "completion_tokens_details": {"reasoning_tokens": 7}}, (9, 12, None, None, 7)),
    ("nulls", {"prompt_tokens": 9, "completion_tokens": None, "prompt_tokens_details": None, "completion_tokens_details": None}, (9, None, None, None, None)),
    ("floats", {"prompt_tokens": 9.0, "completion_tokens": 5.0, "completion_tokens_details": {"reasoning_tokens": True}}, (9, 5, None, None, None)),
]  # fmt: skip


@pytest.mark.parametrize(("wire", "counts"), [u[1:] for u in USAGES], ids=[u[0] for u in USAGES])
def test_usage(wire: dict[str, Any], counts: tuple[Any, ...]) -> None:
    usage = plain_of(OpenAIChat(), {**answer({"content": "a"}), "usage": wire}).usage
    assert usage is not None
    assert (
        usage.input_tokens,
        usage.output_tokens,
        usage.cache_read_tokens,
        usage.cache_write_tokens,
        usage.reasoning_tokens,
    ) == counts


@pytest.mark.parametrize("wire", [None, {}, [], "x", 5, {"total_tokens": 3}])
def test_no_usage(wire: Any) -> None:
    assert plain_of(OpenAIChat(), {**answer({"content": "a"}), "usage": wire}).usage is None


def test_counts_that_do_not_add_up_are_kept() -> None:
    usage = plain_of(
        OpenAIChat(),
        {**answer({"content": "a"}), "usage": {"prompt_tokens": 1, "completion_tokens": 1, "cached_tokens": 5}},
    ).usage
    assert usage is not None
    assert usage.inconsistent
    assert usage.uncached_input_tokens == 0


@pytest.mark.parametrize(
    "body", [b"", b"nothing", b'{"choices": 5}', b"[]", b'{"choices": [{"message": {"content": 5}}]}']
)
def test_what_is_no_answer(body: bytes) -> None:
    with pytest.raises(ProtocolError) as raised:
        OpenAIChat().decode(HTTPResponse(status=200, body=body))
    assert raised.value.data == body


def test_odd_bodies() -> None:
    ours = OpenAIChat()
    assert plain_of(ours, b'  \n\n {"choices": [{"message": {"content": "a"}, "finish_reason": "stop"}]}').text == "a"
    assert (
        plain_of(
            ours, b'{"choices": [null, {"message": null, "delta": {"content": "a"}}], "id": 5, "model": null}'
        ).text
        == "a"
    )
    assert plain_of(ours, b'{"choices": [{"message": {"content": "half \\ud83d"}}]}').text == "half \ufffd"
    assert plain_of(ours, b'{"choices": [{"message": {"content": "bare \n line", "x": NaN}}]}').text == "bare \n line"
    assert plain_of(ours, b"\xef\xbb\xbf" + b'{"choices": [{}]}').finish_reason == "unknown"
    lone = plain_of(
        ours,
        b'{"choices": [{"message": {"content": "a", "annotations": [{"type": "f", "x": "\\ud83d"}]}}], "id": "\\ude00"}',
    )
    lone.to_json()  # all of it is text now


# ---- errors

STREAM_ERRORS: list[tuple[str, bytes, type[ChatModelError], int | None, str]] = [
    ("OpenRouter: the only data", b'data: {"error": {"code": 502, "message": "upstream"}}\n\n', OverloadedError, 502, "upstream"),
    ("OpenRouter: with choices", sse(chunk({"content": ""}, error={"code": 400, "message": "Token limit reached"})), ProviderError, 400, "Token limit reached"),
    ("a choice's error", sse({"choices": [{"index": 0, "delta": {"content": ""}, "error": {"code": 502, "message": "broke"}}]}), OverloadedError, 502, "broke"),
    ("Groq: event error", b'event: error\ndata: {"error": {"message": "no tool", "status_code": 400, "failed_generation": "x"}}\n\n', ProviderError, 400, "no tool"),
    ("Groq: x_groq", sse({"choices": [], "x_groq": {"id": "r", "error": "over capacity"}}), ProviderError, None, "over capacity"),
    ("event error without error", b'event: error\ndata: {"message": "busy", "code": 503}\n\n', OverloadedError, 503, "busy"),
    ("plain JSON error", b'{"error": {"message": "no", "code": 429}}', RateLimitError, 429, "no"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("data", "kind", "status", "words"), [e[1:] for e in STREAM_ERRORS], ids=[e[0] for e in STREAM_ERRORS]
)
def test_errors_inside_a_stream(data: bytes, kind: type[ChatModelError], status: int | None, words: str) -> None:
    with pytest.raises(kind) as raised:
        events_of(OpenAIChat("host"), [data])
    assert getattr(raised.value, "status", None) == status
    assert words in str(raised.value)
    assert raised.value.provider == "host"


def test_the_text_before_an_error_is_given_out_first() -> None:
    decoder = OpenAIChat().stream_decoder()
    came = decoder.feed(sse(chunk({"content": "a"}), chunk({}, error={"message": "broke"})))
    assert came[1] == TextDelta("a")
    with pytest.raises(ProviderError):
        decoder.feed(b"")


def test_an_event_that_cannot_be_read() -> None:
    with pytest.raises(ProtocolError) as raised:
        events_of(OpenAIChat(), [b'data: {"choices": [{"delta": {"content": 5}}]}\n\n'])
    assert raised.value.path == "$.choices[0].delta.content"
    with pytest.raises(ProtocolError):
        events_of(OpenAIChat(), [b"data: oops\n\n"])


ERRORS: list[tuple[str, int, Any, type[ProviderError], str]] = [
    ("OpenAI", 401, {"error": {"message": "Incorrect API key", "type": "invalid_request_error", "code": "invalid_api_key"}}, AuthenticationError, "Incorrect API key"),
    ("no money", 429, {"error": {"message": "quota", "code": "insufficient_quota"}}, OutOfCreditError, "quota"),
    ("too long", 400, {"error": {"message": "long", "code": "context_length_exceeded"}}, ContextTooLongError, "long"),
    ("llama.cpp: too long", 400, {"error": {"code": 400, "message": "the request exceeds the available context size", "type": "exceed_context_size_error", "n_ctx": 512}},
     ContextTooLongError, "exceeds"),
    ("Azure: filtered", 400, {"error": {"message": "filtered", "code": "content_filter", "innererror": {"code": "ResponsibleAIPolicyViolation"}}}, ContentFilterError, "filtered"),
    ("x.ai", 400, {"code": "Client specified an invalid argument", "error": "Incorrect API key provided"}, ProviderError, "Incorrect API key provided"),
    ("Venice, Ollama: a string", 404, {"error": "no such model"}, ProviderError, "no such model"),
    ("chatgpt.com: detail", 400, {"detail": "Unsupported"}, ProviderError, "Unsupported"),
    ("doubleword: flat", 400, {"code": "x", "message": "flat", "type": "invalid_request_error"}, ProviderError, "flat"),
    ("a page", 502, "<html>Bad gateway</html>", OverloadedError, "Bad gateway"),
    ("nothing", 500, "", OverloadedError, "HTTP 500"),
]  # fmt: skip


@pytest.mark.parametrize(("status", "body", "kind", "words"), [e[1:] for e in ERRORS], ids=[e[0] for e in ERRORS])
def test_errors(status: int, body: Any, kind: type[ProviderError], words: str) -> None:
    data = body.encode() if isinstance(body, str) else json.dumps(body).encode()
    misleading = {"x-request-id": "r-1", "content-type": "application/octet-stream"}  # DeepSeek's, for JSON
    error = OpenAIChat("host").decode_error(HTTPResponse(status=status, headers=misleading, body=data))
    assert isinstance(error, kind)
    assert (error.status, error.request_id, error.provider) == (status, "r-1", "host")
    assert words in str(error)


@pytest.mark.parametrize("body", [
    {"error": {"message": "broke", "code": 502}},
    {"error": {"message": "broke", "code": 502}, "choices": []},
    {"choices": [{"message": {"content": "half"}, "error": {"message": "broke", "code": 502}}]},
])  # fmt: skip
def test_errors_inside_a_200(body: dict[str, Any]) -> None:
    with pytest.raises(OverloadedError) as raised:
        plain_of(OpenAIChat("host"), body)
    assert (raised.value.status, raised.value.message) == (502, "broke")
