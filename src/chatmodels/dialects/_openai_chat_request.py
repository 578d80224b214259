"""A `Call` as the body of an OpenAI Chat Completions request. Pure and deterministic: same call, same bytes.

Source: the API reference of Chat Completions ("Create chat completion"), checked 2026-11. Where hosts differ, a `Profile`
says how; a provider row fills it in.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import isfinite
from typing import TYPE_CHECKING, Any

from .._call import Call, Settings
from .._errors import UsageError
from .._inputs_openai import SHAPE
from .._json import encode as to_json
from .._json import is_array, mapping
from .._messages import AIMessage, ChatMessage, FunctionMessage, HumanMessage, Message, ToolMessage
from .._parts import ToolResult
from .._schema import enforced
from ._body import merge
from ._openai_chat_answers import AnswerWriter
from ._openai_chat_parts import Profile, cache_control

if TYPE_CHECKING:
    from .._output import Output
    from .._tools import Tool

_ROLES = {"human": "user", "ai": "assistant"}


class Encoder(AnswerWriter):
    """Builds one request body; `warnings` collects what the wire has no place for."""

    def body(self, call: Call) -> dict[str, Any]:
        self.model = call.model
        body: dict[str, Any] = {"model": call.model} if call.model else {}
        body["messages"] = self.messages(call.messages)
        if call.tools:
            body["tools"] = [self.tool(t) for t in call.tools]
        self.settings(call.settings, body)
        if call.output is not None:
            body["response_format"] = self.output(call.output, body["messages"])
        if call.stream:
            body["stream"] = True
            if self.profile.usage_option:
                body["stream_options"] = {"include_usage": True}
        return merge(body, call.settings.extra_body) if call.settings.extra_body else body

    # -- messages

    def messages(self, messages: Sequence[Message]) -> list[dict[str, Any]]:
        out: list[dict[str, Any]] = []
        images: list[dict[str, Any]] = []
        for number, message in enumerate(messages):
            self._where = f"messages[{number}]"
            if images and not _has_results(message):
                _flush(out, images)
            self.message(message, out, images)
        if images:
            _flush(out, images)
        return out

    def message(self, message: Message, out: list[dict[str, Any]], images: list[dict[str, Any]]) -> None:
        if isinstance(message, HumanMessage):
            self.human(message, out, images)
        elif isinstance(message, AIMessage):
            out.append(self.extras(message, self.assistant(message)))
        elif isinstance(message, ToolMessage):
            out.append(self.extras(message, self.tool_result(message.result, images)))
        elif isinstance(message, ChatMessage):
            self._chat(message, out, images)
        elif isinstance(message, FunctionMessage):
            out.append(self.extras(message, self.function_result(message)))
        else:
            content = self.instructions(message.content, "system")
            out.append(self.extras(message, {"role": "system", "content": content}))

    def human(
        self, message: HumanMessage | ChatMessage, out: list[dict[str, Any]], images: list[dict[str, Any]]
    ) -> None:
        content = message.content
        if is_array(content) and _has_results(message):
            out += [self.tool_result(p, images) for p in content if isinstance(p, ToolResult)]
            content = [p for p in content if not isinstance(p, ToolResult)]
            if not content:
                return
            if images:
                _flush(out, images)
        out.append(self.extras(message, {"role": "user", "content": self.content(content)}))

    def _chat(self, message: ChatMessage, out: list[dict[str, Any]], images: list[dict[str, Any]]) -> None:
        """A message with a role by name: one of the known roles is written as its own class would be."""
        role = _ROLES.get(message.role, message.role)
        if role == "user":
            self.human(message, out, images)
            return
        if role == "assistant":
            wire = self.assistant(AIMessage(message.content, provider_data=message.provider_data))
        elif role in ("system", "developer"):
            wire = {"role": role, "content": self.instructions(message.content, role)}
        else:
            wire = {"role": role, "content": self.content(message.content)}
        out.append(self.extras(message, wire))

    # -- everything else

    def tool(self, tool: Tool) -> dict[str, Any]:
        if tool.raw is not None:
            return dict(tool.raw)
        function: dict[str, Any] = {"name": tool.name}
        if tool.description is not None:
            function["description"] = tool.description
        function["parameters"] = tool.parameters
        if tool.strict and self.profile.strict:
            function["parameters"] = self._enforced(tool.parameters, True, f"tool {tool.name}")[0]
        if tool.strict is not None:
            function["strict"] = tool.strict
        data = tool.provider_data or {}
        shaped = {**mapping(data.get("openai")), **mapping(data.get(SHAPE)), **mapping(data.get(self.provider))}
        return {"type": "function", "function": function, **shaped}

    def _enforced(self, schema: dict[str, Any], strict: bool | None, what: str) -> tuple[dict[str, Any], bool]:
        try:
            sent, held, notes = enforced(schema, strict)
        except UsageError as error:
            raise UsageError(f"{what}: {error.text}", argument=error.argument) from error
        for note in notes:
            self.warn(f"{what}: {note}")
        return sent, held

    def settings(self, settings: Settings, body: dict[str, Any]) -> None:
        for name in settings.__struct_fields__:
            value = getattr(settings, name)
            if value is None or name in ("extra_body", "extra_headers"):
                continue
            if isinstance(value, float) and not isfinite(value):
                raise UsageError(f"{name} is {value}, which is no JSON number", argument=name)
            special = _SETTINGS.get(name)
            if special is not None:
                special(self, name, value, body)
            else:
                body[name] = value  # tuples become JSON arrays

    def max_tokens(self, name: str, value: Any, body: dict[str, Any]) -> None:
        body[self.profile.max_tokens_field] = value

    def top_logprobs(self, name: str, value: Any, body: dict[str, Any]) -> None:
        body.setdefault("logprobs", True)  # without it the reference refuses `top_logprobs`
        body[name] = value

    def logit_bias(self, name: str, value: Any, body: dict[str, Any]) -> None:
        body[name] = {k: int(v) if v == int(v) else v for k, v in value.items()}

    def tool_choice(self, name: str, value: Any, body: dict[str, Any]) -> None:
        if value == "any":
            value = "required"
        if isinstance(value, str) and value not in ("auto", "none", "required"):
            kind = "custom" if value in _custom_names(body) else "function"
            value = {"type": kind, kind: {"name": value}}
        body["tool_choice"] = value

    def beyond(self, name: str, value: Any, body: dict[str, Any]) -> None:
        if name in self.profile.sampling:
            body[name] = value
        else:
            self.warn(f"{self.provider} does not take {name}: not sent")

    def effort(self, name: str, value: Any, body: dict[str, Any]) -> None:
        style = self.profile.reasoning_style
        if style == "object" and name in _EFFORT and "reasoning" not in body:
            body["reasoning"] = (
                {"effort": "none"} if name == "reasoning_budget" and not value else {_EFFORT[name]: value}
            )
        elif style != "object" and name == "reasoning_effort":
            body[name] = value
        else:
            self.warn(f"{self.provider} does not take {name} in chat completions: not sent")

    def output(self, output: Output[Any], messages: list[dict[str, Any]]) -> dict[str, Any]:
        if not self.profile.json_schema:
            said = f"Answer with JSON only, that fits this JSON schema:\n{to_json(output.schema).decode()}"
            messages.insert(0, {"role": "system", "content": said})
            return {"type": "json_object"}
        schema: dict[str, Any] = {"name": output.name}
        if output.description:
            schema["description"] = output.description
        schema["schema"] = output.schema
        if self.profile.strict:
            what = f"output {output.name}"
            schema["schema"], schema["strict"] = self._enforced(output.schema, output.strict, what)
        elif output.strict is not None:
            schema["strict"] = output.strict
        return {"type": "json_schema", "json_schema": schema}


_EFFORT = {"reasoning_effort": "effort", "reasoning_budget": "max_tokens"}


def _has_results(message: Message) -> bool:
    """Does the message begin with results of calls, which must follow their answer at once?"""
    if isinstance(message, (ToolMessage, FunctionMessage)):
        return True
    return is_array(message.content) and any(isinstance(p, ToolResult) for p in message.content)


def _flush(out: list[dict[str, Any]], images: list[dict[str, Any]]) -> None:
    out.append({"role": "user", "content": [*images]})
    images.clear()


def _custom_names(body: dict[str, Any]) -> set[Any]:
    return {mapping(t.get("custom")).get("name") for t in body.get("tools", ()) if t.get("type") == "custom"}


_SETTINGS: dict[str, Callable[[Encoder, str, Any, dict[str, Any]], None]] = {
    "max_tokens": Encoder.max_tokens,
    "tool_choice": Encoder.tool_choice,
    "top_k": Encoder.beyond,
    "min_p": Encoder.beyond,
    "top_logprobs": Encoder.top_logprobs,
    "logit_bias": Encoder.logit_bias,
    "reasoning_effort": Encoder.effort,
    "reasoning_budget": Encoder.effort,
    "reasoning_summary": Encoder.effort,
}

__all__ = ["Encoder", "Profile", "cache_control"]
