"""What an image takes in tokens: its size from the first bytes of PNG, JPEG, GIF and WebP, and each provider's rule. Pure.

Rules, from the providers' pages on images (2026-11): OpenAI counts tiles of 512 pixels, Anthropic pixels, Google tiles of 768.
"""

from __future__ import annotations

from math import ceil

from ._parts import Image

#: An image of unknown size, or of a provider whose rule is not known.
UNKNOWN = 800

Size = tuple[int, int]


def image_tokens(image: Image, provider: str) -> int:
    """Tokens of an image for a provider; `UNKNOWN` where its size or the rule is not known."""
    if image.detail == "low" and provider.startswith(("openai", "azure")):
        return 85
    size = size_of(bytes(image.data)) if image.data is not None else None
    if size is None or 0 in size:
        return UNKNOWN
    if provider.startswith(("openai", "azure")):
        return _tiles(size)
    if provider.startswith("anthropic"):
        return _pixels(size)
    if provider in ("google", "vertex"):
        width, height = size
        return 258 if max(size) <= 384 else 258 * ceil(width / 768) * ceil(height / 768)
    return UNKNOWN


def _tiles(size: Size) -> int:
    """Fitted into 2048 by 2048, then its shorter side to 768; 85 and 170 a tile."""
    width, height = size
    scale = min(1.0, 2048 / max(size))
    scale *= min(1.0, 768 / (min(size) * scale))
    return 85 + 170 * ceil(width * scale / 512) * ceil(height * scale / 512)


def _pixels(size: Size) -> int:
    """Its longer side to 1568, then a token for 750 pixels, 1600 at most."""
    width, height = size
    scale = min(1.0, 1568 / max(size))
    return min(1600, ceil(width * scale * height * scale / 750))


def size_of(data: bytes) -> Size | None:
    """(width, height) in pixels, or None where the bytes do not say it."""
    if data[:8] == b"\x89PNG\r\n\x1a\n" and len(data) >= 24:
        return int.from_bytes(data[16:20], "big"), int.from_bytes(data[20:24], "big")
    if data[:6] in (b"GIF87a", b"GIF89a") and len(data) >= 10:
        return int.from_bytes(data[6:8], "little"), int.from_bytes(data[8:10], "little")
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return _webp(data)
    return _jpeg(data) if data[:2] == b"\xff\xd8" else None


def _webp(data: bytes) -> Size | None:
    kind = data[12:16]
    if kind == b"VP8X" and len(data) >= 30:
        return 1 + int.from_bytes(data[24:27], "little"), 1 + int.from_bytes(data[27:30], "little")
    if kind == b"VP8L" and len(data) >= 25:
        bits = int.from_bytes(data[21:25], "little")
        return 1 + (bits & 0x3FFF), 1 + (bits >> 14 & 0x3FFF)
    if kind == b"VP8 " and len(data) >= 30:
        return int.from_bytes(data[26:28], "little") & 0x3FFF, int.from_bytes(data[28:30], "little") & 0x3FFF
    return None


def _jpeg(data: bytes) -> Size | None:
    """The size stands in the frame's header, behind other segments."""
    at = 2
    while at + 9 <= len(data) and data[at] == 0xFF:
        marker = data[at + 1]
        if 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC):
            return int.from_bytes(data[at + 7 : at + 9], "big"), int.from_bytes(data[at + 5 : at + 7], "big")
        at += 2 + int.from_bytes(data[at + 2 : at + 4], "big")
    return None
