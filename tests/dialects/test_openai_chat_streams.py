"""Chat Completions streams, generated: an answer is told as a plain body and as chunks, cut up in every way that hosts do.

Any split of the bytes gives the same events; their fold is what the plain answer says; a stream that ends before its last
finish reason raises with what came.
"""

from __future__ import annotations

import json
from base64 import b64encode
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from chatmodels._errors import IncompleteStream
from chatmodels._events import End, Event
from chatmodels._fold import Fold, fold
from chatmodels.dialects._base import StreamDecoder
from chatmodels.dialects.openai_chat import OpenAIChat

from .. import strategies as made
from .stream_checks import events_of, plain_of, same_but_provider

often = settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
DIALECT = OpenAIChat()
said = st.text(st.characters(codec="utf-8") | st.sampled_from("😀👩‍🚀é"), max_size=14)


def halves(text: str) -> list[str]:
    """The text as UTF-16 has it: an emoji is two pieces, which JSON escapes write one by one."""
    data = text.encode("utf-16-le", "surrogatepass")
    return [data[i : i + 2].decode("utf-16-le", "surrogatepass") for i in range(0, len(data), 2)]


@st.composite
def pieces(draw: st.DrawFn, text: str) -> list[str]:
    """The text in pieces, in the middle of an emoji too."""
    units = halves(text)
    cuts = sorted(draw(st.lists(st.integers(0, len(units)), max_size=4)))
    out = ["".join(units[a:b]) for a, b in zip([0, *cuts], [*cuts, len(units)], strict=True)]
    return [_joined(p) for p in out if p] or [""]


def _joined(units: str) -> str:
    return units.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "surrogatepass")


class Told:
    """One choice: `message` as the plain answer has it, `deltas` as the stream does."""

    def __init__(self) -> None:
        self.message: dict[str, Any] = {"role": "assistant"}
        self.deltas: list[dict[str, Any]] = [{"role": "assistant"}]
        self.logprobs: list[dict[str, Any]] = []


@st.composite
def choices(draw: st.DrawFn) -> Told:
    told = Told()
    _reasoning(draw, told)
    draw(st.sampled_from([_text, _text, _list]))(draw, told)
    for rare in (_citations, _refusal, _audio, _image, _server_tool):  # in the order of the plain answer's parts
        if draw(st.integers(0, 3)) == 0:
            rare(draw, told)
    draw(st.sampled_from([_nothing, _calls, _calls, _calls_without_index, _legacy]))(draw, told)
    return told


def _nothing(draw: st.DrawFn, told: Told) -> None:
    pass


def _reasoning(draw: st.DrawFn, told: Told) -> None:
    spelling = draw(st.sampled_from(["", "reasoning", "reasoning_content", "both", "details", "reasoning and details"]))
    if not spelling:
        return
    text = draw(said.filter(bool))
    fields = {"both": ("reasoning", "reasoning_content"), "details": (), "reasoning and details": ("reasoning",)}
    for field in fields.get(spelling, (spelling,)):
        told.message[field] = text
    if "details" in spelling:
        told.message["reasoning_details"] = [{"type": "reasoning.text", "index": 0, "text": text, "signature": "sig"}]
    for piece in draw(pieces(text)):
        delta: dict[str, Any] = {"content": draw(st.sampled_from(["", None]))}
        delta |= {field: piece for field in fields.get(spelling, (spelling,))}
        if "details" in spelling:
            delta["reasoning_details"] = [{"type": "reasoning.text", "index": 0, "text": piece}]
        told.deltas.append(delta)
    if "details" in spelling:
        told.deltas.append(
            {"reasoning_details": [{"type": "reasoning.text", "index": 0, "text": "", "signature": "sig"}]}
        )


def _text(draw: st.DrawFn, told: Told) -> None:
    told.message["content"] = draw(said)
    told.deltas += [{"content": p} for p in draw(pieces(told.message["content"]))]


