"""How the SDKs of Google, Cohere, Mistral, Ollama and AWS are called, and what they make of an answer: they have no accumulators,
so chunks are put together as their users do. At the end, all SDKs.
"""

from __future__ import annotations

from typing import Any

from .sdk_reader import ASKED, SDK, arguments, counts, of
from .sdk_readers_openai import Anthropic, OpenAIChat, OpenAIResponses


class Google(SDK):
    name = "google-genai"
    apis = ("google-generate",)

    def __init__(self, origin: str) -> None:
        from google import genai

        client = genai.Client(api_key="test", http_options={"base_url": origin, "retry_options": {"attempts": 1}})
        self.clients = (client.models, client.aio.models)
        self.client = client

    async def close(self) -> None:
        self.client.close()
        await self.client.aio.aclose()

    def takes(self, record: dict[str, Any]) -> bool:
        """It always asks for events, never for a stream that is one JSON array."""
        return not (record["stream"] and record["response"].get("text", "").lstrip().startswith("["))

    def ask(self, record: dict[str, Any], awaited: bool) -> Any:
        models: Any = self.clients[awaited]
        ask = models.generate_content_stream if record["stream"] else models.generate_content
        headers = {"x-replay": record["id"]}
        return ask(model="m", contents="hi", config={"http_options": {"headers": headers}})

    def plain(self, answer: Any) -> dict[str, Any]:
        return self.streamed([answer])

    def streamed(self, chunks: list[Any]) -> dict[str, Any]:
        """Summed up as users do; the SDK has no accumulator."""
        found: dict[str, Any] = {"text": "", "reasoning": "", "calls": [], "finish": None, "model": None, "id": None}
        usage: Any = None
        choices = set[int]()
        for chunk in chunks:
            usage = chunk.usage_metadata or usage
            found["model"], found["id"] = chunk.model_version or found["model"], chunk.response_id or found["id"]
            for number, candidate in enumerate(chunk.candidates or ()):
                index = candidate.index or (number if len(chunk.candidates) > 1 else 0)
                choices.add(index)
                if index == 0:
                    self._candidate(candidate, found)
        inputs = (of(usage, "prompt_token_count", 0)) + (of(usage, "tool_use_prompt_token_count", 0))
        thoughts = of(usage, "thoughts_token_count", 0)
        outputs = of(usage, "candidates_token_count", 0) + thoughts
        read = of(usage, "cached_content_token_count")
        return found | {"usage": counts(usage, inputs, outputs, read, 0, thoughts), "choices": len(choices)}

    def _candidate(self, candidate: Any, found: dict[str, Any]) -> None:
        reason = candidate.finish_reason
        found["finish"] = (reason.value if reason else None) or found["finish"]
        for part in of(candidate.content, "parts", ()):
            if part.text:
                found["reasoning" if part.thought else "text"] += part.text
            if part.function_call:
                call = part.function_call
                found["calls"].append((call.id, call.name, arguments(call.args)))


class Cohere(SDK):
    name = "cohere"
    apis = ("cohere-chat-v2",)

    def __init__(self, origin: str) -> None:
        import cohere

        common: Any = {"base_url": origin, "api_key": "test", "log_warning_experimental_features": False}
        self.clients = (cohere.ClientV2(**common), cohere.AsyncClientV2(**common))

    def ask(self, record: dict[str, Any], awaited: bool) -> Any:
        client: Any = self.clients[awaited]
        ask = client.chat_stream if record["stream"] else client.chat
        options = {"additional_headers": {"x-replay": record["id"]}, "max_retries": 0}
        return ask(model="m", messages=ASKED, request_options=options)

    def plain(self, answer: Any) -> dict[str, Any]:
        message = answer.message
        blocks = message.content or ()
        return {
            "text": "".join(of(b, "text", "") for b in blocks if b.type == "text"),
            "reasoning": "".join(of(b, "thinking", "") for b in blocks if b.type == "thinking"),
            "plan": message.tool_plan or "",
            "calls": [self._call(c.id, c.function) for c in message.tool_calls or ()],
            "finish": answer.finish_reason,
            "usage": self._usage(answer.usage),
            "id": answer.id,
            "citations": len(message.citations or ()),
        }

    def _call(self, ident: Any, function: Any) -> tuple[Any, ...]:
        return ident, of(function, "name"), arguments(of(function, "arguments"))

    def _usage(self, usage: Any) -> tuple[int, ...] | None:
        tokens = of(usage, "tokens") or of(usage, "billed_units")
        read = of(usage, "cached_tokens")
        return counts(usage, of(tokens, "input_tokens"), of(tokens, "output_tokens"), read)

    def streamed(self, chunks: list[Any]) -> dict[str, Any]:
        """Summed up as users do; the SDK has no accumulator."""
        found: dict[str, Any] = {"text": "", "reasoning": "", "plan": "", "citations": 0, "finish": None, "id": None}
        found |= {"usage": None}
        calls: list[list[Any]] = []
        for event in chunks:
            said = of(of(event, "delta"), "message")
            if event.type == "message-start":
                found["id"] = event.id
            elif event.type in ("content-start", "content-delta"):
                found["text"] += of(said.content, "text", "")
                found["reasoning"] += of(said.content, "thinking", "")
            elif event.type == "tool-plan-delta":
                found["plan"] += of(said, "tool_plan", "")
            elif event.type == "tool-call-start":
                call = said.tool_calls
                calls.append([call.id, call.function.name, call.function.arguments or ""])
            elif event.type == "tool-call-delta":
                calls[-1][2] += said.tool_calls.function.arguments or ""
            elif event.type == "citation-start":
                found["citations"] += 1
            elif event.type == "message-end":
                found["finish"], found["usage"] = event.delta.finish_reason, self._usage(event.delta.usage)
        return found | {"calls": [(i, n, arguments(a)) for i, n, a in calls]}


