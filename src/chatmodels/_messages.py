"""Messages: what goes into a chat model and what comes out. Frozen values; no I/O, no provider's spelling.

`content` is a str or a list of parts (`_parts.py`); everything else about the content is derived from it.
"""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module
from typing import TYPE_CHECKING, Any, ClassVar, TypeAlias, cast

import msgspec
from msgspec.structs import force_setattr

from ._content import content_of
from ._errors import UsageError
from ._json import loads
from ._parts import (
    Citation,
    InvalidToolCall,
    Part,
    ProviderData,
    Reasoning,
    Refusal,
    Text,
    ToolCall,
    ToolResult,
)
from ._usage import Attempt, Usage

if TYPE_CHECKING:
    from .prompts import ChatPromptTemplate


class _Message(msgspec.Struct, frozen=True, omit_defaults=True, tag_field="type"):
    """What all messages share. `additional_kwargs` is sent along (its "name" is the speaker's name)."""

    content: str | list[Part] = ""
    additional_kwargs: dict[str, Any] = {}

    def __post_init__(self) -> None:
        given = cast(object, self.content)
        if given.__class__ is not str:
            if given is None and not isinstance(self, (AIMessage, ToolMessage)):
                raise UsageError("content is None: give a str, or a list of parts", argument="content")
            force_setattr(self, "content", content_of(given))
        if self.additional_kwargs.__class__ is not dict:
            raise UsageError(
                f"additional_kwargs is a dict, not {type(self.additional_kwargs).__name__}",
                argument="additional_kwargs",
            )

    @property
    def text(self) -> str:
        """All text of the content, in order."""
        if isinstance(self.content, str):
            return self.content
        return "".join([p.text for p in self.content if isinstance(p, Text)])

    @property
    def parts(self) -> list[Part]:
        """The content as a list of parts; plain text becomes one `Text`, empty text none."""
        if isinstance(self.content, str):
            return [Text(self.content)] if self.content else []
        return list(self.content)

    def __repr__(self) -> str:
        shown = [f"content={self.content!r}", f"additional_kwargs={self.additional_kwargs!r}"]
        for name in self._shown():
            value = getattr(self, name)
            if value:
                shown.append(f"{name}={value!r}")
        return f"{type(self).__name__}({', '.join(shown)})"

    def _shown(self) -> tuple[str, ...]:
        return ("name",)

    def to_dict(self) -> dict[str, Any]:
        """The stable JSON form, with its version: `{"v": 1, "type": "human", "content": ...}`."""
        return {"v": 1, **loads(msgspec.json.encode(self))}

    def to_json(self) -> str:
        """`to_dict()` as JSON text."""
        return msgspec.json.encode(self.to_dict()).decode()

    def pretty_repr(self) -> str:
        """A readable form with a title line, for printing a conversation."""
        title = f" {getattr(self, 'role', '').title()} Message "
        return f"{title:=^80}\n\n{self.text}"

    def pretty_print(self) -> None:
        """Print `pretty_repr()`."""
        print(self.pretty_repr())

    def __add__(self, other: Any) -> ChatPromptTemplate:
        """A prompt of this message, as it is, and then `other`: a message, a text with variables, a list, a prompt."""
        prompts = import_module("chatmodels.prompts")  # it stands above this storey: named only where it is asked for
        return cast("ChatPromptTemplate", prompts.ChatPromptTemplate([self]) + other)

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: Any) -> Any:
        from ._pydantic import message_schema

        return message_schema(cls)

    @classmethod
    def __get_pydantic_json_schema__(cls, source: Any, handler: Any) -> Any:
        from ._pydantic import message_json_schema

        return message_json_schema(cls)


class SystemMessage(_Message, frozen=True, tag="system"):
    """Instructions to the model."""

    name: str | None = None
    id: str | None = None
    provider_data: ProviderData | None = None

    role: ClassVar[str] = "system"


class HumanMessage(_Message, frozen=True, tag="human"):
    """What the user says: text, images, audio, files."""

    example: bool = False
    name: str | None = None
    id: str | None = None
    provider_data: ProviderData | None = None

    role: ClassVar[str] = "user"

    def _shown(self) -> tuple[str, ...]:
        return ("example", "name")


class _WithCalls(msgspec.StructMeta):
    """Lets `tool_calls` be given beside the content, of which they become parts."""

    if not TYPE_CHECKING:  # what it takes stands in `AIMessage.__init__`

        def __call__(cls, *args: Any, tool_calls: Any = None, **fields: Any) -> AIMessage:
            message = super().__call__(*args, **fields)
            if not tool_calls:
                return message
            from ._inputs_openai import calls_of

            if message.tool_calls:
                raise UsageError("the content has tool calls already: give them there or here", argument="tool_calls")
            force_setattr(message, "content", [*message.parts, *calls_of(tool_calls)])
            return message