def _list(draw: st.DrawFn, told: Told) -> None:
    """Content as a list, with a kind of part that nobody knows between the texts."""
    first, second = draw(said), draw(said)
    odd = {"type": "hologram", "data": draw(made.json_values)}
    told.message["content"] = [{"type": "text", "text": first}, odd, {"type": "text", "text": second}]
    told.deltas += [{"content": [{"type": "text", "text": p}]} for p in draw(pieces(first))]
    told.deltas.append({"content": [odd]})
    told.deltas += [{"content": p} for p in draw(pieces(second))]


def _citations(draw: st.DrawFn, told: Told) -> None:
    cited = {"url": "https://example.com", "title": draw(said), "start_index": 0, "end_index": 1}
    told.message["annotations"] = [
        {"type": "url_citation", "url_citation": cited},
        {"type": "file", "file": {"hash": "h"}},
    ]
    told.deltas.append({"annotations": told.message["annotations"]})


def _refusal(draw: st.DrawFn, told: Told) -> None:
    told.message["refusal"] = draw(said)
    told.deltas += [{"refusal": p} for p in draw(pieces(told.message["refusal"]))]


def _audio(draw: st.DrawFn, told: Told) -> None:
    data, transcript = draw(st.binary(max_size=9)), draw(said)
    told.message["audio"] = {
        "id": "audio_1",
        "data": b64encode(data).decode(),
        "transcript": transcript,
        "expires_at": 1,
    }
    told.deltas.append({"audio": {"id": "audio_1"}})
    told.deltas += [{"audio": {"transcript": p}} for p in draw(pieces(transcript))]
    told.deltas += [{"audio": {"data": b64encode(data[i : i + 4]).decode()}} for i in range(0, len(data), 4)]
    told.deltas.append({"audio": {"expires_at": 1}})


def _image(draw: st.DrawFn, told: Told) -> None:
    told.message["images"] = [{"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBORw0KGgo="}}]
    told.deltas.append({"images": told.message["images"]})


def _server_tool(draw: st.DrawFn, told: Told) -> None:
    tool = {"index": 0, "type": "search", "arguments": "{}", "output": draw(said)}
    told.message["executed_tools"] = [tool]
    told.deltas += [{"executed_tools": [{**tool, "output": None}]}, {"executed_tools": [tool]}]


arguments = made.json_objects.map(lambda o: json.dumps(o, ensure_ascii=False)) | st.sampled_from(
    ["", "{}", '{"a": 1, "b": "x"}', '{"cut": ']
)


@st.composite
def calls_of(draw: st.DrawFn) -> list[dict[str, Any]]:
    names = draw(st.lists(made.words, min_size=1, max_size=3))
    out: list[dict[str, Any]] = []
    for number, name in enumerate(names):
        call: dict[str, Any] = {
            "id": f"call_{number}",
            "type": "function",
            "function": {"name": name, "arguments": draw(arguments)},
        }
        if draw(st.booleans()):
            call["extra_content"] = {"google": {"thought_signature": draw(made.idents)}}
        out.append(call)
    return out


def _calls(draw: st.DrawFn, told: Told) -> None:
    """Parallel calls, their pieces interleaved; later pieces repeat the id, have an empty one, or none."""
    calls = told.message["tool_calls"] = draw(calls_of())
    queues = [
        [
            {**c, "function": {**c["function"], "arguments": ""}, "index": n},
            *(
                {"index": n, **draw(later(c)), "function": {"arguments": p}}
                for p in draw(pieces(c["function"]["arguments"]))
            ),
        ]
        for n, c in enumerate(calls)
    ]
    told.deltas += [{"tool_calls": [p]} for p in draw(interleaved(queues))]


def later(call: dict[str, Any]) -> st.SearchStrategy[dict[str, Any]]:
    return st.sampled_from([{}, {"id": "", "type": ""}, {"id": call["id"]}, {"id": None, "type": "function"}])


def _calls_without_index(draw: st.DrawFn, told: Told) -> None:
    """One call after the other; what has neither index nor id goes on with the last."""
    calls = told.message["tool_calls"] = draw(calls_of())
    for call in calls:
        first, *rest = draw(pieces(call["function"]["arguments"]))
        told.deltas.append({"tool_calls": [{**call, "function": {**call["function"], "arguments": first}}]})
        told.deltas += [
            {"tool_calls": [{**draw(st.sampled_from([{}, {"id": call["id"]}])), "function": {"arguments": p}}]}
            for p in rest
        ]


