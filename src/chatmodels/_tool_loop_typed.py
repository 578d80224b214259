"""A tool loop whose last answer is a value of a type: `with_output(T).run_tools(...)`. Pure flow.

The type is asked for from the first answer on, so the model may call tools or give the value; what does not fit is asked again.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Generic, TypeVar

from ._calls import call_flow
from ._errors import OutputError
from ._flow import Flow
from ._messages import AIMessage
from ._outputs import again, can_mend, forced_call, value_of
from ._plan import Plan
from ._tool_loop import ToolLoop, ToolRun

if TYPE_CHECKING:
    from ._output import Output

T = TypeVar("T")


class TypedRun(ToolRun, Generic[T], frozen=True, kw_only=True):
    """What a tool loop did, and the value that it ended with."""

    value: T


def typed_tool_flow(plan: Plan, loop: ToolLoop, output: Output[T], attempts: int) -> Flow[TypedRun[T]]:
    """Ask and run tools until the model gives the value; OutputError where it gives none that fits, or no more steps are left."""
    if loop.calls:
        yield from loop.results()
    while True:
        message = yield from call_flow(plan, loop.call)
        loop.take(message)
        if loop.ended is None and message.tool_calls and forced_call(output, message) is None:
            yield from loop.results()
            continue
        try:
            return _run(loop, message, _value(loop, message, output))
        except OutputError as error:
            error.provider, error.model, error.attempts = message.provider, message.model, message.attempts
            error.partial = message
            attempts -= 1
            if attempts < 1 or loop.steps >= loop.max_steps or error.truncated or not can_mend(message):
                raise
            loop.ask_again(again(message, error))


def _value(loop: ToolLoop, message: AIMessage, output: Output[T]) -> T:
    if message.finish_reason == "tool_calls" and message.tool_calls and forced_call(output, message) is None:
        raise OutputError(
            f"no value after {loop.steps} answers: the model still wants to call tools; give more max_steps"
        )
    return value_of(output, message)


def _run(loop: ToolLoop, message: AIMessage, value: T) -> TypedRun[T]:
    said = list(loop.call.messages)
    return TypedRun(message=message, messages=said, steps=loop.steps, usage=loop.usage, value=value)
