"""What secrets look like in a text: shapes that are known, and what follows the name of one. Patterns only; pure.

Each takes time in proportion to the text, whatever it is: how far one looks ahead is bounded.

Shapes as the providers and hosts document them, or as their keys have been seen (2026-11).
"""

from __future__ import annotations

import re

#: Keys of providers, clouds and code hosts by their first letters: those of letters and digits alone; those that may hold hyphens,
#: which must have a digit, as names of models and projects seldom have; JSON web tokens; private keys; what follows "Bearer".
KEYS = (
    r"(?<![A-Za-z0-9])(?:"
    r"(?:gsk|hf|r8|fw|npm|gh[oprsu]|jina|ntn|sbp|whsec|shp(?:at|ca|pa|ss)|lin_api|dop_v1|dckr_pat)_[A-Za-z0-9]{16,}"
    r"|sk-(?:proj|ant|or|svcacct|admin)-[A-Za-z0-9_\-]{12,}"
    r"|(?:sk|pk|rk|xai|nvapi|pplx|csk|tgp|sess|lsv2|github_pat|gl(?:pat|dt|rt)|xox[abeprs]|xapp|ya29|tvly|pypi|GOCSPX|hvs)[-_.]"
    r"(?=[A-Za-z_\-.]{0,99}[0-9])[A-Za-z0-9_\-.]{12,}"
    r"|SG\.[A-Za-z0-9_\-]{16,}\.[A-Za-z0-9_\-]{16,}|[0-9]{8,10}:AA[A-Za-z0-9_\-]{32,}|ATATT3[A-Za-z0-9_\-=]{20,}"
    r"|AGE-SECRET-KEY-1[A-Z0-9]{20,}|pa-[A-Za-z0-9_]{30,}|(?:key-|pul-|SK)[0-9a-f]{32,40}(?![A-Za-z0-9])"
    r"|AIza[A-Za-z0-9_\-]{20,}|(?:AKIA|ASIA)[A-Z0-9]{12,}|dapi[0-9a-f]{32}"
    r"|eyJ[A-Za-z0-9_\-]{8,}\.[A-Za-z0-9_\-]{8,}\.[A-Za-z0-9_\-]{4,})"
    r"|-----BEGIN [A-Z ]*PRIVATE KEY-----[^-]*(?:-----END [A-Z ]*PRIVATE KEY-----)?"
    r"|(?<=Bearer )[A-Za-z0-9_\-.=+/~]{8,}"
)

#: The user and password of a URL.
IN_URL = r"(?<=://)[^/\s:@\"]*:[^/\s@\"]+(?=@)"


def _after(names: str, rest: str) -> str:
    """What follows one of the names, in a header, a query or JSON. Each way to write it has a fixed length."""
    signs = ("=", ": ", ":", r"\": \"", r"\":\"", r"': '")
    before = "|".join(f"(?<={name}{sign})" for name in names.split() for sign in signs)
    return rf"(?i:{before})(?=[^\s\"',;&]{{0,99}}\d){rest}"


#: What follows the name of a secret and has a digit in it. These words have other meanings too: for texts that people read, not for
#: data that must come back as it was.
NAMED = "|".join((
    r"(?i:(?<=bearer )|(?<=basic ))(?=[^\s\"]{0,99}\d)[\w.~+/=-]{16,}",
    _after("key token secret authorization credential signature sig", r"[\w.~+/=%-]{16,}"),
    _after("password passwd", r"[^\s\"',;&]{6,}"),
))  # fmt: skip

#: Everything that looks like a secret.
ANY = re.compile(f"{KEYS}|{IN_URL}|{NAMED}")