def _legacy(draw: st.DrawFn, told: Told) -> None:
    """A call in the manner of 2023."""
    told.message["function_call"] = {"name": draw(made.words), "arguments": draw(arguments)}
    told.deltas.append({"function_call": {"name": told.message["function_call"]["name"], "arguments": ""}})
    told.deltas += [
        {"function_call": {"arguments": p}} for p in draw(pieces(told.message["function_call"]["arguments"]))
    ]


@st.composite
def interleaved(draw: st.DrawFn, queues: list[list[Any]]) -> list[Any]:
    """All items, each queue in its own order; the queues begin in theirs."""
    order = draw(st.permutations([n for n, q in enumerate(queues) for _ in q]))
    left = [list(q) for q in queues]
    out: list[Any] = []
    begun = 0
    for number in order:
        chosen = number if number < begun else begun
        begun = max(begun, chosen + 1)
        while not left[chosen]:
            chosen = (chosen + 1) % len(left)
        begun = max(begun, chosen + 1)
        out.append(left[chosen].pop(0))
    return out


class Answer:
    """The plain body, the chunks of the stream, and which chunk has the last finish reason."""

    def __init__(self, body: dict[str, Any], chunks: list[dict[str, Any]], last: int, data: bytes) -> None:
        self.body, self.chunks, self.last, self.data = body, chunks, last, data


@st.composite
def answers(draw: st.DrawFn) -> Answer:
    told = draw(st.lists(choices(), min_size=1, max_size=2))
    finishes = [draw(st.sampled_from(["stop", "length", "tool_calls", "eos", "content_filter"])) for _ in told]
    usage = {
        "prompt_tokens": draw(st.integers(0, 99)),
        "completion_tokens": draw(st.integers(9, 99)),
        "total_tokens": 0,
    }
    usage["completion_tokens_details"] = {"reasoning_tokens": draw(st.integers(0, 9))}
    head = {"id": "chatcmpl-1", "model": "gpt-x", "object": "chat.completion.chunk", "unknown": draw(made.json_values)}
    queues: list[list[dict[str, Any]]] = []
    for number, (one, finish) in enumerate(zip(told, finishes, strict=True)):
        _log(draw, one)
        queue = [{"index": number, "delta": d, "finish_reason": None, "logprobs": None} for d in one.deltas]
        for place, token in enumerate(one.logprobs):
            queue[place % len(queue)]["logprobs"] = _logged(queue[place % len(queue)]["logprobs"], token)
        one.logprobs = [t for q in queue for t in (q["logprobs"] or {"content": []})["content"]]
        queues.append([*queue, {"index": number, "delta": {}, "finish_reason": finish, "new": 1}])
    chunks = [{**head, "choices": [c]} for c in draw(interleaved(queues))]
    last = len(chunks) - 1
    _spread_usage(draw, chunks, usage, head)
    body = {
        **head,
        "object": "chat.completion",
        "usage": usage,
        "choices": [
            {
                "index": n,
                "message": t.message,
                "finish_reason": f,
                "new": 1,
                "logprobs": {"content": t.logprobs} if t.logprobs else None,
            }
            for n, (t, f) in enumerate(zip(told, finishes, strict=True))
        ],
    }
    return Answer(body, chunks, last, draw(sse(chunks)))


def _log(draw: st.DrawFn, told: Told) -> None:
    tokens = draw(st.lists(said, max_size=3))
    told.logprobs = [{"token": t, "logprob": -0.5, "top_logprobs": []} for t in tokens]


def _logged(have: Any, token: dict[str, Any]) -> dict[str, Any]:
    return {"content": [*(have or {"content": []})["content"], token]}


def _spread_usage(draw: st.DrawFn, chunks: list[dict[str, Any]], usage: dict[str, Any], head: dict[str, Any]) -> None:
    """Usage after the last choice, with it, in Groq's place, or growing over several chunks."""
    form = draw(st.sampled_from(["after", "with", "x_groq", "growing"]))
    if form == "after":
        chunks.append({**head, "choices": [], "usage": usage})
    elif form == "x_groq":
        chunks[-1]["x_groq"] = {"usage": usage}
    else:
        chunks[-1]["usage"] = usage
    if form == "growing":
        chunks[0]["usage"] = {"prompt_tokens": usage["prompt_tokens"], "completion_tokens": 0}


