"""Templates of one message (`HumanMessagePromptTemplate` and its kin), and the place for messages of the caller's.

Knows text and content templates; nothing of lists of messages.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Self, cast

from chatmodels._checks import whole_or_none
from chatmodels._errors import UsageError
from chatmodels._inputs import messages_of
from chatmodels._json import is_object, is_sequence
from chatmodels._messages import AIMessage, ChatMessage, HumanMessage, Message, SystemMessage
from chatmodels._parts import PART_TYPES

from ._content import ContentTemplate
from ._strings import PromptTemplate
from ._tstrings import is_tstring, tstring_content
from ._variables import NONE, Variables, check_declared

if TYPE_CHECKING:
    from ._chat import ChatPromptTemplate

Body = PromptTemplate | ContentTemplate


class MessageTemplate:
    """What stands in a chat prompt and gives messages."""

    __slots__ = ()

    @property
    def variables(self) -> Variables:
        """What it needs."""
        raise NotImplementedError

    def fill(self, values: Mapping[str, Any]) -> list[Message]:
        """Its messages; the values have been checked, and may hold more than it needs."""
        raise NotImplementedError

    async def afill(self, values: Mapping[str, Any]) -> list[Message]:
        """`fill` in the async world."""
        return self.fill(values)

    @property
    def input_variables(self) -> list[str]:
        """The names of the variables that must be given, sorted."""
        return sorted(self.variables.open)

    def format_messages(self, /, **values: Any) -> list[Message]:
        """The messages with the values in them; a UsageError names missing and extra variables."""
        return self.fill(self.variables.fill(values))

    async def aformat_messages(self, /, **values: Any) -> list[Message]:
        """`format_messages` in the async world."""
        return await self.afill(self.variables.fill(values))

    def __add__(self, other: Any) -> ChatPromptTemplate:
        from ._chat import ChatPromptTemplate

        return ChatPromptTemplate([self]).__add__(other)

    def __radd__(self, other: Any) -> ChatPromptTemplate:
        from ._chat import ChatPromptTemplate

        return ChatPromptTemplate([other]).__add__(self)


class RoleTemplate(MessageTemplate):
    """A message of one role. `prompt` is its `PromptTemplate`, or a list of parts with variables."""

    __slots__ = ("_make", "_variables", "additional_kwargs", "name", "prompt")

    #: The role's name in pairs and files.
    role: ClassVar[str] = ""
    #: The message that comes out.
    message: ClassVar[Callable[..., Message]]

    def __init__(
        self,
        prompt: Any,
        *,
        template_format: str = "f-string",
        partial_variables: Mapping[str, Any] | None = None,
        additional_kwargs: dict[str, Any] | None = None,
        name: str | None = None,
    ) -> None:
        body = _body(prompt, template_format)
        if partial_variables:
            if isinstance(body, ContentTemplate):
                raise UsageError("a message of parts has no partials: give them to the whole prompt", argument="prompt")
            body = body.partial(**partial_variables)
        self.prompt: Body = body
        self.additional_kwargs = additional_kwargs or {}
        self.name = name
        if isinstance(body, PromptTemplate):
            self._variables = body._variables
        else:
            self._variables = Variables(body.variables, body.optional)
        self._make = self._maker()

    @classmethod
    def from_template(
        cls,
        template: Any,
        template_format: str = "f-string",
        partial_variables: Mapping[str, Any] | None = None,
        *,
        additional_kwargs: dict[str, Any] | None = None,
        name: str | None = None,
    ) -> Self:
        """The template of a text, of a list of parts (text, images, files), or of a template string (`t"..."`)."""
        return cls(
            template,
            template_format=template_format,
            partial_variables=partial_variables,
            additional_kwargs=additional_kwargs,
            name=name,
        )

    @classmethod
    def from_template_file(
        cls,
        template_file: str | Path,
        input_variables: Iterable[str] | None = None,
        *,
        encoding: str = "utf-8",
        **options: Any,
    ) -> Self:
        """The template whose text a file holds. Where `input_variables` is given, it is compared with the text."""
        made = cls(Path(template_file).read_text(encoding=encoding), **options)
        check_declared(input_variables, made.variables)
        return made

    @property
    def variables(self) -> Variables:
        """What it needs."""
        return self._variables

    def _maker(self) -> Callable[[Any], Message]:
        make, extra = self._plain_maker(), {}
        if self.additional_kwargs:
            extra["additional_kwargs"] = self.additional_kwargs
        if self.name is not None:
            extra["name"] = cast(Any, self.name)
        return make if not extra else lambda content: make(content, **extra)

    def _plain_maker(self) -> Callable[..., Message]:
        return type(self).message

    def fill(self, values: Mapping[str, Any]) -> list[Message]:
        """The message, in a list."""
        return [self.one(values)]

    def one(self, values: Mapping[str, Any]) -> Message:
        """The message."""
        body = self.prompt
        if isinstance(body, PromptTemplate):
            if body._variables.partials:
                values = body._variables.fill(body._variables.select(values))
            return self._make(body._template.render(values))
        return self._make(body.render(values))

    def format(self, /, **values: Any) -> Message:
        """The message with the values in it; a UsageError names missing and extra variables."""
        return self.one(self._variables.fill(values))

    def __repr__(self) -> str:
        return f"{type(self).__name__}(prompt={self.prompt!r}{self._shown()})"

    def _shown(self) -> str:
        shown = f", additional_kwargs={self.additional_kwargs!r}" if self.additional_kwargs else ""
        return shown + (f", name={self.name!r}" if self.name else "")

    def _state(self) -> tuple[Any, ...]:
        return (self.prompt, self.additional_kwargs, self.name)

    def __eq__(self, other: object) -> bool:
        if type(other) is not type(self):
            return NotImplemented
        return self._state() == other._state()

    def __hash__(self) -> int:
        return hash((type(self).__name__, self.prompt))

    def __reduce__(self) -> tuple[Any, ...]:
        return _role_template, (type(self), self._options())

    def _options(self) -> dict[str, Any]:
        return {"prompt": self.prompt, "additional_kwargs": self.additional_kwargs, "name": self.name}


def _role_template(cls: type[RoleTemplate], options: dict[str, Any]) -> RoleTemplate:
    return cls(**options)


def _body(given: Any, template_format: str) -> Body:
    if isinstance(given, (PromptTemplate, ContentTemplate)):
        return given
    if is_tstring(given):
        content = tstring_content(given)
        return ContentTemplate(content) if is_sequence(content) else PromptTemplate(content, template_format="text")
    if is_sequence(given):
        return ContentTemplate(given, template_format)
    if is_object(given) or isinstance(given, PART_TYPES):
        return ContentTemplate([given], template_format)
    return PromptTemplate(given, template_format=template_format)


class SystemMessagePromptTemplate(RoleTemplate):
    """Instructions with variables."""

    __slots__ = ()
    role = "system"
    message = SystemMessage


class HumanMessagePromptTemplate(RoleTemplate):
    """What the user says, with variables.

    >>> HumanMessagePromptTemplate.from_template("I love {thing}.").format(thing="programming")
    HumanMessage(content='I love programming.', additional_kwargs={})
    """

    __slots__ = ()
    role = "human"
    message = HumanMessage


class AIMessagePromptTemplate(RoleTemplate):
    """What the model said, with variables."""

    __slots__ = ()
    role = "ai"
    message = AIMessage


class ChatMessagePromptTemplate(RoleTemplate):
    """A message of any role, with variables: `ChatMessagePromptTemplate.from_template(role="developer", template="...")`."""

    __slots__ = ("role",)
    message = ChatMessage

    def __init__(self, prompt: Any, *, role: str, **options: Any) -> None:
        if not role or not isinstance(role, str):
            raise UsageError('ChatMessagePromptTemplate needs a role, e.g. role="developer"', argument="role")
        self.role = role  # type: ignore[misc]
        super().__init__(prompt, **options)

    @classmethod
    def from_template(
        cls, template: Any, template_format: str = "f-string", *args: Any, role: str = "", **options: Any
    ) -> Self:
        """The template of a text, for the role."""
        return cls(template, role=role, template_format=template_format, **options)

    def _plain_maker(self) -> Callable[..., Message]:
        role = self.role

        def make(content: Any, **extra: Any) -> Message:
            return ChatMessage(content, role=role, **extra)

        return make

    def _shown(self) -> str:
        return f", role={self.role!r}" + super()._shown()

    def _state(self) -> tuple[Any, ...]:
        return (self.role, *super()._state())

    def _options(self) -> dict[str, Any]:
        return {"role": self.role, **super()._options()}


class MessagesPlaceholder(MessageTemplate):
    """The place for messages of the caller's, such as a history. `optional`: without a value it gives no message. `n_messages`:
    no more than the newest so many; a tool's result whose call is not among them is left out with it.

    What is given: a list of messages (or of pairs and dicts, as a model takes them; their text is never parsed), a prompt value
    or one message.

    >>> MessagesPlaceholder("history").format_messages(history=[HumanMessage("Hi {you}")])
    [HumanMessage(content='Hi {you}', additional_kwargs={})]
    """

    __slots__ = ("_variables", "n_messages", "optional", "variable_name")

    def __init__(self, variable_name: str, *, optional: bool = False, n_messages: int | None = None) -> None:
        if not isinstance(variable_name, str) or not variable_name.isidentifier():
            raise UsageError(
                f"MessagesPlaceholder takes the name of a variable, e.g. 'history'; got {variable_name!r}",
                argument="variable_name",
            )
        whole_or_none("n_messages", n_messages)
        self.variable_name = variable_name
        self.optional = optional
        self.n_messages = n_messages
        name = frozenset([variable_name])
        self._variables = Variables(NONE, name) if optional else Variables(name)

    @property
    def variables(self) -> Variables:
        """What it needs."""
        return self._variables

    def fill(self, values: Mapping[str, Any]) -> list[Message]:
        """The caller's messages."""
        name = self.variable_name
        if self.optional and name not in values:
            return []
        given = values[name]
        if is_sequence(given) and not given:
            return []
        if isinstance(given, str) or given is None or is_object(given):
            raise UsageError(
                f"{name} is a list of messages, not {type(cast(object, given)).__name__}: "
                f"write {name}=[HumanMessage(...)]",
                argument=name,
            )
        found = messages_of(given, name)
        return found if self.n_messages is None else _newest(found, self.n_messages)

    def __repr__(self) -> str:
        more = ", optional=True" if self.optional else ""
        more += f", n_messages={self.n_messages}" if self.n_messages is not None else ""
        return f"MessagesPlaceholder({self.variable_name!r}{more})"

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, MessagesPlaceholder):
            return NotImplemented
        return self._state() == other._state()

    def __hash__(self) -> int:
        return hash(self._state())

    def _state(self) -> tuple[str, bool, int | None]:
        return (self.variable_name, self.optional, self.n_messages)

    def __reduce__(self) -> tuple[Any, ...]:
        return _placeholder, self._state()


def _placeholder(name: str, optional: bool, n_messages: int | None) -> MessagesPlaceholder:
    return MessagesPlaceholder(name, optional=optional, n_messages=n_messages)


def _newest(messages: list[Message], count: int) -> list[Message]:
    from chatmodels.history._turns import groups_of

    first = len(messages) - count
    return [messages[p] for group in groups_of(messages) if group.places[0] >= first for p in group.places]
