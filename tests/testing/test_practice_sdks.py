"""The practice server as the official SDKs read it: whole and streamed, tools, from the variables that it sets."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from chatmodels.testing import PracticeServer, practice_server

ASKED = "I love programming."
SAID = "J'aime programmer."
WEATHER = "What is the weather in Oslo?"
PARAMETERS: dict[str, Any] = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
FUNCTION = {"name": "weather", "description": "The weather.", "parameters": PARAMETERS}


@pytest.fixture(autouse=True)
def practising(monkeypatch: pytest.MonkeyPatch) -> Iterator[PracticeServer]:
    with practice_server() as server:
        for name, value in server.environment().items():
            monkeypatch.setenv(name, value)
        yield server


def test_openai() -> None:
    openai: Any = pytest.importorskip("openai")
    with openai.OpenAI() as client:
        asked = [{"role": "user", "content": ASKED}]
        tools = [{"type": "function", "function": FUNCTION}]
        assert client.chat.completions.create(model="m", messages=asked).choices[0].message.content == SAID
        chunks = list(client.chat.completions.create(model="m", messages=asked, stream=True))
        assert "".join(c.choices[0].delta.content or "" for c in chunks if c.choices) == SAID
        called = client.chat.completions.create(model="m", messages=[{"role": "user", "content": WEATHER}], tools=tools)
        assert called.choices[0].message.tool_calls[0].function.arguments == '{"city":"Oslo"}'


def test_openai_responses() -> None:
    openai: Any = pytest.importorskip("openai")
    with openai.OpenAI() as client:
        assert client.responses.create(model="m", input=ASKED).output_text == SAID
        for asked, tools in ((ASKED, []), (WEATHER, [{"type": "function", **FUNCTION, "strict": False}])):
            with client.responses.stream(model="m", input=asked, tools=tools, reasoning={"effort": "low"}) as stream:
                kinds = [event.type for event in stream]
                whole = stream.get_final_response()
            assert kinds[0] == "response.created"
            assert kinds[-1] == "response.completed"
            assert whole.output[0].summary[0].text == "The user wants French."
            if asked == WEATHER:
                assert whole.output[1].arguments == '{"city":"Oslo"}'
            else:
                assert whole.output_text == SAID


def test_anthropic() -> None:
    anthropic: Any = pytest.importorskip("anthropic")
    tool = {"name": "weather", "description": "The weather.", "input_schema": PARAMETERS}
    with anthropic.Anthropic() as client:
        asked: dict[str, Any] = {"model": "m", "max_tokens": 100, "messages": [{"role": "user", "content": ASKED}]}
        assert client.messages.create(**asked).content[0].text == SAID
        with client.messages.stream(**asked, thinking={"type": "enabled", "budget_tokens": 50}) as stream:
            assert "".join(stream.text_stream) == SAID
            assert stream.get_final_message().content[0].thinking == "The user wants French."
        with client.messages.stream(
            **asked | {"messages": [{"role": "user", "content": WEATHER}]}, tools=[tool]
        ) as stream:
            called = stream.get_final_message()
        assert (called.content[0].input, called.stop_reason) == ({"city": "Oslo"}, "tool_use")


def test_google(practising: PracticeServer) -> None:
    genai: Any = pytest.importorskip("google.genai")
    client = genai.Client(api_key="practice", http_options={"base_url": practising.url})
    assert client.models.generate_content(model="m", contents=ASKED).text == SAID
    chunks = list(client.models.generate_content_stream(model="m", contents=ASKED))
    assert "".join(c.text or "" for c in chunks) == SAID
    declared = {"name": "weather", "description": "The weather.", "parameters_json_schema": PARAMETERS}
    config = {"tools": [{"function_declarations": [declared]}]}
    called = client.models.generate_content(model="m", contents=WEATHER, config=config)
    assert called.function_calls[0].args == {"city": "Oslo"}
    client.close()


def test_cohere(practising: PracticeServer) -> None:
    cohere: Any = pytest.importorskip("cohere")
    with cohere.ClientV2(api_key="practice", base_url=practising.url) as client:
        asked = [{"role": "user", "content": ASKED}]
        assert client.chat(model="m", messages=asked).message.content[0].text == SAID
        events = list(client.chat_stream(model="m", messages=asked))
        assert "".join(e.delta.message.content.text for e in events if e.type == "content-delta") == SAID
        tools = [{"type": "function", "function": FUNCTION}]
        called = client.chat(model="m", messages=[{"role": "user", "content": WEATHER}], tools=tools)
        assert called.message.tool_calls[0].function.arguments == '{"city":"Oslo"}'


def test_ollama(practising: PracticeServer) -> None:
    ollama: Any = pytest.importorskip("ollama")
    client = ollama.Client(host=practising.url)
    asked = [{"role": "user", "content": ASKED}]
    assert client.chat(model="m", messages=asked).message.content == SAID
    assert "".join(chunk.message.content or "" for chunk in client.chat(model="m", messages=asked, stream=True)) == SAID
    called = client.chat(
        model="m", messages=[{"role": "user", "content": WEATHER}], tools=[{"type": "function", "function": FUNCTION}]
    )
    assert called.message.tool_calls[0].function.arguments == {"city": "Oslo"}
    client._client.close()  # it has no way of its own


def test_bedrock(practising: PracticeServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AWS_BEARER_TOKEN_BEDROCK")  # botocore sends it over TLS only
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "practice")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "practice")
    session: Any = pytest.importorskip("botocore.session").get_session()
    client = session.create_client("bedrock-runtime", region_name="eu-west-3", endpoint_url=practising.url)
    asked = [{"role": "user", "content": [{"text": ASKED}]}]
    whole = client.converse(modelId="m", messages=asked)
    assert whole["output"]["message"]["content"][0]["text"] == SAID
    stream = client.converse_stream(modelId="m", messages=asked)["stream"]
    assert "".join(e["contentBlockDelta"]["delta"]["text"] for e in stream if "contentBlockDelta" in e) == SAID
    stream.close()
    client.close()
