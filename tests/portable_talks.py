"""One conversation with each provider, its answers written by hand in that provider's own wire format and read by its
dialect, with everything in it that a provider can say. Whatever only its maker may see holds `secret(maker)`.
"""

from __future__ import annotations

import json
from typing import Any

from chatmodels._call import Call, HTTPResponse
from chatmodels._messages import AIMessage, HumanMessage, Message, SystemMessage, ToolMessage
from chatmodels._parts import Image, Text
from chatmodels._tools import Tool
from chatmodels.dialects.anthropic import Anthropic
from chatmodels.dialects.bedrock import BedrockConverse
from chatmodels.dialects.cohere import Cohere
from chatmodels.dialects.google import Google
from chatmodels.dialects.mistral import Mistral
from chatmodels.dialects.ollama import Ollama
from chatmodels.dialects.openai_chat import OpenAIChat
from chatmodels.dialects.openai_responses import OpenAIResponses

PNG = b"\x89PNG\r\n\x1a\n0000"
DIALECTS: dict[str, Any] = {
    "openai": OpenAIChat(),
    "openai-responses": OpenAIResponses(),
    "anthropic": Anthropic(),
    "google": Google(),
    "bedrock": BedrockConverse(),
    "cohere": Cohere(),
    "mistral": Mistral(),
    "ollama": Ollama(),
}
MODELS = {
    "openai": "gpt-5",
    "openai-responses": "gpt-5",
    "anthropic": "claude-sonnet-4-5",
    "google": "gemini-3-pro-preview",
    "bedrock": "us.anthropic.claude-sonnet-4-5-20250929-v1:0",
    "cohere": "command-a-03-2025",
    "mistral": "mistral-small-latest",
    "ollama": "qwen3",
}


def mark(maker: str) -> str:
    """Stands in every secret of that maker, also where the value has to be base64."""
    return "for" + maker.replace("-", "") + "only"


def secret(maker: str, what: str) -> str:
    """A value that only its maker may see; letters and digits, a whole number of base64 groups."""
    value = mark(maker) + what
    return value + "0" * (-len(value) % 4)


def _s(maker: str) -> Any:
    return lambda what: secret(maker, what)


def _arguments(n: int) -> str:
    return json.dumps({"n": n})


def _openai() -> list[Any]:
    s = _s("openai")
    calls = [
        {"id": f"call_{n}", "type": "function", "function": {"name": "f", "arguments": _arguments(n)}} for n in (1, 2)
    ]
    calls[0]["extra_content"] = {"google": {"thought_signature": s("Call")}}
    details = [
        {"type": "reasoning.text", "text": "said thinking", "signature": s("Signature"), "index": 0},
        {"type": "reasoning.encrypted", "data": s("Encrypted"), "id": s("ReasoningId"), "index": 1},
    ]
    note = {
        "type": "url_citation",
        "url_citation": {"url": "https://a.example/cited", "title": "t", "start_index": 0, "end_index": 4},
    }
    file = {"type": "file", "file": {"hash": s("FileHash"), "name": "a.pdf", "content": []}}
    return [
        {"content": "first", "reasoning": "said thinking", "reasoning_details": details, "tool_calls": calls},
        {"content": "said cited", "annotations": [note, file], "reasoning_opaque": s("Opaque")},
        {"content": None, "audio": {"id": s("Audio"), "data": "AAAA", "transcript": "said aloud", "expires_at": 1}},
        {"content": None, "refusal": "said no"},
    ]


def _responses() -> list[Any]:
    s = _s("openai-responses")
    note = {"type": "url_citation", "url": "https://a.example/cited", "title": "t", "start_index": 0, "end_index": 4}
    file = {"type": "file_citation", "file_id": s("CitedFile"), "filename": "a", "index": 3}

    def said(text: str, name: str, notes: list[Any]) -> dict[str, Any]:
        content = [{"type": "output_text", "text": text, "annotations": notes, "logprobs": []}]
        return {"type": "message", "id": s(name), "status": "completed", "role": "assistant", "content": content}

    return [
        [
            {
                "type": "reasoning",
                "id": s("ReasoningId"),
                "summary": [{"type": "summary_text", "text": "said thinking"}],
                "encrypted_content": s("Encrypted"),
            },
            said("first", "Message1", []),
            *(
                {
                    "type": "function_call",
                    "id": s(f"Item{n}"),
                    "call_id": f"call_{n}",
                    "name": "f",
                    "arguments": _arguments(n),
                }
                for n in (1, 2)
            ),
        ],
        [
            {
                "type": "web_search_call",
                "id": s("Search"),
                "status": "completed",
                "action": {"type": "search", "query": s("Query")},
            },
            {
                "type": "code_interpreter_call",
                "id": s("Code"),
                "status": "completed",
                "code": "1",
                "container_id": s("Container"),
                "outputs": [{"type": "logs", "logs": s("Logs")}],
            },
            {
                "type": "mcp_call",
                "id": s("Mcp"),
                "status": "completed",
                "server_label": "m",
                "name": "t",
                "arguments": "{}",
                "output": s("McpOutput"),
            },
            said("said cited", "Message2", [note, file]),
        ],
        [
            {"type": "image_generation_call", "id": s("Image"), "status": "completed", "result": "iVBORw0KGgowMDAw"},
            {"type": "new_kind_of_item", "id": s("New")},
            said("third", "Message3", []),
        ],
        [
            {
                "type": "message",
                "id": s("Message4"),
                "status": "completed",
                "role": "assistant",
                "content": [{"type": "refusal", "refusal": "said no"}],
            }
        ],
    ]


