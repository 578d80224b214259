"""The loop behind `run_tools`: ask, run the tools that the model calls, feed their results back, until it answers. Pure flow.

Running a tool is an effect: the sync driver runs several in threads, the async one as tasks, so that parallel calls are parallel.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from inspect import isawaitable
from typing import Any

import msgspec

from ._call import Call
from ._calls import call_flow
from ._errors import UsageError
from ._flow import Ask, Flow
from ._json import is_array
from ._messages import AIMessage, Message, ToolMessage
from ._parts import PART_TYPES, InvalidToolCall, ToolCall
from ._plan import Plan
from ._tools import Tool
from ._usage import Usage

#: Decides about a call before it runs: True lets it run, False refuses it, a str refuses it with that text. May be async.
Approve = Callable[[ToolCall], "bool | str | Awaitable[bool | str]"]
#: Runs calls; gives one result (or exception) each, in order.
RunAll = Callable[[list[tuple[Tool, ToolCall]]], list[Any]]


class ToolRun(msgspec.Struct, frozen=True, kw_only=True):
    """What a tool loop did. `message` is the last answer; `messages` the whole conversation with it; `steps` the number of
    answers. `stopped` is True when the step limit ended it while the model still wanted to call tools."""

    message: AIMessage
    messages: list[Message]
    steps: int
    stopped: bool = False
    usage: Usage | None = None

    @property
    def text(self) -> str:
        """The text of the last answer."""
        return self.message.text


class Runners(msgspec.Struct, frozen=True):
    """How tools are run, in each world, and how what an async `approve` gives is waited for."""

    run_all: RunAll
    arun_all: Any
    wait: Callable[[Awaitable[Any]], Any]
    await_: Any


class ToolLoop:
    """Where a tool loop stands: `call` is what to ask next; `take` is told the answer, `results` runs what it calls.

    `calls` are those to run now: at first what the messages end with and nobody has answered, as of a run that was stopped.
    `ended` is the whole run, once there is nothing more to ask.
    """

    __slots__ = ("approve", "call", "calls", "ended", "max_steps", "runners", "steps", "tools", "usage")

    def __init__(self, call: Call, approve: Approve | None, max_steps: int, runners: Runners) -> None:
        _check_tools(call.tools)
        self.call = call
        self.approve = approve
        self.max_steps = max_steps
        self.runners = runners
        self.tools = {t.name: t for t in call.tools}
        self.calls: Sequence[ToolCall | InvalidToolCall] = _unanswered(call.messages)
        self.steps = 0
        self.usage: Usage | None = None
        self.ended: ToolRun | None = None

    def take(self, message: AIMessage) -> None:
        """The model has answered."""
        self.steps += 1
        if message.usage is not None:
            self.usage = message.usage if self.usage is None else self.usage + message.usage
        said: list[Message] = [*self.call.messages, message]
        self.call = msgspec.structs.replace(self.call, messages=tuple(said))
        self.calls = calls = message.tool_calls
        if not calls or self.steps >= self.max_steps or message.finish_reason in _BROKEN_OFF:
            self.ended = ToolRun(
                message=message, messages=said, steps=self.steps, stopped=bool(calls), usage=self.usage
            )

    def results(self) -> Flow[list[Message]]:
        """Run what the last answer calls: one ToolMessage for each call, which the next question has too."""
        results = yield from _results(self.calls, self.tools, self.approve, self.runners)
        self.call = msgspec.structs.replace(self.call, messages=(*self.call.messages, *results))
        return results

    def ask_again(self, said: Sequence[Message]) -> None:
        """Go on after an answer that is no end, with these messages."""
        self.call = msgspec.structs.replace(self.call, messages=(*self.call.messages, *said))
        self.ended = None


#: An answer that ended so may lack some of its calls, or hold half of one: none is run.
_BROKEN_OFF = ("length", "content_filter", "error")


def tool_flow(plan: Plan, loop: ToolLoop) -> Flow[ToolRun]:
    """Ask and run tools until the model answers without calling one, or `max_steps` answers have come."""
    if loop.calls:
        yield from loop.results()
    while True:
        loop.take((yield from call_flow(plan, loop.call)))
        if loop.ended is not None:
            return loop.ended
        yield from loop.results()


def _unanswered(messages: Sequence[Message]) -> list[ToolCall | InvalidToolCall]:
    """The calls with which a conversation ends and that have no result yet."""
    answered: set[str | None] = set()
    for message in reversed(messages):
        if isinstance(message, ToolMessage):
            answered.add(message.tool_call_id)
            continue
        if not isinstance(message, AIMessage) or message.finish_reason in _BROKEN_OFF:
            break
        return [call for call in message.tool_calls if call.id not in answered]
    return []


def _check_tools(tools: Sequence[Tool]) -> None:
    if not tools:
        raise UsageError("there are no tools to run: give them with with_tools(...) or tools=", argument="tools")
    for one in tools:
        if one.kind == "function" and one.function is None:
            raise UsageError(
                f"{one.name} is only a definition, it has no function to run: give a function, or handle its calls yourself",
                argument="tools",
            )


def _results(
    calls: Sequence[ToolCall | InvalidToolCall], tools: dict[str, Tool], approve: Approve | None, runners: Runners
) -> Flow[list[Message]]:
    """One ToolMessage for each call, in order: what the tool gave, or why it could not be run."""
    answers: dict[int, Message] = {}
    good: list[tuple[int, Tool, ToolCall]] = []
    for index, call in enumerate(calls):
        refusal = yield from _refusal(call, tools, approve, runners)
        if refusal is None and isinstance(call, ToolCall):
            good.append((index, tools[call.name], call))
        else:
            answers[index] = _error(call, refusal or "it could not be run")
    if good:
        results = yield Ask(runners.run_all, ([(t, c) for _, t, c in good],), runners.arun_all)
        for (index, _, call), result in zip(good, results, strict=True):
            answers[index] = _answer(call, result)
    return [answers[i] for i in range(len(calls))]


def _refusal(
    call: ToolCall | InvalidToolCall, tools: dict[str, Tool], approve: Approve | None, runners: Runners
) -> Flow[str | None]:
    if call.name not in tools:
        return f"there is no tool {call.name!r}; there are {', '.join(sorted(tools))}"
    if isinstance(call, InvalidToolCall):
        return call.error
    allowed: Any = True if approve is None else approve(call)
    if isawaitable(allowed):
        allowed = yield Ask(runners.wait, (allowed,), runners.await_)
    if allowed is True:
        return None
    return allowed if isinstance(allowed, str) else "the user did not allow this call"


def _error(call: ToolCall | InvalidToolCall, why: str) -> ToolMessage:
    return ToolMessage(f"Error: {why}", tool_call_id=call.id, is_error=True, name=call.name)


def _answer(call: ToolCall, result: Any) -> Message:
    if isinstance(result, BaseException):
        return _error(call, f"{type(result).__name__}: {result}")
    if isinstance(result, ToolMessage):
        return msgspec.structs.replace(result, tool_call_id=call.id)
    return ToolMessage(content_of_result(result), tool_call_id=call.id, name=call.name)


def content_of_result(result: Any) -> Any:
    """What a tool gave, as the content of a message: text and parts as they are, everything else as JSON."""
    if isinstance(result, str):
        return result
    if isinstance(result, PART_TYPES):
        return [result]
    if is_array(result) and result and all(isinstance(p, PART_TYPES) for p in result):
        return result
    dump = getattr(result, "model_dump_json", None)
    if dump is not None:
        return dump()
    try:
        return msgspec.json.encode(result).decode()
    except (TypeError, msgspec.MsgspecError):
        return str(result)
