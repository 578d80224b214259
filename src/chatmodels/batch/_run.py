"""`run_batch` and its kin: arguments are checked, files are opened, and the run is driven, from sync code or in an event loop."""

from __future__ import annotations

import os
import queue
import sys
from collections.abc import AsyncGenerator, Callable, Generator, Iterator
from contextlib import ExitStack, suppress
from pathlib import Path
from time import monotonic
from typing import Any, BinaryIO, cast

from .._async import mailbox, soon, spawn
from .._batch import _MORE, _Fed, _give_some, _iterable, _source
from .._batch import checked as checked_limit
from .._cache_key import question_of
from .._errors import UsageError
from .._portal import portal
from ._asked import asked_of
from ._corrected import Corrected
from ._engine import Run
from ._entries import Entries
from ._filled import prompt_of
from ._gate import Gate, GateLayer
from ._items import count_of, items_in, other_than
from ._journal import Journal
from ._metrics import metrics_of
from ._options import Options
from ._output import File, Nowhere, Output, Stream, Taken, check_path
from ._prices import price_of
from ._progress import Progress, has_room
from ._progress import checked as checked_progress
from ._provider import ProviderRun
from ._record import BatchRecord
from ._tally import BatchSummary, Tally
from ._via import opened, via_of
from ._words import counted

Out = Any
#: More than any batch has: with a provider's jobs all that has begun may have been sent.
_ALL = 1 << 40


class Batch:
    """One batch, opened: what all ways of running it share."""

    def __init__(
        self, model: Any, items: Any, check: Callable[[Any], Any], *, out: Out = None, journal: Any = None, ordered: bool = False,
        max_concurrency: int = 50, progress: bool = False, report: Any = None, max_cost: float | None = None,
        max_tokens: int | None = None, prices: Any = None, retry_failed: bool = False, patience: float = 300.0,
        stop_after: int | None = 100, adaptive: bool = True, system: str | None = None, format: str | None = None,
        metrics: Any = None, via: str | None = None, within: float | None = None, job_size: int | None = None,
        max_jobs: int | None = None, poll: float | None = None, take: Callable[[BatchRecord], object] | None = None,
        group_prefixes: bool = True, s3: str | None = None, role_arn: str | None = None, prompt: Any = None,
    ) -> None:  # fmt: skip
        self.began = monotonic()
        checked_limit(max_concurrency)
        _check_caps(max_cost=max_cost, max_tokens=max_tokens, patience=patience, stop_after=stop_after)
        self.report = _report_path(report)
        checked_progress(progress)
        model, attempts = _asked(model)
        jobs = {
            "within": within, "job_size": job_size, "max_jobs": max_jobs, "poll": poll, "prices": prices, "s3": s3,
            "role_arn": role_arn,
        }  # fmt: skip
        via_of(model, via, under_way=False, **jobs)
        price = price_of(model, prices, needed=max_cost is not None)
        other_than(items, out)
        if _is_file(out):
            check_path(Path(out))
        asked = prompt_of(prompt)
        self.source = check(items_in(items, format, asked))
        tally = Tally(count_of(items) if progress or metrics else None)
        tally.metrics = metrics_of(metrics, model.provider, model.model)
        self.label = f"{model.provider}:{model.model}"
        path = _journal_path(journal, out)
        self.journal = None if path is None else _journal(path, self.label, model, system)
        with ExitStack() as files:
            again = Corrected(None)
            if self.journal is not None:
                files.callback(self.journal.close)
                again = Corrected(self.journal, everything=retry_failed)
                again.look(lambda: items_in(items, format, asked), items, Entries(model, system))
            self.via, self.book, self.again = opened(self.journal, model, via, **jobs)
            self.output = _output(out, self.journal, ordered=ordered, anew=bool(again), take=take)
            files.callback(self.output.close)
            again.forget()
            self.again = tuple(at for at in self.again if not self.output.has(at))  # the journal has it from there
            if tally.metrics is not None:
                tally.metrics.start()
            files.pop_all()  # they stay open: all went well
        self.last = -1 if self.journal is None else self.journal.last
        self.gate = Gate(max_concurrency, adaptive=adaptive)
        self.progress = Progress(progress, bar=has_room(out))
        self.options = Options(
            ordered=ordered, max_concurrency=max_concurrency, max_cost=max_cost, max_tokens=max_tokens, price=price,
            patience=patience, stop_after=stop_after, system=system, attempts=attempts,
            group_prefixes=group_prefixes,
        )  # fmt: skip
        self.flying: int | None = None
        if self.journal is not None:
            flying = self.journal.flying(_ALL if self.via is not None else max_concurrency + self.options.unsafe)
            self.flying = flying if self.via is None else None
        self.own_plan = model._own_plan()
        self.model = model.with_layer(GateLayer(self.gate))
        self.tally = tally

    def run(self, source: Any) -> Run:
        parts = (self.model, source, self.journal, self.output, self.gate, self.tally, self.progress, self.options)
        if self.via is None or self.book is None:
            return Run(*parts)
        return ProviderRun(*parts, via=self.via, book=self.book, own_plan=self.own_plan, again=self.again)

    def ended(self, run: Run) -> BatchSummary:
        """The summary; the report, where one is asked for. Raises where the journal has more items than the input had."""
        self.tally.in_flight = 0
        self.progress.end(self.tally)
        facts = {"again": self.again, **run.facts()}
        facts["again_most"] = len(facts["again"]) if self.flying is None else min(self.flying, len(facts["again"]))
        summary = self.tally.summary(
            run.read, seconds=monotonic() - self.began, stopped=run.stopped, reason=run.reason,
            cost_omits=tuple(getattr(self.options.price, "omitted", ())), **facts,
        )  # fmt: skip
        if self.report is not None:
            from ._report import write

            write(self.report, self.label, summary, self.tally)
        if run.stopped is None and self.last >= run.read:
            raise UsageError(
                f"the input has {counted(run.read, 'item')}, and the journal knows {self.last + 1}: it is shorter than it was",
                argument="items",
            )
        return summary


