"""Token counts: exact by a vocabulary or the engine, a provider's own over a socket and from recordings, else estimated."""

from __future__ import annotations

import asyncio
import json
import struct
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings

from chatmodels import (
    AIMessage,
    AuthenticationError,
    ChatModel,
    HumanMessage,
    Image,
    ProtocolError,
    SystemMessage,
    UsageError,
)
from chatmodels._call import Call, HTTPResponse
from chatmodels._estimate_image import image_tokens, size_of
from chatmodels._parts import Audio, File, Video
from chatmodels.dialects.anthropic import Anthropic
from chatmodels.dialects.google import Google
from chatmodels.tokens import TokenCount, acount_tokens, count_tokens, encoding_name, estimate_text, estimate_tokens
from chatmodels.tokens._endpoint import ENDPOINTS, Counting

from . import strategies
from .conftest import KEY, chat
from .servers import Server, error, plain

WIRE = Path(__file__).resolve().parents[2] / "shared" / "wire"


# ---- estimates


def test_texts_are_estimated_by_their_script() -> None:
    assert estimate_text("") == 0
    assert estimate_text("abcd" * 10) == 10
    assert estimate_text("我喜欢编程") == 5
    assert estimate_text("Привет") == 3
    assert estimate_text("🙂") == 2


@settings(max_examples=10)
@given(strategies.conversations())
def test_any_conversation_has_an_estimate_that_grows_with_it(messages: Any) -> None:
    assert estimate_tokens(messages) >= 4 * len(messages)
    assert estimate_tokens([*messages, HumanMessage("more")]) == estimate_tokens(messages) + 5


def png(width: int, height: int) -> bytes:
    return b"\x89PNG\r\n\x1a\n" + b"\0\0\0\rIHDR" + struct.pack(">II", width, height) + b"\x08\x02\0\0\0"


JPEG = b"\xff\xd8\xff\xe0\x00\x04ab\xff\xc0\x00\x11\x08\x01\x00\x02\x00\x03\x01\x22\x00"
WEBPS = [
    b"RIFF\0\0\0\0WEBPVP8X\x0a\0\0\0\0\0\0\0\xff\x01\0\xff\0\0",
    b"RIFF\0\0\0\0WEBPVP8L\0\0\0\0\x2f" + (511 | 255 << 14).to_bytes(4, "little"),
    b"RIFF\0\0\0\0WEBPVP8 \0\0\0\0\0\0\0\x9d\x01\x2a\x00\x02\x00\x01",
]


@pytest.mark.parametrize("data", [png(512, 256), JPEG, b"GIF89a\x00\x02\x00\x01", *WEBPS])
def test_the_size_of_an_image_is_read_from_its_bytes(data: bytes) -> None:
    assert size_of(data) == (512, 256)
    for cut in range(len(data)):
        assert size_of(data[:cut]) in (None, (512, 256))


@pytest.mark.parametrize(
    ("provider", "size", "tokens"),
    [
        ("openai", (1024, 1024), 765),  # OpenAI's own examples
        ("openai", (2048, 4096), 1105),
        ("anthropic", (1092, 1092), 1590),  # Anthropic's
        ("anthropic", (200, 200), 54),
        ("google", (300, 300), 258),
        ("google", (1500, 700), 516),
        ("nobody", (10, 10), 800),
    ],
)
def test_images_cost_what_the_providers_pages_say(provider: str, size: tuple[int, int], tokens: int) -> None:
    assert image_tokens(Image(data=png(*size)), provider) == tokens


def test_images_and_sound_without_a_size() -> None:
    assert image_tokens(Image(url="https://a.test/x.png", detail="low"), "openai") == 85
    assert image_tokens(Image(url="https://a.test/x.png"), "openai") == 800
    second = Audio(data=b"RIFF" + bytes(47_996), media_type="audio/wav")
    assert estimate_tokens([HumanMessage([second])]) == 4 + 11
    assert estimate_tokens([HumanMessage([File(data=b"abcdefgh", media_type="text/plain")])]) == 4 + 2
    assert estimate_tokens([HumanMessage([Video(file_id="v")])]) > 1000


# ---- vocabularies


def test_models_have_their_vocabulary() -> None:
    assert encoding_name("gpt-4o-mini", "openai") == "o200k_base"
    assert encoding_name("gpt-4-0613", "azure") == "cl100k_base"
    assert encoding_name("openai/gpt-5", "openrouter") == "o200k_base"
    assert encoding_name("llama-3", "groq") is None
    assert encoding_name("gpt-4o", "my-host") is None


