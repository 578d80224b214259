"""Prompts to plain data and back. Data only: reading runs nothing, imports nothing, looks nothing up.

    {"v": 1, "type": "chat_prompt", "messages": [...], "partial_variables": {...}}
    {"v": 1, "type": "prompt", "template": "...", "template_format": "mustache"}

An item of `messages` is `{"role": ..., "template": text or parts}`, `{"placeholder": name, "optional": bool, "n_messages": int}`,
`{"message": a message's to_dict()}`, `{"examples": [...], "example_prompt": ...}` or `{"prompt": a prompt}`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, cast

import msgspec

from chatmodels._errors import UsageError
from chatmodels._inputs import from_dict as message_from_dict
from chatmodels._inputs import is_message
from chatmodels._json import is_array, is_object
from chatmodels._parts import PART_TYPES, Part

from ._chat import ChatPromptTemplate, _from_pair
from ._content import ContentTemplate
from ._few_shot import FewShotChatMessagePromptTemplate, FewShotPromptTemplate
from ._langchain_data import is_langchains, plain_prompt
from ._messages import MessagesPlaceholder, RoleTemplate
from ._strings import PromptTemplate
from ._tstrings import is_tstring

if TYPE_CHECKING:
    from ._base import Prompt

# ---- out


def string_data(prompt: PromptTemplate) -> dict[str, Any]:
    """The data of a text prompt."""
    data: dict[str, Any] = {"v": 1, "type": "prompt", "template": prompt.template}
    return {**data, **_language(prompt.template_format), **_partials(prompt)}


def chat_data(prompt: ChatPromptTemplate) -> dict[str, Any]:
    """The data of a chat prompt."""
    return {"v": 1, "type": "chat_prompt", "messages": [_item_data(i) for i in prompt.messages], **_partials(prompt)}


def few_shot_text_data(prompt: FewShotPromptTemplate) -> dict[str, Any]:
    """The data of a text with examples."""
    data: dict[str, Any] = {"v": 1, "type": "few_shot", "prefix": prompt.prefix, "suffix": prompt.suffix}
    data["example_separator"] = prompt.example_separator
    data["examples"] = _examples(prompt.examples)
    data["example_prompt"] = string_data(prompt.example_prompt)
    return {**data, **_language(prompt.template_format), **_partials(prompt)}


def _language(name: str) -> dict[str, Any]:
    return {} if name == "f-string" else {"template_format": name}


def _partials(prompt: Prompt) -> dict[str, Any]:
    given = prompt.partial_variables
    return {"partial_variables": {k: _plain(v, k) for k, v in given.items()}} if given else {}


def _plain(value: Any, name: str) -> Any:
    """A value as data; a function, a message or an object of the caller's is refused."""
    if value is None or isinstance(value, (str, bool, int, float)):
        return value
    if isinstance(value, (list, tuple)):
        return [_plain(v, name) for v in cast("list[Any]", value)]
    if is_object(value) and all(isinstance(cast(object, k), str) for k in value):
        return {k: _plain(v, name) for k, v in value.items()}
    what = "function" if callable(value) else type(value).__name__
    raise UsageError(f"{name!r} is a {what}: only plain data is saved", argument=name)


def _item_data(item: Any) -> dict[str, Any]:
    if is_message(item):
        return {"message": item.to_dict()}
    if isinstance(item, RoleTemplate):
        return _role_data(item)
    if isinstance(item, MessagesPlaceholder):
        newest = {"n_messages": item.n_messages} if item.n_messages is not None else {}
        return {"placeholder": item.variable_name, **({"optional": True} if item.optional else {}), **newest}
    if isinstance(item, ChatPromptTemplate):
        return {"prompt": chat_data(item)}
    if isinstance(item, FewShotChatMessagePromptTemplate):
        shown = item.example_prompt
        inner = shown if isinstance(shown, ChatPromptTemplate) else ChatPromptTemplate([shown])
        return {"examples": _examples(item.examples), "example_prompt": chat_data(inner)}
    raise UsageError(f"a {type(item).__name__} cannot be saved", argument="messages")


def _examples(examples: list[dict[str, Any]] | None) -> list[dict[str, Any]]:
    if examples is None:
        raise UsageError("a selector cannot be saved: only fixed examples are data", argument="example_selector")
    return [_plain(e, f"examples[{i}]") for i, e in enumerate(examples)]


