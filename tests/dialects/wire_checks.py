"""One dialect against all its recorded traffic: every answer and stream as the independent oracle reads it, every error
raised, every cut stream raised, every recorded request parsed and encoded again to the same meaning.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from chatmodels._errors import ChatModelError, IncompleteStream
from chatmodels._fold import fold
from chatmodels._inputs import from_json

from .wire_records import events, load, pieces, read, records, response


class Recorded:
    """The records of one format, with what the oracle says of each."""

    def __init__(self, api: str, dialect: Any, unread: dict[str, str] | None = None) -> None:
        self.api = api
        self.dialect = dialect
        self.oracle = load("oracle")
        self.score = load("score")
        #: Records of which the oracle's reading is not right, and why.
        self.unread = unread or {}
        self.records = records(api)

    def of(self, kind: str) -> list[tuple[dict[str, Any], bytes, dict[str, Any]]]:
        found: list[tuple[dict[str, Any], bytes, dict[str, Any]]] = []
        for record in self.records:
            expected = self.oracle.expected(record)
            if self.score.kind_of(record, expected) == kind and record["id"] not in self.unread:
                found.append((record, self.oracle.body_bytes(record), expected))
        assert found
        return found

    def wrong(self, message: Any, expected: dict[str, Any]) -> list[str]:
        marks = self.score.compare(read(message), expected, self.api)
        return [name for name, right in marks.items() if not right]

    def check_answers(self) -> None:
        for record, data, expected in self.of("json"):
            message = self.dialect.decode(response(record, data))
            assert self.wrong(message, expected) == [], record["id"]
            assert from_json(message.to_json()) == message, record["id"]

    def check_streams(self) -> None:
        for record, data, expected in self.of("stream"):
            whole = events(self.dialect, [data])
            assert self.wrong(fold(whole), expected) == [], record["id"]
            assert events(self.dialect, pieces(data, 7)) == whole, record["id"]
            if len(data) < 8_000:
                assert events(self.dialect, pieces(data, 1)) == whole, record["id"]

    def check_cuts(self) -> None:
        for record, data, _ in self.of("stream"):
            for boundary in (False, True):
                at = self.score.cut_point(record, boundary)
                if at:
                    with pytest.raises(IncompleteStream):
                        events(self.dialect, [data[:at]])

    def check_errors(self) -> None:
        for record, data, expected in self.of("error"):
            error = self._error(record, data)
            assert record["status"] < 400 or error.status == record["status"], record["id"]
            said = self.score.all_text(error)
            wanted = [(expected["error"] or {}).get("message"), *expected["accept"].get("error", [])]
            assert any(self.score.has_message(said, message) for message in wanted), record["id"]

    def _error(self, record: dict[str, Any], data: bytes) -> Any:
        if record["status"] >= 400:
            return self.dialect.decode_error(response(record, data))
        with pytest.raises(ChatModelError) as raised:
            self._read(record, data)
        return raised.value

    def _read(self, record: dict[str, Any], data: bytes) -> Any:
        if record["stream"]:
            return events(self.dialect, [data])
        return self.dialect.decode(response(record, data))

    def check_requests(self, normal: Callable[[Any], Any], not_kept: dict[str, str], least: int) -> None:
        """`normal` takes away differences of spelling; `not_kept` names the requests that change, and why."""
        seen = 0
        for record in self.records:
            body = (record["request"] or {}).get("body")
            if not isinstance(body, dict) or set(body) == {"b64"}:
                continue
            seen += 1
            request = self.dialect.encode(self.dialect.decode_request(body, record["request"]["path"]))
            again = json.loads(request.body)
            if record["id"] not in not_kept:
                assert normal(again) == normal(body), record["id"]
                assert request.warnings == (), record["id"]
            twice = self.dialect.encode(self.dialect.decode_request(again))
            assert twice.body == request.body, record["id"]
        assert seen > least


def without_nulls(value: Any) -> Any:
    """A null says no more than a missing field."""
    if isinstance(value, dict):
        return {k: without_nulls(v) for k, v in value.items() if v is not None}
    return [without_nulls(v) for v in value] if isinstance(value, list) else value
