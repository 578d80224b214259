"""A recorded exchange and its form in a file: bodies as JSON where they are JSON, as lines where they are text, else base64.

Pure: no file, no clock. What is written has been scrubbed before.
"""

from __future__ import annotations

import codecs
import json
from base64 import b64decode, b64encode
from collections.abc import Iterator
from typing import Any

import msgspec

from .._errors import ChatModelError, ConnectError, DeadlineError, IncompleteStream, ProtocolError, TransportError
from ._scrub import Scrubber

VERSION = 1

_ERRORS: dict[str, type[ChatModelError]] = {
    e.__name__: e for e in (TransportError, ConnectError, DeadlineError, ProtocolError, IncompleteStream)
}


class Failure(msgspec.Struct, omit_defaults=True):
    """How an exchange broke: the class of the error, its text, and the phase."""

    error: str
    text: str
    phase: str | None = None

    @classmethod
    def of(cls, error: ChatModelError) -> Failure:
        name = next((c.__name__ for c in type(error).__mro__ if c.__name__ in _ERRORS), "TransportError")
        return cls(name, error.text, getattr(error, "phase", None))

    def raised(self) -> ChatModelError:
        """The error again."""
        made = _ERRORS.get(self.error, TransportError)
        return made(self.text, phase=self.phase) if self.phase and issubclass(made, TransportError) else made(self.text)


class Asked(msgspec.Struct, frozen=True):
    """A request in its normal form: method, path after the base URL, body as data; without secrets."""

    method: str
    path: str
    body: Any

    def shown(self) -> str:
        """As text, for a comparison."""
        return f"{self.method} {self.path}\n" + json.dumps(self.body, indent=2, ensure_ascii=False)


class Recorded(msgspec.Struct):
    """One exchange. `pieces` are (seconds since the request, bytes); a plain answer is one piece. `seconds` is when the head came.

    `left`: the caller went away before the end, or (with `status` 0) before the answer began. `failure`: how it broke.
    """

    asked: Asked
    stream: bool = False
    status: int = 0
    headers: dict[str, str] = {}
    seconds: float = 0.0
    pieces: list[tuple[float, bytes]] = []
    left: bool = False
    failure: Failure | None = None

    @property
    def answered(self) -> bool:
        """Is there anything to replay?"""
        return bool(self.status) or self.left or self.failure is not None


# ---- bytes and data


def form_of(body: bytes) -> dict[str, Any]:
    """{"json": data}, {"text": lines}, {"base64": text} or {}: whichever says the body whole."""
    if not body:
        return {}
    try:
        data = json.loads(body)
        json.dumps(data, allow_nan=False, ensure_ascii=False).encode()
    except (ValueError, RecursionError):
        return _text_form(body)
    return {"json": data} if isinstance(data, (dict, list)) else _text_form(body)


def _text_form(body: bytes) -> dict[str, Any]:
    try:
        return {"text": body.decode().split("\n")}
    except UnicodeDecodeError:
        return {"base64": b64encode(body).decode()}


def bytes_of(form: dict[str, Any]) -> bytes:
    """The bytes of `form_of`."""
    if "json" in form:
        return json.dumps(form["json"], ensure_ascii=False, separators=(",", ":")).encode()
    if "text" in form:
        return "\n".join(form["text"]).encode()
    return b64decode(form.get("base64", ""))


def clean_form(body: bytes, scrubber: Scrubber) -> dict[str, Any]:
    """`form_of` without secrets."""
    form = form_of(body)
    if "json" in form:
        return {"json": scrubber.value(form["json"])}
    if "text" in form:
        return {"text": scrubber.text("\n".join(form["text"])).split("\n")}
    return form_of(scrubber.binary(body))


def clean_pieces(pieces: list[tuple[float, bytes]], scrubber: Scrubber) -> list[tuple[float, bytes]]:
    """The pieces of a stream without secrets. Characters stay whole, so that text stays readable."""
    found_texts = _texts([data for _, data in pieces])
    if found_texts is None:
        return [(at, scrubber.binary(data)) for at, data in pieces]
    texts, rest = found_texts
    clean = scrubber.pieces(texts)
    times = [at for at, _ in pieces]
    found = [(at, text.encode()) for at, text in zip(times, clean, strict=True)]
    return [*found, (times[-1], rest)] if rest else found


def _texts(pieces: list[bytes]) -> tuple[list[str], bytes] | None:
    """The pieces as text, and the bytes of a character that never ended; None where it is no text."""
    decoder = codecs.getincrementaldecoder("utf-8")()
    try:
        texts = [decoder.decode(data) for data in pieces]
    except UnicodeDecodeError:
        return None
    return texts, decoder.getstate()[0]


# ---- the file


def to_file(recorded: list[Recorded]) -> str:
    """The text of a file with these exchanges."""
    data = {"chatmodels": VERSION, "exchanges": [_written(one) for one in recorded]}
    return json.dumps(data, indent=2, ensure_ascii=False) + "\n"


def _written(one: Recorded) -> dict[str, Any]:
    request: dict[str, Any] = {"method": one.asked.method, "path": one.asked.path, "body": one.asked.body}
    response: dict[str, Any] = {"seconds": round(one.seconds, 4)}
    if one.status:
        response = {"status": one.status, "headers": one.headers, **response}
    if one.stream:
        response["stream"] = [{"at": round(at, 4), **_text_form(data)} for at, data in one.pieces]
    elif one.pieces:
        response["body"] = form_of(one.pieces[0][1])
    if one.left:
        response["left"] = True
    if one.failure is not None:
        response["failure"] = msgspec.to_builtins(one.failure)
    return {"request": request, "response": response}


def from_file(text: str) -> Iterator[Recorded]:
    """The exchanges of a file; a ValueError (or KeyError, TypeError) where it is none."""
    data = json.loads(text)
    if data["chatmodels"] != VERSION:
        raise ValueError(f"version {data['chatmodels']!r}; this release reads {VERSION}")
    for one in data["exchanges"]:
        yield _read(one["request"], one["response"])


def _read(request: dict[str, Any], response: dict[str, Any]) -> Recorded:
    stream = "stream" in response
    seconds = float(response.get("seconds", 0.0))
    if stream:
        pieces = [(float(p["at"]), bytes_of(p)) for p in response["stream"]]
    else:
        pieces = [(seconds, bytes_of(response["body"]))] if "body" in response else []
    failure = response.get("failure")
    return Recorded(
        asked=Asked(request["method"], request["path"], request["body"]),
        stream=stream,
        status=int(response.get("status", 0)),
        headers=dict(response.get("headers", {})),
        seconds=seconds,
        pieces=pieces,
        left=bool(response.get("left")),
        failure=None if failure is None else msgspec.convert(failure, Failure),
    )
