"""The type of media from its first bytes, for where the caller does not name it. Pure."""

from __future__ import annotations

_HEADS: tuple[tuple[bytes, str], ...] = (
    (b"\x89PNG\r\n\x1a\n", "image/png"),
    (b"\xff\xd8\xff", "image/jpeg"),
    (b"GIF87a", "image/gif"),
    (b"GIF89a", "image/gif"),
    (b"%PDF", "application/pdf"),
    (b"\x1aE\xdf\xa3", "video/webm"),
    (b"ID3", "audio/mpeg"),
    (b"fLaC", "audio/flac"),
    (b"OggS", "audio/ogg"),
)


def media_type(data: bytes, given: str | None) -> str | None:
    """The type that is given, in lower case and without parameters; else what the bytes say; None when they
    do not.
    """
    if given:
        return given.split(";")[0].strip().lower()
    for head, kind in _HEADS:
        if data.startswith(head):
            return kind
    if data[:4] == b"RIFF":
        return {b"WEBP": "image/webp", b"WAVE": "audio/wav"}.get(bytes(data[8:12]))
    return "video/mp4" if data[4:8] == b"ftyp" else None
