"""Hypothesis strategies for conversations: every class of message, every kind of part, tools, settings, outputs."""

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
from chatmodels._usage import Attempt, Usage

PNG = b"\x89PNG\r\n\x1a\n\x00\x01"
PROVIDERS = ("openai", "another", "anthropic")

#: Text without lone surrogates, short, of all planes.
texts = st.text(st.characters(codec="utf-8"), max_size=12)
words = st.from_regex(r"[a-z][a-z0-9_]{0,8}", fullmatch=True)
idents = st.from_regex(r"[A-Za-z0-9_-]{1,12}", fullmatch=True)
caches: st.SearchStrategy[bool | str] = st.sampled_from([False, False, True, "5m", "30m", "1h", "12h"])
scalars = (
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.floats(allow_nan=False, allow_infinity=False) | texts
)
json_values = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(words, inner, max_size=3), max_leaves=6
)
json_objects = st.dictionaries(words, json_values, max_size=3)


def maybe(given: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.none() | given


def opaque_data(provider: str, data: st.SearchStrategy[Any] = json_objects) -> st.SearchStrategy[dict[str, Any]]:
    """Provider data that can be told apart from everything else: all its texts begin with `secret-`."""
    secret = st.builds(lambda d, w: {**d, "kept": f"secret-{provider}-{w}"}, data, idents)
    return st.builds(lambda d: {provider: d}, secret)


# ---- parts

citations = st.builds(
    Citation,
    url=maybe(st.just("https://example.com/a")),
    title=maybe(texts),
    cited_text=maybe(texts),
    start=maybe(st.integers(0, 5)),
    end=maybe(st.integers(5, 9)),
    file_id=maybe(idents),
)
text_parts = st.builds(Text, texts, st.lists(citations, max_size=2).map(tuple), cache=caches)
images = st.one_of(
    st.builds(
        Image,
        url=st.just("https://example.com/i.png"),
        detail=maybe(st.sampled_from(["low", "high", "auto"])),
        cache=caches,
    ),
    st.builds(Image, data=st.just(PNG), media_type=st.sampled_from([None, "image/png"]), cache=caches),
)
sounds = st.builds(
    Audio,
    data=st.just(b"RIFF....WAVEfmt "),
    media_type=st.sampled_from([None, "audio/wav", "audio/mpeg"]),
    cache=caches,
)
files = st.one_of(
    st.builds(
        File, data=st.just(b"%PDF-1.4"), media_type=maybe(st.just("application/pdf")), name=maybe(words), cache=caches
    ),
    st.builds(File, file_id=idents, name=maybe(words), cache=caches),
)
#: Media that a provider may refuse.
odd_media = st.one_of(
    st.builds(Image, file_id=idents),
    st.builds(Audio, url=st.just("https://example.com/a.wav")),
    st.builds(Audio, data=st.just(b"OggS"), media_type=st.just("audio/ogg")),
    st.builds(Audio, transcript=texts),
    st.builds(Audio, file_id=idents, transcript=maybe(texts)),
    st.builds(File, url=st.just("https://example.com/f.pdf")),
    st.builds(File, data=st.just(b"??")),
    st.builds(Video, url=st.just("https://example.com/v.mp4")),
    st.builds(Video, data=st.just(b"....ftyp"), media_type=st.just("video/mp4")),
)
refusals = st.builds(Refusal, texts)
reasonings = st.builds(Reasoning, texts, st.booleans(), signature=maybe(idents), encrypted=maybe(idents), cache=caches)


@st.composite
def tool_calls(draw: st.DrawFn) -> ToolCall:
    if draw(st.booleans()):
        return ToolCall(draw(idents), draw(words), draw(json_objects))
    if draw(st.booleans()):
        return ToolCall(draw(idents), draw(words), draw(texts), custom=True)
    return ToolCall(draw(st.just("") | idents), draw(words), {"a": 1}, text='{"a": 1}', cache=draw(caches))


invalid_calls = st.builds(InvalidToolCall, idents, words, st.just('{"a": '), st.just("the arguments are not JSON"))
server_tools = st.builds(
    ServerTool,
    phase=st.sampled_from(["call", "result"]),
    kind=st.sampled_from(["web_search", "code_execution", "mcp"]),
    id=maybe(idents),
    name=maybe(words),
    args=json_values,
    result=json_values,
)


def opaques(providers: tuple[str, ...] = PROVIDERS) -> st.SearchStrategy[Opaque]:
    """Parts of some provider that nobody else knows; `text` is a kind that every wire has."""
    return st.builds(
        lambda p, w: Opaque(provider=p, kind="text", data={"type": "text", "text": f"secret-{p}-{w}"}),
        st.sampled_from(providers),
        idents,
    )


plain_parts = text_parts | images
tool_results = st.builds(
    ToolResult,
    idents,
    texts | st.lists(plain_parts | files | refusals, max_size=3),
    st.booleans(),
    name=maybe(words),
    cache=caches,
)
user_parts: st.SearchStrategy[Part] = st.one_of(
    text_parts,
    text_parts,
    images,
    sounds,
    files,
    odd_media,
    refusals,
    reasonings,
    tool_calls(),
    server_tools,
    opaques(),
    tool_results,
)
answer_parts: st.SearchStrategy[Part] = st.one_of(
    text_parts,
    text_parts,
    reasonings,
    tool_calls(),
    tool_calls(),
    invalid_calls,
    refusals,
    server_tools,
    opaques(),
    images,
    odd_media,
)

# ---- messages

names = maybe(words)
systems = st.builds(SystemMessage, texts | st.lists(text_parts | refusals | reasonings, max_size=3), name=names)
humans = st.builds(HumanMessage, texts | st.lists(user_parts, max_size=4), name=names, example=st.booleans())
chats = st.builds(
    ChatMessage,
    texts | st.lists(text_parts, max_size=2),
    role=st.sampled_from(["developer", "system", "user", "assistant", "human", "ai"]),
    name=names,
)
functions = st.builds(FunctionMessage, texts | st.lists(text_parts, max_size=2), name=words)


@st.composite
def answers(draw: st.DrawFn, providers: tuple[str | None, ...] = (None, *PROVIDERS)) -> AIMessage:
    content = draw(texts | st.lists(answer_parts, max_size=4))
    return AIMessage(content, name=draw(names), provider=draw(st.sampled_from(providers)))


@st.composite
def turns(draw: st.DrawFn) -> list[Message]:
    """An answer, and a result for each of its calls, in one of the forms."""
    answer = draw(answers())
    out: list[Message] = [answer]
    calls = answer.tool_calls
    for number, call in enumerate(calls):
        content = draw(texts | st.lists(plain_parts, max_size=2))
        form = draw(st.sampled_from(["message", "message", "part", "function"]))
        if form == "part":
            more = draw(st.lists(text_parts, max_size=1)) if number == len(calls) - 1 else []
            out.append(HumanMessage([ToolResult(call.id, content, draw(st.booleans()), call.name), *more]))
        elif form == "function":
            out.append(FunctionMessage(content, name=call.name))
        else:
            out.append(
                ToolMessage(
                    content,
                    tool_call_id=call.id,
                    is_error=draw(st.booleans()),
                    name=draw(st.none() | st.just(call.name)),
                )
            )
    return out


@st.composite
def conversations(draw: st.DrawFn) -> tuple[Message, ...]:
    """System messages, then a few turns of any kind."""
    out: list[Message] = draw(st.lists(systems, max_size=1))
    for _ in range(draw(st.integers(1, 3))):
        out += draw(
            st.one_of(
                humans.map(lambda m: [m]), chats.map(lambda m: [m]), functions.map(lambda m: [m]), turns(), turns()
            )
        )
    return tuple(out)


# ---- what else a call has

function_tools = st.builds(
    lambda n, d, s: as_tool(
        {
            "name": n,
            "description": d,
            "input_schema": {
                "type": "object",
                "properties": {"x": {"type": "string"}},
                "required": ["x"],
                "additionalProperties": False,
            },
        },
        strict=s,
    ),
    words,
    maybe(texts),
    maybe(st.booleans()),
)
custom_tools: st.SearchStrategy[Tool] = st.just(
    as_tool({"type": "custom", "custom": {"name": "free", "description": "takes any text"}})
)
outputs = st.sampled_from(
    [
        None,
        Output.of({"type": "object", "properties": {"a": {"type": "integer"}}, "required": ["a"]}, name="made"),
        Output.of(list[int]),
        Output.of(
            {"title": "T", "type": "object", "properties": {"b": {"type": "string", "minLength": 2}}}, strict=True
        ),
    ]
)
settings: st.SearchStrategy[Settings] = st.builds(
    Settings,
    temperature=maybe(st.floats(0, 2)),
    top_p=maybe(st.floats(0, 1)),
    top_k=maybe(st.integers(1, 99)),
    min_p=maybe(st.floats(0, 1)),
    max_tokens=maybe(st.integers(1, 9999)),
    n=maybe(st.integers(1, 4)),
    stop=maybe(st.lists(texts.filter(bool), min_size=1, max_size=4).map(tuple)),
    seed=maybe(st.integers(0, 2**31)),
    presence_penalty=maybe(st.floats(-2, 2)),
    frequency_penalty=maybe(st.floats(-2, 2)),
    logprobs=maybe(st.booleans()),
    top_logprobs=maybe(st.integers(0, 5)),
    logit_bias=maybe(st.dictionaries(st.integers(0, 9).map(str), st.integers(-100, 100).map(float), max_size=2)),
    tool_choice=maybe(
        st.sampled_from(
            ["auto", "none", "required", "any", "f", "free", {"type": "function", "function": {"name": "f"}}]
        )
    ),
    parallel_tool_calls=maybe(st.booleans()),
    reasoning_effort=maybe(st.sampled_from(["none", "low", "high"])),
    reasoning_budget=maybe(st.integers(0, 4096)),
    reasoning_summary=maybe(st.just("auto")),
    response_format=maybe(
        st.sampled_from(
            [
                {"type": "json_object"},
                {"type": "text"},
                {"type": "json_schema", "json_schema": {"name": "o", "schema": {"type": "object"}}},
            ]
        )
    ),
    modalities=maybe(st.sampled_from([("text",), ("text", "audio")])),
    audio=maybe(st.just({"voice": "alloy", "format": "wav"})),
    service_tier=maybe(st.sampled_from(["auto", "flex"])),
    verbosity=maybe(st.sampled_from(["low", "high"])),
    user=maybe(words),
    metadata=maybe(st.dictionaries(words, words, max_size=2)),
    store=maybe(st.booleans()),
    extra_body=maybe(
        st.sampled_from(
            [{"prompt_cache_key": "k"}, {"stream_options": {"include_obfuscation": False}}, {"safety_identifier": None}]
        )
    ),
    extra_headers=maybe(st.just({"x-test": "1"})),
)


@st.composite
def calls(draw: st.DrawFn, models: tuple[str, ...] = ("gpt-4o-mini", "gpt-5.6", "made-up")) -> Call:
    tools: tuple[Tool, ...] = tuple(draw(st.lists(function_tools | custom_tools, max_size=2)))
    return Call(
        model=draw(st.sampled_from(models)),
        messages=draw(conversations()),
        settings=draw(settings),
        tools=tools,
        output=draw(outputs),
        stream=draw(st.booleans()),
    )


# ---- what an answer has besides


usages = st.builds(
    lambda i, o, r, w, t, raw: Usage(
        input_tokens=i,
        output_tokens=o,
        cache_read_tokens=min(r, i),
        cache_write_tokens=min(w, i - min(r, i)),
        reasoning_tokens=min(t, o),
        raw=raw,
    ),
    st.integers(0, 999),
    st.integers(0, 999),
    st.integers(0, 99),
    st.integers(0, 99),
    st.integers(0, 99),
    maybe(json_objects),
)
attempts = st.builds(
    Attempt,
    number=st.integers(1, 9),
    outcome=words,
    status=maybe(st.integers(200, 599)),
    seconds=maybe(st.floats(0, 9)),
    usage=maybe(usages),
)


@st.composite
def whole_answers(draw: st.DrawFn, depth: int = 1) -> AIMessage:
    """An answer with everything that a finished call knows of it."""
    return AIMessage(
        draw(texts | st.lists(answer_parts, max_size=4)),
        draw(json_objects),
        example=draw(st.booleans()),
        name=draw(names),
        id=draw(maybe(idents)),
        model=draw(maybe(words)),
        provider=draw(st.sampled_from((None, *PROVIDERS))),
        finish_reason=draw(maybe(st.sampled_from(["stop", "length", "tool_calls"]))),
        raw_finish_reason=draw(maybe(words)),
        usage=draw(maybe(usages)),
        logprobs=draw(maybe(st.lists(json_objects, max_size=2))),
        warnings=tuple(draw(st.lists(texts, max_size=2))),
        attempts=tuple(draw(st.lists(attempts, max_size=2))),
        request_id=draw(maybe(idents)),
        from_cache=draw(st.booleans()),
        provider_data=draw(maybe(opaque_data("openai"))),
        alternatives=tuple(draw(st.lists(whole_answers(depth=0), max_size=1))) if depth else (),
    )


tool_messages = st.builds(
    ToolMessage,
    texts | st.lists(plain_parts | files, max_size=3),
    json_objects,
    tool_call_id=idents,
    is_error=st.booleans(),
    name=names,
    id=maybe(idents),
    provider_data=maybe(opaque_data("openai")),
)
#: Any message at all.
messages: st.SearchStrategy[Message] = st.one_of(systems, humans, whole_answers(), tool_messages, chats, functions)
