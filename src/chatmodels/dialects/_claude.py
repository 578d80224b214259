"""What is known of Claude models by their names: facts that only change how a request is written. Knows no
wire format.

A name that is not known is treated as the newest model. Sources, read 2026-11: platform.claude.com/docs
"Extended thinking", "Adaptive thinking", "Effort", "Structured outputs", "Mid-conversation system messages"
and the overview page of each model; docs.aws.amazon.com/bedrock "Adaptive thinking".
"""

from __future__ import annotations

import re
from typing import Any, Literal, NamedTuple

from .._call import Settings

_VERSION = re.compile(r"claude-(?:[a-z]+-)?v?(\d{1,2})(?!\d)(?:[-.](\d{1,2})(?!\d))?")
_NEWEST = (99, 0)

#: Tokens to think with, for models that take a budget and no effort. The words are the providers', the
#: numbers ours.
BUDGETS = {"minimal": 1024, "low": 2048, "medium": 8192, "high": 16384, "xhigh": 32000, "max": 32000}

ThinkingForm = Literal["none", "budget", "both", "adaptive"]


def is_claude(model: str) -> bool:
    """Does the name say that this is a Claude model?"""
    return "claude" in model.lower()


def version(model: str) -> tuple[int, int]:
    """(major, minor) from a model name in any provider's spelling; the newest where the name does not say."""
    name = model.lower()
    found = _VERSION.search(name)
    if found is not None:
        return int(found[1]), int(found[2] or 0)
    return (1, 0) if "claude-instant" in name else _NEWEST


def thinking_form(model: str) -> ThinkingForm:
    """How a model is told to think: by a budget of tokens (before 4.6, and models of other makers),
    adaptively, or both.
    """
    if not is_claude(model):
        return "budget"
    number = version(model)
    if number < (3, 7):
        return "none"
    if number < (4, 6):
        return "budget"
    return "both" if number == (4, 6) else "adaptive"


def takes_sampling(model: str) -> bool:
    """From 4.7 on, a temperature, top_p or top_k other than the default is an error."""
    return not is_claude(model) or version(model) < (4, 7)


def has_json_schema(model: str) -> bool:
    """Are answers held to a JSON Schema by the provider itself?"""
    return is_claude(model) and version(model) >= (4, 5)


def has_inner_system(model: str) -> bool:
    """May a system message stand in the middle of the conversation?"""
    return is_claude(model) and version(model) >= (4, 8)


def default_max_tokens(model: str) -> int:
    """`max_tokens`, which must be sent, when the caller gives none: below the limit of each model."""
    number = version(model)
    if not is_claude(model):
        return 8192
    if number < (3, 5):
        return 4096
    if number < (3, 7):
        return 8192
    return 16384 if number < (4, 6) else 32000


class Thinking(NamedTuple):
    """The `thinking` object and the effort to send; `notes` says what could not be sent as asked."""

    config: dict[str, Any] | None
    effort: str | None
    notes: tuple[str, ...] = ()


def thinking(model: str, settings: Settings) -> Thinking:
    """What the reasoning settings mean for this model."""
    effort, budget = settings.reasoning_effort, settings.reasoning_budget
    if effort is None and budget is None and settings.reasoning_summary is None:
        return Thinking(None, None)
    form = thinking_form(model)
    if form == "none":
        return Thinking(None, None, (f"{model} does not think: the reasoning settings are not sent",))
    if budget == 0 or (budget is None and effort == "none"):
        return Thinking({"type": "disabled"}, None)
    if effort == "none":
        effort = None
    found = _by_budget(model, form, effort, budget) if form == "budget" else _by_effort(model, form, effort, budget)
    return found._replace(config=_shown(found.config, settings.reasoning_summary))


def _by_budget(model: str, form: ThinkingForm, effort: str | None, budget: int | None) -> Thinking:
    notes: tuple[str, ...] = ()
    if budget is not None and effort is not None:
        notes = (f"{model} takes a reasoning budget and no effort: reasoning_effort is not sent",)
    if budget is None:
        budget = BUDGETS.get(effort or "medium", BUDGETS["medium"])
    return Thinking({"type": "enabled", "budget_tokens": budget}, None, notes)


def _by_effort(model: str, form: ThinkingForm, effort: str | None, budget: int | None) -> Thinking:
    notes: tuple[str, ...] = ()
    if effort == "minimal":
        effort, notes = "low", (f"{model} has no reasoning_effort 'minimal': 'low' is sent",)
    if budget is None:
        return Thinking({"type": "adaptive"}, effort, notes)
    if form == "both":
        return Thinking({"type": "enabled", "budget_tokens": budget}, effort, notes)
    said = f"{model} decides itself how much to think: reasoning_budget is not sent (give reasoning_effort)"
    return Thinking({"type": "adaptive"}, effort, (*notes, said))


def _shown(config: dict[str, Any] | None, summary: str | None) -> dict[str, Any] | None:
    if config is None or summary is None:
        return config
    return {**config, "display": "omitted" if summary in ("omitted", "none") else "summarized"}
