"""One count of what would be sent: the best way that is allowed, and a word on how exact it is."""

from __future__ import annotations

import re
from functools import partial
from typing import TYPE_CHECKING, Any, Literal, cast

import msgspec

from .._call import Call
from .._calls import call_flow
from .._drive import arun, run
from .._errors import UsageError
from .._estimate import FRAMES, estimate_text, message_tokens, tool_tokens
from .._flow import Flow
from .._inputs import messages_of
from .._messages import AIMessage, FunctionMessage, Message, ToolMessage
from .._parts import Text
from .._plan import Plan
from ._endpoint import ENDPOINTS, Counting
from ._vocabulary import encoding_name, text_tokens

if TYPE_CHECKING:
    from .._model import ChatModel

How = Literal["exact", "provider", "estimate"]

#: OpenAI's frame around chat messages: 3 tokens and the role each, 3 for the answer's beginning (its cookbook, and recordings).
PER_MESSAGE, PRIMING = 4, 3
#: Models of which that is known to be the whole frame; reasoning models and those that search have more, or less.
_FRAMED = re.compile(
    r"(gpt-3\.5-turbo|gpt-4|gpt-4-turbo|gpt-4o|gpt-4o-mini|gpt-4\.1|gpt-4\.1-mini|gpt-4\.1-nano)(-[0-9-]+(-preview)?)?"
)


class TokenCount(msgspec.Struct, frozen=True):
    """How many input tokens a call takes. `int(count)` is the number.

    `how`: "exact" (the model's own vocabulary or engine), "provider" (its counting endpoint said so) or "estimate" (most
    within a third for text; tools, images and documents may be far off). `source` says by what it was counted, for people.
    """

    value: int
    how: How
    source: str

    def __int__(self) -> int:
        return self.value


def count_tokens(input: Any, model: ChatModel | str | None = None, *, exact: bool = False) -> TokenCount:
    """The input tokens of anything that a model takes.

    `model` is a chat model (its tools and settings count too), a name such as "openai:gpt-4o" or "gpt-4o", or None.
    Nothing is sent unless `exact=True`: then a model whose vocabulary is not at hand asks its provider (which may bill nothing, but
    limits the rate), or its engine. Raises `UsageError` when exact is asked for and there is no way, else as a call does.

    >>> count_tokens("I love programming.")
    TokenCount(value=9, how='estimate', source='the rules of chatmodels.tokens')
    """
    chat = _model_of(model, exact)
    if chat is None:
        return _by_name(input, cast("str | None", model) or "", exact)
    here, flow = _ways(chat, chat._call(input), exact)
    return here if flow is None else run(flow)


async def acount_tokens(input: Any, model: ChatModel | str | None = None, *, exact: bool = False) -> TokenCount:
    """`count_tokens` in the async world."""
    chat = _model_of(model, exact)
    if chat is None:
        return _by_name(input, cast("str | None", model) or "", exact)
    here, flow = _ways(chat, chat._call(input), exact)
    return here if flow is None else await arun(flow)


def count_call(call: Call, provider: str = "") -> TokenCount:
    """The input tokens of a call, without asking anybody."""
    name = encoding_name(call.model, provider)
    if name is None or text_tokens("", name) is None:
        each, once, tools = FRAMES.get(provider, (PER_MESSAGE, 0, 0))
        total = _total(call, provider, estimate_text, each) + once + (tools if call.tools else 0)
        return TokenCount(total, "estimate", "the rules of chatmodels.tokens")

    def count(text: str) -> int:
        return text_tokens(text, name) or 0

    total = _total(call, provider, count, PER_MESSAGE) + PRIMING
    asked = call.settings
    plain = not (call.tools or call.output or asked.response_format or asked.modalities or asked.extra_body)
    whole = plain and _FRAMED.fullmatch(call.model) is not None and all(_is_text(m) for m in call.messages)
    return TokenCount(
        total, "exact" if whole else "estimate", name if whole else f"{name}, and rules for what is no text"
    )


def _model_of(model: object, exact: bool) -> ChatModel | None:
    """The model to count with; None where a name is enough: nobody is to be asked, or there is nobody to ask."""
    name = model if isinstance(model, str) else ""
    asks = exact and name.partition(":")[0] in (*ENDPOINTS, "local")
    if model is None or (isinstance(model, str) and not asks):
        return None
    from .._model import ChatModel

    if isinstance(model, str):
        return ChatModel(model)
    if not isinstance(model, ChatModel):
        raise UsageError(f"model is a chat model, or the name of one; got {model!r}", argument="model")
    return model


def _by_name(input: Any, model: str, exact: bool) -> TokenCount:
    provider, found, name = model.partition(":")
    found_count = count_call(
        Call(model=name if found else model, messages=tuple(messages_of(input))), provider if found else ""
    )
    if exact and found_count.how == "estimate":
        raise _no_way(model or "no model", found_count)
    return found_count


def _ways(model: ChatModel, call: Call, exact: bool) -> tuple[TokenCount, Flow[TokenCount] | None]:
    """The count that needs nobody, and the flow that finds a better one, if that is asked for."""
    plan = model._own_plan()
    provider = plan.dialect.provider
    here = count_call(call, provider)
    if not exact or here.how == "exact":
        return here, None
    endpoint = ENDPOINTS.get(provider)
    if endpoint is not None:
        dialect = Counting(plan.dialect, endpoint)
        return here, _asked(_bare(plan, dialect), call, "provider", f"{provider}'s counting endpoint")
    if provider == "local":  # the engine counts what it reads; one token is the least that it writes
        settings = msgspec.structs.replace(call.settings, max_tokens=1, n=None)
        short = msgspec.structs.replace(call, settings=settings)
        return here, _asked(_bare(plan, plan.dialect), short, "exact", "the engine's own count")
    raise _no_way(f"{provider}:{call.model}", here)


def _bare(plan: Plan, dialect: Any) -> Plan:
    """The plan without what is around a call that is meant: callbacks, caches, fallbacks."""
    return msgspec.structs.replace(plan, dialect=dialect, handlers=(), layers=(), stream_calls=False)


def _asked(plan: Plan, call: Call, how: How, source: str) -> Flow[TokenCount]:
    message: AIMessage = yield from call_flow(plan, call)
    usage = message.usage
    if usage is None or usage.input_tokens is None:
        raise UsageError(f"{source} gave no number of tokens", argument="exact")
    return TokenCount(usage.input_tokens, how, source)


def _no_way(model: str, found: TokenCount) -> UsageError:
    more = "" if found.source.startswith("o200k") else "; for OpenAI's models: pip install 'chatmodels[tokens]'"
    return UsageError(
        f"there is no exact count for {model}: neither a vocabulary nor a counting endpoint{more}. "
        "Without exact=True there is an estimate",
        argument="exact",
    )


def _total(call: Call, provider: str, count: Any, each: int) -> int:
    one = partial(message_tokens, count=count, provider=provider, each=each)
    return sum([one(m) for m in call.messages]) + sum([tool_tokens(t, count) for t in call.tools])


def _is_text(message: Message) -> bool:
    if isinstance(message, ToolMessage | FunctionMessage) or message.additional_kwargs:
        return False
    return isinstance(message.content, str) or all(isinstance(p, Text) for p in message.content)