def test_counts_by_a_vocabulary_are_those_that_openai_billed() -> None:
    pytest.importorskip("bpe_openai")
    # Requests and their prompt_tokens, recorded.
    said = [
        ("Say this is a test", 12),
        ("What is 17 + 25? Answer with only the number.", 21),
        ("Work out 17 + 25 carefully, then answer with only the number.", 23),
    ]
    for text, billed in said:
        assert count_tokens(text, "openai:gpt-4.1-mini") == TokenCount(billed, "exact", "o200k_base")
    talk = [SystemMessage("You are a helpful assistant."), HumanMessage("What is Python?"),
            AIMessage("Python is a programming language."), HumanMessage("Tell me more.")]  # fmt: skip
    assert count_tokens(talk, "gpt-4o-mini").value == 39
    assert count_tokens("hi", "gpt-5").how == "estimate"  # its frame is not known
    assert count_tokens(HumanMessage([Image(url="https://a.test/x.png")]), "gpt-4o").how == "estimate"


def test_without_the_extra_it_is_an_estimate(monkeypatch: pytest.MonkeyPatch) -> None:
    from chatmodels.tokens import _vocabulary

    monkeypatch.setitem(sys.modules, "bpe_openai", None)
    _vocabulary._encoding.cache_clear()
    try:
        assert count_tokens("I love programming.", "gpt-4o") == TokenCount(
            9, "estimate", "the rules of chatmodels.tokens"
        )
        with pytest.raises(UsageError, match=r"chatmodels\[tokens\]"):
            count_tokens("hi", "gpt-4o", exact=True)
    finally:
        _vocabulary._encoding.cache_clear()


def test_a_model_counts_with_its_tools_and_under_the_names_of_2023(server: Server) -> None:
    route = server.route()
    model = chat(route)

    def weather(city: str) -> str:
        """The weather in a city."""
        return city

    bare = model.count_tokens("hi")
    assert int(model.with_tools(weather).count_tokens("hi")) > int(bare) + 10
    assert model.get_num_tokens_from_messages([HumanMessage("hi")]) == bare.value
    assert model.get_num_tokens("hi") == 1
    assert asyncio.run(model.acount_tokens("hi")) == bare
    assert route.requests == []  # nothing is sent


# ---- a provider's own count


def test_the_provider_is_asked_where_that_is_allowed(server: Server) -> None:
    route = server.route(error(529, "busy"), plain({"input_tokens": 14}))
    model = ChatModel("anthropic:claude-sonnet-4-5", api_key=KEY, base_url=route.url, max_retries=2)
    model = model.with_retry(base=0.001).with_callbacks(object()).with_settings(max_tokens=5)
    assert model.count_tokens("hi").how == "estimate"
    assert route.requests == []
    assert model.count_tokens("hi", exact=True) == TokenCount(14, "provider", "anthropic's counting endpoint")
    assert asyncio.run(model.acount_tokens("hi", exact=True)).value == 14
    sent = route.requests[1]
    assert sent.target.endswith("/messages/count_tokens")
    assert sorted(sent.json) == ["messages", "model"]
    assert KEY in sent.headers["x-api-key"]


def test_each_provider_is_asked_at_its_place(server: Server) -> None:
    route = server.route(plain({"totalTokens": 7}))
    google = ChatModel("google:gemini-2.5-flash", api_key=KEY, base_url=route.url)
    assert google.count_tokens([SystemMessage("s"), HumanMessage("hi")], exact=True).value == 7
    body = route.requests[0].json["generateContentRequest"]
    assert body["model"] == "models/gemini-2.5-flash"
    assert {"contents", "systemInstruction"} <= set(body)
    route = server.route(plain({"object": "response.input_tokens", "input_tokens": 11}))
    responses = ChatModel("openai-responses:gpt-5", api_key=KEY, base_url=route.url)
    assert responses.count_tokens("hi", exact=True).value == 11
    assert route.requests[0].target.endswith("/responses/input_tokens")
    assert "stream" not in route.requests[0].json
    route = server.route(plain({"inputTokens": 9}))
    bedrock = ChatModel("bedrock:anthropic.claude-sonnet-4", api_key=KEY, base_url=route.url, region="us-east-1")
    assert bedrock.with_settings(max_tokens=5).count_tokens("hi", exact=True).value == 9
    assert route.requests[0].target.endswith("/model/anthropic.claude-sonnet-4/count-tokens")
    assert list(route.requests[0].json["input"]["converse"]) == ["messages"]


