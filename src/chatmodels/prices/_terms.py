"""On what terms an answer was served, as far as the price depends on them: batch API, service tier, place, tools, or the
provider's own bill. Read from usage and answer; knows no price of a model.
"""

from __future__ import annotations

from collections import Counter
from datetime import date
from typing import Any

import msgspec

from .._errors import UsageError
from .._json import is_object, mapping, objects
from .._messages import AIMessage
from .._parts import ServerTool
from .._usage import Usage

#: The day on which the factors below were checked against the providers' pages.
CHECKED = date(2026, 11, 22)
#: Names of our rows -> those of genai-prices, where they differ.
PROVIDERS = {
    "openai-responses": "openai", "azure-responses": "azure", "bedrock": "aws", "bedrock-claude": "aws", "vertex": "google",
    "vertex-claude": "anthropic", "vertex-anthropic": "anthropic", "xai": "x-ai", "moonshot": "moonshotai", "github": "azure",
}  # fmt: skip
#: What a provider takes for all of its models, as a share of the standard price; used where the list has no price of the model
#: itself. Pages: developers.openai.com/api/docs/guides/batch and /flex-processing, platform.claude.com .../batch-processing,
#: ai.google.dev/gemini-api/docs/optimization, console.groq.com/docs/batch and /flex-processing,
#: docs.mistral.ai/capabilities/batch, azure.microsoft.com .../openai-service, aws.amazon.com/bedrock/pricing,
#: docs.together.ai/docs/inference/pricing, docs.fireworks.ai/serverless/pricing.
FACTORS = {
    ("openai", "batch"): 0.5, ("openai", "flex"): 0.5, ("anthropic", "batch"): 0.5, ("google", "batch"): 0.5,
    ("google", "flex"): 0.5, ("groq", "batch"): 0.5, ("groq", "flex"): 1.0, ("mistral", "batch"): 0.5, ("azure", "batch"): 0.5,
    ("aws", "batch"): 0.5, ("together", "batch"): 0.5, ("fireworks", "batch"): 0.5,
}  # fmt: skip
#: Who sends a bill along with each answer.
BILLED = ("openrouter", "xai", "perplexity")
#: Where tokens cost more: Anthropic's `inference_geo` (platform.claude.com/docs/en/manage-claude/data-residency).
PLACES = {("anthropic", "us"): 1.1}

#: Words for "as always". "auto" is what was asked for, and tells nothing.
_STANDARD = frozenset(
    {"", "default", "standard", "standard_only", "auto", "on_demand", "none", "traffic_type_unspecified"}
)
#: Vertex AI's `trafficType`, by name and by number.
_TRAFFIC = {
    "ON_DEMAND": "standard", "1": "standard", "PROVISIONED_THROUGHPUT": "provisioned throughput", "2": "provisioned throughput",
    "ON_DEMAND_FLEX": "flex", "ON_DEMAND_PRIORITY": "priority",
}  # fmt: skip
#: Tools that a provider runs for nothing but their tokens.
_FREE = frozenset(
    {"web_fetch", "tool_search", "mcp", "mcp_list_tools", "mcp_approval", "program", "shell", "computer", "memory"}
)
_NAMES = {
    "web_search": "web search(es)", "file_search": "file search(es)", "code_execution": "run(s) of code",
    "image_generation": "image(s)",
}  # fmt: skip


class Terms(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, repr_omit_defaults=True):
    """How a call was served. `tier` is None for the standard one, `place` where tokens cost more. `web_searches` and
    `file_searches` are charged beside the tokens; `image_tokens` of the output are pictures; `others` are uses of tools whose
    price nobody tells; `told` is the provider's own bill, in US dollars.
    """

    batch: bool = False
    tier: str | None = None
    place: str | None = None
    web_searches: int = 0
    file_searches: int = 0
    image_tokens: int = 0
    others: tuple[str, ...] = ()
    told: float | None = None

    @property
    def name(self) -> str | None:
        """The tier, or "batch"; None for the standard one."""
        return "batch" if self.batch else self.tier


STANDARD, BATCH = Terms(), Terms(batch=True)
#: Fields of a usage that may tell of other terms.
_TELLING = frozenset({
    "speed", "service_tier", "serviceTier", "trafficType", "inference_geo", "server_tool_use", "candidatesTokensDetails", "cost",
    "cost_in_usd_ticks",
})  # fmt: skip


