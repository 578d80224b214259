"""`run_batch(..., engine=RayEngine(...))`: arguments are checked, files and the cluster are opened, and the batch is driven.

What a batch takes on one machine it takes here too, or there is a UsageError that says what to do instead.
"""

from __future__ import annotations

import hashlib
import os
import time
from functools import partial
from pathlib import Path
from time import monotonic
from typing import Any, cast

from .._batch import checked as checked_limit
from .._checks import whole, whole_or_none
from .._errors import UsageError
from .._model import ChatModel
from .._tracking_budget import BudgetTry
from .._typed import OutputModel
from ..batch._filled import prompt_of
from ..batch._journal import Journal
from ..batch._metrics import metrics_of
from ..batch._output import check_path
from ..batch._prices import price_of
from ..batch._progress import Progress
from ..batch._progress import checked as checked_progress
from ..batch._run import _asked, _check_caps, _fingerprint, _report_path
from ..batch._tally import BatchSummary, Tally
from ._book import Book
from ._driver import Driver
from ._fit import apart, limited, limiters
from ._keys import KeyTable
from ._library import connect, library
from ._limiter import RayLimiter
from ._output import OneFile, Output, Parts, is_folder
from ._pool import Pool, actor_class
from ._purse import Purse
from ._same import Same, keys_of
from ._shards import count_in, cut, is_dataset, shorter, size_for, source_of
from ._worker import Work


class RayEngine:
    """A batch's way to many machines: `run_batch(model, items, out=..., engine=RayEngine(workers=8))`.

    `workers`: processes (Ray actors) that answer shards of the items, as many as the cluster has room for. `shard_size`: items in a
    shard (None: 1,000, or fewer where the input is short). `max_concurrency`: calls in flight of each worker (None: the batch's own
    `max_concurrency`, shared out evenly). `limiter`: a `RayLimiter` for all workers together. `address`: the cluster's, where none
    is connected (None: RAY_ADDRESS, else the one that `ray start` has started on this machine, else a cluster of its own, as
    "local", which ends with the batch). Further options (`num_cpus`, 1 unless you say otherwise, `num_gpus`, `resources`,
    `runtime_env`, ...) are those of Ray's actors.

    >>> engine = RayEngine(workers=8, shard_size=5000, num_cpus=1)
    """

    def __init__(
        self,
        *,
        workers: int = 2,
        shard_size: int | None = None,
        max_concurrency: int | None = None,
        limiter: RayLimiter | None = None,
        address: str | None = None,
        **ray_options: Any,
    ) -> None:
        if limiter is not None and not isinstance(limiter, RayLimiter):
            raise UsageError(
                f"limiter is a chatmodels.ray.RayLimiter, not {type(limiter).__name__}; limits in Redis are the model's: "
                "model.with_limits(..., shared='redis://...')",
                argument="limiter",
            )
        self.workers = whole("workers", workers)
        self.shard_size = whole_or_none("shard_size", shard_size)
        self.max_concurrency = whole_or_none("max_concurrency", max_concurrency)
        self.limiter, self.address, self.ray_options = limiter, address, ray_options

    def __repr__(self) -> str:
        return (
            f"RayEngine(workers={self.workers}, shard_size={self.shard_size}, max_concurrency={self.max_concurrency})"
        )

    def per_worker(self, max_concurrency: int, room: int | None = None) -> tuple[int, int]:
        """How many workers there are, at most `room`, and how many calls each has in flight."""
        workers = self.workers if room is None else min(self.workers, room)
        if self.max_concurrency is not None:
            return workers, self.max_concurrency
        workers = min(workers, max_concurrency)
        return workers, max_concurrency // workers


def run_on(engine: Any, model: Any, items: Any, options: dict[str, Any]) -> BatchSummary:
    """`run_batch` on Ray; `options` are the batch's, of known names."""
    if engine == "ray":
        engine = RayEngine()
    if not isinstance(engine, RayEngine):
        raise UsageError(f"engine is 'ray', a RayEngine or None (this machine); got {engine!r}", argument="engine")
    return _Batch(engine, model, items, **options).run()