def _anthropic() -> list[Any]:
    s = _s("anthropic")
    found = {"type": "web_search_result", "url": "https://a.example", "title": "t", "encrypted_content": s("Found")}
    cited = {
        "type": "web_search_result_location",
        "url": "https://a.example/cited",
        "title": "t",
        "cited_text": "c",
        "encrypted_index": s("CitedIndex"),
    }
    return [
        [
            {"type": "thinking", "thinking": "said thinking", "signature": s("Signature")},
            {"type": "redacted_thinking", "data": s("Redacted")},
            {"type": "text", "text": "first"},
            *({"type": "tool_use", "id": f"toolu_{n}", "name": "f", "input": {"n": n}} for n in (1, 2)),
        ],
        [
            {"type": "server_tool_use", "id": s("ServerTool"), "name": "web_search", "input": {"query": s("Query")}},
            {"type": "web_search_tool_result", "tool_use_id": s("ServerTool"), "content": [found]},
            {"type": "text", "text": "said cited", "citations": [cited]},
        ],
        [
            {"type": "mcp_tool_use", "id": s("Mcp"), "name": "t", "server_name": "m", "input": {}},
            {"type": "mcp_tool_result", "tool_use_id": s("Mcp"), "content": [{"type": "text", "text": s("McpText")}]},
            {"type": "new_kind_of_block", "data": s("New")},
            {"type": "text", "text": "third"},
        ],
        [{"type": "text", "text": "said no"}],
    ]


def _google() -> list[Any]:
    s = _s("google")
    return [
        [
            {"text": "said thinking", "thought": True},
            {"text": "first"},
            {"functionCall": {"name": "f", "args": {"n": 1}}, "thoughtSignature": s("Signature1")},
            {"functionCall": {"name": "f", "args": {"n": 2}}},
        ],
        [
            {"toolCall": {"id": s("Tool"), "toolType": "GOOGLE_SEARCH_WEB", "args": {"queries": [s("Query")]}}},
            {"toolResponse": {"id": s("Tool"), "toolType": "GOOGLE_SEARCH_WEB", "response": {"found": s("Found")}}},
            {"executableCode": {"language": "PYTHON", "code": s("Code")}},
            {"codeExecutionResult": {"outcome": "OUTCOME_OK", "output": s("Output")}},
            {"text": "said cited", "thoughtSignature": s("Signature2")},
        ],
        [{"newKindOfPart": {"data": s("New")}}, {"text": "third"}],
        [{"text": "said no", "thoughtSignature": s("Signature3")}],
    ]


def _bedrock() -> list[Any]:
    s = _s("bedrock")
    cited = {"title": s("CitedTitle"), "location": {"web": {"url": "https://a.example/cited"}}}
    return [
        [
            {"reasoningContent": {"reasoningText": {"text": "said thinking", "signature": s("Signature")}}},
            {"reasoningContent": {"redactedContent": s("Redacted")}},
            {"text": "first"},
            *({"toolUse": {"toolUseId": f"tooluse_{n}", "name": "f", "input": {"n": n}}} for n in (1, 2)),
        ],
        [
            {
                "toolUse": {
                    "toolUseId": s("Tool"),
                    "name": "nova_grounding",
                    "input": {"q": s("Query")},
                    "type": "server_tool_use",
                }
            },
            {
                "toolResult": {
                    "toolUseId": s("Tool"),
                    "content": [{"text": s("Found")}],
                    "type": "nova_grounding_result",
                }
            },
            {"citationsContent": {"content": [{"text": "said cited"}], "citations": [cited]}},
        ],
        [{"newKindOfBlock": {"data": s("New")}}, {"text": "third"}],
        [{"text": "said no"}],
    ]


def _cohere() -> list[Any]:
    s = _s("cohere")
    source = {
        "type": "document",
        "id": s("Document"),
        "document": {"id": s("Document"), "url": "https://a.example/cited"},
    }
    calls = [
        {"id": f"f_{n}", "type": "function", "function": {"name": "f", "arguments": _arguments(n)}} for n in (1, 2)
    ]
    return [
        {"tool_plan": "said thinking", "tool_calls": calls},
        {
            "content": [{"type": "thinking", "thinking": "said thinking"}, {"type": "text", "text": "said cited"}],
            "citations": [{"start": 0, "end": 4, "text": "said", "type": "TEXT_CONTENT", "sources": [source]}],
        },
        {"content": [{"type": "new_kind", "data": s("New")}, {"type": "text", "text": "third"}]},
        {"content": [{"type": "text", "text": "said no"}]},
    ]


