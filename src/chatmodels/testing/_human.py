"""A person as a chat model: the conversation is shown, and the answer is read from the terminal or from any callable."""

from __future__ import annotations

import select
import sys
from collections.abc import Callable, Sequence
from threading import Event
from typing import Any, Unpack

from .._call import Settings
from .._errors import ProviderError, TransportError, UsageError
from .._inputs import tool_call
from .._json import dumps_text, is_array, is_object, loads
from .._messages import AIMessage, Message, ToolMessage
from .._options import ModelOptions
from .._parts import Part
from .._tools import Tool
from ._scripted import ChatScripted, _script

START, END = "======= start of message =======", "======= end of message ======="

#: What a terminal would obey, in place of which its code is shown: a message may come from anywhere.
_CONTROLS = {code: f"\\x{code:02x}" for code in (*range(32), *range(127, 160)) if chr(code) not in "\n\t"}

#: How soon it is seen that a call was given up, in seconds.
_STEP = 0.1


class ChatHuman(ChatScripted):
    """A person who answers as a model.

    Without `ask`, the messages are printed and the answer is read from the terminal, until a line that is `end` (an empty
    line, unless you say otherwise), a stop sequence of the call, or the end of the input. `ask(messages)` gives the answer in
    another way: a str, or an `AIMessage`; `show(messages)` shows them in another way. Where the call has tools, an answer
    that is JSON `{"name": ..., "args": {...}}`, or a list of such, calls them.

    Raises `ProviderError` when the input ends without an answer.

    >>> ChatHuman(lambda messages: "Yes.")("Is it so?").text
    'Yes.'
    """

    __slots__ = ()

    def __init__(
        self,
        ask: Callable[[list[Message]], Any] | None = None,
        *,
        show: Callable[[list[Message]], object] | None = None,
        end: str = "",
        model: str = "human",
        **options: Unpack[ModelOptions],
    ) -> None:
        for name, given in (("ask", ask), ("show", show)):
            if given is not None and not callable(given):
                raise UsageError(f"{name} is a function of the messages, not {type(given).__name__}", argument=name)
        person = Person(ask, show or (print_messages if ask is None else None), end)
        self._play(_script([person], True, 0.0, None), "human", model, dict(options))


class Person:
    """Shows, asks, and reads the answer."""

    def __init__(self, ask: Callable[..., Any] | None, show: Callable[..., object] | None, end: str) -> None:
        self._ask = ask
        self._show = show
        self._end = end
        self._left = Event()

    def give_up(self) -> None:
        """Nobody waits for the answer any more: the terminal is not read on."""
        self._left.set()

    def __call__(self, messages: list[Message], settings: Settings, tools: list[Tool]) -> Any:
        self._left.clear()
        if self._show is not None:
            self._show(messages)
        if self._ask is not None:
            said = self._ask(messages)
        else:
            said = read_answer(self._end, settings.stop or (), self._left)
        return answer_of(said, tools) if isinstance(said, str) else said


def print_messages(messages: Sequence[Message]) -> None:
    """The messages on the standard output."""
    print(shown(messages), flush=True)


def shown(messages: Sequence[Message]) -> str:
    """The messages in a form like YAML, between the lines that 2023 had."""
    blocks = ["\n".join(_lines(message)) for message in messages]
    return f"\n{START}\n\n" + "\n\n".join(blocks).translate(_CONTROLS) + f"\n\n{END}\n"


def _lines(message: Message) -> list[str]:
    lines = [f"role: {message.role}"]
    if isinstance(message, ToolMessage):
        lines.append(f"tool_call_id: {message.tool_call_id}")
    lines += _block("content", message.text)
    if isinstance(message, AIMessage):
        lines += [f"call: {dumps_text({'name': c.name, 'args': c.args})}" for c in message.tool_calls]
    others = [
        type(p).__name__ for p in message.parts if type(p).__name__ not in ("Text", "ToolCall", "InvalidToolCall")
    ]
    return [*lines, *(f"also: {', '.join(others)}" for _ in others[:1])]


