"""Results of calls as items: of functions and custom tools, of OpenAI's own tools that the caller runs
(shell, patches, computer, tool search), and answers to a request of approval. The call that is answered says
which item it is.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import msgspec

from .._errors import UsageError
from .._json import loads
from .._parts import Image, InvalidToolCall, Text, ToolCall, ToolResult
from ._call_ids import CallIds
from ._kept import items, kept, kept_dict
from ._openai_responses_items import build_call

if TYPE_CHECKING:
    from ._openai_responses_request import Encoder

#: A `call_id` may have 64 characters; nothing is known to be refused but control characters and spaces.
_REFUSED = re.compile(r"[^\x21-\x7e]")
_LONGEST = 64


class _Asked(msgspec.Struct, frozen=True):
    kind: str
    caller: Any = None


class Calls:
    """The calls of one conversation and their results."""

    def __init__(self, encoder: Encoder) -> None:
        self.encoder = encoder
        self._ids = CallIds(_REFUSED, _LONGEST)
        self._asked: dict[str, _Asked] = {}

    def call(self, part: ToolCall | InvalidToolCall) -> dict[str, Any]:
        """The item of a call."""
        sent = self._ids.call(part.id, part.name)
        item = build_call(part, sent, self.encoder.provider)
        self._asked[sent] = _Asked(str(item.get("type")), item.get("caller"))
        return {**item, "call_id": sent}

    def approval_asked(self, ident: str, name: str) -> None:
        """The provider asks whether it may run a tool of an MCP server."""
        self._asked[self._ids.call(ident, name)] = _Asked("mcp_approval_request")

    def open_call(self, name: str) -> str | None:
        """The oldest call of that name that has no result yet."""
        return self._ids.open_call(name)

    def result(self, result: ToolResult, sent: str | None = None) -> dict[str, Any]:
        """The item of a result; `sent` is the id of its call where that is known already."""
        sent = sent or self._ids.result(result.tool_call_id, result.name)
        asked = self._asked.get(sent, _Asked(""))
        provider = self.encoder.provider
        kind = kept(result, provider, "kind") or asked.kind
        item = _OUTPUTS.get(kind, _function)(self.encoder, result, sent)
        if asked.caller is not None:
            item["caller"] = asked.caller
        return {**item, **kept_dict(result, provider, "extra")}


def _function(encoder: Encoder, result: ToolResult, call_id: str) -> dict[str, Any]:
    return {"type": "function_call_output", "call_id": call_id, "output": _output(encoder, result)}


def _custom(encoder: Encoder, result: ToolResult, call_id: str) -> dict[str, Any]:
    return {"type": "custom_tool_call_output", "call_id": call_id, "output": _output(encoder, result)}


def _output(encoder: Encoder, result: ToolResult) -> str | list[dict[str, Any]]:
    if isinstance(result.content, str):
        return ("[error] " if result.is_error else "") + result.content
    parts: list[dict[str, Any]] = [{"type": "input_text", "text": "[error]"}] if result.is_error else []
    for position, part in enumerate(result.content):
        wire = encoder.part(part, f"{encoder.where}.content[{position}]")
        if wire is not None:
            parts.append(wire)
    return parts or ""


def _shell(encoder: Encoder, result: ToolResult, call_id: str) -> dict[str, Any]:
    said = _text(result)
    output = _json_list(said)
    if output is None:
        streams = {"stdout": "", "stderr": said} if result.is_error else {"stdout": said, "stderr": ""}
        output = [{**streams, "outcome": {"type": "exit", "exit_code": int(result.is_error)}}]
    return {"type": "shell_call_output", "call_id": call_id, "output": output}


def _local_shell(encoder: Encoder, result: ToolResult, call_id: str) -> dict[str, Any]:
    return {"type": "local_shell_call_output", "id": call_id, "output": _text(result)}


def _patch(encoder: Encoder, result: ToolResult, call_id: str) -> dict[str, Any]:
    status = "failed" if result.is_error else "completed"
    item: dict[str, Any] = {"type": "apply_patch_call_output", "call_id": call_id, "status": status}
    said = _text(result)
    return {**item, "output": said} if said else item


def _computer(encoder: Encoder, result: ToolResult, call_id: str) -> dict[str, Any]:
    image = next((p for p in result.content if isinstance(p, Image)), None)
    if image is None:
        where = encoder.where
        raise UsageError(
            f"{where}: the result of a computer call is a screenshot: content=[Image(...)]", argument=where
        )
    wire = encoder.image(image, encoder.where)
    shot = {k: wire[k] for k in ("file_id", "image_url") if k in wire}
    return {
        "type": "computer_call_output",
        "call_id": call_id,
        "output": {"type": "computer_screenshot", **shot},
    }


def _search(encoder: Encoder, result: ToolResult, call_id: str) -> dict[str, Any]:
    tools = _json_list(_text(result))
    if tools is None:
        where = encoder.where
        raise UsageError(f"{where}: the result of a tool search is a JSON list of tools", argument=where)
    item = {"type": "tool_search_output", "call_id": call_id, "execution": "client", "status": "completed"}
    return {**item, "tools": tools}


def _approval(encoder: Encoder, result: ToolResult, call_id: str) -> dict[str, Any]:
    """A result for a request of approval: an error refuses it, anything else approves."""
    item = {"type": "mcp_approval_response", "approval_request_id": call_id, "approve": not result.is_error}
    said = _text(result)
    return {**item, "reason": said} if said and result.is_error else item


def _text(result: ToolResult) -> str:
    if isinstance(result.content, str):
        return result.content
    return "".join(p.text for p in result.content if isinstance(p, Text))


def _json_list(text: str) -> list[Any] | None:
    try:
        value = loads(text)
    except ValueError:
        return None
    return items(value) if isinstance(value, list) else None


_OUTPUTS: dict[str, Callable[[Encoder, ToolResult, str], dict[str, Any]]] = {
    "custom_tool_call": _custom,
    "custom_tool_call_output": _custom,
    "shell_call": _shell,
    "local_shell_call": _local_shell,
    "apply_patch_call": _patch,
    "computer_call": _computer,
    "tool_search_call": _search,
    "mcp_approval_request": _approval,
}