class AIMessage(_Message, frozen=True, tag="ai", dict=True, metaclass=_WithCalls):
    """What the model says, and all that is known about how it came to be.

    Calls are parts of the content: `AIMessage([ToolCall(id, name, args)])`. They may also be given as `tool_calls`, here and in
    a dict with a role: `ToolCall`s, or dicts in OpenAI's form or LangChain's; they then follow the content.

    `finish_reason` is one of "stop", "length", "tool_calls", "content_filter", "refusal", "pause", "error", "other",
    "unknown", or None while the answer is not complete; `raw_finish_reason` is the provider's word. `usage` counts
    tokens. `model` is the model that answered. `alternatives` are the other choices when n > 1. `warnings` lists
    what could not be sent as asked. `attempts` lists each try. `raw` is the decoded wire answer (not kept for
    streams). `from_cache` tells that no call was made.
    """

    example: bool = False
    name: str | None = None
    id: str | None = None
    model: str | None = None
    provider: str | None = None
    finish_reason: str | None = None
    raw_finish_reason: str | None = None
    usage: Usage | None = None
    logprobs: list[dict[str, Any]] | None = None
    warnings: tuple[str, ...] = ()
    attempts: tuple[Attempt, ...] = ()
    request_id: str | None = None
    from_cache: bool = False
    provider_data: ProviderData | None = None
    alternatives: tuple[AIMessage, ...] = ()

    role: ClassVar[str] = "assistant"

    if TYPE_CHECKING:

        def __init__(
            self, content: str | Sequence[Part | dict[str, Any] | str] | None = "", additional_kwargs: dict[str, Any] = ..., *,
            tool_calls: Sequence[ToolCall | InvalidToolCall | dict[str, Any]] | None = None, example: bool = False,
            name: str | None = None, id: str | None = None, model: str | None = None, provider: str | None = None,
            finish_reason: str | None = None, raw_finish_reason: str | None = None, usage: Usage | None = None,
            logprobs: list[dict[str, Any]] | None = None, warnings: tuple[str, ...] = (), attempts: tuple[Attempt, ...] = (),
            request_id: str | None = None, from_cache: bool = False, provider_data: ProviderData | None = None,
            alternatives: tuple[AIMessage, ...] = (),
        ) -> None: ...  # fmt: skip

    def _shown(self) -> tuple[str, ...]:
        return ("example", "name")

    @property
    def tool_calls(self) -> list[ToolCall | InvalidToolCall]:
        """The calls that the model asks for, in order. A call whose arguments are not JSON is an
        `InvalidToolCall`, whose `args` is the raw text."""
        if isinstance(self.content, str):
            return []
        return [p for p in self.content if isinstance(p, (ToolCall, InvalidToolCall))]

    @property
    def invalid_tool_calls(self) -> list[InvalidToolCall]:
        """Those of `tool_calls` whose arguments are not JSON."""
        return [c for c in self.tool_calls if isinstance(c, InvalidToolCall)]

    @property
    def reasoning(self) -> str:
        """The model's working, as far as the provider shows it."""
        if isinstance(self.content, str):
            return ""
        return "".join([p.text for p in self.content if isinstance(p, Reasoning)])

    @property
    def refusal(self) -> str | None:
        """The text of a refusal; None when the model did not refuse."""
        if isinstance(self.content, str):
            return None
        found = [p.text for p in self.content if isinstance(p, Refusal)]
        return "".join(found) if found else None

    @property
    def citations(self) -> list[Citation]:
        """All citations of the text, in order."""
        if isinstance(self.content, str):
            return []
        return [c for p in self.content if isinstance(p, Text) for c in p.citations]

    @property
    def similarity(self) -> float | None:
        """How alike the question is to the one that this answer was given to, where a semantic cache gave it; else None."""
        return self.attempts[0].similarity if self.attempts else None

    @property
    def raw(self) -> Any:
        """The decoded wire answer; None for a stream, and after a trip through JSON, pickle or a cache."""
        body = self.__dict__.get("_body")
        return None if body is None else loads(body)


class ToolMessage(_Message, frozen=True, tag="tool"):
    """The result of a tool call: `ToolMessage("22 degrees", tool_call_id=call.id)`."""

    tool_call_id: str = ""
    is_error: bool = False
    name: str | None = None
    id: str | None = None
    provider_data: ProviderData | None = None

    role: ClassVar[str] = "tool"

    def _shown(self) -> tuple[str, ...]:
        return ("tool_call_id", "is_error", "name")

    @property
    def result(self) -> ToolResult:
        """The same as a part."""
        return ToolResult(
            self.tool_call_id,
            self.content,
            self.is_error,
            self.name,
            provider_data=self.provider_data,
        )


class ChatMessage(_Message, frozen=True, tag="chat"):
    """A message with any role: `ChatMessage(role="developer", content="...")`."""

    role: str = ""
    name: str | None = None
    id: str | None = None
    provider_data: ProviderData | None = None

    def __post_init__(self) -> None:
        if not self.role or not isinstance(self.role, str):
            raise UsageError('ChatMessage needs a role, e.g. ChatMessage(role="developer", ...)', argument="role")
        super().__post_init__()

    def _shown(self) -> tuple[str, ...]:
        return ("role", "name")


class FunctionMessage(_Message, frozen=True, tag="function"):
    """The result of a function call in the manner of 2023; newer models want `ToolMessage`."""

    name: str = ""
    id: str | None = None
    provider_data: ProviderData | None = None

    role: ClassVar[str] = "function"


Message: TypeAlias = SystemMessage | HumanMessage | AIMessage | ToolMessage | ChatMessage | FunctionMessage
MESSAGE_TYPES: tuple[type[Any], ...] = (
    SystemMessage,
    HumanMessage,
    AIMessage,
    ToolMessage,
    ChatMessage,
    FunctionMessage,
)


def with_body(message: AIMessage, body: bytes) -> AIMessage:
    """The same message, remembering its wire answer for `.raw` (not part of its value)."""
    vars(message)["_body"] = body
    return message
