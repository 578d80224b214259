"""Tools, settings and the wanted output of a `Call`, in Google's spelling. One small function per setting.

Sources: ai.google.dev/api/generate-content (GenerationConfig, ToolConfig); how reasoning efforts become
budgets: ai.google.dev/gemini-api/docs/openai and .../docs/thinking; checked 2026-11.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from .._call import Call, Settings
from .._json import dumps_text
from .._schema import for_google, for_google_json
from .._schema_walk import is_object
from .._tools import Tool
from ._google_wire import camel_key
from ._writer import Writer

if TYPE_CHECKING:
    from ._google_request import Encoder


class Warnings(Writer):
    """A writer, and the settings that stand beside the contents."""

    def __init__(self, provider: str) -> None:
        super().__init__(provider)
        self.settings: dict[str, Any] = {}

    @property
    def config(self) -> dict[str, Any]:
        """The request's `generationConfig`."""
        found: dict[str, Any] = self.settings.setdefault("generationConfig", {})
        return found


#: Token budgets of the efforts, for models before Gemini 3.
_BUDGETS = {"none": 0, "minimal": 1024, "low": 1024, "medium": 8192, "high": 24576}
_SERVED = frozenset(
    word
    for name in ("google_search", "url_context", "file_search", "google_maps", "code_execution")
    for word in (name, camel_key(name))
)
_CHOICES = {"auto": "AUTO", "none": "NONE", "required": "ANY", "any": "ANY"}


def settings_body(encoder: Encoder, call: Call) -> str | None:
    """Fill `encoder.settings`; gives text for the instructions where only that can ask for the output."""
    for name in call.settings.__struct_fields__:
        value: Any = getattr(call.settings, name)
        if value is None or name in _ELSEWHERE:
            continue
        plain = _PLAIN.get(name)
        if plain is not None:
            encoder.config[plain] = list(call.settings.stop or ()) if name == "stop" else value
        else:
            _SPECIAL.get(name, _not_taken)(encoder, name, value)
    _thinking(encoder, call.settings)
    return _output(encoder, call)


def _not_taken(encoder: Encoder, name: str, value: Any) -> None:
    encoder.warn(f"{encoder.provider} does not take {name}: not sent")


def _logprobs(encoder: Encoder, name: str, value: Any) -> None:
    encoder.config["responseLogprobs"] = value


def _top_logprobs(encoder: Encoder, name: str, value: Any) -> None:
    encoder.config["responseLogprobs"] = True
    encoder.config["logprobs"] = value


def _modalities(encoder: Encoder, name: str, value: Any) -> None:
    encoder.config["responseModalities"] = [word.upper() for word in value]


def _audio(encoder: Encoder, name: str, value: Any) -> None:
    """A voice's name as OpenAI has it (`{"voice": "Kore"}`), or Google's own `speechConfig`."""
    if "voice" not in value:
        encoder.config["speechConfig"] = value
        return
    encoder.config["speechConfig"] = {"voiceConfig": {"prebuiltVoiceConfig": {"voiceName": value["voice"]}}}
    rest = ", ".join(f"audio.{key}" for key in value if key != "voice")
    if rest:
        _not_taken(encoder, rest, value)


def _service_tier(encoder: Encoder, name: str, value: Any) -> None:
    if value != "auto":
        encoder.settings["serviceTier"] = "standard" if value == "default" else value


def _labels(encoder: Encoder, name: str, value: Any) -> None:
    encoder.settings["labels"] = value


def _store(encoder: Encoder, name: str, value: Any) -> None:
    if encoder.profile.vertex:
        _not_taken(encoder, name, value)
    else:
        encoder.settings["store"] = value


def _parallel(encoder: Encoder, name: str, value: Any) -> None:
    if not value:
        encoder.warn(f"{encoder.provider} may call several tools at once: parallel_tool_calls is not sent")


def _response_format(encoder: Encoder, name: str, value: Any) -> None:
    kind = value.get("type")
    if kind == "text":
        return
    if kind not in ("json_object", "json_schema"):
        encoder.warn(f"{encoder.provider} does not take response_format of type {kind!r}: not sent")
        return
    encoder.config["responseMimeType"] = "application/json"
    inner = value.get("json_schema")
    schema = inner.get("schema") if is_object(inner) else value.get("schema")
    if is_object(schema):
        _schema(encoder, encoder.config, "response", schema, "response_format")


def _schema(encoder: Encoder, place: dict[str, Any], field: str, schema: dict[str, Any], what: str) -> None:
    """Put the schema into `responseJsonSchema` or `parametersJsonSchema`, or the older field of each."""
    if encoder.profile.json_schema:
        place[field + "JsonSchema"], notes = for_google_json(schema)
    else:
        place["responseSchema" if field == "response" else field], notes = for_google(schema)
    for note in notes:
        encoder.warn(f"{what}: {note}")


def _output(encoder: Encoder, call: Call) -> str | None:
    output = call.output
    if output is None:
        return None
    if not encoder.modern and any(t.raw is None for t in call.tools):
        encoder.warn("this model takes no response schema beside tools: the schema is put into the instructions")
        return f"Give your final answer as JSON only, that fits this JSON schema:\n{dumps_text(output.schema)}"
    encoder.config["responseMimeType"] = "application/json"
    schema = output.schema
    if output.description and "description" not in schema:
        schema = {**schema, "description": output.description}
    _schema(encoder, encoder.config, "response", schema, "output")
    return None


