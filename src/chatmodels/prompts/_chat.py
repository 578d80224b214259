"""`ChatPromptTemplate`: a list of messages, message templates and places for messages, with variables.

Knows the kinds of items by what they can do (`fill`), not how they do it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Self, cast, overload

from chatmodels._errors import UsageError
from chatmodels._inputs import is_message, message_of
from chatmodels._json import is_object, is_sequence
from chatmodels._messages import Message
from chatmodels._parts import PART_TYPES

from ._base import Prompt
from ._messages import (
    AIMessagePromptTemplate,
    ChatMessagePromptTemplate,
    HumanMessagePromptTemplate,
    MessagesPlaceholder,
    MessageTemplate,
    RoleTemplate,
    SystemMessagePromptTemplate,
)
from ._strings import PromptTemplate
from ._tstrings import is_tstring
from ._values import ChatPromptValue
from ._variables import NONE, Variables, check_declared

_ROLES: dict[str, type[RoleTemplate]] = {
    "system": SystemMessagePromptTemplate,
    "human": HumanMessagePromptTemplate,
    "user": HumanMessagePromptTemplate,
    "ai": AIMessagePromptTemplate,
    "assistant": AIMessagePromptTemplate,
}


class ChatPromptTemplate(Prompt):
    """A chat with variables.

    An item is a `(role, template)` pair, a message template, a `MessagesPlaceholder`, a message (taken as it is), a str (a human
    template), an OpenAI dict (its content is a template), few-shot examples, or another chat prompt. A template is a text, or a
    list of parts (text, images, files); see `PromptTemplate` for `template_format` and `validate_template`.

    >>> prompt = ChatPromptTemplate.from_messages([("system", "You translate to {language}."), ("human", "{text}")])
    >>> prompt.format_messages(language="French", text="I love {braces}.")[1]
    HumanMessage(content='I love {braces}.', additional_kwargs={})
    """

    __slots__ = ("_items",)

    _items: tuple[Any, ...]

    def __init__(
        self,
        messages: Iterable[Any],
        *,
        input_variables: Iterable[str] | None = None,
        template_format: str = "f-string",
        partial_variables: Mapping[str, Any] | None = None,
        validate_template: bool = True,
    ) -> None:
        self._hold(_items(messages, template_format), {})
        if partial_variables:
            self._variables = self._variables.with_partials(partial_variables)
        if validate_template:
            check_declared(input_variables, self._variables)

    def _hold(self, items: tuple[Any, ...], partials: dict[str, Any]) -> None:
        required, optional = NONE, NONE
        for item in items:
            needs = _needs(item)
            if needs is not None:
                required = required.union(needs.required.difference(needs.partials))
                optional = optional.union(needs.optional, needs.partials)
        self._items = items
        self._variables = Variables(required, optional - required, partials)

    @classmethod
    def from_messages(cls, messages: Iterable[Any], template_format: str = "f-string") -> Self:
        """The prompt of these items; see the class for what they may be."""
        made = object.__new__(cls)
        made._hold(_items(messages, template_format), {})
        return made

    @classmethod
    def from_template(cls, template: Any, template_format: str = "f-string") -> Self:
        """The prompt of one human message."""
        return cls.from_messages([HumanMessagePromptTemplate(template, template_format=template_format)])

    @classmethod
    def from_role_strings(cls, string_messages: Iterable[tuple[str, str]]) -> Self:
        """`from_messages` under its older name."""
        return cls.from_messages(string_messages)

    @classmethod
    def from_strings(cls, string_messages: Iterable[tuple[type[MessageTemplate], str]]) -> Self:
        """`from_messages` under its older name; a pair's role may be given by a class of message templates."""
        return cls.from_messages(string_messages)

    @property
    def messages(self) -> list[Any]:
        """The items: messages, message templates, places and prompts."""
        return list(self._items)

    def format_messages(self, /, **values: Any) -> list[Message]:
        """The messages with the values in them.

        A value is never parsed again, whatever it holds. Raises UsageError that names missing and extra variables.
        """
        return self._fill(self._variables.fill(values))

    async def aformat_messages(self, /, **values: Any) -> list[Message]:
        """`format_messages` in the async world."""
        return await self._afill(self._variables.fill(values))

    def format_prompt(self, /, **values: Any) -> ChatPromptValue:
        """The filled-in prompt: what models take, with `messages`, `to_messages()` and `to_string()`."""
        return ChatPromptValue(self._fill(self._variables.fill(values)))

    async def aformat_prompt(self, /, **values: Any) -> ChatPromptValue:
        """`format_prompt` in the async world, where an embedding of a selector may be async too."""
        return ChatPromptValue(await self._afill(self._variables.fill(values)))

    def invoke(self, input: Any = None, config: Any = None) -> ChatPromptValue:
        """`format_prompt` of a dict of values; where one variable is open, its value alone does as well."""
        return ChatPromptValue(self._fill(self._variables.fill(self._values(input))))

    async def ainvoke(self, input: Any = None, config: Any = None) -> ChatPromptValue:
        """`invoke` in the async world."""
        return ChatPromptValue(await self._afill(self._variables.fill(self._values(input))))

    def _fill(self, values: Mapping[str, Any]) -> list[Message]:
        out: list[Message] = []
        for item in self._items:
            if isinstance(item, RoleTemplate):
                out.append(item.one(values))
            elif isinstance(item, MessageTemplate):
                out += item.fill(values)
            elif isinstance(item, ChatPromptTemplate):
                out += item._fill(item._variables.fill(item._variables.select(values)))
            else:
                out.append(item)
        return out

    async def _afill(self, values: Mapping[str, Any]) -> list[Message]:
        out: list[Message] = []
        for item in self._items:
            if isinstance(item, MessageTemplate):
                out += await item.afill(values)
            elif isinstance(item, ChatPromptTemplate):
                out += await item._afill(item._variables.fill(item._variables.select(values)))
            else:
                out.append(item)
        return out

    def _value(self, values: Mapping[str, Any], /) -> ChatPromptValue:
        return ChatPromptValue(self._fill(values))

    async def _avalue(self, values: Mapping[str, Any], /) -> ChatPromptValue:
        return ChatPromptValue(await self._afill(values))

    def _with(self, variables: Variables) -> Self:
        made = object.__new__(type(self))
        made._items, made._variables = self._items, variables
        return made

    def _of(self, items: Sequence[Any], partials: Mapping[str, Any]) -> Self:
        """A prompt of other items, with those of the partials that they know."""
        made = object.__new__(type(self))
        made._hold(tuple(items), {})
        known = made._variables.known
        made._variables = made._variables.with_partials({k: v for k, v in partials.items() if k in known})
        return made

    def append(self, message: Any) -> None:
        """Put one more item at the end of this prompt."""
        self.extend([message])

    def extend(self, messages: Iterable[Any]) -> None:
        """Put more items at the end of this prompt."""
        self._hold((*self._items, *_items(messages, "f-string")), self._variables.partials)

    def __add__(self, other: Any) -> Self:
        """A prompt of both: another prompt, an item, or a list of items. Partials are kept."""
        if isinstance(other, ChatPromptTemplate):
            return self._joined(other._items, {**self._variables.partials, **other._variables.partials})
        if isinstance(other, (list, tuple)) and not _is_pair(cast(object, other)):
            return self._joined(_items(cast("Sequence[Any]", other), "f-string"), self._variables.partials)
        return self._joined((_item(other, "f-string"),), self._variables.partials)

    def __radd__(self, other: Any) -> Self:
        items = _items(other, "f-string") if isinstance(other, list) else (_item(other, "f-string"),)
        return self._of((*items, *self._items), self._variables.partials)

    def _joined(self, items: Iterable[Any], partials: Mapping[str, Any]) -> Self:
        return self._of((*self._items, *items), partials)

    def __len__(self) -> int:
        return len(self._items)

    def __iter__(self) -> Iterator[Any]:
        return iter(self._items)

    @overload
    def __getitem__(self, index: slice) -> Self: ...
    @overload
    def __getitem__(self, index: int) -> Any: ...
    def __getitem__(self, index: int | slice) -> Any:
        """An item; or a prompt of some of the items."""
        if isinstance(index, slice):
            return self._of(self._items[index], self._variables.partials)
        return self._items[index]

    def to_dict(self) -> dict[str, Any]:
        """The prompt as plain data; `from_dict` reads it."""
        from ._data import chat_data

        return chat_data(self)

    def __repr__(self) -> str:
        shown = f"ChatPromptTemplate(input_variables={self.input_variables!r}, messages={list(self._items)!r}"
        return shown + (f", partial_variables={self.partial_variables!r})" if self._variables.partials else ")")

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, ChatPromptTemplate):
            return NotImplemented
        return self._items == other._items and self._variables == other._variables

    __hash__ = None  # type: ignore[assignment]  # it can be appended to

    def __reduce__(self) -> tuple[Any, ...]:
        return _unpickled, (type(self), self._items, self._variables.partials)


