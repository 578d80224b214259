"""A `Call` as the body of a Bedrock Converse request. Pure and deterministic: same call, same bytes.

What Converse has no field for but the model's maker has, goes into `additionalModelRequestFields`. Source:
the service model of bedrock-runtime in botocore 1.44 and the Converse API reference, checked 2026-11.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec

from .._call import Call, Settings
from .._errors import UsageError
from .._json import dumps_text
from .._output import Output
from .._schema import check_schema, for_anthropic, strict_blockers
from .._schema_walk import is_object
from .._tools import Tool
from . import _claude
from ._bedrock_models import EXTRA_FIELDS, Form, can_force_tools, maker, output_form, takes_unsigned_reasoning
from ._bedrock_parts import BedrockTurns
from ._body import merge
from ._kept import mapping, text_or_none

_OWN_TOOLS = ("toolSpec", "systemTool", "cachePoint")
_ANSWER_TOOL = "Give the answer by calling this tool, once, with the whole answer."
_INFERENCE = {"max_tokens": "maxTokens", "temperature": "temperature", "top_p": "topP"}


class Profile(msgspec.Struct, frozen=True, kw_only=True):
    """What a row may say of its models; None decides by the model's name.

    `output_form`: how an answer is held to a schema ("schema", "tool" or "prompt"). `unsigned_reasoning`:
    reasoning without a signature is taken back.
    """

    output_form: Form | None = None
    unsigned_reasoning: bool | None = None


class Encoder:
    """Builds one request; `warnings` collects what the wire has no place for."""

    def __init__(self, provider: str, profile: Profile, call: Call) -> None:
        self.provider = provider
        self.profile = profile
        self.call = call
        self.model = call.model
        self.maker = maker(call.model)
        unsigned = profile.unsigned_reasoning
        self.turns = BedrockTurns(
            provider,
            unsigned_reasoning=takes_unsigned_reasoning(call.model) if unsigned is None else unsigned,
        )
        self.warn = self.turns.warn
        self.extra: dict[str, Any] = {}

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
        body: dict[str, Any] = {"messages": self.turns.turns}
        if self.turns.system:
            body["system"] = self.turns.system
        self.tools(call.tools, body)
        self.settings(settings, body)
        self.thinking(settings, body)
        self.structured(settings, body)
        self.tool_config(body)
        if self.extra:
            body["additionalModelRequestFields"] = self.extra
        return merge(body, settings.extra_body) if settings.extra_body else body

    def add_extra(self, place: tuple[str, ...], value: Any) -> None:
        """Put a value into `additionalModelRequestFields`."""
        at = self.extra
        for name in place[:-1]:
            at = at.setdefault(name, {})
        at[place[-1]] = value

    # -- tools

    def tools(self, tools: tuple[Tool, ...], body: dict[str, Any]) -> None:
        wires = [w for t in tools if (w := self.tool(t)) is not None]
        if wires:
            body["toolConfig"] = {"tools": wires}

    def tool(self, tool: Tool) -> dict[str, Any] | None:
        if tool.raw is not None:
            return self.own_tool(tool.raw)
        spec: dict[str, Any] = {"name": tool.name}
        if tool.description:
            spec["description"] = tool.description
        parameters = tool.parameters
        if tool.strict and self._strict(tool.name, parameters):
            parameters = self.schema(tool.name, parameters)
            spec["strict"] = True
        elif tool.strict is False:
            spec["strict"] = False
        spec["inputSchema"] = {"json": parameters}
        return {"toolSpec": spec}

    def own_tool(self, raw: dict[str, Any]) -> dict[str, Any] | None:
        """A tool of the service, or one of Anthropic's, which goes beside the fields of Converse."""
        if any(key in raw for key in _OWN_TOOLS):
            return dict(raw)
        if self.maker != "anthropic" or not isinstance(raw.get("type"), str):
            raise UsageError(
                f"{self.provider} does not know the tool {dumps_text(raw)}; its own are "
                '{"systemTool": {"name": ...}}',
                argument="tools",
            )
        self.extra.setdefault("tools", []).append(dict(raw))
        return None

    def _strict(self, name: str, schema: dict[str, Any]) -> bool:
        blockers = strict_blockers(schema)
        if self.output_form() != "schema":
            self.warn(f"{self.model} cannot be held to the schema of {name}: strict is not sent")
            return False
        if blockers:
            self.warn(f"the schema of {name} cannot be strict ({blockers[0]}): strict is not sent")
        return not blockers

    def output_form(self) -> Form:
        return self.profile.output_form or output_form(self.model)

    def schema(self, name: str, schema: dict[str, Any]) -> dict[str, Any]:
        sent, notes = for_anthropic(schema)
        for note in notes:
            self.warn(f"the schema of {name}: {note}")
        return sent

    def tool_config(self, body: dict[str, Any]) -> None:
        """The last word on tools: a conversation with calls in it needs them defined, a choice needs tools."""
        choice = body.pop("toolChoice", None)
        config = body.get("toolConfig")
        if choice == "none":
            if self.turns.called and config:
                self.warn(f"{self.provider} has no tool_choice 'none' while the conversation has calls: not sent")
            else:
                body.pop("toolConfig", None)
            config, choice = body.get("toolConfig"), None
        if config is None and self.turns.called:
            specs = [_stub(name) for name in self.turns.called]
            self.warn(f"{self.provider} wants tools that the conversation calls defined: {len(specs)} added")
            config = body["toolConfig"] = {"tools": specs}
        if choice is not None and config is None:
            self.warn(f"{self.provider} takes tool_choice only with tools: not sent")
        elif choice is not None and config is not None:
            config["toolChoice"] = choice

    # -- settings

    def settings(self, settings: Settings, body: dict[str, Any]) -> None:
        for name in settings.__struct_fields__:
            value = getattr(settings, name)
            if value is None or name in _ELSEWHERE:
                continue
            write = _SETTINGS.get(name)
            place = EXTRA_FIELDS.get((self.maker or "", name))
            if write is not None:
                write(self, body, name, value)
            elif place is not None and self._takes(name, value):
                self.add_extra(place, value)
            elif place is None:
                self.warn(f"{self.model} on {self.provider} does not take {name}: not sent")

    def _takes(self, name: str, value: Any) -> bool:
        """Newer Claude models refuse sampling settings other than the default."""
        sampling = name in ("temperature", "top_p", "top_k")
        if not sampling or _claude.takes_sampling(self.model) or (name != "top_k" and value == 1):
            return True
        self.warn(f"{self.model} does not take {name}: not sent")
        return False

    def inference(self, body: dict[str, Any], name: str, value: Any) -> None:
        if self._takes(name, value):
            body.setdefault("inferenceConfig", {})[_INFERENCE[name]] = value

    def stop(self, body: dict[str, Any], name: str, value: Any) -> None:
        body.setdefault("inferenceConfig", {})["stopSequences"] = list(value)

    def count(self, body: dict[str, Any], name: str, value: Any) -> None:
        if value != 1:
            self.warn(f"{self.provider} gives one answer: n={value} is not sent")

    def modalities(self, body: dict[str, Any], name: str, value: Any) -> None:
        if tuple(value) != ("text",):
            self.warn(f"{self.provider} does not take modalities: not sent")

    def service_tier(self, body: dict[str, Any], name: str, value: Any) -> None:
        body["serviceTier"] = {"type": value}

    def metadata(self, body: dict[str, Any], name: str, value: Any) -> None:
        if value:
            body["requestMetadata"] = dict(value)

    def tool_choice(self, body: dict[str, Any], name: str, value: Any) -> None:
        choice = choice_of(value)
        if choice not in ("none", {"auto": {}}) and not can_force_tools(self.model) and isinstance(value, str):
            self.warn(f"{self.model} takes no tool_choice but 'auto': {value!r} is not sent")
        else:
            body["toolChoice"] = choice

    def parallel(self, body: dict[str, Any], name: str, value: Any) -> None:
        if not value:
            self.warn(f"{self.provider} cannot be told to call one tool at a time: parallel_tool_calls is not sent")

    # -- reasoning

    def thinking(self, settings: Settings, body: dict[str, Any]) -> None:
        if self.maker == "anthropic":
            self.claude_thinking(settings, body)
            return
        effort = settings.reasoning_effort
        if settings.reasoning_budget == 0 and effort is None:
            effort = "none"
        elif settings.reasoning_budget is not None:
            self.warn(f"{self.model} takes no reasoning_budget: not sent")
        if settings.reasoning_summary is not None:
            self.warn(f"{self.model} takes no reasoning_summary: not sent")
        if effort is not None:
            self.effort(effort)

    def effort(self, effort: str) -> None:
        place = EXTRA_FIELDS.get((self.maker or "", "reasoning_effort"))
        if self.maker == "nova":
            off = effort == "none"
            self.extra["reasoningConfig"] = (
                {"type": "disabled"} if off else {"type": "enabled", "maxReasoningEffort": effort}
            )
        elif place is not None:
            self.add_extra(place, effort)
        else:
            self.warn(f"{self.model} on {self.provider} takes no reasoning_effort: not sent")

    def claude_thinking(self, settings: Settings, body: dict[str, Any]) -> None:
        found = _claude.thinking(self.model, settings)
        for note in found.notes:
            self.warn(note)
        if found.config is not None:
            self.extra["thinking"] = found.config
        if found.effort is not None:
            self.add_extra(("output_config", "effort"), found.effort)
        if not self._thinks():
            return
        config = mapping(body.get("inferenceConfig"))
        if config.get("temperature", 1) != 1:
            said = config.pop("temperature")
            self.warn(f"{self.model} does not take temperature={said} while it thinks: not sent")
        if "top_k" in self.extra:
            said = self.extra.pop("top_k")
            self.warn(f"{self.model} does not take top_k={said} while it thinks: not sent")
        if not config and "inferenceConfig" in body:
            del body["inferenceConfig"]

    def _thinks(self) -> bool:
        given = mapping(
            mapping((self.call.settings.extra_body or {}).get("additionalModelRequestFields")).get("thinking")
        )
        config = given or mapping(self.extra.get("thinking"))
        return config.get("type") in ("enabled", "adaptive")

    # -- structured output

    def structured(self, settings: Settings, body: dict[str, Any]) -> None:
        if self.call.output is not None:
            self.output(self.call.output, body)
            return
        wanted = settings.response_format or {}
        inner = mapping(wanted.get("json_schema"))
        kind = wanted.get("type")
        if kind == "json_schema" and is_object(inner.get("schema")):
            check_schema(inner["schema"])
            name = text_or_none(inner.get("name")) or "output"
            self.output(Output(name=name, schema=inner["schema"], description=inner.get("description")), body)
        elif kind == "json_object":
            self.warn(f"{self.provider} has no response_format 'json_object': asked for in the instructions")
            self.instruct(body, "Answer with one JSON object only, without any text around it.")
        elif kind not in ("text", None):
            self.warn(f"{self.provider} has no response_format {kind!r}: not sent")

    def output(self, output: Output[Any], body: dict[str, Any]) -> None:
        form = self.output_form()
        if form == "schema" and (output.strict is False or strict_blockers(output.schema)):
            form = "tool"
        if form == "schema":
            definition: dict[str, Any] = {"schema": dumps_text(self.schema(output.name, output.schema))}
            definition["name"] = output.name
            if output.description:
                definition["description"] = output.description
            text_format = {"type": "json_schema", "structure": {"jsonSchema": definition}}
            body["outputConfig"] = {"textFormat": text_format}
        elif form == "tool" and output.schema.get("type") == "object":
            self.answer_tool(output, body)
        else:
            self.instruct(body, f"Answer with JSON only, that fits this JSON schema:\n{dumps_text(output.schema)}")

    def answer_tool(self, output: Output[Any], body: dict[str, Any]) -> None:
        """A tool whose arguments are the answer; the model has to call it, or another tool first."""
        tools = body.setdefault("toolConfig", {"tools": []})["tools"]
        if any(mapping(t.get("toolSpec")).get("name") == output.name for t in tools):
            raise UsageError(f"a tool has the name of the output, {output.name!r}: rename one", argument="output")
        said = f"{output.description}\n{_ANSWER_TOOL}" if output.description else _ANSWER_TOOL
        spec = {"name": output.name, "description": said, "inputSchema": {"json": output.schema}}
        tools.append({"toolSpec": spec})
        if self._thinks() or not can_force_tools(self.model):
            self.warn(f"{self.model} cannot be made to call {output.name}: it is only asked to")
            self.instruct(body, f"When you have the answer, give it by calling {output.name}.")
        elif "toolChoice" not in body:
            body["toolChoice"] = {"tool": {"name": output.name}} if len(tools) == 1 else {"any": {}}

    def instruct(self, body: dict[str, Any], said: str) -> None:
        body.setdefault("system", []).append({"text": said})