def _role_data(item: RoleTemplate) -> dict[str, Any]:
    body = item.prompt
    data: dict[str, Any] = {"role": item.role}
    if isinstance(body, PromptTemplate):
        data |= {"template": body.template, **_language(body.template_format), **_partials(body)}
    else:
        data |= {"template": [_part_data(p) for p in body.given], **_language(body.kind)}
    if item.additional_kwargs:
        data["additional_kwargs"] = _plain(item.additional_kwargs, "additional_kwargs")
    return data | ({"name": item.name} if item.name else {})


def _part_data(item: Any) -> Any:
    """A part that stands as it is goes under "part", so that its text is not read as a template."""
    if isinstance(item, PART_TYPES):
        return {"part": msgspec.to_builtins(item)}
    if is_tstring(item):
        raise UsageError("a template string among parts cannot be saved", argument="template")
    return _plain(item, "content")


# ---- in


def from_dict(data: Any, *, jinja: bool = False) -> Prompt:
    """The prompt of `to_dict()`, or of LangChain's `dumpd`. `jinja` allows Jinja templates, which can loop for long."""
    if not is_object(data):
        raise UsageError(f"a prompt's data is an object, not {type(cast(object, data)).__name__}", argument="data")
    if is_langchains(data):
        data = plain_prompt(data)
    if data.get("v") != 1:
        raise UsageError(f"prompt data of version {data.get('v')!r}: this release reads version 1", argument="v")
    kind = data.get("type")
    read = _READERS.get(kind) if isinstance(kind, str) else None
    if read is None:
        raise UsageError(f"a prompt's 'type' is one of {', '.join(_READERS)}; got {kind!r}", argument="type")
    try:
        return read(_Fields(data, str(kind), jinja))
    except RecursionError as error:
        raise UsageError("the prompt's data is nested too deeply", argument="data") from error


class _Fields:
    """The fields of an object, by type; a UsageError names the field. `path` says where the object stands."""

    def __init__(self, data: Any, path: str, jinja: bool) -> None:
        if not is_object(data):
            raise UsageError(f"{path} is an object, not {type(cast(object, data)).__name__}", argument=path)
        self.data, self.path, self.jinja = data, path, jinja

    def known(self, *names: str) -> None:
        """Raises UsageError for a field that is none of these."""
        odd = sorted(self.data.keys() - {*names})
        if odd:
            raise UsageError(
                f"{self.path} has an unknown field {odd[0]!r}; it takes {', '.join(names)}", argument=odd[0]
            )

    def text(self, name: str, default: str | None = None) -> str:
        """A str."""
        value = self.data.get(name, default)
        if not isinstance(value, str):
            raise UsageError(f"{self.path}.{name} is a text, not {type(value).__name__}", argument=name)
        return value

    def items(self, name: str) -> list[_Fields]:
        """A list of objects."""
        value = self.data.get(name)
        if not is_array(value):
            raise UsageError(f"{self.path}.{name} is a list, not {type(value).__name__}", argument=name)
        return [_Fields(v, f"{self.path}.{name}[{i}]", self.jinja) for i, v in enumerate(value)]

    def mapping(self, name: str) -> dict[str, Any]:
        """An object; empty where it is left out."""
        return _Fields(self.data.get(name, {}), f"{self.path}.{name}", self.jinja).data

    def language(self) -> str:
        """The template's language, if it is allowed here."""
        name = self.text("template_format", "f-string")
        if name in ("jinja2", "jinja") and not self.jinja:
            raise UsageError(
                f"{self.path} is a Jinja template, which can loop for long: pass jinja=True if you trust it",
                argument="template_format",
            )
        return name


def _read_string(fields: _Fields) -> PromptTemplate:
    fields.known("v", "type", "template", "template_format", "partial_variables")
    language = fields.language()
    partials = fields.mapping("partial_variables")
    return PromptTemplate(fields.text("template"), template_format=language, partial_variables=partials)


def _read_chat(fields: _Fields) -> ChatPromptTemplate:
    fields.known("v", "type", "messages", "partial_variables")
    items = [_read_item(item) for item in fields.items("messages")]
    return ChatPromptTemplate(items, partial_variables=fields.mapping("partial_variables"))


def _read_few_shot(fields: _Fields) -> FewShotPromptTemplate:
    fields.known(
        "v",
        "type",
        "prefix",
        "suffix",
        "example_separator",
        "examples",
        "example_prompt",
        "template_format",
        "partial_variables",
    )
    inner = from_dict(fields.data.get("example_prompt"), jinja=fields.jinja)
    if not isinstance(inner, PromptTemplate):
        raise UsageError("example_prompt is a prompt of type 'prompt'", argument="example_prompt")
    return FewShotPromptTemplate(
        example_prompt=inner,
        examples=[e.data for e in fields.items("examples")],
        prefix=fields.text("prefix", ""),
        suffix=fields.text("suffix"),
        example_separator=fields.text("example_separator", "\n\n"),
        template_format=fields.language(),
        partial_variables=fields.mapping("partial_variables"),
    )


