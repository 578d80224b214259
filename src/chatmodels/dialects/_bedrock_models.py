"""What is known of the models on Bedrock by their names: where each maker's own settings go. Knows no wire
beyond names.

Sources, read 2026-11: docs.aws.amazon.com/bedrock "Inference request parameters", "Structured outputs",
"Converse API supported models and features"; docs.aws.amazon.com/nova "Using the Converse API".
"""

from __future__ import annotations

import re
from typing import Literal

from . import _claude

Form = Literal["schema", "tool", "prompt"]

_MAKERS = (
    ("claude", "anthropic"),
    ("anthropic.", "anthropic"),
    ("amazon.nova", "nova"),
    ("amazon.titan", "titan"),
    ("cohere.", "cohere"),
    ("mistral.", "mistral"),
    ("meta.", "meta"),
    ("openai.", "openai"),
    ("qwen.", "qwen"),
    ("deepseek.", "deepseek"),
    ("ai21.", "ai21"),
)

#: (maker, setting) -> its place in `additionalModelRequestFields`.
EXTRA_FIELDS: dict[tuple[str, str], tuple[str, ...]] = {
    ("anthropic", "top_k"): ("top_k",),
    ("nova", "top_k"): ("inferenceConfig", "topK"),
    ("mistral", "top_k"): ("top_k",),
    ("cohere", "top_k"): ("k",),
    ("cohere", "seed"): ("seed",),
    ("cohere", "presence_penalty"): ("presence_penalty",),
    ("cohere", "frequency_penalty"): ("frequency_penalty",),
    ("openai", "reasoning_effort"): ("reasoning_effort",),
    ("qwen", "reasoning_effort"): ("reasoning_config",),
}

_NO_TOOLS = re.compile(r"amazon\.titan|deepseek\.r1|claude-v2|claude-instant|llama3-8b|llama3-70b|mistral-7b|mixtral")
_NO_SCHEMA = ("nova", "cohere", "meta", "ai21")
_OLD_MISTRAL = re.compile(r"mistral-large-24|mistral-small-24|pixtral")


def maker(model: str) -> str | None:
    """Who made the model; None where its id (of an inference profile, say) does not tell."""
    name = model.lower()
    return next((found for mark, found in _MAKERS if mark in name), None)


def output_form(model: str) -> Form:
    """How an answer is held to a schema: by the service, by a tool that has to be called, or by asking for
    it.
    """
    if _NO_TOOLS.search(model.lower()):
        return "prompt"
    by = maker(model)
    if by == "anthropic":
        return "schema" if _claude.has_json_schema(model) else "tool"
    old = by in _NO_SCHEMA or _OLD_MISTRAL.search(model.lower()) is not None
    return "tool" if old else "schema"


def can_force_tools(model: str) -> bool:
    """Does the model take a tool choice other than "auto"?"""
    return maker(model) in ("anthropic", "nova", "mistral", None)


def takes_unsigned_reasoning(model: str) -> bool:
    """May reasoning without a signature be sent back? (Of DeepSeek-R1 only it is known.)"""
    return "deepseek.r1" in model.lower()