def run_batch(model: Any, items: Any, **options: Any) -> BatchSummary:
    """Ask a model about every item, however many; nothing is lost, and nothing is paid for twice. Returns a `BatchSummary`.

    `model`: a `ChatModel`, its name, or what `with_output` gives (then `record.output` has the value). `items`: any iterable of
    inputs or of dicts (`id`, one of `messages`, `prompt` and `input`, `settings`, `metadata`), or the path of a file of JSON lines,
    CSV or Parquet, or "-" for standard input; read as it is needed.

    - `out`: a path, to which each item's `BatchRecord` goes as a line of JSON; an open binary file; or a function of records.
    - `journal`: a path; with `out` a path it is that and ".journal" unless you say otherwise, False is none. After any crash the
      same call goes on where it was.
    - `ordered`: lines in the items' order, else as they end. `max_concurrency`: calls in flight (`adaptive`: fewer while the
      provider refuses, or its rate-limit headers say that little is left). `group_prefixes`: items that begin with the same long
      text (1,024 tokens) go near each other, so that prompt caches hit.
      `system`: a system message for each item. `format`: of the file, where its name does not say. `prompt`: a text such as
      "Classify: {text}", or a `ChatPromptTemplate`, to be filled with each item's fields, which come back as its metadata.
    - `max_cost` (US dollars), `max_tokens`: no more calls when so much is spent, over all runs of the journal.
      `prices`: a `chatmodels.prices.Prices` table, or a function from an answer to its cost; else the data of genai-prices.
    - `retry_failed`: ask again what failed in earlier runs; the output is written anew.
    - `patience`: the batch stops when for so many seconds nothing was answered (429, overload, no connection); until then what is
      refused is sent again (0: it has failed at once).
      `stop_after`: the batch stops after so many failures in a row; None: never.
    - `via`: "provider" hands the items over to the provider's batch API, at about half the price: answers come within a day.
      "auto" does so where the provider has one, its price is lower, and its window (24 hours) fits `within`, in seconds from the
      first job; when that time nears, what is missing is asked in real time. `job_size`: items in a job (10,000); `max_jobs`:
      jobs at once (4); `poll`: the longest pause between two looks at a job, in seconds (60). `s3`, `role_arn`: for Bedrock, where
      jobs read and write files ("s3://bucket/folder", else AWS_S3_BUCKET_NAME), and the role that may (else AWS_BATCH_ROLE_ARN).
      See docs/provider-batches.md.
    - `engine`: "ray", or a `chatmodels.ray.RayEngine`: the same on a Ray cluster (see docs/scale-out.md).
    - `progress`: a bar on a terminal, lines elsewhere, on standard error. `report`: the path of an HTML page about it all.
    - `metrics`: a path (Prometheus' text format, for the node exporter), a port of 127.0.0.1, an OpenTelemetry MeterProvider
      (True: the global one), a registry of prometheus_client, or a list of these.

    Wrong arguments, and a journal of another model or input, are a `UsageError`. Errors of items are records, never raised. A full
    disk is an OSError, after which the same call goes on. Ctrl-C lets calls in flight end; a second one does not.

    >>> run_batch("openai:gpt-4o-mini", "in.jsonl", out="out.jsonl")  # doctest: +SKIP
    BatchSummary(total=1000000, done=999988, failed=12, ...)
    """
    if (engine := options.pop("engine", None)) is not None:
        if options.get("via") is not None:
            raise UsageError("via= and engine= exclude each other: a provider's jobs need no cluster", argument="via")
        from ..ray._engine import run_on

        return run_on(engine, model, items, _known(options))
    batch = Batch(model, items, _iterable, **_known(options))
    steps = _driven(batch, None)
    while True:
        try:
            next(steps)
        except StopIteration as end:
            return cast(BatchSummary, end.value)


