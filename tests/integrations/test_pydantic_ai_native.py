"""pydantic-ai's native tools over our models: each in the spelling of its provider, and what comes of them goes back whole."""

from __future__ import annotations

from typing import Any

import pytest

pytest.importorskip("pydantic_ai")

from pydantic_ai import Agent, ModelRetry, PromptedOutput, UsageLimits
from pydantic_ai.exceptions import UsageLimitExceeded, UserError
from pydantic_ai.messages import ModelMessagesTypeAdapter, NativeToolCallPart, NativeToolReturnPart
from pydantic_ai.models import ModelRequestParameters
from pydantic_ai.native_tools import (
    CodeExecutionTool,
    FileSearchTool,
    ImageGenerationTool,
    MCPServerTool,
    MemoryTool,
    WebFetchTool,
    WebSearchTool,
)
from pydantic_ai.profiles import ModelProfile

import chatmodels as cm
from chatmodels import ChatModel
from chatmodels._json import encode, loads
from chatmodels.integrations._pydantic_ai_messages import message_of_response, response_of
from chatmodels.integrations.pydantic_ai import as_pydantic_ai

from ..servers import serving
from .brain import TEXT, Brain
from .test_pydantic_ai import Answer, chat

PLACE: Any = {"city": "Paris", "country": "FR"}
SENT = [
    ("anthropic", WebSearchTool(max_uses=2, allowed_domains=["x.test"], user_location=PLACE),
     {"type": "web_search_20250305", "name": "web_search", "max_uses": 2, "allowed_domains": ["x.test"],
      "user_location": {"type": "approximate", "city": "Paris", "country": "FR"}}),
    ("anthropic", WebFetchTool(max_uses=1),
     {"type": "web_fetch_20250910", "name": "web_fetch", "max_uses": 1}),
    ("anthropic", CodeExecutionTool(), {"type": "code_execution_20250825", "name": "code_execution"}),
    ("openai-responses", WebSearchTool(search_context_size="low", allowed_domains=["x.test"], user_location=PLACE),
     {"type": "web_search", "search_context_size": "low", "filters": {"allowed_domains": ["x.test"]},
      "user_location": {"type": "approximate", "city": "Paris", "country": "FR"}}),
    ("openai-responses", CodeExecutionTool(), {"type": "code_interpreter", "container": {"type": "auto"}}),
    ("openai-responses", FileSearchTool(file_store_ids=["vs_1"], max_num_results=3),
     {"type": "file_search", "vector_store_ids": ["vs_1"], "max_num_results": 3}),
    ("openai-responses", ImageGenerationTool(size="1024x1024"), {"type": "image_generation", "size": "1024x1024"}),
    ("openai-responses", MCPServerTool(id="docs", url="https://x.test/mcp", allowed_tools=["find"]),
     {"type": "mcp", "server_label": "docs", "server_url": "https://x.test/mcp", "require_approval": "never",
      "allowed_tools": ["find"]}),
    ("google", WebSearchTool(), {"googleSearch": {}}),
    ("google", WebFetchTool(), {"urlContext": {}}),
    ("google", CodeExecutionTool(), {"codeExecution": {}}),
    ("google", FileSearchTool(file_store_ids=["fs"]), {"fileSearch": {"fileSearchStoreNames": ["fs"]}}),
]  # fmt: skip


@pytest.mark.parametrize(("provider", "tool", "wire"), SENT, ids=lambda v: getattr(v, "kind", None))
def test_each_in_its_providers_spelling(provider: str, tool: Any, wire: dict[str, Any]) -> None:
    model = as_pydantic_ai(ChatModel(f"{provider}:m", api_key="k"))
    parameters = ModelRequestParameters(native_tools=[tool])
    plan, call = model._asked([_question()], None, parameters, False)
    [sent] = loads(plan.dialect.encode(call).body)["tools"]
    assert _camel(sent) == _camel(wire)


def _question() -> Any:
    from pydantic_ai.messages import ModelRequest

    return ModelRequest.user_text_prompt("Hi")


def _camel(value: Any) -> Any:
    """Google takes both spellings of a name."""
    if isinstance(value, dict):
        return {k.replace("_", "").lower(): _camel(v) for k, v in value.items()}
    return value


@pytest.mark.parametrize(
    ("provider", "tool"),
    [
        ("openai", WebSearchTool()),  # Chat Completions runs none
        ("anthropic", MemoryTool()),
        ("google", WebSearchTool(allowed_domains=["x.test"])),  # a limit that could not be kept
        ("openai-responses", WebSearchTool(max_uses=1)),
    ],
)
async def test_what_a_provider_does_not_have_is_an_error_before_anything_is_sent(provider: str, tool: Any) -> None:
    model = as_pydantic_ai(ChatModel(f"{provider}:m", api_key="k", base_url="http://127.0.0.1:1"))
    with pytest.raises(UserError, match=f"{type(tool).__name__}|{tool.kind}"):
        await Agent(model, capabilities=[_native(tool)]).run("Hi")