class Mistral(SDK):
    name = "mistralai"
    apis = ("mistral-chat",)

    def __init__(self, origin: str) -> None:
        from mistralai.client import Mistral

        self.client = Mistral(api_key="test", server_url=origin)

    def ask(self, record: dict[str, Any], awaited: bool) -> Any:
        name = ("stream" if record["stream"] else "complete") + ("_async" if awaited else "")
        headers = {"x-replay": record["id"]}
        return getattr(self.client.chat, name)(model="m", messages=ASKED, http_headers=headers)

    def plain(self, answer: Any) -> dict[str, Any]:
        choice = answer.choices[0] if answer.choices else None
        message, usage = of(choice, "message"), answer.usage
        text, reasoning = self._content(of(message, "content"))
        return {
            "text": text,
            "reasoning": reasoning,
            "calls": [
                (c.id, c.function.name, arguments(c.function.arguments)) for c in of(message, "tool_calls") or ()
            ],
            "finish": of(choice, "finish_reason"),
            "usage": counts(usage, of(usage, "prompt_tokens"), of(usage, "completion_tokens")),
            "model": answer.model,
            "id": answer.id,
            "choices": len(answer.choices),
        }

    def _content(self, content: Any) -> tuple[str, str]:
        if isinstance(content, str):
            return content, ""
        text = reasoning = ""
        for chunk in content or ():
            text += chunk.text if chunk.type == "text" else ""
            if chunk.type == "thinking":
                reasoning += "".join(of(c, "text", "") for c in chunk.thinking)
        return text, reasoning

    def streamed(self, chunks: list[Any]) -> dict[str, Any]:
        """Summed up as users do; the SDK has no accumulator."""
        found: dict[str, Any] = {"text": "", "reasoning": "", "calls": [], "finish": None, "usage": None}
        choices = set[int]()
        for event in chunks:
            chunk = event.data
            found["model"], found["id"] = chunk.model, chunk.id
            usage = chunk.usage
            if usage:
                found["usage"] = counts(usage, usage.prompt_tokens, usage.completion_tokens)
            for choice in chunk.choices:
                choices.add(choice.index)
                if choice.index == 0:
                    text, reasoning = self._content(choice.delta.content)
                    found["text"] += text
                    found["reasoning"] += reasoning
                    found["calls"] += choice.delta.tool_calls or ()
                    found["finish"] = choice.finish_reason or found["finish"]
        found["calls"] = [(c.id, c.function.name, arguments(c.function.arguments)) for c in found["calls"]]
        return found | {"choices": len(choices)}