@st.composite
def sse(draw: st.DrawFn, chunks: list[dict[str, Any]]) -> bytes:
    """The chunks as server-sent events, in UTF-8 or in escapes; halves of emoji must be escapes."""
    end = draw(st.sampled_from(["\n", "\r\n", "\r"]))
    comment = draw(st.sampled_from(["", ": keep-alive" + end + end]))
    escaped = draw(st.booleans())
    blocks = [f"data: {written(c, escaped)}{end}{end}" for c in chunks]
    done = draw(st.sampled_from(["", f"data: [DONE]{end}{end}"]))
    return (comment + comment.join(blocks) + done).encode()


def written(chunk: dict[str, Any], escaped: bool) -> str:
    text = json.dumps(chunk, ensure_ascii=escaped)
    return text if text.isprintable() or escaped else json.dumps(chunk)


def end_of_answer(answer: Answer) -> int:
    """Where in the bytes the last finish reason is complete."""
    for escaped in (True, False):
        payload = written(answer.chunks[answer.last], escaped).encode()
        if payload in answer.data:
            return answer.data.index(payload) + len(payload)
    raise AssertionError("the last chunk is not in the bytes")


def split(data: bytes, cuts: list[int]) -> list[bytes]:
    places = sorted({c % (len(data) + 1) for c in cuts})
    return [data[a:b] for a, b in zip([0, *places], [*places, len(data)], strict=True)]


@often
@given(answers())
def test_the_fold_is_the_plain_answer(answer: Answer) -> None:
    whole = events_of(DIALECT, [answer.data])
    assert same_but_provider(fold(whole)) == same_but_provider(plain_of(DIALECT, answer.body))
    assert [type(e) for e in whole].count(End) == 1
    assert isinstance(whole[-1], End)


@often
@given(answers(), st.lists(st.integers(0, 10_000), max_size=8), st.sampled_from([0, 1, 7]))
def test_any_split_gives_the_same_events(answer: Answer, cuts: list[int], size: int) -> None:
    data = answer.data
    parts = [data[i : i + size] for i in range(0, len(data), size)] if size else split(data, cuts)
    assert events_of(DIALECT, parts) == events_of(DIALECT, [data])


@often
@given(answers(), st.integers(0, 10_000))
def test_any_cut_raises_with_what_came(answer: Answer, at: int) -> None:
    """A cut before the last finish reason: the events before it stand, their fold is the partial answer."""
    data = answer.data[: at % end_of_answer(answer)]
    decoder = DIALECT.stream_decoder()
    came: list[Event] = decoder.feed(data)
    with pytest.raises(IncompleteStream):
        _closed(decoder, came)
    folding = Fold()
    for event in came:
        folding.add(event)
    partial, whole = folding.message(), fold(events_of(DIALECT, [answer.data]))
    assert partial.finish_reason is None
    assert whole.text.startswith(partial.text.rstrip("\ufffd")) or "\ufffd" in whole.text
    assert whole.reasoning.startswith(partial.reasoning.rstrip("\ufffd")) or "\ufffd" in whole.reasoning
    assert len(partial.tool_calls) <= len(whole.tool_calls)


def _closed(decoder: StreamDecoder, came: list[Event]) -> None:
    """Close it; the error comes now, or at the next word where there were still events."""
    came += decoder.close()
    decoder.close()


@often
@given(said.filter(lambda t: any(ord(c) > 0xFFFF for c in t)))
def test_emoji_split_between_chunks(text: str) -> None:
    """Each half as an escape in a chunk of its own, for text, working and arguments."""
    for field in ("content", "reasoning", "reasoning_content", "refusal"):
        chunks = [{"choices": [{"index": 0, "delta": {field: u}}]} for u in halves(text)]
        chunks.append({"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]})
        data = "".join(f"data: {json.dumps(c)}\n\n" for c in chunks).encode()
        message = fold(events_of(DIALECT, [data]))
        assert text in (message.text, message.reasoning, message.refusal)
        message.to_json()