def _thinking(encoder: Encoder, settings: Settings) -> None:
    effort, budget, summary = settings.reasoning_effort, settings.reasoning_budget, settings.reasoning_summary
    wire: dict[str, Any] = {}
    if budget is not None:
        wire["thinkingBudget"] = budget
        if effort is not None:
            encoder.warn("reasoning_budget and reasoning_effort cannot be sent together: only the budget is")
    elif effort is not None:
        wire.update(_effort(encoder, effort.lower()))
    if summary is not None:
        wire["includeThoughts"] = summary not in ("none", "off")
    elif wire and wire.get("thinkingBudget") != 0:
        wire["includeThoughts"] = True
    if wire:
        encoder.config["thinkingConfig"] = wire


def _effort(encoder: Encoder, effort: str) -> dict[str, Any]:
    if encoder.modern:
        least = "low" if encoder.pro else "minimal"
        if effort == "none" or (effort == "minimal" and encoder.pro):
            encoder.warn(f"the least that this model reasons is {least!r}: reasoning_effort {effort!r} is sent as that")
            effort = least
        return {"thinkingLevel": effort.upper()}
    if effort not in _BUDGETS:
        encoder.warn(f"reasoning_effort {effort!r} is sent as 'high'")
    return {"thinkingBudget": _BUDGETS.get(effort, _BUDGETS["high"])}


# -- tools


def tools_body(encoder: Encoder, call: Call) -> dict[str, Any]:
    """`tools` and `toolConfig`, where there are any."""
    out: dict[str, Any] = {}
    functions: list[dict[str, Any]] = []
    tools: list[dict[str, Any]] = []
    for tool in call.tools:
        if tool.raw is not None:
            tools.append(dict(tool.raw))
            continue
        if not functions:
            tools.append({"functionDeclarations": functions})
        functions.append(_declaration(encoder, tool))
    if tools:
        out["tools"] = tools
    choice = _choice(encoder, call, functions)
    if functions and encoder.modern and not encoder.profile.vertex and any(t.keys() & _SERVED for t in tools):
        # ai.google.dev/gemini-api/docs/tool-combination (2026-11): what the provider runs beside functions needs it.
        choice = {"includeServerSideToolInvocations": True, **choice}
    if choice:
        out["toolConfig"] = choice
    return out


def _declaration(encoder: Encoder, tool: Tool) -> dict[str, Any]:
    wire: dict[str, Any] = {"name": tool.name}
    if tool.description is not None:
        wire["description"] = tool.description
    schema = tool.parameters
    if schema.get("properties") or schema.keys() - {"type", "properties", "additionalProperties", "required"}:
        _schema(encoder, wire, "parameters", schema, f"tool {tool.name}")
    data = tool.provider_data or {}
    own = data.get(encoder.provider) or data.get("google")  # definitions are Google's, whichever of its APIs they go to
    return {**wire, **own} if is_object(own) else wire


def _choice(encoder: Encoder, call: Call, functions: list[dict[str, Any]]) -> dict[str, Any]:
    choice = call.settings.tool_choice
    if choice is None:
        strict = any(t.strict for t in call.tools)
        if strict and not encoder.modern:
            encoder.warn(f"{encoder.provider} does not take strict for this model: not sent")
        return {"functionCallingConfig": {"mode": "VALIDATED"}} if strict and encoder.modern else {}
    if not functions and not is_object(choice):
        if choice not in ("auto", "none"):
            encoder.warn("tool_choice without tools: not sent")
        return {}
    if isinstance(choice, str):
        mode = _CHOICES.get(choice)
        wire = {"mode": mode} if mode else {"mode": "ANY", "allowedFunctionNames": [choice]}
        return {"functionCallingConfig": wire}
    return _choice_object(choice)


def _choice_object(choice: dict[str, Any]) -> dict[str, Any]:
    """Google's own object as it is; OpenAI's and Anthropic's by the name in them."""
    if "functionCallingConfig" in choice:
        return choice
    inner = choice.get("function")
    name = inner.get("name") if is_object(inner) else choice.get("name")
    if name:
        return {"functionCallingConfig": {"mode": "ANY", "allowedFunctionNames": [name]}}
    mode = _CHOICES.get(str(choice.get("type")))
    return {"functionCallingConfig": {"mode": mode} if mode else choice}


_PLAIN = {
    "temperature": "temperature",
    "top_p": "topP",
    "top_k": "topK",
    "max_tokens": "maxOutputTokens",
    "n": "candidateCount",
    "stop": "stopSequences",
    "seed": "seed",
    "presence_penalty": "presencePenalty",
    "frequency_penalty": "frequencyPenalty",
}

_ELSEWHERE = frozenset(
    {
        "tool_choice",
        "reasoning_effort",
        "reasoning_budget",
        "reasoning_summary",
        "extra_body",
        "extra_headers",
    }
)

_SPECIAL: dict[str, Callable[[Encoder, str, Any], None]] = {
    "logprobs": _logprobs,
    "top_logprobs": _top_logprobs,
    "modalities": _modalities,
    "audio": _audio,
    "service_tier": _service_tier,
    "metadata": _labels,
    "store": _store,
    "parallel_tool_calls": _parallel,
    "response_format": _response_format,
}
