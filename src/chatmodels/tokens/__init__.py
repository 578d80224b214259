"""Tokens before they are sent: exact where a vocabulary is at hand, the provider's count where asked for, else an estimate.

>>> count_tokens("I love programming.").how
'estimate'
"""

from __future__ import annotations

from .._estimate import estimate_text, estimate_tokens
from ._count import TokenCount, acount_tokens, count_call, count_tokens
from ._vocabulary import encoding_name, text_tokens

__all__ = [
    "TokenCount",
    "acount_tokens",
    "count_call",
    "count_tokens",
    "encoding_name",
    "estimate_text",
    "estimate_tokens",
    "text_tokens",
]