def _native(tool: Any) -> Any:
    from pydantic_ai.capabilities import NativeTool

    return NativeTool(tool)


async def test_a_search_over_an_agent_and_the_history_behind_it() -> None:
    """Anthropic's search: its call, its encrypted result and the text go back as they came."""
    blocks: list[dict[str, Any]] = [
        {"type": "server_tool_use", "id": "srvtoolu_1", "name": "web_search", "input": {"query": "x"}},
        {
            "type": "web_search_tool_result",
            "tool_use_id": "srvtoolu_1",
            "content": [
                {
                    "type": "web_search_result",
                    "url": "https://x.test",
                    "title": "X",
                    "encrypted_content": "abc",
                    "page_age": None,
                }
            ],
        },
        {"type": "text", "text": "Found."},
    ]

    def searched(exchange: Any) -> None:
        body = {"id": "msg_1", "type": "message", "role": "assistant", "model": "m", "content": blocks,
                "stop_reason": "end_turn", "stop_sequence": None, "usage": {"input_tokens": 3, "output_tokens": 4}}  # fmt: skip
        data = encode(body)
        exchange.head(headers={"content-type": "application/json", "content-length": str(len(data))})
        exchange.send(data)

    with serving() as server:
        route = server.route(searched)
        model = as_pydantic_ai(ChatModel("anthropic:m", base_url=route.url.removesuffix("/v1"), api_key="k"))
        agent = Agent(model, capabilities=[_native(WebSearchTool())])
        result = await agent.run("Search x")
        assert result.output == "Found."
        parts = result.all_messages()[-1].parts
        assert [type(p) for p in parts[:2]] == [NativeToolCallPart, NativeToolReturnPart]
        stored = ModelMessagesTypeAdapter.validate_json(ModelMessagesTypeAdapter.dump_json(result.all_messages()))
        await agent.run("More", message_history=stored)
        assert route.requests[-1].json["messages"][1]["content"] == blocks


def test_a_paused_turn_is_gone_on_with() -> None:
    message = cm.AIMessage("so far", finish_reason="pause", provider="anthropic")
    assert response_of(message, message.parts).state == "suspended"
    assert message_of_response(response_of(message, message.parts)).text == "so far"


def test_what_a_user_says_of_the_profile_counts(brain: Brain) -> None:
    assert WebSearchTool in as_pydantic_ai(chat(brain, "anthropic")).profile["supported_native_tools"]
    assert as_pydantic_ai(chat(brain)).profile["supported_native_tools"] == frozenset()
    part = as_pydantic_ai(chat(brain), profile=ModelProfile(supports_json_schema_output=False))
    assert (part.profile["supports_json_schema_output"], part.profile["supports_image_input"]) == (False, True)
    made = as_pydantic_ai(chat(brain), profile=lambda own: {**own, "supports_tools": False})
    assert (made.profile["supports_tools"], made.profile["supports_thinking"]) == (False, True)


async def test_tokens_are_counted_before_a_request(brain: Brain) -> None:
    model = as_pydantic_ai(chat(brain))
    bare = await model.count_tokens([_question()], None, ModelRequestParameters())
    assert bare.input_tokens == chat(brain).count_tokens("Hi").value
    before = len(brain.seen)
    limits = UsageLimits(input_tokens_limit=2, count_tokens_before_request=True)
    with pytest.raises(UsageLimitExceeded):
        await Agent(model).run("Hi", usage_limits=limits)
    assert len(brain.seen) == before


async def test_limits_of_usage_retries_and_prompted_output(brain: Brain) -> None:
    agent = Agent(as_pydantic_ai(chat(brain)))
    with pytest.raises(UsageLimitExceeded):
        await agent.run("Hi", usage_limits=UsageLimits(output_tokens_limit=1))
    tries: list[str] = []

    @agent.tool_plain(retries=3)
    def look_up(word: str) -> str:
        """Look a word up."""
        tries.append(word)
        raise ModelRetry("again")

    with pytest.raises(UsageLimitExceeded):
        await agent.run("please look_up 'cat'", usage_limits=UsageLimits(request_limit=1))
    assert tries == ["cat"]
    prompted = Agent(as_pydantic_ai(chat(brain)), output_type=PromptedOutput(Answer), retries=1)
    with pytest.raises(Exception, match="retries") as caught:  # its JSON does not fit, and says so
        await prompted.run("Give 3")
    assert brain.seen[-1]["response_format"]["type"] == "json_object"
    assert type(caught.value).__module__.startswith("pydantic_ai")
    assert (await agent.run("Hi")).output == TEXT
