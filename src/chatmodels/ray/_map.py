"""A model over the rows of a Ray dataset: each actor holds one, with its connections or its engine, and answers block by block."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, TypeAlias, cast

from .._batch import as_completed
from .._cache_key import question_of
from .._call import Call
from .._calls import call_flow
from .._checks import whole
from .._errors import ChatModelError, UsageError
from .._flow import Flow
from .._json import dumps_text, is_array, is_object
from .._messages import AIMessage
from .._model import ChatModel
from .._output import Output
from .._outputs import data_of, output_flow
from .._typed import OutputModel
from ..batch._faults import FATAL
from ..batch._run import _asked
from ._fit import fitted
from ._journal import BlockJournal, journal_of
from ._library import library
from ._limiter import RayLimiter

#: The columns that are added beside the answer's text, each named after it: `answer_error` and so on.
FIELDS = ("error", "finish_reason", "input_tokens", "output_tokens", "model", "message")


def map_messages(
    dataset: Any,
    model: ChatModel | OutputModel[Any] | str | Callable[[], ChatModel | OutputModel[Any]],
    *,
    column: str = "messages",
    output: str = "answer",
    settings: dict[str, Any] | None = None,
    max_concurrency: int = 32,
    batch_size: int = 256,
    workers: int | tuple[int, int] = 2,
    journal: str | Path | None = None,
    limiter: RayLimiter | None = None,
    errors: str = "return",
    **ray_options: Any,
) -> Any:
    """The dataset with the model's answers as new columns: a lazy `ray.data.Dataset`.

    `column` holds texts, messages (`{"role": ..., "content": ...}`) or lists of these. New columns, for `output="answer"`: `answer`
    (text, None where the call failed), `answer_error`, `answer_finish_reason`, `answer_input_tokens`, `answer_output_tokens`,
    `answer_model` and `answer_message` (the whole message as JSON). `model`: a model, its name, or a function that makes it in each
    worker; a model travels without its key, which the worker reads from its own environment. With a model of typed answers
    (`model.with_output(Invoice)`) there is `answer_output` too, the value as JSON. Each of `workers` actors (or from, to) has
    `max_concurrency` calls under way. `journal`: a folder that all workers see; answers are written there as they come, and a block
    whose worker was lost, or that a second run meets again, calls only what is missing (with the same `batch_size`). `limiter`
    holds for all workers together. `errors="return"`: a failed row has its error in its column ("record" is an older name for it);
    `errors="raise"` fails the block when all its calls have ended. A wrong key, an unknown model and an empty account fail it at
    once in either case, for every row would fail the same way. Further options (`num_cpus`, `num_gpus`, ...) go to
    `Dataset.map_batches`; an embedded engine (`ChatLocal`) uses `num_cpus` threads.
    """
    if errors not in ("return", "record", "raise"):
        raise UsageError(f"errors is 'return' or 'raise', not {errors!r}", argument="errors")
    whole("max_concurrency", max_concurrency)
    whole("batch_size", batch_size)
    library("ray.data")
    given = {
        "answers": Answers.of(model, settings, max_concurrency, limiter),
        "column": column,
        "output": output,
        "journal": None if journal is None else str(Path(journal).absolute()),
        "errors": errors,
    }
    options = {"batch_size": batch_size, "batch_format": "pyarrow", **_pool(workers), **ray_options}
    return dataset.map_batches(Worker, fn_constructor_kwargs=given, **options)


def _pool(workers: int | tuple[int, int]) -> dict[str, Any]:
    """So many actors, in the words of this Ray: from 2.51 on it warns of the older ones."""
    if tuple(int(part) for part in library().__version__.split(".")[:2]) < (2, 51):
        return {"concurrency": workers}
    least, most = (workers, workers) if isinstance(workers, int) else workers
    return {"compute": library("ray.data").ActorPoolStrategy(min_size=least, max_size=most)}


Given: TypeAlias = "ChatModel | OutputModel[Any] | Callable[[], ChatModel | OutputModel[Any]]"


class Answers:
    """A model in a worker: what rows ask, and the records of their answers."""

    def __init__(self, model: Given, settings: dict[str, Any], limit: int, limiter: RayLimiter | None) -> None:
        self._given, self._settings, self._limit, self._limiter = model, settings, limit, limiter
        self._made: tuple[ChatModel, int] | None = None

    @classmethod
    def of(
        cls, model: Any, settings: dict[str, Any] | None, max_concurrency: int, limiter: RayLimiter | None
    ) -> Answers:
        """From what the user gave; wrong settings are an error here and now. The limiter's actor is started."""
        made: Any = ChatModel(model) if isinstance(model, str) else model
        if isinstance(made, (ChatModel, OutputModel)):
            asked: ChatModel = _asked(cast(Any, made))[0]
            asked._call("check", None, dict(settings or {}))
        elif not callable(made):
            raise UsageError(
                f"model is a ChatModel, its name, or a function that makes one, not {type(made).__name__}",
                argument="model",
            )
        if limiter is not None:
            limiter.start()
        return cls(cast(Given, made), settings or {}, max_concurrency, limiter)

    def _ready(self) -> tuple[ChatModel, int]:
        """The model, made at its first use in this worker; and how often it asks for an answer that fits its output type."""
        if self._made is None:
            typed = isinstance(self._given, (ChatModel, OutputModel))
            model, attempts = _asked(cast(Any, self._given if typed else cast(Any, self._given)()))
            model = fitted(model)
            self._made = model if self._limiter is None else model.with_layer(self._limiter.layer()), attempts
        return self._made

    @property
    def model(self) -> ChatModel:
        """The model in this worker."""
        return self._ready()[0]

    @property
    def fields(self) -> tuple[str, ...]:
        """What a record has."""
        return (*FIELDS, "output") if self.model._config.output is not None else FIELDS

    def __reduce__(self) -> Any:
        return Answers, (self._given, self._settings, self._limit, self._limiter)

    def records(self, values: list[Any], journal: Callable[[list[str]], BlockJournal] | None) -> list[dict[str, Any]]:
        """The record of each value: from the journal, else by calling. What is the same is called once."""
        calls = [self._call(value) for value in values]
        plan = self.model._own_plan()
        keys = [f"wrong: {c}" if isinstance(c, ChatModelError) else question_of(plan, c).key for c in calls]
        wanted = dict(zip(keys, calls, strict=True))
        if journal is None:
            done: dict[str, dict[str, Any]] = {}
            self._run(wanted, done.__setitem__)
            return [done[key] for key in keys]
        with journal(keys) as book:
            missing = {k: c for k, c in wanted.items() if k not in book.done or book.done[k]["error"] is not None}
            self._run(missing, book.add)
            return [book.done[key] for key in keys]

    def _call(self, value: Any) -> Call | ChatModelError:
        try:
            some = [value] if is_object(value) else value
            given = [_without_nulls(m) for m in some] if is_array(some) else some
            return self.model._call(given, None, dict(self._settings))
        except ChatModelError as error:
            return error

    def _run(self, calls: dict[str, Call | ChatModelError], keep: Callable[[str, dict[str, Any]], None]) -> None:
        keys: list[str] = []
        asked: list[Call] = []
        for key, call in calls.items():
            if isinstance(call, ChatModelError):
                keep(key, _record(call, None))
            else:
                keys.append(key)
                asked.append(call)
        for index, result in as_completed(asked, self._answer, self._limit):
            if isinstance(
                result, FATAL
            ):  # every further row would fail the same way: leaving the loop ends what is under way
                raise result
            keep(keys[index], _record(result, asked[index].output))

    def _answer(self, call: Call) -> Flow[AIMessage]:
        model, attempts = self._ready()
        if call.output is None:
            return (yield from call_flow(model._plan(), call))
        return (yield from output_flow(model._plan(), call, call.output, attempts)).message


