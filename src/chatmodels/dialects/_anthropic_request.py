"""A `Call` as the body of an Anthropic Messages request. Pure and deterministic: same call, same bytes.

Where hosts differ from api.anthropic.com, a `Profile` says how; a provider row fills it in. Source: the
Messages API reference, "Versions" and "Beta headers", checked 2026-11.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec

from .._call import Call, Settings
from .._errors import UsageError
from .._json import dumps_text
from .._messages import AIMessage
from .._output import Output
from .._parts import ToolCall
from .._schema import check_schema, for_anthropic, strict_blockers
from .._schema_walk import is_object
from .._tools import Tool
from . import _claude
from ._anthropic_parts import AnthropicTurns
from ._body import merge
from ._kept import items, kept_dict, mapping, text, text_or_none

#: From this API version on, `temperature`, `top_p` and `top_k` are gone.
_WITHOUT_SAMPLING = "2026-10-21"

#: Type of a tool -> the beta header that it needs. What is generally available needs none.
_TOOL_BETAS = {
    "computer_20241022": "computer-use-2024-10-22",
    "bash_20241022": "computer-use-2024-10-22",
    "text_editor_20241022": "computer-use-2024-10-22",
    "computer_20250124": "computer-use-2025-01-24",
    "computer_20251124": "computer-use-2025-11-24",
    "code_execution_20250522": "code-execution-2025-05-22",
    "advisor_20260301": "advisor-tool-2026-03-01",
    "mcp_toolset": "mcp-client-2025-11-20",
}


class Profile(msgspec.Struct, frozen=True, kw_only=True):
    """How one host's Messages API differs from api.anthropic.com.

    `path` and `stream_path` may hold `{model}`, which then is not in the body. `version` is the
    `anthropic-version` header; `version_in_body` is sent in the body instead. `betas` are always asked for.
    `max_tokens` is sent when a call names none. `json_schema`, `inner_system`: whether answers can be held
    to a schema, and instructions stand in the middle of a conversation; None decides by the model's name.
    `unsigned_reasoning`: the host takes back reasoning without a signature.
    """

    path: str = "/v1/messages"
    stream_path: str | None = None
    version: str = "2023-06-01"
    version_in_body: str | None = None
    betas: tuple[str, ...] = ()
    max_tokens: int | None = None
    json_schema: bool | None = None
    inner_system: bool | None = None
    unsigned_reasoning: bool = False


#: Google Cloud: the base URL ends in `/v1/projects/{project}/locations/{region}/publishers/anthropic`.
VERTEX: dict[str, Any] = {
    "path": "/models/{model}:rawPredict",
    "stream_path": "/models/{model}:streamRawPredict",
    "version_in_body": "vertex-2023-10-16",
    "inner_system": False,
}

_ANSWER_TOOL = "Give the answer by calling this tool, once, with the whole answer."


class Encoder:
    """Builds one request; `warnings` collects what the wire has no place for."""

    def __init__(self, provider: str, profile: Profile, call: Call) -> None:
        self.provider = provider
        self.profile = profile
        self.call = call
        self.model = call.model
        inner = profile.inner_system
        self.turns = AnthropicTurns(
            provider,
            inner_system=_claude.has_inner_system(call.model) if inner is None else inner,
            unsigned_reasoning=profile.unsigned_reasoning,
        )
        self.warn = self.turns.warn

    @property
    def warnings(self) -> tuple[str, ...]:
        return tuple(self.turns.warnings)

    def body(self) -> dict[str, Any]:
        call, settings = self.call, self.call.settings
        self.turns.walk(call.messages)
        if not self.turns.turns:
            raise UsageError(
                "messages hold nothing that can be sent: give at least one with content", argument="messages"
            )
        body: dict[str, Any] = {} if "{model}" in self.profile.path else {"model": call.model}
        if self.profile.version_in_body is not None:
            body["anthropic_version"] = self.profile.version_in_body
        body["max_tokens"] = settings.max_tokens
        if self.turns.system:
            body["system"] = _simple(self.turns.system)
        body["messages"] = [{**turn, "content": _simple(turn["content"])} for turn in self.turns.turns]
        if call.tools:
            body["tools"] = [self.tool(t) for t in call.tools]
        self.settings(settings, body)
        self.thinking(settings, body)
        self.structured(settings, body)
        self.container(body)
        if body["max_tokens"] is None:
            body["max_tokens"] = self.max_tokens(body)
        if call.stream:
            body["stream"] = True
        return merge(body, settings.extra_body) if settings.extra_body else body

    def max_tokens(self, body: dict[str, Any]) -> int:
        """The limit where the call names none; what is thought with comes on top."""
        budget = mapping(body.get("thinking")).get("budget_tokens")
        given = self.profile.max_tokens or _claude.default_max_tokens(self.model)
        return given + (budget if isinstance(budget, int) else 0)

    def headers(self, body: dict[str, Any]) -> dict[str, str]:
        headers: dict[str, str] = {}
        if self.profile.version_in_body is None:
            headers["anthropic-version"] = self.profile.version
        betas = [*self.profile.betas, *self.betas(body)]
        for name, value in (self.call.settings.extra_headers or {}).items():
            if name.lower() == "anthropic-beta":
                betas += [b.strip() for b in value.split(",") if b.strip()]
            else:
                headers[name.lower()] = value
        if betas:
            headers["anthropic-beta"] = ",".join(dict.fromkeys(betas))
        return headers

    def betas(self, body: dict[str, Any]) -> list[str]:
        types = [text(mapping(t).get("type")) for t in items(body.get("tools"))]
        found = [_TOOL_BETAS[t] for t in types if t in _TOOL_BETAS]
        if body.get("mcp_servers") and _TOOL_BETAS["mcp_toolset"] not in found:
            found.append("mcp-client-2025-04-04")
        if self.turns.files:
            found.append("files-api-2025-04-14")
        for edit in items(mapping(body.get("context_management")).get("edits")):
            compact = str(mapping(edit).get("type")).startswith("compact_")
            found.append("compact-2026-01-12" if compact else "context-management-2025-06-27")
        return found

    # -- tools

    def tool(self, tool: Tool) -> dict[str, Any]:
        if tool.raw is not None:
            return dict(tool.raw)
        wire: dict[str, Any] = {"name": tool.name}
        if tool.description is not None:
            wire["description"] = tool.description
        wire["input_schema"] = tool.parameters
        if tool.strict and self._strict(tool.name, tool.parameters):
            wire["input_schema"] = self.schema(tool.name, tool.parameters)
            wire["strict"] = True
        elif tool.strict is False:
            wire["strict"] = False
        for name in ("anthropic", self.provider):
            wire.update(mapping((tool.provider_data or {}).get(name)))
        return wire

    def _strict(self, name: str, schema: dict[str, Any]) -> bool:
        if not self._has_json_schema():
            self.warn(f"{self.model} cannot be held to the schema of {name}: strict is not sent")
            return False
        blockers = strict_blockers(schema)
        if blockers:
            self.warn(f"the schema of {name} cannot be strict ({blockers[0]}): strict is not sent")
        return not blockers

    def _has_json_schema(self) -> bool:
        given = self.profile.json_schema
        return _claude.has_json_schema(self.model) if given is None else given

    def schema(self, name: str, schema: dict[str, Any]) -> dict[str, Any]:
        sent, notes = for_anthropic(schema)
        for note in notes:
            self.warn(f"the schema of {name}: {note}")
        return sent

    # -- settings

    def settings(self, settings: Settings, body: dict[str, Any]) -> None:
        for name in settings.__struct_fields__:
            value = getattr(settings, name)
            if value is None or name in _ELSEWHERE:
                continue
            write = _SETTINGS.get(name)
            if write is not None:
                write(self, body, name, value)
            else:
                self.warn(f"{self.provider} does not take {name}: not sent")

    def same(self, body: dict[str, Any], name: str, value: Any) -> None:
        body[name] = value

    def sampling(self, body: dict[str, Any], name: str, value: Any) -> None:
        if self.profile.version >= _WITHOUT_SAMPLING and self.profile.version_in_body is None:
            self.warn(f"{self.provider} does not take {name} in API version {self.profile.version}: not sent")
        elif not _claude.takes_sampling(self.model) and not (name != "top_k" and value == 1):
            self.warn(f"{self.model} does not take {name}: not sent")
        else:
            body[name] = value

    def count(self, body: dict[str, Any], name: str, value: Any) -> None:
        if value != 1:
            self.warn(f"{self.provider} gives one answer: n={value} is not sent")

    def stop(self, body: dict[str, Any], name: str, value: Any) -> None:
        body["stop_sequences"] = list(value)

    def modalities(self, body: dict[str, Any], name: str, value: Any) -> None:
        if tuple(value) != ("text",):
            self.warn(f"{self.provider} answers in text only: modalities are not sent")

    def user(self, body: dict[str, Any], name: str, value: Any) -> None:
        body.setdefault("metadata", {})["user_id"] = value

    def metadata(self, body: dict[str, Any], name: str, value: Any) -> None:
        for key, said in value.items():
            if key == "user_id":
                body.setdefault("metadata", {}).setdefault(key, said)
            else:
                self.warn(f"{self.provider} takes only user_id in metadata: {key!r} is not sent")

    def tool_choice(self, body: dict[str, Any], name: str, value: Any) -> None:
        body["tool_choice"] = choice_of(value)

    def parallel(self, body: dict[str, Any], name: str, value: Any) -> None:
        choice = body.get("tool_choice")
        if choice is None and (value or not body.get("tools")):
            return
        choice = body.setdefault("tool_choice", {"type": "auto"})
        if choice.get("type") != "none":
            choice.setdefault("disable_parallel_tool_use", not value)

    def thinking(self, settings: Settings, body: dict[str, Any]) -> None:
        found = _claude.thinking(self.model, settings)
        for note in found.notes:
            self.warn(note)
        if found.config is not None:
            body["thinking"] = found.config
        if found.effort is not None:
            body.setdefault("output_config", {})["effort"] = found.effort
        given = mapping((settings.extra_body or {}).get("thinking")) or found.config or {}
        if given.get("type") in ("enabled", "adaptive") and _claude.is_claude(self.model):
            self._without_sampling(body)

    def _without_sampling(self, body: dict[str, Any]) -> None:
        """Beside thinking only the default temperature, a top_p from 0.95 and no top_k are taken."""
        refused: list[str] = [
            n for n in ("temperature", "top_k") if n in body and not (n == "temperature" and body[n] == 1)
        ]
        if isinstance(body.get("top_p"), (int, float)) and not 0.95 <= body["top_p"] <= 1:
            refused.append("top_p")
        for name in refused:
            self.warn(f"{self.model} does not take {name}={body.pop(name)} while it thinks: not sent")

    # -- structured output

    def structured(self, settings: Settings, body: dict[str, Any]) -> None:
        if self.call.output is not None:
            self.output(self.call.output, body)
        elif settings.response_format is not None:
            self.response_format(settings.response_format, body)

    def response_format(self, wanted: dict[str, Any], body: dict[str, Any]) -> None:
        kind = wanted.get("type")
        inner = mapping(wanted.get("json_schema"))
        if kind == "json_schema" and is_object(inner.get("schema")):
            check_schema(inner["schema"])
            name = text_or_none(inner.get("name")) or "output"
            self.output(Output(name=name, schema=inner["schema"], description=inner.get("description")), body)
        elif kind == "json_object":
            self.warn(f"{self.provider} has no response_format 'json_object': asked for in the instructions")
            self.instruct(body, "Answer with one JSON object only, without any text around it.")
        elif kind != "text":
            self.warn(f"{self.provider} has no response_format {kind!r}: not sent")

    def output(self, output: Output[Any], body: dict[str, Any]) -> None:
        if self._has_json_schema() and output.strict is not False and not strict_blockers(output.schema):
            schema = self.schema(output.name, output.schema)
            body.setdefault("output_config", {})["format"] = {"type": "json_schema", "schema": schema}
        elif output.schema.get("type") == "object":
            self.answer_tool(output, body)
        else:
            self.instruct(body, f"Answer with JSON only, that fits this JSON schema:\n{dumps_text(output.schema)}")

    def answer_tool(self, output: Output[Any], body: dict[str, Any]) -> None:
        """A tool whose arguments are the answer; the model has to call it, or another tool first."""
        tools = body.setdefault("tools", [])
        if any(mapping(t).get("name") == output.name for t in tools):
            raise UsageError(f"a tool has the name of the output, {output.name!r}: rename one", argument="output")
        said = f"{output.description}\n{_ANSWER_TOOL}" if output.description else _ANSWER_TOOL
        tools.append({"name": output.name, "description": said, "input_schema": output.schema})
        if mapping(body.get("thinking")).get("type") in ("enabled", "adaptive"):
            self.warn(f"{self.model} cannot be made to call {output.name} while it thinks: it is only asked to")
            self.instruct(body, f"When you have the answer, give it by calling {output.name}.")
        elif "tool_choice" not in body:
            alone = len(tools) == 1
            body["tool_choice"] = {"type": "tool", "name": output.name} if alone else {"type": "any"}

    def instruct(self, body: dict[str, Any], said: str) -> None:
        self.turns.system.append({"type": "text", "text": said})
        body["system"] = _simple(self.turns.system)

    # -- what an earlier answer asks for

    def container(self, body: dict[str, Any]) -> None:
        """A call that code in a container made can be answered only with that container."""
        last = next((m for m in reversed(self.call.messages) if isinstance(m, AIMessage)), None)
        if last is None or last.provider != self.provider or not any(self._from_code(c) for c in last.parts):
            return
        ident = text_or_none(kept_dict(last, self.provider, "container").get("id"))
        if ident is not None:
            body["container"] = ident

    def _from_code(self, part: Any) -> bool:
        caller = mapping(kept_dict(part, self.provider, "extra").get("caller")) if isinstance(part, ToolCall) else {}
        return str(caller.get("type")).startswith("code_execution")


def choice_of(value: str | dict[str, Any]) -> dict[str, Any]:
    """`tool_choice` from our word, a tool's name, OpenAI's object, or Anthropic's own."""
    if is_object(value):
        named = mapping(value.get("function") or value.get("custom")).get("name")
        return {"type": "tool", "name": named} if named else dict(value)
    if value in ("required", "any"):
        return {"type": "any"}
    return {"type": value} if value in ("auto", "none") else {"type": "tool", "name": value}


def _simple(blocks: list[dict[str, Any]]) -> str | list[dict[str, Any]]:
    """One bare text is sent as a str, which the API defines as the same."""
    if len(blocks) == 1 and blocks[0].keys() == {"type", "text"} and blocks[0]["type"] == "text":
        return str(blocks[0]["text"])
    return list(blocks)


_ELSEWHERE = frozenset(
    {
        "max_tokens",
        "reasoning_effort",
        "reasoning_budget",
        "reasoning_summary",
        "response_format",
        "extra_body",
        "extra_headers",
    }
)

_SETTINGS: dict[str, Callable[[Encoder, dict[str, Any], str, Any], None]] = {
    "temperature": Encoder.sampling,
    "top_p": Encoder.sampling,
    "top_k": Encoder.sampling,
    "n": Encoder.count,
    "stop": Encoder.stop,
    "modalities": Encoder.modalities,
    "service_tier": Encoder.same,
    "user": Encoder.user,
    "metadata": Encoder.metadata,
    "tool_choice": Encoder.tool_choice,
    "parallel_tool_calls": Encoder.parallel,
}