def _unpickled(cls: type[ChatPromptTemplate], items: tuple[Any, ...], partials: dict[str, Any]) -> ChatPromptTemplate:
    return cls(items, partial_variables=partials)


def _needs(item: Any) -> Variables | None:
    if isinstance(item, MessageTemplate):
        return item.variables
    return item._variables if isinstance(item, ChatPromptTemplate) else None


def _items(given: Any, language: str) -> tuple[Any, ...]:
    if isinstance(given, (str, bytes, dict)) or not isinstance(given, Iterable):
        raise UsageError(
            f"messages is a list of messages, templates and pairs, not {type(cast(object, given)).__name__}; for one text use "
            "ChatPromptTemplate.from_template",
            argument="messages",
        )
    made: list[Any] = []
    for position, item in enumerate(cast("Iterable[Any]", given)):
        try:
            made.append(_item(item, language))
        except UsageError as error:
            raise UsageError(f"messages[{position}]: {error.text}", argument=f"messages[{position}]") from error
    return tuple(made)


def _item(item: Any, language: str) -> Any:
    if isinstance(item, (MessageTemplate, ChatPromptTemplate)) or is_message(item):
        return item
    if isinstance(item, (str, PromptTemplate)) or is_tstring(item):
        return HumanMessagePromptTemplate(item, template_format=language)
    if is_object(item):
        return _from_dict(item, language)
    if _is_pair(item):
        return _from_pair(item[0], item[1], language)
    raise UsageError(
        f"an item is a message, a message template, a (role, template) pair, a str, a dict with a 'role' or a placeholder; got "
        f"{type(item).__name__}",
        argument="messages",
    )


