"""The conformance kit: what a dialect and a provider row have to do, ours and those of other packages.

    class TestMine(DialectConformance):
        def dialect(self): return MyDialect("mine")
        def samples(self): return [Sample("text", body={...}, stream=b"...")]

`check_dialect` and `check_provider` do the same without pytest. A failure is an `AssertionError` that names the sample.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from .._call import Call
from .._providers import Provider
from ._conform_dialect import (
    CALLS,
    ERRORS,
    ErrorSample,
    Sample,
    check_call,
    check_cuts,
    check_error,
    check_fold,
    check_in_band,
    check_plain,
    check_sent_back,
    check_splits,
    check_unknown,
)
from ._conform_provider import check_address, check_environment, check_row, check_secrets
from ._conform_said import check_said
from ._conform_wire import check_line_ends, check_no_answer, check_no_stream, check_side_by_side, check_words

__all__ = [
    "CALLS",
    "ERRORS",
    "DialectConformance",
    "ErrorSample",
    "ProviderConformance",
    "Sample",
    "check_dialect",
    "check_provider",
]

_SAMPLE_CHECKS: tuple[Callable[[Any, Sample], None], ...] = (
    check_plain,
    check_splits,
    check_fold,
    check_cuts,
    check_unknown,
    check_sent_back,
    check_words,
    check_no_answer,
    check_no_stream,
    check_side_by_side,
    check_line_ends,
)


def check_dialect(
    dialect: Any,
    samples: Iterable[Sample],
    *,
    errors: Iterable[ErrorSample] = ERRORS,
    in_band: Iterable[ErrorSample] = (),
    calls: Iterable[Call] = CALLS,
) -> None:
    """Check a dialect against samples of its traffic: all that `DialectConformance` checks.

    >>> from chatmodels.dialects.ollama import Ollama
    >>> answer = {"model": "m", "message": {"role": "assistant", "content": "Hi"}, "done": True, "done_reason": "stop"}
    >>> check_dialect(Ollama("ollama"), [Sample("text", body=answer)])
    """
    for sample in samples:
        for check in _SAMPLE_CHECKS:
            check(dialect, sample)
    for error in errors:
        check_error(dialect, error)
    for error in in_band:
        check_in_band(dialect, error)
    for call in calls:
        check_call(dialect, call)
    check_said(dialect)


class DialectConformance:
    """A base class for tests with pytest: give `dialect` and `samples`; the rest has defaults."""

    def dialect(self) -> Any:
        """The dialect under test."""
        raise NotImplementedError("give dialect(): the dialect under test")

    def samples(self) -> Sequence[Sample]:
        """Answers of the provider, plain and streamed."""
        raise NotImplementedError("give samples(): recorded answers, plain and streamed")

    def errors(self) -> Sequence[ErrorSample]:
        """HTTP errors, and what they mean."""
        return ERRORS

    def in_band(self) -> Sequence[ErrorSample]:
        """Errors that come inside of a stream that began well; their `body` is the stream."""
        return ()

    def calls(self) -> Sequence[Call]:
        """Calls to encode. One that the format cannot say may raise a `UsageError`."""
        return CALLS

    def _each(self, check: Callable[[Any, Sample], None]) -> None:
        samples = self.samples()
        if not samples:
            raise AssertionError("samples() is empty: nothing is checked")
        for sample in samples:
            check(self.dialect(), sample)

    def test_a_plain_answer_is_a_whole_message(self) -> None:
        self._each(check_plain)

    def test_any_split_of_the_bytes_gives_the_same_events(self) -> None:
        self._each(check_splits)

    def test_the_fold_of_the_stream_is_the_plain_answer(self) -> None:
        self._each(check_fold)

    def test_a_cut_stream_is_never_a_success(self) -> None:
        self._each(check_cuts)

    def test_what_is_not_known_does_no_harm(self) -> None:
        self._each(check_unknown)

    def test_an_answer_can_be_sent_back(self) -> None:
        self._each(check_sent_back)

    def test_http_errors(self) -> None:
        for error in self.errors():
            check_error(self.dialect(), error)

    def test_errors_inside_of_streams(self) -> None:
        for error in self.in_band():
            check_in_band(self.dialect(), error)

    def test_encoding(self) -> None:
        for call in self.calls():
            check_call(self.dialect(), call)

    def test_nothing_that_is_asked_for_is_lost(self) -> None:
        check_said(self.dialect())

    def test_the_words_of_an_answer(self) -> None:
        self._each(check_words)

    def test_bytes_that_are_no_answer(self) -> None:
        self._each(check_no_answer)
        self._each(check_no_stream)

    def test_streams_side_by_side(self) -> None:
        self._each(check_side_by_side)

    def test_other_line_ends(self) -> None:
        self._each(check_line_ends)


def check_provider(row: Provider, **options: Any) -> None:
    """Check a provider row; `options` are keyword arguments that its model needs beside the key (`region=`, ...)."""
    for check in (check_row, check_environment, check_secrets, check_address):
        check(row, options)


class ProviderConformance:
    """A base class for tests with pytest: give `row`, and `options` where its model needs some."""

    def row(self) -> Provider:
        """The row under test."""
        raise NotImplementedError("give row(): the Provider under test")

    def options(self) -> dict[str, Any]:
        """Keyword arguments that its model needs beside the key."""
        return {}

    def test_the_row_is_whole_and_documented(self) -> None:
        check_row(self.row(), self.options())

    def test_the_key_comes_from_the_environment(self) -> None:
        check_environment(self.row(), self.options())

    def test_the_key_shows_nowhere(self) -> None:
        check_secrets(self.row(), self.options())

    def test_another_address(self) -> None:
        check_address(self.row(), self.options())
