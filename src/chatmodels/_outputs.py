"""The flow behind `with_output`: call, check why the answer ended, read it as the type, ask again a bounded number of times.

A truncated or refused answer is said to be so; it is never taken for badly written JSON, and never asked again.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Generic, TypeVar

import msgspec
from msgspec.structs import force_setattr

from ._call import Call
from ._calls import call_flow
from ._errors import OutputError
from ._flow import Flow
from ._messages import AIMessage, HumanMessage, Message, ToolMessage
from ._parts import InvalidToolCall, ToolCall
from ._plan import Plan
from ._usage import Attempt

if TYPE_CHECKING:
    from ._output import Output

T = TypeVar("T")


class Typed(msgspec.Struct, Generic[T], frozen=True):
    """A value, and the message that it was read from (whose `attempts` list every try, with its usage)."""

    value: T
    message: AIMessage


def output_flow(plan: Plan, call: Call, output: Output[T], attempts: int) -> Flow[Typed[T]]:
    """The typed answer; an OutputError after `attempts` answers that did not fit, with the last one on it."""
    spent: tuple[Attempt, ...] = ()
    while True:
        message = yield from call_flow(plan, call)
        spent += message.attempts
        force_setattr(message, "attempts", spent)
        try:
            return Typed(value_of(output, message), message)
        except OutputError as error:
            error.provider, error.model, error.attempts = message.provider, message.model, spent
            error.partial = message
            attempts -= 1
            if attempts < 1 or error.truncated or not can_mend(message):
                raise
            call = msgspec.structs.replace(call, messages=(*call.messages, message, *again(message, error)))


def value_of(output: Output[T], message: AIMessage) -> T:
    """The message as the type; an OutputError says why it is none."""
    if message.finish_reason == "length":
        raise OutputError(
            "the answer was cut off by a length limit before it was whole: give more max_tokens", truncated=True
        )
    if message.finish_reason in ("content_filter", "refusal") or message.refusal:
        said = f": {message.refusal}" if message.refusal else ""
        raise OutputError(f"the model refused, or a filter stopped it ({message.finish_reason}){said}")
    call = forced_call(output, message)
    if isinstance(call, ToolCall):
        return output.convert(call.args)
    return output.parse(message.text if call is None else call.args)


def data_of(output: Output[Any], message: AIMessage) -> Any:
    """The JSON value of an answer that fits, as the model wrote it."""
    call = forced_call(output, message)
    if isinstance(call, ToolCall):
        return output.bare(call.args)
    return output.load(message.text if call is None else call.args)


def forced_call(output: Output[Any], message: AIMessage) -> ToolCall | InvalidToolCall | None:
    """The call by which a provider without structured output gives it."""
    return next((c for c in message.tool_calls if c.name == output.name), None)


def can_mend(message: AIMessage) -> bool:
    """May another answer be asked for after this one?"""
    return message.finish_reason in ("stop", "tool_calls", "unknown", "other")


def again(message: AIMessage, error: OutputError) -> list[Message]:
    """What is said to an answer that does not fit."""
    said = f"That answer cannot be used: {error.text}. Answer again, with nothing but JSON that fits the schema."
    calls = message.tool_calls
    if calls:
        return [ToolMessage(said, tool_call_id=c.id, is_error=True, name=c.name) for c in calls]
    return [HumanMessage(said)]