def _is_pair(item: object) -> bool:
    if not is_sequence(item) or len(item) != 2:
        return False
    role, body = item
    text = isinstance(body, (str, dict, PromptTemplate, *PART_TYPES)) or is_sequence(body) or is_tstring(body)
    named = isinstance(role, str) and (isinstance(item, tuple) or role in _ROLES or role == "placeholder")
    return text and (named or (isinstance(role, type) and getattr(role, "role", None) is not None))


def _from_pair(role: Any, body: Any, language: str) -> Any:
    if isinstance(role, type):
        role = getattr(role, "role", None)
    if role == "placeholder":
        return _placeholder(body)
    if role in ("tool", "function"):
        raise UsageError(f"a {role} message needs its call: use ToolMessage(...)", argument="messages")
    cls = _ROLES.get(role)
    if cls is None:
        if role.lower() in _ROLES:
            raise UsageError(f"role {role!r}: write {role.lower()!r}", argument="messages")
        return ChatMessagePromptTemplate(body, role=role, template_format=language)
    return cls(body, template_format=language)


def _placeholder(body: Any) -> MessagesPlaceholder:
    """`("placeholder", "{history}")`: optional, unless it says `["{history}", False]`."""
    name, optional = (body[0], body[1]) if is_sequence(body) and len(body) == 2 else (body, True)
    bare = name[1:-1] if isinstance(name, str) and name.startswith("{") and name.endswith("}") else name
    return MessagesPlaceholder(cast(str, bare), optional=bool(optional))


def _from_dict(item: dict[str, Any], language: str) -> Any:
    role, content = item.get("role"), item.get("content")
    extra = item.keys() - {"role", "content", "name"}
    if not isinstance(role, str) or extra or role in ("tool", "function"):
        return message_of(item)  # our own dicts, and messages with calls, are what they are
    template = _from_pair(role, content, language)
    if isinstance(template, RoleTemplate) and item.get("name"):
        template.name = item["name"]
        template._make = template._maker()
    return template
