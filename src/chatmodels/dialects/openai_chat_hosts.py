"""Chat Completions at hosts that moved or renamed a few fields: another path, IBM watsonx.ai, GigaChat.

The answers are those of Chat Completions, so that only requests differ. Pure.
"""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

import msgspec

from .._call import Call, HTTPRequest
from .._errors import UsageError
from .._json import decode_as, dumps_text, is_array, is_object, loads, mapping, objects
from ._base import Quirk
from .openai_chat import OpenAIChat

_decoder: msgspec.json.Decoder[dict[str, Any]] = msgspec.json.Decoder(dict[str, Any])


class OpenAIChatAt(OpenAIChat):
    """Chat Completions at another path. `path` may hold `{model}`, for hosts that have an address per deployment."""

    def __init__(
        self, provider: str, quirks: tuple[Quirk, ...] = (), *, path: str = "/chat/completions", **options: Any
    ) -> None:
        super().__init__(provider, quirks, **options)
        self.path = path

    def encode(self, call: Call) -> HTTPRequest:
        path = self.path.replace("{model}", quote(call.model, safe=""))
        return msgspec.structs.replace(super().encode(call), path=path)


class Watsonx(OpenAIChat):
    """IBM watsonx.ai, "Infer text chat" (API reference of watsonx.ai, checked 2026-11).

    The model goes as `model_id`, beside the project's or the space's id; a stream has its own path, and a choice of tool by
    word its own field. `version` is the date of the API that the path names.
    """

    def __init__(
        self,
        provider: str = "watsonx",
        quirks: tuple[Quirk, ...] = (),
        *,
        project_id: str | None = None,
        space_id: str | None = None,
        version: str = "2025-02-06",
        **options: Any,
    ) -> None:
        super().__init__(provider, (*quirks, self._renamed), **{"usage_option": False, **options})
        if bool(project_id) == bool(space_id):
            raise UsageError(
                f"{provider} needs project_id= or space_id=, one of them (or set WATSONX_PROJECT_ID)",
                argument="project_id",
            )
        self.place = {"project_id": project_id} if project_id else {"space_id": space_id}
        self.version = version

    def encode(self, call: Call) -> HTTPRequest:
        way = "chat_stream" if call.stream else "chat"
        return msgspec.structs.replace(super().encode(call), path=f"/ml/v1/text/{way}?version={self.version}")

    def _renamed(self, body: dict[str, Any], warnings: list[str]) -> None:
        body["model_id"] = body.pop("model", None)
        body.update(self.place)
        body.pop("stream", None)
        if isinstance(body.get("tool_choice"), str):
            body["tool_choice_option"] = body.pop("tool_choice")


class GigaChat(OpenAIChat):
    """GigaChat, "POST /chat/completions" (its REST reference, checked 2026-11).

    Tools are `functions` there, one call at a time, with arguments as an object; a result is a message of the role `function`
    that holds JSON. What came with a call (`functions_state_id`) has no place in our answer and does not go back.
    """

    def __init__(self, provider: str = "gigachat", quirks: tuple[Quirk, ...] = (), **options: Any) -> None:
        super().__init__(provider, (*quirks, _functions), **{"usage_option": False, **options})


def _functions(body: dict[str, Any], warnings: list[str]) -> None:
    """Tools as functions, in the definitions, the choice and the messages."""
    if body.get("tools"):
        body["functions"] = [_definition(t) for t in body.pop("tools")]
    choice = body.pop("tool_choice", None)
    if is_object(choice):
        body["function_call"] = {"name": mapping(choice.get("function")).get("name")}
    elif choice == "required":
        warnings.append("gigachat cannot be made to call any function: tool_choice is sent as 'auto'")
        body["function_call"] = "auto"
    elif choice:
        body["function_call"] = choice
    if body.pop("parallel_tool_calls", None):
        warnings.append("gigachat makes one call at a time: parallel_tool_calls is not sent")
    names: dict[str, str] = {}
    body["messages"] = [_message(m, names, warnings) for m in body["messages"]]


def _definition(tool: dict[str, Any]) -> dict[str, Any]:
    return {k: v for k, v in mapping(tool.get("function")).items() if k != "strict"}


def _message(message: dict[str, Any], names: dict[str, str], warnings: list[str]) -> dict[str, Any]:
    """`names` remembers what the calls so far were called, by their ids; the last one also by ""."""
    if message.get("role") in ("tool", "function"):
        name = message.get("name") or names.get(str(message.get("tool_call_id"))) or names.get("", "")
        return {"role": "function", "name": name, "content": _as_json(message.get("content"))}
    calls = objects(message.get("tool_calls"))
    function = mapping(calls[0].get("function") if calls else message.get("function_call"))
    if not function:
        return message
    if len(calls) > 1:
        warnings.append("gigachat takes one call in an answer: the first of several is sent")
    names.update({str(c.get("id")): str(mapping(c.get("function")).get("name")) for c in calls})
    names[""] = str(function.get("name"))
    arguments = decode_as(_decoder, str(function.get("arguments") or "{}"), "the arguments of a call")
    kept = {k: v for k, v in message.items() if k != "tool_calls"}
    call = {"name": function.get("name"), "arguments": arguments}
    return {**kept, "content": message.get("content") or "", "function_call": call}


def _as_json(content: Any) -> str:
    """A result as JSON text, which is all that GigaChat takes."""
    text = "".join(str(p.get("text") or "") for p in objects(content)) if is_array(content) else str(content or "")
    try:
        loads(text)
    except ValueError:
        return dumps_text({"result": text})
    return text