def test_a_name_is_enough_to_ask_the_provider(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    route = server.route(plain({"input_tokens": 41}))
    monkeypatch.setenv("ANTHROPIC_API_KEY", "k")
    monkeypatch.setenv("ANTHROPIC_BASE_URL", route.url)
    name = "anthropic:claude-sonnet-4-5"
    assert count_tokens("hi", name).how == "estimate"
    assert not route.requests
    assert count_tokens("hi", name, exact=True).value == 41
    assert asyncio.run(acount_tokens("hi", name, exact=True)).how == "provider"
    monkeypatch.delenv("ANTHROPIC_API_KEY")
    with pytest.raises(UsageError, match="key"):
        count_tokens("hi", name, exact=True)
    with pytest.raises(UsageError, match="model is a chat model") as caught:
        count_tokens("hi", 3)  # type: ignore[arg-type]
    assert caught.value.argument == "model"


def test_errors_of_a_count_are_those_of_a_call(server: Server) -> None:
    refused = ChatModel("anthropic:claude-x", api_key=KEY, base_url=server.route(error(401, "bad key")).url)
    with pytest.raises(AuthenticationError):
        refused.count_tokens("hi", exact=True)
    odd = ChatModel("anthropic:claude-x", api_key=KEY, base_url=server.route(plain({"tokens": 1})).url, max_retries=1)
    with pytest.raises(ProtocolError, match="input_tokens"):
        odd.count_tokens("hi", exact=True)
    with pytest.raises(UsageError, match="no exact count") as caught:
        ChatModel("groq:llama", api_key=KEY).count_tokens("hi", exact=True)
    assert caught.value.argument == "exact"


def recordings(name: str) -> list[dict[str, Any]]:
    path = WIRE / f"{name}.jsonl"
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


@pytest.mark.parametrize("one", recordings("anthropic-count-tokens"), ids=lambda r: r["id"])
def test_anthropics_recorded_counts(one: dict[str, Any]) -> None:
    """The request that was recorded, read as a call and written again, is one for the same endpoint; its answer is read."""
    dialect = Counting(Anthropic("anthropic"), ENDPOINTS["anthropic"])
    call: Call = Anthropic("anthropic").decode_request({"max_tokens": 10, **one["request"]["body"]})
    request = dialect.encode(call)
    body = json.loads(request.body)
    assert request.path.partition("?")[0] in one["request"]["path"]
    assert set(body) <= set(one["request"]["body"]) | {"tools"}
    assert len(body["messages"]) == len(one["request"]["body"]["messages"])
    data = json.dumps(one["response"]["body"]).encode()
    response = HTTPResponse(status=one["status"], headers={}, body=data)
    if one["status"] != 200:
        assert dialect.decode_error(response).status == one["status"]
        return
    usage = dialect.decode(response).usage
    assert usage is not None
    assert usage.input_tokens == one["response"]["body"]["input_tokens"]


@pytest.mark.parametrize("one", recordings("google-count-tokens"), ids=lambda r: r["id"])
def test_googles_recorded_counts(one: dict[str, Any]) -> None:
    vertex = "aiplatform" in one["host"]
    google = Google("vertex", vertex=True, project="example", location="global") if vertex else Google("google")
    dialect = Counting(google, ENDPOINTS["vertex" if vertex else "google"])
    given = one["request"]["body"]
    model = one["request"]["path"].rpartition("/")[2].partition(":")[0]
    path = f"/models/{model}:generateContent"
    call = google.decode_request(given.get("generateContentRequest", given), path)
    request = dialect.encode(call)
    assert request.path.endswith(f"/{model}:countTokens")
    body = json.loads(request.body)
    inner = body if vertex else body["generateContentRequest"]
    assert inner["contents"]
    response = HTTPResponse(status=one["status"], headers={}, body=json.dumps(one["response"]["body"]).encode())
    if one["status"] == 200:
        usage = dialect.decode(response).usage
        assert usage is not None
        assert usage.input_tokens == one["response"]["body"]["totalTokens"]
    else:
        assert dialect.decode_error(response).status == one["status"]


def test_the_embedded_engine_counts_what_it_reads() -> None:
    model = ChatModel("local", temperature=0)
    count = model.count_tokens("Say hello.", exact=True)
    assert count.how == "exact"
    usage = model("Say hello.", max_tokens=1).usage
    assert usage is not None
    assert count.value == usage.input_tokens
