"""Generated conversations with every kind of part, from several providers, for the dialects that send
turns.
"""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from chatmodels._call import Call, Settings
from chatmodels._messages import (
    AIMessage,
    ChatMessage,
    FunctionMessage,
    HumanMessage,
    Message,
    SystemMessage,
    ToolMessage,
)
from chatmodels._output import Output
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
    ToolResult,
    Video,
)
from chatmodels._tools import Tool, as_tool

PNG = b"\x89PNG\r\n\x1a\n0000"
PDF = b"%PDF-1.4 0000"

#: Stands in everything that only one provider may see, with the provider's name after it.
MARK = "only-for-"

texts = st.text(st.characters(codec="utf-8", exclude_characters="\x00"), max_size=12)
some_text = texts.filter(lambda t: bool(t.strip()))
caches: Any = st.sampled_from([False, False, True, "5m", "1h", "12h"])
ids = st.sampled_from(["", "call_1", "call_1", "functions.f:0", "toolu_01A", "x" * 150, "é|ü"])
names = st.sampled_from(["f", "get_weather"])
json_objects = st.dictionaries(st.sampled_from("abc"), st.integers() | texts, max_size=2)


def marked(provider: str | None) -> str:
    return f"{MARK}{provider}"


_CITATIONS: dict[str, dict[str, Any]] = {
    "anthropic": {
        "type": "web_search_result_location",
        "url": "https://a.example",
        "title": "t",
        "cited_text": "c",
        "encrypted_index": marked("anthropic"),
    },
    "bedrock": {"title": marked("bedrock"), "location": {"web": {"url": "https://a.example"}}},
}

FOREIGN = Opaque(provider="other", kind="new", data={"secret": marked("other")})
USER_MEDIA: list[Part] = [
    Image(data=PNG),
    Image(data=PNG, cache=True),
    Image(url="https://a.example/i.png"),
    Image(url="s3://bucket-one/i.png", cache="1h"),
    Image(file_id="file_1"),
    File(data=PDF, name="a b.pdf", cache="5m"),
    File(data=PDF, name="a b.pdf"),
    File(data=b"plain", media_type="text/x-python"),
    File(url="https://a.example/f.pdf"),
    File(file_id="file_2"),
    Audio(data=b"RIFF0000WAVE", transcript="said"),
    Audio(data=b"RIFF0000WAVE"),
    Video(data=b"0000ftyp0000"),
    Video(url="https://a.example/v.mp4"),
]
RESULT_PARTS: list[Part] = [Text("t"), Text("t", cache=True), Image(data=PNG), File(data=PDF, name="r.pdf"), FOREIGN]
result_contents: Any = texts | st.lists(st.sampled_from(RESULT_PARTS), max_size=3)


def citations(provider: str) -> st.SearchStrategy[tuple[Citation, ...]]:
    wire = _CITATIONS.get(provider, {"id": marked(provider)})
    one = Citation(url="https://a.example", title="t", provider_data={provider: {"citation": wire}})
    return st.sampled_from([(), (), (one,), (one, Citation(title="bare"))])


def user_messages(own: str, opaque: dict[str, Any]) -> st.SearchStrategy[list[Message]]:
    mine: list[Part] = [*USER_MEDIA, Opaque(provider=own, kind="own", data=opaque), FOREIGN, Text("t", cache="12h")]
    return st.builds(
        lambda some, said, name: [HumanMessage([*some, Text(said)], name=name)],
        st.lists(st.sampled_from(mine), max_size=2),
        some_text,
        st.sampled_from([None, "bob"]),
    )


def answer_parts(provider: str, block: dict[str, Any]) -> st.SearchStrategy[Part]:
    mark = marked(provider)
    fixed: list[Part] = [
        Reasoning("why", signature=mark),
        Reasoning("", encrypted=mark),
        Reasoning("why"),
        InvalidToolCall("call_1", "f", '{"a":', "cut"),
        ServerTool(phase="call", kind="web_search", id="s", args={}, provider_data={provider: {"block": block}}),
        Image(data=PNG),
        Audio(data=b"RIFF0000WAVE", transcript="said"),
        Video(url="https://a.example/v.mp4"),
        Opaque(provider=provider, kind="new", data=block),
        Text(""),
        Refusal("no"),
    ]
    return st.one_of(
        st.builds(Text, texts, citations(provider), cache=caches),
        st.builds(ToolCall, ids, names, json_objects, cache=caches),
        st.builds(ToolCall, ids, names, texts, custom=st.just(True)),
        st.sampled_from(fixed),
        st.sampled_from(fixed),
    )