def _mistral() -> list[Any]:
    s = _s("mistral")
    calls = [
        {"id": f"abcdefgh{n}", "type": "function", "index": n, "function": {"name": "f", "arguments": _arguments(n)}}
        for n in (1, 2)
    ]
    thinking = [
        {"type": "text", "text": "said thinking"},
        {"type": "tool_reference", "tool": "web_search", "title": s("Step")},
    ]
    return [
        {
            "content": [
                {"type": "thinking", "thinking": thinking, "signature": s("Signature")},
                {"type": "text", "text": "first"},
            ],
            "tool_calls": calls,
        },
        {"content": [{"type": "text", "text": "said cited"}, {"type": "reference", "reference_ids": [s("Reference")]}]},
        {"content": [{"type": "new_kind", "data": s("New")}, {"type": "text", "text": "third"}]},
        {"content": "said no"},
    ]


def _ollama() -> list[Any]:
    calls = [{"id": f"call_{n}", "function": {"index": n, "name": "f", "arguments": {"n": n}}} for n in (1, 2)]
    return [
        {"content": "first", "thinking": "said thinking", "tool_calls": calls},
        {"content": "said cited"},
        {"content": "third"},
        {"content": "said no"},
    ]


def _wrapped(maker: str, said: Any) -> dict[str, Any]:
    """The whole answer around what was said."""
    message = {"role": "assistant", **said} if isinstance(said, dict) else {}
    chat = {
        "id": "c",
        "object": "chat.completion",
        "choices": [{"index": 0, "message": message, "finish_reason": "stop"}],
    }
    shapes: dict[str, dict[str, Any]] = {
        "openai": chat,
        "mistral": chat,
        "openai-responses": {"id": "r", "object": "response", "status": "completed", "output": said},
        "anthropic": {"id": "m", "type": "message", "role": "assistant", "content": said, "stop_reason": "end_turn"},
        "google": {"candidates": [{"content": {"role": "model", "parts": said}, "finishReason": "STOP", "index": 0}]},
        "bedrock": {"output": {"message": {"role": "assistant", "content": said}}, "stopReason": "end_turn"},
        "cohere": {"id": "c", "message": message, "finish_reason": "COMPLETE"},
        "ollama": {"model": "m", "message": message, "done": True, "done_reason": "stop"},
    }
    return shapes[maker]


_SAID = {
    "openai": _openai,
    "openai-responses": _responses,
    "anthropic": _anthropic,
    "google": _google,
    "bedrock": _bedrock,
    "cohere": _cohere,
    "mistral": _mistral,
    "ollama": _ollama,
}


def answers(maker: str) -> list[AIMessage]:
    """What the provider answered, as its dialect reads it: a call of two tools; citations and tools that the provider ran;
    parts that nobody knows; a refusal."""
    bodies = [json.dumps(_wrapped(maker, said)).encode() for said in _SAID[maker]()]
    return [DIALECTS[maker].decode(HTTPResponse(status=200, body=body)) for body in bodies]


def secrets(maker: str) -> set[str]:
    """Every secret in those answers."""
    found: set[str] = set()

    def walk(value: Any) -> None:
        if isinstance(value, dict):
            value = list(value.values())
        if isinstance(value, list):
            for item in value:
                walk(item)
        elif isinstance(value, str) and value.startswith(mark(maker)):
            found.add(value)

    walk(_SAID[maker]())
    return found


def exchange(maker: str) -> list[Message]:
    """The answers with the user's side between them; the results of the two calls stand in the other order."""
    first, second, third, last = answers(maker)
    one, two = first.tool_calls
    return [
        HumanMessage([Text(f"look, {maker}"), Image(data=PNG, media_type="image/png")]),
        first,
        ToolMessage("result 2", tool_call_id=two.id, name="f"),
        ToolMessage("result 1", tool_call_id=one.id, name="f", is_error=True),
        second,
        HumanMessage("go on"),
        third,
        HumanMessage("and now?"),
        last,
        HumanMessage("thanks"),
    ]


def talk(*makers: str) -> tuple[Message, ...]:
    """One conversation, held with these providers one after the other."""
    return (SystemMessage("be brief"), *(m for maker in makers for m in exchange(maker)))


TOOL = Tool(name="f", parameters={"type": "object", "properties": {"n": {"type": "integer"}}})


def call(taker: str, messages: tuple[Message, ...]) -> Call:
    """The call that carries them to `taker`."""
    return Call(model=MODELS[taker], messages=messages, tools=(TOOL,))