class _Batch:
    """One batch, its arguments checked."""

    def __init__(
        self, engine: RayEngine, model: Any, items: Any, *, out: Any = None, journal: Any = None, ordered: bool = False,
        max_concurrency: int = 50, progress: bool = False, report: Any = None, max_cost: float | None = None,
        max_tokens: int | None = None, prices: Any = None, retry_failed: bool = False, patience: float = 300.0,
        stop_after: int | None = 100, adaptive: bool = True, system: str | None = None, format: str | None = None,
        metrics: Any = None, group_prefixes: bool = True, prompt: Any = None, **of_jobs: Any,
    ) -> None:  # fmt: skip
        _check_no_jobs(of_jobs)
        del ordered  # lines are in order here, whether that was asked for or not
        self._ours = False
        self._limiters: list[RayLimiter] = []
        self.began = monotonic()
        checked_limit(max_concurrency)
        _check_caps(max_cost=max_cost, max_tokens=max_tokens, patience=patience, stop_after=stop_after)
        self.report = _report_path(report)
        self.progress = checked_progress(progress)
        self.engine, self.items, self.retry_failed = engine, items, retry_failed
        self.max_cost, self.max_tokens = max_cost, max_tokens
        self.max_concurrency = max_concurrency
        self.workers, concurrency = engine.per_worker(max_concurrency)
        self.here, attempts = _here(model)
        price_of(self.here, prices, needed=max_cost is not None)
        actor_class(engine.ray_options)
        self.out = _out_path(out)
        self.parts = is_folder(out)
        if not self.parts:
            check_path(self.out)
        self.folder = _folder(journal, self.out)
        self.source = source_of(items, format, prompt_of(prompt))
        name = hashlib.sha256(f"{self.folder.absolute()} {os.getpid()} {time.time_ns()}".encode()).hexdigest()[:16]
        self.work = Work(
            model=self.here if isinstance(model, (str, ChatModel, OutputModel)) else model, name=name, attempts=attempts,
            label=f"{self.here.provider}:{self.here.model}", fingerprint=_fingerprint(self.here, system),
            folder=str(self.folder.absolute()), limiter=engine.limiter, max_concurrency=concurrency, adaptive=adaptive,
            patience=patience, stop_after=stop_after, system=system, prices=prices,
            group_prefixes=group_prefixes,
        )  # fmt: skip
        _check_travels(self.work)
        self.metrics = metrics_of(metrics, self.here.provider, self.here.model)

    def run(self) -> BatchSummary:
        """Raises what cannot go on: a wrong argument, another driver, the disk."""
        # As in a batch on one machine: journal first, then output. Both are held, or found to be held by somebody else.
        book = Book(self.folder, self.work.label, self.work.fingerprint)
        try:
            size = book.shard_size(self.engine.shard_size, size_for(self.items, self.workers))
            self.work.mark, self.work.size = book.mark, size
            begun = (self.folder / "shards").exists()
            output: Output = (Parts if self.parts else OneFile)(self.out, begun=begun)
            purse = Purse(self.max_cost, self.max_tokens)
            _add_spent(purse, book, self.work)
            driver = self._driver(book, output, purse, size)
            try:
                driver.run()
            finally:
                for limiter in self._limiters:
                    limiter.end()
                if self._ours:
                    library().shutdown()
                summary = self._summary(driver)
            known = max((n for n in book.counts), default=-1)
            if driver.stopped is None and known >= 0 and known * size >= driver.read:
                raise shorter(driver.read, known * size + book.counts[known].items, self.folder)
            return summary
        finally:
            book.close()

    def _driver(self, book: Book, output: Output, purse: Purse, size: int) -> Driver:
        ended = {number: counts.items for number, counts in book.counts.items()}
        beside = apart(self.here) if isinstance(self.work.model, ChatModel) else None
        pool = self._pool = Pool(self.work, beside, self.workers, self.engine.ray_options, self._connect)
        tally = Tally(count_in(self.items) if self.progress or self.metrics else None)
        tally.metrics = self.metrics
        table = KeyTable(self.folder / "keys.sqlite")
        same = partial(Same, table, keys_of(self.here, self.work.system), size)
        return Driver(
            cut(self.source, size, ended), pool, self.work, book, output, purse, same, tally, Progress(self.progress),
            retry_failed=self.retry_failed, whole_report=self.report is not None,
        )  # fmt: skip

    def _connect(self) -> None:
        """Use the cluster that is connected, else connect."""
        ray = library()
        if not ray.is_initialized():
            connect(self.engine.address)
            self._ours = True
        if is_dataset(self.items):
            self._leave_room(ray.cluster_resources().get("CPU", 0.0))
        # Whoever starts an actor keeps it alive. Limits of the model hold for this batch, a RayLimiter for as long as it likes.
        if self.work.limiter is not None:
            self.work.limiter.start()
        mine = {id(one) for one in limiters(self.here)}
        self._limiters = [one for one in limiters(limited(self.here, self.work.name, None)) if id(one) not in mine]
        for limiter in self._limiters:
            limiter.start()

    def _leave_room(self, cpus: float) -> None:
        """A dataset is made by tasks on the same cluster: workers that take all of its processors would wait for them for ever."""
        each = self.engine.ray_options.get("num_cpus", 1) or 0
        room = int((cpus - 1) // each) if each else self.engine.workers
        if room < 1:
            raise UsageError(
                f"the cluster has {cpus:g} CPUs, of which the dataset's own tasks need one, and a worker {each:g}: give "
                "RayEngine(num_cpus=0.1), for workers mostly wait, or add machines",
                argument="engine",
            )
        self._pool.size, self.work.max_concurrency = self.engine.per_worker(self.max_concurrency, room)

    def _summary(self, driver: Driver) -> BatchSummary:
        driver.tally.in_flight = 0
        driver._progress.end(driver.tally)
        summary = driver.tally.summary(
            driver.read, seconds=monotonic() - self.began, stopped=driver.stopped, reason=driver.reason,
            again=tuple(sorted(driver.again)), again_most=len(driver.again), cost_omits=tuple(sorted(driver.omits)),
        )  # fmt: skip
        if self.report is not None:
            from ..batch._report import page

            self.report.write_text(page(self.work.label, summary, driver.tally), encoding="utf-8")
        return summary


# ---- arguments


def _check_no_jobs(options: dict[str, Any]) -> None:
    for name, value in options.items():
        if value is not None:
            raise UsageError(
                f"{name}= is of a provider's batch API (via=), which needs no cluster: leave engine= away",
                argument=name,
            )


def _here(model: Any) -> tuple[ChatModel, int]:
    """The model in this process: what is asked about prices, and what the journal knows it by; and how often it asks for an
    answer that fits its output type."""
    if isinstance(model, (str, ChatModel, OutputModel)):
        found, attempts = _asked(cast(Any, model))
        if found._config.http_client is not None:
            raise UsageError(
                "an http_client does not travel to workers: give a function that makes the model there",
                argument="model",
            )
        return _checked(found), attempts
    if not callable(model):
        raise UsageError(
            "model is a ChatModel, its name, such as 'openai:gpt-4o-mini', or a function that makes one, not "
            f"{type(model).__name__}",
            argument="model",
        )
    made: object = model()
    if not isinstance(made, (ChatModel, OutputModel)):
        raise UsageError(f"the function model makes a ChatModel, not {type(made).__name__}", argument="model")
    found, attempts = _asked(cast(Any, made))
    return _checked(found), attempts


def _checked(model: ChatModel) -> ChatModel:
    if any(isinstance(layer, BudgetTry) for layer in model._config.layers):
        raise UsageError(
            "a budget (with_budget) is kept in one process: give max_cost= or max_tokens=, which hold for all workers together",
            argument="model",
        )
    return model


def _out_path(out: Any) -> Path:
    if not isinstance(out, (str, Path)) or str(out) == "-":
        said = "no out" if out is None else "standard output" if out == "-" else type(out).__name__
        raise UsageError(
            f"engine='ray' writes to a path: out='out.jsonl' (one file), or out='out/' (a folder of parts); got {said}",
            argument="out",
        )
    return Path(out)


def _folder(journal: Any, out: Path) -> Path:
    if journal is False:
        raise UsageError(
            "on Ray there is always a journal, from which lost workers' shards are taken over: leave journal=False away",
            argument="journal",
        )
    if journal is None or journal is True:
        return out.with_name(f"{out.name}.journal")
    if isinstance(journal, (str, Path)):
        return Path(journal)
    raise UsageError(f"journal is the path of a folder; got {journal!r}", argument="journal")


def _check_travels(work: Work) -> None:
    try:
        library("ray.cloudpickle").dumps(work)
    except Exception as error:
        raise UsageError(
            f"the model (or prices=) cannot be sent to workers: {error}. Give a function that makes the model there",
            argument="model",
        ) from error


def _add_spent(purse: Purse, book: Book, work: Work) -> None:
    """What earlier runs have spent, also on shards that have not ended."""
    for number, counts in book.counts.items():
        purse.settle(number, counts.spent, counts.tokens)
    if not purse.capped:
        return
    for path in (book.folder / "shards").glob("*/*.sqlite"):
        number = int(path.stem)
        if number not in book.counts:
            spent = _spent(path, work)
            purse.settle(number, spent[0], spent[1])


def _spent(path: Path, work: Work) -> tuple[float, int]:
    """Of one shard; a worker that is about to end may still hold it."""
    until = monotonic() + 30.0
    while True:
        try:
            journal = Journal(path, work.label, work.fingerprint)
        except UsageError:
            if monotonic() > until:
                raise
            time.sleep(0.2)
        else:
            journal.close()
            return journal.spent.cost, journal.spent.tokens
