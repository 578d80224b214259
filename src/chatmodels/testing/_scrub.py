"""Taking secrets out of what is written to a file: keys by their value, by their look and by their name. Pure text work.

A recording keeps no request header at all, and of the response's headers those listed here.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any
from urllib.parse import parse_qsl, urlencode

from .._json import is_array, is_object
from .._secret_looks import IN_URL, KEYS
from ..dialects._errors import REQUEST_ID_HEADERS

#: What stands where a secret stood.
HIDDEN = "***"

#: Response headers that are kept: those that say something to a client. All others (cookies, account ids) are left out.
KEPT_HEADERS = frozenset((
    "content-type", "retry-after", "retry-after-ms", "x-should-retry", "x-amzn-errortype", "x-amzn-bedrock-invocation-latency",
    "openai-model", "openai-version", "openai-processing-ms", *REQUEST_ID_HEADERS,
))  # fmt: skip
_KEPT_LIMITS = re.compile(r"(x|anthropic)-ratelimit-[a-z0-9-]+")

#: Names of JSON fields and of query parameters whose text is a secret. ("token" alone is a piece of text in log probabilities.)
_NAMES = re.compile(
    r"(?:[\w-]*[-_])?(?:api[-_]?key|authorization|(?:access|refresh|auth|session|security|bot|sas)[-_]?token|"
    r"password|passwd|passphrase|secret|(?:secret|account|private|secret[-_]?access)[-_]?key|access[-_]?key(?:[-_]?id)?|"
    r"connection[-_]?string|cookie|credentials?)|auth|bearer|(?:id|github|gitlab|hf|huggingface|slack|discord|telegram|npm|pypi)[-_]?token",
    re.IGNORECASE,
)
_QUERY_NAMES = re.compile(
    rf"key|sig|token|code|signature|x-amz-(security-token|signature|credential)|{_NAMES.pattern}", re.IGNORECASE
)

#: What keys look like, and passwords in URLs.
_LOOKS = re.compile(
    rf"{KEYS}|{IN_URL}|(?<=bearer )[A-Za-z0-9_\-.=+/~]{{8,}}|(?:(?<=[?&]sig=)|(?<=-Signature=))[A-Za-z0-9%+/=]{{16,}}"
)


class Scrubber:
    """Knows the secrets of one request: their very text is taken out wherever it stands."""

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        found = sorted({s for s in secrets if len(s) >= 6}, key=len, reverse=True)
        known = "|".join(re.escape(s) for s in found)
        self._pattern = re.compile(f"{known}|{_LOOKS.pattern}") if known else _LOOKS

    def text(self, text: str) -> str:
        """The text without secrets."""
        return self._pattern.sub(HIDDEN, text)

    def binary(self, data: bytes) -> bytes:
        """Bytes that are no text, with secrets overwritten in their place."""
        return self._pattern.sub(lambda m: "*" * len(m[0]), data.decode("latin-1")).encode("latin-1")

    def value(self, value: Any) -> Any:
        """JSON data without secrets, in texts and under names of secrets."""
        if isinstance(value, str):
            return self.text(value)
        if is_array(value):
            return [self.value(one) for one in value]
        if is_object(value):
            return {self.text(k): self._field(k, v) for k, v in value.items()}
        return value

    def _field(self, name: str, value: Any) -> Any:
        if isinstance(value, str) and value and _NAMES.fullmatch(name):
            return HIDDEN
        return self.value(value)

    def path(self, path: str) -> str:
        """A path with its query, without secrets."""
        head, mark, query = path.partition("?")
        pairs = [
            (name, HIDDEN if _QUERY_NAMES.fullmatch(name) else self.text(value))
            for name, value in parse_qsl(query, keep_blank_values=True)
        ]
        return self.text(head) + mark + urlencode(pairs, safe="*,:/")

    def headers(self, headers: dict[str, str]) -> dict[str, str]:
        """Those response headers that are kept."""
        return {
            name: self.text(value)
            for name, value in headers.items()
            if name in KEPT_HEADERS or _KEPT_LIMITS.fullmatch(name)
        }

    def pieces(self, pieces: list[str]) -> list[str]:
        """Texts that follow each other, without secrets, also where one is split between two."""
        whole = "".join(pieces)
        spans = [m.span() for m in self._pattern.finditer(whole)]
        if not spans:
            return pieces
        out: list[str] = []
        at = 0
        for piece in pieces:
            out.append(_without(whole, at, at + len(piece), spans))
            at += len(piece)
        return out


def _without(whole: str, begin: int, end: int, spans: list[tuple[int, int]]) -> str:
    """whole[begin:end] with each span taken out, and the mark where it began."""
    out: list[str] = []
    at = begin
    for first, last in spans:
        if last <= begin or first >= end:
            continue
        out.append(whole[at : max(at, first)])
        if first >= begin:
            out.append(HIDDEN)
        at = min(last, end)
    return "".join(out) + whole[at:end]


#: Request headers whose value is a secret, by a word in their name; others count when they look like a key.
_HEADER_NAMES = re.compile(r"auth|key|token|secret|cookie|password|session|credential|signature", re.IGNORECASE)
_HEADER_LOOKS = re.compile(r"(?=\S*[0-9])(?=\S*[A-Za-z])\S{24,}")


def secrets_of(headers: dict[str, str]) -> list[str]:
    """The secret texts in a request's headers."""
    found: list[str] = []
    for name, value in headers.items():
        if _HEADER_NAMES.search(name) or _HEADER_LOOKS.fullmatch(value):
            found += [str(value), *value.split()[1:]]
    return found