def answers(own: str, server_block: dict[str, Any]) -> st.SearchStrategy[list[Message]]:
    """An answer, and a result for each of its calls."""

    def answered(answer: AIMessage, contents: list[Any], error: bool, cache: Any) -> list[Message]:
        found: list[Message] = [answer]
        for number, call in enumerate(answer.tool_calls):
            content = contents[number % len(contents)]
            if number % 2:
                found.append(HumanMessage([ToolResult(call.id, content, error, cache=cache)]))
            else:
                found.append(ToolMessage(content, tool_call_id=call.id, is_error=error, name=call.name))
        return found

    def of(provider: str | None) -> st.SearchStrategy[AIMessage]:
        name = provider or "nobody"
        block = server_block if provider == own else {"secret": marked(name)}
        return st.builds(AIMessage, st.lists(answer_parts(name, block), max_size=4), provider=st.just(provider))

    contents = st.lists(result_contents, min_size=1, max_size=2)
    return st.builds(answered, st.one_of(of(own), of("other"), of(None)), contents, st.booleans(), caches)


def _legacy(said: str, name: str) -> list[Message]:
    call = {"function_call": {"name": "f", "arguments": '{"a": 1}'}}
    return [AIMessage("", call), FunctionMessage(said, name=name)]


def conversations(
    own: str, opaque: dict[str, Any], server_block: dict[str, Any]
) -> st.SearchStrategy[tuple[Message, ...]]:
    middle: st.SearchStrategy[list[Message]] = st.one_of(
        answers(own, server_block),
        answers(own, server_block),
        user_messages(own, opaque),
        st.builds(lambda t: [SystemMessage(t)], some_text),
        st.builds(lambda t, r: [ChatMessage(t, role=r)], some_text, st.sampled_from(["developer", "critic"])),
        st.builds(_legacy, some_text, names),
        st.builds(lambda t, i: [ToolMessage(t, tool_call_id=i)], texts, ids),
    )
    heads: list[list[Message]] = [[], [SystemMessage("s")], [SystemMessage([Text("s", cache=True), Text("t")])]]
    return st.builds(
        lambda head, first, some, last: (
            *head,
            HumanMessage(first),
            *(m for messages in some for m in messages),
            HumanMessage(last),
        ),
        st.sampled_from(heads),
        some_text,
        st.lists(middle, max_size=3),
        some_text,
    )


SCHEMA = {"type": "object", "properties": {"a": {"type": "integer", "minimum": 1}}, "required": ["a"]}

settings = st.builds(
    Settings,
    temperature=st.sampled_from([None, 0.0, 0.5, 1.0]),
    top_p=st.sampled_from([None, 0.5, 1.0]),
    top_k=st.sampled_from([None, 5]),
    max_tokens=st.sampled_from([None, 100]),
    n=st.sampled_from([None, 1, 2]),
    stop=st.sampled_from([None, ("a", "b")]),
    seed=st.sampled_from([None, 1]),
    tool_choice=st.sampled_from([None, "auto", "none", "required", "f"]),
    parallel_tool_calls=st.sampled_from([None, True, False]),
    reasoning_effort=st.sampled_from([None, "none", "minimal", "low", "high", "max"]),
    reasoning_budget=st.sampled_from([None, 0, 2000]),
    reasoning_summary=st.sampled_from([None, "auto", "none"]),
    response_format=st.sampled_from(
        [
            None,
            {"type": "text"},
            {"type": "json_object"},
            {"type": "json_schema", "json_schema": {"name": "x", "schema": SCHEMA}},
        ]
    ),
    user=st.sampled_from([None, "u1"]),
    metadata=st.sampled_from([None, {"team": "a"}, {"user_id": "u2"}]),
)

tools: st.SearchStrategy[tuple[Tool, ...]] = st.sampled_from(
    [
        (),
        (as_tool({"name": "f", "description": "F.", "input_schema": SCHEMA}),),
        (as_tool({"name": "f", "input_schema": SCHEMA, "strict": True}), as_tool({"name": "g", "input_schema": {}})),
    ]
)
outputs: st.SearchStrategy[Output[Any] | None] = st.sampled_from(
    [None, None, Output.of(SCHEMA, name="answer"), Output.of(list[int]), Output.of(dict[str, int])]
)


def _call(**fields: Any) -> Call:
    """`Call` itself has annotations that are only there for type checkers."""
    return Call(**fields)


def calls(models: list[str], own: str, opaque: dict[str, Any], server_block: dict[str, Any]) -> st.SearchStrategy[Call]:
    return st.builds(
        _call,
        model=st.sampled_from(models),
        messages=conversations(own, opaque, server_block),
        settings=settings,
        tools=tools,
        output=outputs,
        stream=st.booleans(),
    )
