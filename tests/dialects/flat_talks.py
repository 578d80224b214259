"""Generated calls with every kind of part: from this provider, from others, and made by hand. For the dialects whose
requests are a flat list of messages or items (Responses, Cohere, Mistral).
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
#: Stands in whatever only another provider may see.
SECRET = "only-for-another"

words = st.text(st.characters(codec="utf-8", exclude_characters="\x00"), max_size=10)
idents = st.sampled_from(["", "call_1", "call_1", "call_2", "aB3dE6gH9", "x" * 100, "f:0 |\u00e9"])
names = st.sampled_from(["f", "g"])
caches: Any = st.sampled_from([False, False, False, True, "1h"])
arguments = st.dictionaries(st.sampled_from("abc"), st.none() | st.integers() | words, max_size=2)

_ELSEWHERE = {"elsewhere": {"id": SECRET, "item": {"id": SECRET}, "extra": {"id": SECRET}, "message": {"id": SECRET}}}
MEDIA: list[Part] = [
    Image(data=PNG),
    Image(url="https://a.example/i.png", detail="low"),
    Image(file_id="file_1"),
    File(data=b"%PDF-1", name="a.pdf"),
    File(data=b"words", media_type="text/plain"),
    File(url="https://a.example/f.pdf"),
    File(file_id="file_2"),
    Audio(data=b"RIFF0000WAVE"),
    Audio(transcript="said"),
    Video(url="https://a.example/v.mp4"),
]
FOREIGN: list[Part] = [
    Reasoning("why", signature=SECRET),
    Reasoning("", encrypted=SECRET),
    Reasoning("so", provider_data=_ELSEWHERE),
    ServerTool(phase="call", kind="web_search", id=SECRET, args={"q": SECRET}, provider_data=_ELSEWHERE),
    ServerTool(phase="result", kind="code_execution", result=SECRET, provider_data=_ELSEWHERE),
    Opaque(provider="elsewhere", kind="block", data={"secret": SECRET}),
    Text("cited", (Citation(url="https://a.example", provider_data={"elsewhere": {"secret": SECRET}}),)),
    Text("t", provider_data=_ELSEWHERE),
    ToolCall("call_2", "f", {"a": 1}, provider_data=_ELSEWHERE),
]
BY_HAND: list[Part] = [Reasoning("by hand"), Refusal("no"), Text(""), Image(data=PNG), Audio(transcript="said")]

texts = st.builds(Text, words, cache=caches)
asked = st.one_of(
    st.builds(ToolCall, idents, names, arguments),
    st.builds(ToolCall, idents, names, words, custom=st.just(True)),
    st.builds(InvalidToolCall, idents, names, words, st.just("cut off")),
)
result_content = words | st.lists(
    st.one_of(texts, st.sampled_from([Image(data=PNG), Image(url="https://a")])), max_size=2
)
results = st.builds(ToolResult, idents, result_content, st.booleans(), st.none() | names)


def answers(own: str, own_parts: list[Part]) -> st.SearchStrategy[AIMessage]:
    """Answers of this provider, of another and of nobody."""
    mine = st.one_of(texts, asked, st.sampled_from(own_parts), st.sampled_from(own_parts))
    theirs = st.one_of(texts, asked, st.sampled_from(FOREIGN), st.sampled_from(BY_HAND))
    kwargs = st.sampled_from([{}, {}, {"function_call": {"name": "f", "arguments": "{}"}}, {"odd": 1}])
    return st.one_of(
        st.builds(AIMessage, words | st.lists(mine, max_size=4), kwargs, provider=st.just(own)),
        st.builds(AIMessage, words | st.lists(theirs, max_size=4), kwargs, provider=st.just("elsewhere")),
        st.builds(AIMessage, st.lists(st.one_of(texts, asked, st.sampled_from(BY_HAND)), max_size=3), kwargs),
    )


def messages(own: str, own_parts: list[Part], own_input: dict[str, Any]) -> st.SearchStrategy[tuple[Message, ...]]:
    mine: list[Part] = [*MEDIA, *FOREIGN, Opaque(provider=own, kind="x", data=own_input)]
    said = st.lists(st.one_of(texts, texts, results, st.sampled_from(mine)), max_size=3)
    one: st.SearchStrategy[Message] = st.one_of(
        st.builds(SystemMessage, words | st.lists(texts, max_size=2)),
        st.builds(HumanMessage, words | said, name=st.none() | names),
        answers(own, own_parts),
        answers(own, own_parts),
        st.builds(ToolMessage, result_content, tool_call_id=idents, is_error=st.booleans(), name=st.none() | names),
        st.builds(ChatMessage, words, role=st.sampled_from(["developer", "user", "critic", "assistant"])),
        st.builds(FunctionMessage, words, name=names),
    )
    return st.lists(one, min_size=1, max_size=5).map(tuple)


SCHEMA = {
    "type": "object",
    "properties": {"a": {"type": "integer", "minimum": 1}, "b": {"type": "string"}},
    "required": ["a"],
}
tools: st.SearchStrategy[tuple[Tool, ...]] = st.sampled_from(
    [
        (),
        (as_tool({"name": "f", "description": "F.", "input_schema": SCHEMA}),),
        (as_tool({"name": "f", "input_schema": SCHEMA, "strict": True}), as_tool({"name": "g", "input_schema": {}})),
    ]
)
outputs: st.SearchStrategy[Output[Any] | None] = st.sampled_from(
    [None, None, Output.of(SCHEMA, name="answer"), Output.of(list[int], name="l"), Output.of(dict[str, int], name="d")]
)
settings = st.builds(
    Settings,
    temperature=st.sampled_from([None, 0.0, 0.5]),
    top_p=st.sampled_from([None, 0.5]),
    top_k=st.sampled_from([None, 5]),
    max_tokens=st.sampled_from([None, 100]),
    n=st.sampled_from([None, 1, 2]),
    stop=st.sampled_from([None, ("a", "b")]),
    seed=st.sampled_from([None, 1]),
    presence_penalty=st.sampled_from([None, 0.1]),
    logprobs=st.sampled_from([None, True]),
    top_logprobs=st.sampled_from([None, 2]),
    tool_choice=st.sampled_from([None, "auto", "none", "required", "f"]),
    parallel_tool_calls=st.sampled_from([None, True, False]),
    reasoning_effort=st.sampled_from([None, "none", "low", "high"]),
    reasoning_budget=st.sampled_from([None, 0, 2000]),
    reasoning_summary=st.sampled_from([None, "auto"]),
    response_format=st.sampled_from(
        [None, {"type": "json_object"}, {"type": "json_schema", "json_schema": {"name": "x", "schema": SCHEMA}}]
    ),
    service_tier=st.sampled_from([None, "auto"]),
    verbosity=st.sampled_from([None, "low"]),
    user=st.sampled_from([None, "u1"]),
    metadata=st.sampled_from([None, {"team": "a"}]),
    store=st.sampled_from([None, True, False]),
)


def made(**fields: Any) -> Call:
    return Call(**fields)


def calls(models: list[str], own: str, own_parts: list[Part], own_input: dict[str, Any]) -> st.SearchStrategy[Call]:
    """Calls in which this provider's own parts are `own_parts`, and its own opaque input is `own_input`."""
    return st.builds(
        made,
        model=st.sampled_from(models),
        messages=messages(own, own_parts, own_input),
        settings=settings,
        tools=tools,
        output=outputs,
        stream=st.booleans(),
    )
