"""Generated conversations with every kind of part, from this provider, from others, and made by hand."""

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
from chatmodels._tools import Tool

PNG = b"\x89PNG\r\n\x1a\n0000"
#: Stands in whatever only another provider may see.
SECRET = "not-for-you"

words = st.text(st.characters(codec="utf-8", exclude_characters="\x00"), max_size=12)
names = st.from_regex(r"[a-z][a-z_]{0,8}", fullmatch=True)
idents = st.sampled_from(["", "call_0", "call_1", "toolu_01A", "x-1"])
leaves = st.none() | st.booleans() | st.integers(-9, 9) | words
objects = st.dictionaries(names, leaves | st.lists(leaves, max_size=2), max_size=3)
caches = st.sampled_from([False, True, "1h"])
foreign = st.sampled_from([None, {"elsewhere": {"signature": SECRET, "thoughtSignature": SECRET}}])


def builds(make: Any, *args: Any, **fields: Any) -> st.SearchStrategy[Any]:
    """As `st.builds`, without reading the signature: some names in it are imported for type checkers only."""
    return st.builds(lambda *a, **k: make(*a, **k), *args, **fields)


def media(make: Any, kind: str) -> st.SearchStrategy[Any]:
    given = st.sampled_from(
        [
            {"data": PNG, "media_type": kind},
            {"url": "https://example.com/a.png", "media_type": kind},
            {"url": "https://example.com/a"},
            {"file_id": "files/abc", "media_type": kind},
        ]
    )
    return st.builds(
        lambda fields, data, cache: make(provider_data=data, cache=cache, **fields), given, foreign, caches
    )


texts = builds(Text, words, cache=caches, provider_data=foreign)
cited = builds(
    Text, words, st.just((Citation(url="https://example.com", provider_data={"elsewhere": {"id": SECRET}}),))
)
files = st.one_of(
    media(Image, "image/png"),
    media(Audio, "audio/wav"),
    media(Video, "video/mp4"),
    media(File, "application/pdf"),
    builds(File, data=st.just(b"words"), media_type=st.just("text/plain"), name=st.just("a.txt")),
    st.just(Audio(transcript="hm")),
)
reasonings = builds(
    Reasoning, words, signature=st.sampled_from([None, SECRET]), encrypted=st.sampled_from([None, SECRET])
)
calls = st.one_of(
    builds(ToolCall, idents, names, objects),
    builds(ToolCall, idents, names, words, custom=st.just(True)),
    builds(InvalidToolCall, idents, names, words, st.just("cut off")),
)
results = builds(ToolResult, idents, words | st.lists(texts | files, max_size=3), st.booleans(), st.none() | names)
strange = st.one_of(
    builds(
        ServerTool,
        phase=st.sampled_from(["call", "result"]),
        kind=st.just("web_search"),
        id=st.just(SECRET),
        args=objects,
        provider_data=st.just({"elsewhere": {"block": SECRET}}),
    ),
    builds(Opaque, provider=st.just("elsewhere"), kind=st.just("block"), data=st.just({"secret": SECRET})),
    builds(Refusal, words),
)
said: st.SearchStrategy[list[Part]] = st.lists(texts | files | results | strange, max_size=4)
answered: st.SearchStrategy[list[Part]] = st.lists(texts | cited | reasonings | calls | strange | files, max_size=5)
kwargs = st.sampled_from([{}, {"function_call": {"name": "f", "arguments": "{}"}}, {"odd": 1}])


def messages(own: str) -> st.SearchStrategy[list[Message]]:
    """Conversations; answers come from `own`, from elsewhere, or are made by hand."""
    one = st.one_of(
        builds(SystemMessage, words | st.lists(texts, max_size=2)),
        builds(HumanMessage, words | said, name=st.none() | names),
        builds(AIMessage, words | answered, kwargs, provider=st.sampled_from([None, "elsewhere"])),
        builds(AIMessage, st.lists(texts | calls, max_size=3), provider=st.just(own)),
        builds(ToolMessage, words | st.lists(texts | files, max_size=2), tool_call_id=idents, is_error=st.booleans()),
        builds(ChatMessage, words, role=st.sampled_from(["developer", "user", "critic", "assistant"])),
        builds(FunctionMessage, words, name=names),
    )
    return st.lists(one, min_size=1, max_size=6)


NODE: dict[str, Any] = {
    "type": "object",
    "properties": {
        "name": {"type": "string", "pattern": "^a"},
        "more": {"$ref": "#/$defs/N"},
        "n": {"type": ["integer", "null"]},
    },
    "required": ["name"],
    "additionalProperties": False,
    "$defs": {"N": {"type": "object", "properties": {"k": {"const": "v"}}, "additionalProperties": {"type": "number"}}},
}
functions = builds(
    Tool,
    name=names,
    description=st.none() | words,
    parameters=st.sampled_from([{"type": "object", "properties": {}}, NODE]),
    strict=st.sampled_from([None, True, False]),
)

settings = builds(Settings,
    temperature=st.none() | st.floats(0, 2),
    top_p=st.none() | st.floats(0, 1),
    top_k=st.none() | st.integers(1, 50),
    min_p=st.none() | st.floats(0, 1),
    max_tokens=st.none() | st.integers(1, 100),
    n=st.none() | st.integers(1, 3),
    stop=st.none() | st.tuples(words),
    seed=st.none() | st.integers(0, 9),
    presence_penalty=st.none() | st.floats(-1, 1),
    frequency_penalty=st.none() | st.floats(-1, 1),
    logprobs=st.none() | st.booleans(),
    top_logprobs=st.none() | st.integers(0, 5),
    logit_bias=st.sampled_from([None, {"1": 2.0}]),
    tool_choice=st.sampled_from([None, "auto", "none", "required", "f"]),
    parallel_tool_calls=st.none() | st.booleans(),
    reasoning_effort=st.sampled_from([None, "none", "minimal", "low", "medium", "high"]),
    reasoning_budget=st.sampled_from([None, 0, 100]),
    reasoning_summary=st.sampled_from([None, "auto", "none"]),
    response_format=st.sampled_from([None, {"type": "json_object"}, {"type": "json_schema", "json_schema": {"schema": NODE}}]),
    modalities=st.sampled_from([None, ("text",), ("text", "image")]),
    audio=st.sampled_from([None, {"voice": "Kore", "format": "wav"}]),
    service_tier=st.sampled_from([None, "auto", "default", "flex"]),
    verbosity=st.sampled_from([None, "low"]),
    user=st.sampled_from([None, "u"]),
    metadata=st.sampled_from([None, {"team": "a"}]),
    store=st.none() | st.booleans(),
)  # fmt: skip


def generated(own: str, models: list[str]) -> st.SearchStrategy[Call]:
    """Calls with such conversations, tools, settings and wanted outputs."""
    return builds(
        Call,
        model=st.sampled_from(models),
        messages=messages(own).map(tuple),
        settings=settings,
        tools=st.lists(functions, max_size=2, unique_by=lambda t: t.name).map(tuple),
        output=st.sampled_from([None, Output(name="out", schema=NODE, description="What is wanted.")]),
        stream=st.booleans(),
    )
