"""`via=`: through the provider's batch API, or in real time. Arguments are checked, and "auto" decides. Calls nobody."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

from .._config_jobs import has_jobs, jobs_api
from .._errors import UsageError
from .._jobs import JobsAPI
from .._usage import Usage
from ..prices import Prices
from ..prices import price_of as listed
from ._jobbook import JobBook, check_no_jobs
from ._journal import Journal
from ._provider_items import Via

#: Items, and bytes, of a job where nothing else is said: what is in memory is a few times as much.
SIZE, BYTES = 10_000, 64_000_000
#: Of the provider's limit in bytes this share is used.
SAFE = 0.98


def via_of(
    model: Any, via: Any, *, within: Any, job_size: Any, max_jobs: Any, poll: Any, prices: Any, under_way: bool,
    s3: Any = None, role_arn: Any = None,
) -> Via | None:  # fmt: skip
    """How jobs are made; None for calls in real time. `under_way`: an earlier run has left jobs with the provider."""
    if via not in (None, "provider", "auto"):
        raise UsageError(f"via is 'provider', 'auto', or None for calls in real time; got {via!r}", argument="via")
    _check(within, "within", least=0)
    _check(poll, "poll", least=0.01)
    _check(job_size, "job_size", least=1, whole=True)
    _check(max_jobs, "max_jobs", least=1, whole=True)
    if within is not None and via != "auto":
        raise UsageError(
            "within goes with via='auto', which keeps to it; a provider's jobs take what they take", argument="within"
        )
    if via is None:
        return None
    auto = via == "auto"
    if auto and not under_way and not has_jobs(model._config, model._own_plan(), s3, role_arn):
        return None
    api = _api(model, s3, role_arn)
    if auto and not under_way and not _pays(api, model, within, prices):
        return None
    return Via(
        api=api,
        auto=auto,
        size=min(SIZE if job_size is None else _fitting(job_size, api, model), api.limits.items),
        bytes=int(min(BYTES, api.limits.size * SAFE)),
        hard=int(api.limits.size * SAFE),
        jobs=4 if max_jobs is None else max_jobs,
        poll=60.0 if poll is None else poll,
        within=within,
    )


def _api(model: Any, s3: Any, role_arn: Any) -> JobsAPI:
    try:
        return jobs_api(model._config, model._own_plan(), s3, role_arn)
    except UsageError as error:
        if error.argument != "model":
            raise
        raise UsageError(
            f"{error}. Leave via= away, or give via='auto', for calls in real time", argument="via"
        ) from None


def _fitting(job_size: int, api: JobsAPI, model: Any) -> int:
    least = 1 if api.limits.least == 1 else 2 * api.limits.least  # what is left of the last job is no job too small
    if job_size < least:
        raise UsageError(
            f"job_size is at least {least:,} for {model.provider}, which takes no job of fewer than {api.limits.least:,} items; "
            f"got {job_size:,}",
            argument="job_size",
        )
    if job_size > api.limits.items:
        raise UsageError(
            f"job_size is at most {api.limits.items:,} for {model.provider}; got {job_size:,}", argument="job_size"
        )
    return job_size


def _pays(api: JobsAPI, model: Any, within: float | None, prices: Any) -> bool:
    """Is there time for the provider's window, and is the price lower? Where no price is known it is taken to be: all of these
    providers charge less for jobs."""
    if within is not None and within < api.window:
        return False
    table = prices if isinstance(prices, Prices) else None
    usage = Usage(input_tokens=1000, output_tokens=1000)
    now = listed(usage, model.model, model.provider, prices=table).total
    then = listed(usage, model.model, model.provider, prices=table, batch=True).total
    return now is None or then is None or then < now


def _check(value: Any, name: str, *, least: float, whole: bool = False) -> None:
    kinds = int if whole else (int, float)
    if value is None or (
        isinstance(value, kinds) and not isinstance(value, bool) and value >= least and not math.isnan(value)
    ):
        return
    kind = "a whole number" if whole else "a number of seconds"
    raise UsageError(f"{name} is {kind}, {least} or more, or None; got {value!r}", argument=name)


class Opened(NamedTuple):
    """What a run begins with: how jobs are made (None: in real time), what is under way, and the items that may be asked twice."""

    via: Via | None
    book: JobBook | None
    again: tuple[int, ...]


def opened(journal: Journal | None, model: Any, via: Any, **jobs: Any) -> Opened:
    """Read what an earlier run has left. A UsageError where it left jobs, and this one would ask their items in real time."""
    begun = () if journal is None else tuple(journal.begun())
    if via is None:
        if journal is not None:
            check_no_jobs(journal)
        return Opened(None, None, begun)
    book = JobBook(journal)
    made = via_of(model, via, under_way=bool(book.open), **jobs)
    asked = {at for row in book.open for at in row.tries}
    again = tuple(at for at in begun if at not in asked) if book.live else ()
    if made is None and journal is not None:
        with journal.transaction():
            book.went_live(journal)
    return Opened(made, book, again)
