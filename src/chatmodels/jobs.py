"""Providers' own batch APIs: many calls handed over at once, answered within a day, at about half the price.

    jobs = Jobs(ChatOpenAI(model="gpt-4o-mini"))
    job = jobs.submit(["I love programming.", "I love mathematics."])
    ...                                     # keep job.id: another process may go on from here
    jobs.wait(job)
    for id, answer in jobs.results(job).items(): ...

OpenAI (chat and responses), Groq, Anthropic, Google, Mistral and Amazon Bedrock. An answer is the same `AIMessage` that a plain
call gives.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from ._call import Call
from ._checks import whole
from ._config_jobs import jobs_api
from ._drive import arun, run
from ._errors import ChatModelError, DeadlineError, UsageError
from ._flow import NOW, Flow, Sleep
from ._inputs import Input
from ._jobs import Item, Job, JobInfo, JobsAPI, JobStatus, results_flow, seen, submit_flow
from ._messages import AIMessage
from ._model import ChatModel

__all__ = ["Job", "JobInfo", "JobStatus", "Jobs"]


class Jobs:
    """The batch API of a model's provider. Each method has an async twin with the prefix `a` (of `wait` it is
    `await_job`).

    The model's settings, tools and output go with every input. Making a job is never tried again where a first try may have
    arrived, since that could pay for it twice; everything else is retried as calls are.

    `s3` and `role_arn` are for Bedrock, whose jobs read files in S3 and write there: "s3://bucket/folder" (else the variable
    AWS_S3_BUCKET_NAME), and the role in whose name Bedrock does so (else AWS_BATCH_ROLE_ARN). Raises `UsageError` for a provider
    without a batch API.

    >>> jobs = Jobs(ChatBedrock("amazon.nova-lite-v1:0"), s3="s3://my-bucket/batches",
    ...             role_arn="arn:aws:iam::123456789012:role/batches")  # doctest: +SKIP
    """

    def __init__(self, model: ChatModel, *, s3: str | None = None, role_arn: str | None = None) -> None:
        if not isinstance(model, ChatModel):
            raise UsageError(f"model is a ChatModel, not {type(model).__name__}", argument="model")
        self._model = model
        self._api: JobsAPI = jobs_api(model._config, model._own_plan(), s3, role_arn, submits=False)
        self._counted: set[str] = set()

    def __repr__(self) -> str:
        return f"Jobs({self._model!r})"

    # -- handing over

    def submit(
        self, inputs: Iterable[Input], *, ids: Sequence[str] | None = None, label: str | None = None, **settings: Any
    ) -> Job:
        """Hand many inputs over as one job. `ids` name the inputs in the results ("0", "1", ... without them); `label` goes into
        the provider's own list of jobs, where it has a place for one. Raises `UsageError` before anything is sent where the
        inputs do not fit into one job."""
        return run(self._submit(inputs, ids, label, settings))

    async def asubmit(
        self, inputs: Iterable[Input], *, ids: Sequence[str] | None = None, label: str | None = None, **settings: Any
    ) -> Job:
        """`submit` in the async world."""
        return await arun(self._submit(inputs, ids, label, settings))

    def _submit(
        self, inputs: Iterable[Input], ids: Sequence[str] | None, label: str | None, settings: Any
    ) -> Flow[Job]:
        if isinstance(inputs, str):
            raise UsageError("inputs is a list of inputs, not one str", argument="inputs")
        stop = settings.pop("stop", None)
        calls = [self._model._call(given, stop, dict(settings)) for given in inputs]
        names = [str(n) for n in range(len(calls))] if ids is None else [str(i) for i in ids]
        if len(names) != len(calls):
            raise UsageError(f"there are {len(names)} ids for {len(calls)} inputs", argument="ids")
        items = [Item(name, call) for name, call in zip(names, calls, strict=True)]
        return submit_flow(self._api, self._model._own_plan(), items, label)

    # -- looking

    def status(self, job: Job | str) -> JobStatus:
        """How far a job is."""
        return run(self._api.status(self._model._own_plan(), _id(job)))

    async def astatus(self, job: Job | str) -> JobStatus:
        """`status` in the async world."""
        return await arun(self._api.status(self._model._own_plan(), _id(job)))

    def wait(self, job: Job | str, *, every: float = 30.0, most: float | None = None) -> JobStatus:
        """Wait until a job has ended. It is asked for after a second, then less and less often, in the end `every` so many seconds;
        after `most` seconds a `DeadlineError` is raised, and the job goes on."""
        return run(self._wait(_id(job), every, most))

    async def await_job(self, job: Job | str, *, every: float = 30.0, most: float | None = None) -> JobStatus:
        """`wait` in the async world."""
        return await arun(self._wait(_id(job), every, most))

    def _wait(self, job: str, every: float, most: float | None) -> Flow[JobStatus]:
        began: float = yield NOW
        pause = min(1.0, every)
        while True:
            status: JobStatus = yield from self._api.status(self._model._own_plan(), job)
            if status.ended:
                return status
            now: float = yield NOW
            if most is not None and now - began + pause > most:
                raise DeadlineError(f"job {job} is still {status.state} after {now - began:.0f} s", phase="total")
            yield Sleep(pause)
            pause = min(every, pause * 1.5)

    # -- fetching

    def results(self, job: Job | str) -> dict[str, AIMessage | ChatModelError]:
        """The answers of a job that has ended, by the inputs' ids: a message, or the error of that input. Every input that the
        provider has said something about is there; one that is missing had no answer.

        Usage tracking, telemetry and the log of calls see each answer, at the price of a batch, the first time that this object
        fetches a job's results."""
        return run(self._results(self._job(job)))

    async def aresults(self, job: Job | str) -> dict[str, AIMessage | ChatModelError]:
        """`results` in the async world."""
        return await arun(self._results(self._job(job)))

    def _results(self, job: Job) -> Flow[dict[str, AIMessage | ChatModelError]]:
        found = yield from results_flow(self._api, self._model._own_plan(), job)
        if job.id not in self._counted:
            self._counted.add(job.id)
            plan = self._model._plan()
            for one in found.values():
                yield from seen(plan, Call(model=job.model, messages=()), one)
        return found

    def list(self, *, limit: int = 100) -> Sequence[JobInfo]:
        """The newest jobs of this account at the provider, whoever made them, at most `limit`; the newest first.

        >>> Jobs(ChatOpenAI()).list(limit=1)  # doctest: +SKIP
        (JobInfo(id='batch_1', state='done', label='translations', count=2, made=1790000000.0),)
        """
        return run(self._api.listed(self._model._own_plan(), None, whole("limit", limit)))

    async def alist(self, *, limit: int = 100) -> Sequence[JobInfo]:
        """`list` in the async world."""
        return await arun(self._api.listed(self._model._own_plan(), None, whole("limit", limit)))

    def cancel(self, job: Job | str) -> JobStatus:
        """Stop a job. What was answered by then can still be fetched, and is paid."""
        return run(self._api.cancel(self._model._own_plan(), _id(job)))

    async def acancel(self, job: Job | str) -> JobStatus:
        """`cancel` in the async world."""
        return await arun(self._api.cancel(self._model._own_plan(), _id(job)))

    def _job(self, job: Job | str) -> Job:
        if isinstance(job, Job):
            return job
        return Job(id=_id(job), provider=self._model.provider, model=self._model.model, count=0)


def _id(job: Job | str) -> str:
    found = job.id if isinstance(job, Job) else job
    if not isinstance(found, str) or not found:
        raise UsageError(f"job is a Job or its id, not {type(job).__name__}", argument="job")
    return found
