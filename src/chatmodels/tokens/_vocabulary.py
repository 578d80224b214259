"""Vocabularies inside a wheel: which model uses which, and the exact count of a text. Never reaches for the network."""

from __future__ import annotations

import warnings
from functools import lru_cache
from importlib import import_module
from typing import Any

#: Beginnings of model names -> the vocabulary. The first match holds.
_VOCABULARIES: tuple[tuple[tuple[str, ...], str], ...] = (
    (("gpt-4o", "gpt-4.1", "gpt-4.5", "gpt-5", "chatgpt-4o", "o1", "o3", "o4"), "o200k_base"),
    (("gpt-4", "gpt-3.5", "gpt-35"), "cl100k_base"),
)
#: Providers whose model names mean OpenAI's models.
_OF_OPENAI = ("openai", "openai-responses", "azure", "azure-responses", "github", "openrouter", "")


def encoding_name(model: str, provider: str = "") -> str | None:
    """The vocabulary of a model ("o200k_base"), or None where no public one is known."""
    if provider not in _OF_OPENAI:
        return None
    name = model.removeprefix("openai/").removeprefix("openai:").removeprefix("ft:").lower()
    return next((v for heads, v in _VOCABULARIES if name.startswith(heads)), None)


def text_tokens(text: str, encoding: str) -> int | None:
    """The exact number of tokens of a text; None when the extra `tokens` is not installed."""
    found = _encoding(encoding)
    return None if found is None else len(found.encode_ordinary(text))


@lru_cache
def _encoding(name: str) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # the wheel reads its data in an old way
        try:
            return import_module("bpe_openai").get_encoding(name)
        except ImportError:
            return None
