"""Where a host or a model wants a request a little different: small named functions from request JSON to request JSON.

A row lists the names of its quirks; they are applied once, after encoding. Model facts here only change the encoding: a model
that is not known is sent as it is, and the provider answers.
"""

from __future__ import annotations

import re
from typing import Any

from ._json import is_object
from .dialects._base import Quirk

#: OpenAI's reasoning models take `max_completion_tokens` only, and no sampling settings (API reference, checked 2026-11).
_REASONING = re.compile(r"^(o\d|gpt-([5-9]|\d\d))(?!.*chat)")
_NOT_FOR_REASONING = (
    "temperature",
    "top_p",
    "presence_penalty",
    "frequency_penalty",
    "logprobs",
    "top_logprobs",
    "logit_bias",
)


def openai_models(body: dict[str, Any], warnings: list[str]) -> None:
    """Reasoning models: the other name for the token limit, and no sampling settings."""
    model = str(body.get("model") or "")
    if not _REASONING.match(model.rpartition("/")[2]):
        return
    if "max_tokens" in body:
        body["max_completion_tokens"] = body.pop("max_tokens")
    if body.get("reasoning_effort") == "none":
        return
    _drop_sampling(body, model, warnings)


def openai_responses_models(body: dict[str, Any], warnings: list[str]) -> None:
    """Reasoning models over the Responses API: no sampling settings, unless they are told not to reason."""
    model = str(body.get("model") or "")
    reasoning = body.get("reasoning")
    if _REASONING.match(model.rpartition("/")[2]) and not (is_object(reasoning) and reasoning.get("effort") == "none"):
        _drop_sampling(body, model, warnings)


def _drop_sampling(body: dict[str, Any], model: str, warnings: list[str]) -> None:
    for name in _NOT_FOR_REASONING:
        if name in body and not (name == "temperature" and body[name] == 1):
            del body[name]
            warnings.append(f"{model} does not take {name}: not sent")


QUIRKS: dict[str, Quirk] = {"openai_models": openai_models, "openai_responses_models": openai_responses_models}
