"""A conversation that began on one provider goes on at another: what is translated, what is dropped and named, that nothing
of one maker's secrets reaches another, and that coming back loses nothing. All pairs of the eight wire formats.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from chatmodels._call import HTTPRequest, HTTPResponse
from chatmodels._errors import ChatModelError, UsageError
from chatmodels._inputs import from_json
from chatmodels._messages import AIMessage, HumanMessage, Message, ToolMessage
from chatmodels._parts import (
    Audio,
    Citation,
    File,
    Image,
    InvalidToolCall,
    Opaque,
    Part,
    Reasoning,
    Refusal,
    ServerTool,
    Text,
    ToolCall,
    Video,
)
from chatmodels.dialects.openai_chat import OpenAIChat

from .dialects import wire_records
from .portable_checks import check, pairs, quiet
from .portable_talks import DIALECTS, MODELS, PNG, answers, call, mark, secret, secrets, talk

NAMES = list(DIALECTS)
PAIRS = [(maker, taker) for maker in NAMES for taker in NAMES if maker != taker]
#: Kinds of parts of an answer that another provider cannot take as they are.
UNPORTABLE = (Reasoning, ServerTool, Opaque, Audio)
#: Takes any image of an answer but one by URL.
IMAGES_TAKEN = ("google", "ollama")


def sent(taker: str, messages: tuple[Message, ...]) -> HTTPRequest:
    request: HTTPRequest = DIALECTS[taker].encode(call(taker, messages))
    return request


# ---- every pair, over everything that a provider can say


@pytest.mark.parametrize("maker", NAMES)
def test_its_own_maker_gets_everything_back(maker: str) -> None:
    request = sent(maker, talk(maker))
    assert secrets(maker) == {s for s in secrets(maker) if s in request.body.decode()}
    assert request.warnings == ()


@pytest.mark.parametrize(("maker", "taker"), PAIRS)
def test_no_secret_reaches_another(maker: str, taker: str) -> None:
    assert mark(maker) not in sent(taker, talk(maker)).body.decode()


@pytest.mark.parametrize(("maker", "taker"), PAIRS)
def test_all_that_was_said_arrives(maker: str, taker: str) -> None:
    body = sent(taker, talk(maker)).body.decode()
    said = [p.text for m in answers(maker) for p in m.parts if isinstance(p, (Text, Refusal))]
    said += [p.transcript for m in answers(maker) for p in m.parts if isinstance(p, Audio) and p.transcript]
    assert len(said) >= 3
    for words in [*said, "be brief", f"look, {maker}", "result 1", "result 2", "thanks"]:
        assert words in body, words


@pytest.mark.parametrize(("maker", "taker"), PAIRS)
def test_what_is_dropped_is_named(maker: str, taker: str) -> None:
    """Each part that does not go over has a warning with its place; nothing else has one."""
    messages = talk(maker)
    told = {place for w in sent(taker, messages).warnings if (place := _place(w))}
    lost: set[str] = set()
    for number, message in enumerate(messages):
        if not isinstance(message, AIMessage):
            continue
        for position, part in enumerate(message.parts):
            cited = isinstance(part, Text) and part.citations
            image = isinstance(part, Image) and taker not in IMAGES_TAKEN
            if isinstance(part, UNPORTABLE) or cited or image:
                # Cohere's citations stand beside the content, and so does the warning about them.
                beside = cited and taker == "cohere"
                lost.add(f"messages[{number}]" + ("" if beside else f".content[{position}]"))
    assert told == lost


def _place(warning: str) -> str | None:
    found = re.match(r"(messages\[\d+\](?:\.content\[\d+\])?): ", warning)
    return found[1] if found else None


@pytest.mark.parametrize(("maker", "taker"), PAIRS)
def test_results_answer_the_same_calls(maker: str, taker: str) -> None:
    body = json.loads(sent(taker, talk(maker)).body)
    found = pairs(taker, body)
    assert len(found) == 2
    for arguments, result in found:
        assert f"result {json.loads(arguments)['n']}" in result


@quiet
@pytest.mark.parametrize("maker", NAMES)
def test_the_official_types_take_it(maker: str) -> None:
    for taker in NAMES:
        if taker != maker:
            check(taker, MODELS[taker], json.loads(sent(taker, talk(maker)).body))


@pytest.mark.parametrize(("maker", "taker"), PAIRS)
def test_coming_back_loses_nothing(maker: str, taker: str) -> None:
    """There and back, through JSON: the maker gets the very bytes that it got before the other had a turn."""
    messages = talk(maker)
    before = sent(maker, messages)
    there = sent(taker, messages)
    stored = tuple(from_json(m.to_json()) for m in messages)
    assert stored == messages
    assert sent(taker, stored) == there
    assert sent(maker, stored) == before


@pytest.mark.parametrize(("maker", "taker"), PAIRS)
def test_answers_between_do_not_change_those_before(maker: str, taker: str) -> None:
    """With the other's turns in it, the maker gets all of its own again and nothing of the other's."""
    body = sent(maker, talk(maker, taker)).body.decode()
    assert secrets(maker) == {s for s in secrets(maker) if s in body}
    assert mark(taker) not in body


@pytest.mark.parametrize("taker", NAMES)
def test_a_conversation_with_all_of_them(taker: str) -> None:
    body = sent(taker, talk(*NAMES)).body.decode()
    for maker in NAMES:
        there = {s for s in secrets(maker) if s in body}
        assert there == (secrets(maker) if maker == taker else set()), maker
    assert len(pairs(taker, json.loads(body))) == 2 * len(NAMES)


@pytest.mark.parametrize(("maker", "taker"), [("openai", "openrouter"), ("openrouter", "openai"), ("groq", "deepseek")])
def test_two_hosts_of_one_format_keep_their_secrets_too(maker: str, taker: str) -> None:
    hosts = {name: OpenAIChat(name, reasoning_field="reasoning") for name in (maker, taker)}
    wire = {
        "content": "first",
        "reasoning": "thinking",
        "reasoning_details": [{"type": "reasoning.encrypted", "data": secret(maker, "Encrypted")}],
        "reasoning_opaque": secret(maker, "Opaque"),
    }
    body = json.dumps({"choices": [{"message": wire, "finish_reason": "stop"}]}).encode()
    asked = call(
        "openai", (HumanMessage("a"), hosts[maker].decode(HTTPResponse(status=200, body=body)), HumanMessage("b"))
    )
    assert hosts[maker].encode(asked).body.decode().count(mark(maker)) == 2
    there = hosts[taker].encode(asked)
    assert mark(maker) not in there.body.decode()
    assert there.warnings == (f"messages[1].content[0]: the reasoning of another provider is not sent to {taker}",)


# ---- ids of calls

ODD_IDS = ["", "call_1", "functions.f:0", "x" * 100, "é|ü", "a b", "call_1"]


@pytest.mark.parametrize("taker", NAMES)
def test_ids_that_are_refused_are_mapped_alike_on_call_and_result(taker: str) -> None:
    """Odd, long and repeated ids; each answer has one call, which its own result follows."""
    messages: list[Message] = [HumanMessage("hi")]
    for n, ident in enumerate(ODD_IDS):
        messages.append(AIMessage([ToolCall(ident, "f", {"n": n})], provider="elsewhere"))
        messages.append(ToolMessage(f"result {n}", tool_call_id=ident, name="f"))
    body = json.loads(sent(taker, tuple(messages)).body)
    found = pairs(taker, body)
    assert [json.loads(arguments)["n"] for arguments, _ in found] == list(range(len(ODD_IDS)))
    assert all(f"result {n}" in result for n, (_, result) in enumerate(found))
    assert sent(taker, tuple(messages)).body == sent(taker, tuple(messages)).body


_ALLOWED = {
    "openai": r".{1,40}",
    "openai-responses": r"[!-~]{1,64}",
    "anthropic": r"[a-zA-Z0-9_-]{1,128}",
    "bedrock": r"[a-zA-Z0-9_.:-]{1,64}",
    "mistral": r"[a-zA-Z0-9]{9}",
}


@pytest.mark.parametrize("taker", _ALLOWED)
def test_ids_are_such_as_the_provider_takes(taker: str) -> None:
    messages = [AIMessage([ToolCall(i, "f", {})], provider="elsewhere") for i in ODD_IDS]
    body = sent(taker, (HumanMessage("hi"), *messages)).body.decode()
    ids = re.findall(r'"(?:toolUseId|call_id|id)":"([^"]*)"', body)
    assert len(set(ids)) == len(ODD_IDS)
    assert all(re.fullmatch(_ALLOWED[taker], i) for i in ids), ids


def test_own_ids_that_another_makes_too() -> None:
    """Two hosts that both count from `call_0`, turn by turn: each result goes to the call before it."""
    messages: list[Message] = [HumanMessage("hi")]
    for n, maker in enumerate(["ollama", "ollama", "openai", "ollama", "openai"]):
        messages.append(AIMessage([ToolCall("call_0", "f", {"n": n})], provider=maker))
        messages.append(ToolMessage(f"result {n}", tool_call_id="call_0", name="f"))
    for taker in NAMES:
        found = pairs(taker, json.loads(sent(taker, tuple(messages)).body))
        assert all(f"result {json.loads(arguments)['n']}" in result for arguments, result in found)
        assert len(found) == 5


def test_the_result_of_a_call_in_the_manner_of_2023() -> None:
    said = {"role": "assistant", "content": None, "function_call": {"name": "f", "arguments": "{}"}}
    body = json.dumps({"choices": [{"message": said, "finish_reason": "function_call"}]}).encode()
    answer = DIALECTS["openai"].decode(HTTPResponse(status=200, body=body))
    result = ToolMessage("22 degrees", tool_call_id=answer.tool_calls[0].id, name="f")
    wire = json.loads(sent("openai", (HumanMessage("hi"), answer, result)).body)["messages"]
    assert wire[1]["function_call"] == {"name": "f", "arguments": "{}"}
    assert wire[2] == {"role": "function", "name": "f", "content": "22 degrees"}
    for taker in NAMES[1:]:
        found = pairs(taker, json.loads(sent(taker, (HumanMessage("hi"), answer, result)).body))
        assert len(found) == 1
        assert "22 degrees" in found[0][1]


# ---- the table of the docs

PROBE = "probe"
DATA = b"RIFF0000WAVEprobe"
PDF = b"%PDF-1.4 probe"

#: What the table's rows are: a message with one part of a foreign answer, or of the user; and what shows that it arrived.
ROWS: dict[str, tuple[Message, str]] = {
    "text": (AIMessage([Text(PROBE)], provider="elsewhere"), PROBE),
    "tool calls": (AIMessage([ToolCall("c1", "f", {"a": PROBE})], provider="elsewhere"), PROBE),
    "calls with broken arguments": (AIMessage([InvalidToolCall("c1", "f", PROBE)], provider="elsewhere"), PROBE),
    "refusals": (AIMessage([Text("x"), Refusal(PROBE)], provider="elsewhere"), PROBE),
    "audio said": (AIMessage([Audio(data=DATA, transcript=PROBE)], provider="elsewhere"), PROBE),
    "images made": (AIMessage([Text("x"), Image(data=PNG)], provider="elsewhere"), "iVBORw0KGgowMDAw"),
    "reasoning, signatures": (AIMessage([Text("x"), Reasoning(PROBE, signature="s")], provider="elsewhere"), PROBE),
    "citations": (AIMessage([Text("x", (Citation(url=f"https://{PROBE}"),))], provider="elsewhere"), PROBE),
    "tools the provider ran": (AIMessage([Text("x"), ServerTool(kind="web_search", args=PROBE)], provider="elsewhere"), PROBE),
    "parts nobody knows": (AIMessage([Text("x"), Opaque(provider="elsewhere", data={"a": PROBE})], provider="elsewhere"), PROBE),
    "your images (bytes)": (HumanMessage([Image(data=PNG)]), "iVBORw0KGgowMDAw"),
    "your images (URL)": (HumanMessage([Image(url=f"https://{PROBE}/i.png")]), PROBE),
    "your PDFs (bytes)": (HumanMessage([File(data=PDF, media_type="application/pdf", name="a.pdf")]), "JVBERi0xLjQgcHJvYmU="),
    "your PDFs (URL)": (HumanMessage([File(url=f"https://{PROBE}/f.pdf")]), PROBE),
    "your text files": (HumanMessage([File(data=PROBE.encode(), media_type="text/plain", name="a.txt")]), PROBE),
    "your audio (bytes)": (HumanMessage([Audio(data=DATA, media_type="audio/wav")]), "UklGRjAwMDBXQVZFcHJvYmU="),
    "your video (bytes)": (HumanMessage([Video(data=b"0000ftypprobe", media_type="video/mp4")]), "MDAwMGZ0eXBwcm9iZQ=="),
}  # fmt: skip


def outcome(taker: str, message: Message, shows: str) -> str:
    """ "yes"; "changed", with a warning; "dropped", with a warning; "error", before anything is sent."""
    messages: list[Message] = [HumanMessage("hi"), message]
    if isinstance(message, AIMessage):
        messages += [ToolMessage("r", tool_call_id=c.id, name=c.name) for c in message.tool_calls]
    try:
        request = sent(taker, (*messages, HumanMessage("on")))
    except UsageError as error:
        return "error" if "messages[1].content[0]" in str(error) else f"error without a place: {error}"
    body = request.body.decode()
    arrived = shows in body or (shows == PROBE and "cHJvYmU=" in body)
    assert arrived or request.warnings, "lost without a word"
    if not arrived:
        return "dropped"
    return "changed" if request.warnings else "yes"


def table() -> list[str]:
    lines = ["| | " + " | ".join(NAMES) + " |", "| --- " * (len(NAMES) + 1) + "|"]
    for name, (message, shows) in ROWS.items():
        lines.append(f"| {name} | " + " | ".join(outcome(taker, message, shows) for taker in NAMES) + " |")
    return lines


def test_the_table_of_the_docs_is_what_happens() -> None:
    page = (Path(__file__).resolve().parents[1] / "docs" / "portability.md").read_text()
    shown = [line for line in page.splitlines() if line.startswith("|")]
    assert "\n".join(table()) in "\n".join(shown)


# ---- recorded answers

RECORDED = {
    "openai": ("openai-chat", "openai"),
    "openai-responses": ("openai-responses", "openai-responses"),
    "anthropic": ("anthropic-messages", "anthropic"),
    "google": ("google-generate", "google"),
    "bedrock": ("bedrock-converse", "bedrock"),
    "cohere": ("cohere-chat-v2", "cohere"),
    "mistral": ("mistral-chat", "mistral"),
    "ollama": ("ollama-chat", "ollama"),
}
SAMPLE = 25


def recorded(maker: str) -> list[AIMessage]:
    """Recorded plain answers that hold more than text, the richest kinds first."""
    oracle = wire_records.load("oracle")
    kinds: dict[tuple[str, ...], list[AIMessage]] = {}
    for record in wire_records.records(RECORDED[maker][0]):
        if record["stream"] or record["status"] >= 400:
            continue
        try:
            answer = DIALECTS[maker].decode(wire_records.response(record, oracle.body_bytes(record)))
        except ChatModelError:  # an error inside a 200
            continue
        kind = tuple(
            sorted({type(p).__name__ + (" cited" if isinstance(p, Text) and p.citations else "") for p in answer.parts})
        )
        if kind not in ((), ("Text",)):
            kinds.setdefault(kind, []).append(answer)
    found: list[AIMessage] = []
    while len(found) < SAMPLE and any(kinds.values()):
        found += [some.pop(0) for some in kinds.values() if some]
    return found[:SAMPLE]


def opaque_values(maker: str, answer: AIMessage) -> set[str]:
    """Signatures, encrypted content, and the long texts of `provider_data` and of opaque parts that are not part of what
    was said."""
    found: set[str] = set()

    def walk(value: Any) -> None:
        if isinstance(value, dict):
            value = list(value.values())
        if isinstance(value, (list, tuple)):
            for item in value:
                walk(item)
        elif isinstance(value, str) and len(value) > 24 and value.isascii() and not re.search(r"[\s:]", value):
            found.add(value)

    walk(answer.provider_data)
    for part in answer.parts:
        walk(part.provider_data)
        if isinstance(part, Reasoning):
            walk([part.signature, part.encrypted])
        elif isinstance(part, Opaque):
            walk(part.data)
        elif isinstance(part, ServerTool):
            walk(part.id)
        elif isinstance(part, Text):
            walk([c.provider_data for c in part.citations])
    said = answer.text + "".join(c.args_text + c.id + c.name for c in answer.tool_calls)
    return {value for value in found if value not in said}


@pytest.mark.skipif(not wire_records.THERE, reason="the recorded traffic is not beside the repository")
@quiet
@pytest.mark.parametrize("maker", NAMES)
def test_recorded_answers_go_on_elsewhere(maker: str) -> None:
    rich = recorded(maker)
    assert rich
    for answer in rich:
        results: list[Message] = [
            ToolMessage(f"result {n}", tool_call_id=c.id, name=c.name) for n, c in enumerate(answer.tool_calls)
        ]
        messages = (HumanMessage("hi"), answer, *results, HumanMessage("go on"))
        before = sent(maker, messages)
        hidden = opaque_values(maker, answer)
        for taker in NAMES:
            if taker == maker:
                continue
            request = sent(taker, messages)
            body = request.body.decode()
            assert not {v for v in hidden if v in body}, (answer.id, taker)
            assert json.dumps(answer.text[:20], ensure_ascii=False)[1:-1] in body
            assert len(pairs(taker, json.loads(body))) == len(results), (answer.id, taker)
            check(taker, MODELS[taker], json.loads(body))
            for position, part in enumerate(answer.parts):
                if _is_lost(part):
                    assert any(f"messages[1].content[{position}]" in w for w in request.warnings), (
                        answer.id,
                        taker,
                        part,
                    )
        assert sent(maker, tuple(from_json(m.to_json()) for m in messages)) == before


def _is_lost(part: Part) -> bool:
    return isinstance(part, (Reasoning, ServerTool, Opaque))