def choice_of(value: str | dict[str, Any]) -> Any:
    """`tool_choice` from our word, a tool's name, OpenAI's or Anthropic's object, or Converse's own; "none"
    stays a word.
    """
    if not isinstance(value, str):
        named = mapping(value.get("function") or value.get("custom")).get("name")
        if value.get("type") == "tool":
            named = value.get("name")
        if named:
            return {"tool": {"name": named}}
        kind = value.get("type")
        return choice_of(kind) if kind in ("auto", "any", "none") else dict(value)
    if value in ("required", "any"):
        return {"any": {}}
    if value == "auto":
        return {"auto": {}}
    return value if value == "none" else {"tool": {"name": value}}


def _stub(name: str) -> dict[str, Any]:
    return {"toolSpec": {"name": name, "inputSchema": {"json": {"type": "object"}}}}


_ELSEWHERE = frozenset(
    {
        "reasoning_effort",
        "reasoning_budget",
        "reasoning_summary",
        "response_format",
        "extra_body",
        "extra_headers",
    }
)

_SETTINGS: dict[str, Callable[[Encoder, dict[str, Any], str, Any], None]] = {
    "max_tokens": Encoder.inference,
    "temperature": Encoder.inference,
    "top_p": Encoder.inference,
    "stop": Encoder.stop,
    "n": Encoder.count,
    "modalities": Encoder.modalities,
    "service_tier": Encoder.service_tier,
    "metadata": Encoder.metadata,
    "tool_choice": Encoder.tool_choice,
    "parallel_tool_calls": Encoder.parallel,
}
