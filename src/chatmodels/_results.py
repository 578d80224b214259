"""What `generate` gives: the result types of the seed page. Values only."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from ._messages import AIMessage
from ._usage import Usage


class ChatGeneration(msgspec.Struct, frozen=True, kw_only=True):
    """One answer. `text` is the message's text; `generation_info` holds the finish reason where it is not a plain stop,
    and the log probabilities where they were asked for; else None."""

    text: str
    generation_info: dict[str, Any] | None = None
    message: AIMessage


class LLMResult(msgspec.Struct, frozen=True, kw_only=True):
    """`generations[i]` lists the answers to prompt i (several when n > 1); `llm_output["token_usage"]` sums the tokens.

    An item that failed has no generations; its error is in `errors[i]`.
    """

    generations: list[list[ChatGeneration]]
    llm_output: dict[str, Any] | None = None
    errors: dict[int, BaseException] = {}

    def __repr__(self) -> str:
        shown = f"LLMResult(generations={self.generations!r}, llm_output={self.llm_output!r}"
        return shown + (f", errors={self.errors!r})" if self.errors else ")")

    @property
    def usage(self) -> Usage | None:
        """The summed usage of all answers that were not served from a cache; None when none is known."""
        return _sum([g[0].message for g in self.generations if g])


def generation_of(message: AIMessage) -> ChatGeneration:
    """The generation of one message."""
    info: dict[str, Any] = {}
    if message.finish_reason not in (None, "stop", "tool_calls"):
        info["finish_reason"] = message.finish_reason
    if message.logprobs is not None:
        info["logprobs"] = {"content": message.logprobs}
    return ChatGeneration(text=message.text, generation_info=info or None, message=message)


def result_of(answers: Sequence[AIMessage | BaseException]) -> LLMResult:
    """The result of several prompts, in their order."""
    generations: list[list[ChatGeneration]] = []
    errors: dict[int, BaseException] = {}
    for index, answer in enumerate(answers):
        if isinstance(answer, BaseException):
            errors[index] = answer
            generations.append([])
        else:
            generations.append([generation_of(m) for m in (answer, *answer.alternatives)])
    return LLMResult(generations=generations, llm_output={"token_usage": _token_usage(generations)}, errors=errors)


def _sum(messages: Sequence[AIMessage]) -> Usage | None:
    total: Usage | None = None
    for message in messages:
        if message.usage is not None and not message.from_cache:
            total = message.usage if total is None else total + message.usage
    return total


def _token_usage(generations: list[list[ChatGeneration]]) -> dict[str, int]:
    total = _sum([g[0].message for g in generations if g])
    if total is None:
        return {}
    return {
        "prompt_tokens": total.input_tokens or 0,
        "completion_tokens": total.output_tokens or 0,
        "total_tokens": total.total_tokens or 0,
    }