def iter_batch(model: Any, items: Any, **options: Any) -> Iterator[BatchRecord]:
    """`run_batch` as an iterator over the records; without `out`. Slow readers slow it down. Leaving the loop ends it; with a
    journal, the same call gives all records again, and asks only what is missing.

    >>> for record in iter_batch(ChatModel(), ["Say hello."]):  # doctest: +SKIP
    ...     print(record.index, record.text)
    """
    if "out" in options:
        raise UsageError("iter_batch gives the records out: leave out= away, or use run_batch", argument="out")
    records: queue.SimpleQueue[Any] = queue.SimpleQueue()
    batch = Batch(model, items, _iterable, **_known(options), take=records.put)
    return _only_records(_driven(batch, records))


async def arun_batch(model: Any, items: Any, **options: Any) -> BatchSummary:
    """`run_batch` in the async world; takes async iterables too. Being cancelled ends it, with what has come journalled."""
    batch = Batch(model, items, _source, **_known(options))
    run = batch.run(batch.source)
    await run.run()
    return batch.ended(run)


async def aiter_batch(model: Any, items: Any, **options: Any) -> AsyncGenerator[BatchRecord, None]:
    """`iter_batch` in the async world."""
    if "out" in options:
        raise UsageError("aiter_batch gives the records out: leave out= away, or use arun_batch", argument="out")
    put, get = mailbox()
    batch = Batch(model, items, _source, **_known(options), take=soon(put))
    run = batch.run(batch.source)
    errors: list[BaseException] = []

    async def work() -> None:
        try:
            await run.run()
        except Exception as error:
            errors.append(error)
        finally:
            put(None)

    task = spawn(work)
    try:
        while (record := await get()) is not None:
            yield record
            run.release()
    finally:
        task.cancel()
        await task.ended()
    if errors:
        raise errors[0]
    batch.ended(run)


def _driven(batch: Batch, out: queue.SimpleQueue[Any] | None) -> Generator[BatchRecord, None, BatchSummary]:
    """The run in the portal's loop, fed with items by the calling thread."""
    out = queue.SimpleQueue() if out is None else out
    home = portal()
    later = home.loop.call_soon_threadsafe
    fed = _Fed(lambda: out.put(_MORE))
    run = batch.run(fed)
    items = enumerate(batch.source)
    future = home.start(run.run())
    future.add_done_callback(lambda _: out.put(None))
    over = False
    try:
        while (got := out.get()) is not None:
            if got is _MORE:
                _feed(items, batch, fed, run, later)
            else:
                yield got
                later(run.release)
        over = True
    except KeyboardInterrupt:
        sys.stderr.write(f"\n{run.parting()}\n")
        later(run.stop, "interrupted", "by Ctrl-C; the same command goes on with the rest")
        while out.get() is not None:
            later(run.release)
        over = True
        batch.ended(run)
        raise
    finally:
        if not over:
            future.cancel()
            with suppress(BaseException):
                future.exception(timeout=10)
            run.closed.wait(10)
    future.result()
    return batch.ended(run)