class Ollama(SDK):
    name = "ollama"
    apis = ("ollama-chat",)

    def __init__(self, origin: str) -> None:
        import ollama

        self.clients = (ollama.Client(host=origin), ollama.AsyncClient(host=origin))

    def ask(self, record: dict[str, Any], awaited: bool) -> Any:
        client: Any = self.clients[awaited]
        client._client.headers["x-replay"] = record["id"]  # it has no headers for one request
        return client.chat(model="m", messages=ASKED, stream=record["stream"])

    def plain(self, answer: Any) -> dict[str, Any]:
        return self.streamed([answer])

    def streamed(self, chunks: list[Any]) -> dict[str, Any]:
        """Summed up as users do; the SDK has no accumulator."""
        last = chunks[-1]
        calls = [c.function for chunk in chunks for c in chunk.message.tool_calls or ()]
        told = last.prompt_eval_count is not None or last.eval_count is not None
        return {
            "text": "".join(c.message.content or "" for c in chunks),
            "reasoning": "".join(c.message.thinking or "" for c in chunks),
            "calls": [(None, f.name, arguments(dict(f.arguments))) for f in calls],
            "finish": last.done_reason,
            "usage": counts(last if told else None, last.prompt_eval_count, last.eval_count),
            "model": last.model,
        }


class Bedrock(SDK):
    name = "botocore"
    apis = ("bedrock-converse",)
    has_async = False

    def __init__(self, origin: str) -> None:
        import botocore.config
        import botocore.session

        self.record = ""
        keys = {"aws_access_key_id": "AKIATEST", "aws_secret_access_key": "test", "region_name": "us-east-1"}
        config = botocore.config.Config(retries={"total_max_attempts": 1})
        self.client = botocore.session.Session().create_client(
            "bedrock-runtime", endpoint_url=origin, config=config, **keys
        )
        self.client.meta.events.register("before-sign.bedrock-runtime", self._name)

    def _name(self, request: Any, **_: Any) -> None:
        request.headers["x-replay"] = self.record

    def ask(self, record: dict[str, Any], awaited: bool) -> Any:
        self.record = record["id"]
        ask = self.client.converse_stream if record["stream"] else self.client.converse
        answer = ask(modelId="m", messages=[{"role": "user", "content": [{"text": "hi"}]}])
        return answer["stream"] if record["stream"] else answer

    def plain(self, answer: Any) -> dict[str, Any]:
        blocks = answer["output"]["message"]["content"]
        calls = [b["toolUse"] for b in blocks if "toolUse" in b and b["toolUse"].get("type") != "server_tool_use"]
        return {
            "text": "".join(self._text(b) for b in blocks),
            "reasoning": "".join(
                b.get("reasoningContent", {}).get("reasoningText", {}).get("text", "") for b in blocks
            ),
            "calls": [(c["toolUseId"], c["name"], arguments(c["input"])) for c in calls],
            "finish": answer.get("stopReason"),
            "usage": self._usage(answer.get("usage")),
            "citations": sum(len(b.get("citationsContent", {}).get("citations", ())) for b in blocks),
        }

    def _text(self, block: dict[str, Any]) -> str:
        cited = block.get("citationsContent", {}).get("content", ())
        return str(block.get("text", "")) + "".join(c.get("text", "") for c in cited)

    def _usage(self, usage: Any) -> tuple[int, ...] | None:
        if usage is None:
            return None
        read, written = usage.get("cacheReadInputTokens", 0), usage.get("cacheWriteInputTokens", 0)
        return counts(usage, usage.get("inputTokens", 0) + read + written, usage.get("outputTokens"), read, written)

    def streamed(self, chunks: list[Any]) -> dict[str, Any]:
        """Summed up as users do; the SDK has no accumulator."""
        found: dict[str, Any] = {"text": "", "reasoning": "", "finish": None, "usage": None, "citations": 0}
        calls: dict[int, list[Any]] = {}
        for event in chunks:
            for kind, body in event.items():
                start, delta = body.get("start") or {}, body.get("delta") or {}
                if "toolUse" in start and start["toolUse"].get("type") != "server_tool_use":
                    calls[body["contentBlockIndex"]] = [start["toolUse"]["toolUseId"], start["toolUse"]["name"], ""]
                found["text"] += delta.get("text", "")
                found["reasoning"] += delta.get("reasoningContent", {}).get("text", "")
                found["citations"] += "citation" in delta
                if "toolUse" in delta and body["contentBlockIndex"] in calls:
                    calls[body["contentBlockIndex"]][2] += delta["toolUse"].get("input", "")
                if kind == "messageStop":
                    found["finish"] = body["stopReason"]
                if kind == "metadata":
                    found["usage"] = self._usage(body["usage"])
        return found | {"calls": [(i, n, arguments(a)) for i, n, a in calls.values()]}


SDKS: tuple[type[SDK], ...] = (OpenAIChat, OpenAIResponses, Anthropic, Google, Cohere, Mistral, Ollama, Bedrock)
