"""Prompts as LangChain's `dumps` writes them (`{"lc": 1, "type": "constructor", "id": [...], "kwargs": {...}}`) -> our plain data.

Data only: the name of a class is looked up in a table of those that are known here. Nothing is imported, called or read from
the environment; a secret's place and every other class are refused.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from chatmodels._errors import UsageError
from chatmodels._json import is_array, is_object


def is_langchains(data: dict[str, Any]) -> bool:
    """Is it such data?"""
    return data.get("lc") == 1


def plain_prompt(data: dict[str, Any]) -> dict[str, Any]:
    """The data that `from_dict` reads. Raises UsageError that names what is not read here."""
    name, fields = _opened(data)
    if name == "ChatPromptTemplate":
        return _chat(fields)
    if name == "PromptTemplate":
        return {"v": 1, "type": "prompt", **_text(fields)}
    raise _unread(name)


def _opened(data: Any) -> tuple[str, dict[str, Any]]:
    """The name of the class, and its fields."""
    if not is_object(data) or data.get("lc") != 1:
        raise UsageError("an object of LangChain's data has 'lc': 1", argument="lc")
    place = data.get("id")
    name = str(place[-1]) if is_array(place) and place else "?"
    fields = data.get("kwargs")
    if data.get("type") != "constructor" or not is_object(fields):
        raise UsageError(f"LangChain's data of type {data.get('type')!r} ({name}) is not read here", argument="type")
    return name, fields


def _unread(name: str) -> UsageError:
    return UsageError(f"LangChain's {name} is not read here", argument="id")


def _chat(fields: dict[str, Any]) -> dict[str, Any]:
    given = fields.get("messages")
    items = [_item(item) for item in given] if is_array(given) else []
    partials = fields.get("partial_variables")
    empty = [i["placeholder"] for i in items if i.get("optional")]  # LangChain fills in what may be left out
    kept = {k: v for k, v in partials.items() if k not in empty or v} if is_object(partials) else {}
    return {"v": 1, "type": "chat_prompt", "messages": items, **({"partial_variables": kept} if kept else {})}


def _item(data: Any) -> dict[str, Any]:
    name, fields = _opened(data)
    read = _ITEMS.get(name)
    if read is not None:
        return read(fields)
    if name in _MESSAGES:
        return {"message": {**fields, "type": _MESSAGES[name]}}
    if name in _ROLES:
        return {"role": _ROLES[name], **_body(fields)}
    raise _unread(name)


def _placeholder(fields: dict[str, Any]) -> dict[str, Any]:
    newest = {"n_messages": fields["n_messages"]} if fields.get("n_messages") is not None else {}
    return {"placeholder": fields.get("variable_name"), "optional": bool(fields.get("optional")), **newest}


def _other_role(fields: dict[str, Any]) -> dict[str, Any]:
    return {"role": fields.get("role"), **_body(fields)}


def _nested(fields: dict[str, Any]) -> dict[str, Any]:
    return {"prompt": _chat(fields)}


def _body(fields: dict[str, Any]) -> dict[str, Any]:
    prompt = fields.get("prompt")
    more = {"additional_kwargs": fields["additional_kwargs"]} if fields.get("additional_kwargs") else {}
    if not is_array(prompt):
        name, text = _opened(prompt)
        if name != "PromptTemplate":
            raise _unread(name)
        return {**_text(text), **more}
    parts = [_opened(part) for part in prompt]
    languages = {str(part.get("template_format", "f-string")) for _, part in parts}
    if len(languages) > 1:
        raise UsageError("a message's parts are in several template languages", argument="template_format")
    return {
        "template": [_part(*part) for part in parts],
        **({"template_format": languages.pop()} if parts else {}),
        **more,
    }


def _part(name: str, fields: dict[str, Any]) -> Any:
    template = fields.get("template")
    if name == "PromptTemplate":
        return template
    if name == "ImagePromptTemplate":
        return {"type": "image_url", "image_url": template}
    if name == "DictPromptTemplate":
        return template
    raise _unread(name)


def _text(fields: dict[str, Any]) -> dict[str, Any]:
    names = ("template", "template_format", "partial_variables")
    return {"template": "", **{k: fields[k] for k in names if fields.get(k)}}


_ROLES = {
    "SystemMessagePromptTemplate": "system",
    "HumanMessagePromptTemplate": "human",
    "AIMessagePromptTemplate": "ai",
}
_MESSAGES = {
    "SystemMessage": "system",
    "HumanMessage": "human",
    "AIMessage": "ai",
    "ToolMessage": "tool",
    "ChatMessage": "chat",
    "FunctionMessage": "function",
}
_ITEMS: dict[str, Callable[[dict[str, Any]], dict[str, Any]]] = {
    "MessagesPlaceholder": _placeholder,
    "ChatMessagePromptTemplate": _other_role,
    "ChatPromptTemplate": _nested,
}