def terms_of(
    usage: Usage | None,
    provider: str,
    message: AIMessage | None = None,
    *,
    batch: bool = False,
    tier: str | None = None,
) -> Terms:
    """The terms that the usage and, where it is given, the answer tell. `batch` and `tier` hold above what they tell."""
    if batch is not True and batch is not False:
        raise UsageError(f"batch is True or False, not {batch!r}", argument="batch")
    if tier is not None and not isinstance(tier, str):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise UsageError(f"tier is the name of a service tier, such as 'flex', not {tier!r}", argument="tier")
    raw = mapping(usage.raw) if usage is not None else {}
    data = mapping((message.provider_data or {}).get(provider)) if message is not None else {}
    if tier is None and _TELLING.isdisjoint(raw) and _is_plain(data, message):
        return BATCH if batch else STANDARD
    said = (_tier(raw, data) if tier in (None, "auto") else tier or "").lower()
    web, files, others = _tools(raw, data, message, provider)
    geo = raw.get("inference_geo")
    return Terms(
        batch=batch or said == "batch",
        tier=None if said in _STANDARD or said == "batch" else said,
        place=geo if isinstance(geo, str) and (provider, geo) in PLACES else None,
        web_searches=web,
        file_searches=files,
        image_tokens=_pictures(raw),
        others=others,
        told=_told(raw, provider),
    )


def _is_plain(data: dict[str, Any], message: AIMessage | None) -> bool:
    """Most answers: a text, and nothing beside it. They are many in a batch."""
    if message is None:
        return True
    if not isinstance(message.content, str) or not data.keys() <= {"answer"} or "-search-" in (message.model or ""):
        return False
    answer = data.get("answer")
    return answer is None or (is_object(answer) and answer.get("service_tier") in (None, "default"))


def _tier(raw: dict[str, Any], data: dict[str, Any]) -> str:
    if raw.get("speed") == "fast" or mapping(data.get("performanceConfig")).get("latency") == "optimized":
        return "fast" if "speed" in raw else "latency-optimized"
    found = (
        raw.get("service_tier"), raw.get("serviceTier"), _TRAFFIC.get(str(raw.get("trafficType"))), data.get("service_tier"),
        mapping(data.get("answer")).get("service_tier"), mapping(data.get("serviceTier")).get("type"),
    )  # fmt: skip
    return next((f for f in found if isinstance(f, str) and f), "")


def _tools(
    raw: dict[str, Any], data: dict[str, Any], message: AIMessage | None, provider: str
) -> tuple[int, int, tuple[str, ...]]:
    """(web searches, file searches, what else was used), from the usage where it counts them, else from the answer's parts."""
    counted = mapping(raw.get("server_tool_use"))
    uses = Counter({
        kind.removesuffix("_requests"): n for kind, n in counted.items() if isinstance(n, int) and n > 0
    })  # fmt: skip
    if not counted and message is not None and not isinstance(message.content, str):
        uses.update(p.kind for p in message.content if isinstance(p, ServerTool) and _is_charged(p))
    if mapping(data.get("groundingMetadata")).get("webSearchQueries"):
        uses["web_search"] = max(1, uses["web_search"])
    if message is not None and provider in ("openai", "azure") and "-search-" in (message.model or ""):
        uses["web_search"] = max(1, uses["web_search"])  # such a model searches for each answer
    google = PROVIDERS.get(provider, provider) == "google"  # has a free allowance of searches that no answer tells of
    web = 0 if google else uses.pop("web_search", 0)
    files = uses.pop("file_search", 0)
    return web, files, tuple(f"{n} {_NAMES.get(kind, kind)}" for kind, n in sorted(uses.items()) if kind not in _FREE)


def _pictures(raw: dict[str, Any]) -> int:
    found = [d for d in objects(raw.get("candidatesTokensDetails")) if d.get("modality") == "IMAGE"]
    return sum(n for d in found if isinstance(n := d.get("tokenCount"), int))


def _is_charged(part: ServerTool) -> bool:
    if part.phase != "call":
        return False
    action = mapping(mapping(part.args).get("action") or part.args).get("type")
    return part.kind != "web_search" or action in (None, "search")


def _told(raw: dict[str, Any], provider: str) -> float | None:
    """The bill that some providers send along (openrouter.ai/docs/use-cases/usage-accounting, docs.x.ai/developers/cost-tracking,
    docs.perplexity.ai)."""
    if provider == "openrouter":
        own = _number(raw.get("cost"))
        if own is not None and raw.get("is_byok"):  # the user's own key pays the host behind
            behind = _number(mapping(raw.get("cost_details")).get("upstream_inference_cost"))
            return None if behind is None else own + behind
        return own
    if provider == "xai":
        ticks = _number(raw.get("cost_in_usd_ticks"))
        return None if ticks is None else ticks / 1e10
    if provider == "perplexity":
        return _number(mapping(raw.get("cost")).get("total_cost"))
    return None


def _number(value: object) -> float | None:
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) and value >= 0 else None