_READERS: dict[str, Callable[[_Fields], Prompt]] = {
    "prompt": _read_string,
    "chat_prompt": _read_chat,
    "few_shot": _read_few_shot,
}


def _read_item(fields: _Fields) -> Any:
    for key, read in _ITEMS.items():
        if key in fields.data:
            return read(fields)
    raise UsageError(f"{fields.path} has none of {', '.join(map(repr, _ITEMS))}", argument=fields.path)


def _read_message(fields: _Fields) -> Any:
    fields.known("message")
    return message_from_dict(fields.mapping("message"))


def _read_placeholder(fields: _Fields) -> Any:
    fields.known("placeholder", "optional", "n_messages")
    optional, newest = fields.data.get("optional") is True, fields.data.get("n_messages")
    return MessagesPlaceholder(fields.text("placeholder"), optional=optional, n_messages=newest)


def _read_examples(fields: _Fields) -> Any:
    fields.known("examples", "example_prompt")
    inner = from_dict(fields.data.get("example_prompt"), jinja=fields.jinja)
    return FewShotChatMessagePromptTemplate(example_prompt=inner, examples=[e.data for e in fields.items("examples")])


def _read_prompt(fields: _Fields) -> Any:
    fields.known("prompt")
    return from_dict(fields.data["prompt"], jinja=fields.jinja)


def _read_role(fields: _Fields) -> Any:
    fields.known("role", "template", "template_format", "partial_variables", "additional_kwargs", "name")
    language, given = fields.language(), fields.data.get("template")
    if is_array(given):
        body: Any = ContentTemplate([_read_part(p) for p in given], language)
    else:
        partials = fields.mapping("partial_variables")
        body = PromptTemplate(fields.text("template"), template_format=language, partial_variables=partials)
    made = _from_pair(fields.text("role"), body, language)
    options = {"additional_kwargs": fields.mapping("additional_kwargs"), "name": fields.data.get("name")}
    return type(made)(**{**made._options(), **options})


def _read_part(item: Any) -> Any:
    if is_object(item) and item.keys() == {"part"}:
        try:
            return msgspec.convert(item["part"], cast(Any, Part))
        except msgspec.ValidationError as error:
            raise UsageError(f"a part's data: {error}", argument="part") from error
    return item


_ITEMS: dict[str, Callable[[_Fields], Any]] = {
    "message": _read_message,
    "placeholder": _read_placeholder,
    "examples": _read_examples,
    "prompt": _read_prompt,
    "role": _read_role,
}


def from_2023(data: Mapping[str, Any], *, jinja: bool = False) -> Prompt:
    """The prompt of a template file of 2023, whose `_type` is "prompt" or "few_shot" (files that it names are read before)."""
    kind = data.get("_type", "prompt")
    odd = sorted(data.keys() - _OLD) or [k for k in ("output_parser", "input_types", "example_selector") if data.get(k)]
    if odd:
        raise UsageError(f"a template file of 2023 with {odd[0]!r}, which is not read here", argument=odd[0])
    if kind == "prompt":
        return _read_string_2023(dict(data), jinja)
    if kind != "few_shot":
        raise UsageError(
            f"a template file of 2023 of type {kind!r}: read are 'prompt' and 'few_shot'", argument="_type"
        )
    kept = {k: data[k] for k in ("prefix", "suffix", "example_separator", "examples", "template_format") if k in data}
    inner = string_data(_read_string_2023(_Fields(data.get("example_prompt"), "example_prompt", jinja).data, jinja))
    return from_dict({"v": 1, "type": "few_shot", **kept, "example_prompt": inner}, jinja=jinja)


_OLD = frozenset(
    {
        *("_type", "template", "template_format", "input_variables", "partial_variables", "validate_template"),
        *("output_parser", "input_types", "prefix", "suffix", "example_separator", "examples", "example_prompt"),
        "example_selector",
        # Labels that later releases of LangChain write beside them.
        *("name", "metadata", "tags", "optional_variables"),
    }
)


def _read_string_2023(data: dict[str, Any], jinja: bool) -> PromptTemplate:
    kept = {k: data[k] for k in ("template", "template_format", "partial_variables") if data.get(k) is not None}
    return _read_string(_Fields({"v": 1, "type": "prompt", **kept}, "prompt", jinja))