def _feed(items: Iterator[tuple[int, Any]], batch: Batch, fed: _Fed, run: Run, soon: Callable[..., object]) -> None:
    try:
        _give_some(items, 2 * batch.options.max_concurrency, fed, soon)
    except Exception as error:
        soon(run.stop, "error", f"the items could not be read: {error}", error)


def _only_records(steps: Generator[BatchRecord, None, BatchSummary]) -> Iterator[BatchRecord]:
    yield from steps


# ---- arguments


def _known(options: dict[str, Any]) -> dict[str, Any]:
    if options.get("engine") is not None:
        raise UsageError(
            "engine= is run_batch's alone: read the records from its output; in async code, await "
            "asyncio.to_thread(run_batch, ..., engine=...)",
            argument="engine",
        )
    options.pop("engine", None)
    unknown = sorted(set(options) - _OPTIONS)
    if unknown:
        raise UsageError(
            f"a batch knows no {unknown[0]!r}; it takes {', '.join(sorted(_OPTIONS))}", argument=unknown[0]
        )
    return options


_OPTIONS = frozenset(Batch.__init__.__kwdefaults__ or ()) - {"take"}


def _asked(model: Any) -> tuple[Any, int]:
    """The model, and how often an answer is asked for that does not fit its output type."""
    from .._typed import OutputModel

    return (model._asking(), model._attempts) if isinstance(model, OutputModel) else (_model(model), 1)


def _model(model: Any) -> Any:
    from .._model import ChatModel

    if isinstance(model, str):
        return ChatModel(model)
    if not isinstance(model, ChatModel):
        raise UsageError(
            f"model is a ChatModel or its name, such as 'openai:gpt-4o-mini', not {type(model).__name__}",
            argument="model",
        )
    return model


def _check_caps(**caps: Any) -> None:
    for name, value in caps.items():
        if value is None or (isinstance(value, (int, float)) and not isinstance(value, bool) and value >= 0):
            continue
        raise UsageError(f"{name} is a number, 0 or more, or None; got {value!r}", argument=name)


def _fingerprint(model: Any, system: str | None) -> str:
    """What must be the same for a journal to go on: address, model, settings, tools."""
    return question_of(model._plan(), _any_call(model, system)).key


def _any_call(model: Any, system: str | None) -> Any:
    return model._call([("system", system or "none"), ("user", "check")])


def _journal(path: Path, label: str, model: Any, system: str | None) -> Journal:
    return Journal(path, label, _fingerprint(model, system), asked_of(_any_call(model, system), system))


def _is_file(out: Out) -> bool:
    return isinstance(out, (str, Path)) and str(out) != "-"


def _journal_path(journal: Any, out: Out) -> Path | None:
    if journal is False:
        return None
    if journal is None or journal is True:
        if _is_file(out):
            return Path(f"{out}.journal")
        if journal is True:
            raise UsageError(
                "journal=True needs out= to be a path; else give the journal's own path", argument="journal"
            )
        return None
    if isinstance(journal, (str, Path)):
        return Path(journal)
    raise UsageError(f"journal is a path, or False for none; got {journal!r}", argument="journal")


def _report_path(report: Any) -> Path | None:
    if report is None:
        return None
    path = Path(report)
    if not path.parent.is_dir():
        raise UsageError(f"{path}: there is no folder {path.parent}; make it first", argument="report")
    if path.is_dir() or not os.access(path if path.exists() else path.parent, os.W_OK):
        raise UsageError(f"{path} cannot be written; give the report another path", argument="report")
    return path


def _output(
    out: Out, journal: Journal | None, *, ordered: bool, anew: bool, take: Callable[[BatchRecord], object] | None
) -> Output:
    if take is not None:
        return Taken(take, paced=True)
    if out is None:
        return Nowhere()
    if _is_file(out):
        return File(Path(out), journal, ordered=ordered, anew=anew)
    if out == "-":
        return Stream(sys.stdout.buffer)
    if callable(out):
        return Taken(out, paced=False)
    if hasattr(out, "write"):
        return Stream(cast(BinaryIO, out))
    raise UsageError(f"out is a path, an open binary file or a function; got {out!r}", argument="out")
