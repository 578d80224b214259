"""OpenTelemetry by the GenAI semantic conventions: spans of calls, tool loops and tools; four metrics and an event for each call.

The names are those of their newest release, 1.41 (checked 2026-11; what has been renamed in their repository since is in no release
yet). A span covers a call with all its retries; its parent is what was current where the call was made, and it is the current one
of what the call does. A tool runs within its span. Content is written only where it was asked for.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from importlib import import_module
from typing import Any
from urllib.parse import urlsplit

from .._call import Call
from .._errors import ProviderError, UsageError
from .._json import dumps_text
from .._messages import AIMessage, ToolMessage
from .._plan import Plan
from .._run_tools_watch import RunSeen, ToolSeen
from .._tool_loop import content_of_result
from .._version import __version__
from ._content import finish, input_of, output_of, result_of, system_of
from ._echo import asked_in, strings_in, without_echo
from ._redact import redacted
from ._watch import Seen

#: The conventions' names of providers, where they differ from ours.
PROVIDERS = {
    "azure": "azure.ai.openai", "bedrock": "aws.bedrock", "google": "gcp.gemini", "mistral": "mistral_ai",
    "openai-responses": "openai", "vertex": "gcp.vertex_ai", "watsonx": "ibm.watsonx.ai", "xai": "x_ai",
}  # fmt: skip
SECONDS = (0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92)
CHUNKS = (0.001, 0.005, 0.01, 0.02, 0.04, 0.06, 0.08, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0)
TOKENS = (1, 4, 16, 64, 256, 1024, 4096, 16384, 65536, 262144, 1048576, 4194304, 16777216, 67108864)
SCHEMA = "https://opentelemetry.io/schemas/1.41.0"
EVENT = "gen_ai.client.inference.operation.details"
VARIABLE = "OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT"
_WHERE = {
    False: (False, False), True: (True, True), "span": (True, False), "event": (False, True),
    "span_only": (True, False), "event_only": (False, True), "span_and_event": (True, True), "true": (True, True),
    "no_content": (False, False), "false": (False, False), "": (False, False),
}  # fmt: skip


class OTel:
    """Observes calls for OpenTelemetry."""

    def __init__(self, tracers: Any, meters: Any, loggers: Any, content: bool | str | None) -> None:
        self.in_span, self.in_event = _where(content)
        trace, metrics, logs, context = map(_opentelemetry, ("trace", "metrics", "_logs", "context"))
        self.trace, self.context = trace, context
        self.tracer = trace.get_tracer("chatmodels", __version__, tracers, SCHEMA)
        self.logger = logs.get_logger("chatmodels", __version__, loggers, SCHEMA)
        meter = metrics.get_meter("chatmodels", __version__, meters, SCHEMA)
        self.duration = _histogram(meter, "operation.duration", "s", SECONDS)
        self.first = _histogram(meter, "operation.time_to_first_chunk", "s", SECONDS)
        self.each = _histogram(meter, "operation.time_per_output_chunk", "s", CHUNKS)
        self.tokens = _histogram(meter, "token.usage", "{token}", TOKENS)

    def begin(self, seen: Seen) -> None:
        """Start the span."""
        local = seen.plan.target.base_url.startswith("local:")
        kind = self.trace.SpanKind.INTERNAL if local else self.trace.SpanKind.CLIENT
        seen.of[id(self)] = self.tracer.start_span(f"chat {seen.call.model}", kind=kind, attributes=_asked(seen))

    def end(self, seen: Seen) -> None:
        """End it, count, and write the event."""
        span = seen.of.pop(id(self))
        facts = {**_common(seen), **_said(seen.message), **_timed(seen)}
        failure = _failure(seen)
        span.set_attributes({**facts, **failure})
        if self.in_span:
            span.set_attributes({k: dumps_text(v) for k, v in _content(seen).items()})
        if seen.error is not None:
            self._failed(span, seen.error, asked_in(seen.call))
        self._count(seen, failure)
        self._event(seen, {**facts, **failure}, span)
        span.end()

    def begin_run(self, seen: RunSeen) -> None:
        """Start the span of a tool loop."""
        seen.of[id(self)] = self.tracer.start_span("invoke_agent", attributes=_of_run(seen))

    def end_run(self, seen: RunSeen) -> None:
        """End it. The tokens are on the spans of its calls: sums must not count them twice."""
        span, run = seen.of.pop(id(self)), seen.loop.ended
        if seen.error is not None:
            span.set_attribute("error.type", type(seen.error).__name__)
            self._failed(span, seen.error, asked_in(seen.loop.call))
        elif run is not None:
            span.set_attribute("gen_ai.response.finish_reasons", [finish(run.message.finish_reason)])
        if self.in_span:
            found = _messages(seen.call, None if run is None else run.message)
            span.set_attributes({k: dumps_text(v) for k, v in found.items()})
        span.end()

    def enter(self, seen: Seen | RunSeen) -> None:
        """Make the span the current one: what instruments the HTTP client, or runs in a handler, is in it."""
        span, before = seen.of[id(self)], self.context.get_current()
        seen.of[id(self), "before"] = before
        self.context.attach(self.trace.set_span_in_context(span, before))

    def leave(self, seen: Seen | RunSeen) -> None:
        """Make the one before it current again. Without the token, which another context (a task that ends a stream that was begun
        elsewhere) would refuse."""
        before = seen.of.pop((id(self), "before"), None)
        if before is not None and self.trace.get_current_span() is seen.of[id(self)]:
            self.context.attach(before)

    def begin_tool(self, seen: ToolSeen) -> None:
        """Start the span, and make it the current one: what the tool does is in it."""
        about = _tool(seen)
        span = self.tracer.start_span(f"execute_tool {seen.tool.name}", attributes=about)
        if self.in_span and seen.call.args is not None:
            span.set_attribute("gen_ai.tool.call.arguments", dumps_text(seen.call.args))
        seen.of[id(self)] = span, self.context.attach(self.trace.set_span_in_context(span))

    def end_tool(self, seen: ToolSeen) -> None:
        """End it."""
        span, token = seen.of.pop(id(self))
        self.context.detach(token)
        if seen.error is not None:
            span.set_attribute("error.type", type(seen.error).__name__)
            self._failed(span, seen.error, strings_in(seen.call.args))
        elif self.in_span and not seen.left:
            given = result_of(_content_given(seen.result))
            span.set_attribute("gen_ai.tool.call.result", given if isinstance(given, str) else dumps_text(given))
        span.end()

    def _failed(self, span: Any, error: Exception, asked: Iterable[str]) -> None:
        """What the error says; without content, only where it repeats nothing of what was asked."""
        said = str(error)
        told = said if self.in_span else without_echo(said, asked)
        span.set_status(self.trace.Status(self.trace.StatusCode.ERROR, None if told is None else redacted(told)))

    def _count(self, seen: Seen, failure: dict[str, Any]) -> None:
        about = {**_common(seen), **_response_model(seen.message)}
        self.duration.record(seen.seconds, {**about, **failure})
        if seen.first is not None and seen.last is not None:
            self.first.record(seen.first - seen.began, about)
            for gap in seen.gaps:
                self.each.record(gap, about)
        usage = seen.message.usage if seen.message is not None and not seen.message.from_cache else None
        for kind in ("input", "output") if usage is not None else ():
            count = getattr(usage, f"{kind}_tokens")
            if count is not None:
                self.tokens.record(count, {**about, "gen_ai.token.type": kind})

    def _event(self, seen: Seen, facts: dict[str, Any], span: Any) -> None:
        content = _content(seen) if self.in_event else {}
        context = self.trace.set_span_in_context(span)
        self.logger.emit(event_name=EVENT, attributes={**_asked(seen), **facts, **content}, context=context)


def _where(content: bool | str | None) -> tuple[bool, bool]:
    given = os.environ.get(VARIABLE, "") if content is None else content
    found = _WHERE.get(given.strip().lower() if isinstance(given, str) else given)
    if found is None:
        raise UsageError(f'content is True, False, "span" or "event", not {given!r}', argument="content")
    return found


def _opentelemetry(name: str) -> Any:
    try:
        return import_module(f"opentelemetry.{name}")
    except ImportError as error:
        raise UsageError(
            "telemetry needs OpenTelemetry: pip install 'chatmodels[otel]'", argument="telemetry"
        ) from error


def _histogram(meter: Any, name: str, unit: str, bounds: tuple[float, ...]) -> Any:
    return meter.create_histogram(f"gen_ai.client.{name}", unit=unit, explicit_bucket_boundaries_advisory=bounds)


def _common(seen: Seen) -> dict[str, Any]:
    """Who was asked: the model of the call, or the one that answered in its place (a fallback, a hedge)."""
    asked = seen.plan.dialect.provider, seen.call.model
    provider, model = found = _answering(seen) or asked
    return {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": PROVIDERS.get(provider, provider),
        "gen_ai.request.model": model,
        **(_server(seen.plan) if found == asked else {}),
    }


def _answering(seen: Seen) -> tuple[str, str] | None:
    tries = seen.message.attempts if seen.message is not None and seen.error is None else ()
    good = next((a for a in reversed(tries) if a.outcome == "ok"), None)
    return None if good is None or good.provider is None or good.model is None else (good.provider, good.model)


def _server(plan: Plan) -> dict[str, Any]:
    parts = urlsplit(plan.target.base_url)
    if not parts.hostname:
        return {}
    return {
        "server.address": parts.hostname,
        "server.port": parts.port or {"http": 80}.get(parts.scheme, 443),
    }


_SETTINGS = {
    "temperature": "temperature", "top_p": "top_p", "top_k": "top_k", "max_tokens": "max_tokens", "seed": "seed",
    "stop": "stop_sequences", "presence_penalty": "presence_penalty", "frequency_penalty": "frequency_penalty",
}  # fmt: skip


#: Those that are of type double: a 0 would be an int, which some backends refuse beside a 0.5.
_DOUBLES = ("temperature", "top_p", "presence_penalty", "frequency_penalty")


def _asked(seen: Seen) -> dict[str, Any]:
    settings = seen.call.settings
    asked = _common(seen)
    for ours, theirs in _SETTINGS.items():
        value = getattr(settings, ours)
        if value is not None:
            asked[f"gen_ai.request.{theirs}"] = float(value) if ours in _DOUBLES else value
    if settings.n is not None and settings.n != 1:
        asked["gen_ai.request.choice.count"] = settings.n
    if seen.streamed:
        asked["gen_ai.request.stream"] = True
    kind = _output_type(seen)
    return asked if kind is None else {**asked, "gen_ai.output.type": kind}


def _output_type(seen: Seen) -> str | None:
    """What was asked for, in a word of the conventions."""
    settings = seen.call.settings
    if seen.call.output is not None:
        return "json"
    if settings.response_format:
        return "text" if settings.response_format.get("type") == "text" else "json"
    asked = set(settings.modalities or ()) - {"text"}
    return {"audio": "speech", "image": "image"}.get(next(iter(asked))) if len(asked) == 1 else None


def _of_run(seen: RunSeen) -> dict[str, Any]:
    provider = seen.plan.dialect.provider
    return {
        "gen_ai.operation.name": "invoke_agent",
        "gen_ai.provider.name": PROVIDERS.get(provider, provider),
        "gen_ai.request.model": seen.call.model,
    }


def _tool(seen: ToolSeen) -> dict[str, Any]:
    about: dict[str, Any] = {
        "gen_ai.operation.name": "execute_tool",
        "gen_ai.tool.name": seen.tool.name,
        "gen_ai.tool.type": "function",
        "gen_ai.tool.call.id": seen.call.id,
        "gen_ai.tool.description": seen.tool.description,
    }
    return {k: v for k, v in about.items() if v}


def _content_given(result: Any) -> Any:
    return result.content if isinstance(result, ToolMessage) else content_of_result(result)


def _response_model(message: AIMessage | None) -> dict[str, Any]:
    return {} if message is None or message.model is None else {"gen_ai.response.model": message.model}


def _said(message: AIMessage | None) -> dict[str, Any]:
    if message is None:
        return {}
    usage = message.usage
    said: dict[str, Any] = {
        "gen_ai.response.id": message.id,
        "gen_ai.response.finish_reasons": [finish(m.finish_reason) for m in (message, *message.alternatives)],
    }
    if message.from_cache:
        said["chatmodels.from_cache"] = True
        said["chatmodels.cache.similarity"] = message.similarity
    elif usage is not None:  # what a hit's answer once cost is on the span of that call: sums must not count it again
        said["gen_ai.usage.input_tokens"] = usage.input_tokens
        said["gen_ai.usage.output_tokens"] = usage.output_tokens
        said["gen_ai.usage.cache_read.input_tokens"] = usage.cache_read_tokens
        said["gen_ai.usage.cache_creation.input_tokens"] = usage.cache_write_tokens
        said["gen_ai.usage.reasoning.output_tokens"] = usage.reasoning_tokens
    return {k: v for k, v in {**said, **_response_model(message)}.items() if v is not None}


def _timed(seen: Seen) -> dict[str, Any]:
    return {} if seen.first is None else {"gen_ai.response.time_to_first_chunk": seen.first - seen.began}


def _failure(seen: Seen) -> dict[str, Any]:
    error = seen.error
    if error is None:
        return {}
    named = error.code or error.status if isinstance(error, ProviderError) else None
    return {"error.type": str(named) if named else type(error).__name__}


def _content(seen: Seen) -> dict[str, Any]:
    return _messages(seen.call, seen.message)


def _messages(call: Call, answer: AIMessage | None) -> dict[str, Any]:
    """The messages and tools, in the conventions' form."""
    found: dict[str, Any] = {
        "gen_ai.system_instructions": system_of(call.messages),
        "gen_ai.input.messages": input_of(call.messages),
        "gen_ai.output.messages": [] if answer is None else output_of(answer),
        "gen_ai.tool.definitions": [
            {"type": t.kind, "name": t.name, "description": t.description, "parameters": t.parameters}
            for t in call.tools
        ],
    }
    return {k: v for k, v in found.items() if v}
