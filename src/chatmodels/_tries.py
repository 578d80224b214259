"""Between two tries of a call: the deadline that all share, how the last one went, and whether and when the next begins."""

from __future__ import annotations

from ._errors import ChatModelError, DeadlineError, NotFoundError, ProviderError
from ._flow import NOW, RANDOM, WALL_CLOCK, Emit, Flow, Sleep
from ._mask import mask
from ._plan import Ledger, Plan
from ._retry import backoff, retry_after, wants_again, why_not
from ._usage import Usage


def begin(plan: Plan, ledger: Ledger) -> Flow[None]:
    """The first try begins: the deadline is set."""
    ledger.began = yield NOW
    total = plan.target.timeouts.total
    ledger.deadline = None if total is None else ledger.began + total


def failed(plan: Plan, ledger: Ledger, error: ChatModelError, usage: Usage | None) -> Flow[None]:
    """A try has failed: wait and return for the next one, or raise."""
    now: float = yield NOW
    yield from _read_retry_after(error)
    measure(plan, error, ledger)
    if plan.not_found and isinstance(error, NotFoundError):
        error.text += plan.not_found
    ledger.note(now, error, usage)
    wait = yield from _wait(plan, ledger, error, now)
    if wait is None:
        raise ledger.blame(error)
    if plan.handlers:
        yield Emit(plan.handlers, "on_retry", (ledger.attempts[-1],), {"wait": wait, "error": error})
    if wait > 0:
        yield Sleep(wait)
    ledger.waited = wait
    ledger.began = yield NOW
    if ledger.deadline is not None and ledger.began >= ledger.deadline:
        raise ledger.blame(error)


def _read_retry_after(error: ChatModelError) -> Flow[None]:
    if isinstance(error, ProviderError) and error.retry_after is None and error.headers:
        headers = error.headers
        if "retry-after" in headers or "retry-after-ms" in headers:
            error.retry_after = retry_after(headers, (yield WALL_CLOCK))


def measure(plan: Plan, error: ChatModelError, ledger: Ledger) -> None:
    """A passed deadline says its length, and no error says the key, or another secret of the headers."""
    mask(error, plan.target.headers, plan.target.authorise)
    if ledger.own_headers:
        mask(error, ledger.own_headers)
    if isinstance(error, DeadlineError) and error.seconds is None:
        error.seconds = getattr(plan.target.timeouts, error.phase, None)


def _wait(plan: Plan, ledger: Ledger, error: ChatModelError, now: float) -> Flow[float | None]:
    """Seconds to wait before the next try; None: do not try again."""
    retry = plan.retry
    tried = len(ledger.attempts)
    if tried >= retry.attempts or not wants_again(retry, error):
        return None
    asked = getattr(error, "retry_after", None)
    if asked is not None and asked > retry.patience:
        error.text += why_not(asked, retry.patience, None)
        return None
    dice: float = yield RANDOM
    # "0", and a date that is past by our clock, are no leave to ask at once and without end.
    wait = asked + dice * min(0.25, asked * 0.1) if asked else backoff(retry, tried, dice)
    if ledger.deadline is not None and now + wait >= ledger.deadline:
        error.text += why_not(asked, retry.patience, ledger.deadline - now)
        return None
    return wait if plan.budget.take() else None