def _block(name: str, text: str) -> list[str]:
    if "\n" not in text:
        return [f"{name}: {text}"]
    return [f"{name}: |", *(f"  {line}" for line in text.split("\n"))]


def read_answer(end: str, stop: Sequence[str], left: Event) -> str:
    """Lines from the terminal, until the line `end`, a stop sequence, or the end of the input; or until `left` is set."""
    lines: list[str] = []
    while line := _next_line(left):
        line = line.rstrip("\r\n")
        if line == end:
            break
        lines.append(line)
        text = "\n".join(lines)
        found = [at for word in stop if (at := text.find(word)) >= 0]
        if found:
            return text[: min(found)]
    else:
        if not lines:
            raise ProviderError("the input ended without an answer", message="the input ended")
    return "\n".join(lines)


def _next_line(left: Event) -> str:
    """A thread that waits in `readline` cannot be ended, and keeps the program from ending: a terminal is asked before."""
    terminal = sys.stdin.isatty() and hasattr(select, "poll")  # not where `select` knows sockets alone
    while terminal and not select.select([sys.stdin], [], [], _STEP)[0]:
        if left.is_set():
            raise TransportError("the call was given up", phase="read")
    return sys.stdin.readline()


def answer_of(text: str, tools: Sequence[Tool]) -> str | AIMessage:
    """The text; or the calls of tools that it is, where there are tools and it is such JSON."""
    calls = _calls(text) if tools else []
    if not calls:
        return text
    names = {t.name for t in tools}
    unknown = next((c["name"] for c in calls if c["name"] not in names), None)
    if unknown is not None:
        return text
    parts: list[Part] = [
        tool_call(str(c.get("id") or f"call_{n}"), c["name"], dumps_text(c.get("args") or {}))
        for n, c in enumerate(calls, 1)
    ]
    return AIMessage(parts)


def _calls(text: str) -> list[dict[str, Any]]:
    if text.lstrip()[:1] not in ("{", "["):
        return []
    try:
        data = loads(text)
    except ValueError:
        return []
    items = data if is_array(data) else [data]
    whole = [i for i in items if is_object(i) and isinstance(i.get("name"), str)]
    return whole if len(whole) == len(items) else []


class HumanInputChatModel(ChatHuman):
    """The name of 2023. `input_func(messages, stop=..., **input_kwargs)` gives the answer, `message_func(messages,
    **message_kwargs)` shows the messages."""

    __slots__ = ()

    def __init__(
        self,
        *,
        input_func: Callable[..., Any] | None = None,
        message_func: Callable[..., object] | None = None,
        input_kwargs: dict[str, Any] | None = None,
        message_kwargs: dict[str, Any] | None = None,
        separator: str = "",
        **options: Any,
    ) -> None:
        person = _Person2023(input_func, message_func, input_kwargs or {}, message_kwargs or {}, separator)
        name = options.pop("model", None) or "human"
        self._play(_script([person], True, 0.0, None), "human", name, options)


class _Person2023(Person):
    def __init__(
        self,
        ask: Callable[..., Any] | None,
        show: Callable[..., object] | None,
        ask_with: dict[str, Any],
        show_with: dict[str, Any],
        end: str,
    ) -> None:
        super().__init__(ask, show, end)
        self._ask_with, self._show_with = ask_with, show_with

    def __call__(self, messages: list[Message], settings: Settings, tools: list[Tool]) -> Any:
        self._left.clear()
        (self._show or print_messages)(messages, **self._show_with)
        if self._ask is None:
            said: Any = read_answer(self._end, settings.stop or (), self._left)
        else:
            said = self._ask(messages, stop=list(settings.stop) if settings.stop else None, **self._ask_with)
        return answer_of(said, tools) if isinstance(said, str) else said
