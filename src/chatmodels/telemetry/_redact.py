"""Masks what looks like a key or a password in text that is about to be written down."""

from __future__ import annotations

import re

#: After the name of a secret, in a header, a query or JSON, as each way to write it has a fixed length.
_NAMED = "|".join(
    f"(?<={name}{sign})"
    for name in ("key", "token", "secret", "password")
    for sign in ("=", ": ", ":", r"\": \"", r"\":\"", r"': '")
)

#: Shapes that keys are known by: prefixes of providers and clouds, bearer tokens, JSON Web Tokens, passwords in URLs;
#: and what follows the name of one, as in a header or a query.
_KEYS = re.compile(
    r"\b(?:sk|pk|rk|gsk|xai|hf|nvapi|pplx|r8|fw|csk|tgp|key|ghp|gho|github_pat|glpat|AIza|AKIA|ASIA|xox[abp])[-_]?[\w-]{16,}"
    r"|\beyJ[\w-]{8,}\.[\w-]{8,}\.[\w-]+"
    r"|\bya29\.[\w-]{16,}"
    r"|(?<=Bearer )[\w.~+/=-]{8,}"
    r"|(?i:(?<=bearer )|(?<=basic )|" + _NAMED + r")(?=[^\s\"]*\d)[\w.~+/=-]{16,}"
    r"|(?<=://)[^/\s:@]+:[^/\s@]+(?=@)",
)


def redacted(text: str, most: int = 500) -> str:
    """The text with what looks like a key masked, and not longer than `most` characters."""
    masked = _KEYS.sub("[hidden]", text)
    return masked if len(masked) <= most else masked[:most] + f"... ({len(masked):,} characters)"
