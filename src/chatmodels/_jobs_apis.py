"""Which provider has which batch API: a table. Bedrock's is made for each model (`_config_jobs.py`), as it has a bucket."""

from __future__ import annotations

from ._errors import UsageError
from ._jobs import JobsAPI
from ._jobs_anthropic import AnthropicJobs
from ._jobs_google import GoogleJobs
from ._jobs_mistral import MistralJobs
from ._jobs_openai import OpenAIJobs


def api_of(provider: str) -> JobsAPI:
    """The batch API of a provider; a UsageError names those that have one."""
    found = APIS.get(provider)
    if found is None:
        raise UsageError(
            f"{provider} has no batch API that is known here; {', '.join(APIS)} and bedrock have one",
            argument="model",
            provider=provider,
        )
    return found


_OPENAI = OpenAIJobs()
APIS: dict[str, JobsAPI] = {
    "openai": _OPENAI,
    "openai-responses": _OPENAI,
    "groq": _OPENAI,
    "anthropic": AnthropicJobs(),
    "google": GoogleJobs(),
    "mistral": MistralJobs(),
}
