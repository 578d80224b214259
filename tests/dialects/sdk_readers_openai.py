"""How the SDKs of OpenAI and Anthropic are called, and what they make of an answer: they have accumulators of their own."""

from __future__ import annotations

from typing import Any

from .sdk_reader import ASKED, SDK, arguments, counts, of


class OpenAIChat(SDK):
    name = "openai (chat)"
    apis = ("openai-chat", "huggingface-chat")

    def __init__(self, origin: str) -> None:
        import openai

        common: Any = {"base_url": f"{origin}/v1", "api_key": "test", "max_retries": 0}
        self.clients = (openai.OpenAI(**common), openai.AsyncOpenAI(**common))

    def ask(self, record: dict[str, Any], awaited: bool) -> Any:
        create: Any = self.clients[awaited].chat.completions.create
        return create(
            model="m",
            messages=ASKED,
            stream=record["stream"],
            extra_headers={"x-replay": record["id"], "accept-encoding": "identity"},
        )

    def plain(self, answer: Any) -> dict[str, Any]:
        choice = answer.choices[0] if answer.choices else None
        message, usage = of(choice, "message"), answer.usage
        read, written = of(usage, "prompt_tokens_details"), of(usage, "completion_tokens_details")
        return {
            "text": of(message, "content", ""),
            "calls": [self._call(c) for c in of(message, "tool_calls", ())],
            "finish": of(choice, "finish_reason"),
            "usage": counts(
                usage,
                of(usage, "prompt_tokens"),
                of(usage, "completion_tokens"),
                of(read, "cached_tokens"),
                of(read, "cache_write_tokens"),
                of(written, "reasoning_tokens"),
            ),
            "model": answer.model,
            "id": answer.id,
            "refusal": of(message, "refusal"),
            "choices": len(answer.choices or ()),
            "logprobs": len(of(of(choice, "logprobs"), "content", ())),
        }

    def _call(self, call: Any) -> tuple[Any, ...]:
        if call.type == "custom":
            return call.id, call.custom.name, arguments(call.custom.input)
        return call.id, of(call.function, "name"), arguments(of(call.function, "arguments"))

    def streamed(self, chunks: list[Any]) -> dict[str, Any]:
        """Summed by the SDK's own accumulator."""
        import openai
        from openai.lib.streaming.chat import ChatCompletionStreamState

        state: Any = ChatCompletionStreamState(input_tools=openai.omit, response_format=openai.omit)
        for chunk in chunks:
            state.handle_chunk(chunk)
        answer = state.current_completion_snapshot
        return self.plain(answer)


class OpenAIResponses(SDK):
    name = "openai (responses)"
    apis = ("openai-responses",)

    def __init__(self, origin: str) -> None:
        import openai

        common: Any = {"base_url": f"{origin}/v1", "api_key": "test", "max_retries": 0}
        self.clients = (openai.OpenAI(**common), openai.AsyncOpenAI(**common))

    def ask(self, record: dict[str, Any], awaited: bool) -> Any:
        create: Any = self.clients[awaited].responses.create
        return create(model="m", input="hi", stream=record["stream"], extra_headers={"x-replay": record["id"]})

    def plain(self, answer: Any) -> dict[str, Any]:
        found: dict[str, Any] = {"text": "", "reasoning": "", "calls": [], "citations": 0}
        refusal: list[str] = []
        for item in answer.output or ():
            if item.type == "message":
                for part in item.content or ():
                    found["text"] += of(part, "text", "")
                    found["citations"] += len(of(part, "annotations", ()))
                    refusal += [part.refusal] if part.type == "refusal" else []
            elif item.type == "reasoning":
                told = item.content or item.summary or ()
                found["reasoning"] += "".join(p.text for p in told)
            elif item.type in ("function_call", "custom_tool_call"):
                said = item.arguments if item.type == "function_call" else item.input
                found["calls"].append((item.call_id, item.name, arguments(said)))
        usage = answer.usage
        read, written = of(usage, "input_tokens_details"), of(usage, "output_tokens_details")
        why = of(answer.incomplete_details, "reason")
        return found | {
            "finish": why or answer.status,
            "usage": counts(
                usage,
                of(usage, "input_tokens"),
                of(usage, "output_tokens"),
                of(read, "cached_tokens"),
                of(read, "cache_write_tokens"),
                of(written, "reasoning_tokens"),
            ),
            "model": answer.model,
            "id": answer.id,
            "refusal": "".join(refusal) or None,
        }

    def streamed(self, chunks: list[Any]) -> dict[str, Any]:
        """The answer that the last event carries, which is what the SDK's own helper gives."""
        ended = [
            c.response for c in chunks if c.type in ("response.completed", "response.incomplete", "response.failed")
        ]
        if not ended:
            raise EOFError("no last event")
        return self.plain(ended[-1])


class Anthropic(SDK):
    name = "anthropic"
    apis = ("anthropic-messages",)

    def __init__(self, origin: str) -> None:
        import anthropic

        common: Any = {"base_url": origin, "api_key": "test", "max_retries": 0}
        self.clients = (anthropic.Anthropic(**common), anthropic.AsyncAnthropic(**common))

    def ask(self, record: dict[str, Any], awaited: bool) -> Any:
        create: Any = self.clients[awaited].beta.messages.create
        headers = {"x-replay": record["id"]}
        return create(model="m", messages=ASKED, max_tokens=9, stream=record["stream"], extra_headers=headers)

    def plain(self, answer: Any) -> dict[str, Any]:
        blocks, usage = answer.content or (), answer.usage
        read, written = of(usage, "cache_read_input_tokens"), of(usage, "cache_creation_input_tokens")
        total = of(usage, "input_tokens", 0) + (read or 0) + (written or 0)
        return {
            "text": "".join(of(b, "text", "") for b in blocks if b.type == "text"),
            "reasoning": "".join(b.thinking or "" for b in blocks if b.type == "thinking"),
            "calls": [(b.id, b.name, arguments(b.input)) for b in blocks if b.type == "tool_use"],
            "finish": answer.stop_reason,
            "usage": counts(usage, total, of(usage, "output_tokens"), read, written),
            "model": answer.model,
            "id": answer.id,
            "citations": sum(len(of(b, "citations", ())) for b in blocks if b.type == "text"),
        }

    def streamed(self, chunks: list[Any]) -> dict[str, Any]:
        """Summed by the SDK's own accumulator."""
        import anthropic
        from anthropic.lib.streaming._beta_messages import accumulate_event

        answer: Any = None
        buffers: dict[int, bytes] = {}
        for event in chunks:
            given: Any = {"json_bufs": buffers, "output_format": anthropic.NOT_GIVEN, "request_headers": None}
            answer = accumulate_event(event=event, current_snapshot=answer, **given)
        return self.plain(answer)
