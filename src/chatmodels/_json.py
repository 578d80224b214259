"""JSON in and out, strict on our side and forgiving on the provider's. Knows nothing of messages.

msgspec does the work. What it refuses but providers send (NaN, escaped lone surrogates, control characters
inside strings) is read by the standard library instead, which takes longer and only then.
"""

from __future__ import annotations

import json
from typing import Any, TypeGuard, TypeVar

import msgspec

from ._errors import ProtocolError

T = TypeVar("T")

encode = msgspec.json.encode
_decode = msgspec.json.Decoder().decode


def loads(data: bytes | str) -> Any:
    """Decode JSON; raises ValueError (`msgspec.DecodeError` is one) when even the lenient reading fails."""
    try:
        return _decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return _lenient(data)


def _lenient(data: bytes | str) -> Any:
    text = data if isinstance(data, str) else data.decode("utf-8", "replace")
    text = text.removeprefix("\ufeff")
    try:
        return json.loads(text, strict=False)
    except RecursionError as error:
        raise ValueError("nested too deeply") from error


def decode_as(decoder: msgspec.json.Decoder[T], data: bytes | str, what: str, *, whole: bool = False) -> T:
    """Decode into the decoder's type; a `ProtocolError` names the JSON path and keeps the bytes.

    `whole` says that no other half of an emoji can follow, as it can in a stream: lone ones are then mended.
    """
    try:
        return decoder.decode(data)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return _second_try(decoder, data, what, whole)


def _second_try(decoder: msgspec.json.Decoder[T], data: bytes | str, what: str, whole: bool) -> T:
    try:
        value = _lenient(data)
        return msgspec.convert(mend_all(value) if whole else value, decoder.type)
    except msgspec.ValidationError as error:
        raise ProtocolError(f"{what}: {error}", path=_path(error), data=data) from error
    except ValueError as error:
        raise ProtocolError(f"{what} is not JSON: {error}; it begins {shown(data)}", data=data) from error


def shown(data: bytes | str) -> str:
    """How the bytes begin, for the text of an error."""
    return repr(data[:80].decode("utf-8", "replace") if isinstance(data, bytes) else data[:80])


def _path(error: Exception) -> str | None:
    _, found, path = str(error).partition(" - at `")
    return path.rstrip("`") if found else None


def mend(text: str) -> str:
    """The text with surrogate halves joined (an emoji split over two chunks), lone ones replaced by U+FFFD."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return text


def mend_all(value: Any) -> Any:
    """A JSON value whose texts are all mended."""
    if isinstance(value, str):
        return mend(value)
    if is_array(value):
        return [mend_all(v) for v in value]
    return {mend(k): mend_all(v) for k, v in value.items()} if is_object(value) else value


def dumps_text(value: Any) -> str:
    """Compact JSON text in the value's own key order, for places where a string of JSON is wanted."""
    return encode(value).decode()


def is_object(value: object) -> TypeGuard[dict[str, Any]]:
    """Whether a JSON value is an object."""
    return isinstance(value, dict)


def is_array(value: object) -> TypeGuard[list[Any]]:
    """Whether a JSON value is an array."""
    return isinstance(value, list)


def is_sequence(value: object) -> TypeGuard[list[Any] | tuple[Any, ...]]:
    """Whether a value is a list or a tuple."""
    return isinstance(value, (list, tuple))


def objects(value: object) -> list[dict[str, Any]]:
    """The objects in a JSON array; anything else as an empty list."""
    return [item for item in value if is_object(item)] if is_array(value) else []


def mapping(value: object) -> dict[str, Any]:
    """An object as it is; anything else as an empty one."""
    return value if is_object(value) else {}


def string(value: object) -> str | None:
    """A str as it is; anything else as None."""
    return value if isinstance(value, str) else None