class Worker:
    """What an actor of the pool holds. It is called with one block of rows after the other."""

    def __init__(self, *, answers: Answers, column: str, output: str, journal: str | None, errors: str) -> None:
        self._answers, self._column, self._output, self._journal, self._errors = (
            answers,
            column,
            output,
            journal,
            errors,
        )

    def __call__(self, table: Any) -> Any:
        """The table with the new columns."""
        if self._column not in table.column_names:
            raise UsageError(f"there is no column {self._column!r}; there are {table.column_names}", argument="column")
        journal = None if self._journal is None else partial(journal_of, self._journal)
        records = self._answers.records(table.column(self._column).to_pylist(), journal)
        if self._errors == "raise":
            _raise_first(records)
        return self._with_columns(table, records)

    def _with_columns(self, table: Any, records: list[dict[str, Any]]) -> Any:
        arrow = library("pyarrow")
        types = {"input_tokens": arrow.int64(), "output_tokens": arrow.int64()}
        for field in ("text", *self._answers.fields):
            name = column_of(self._output, field)
            values = arrow.array([record.get(field) for record in records], type=types.get(field, arrow.string()))
            if name in table.column_names:
                table = table.drop_columns([name])
            table = table.append_column(name, values)
        return table


def column_of(output: str, field: str) -> str:
    """The name of a record's field as a column."""
    return output if field == "text" else f"{output}_{field}"


def _record(result: AIMessage | Exception, wanted: Output[Any] | None) -> dict[str, Any]:
    if isinstance(result, Exception):
        partial = getattr(result, "partial", None)
        return {**dict.fromkeys(("text", *FIELDS)), "error": f"{type(result).__name__}: {result}",
                "message": None if partial is None else partial.to_json()}  # fmt: skip
    usage = result.usage
    found = {
        "text": result.text,
        "error": None,
        "finish_reason": result.finish_reason,
        "input_tokens": None if usage is None else usage.input_tokens,
        "output_tokens": None if usage is None else usage.output_tokens,
        "model": result.model,
        "message": result.to_json(),
    }
    return found if wanted is None else {**found, "output": dumps_text(data_of(wanted, result))}


def _raise_first(records: list[dict[str, Any]]) -> None:
    failed = [r["error"] for r in records if r["error"] is not None]
    if failed:
        raise ChatModelError(f"{len(failed)} of {len(records)} rows failed; the first: {failed[0]}")


def _without_nulls(message: Any) -> Any:
    """A message of a table, in which fields that other rows have stand as null."""
    return {k: v for k, v in message.items() if v is not None} if is_object(message) else message
