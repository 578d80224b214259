"""Providers' batch APIs over a socket: what goes up, how states and counts are read, and that answers are those of plain calls."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from chatmodels import AIMessage, ChatModel, ChatModelError, ContextTooLongError, DeadlineError, UsageError
from chatmodels._errors import BadRequestError, ProviderError, TransportError
from chatmodels.jobs import Job, Jobs

from .servers import Route, Server, answer, error, plain, raw, serving

WIRE = Path(__file__).resolve().parents[2] / "shared" / "wire"


@pytest.fixture(scope="module")
def server() -> Any:
    with serving() as made:
        yield made


def jobs(provider: str, route: Route, **settings: Any) -> Jobs:
    base = route.url.removesuffix("/v1") if provider == "anthropic" else route.url
    return Jobs(
        ChatModel(f"{provider}:m", api_key="k-secret", base_url=base, **settings).with_retry(attempts=2, base=0)
    )


def jsonl(*lines: Any) -> bytes:
    return b"".join(json.dumps(line).encode() + b"\n" for line in lines)


def paths(route: Route) -> list[str]:
    return [f"{r.method} {r.target.partition('/v1')[2]}" for r in route.requests]


# ---- OpenAI

CREATED = {
    "id": "batch_1",
    "object": "batch",
    "status": "validating",
    "request_counts": {"total": 0, "completed": 0, "failed": 0},
}
ENDED = {**CREATED, "status": "completed", "output_file_id": "file-out", "error_file_id": "file-err",
         "request_counts": {"total": 3, "completed": 1, "failed": 2}}  # fmt: skip
TOO_LONG = {"error": {"message": "too long", "type": "invalid_request_error", "code": "context_length_exceeded"}}


def test_openai(server: Server) -> None:
    good = {
        "custom_id": "a",
        "response": {"status_code": 200, "request_id": "r1", "body": answer("J'aime.")},
        "error": None,
    }
    bad = {"custom_id": "b", "response": {"status_code": 400, "request_id": "r2", "body": TOO_LONG}, "error": None}
    gone = {"custom_id": "c", "response": None, "error": {"code": "batch_expired", "message": "it was not run in time"}}
    route = server.route(
        plain({"id": "file-in"}), plain(CREATED), plain({**CREATED, "status": "in_progress"}), plain(ENDED), plain(ENDED),
        plain(jsonl(good)), plain(jsonl(bad, gone)),
    )  # fmt: skip
    ours = jobs("openai", route, temperature=0)
    job = ours.submit(["one", "two", "three"], ids=["a", "b", "c"], label="mine", max_tokens=5)
    assert job == Job(id="batch_1", provider="openai", model="m", count=3, label="mine")
    first, second = ours.status(job), ours.status(job.id)
    assert (first.state, first.ended, second.state, second.total, second.failed) == ("running", False, "done", 3, 2)
    results = ours.results(job)
    assert paths(route) == [
        "POST /files", "POST /batches", "GET /batches/batch_1", "GET /batches/batch_1", "GET /batches/batch_1",
        "GET /files/file-out/content", "GET /files/file-err/content",
    ]  # fmt: skip
    found = results["a"]
    assert isinstance(found, AIMessage)
    assert (found.text, found.finish_reason, found.request_id, found.provider) == ("J'aime.", "stop", "r1", "openai")
    assert found.usage is not None
    assert isinstance(results["b"], ContextTooLongError)
    assert results["b"].request_id == "r2"
    assert isinstance(results["c"], ProviderError)
    assert results["c"].code == "batch_expired"
    # what went up
    uploaded = route.requests[0]
    assert uploaded.headers["content-type"].startswith("multipart/form-data; boundary=")
    assert b'name="purpose"\r\n\r\nbatch\r\n' in uploaded.body
    lines = [json.loads(line) for line in uploaded.body.split(b"\r\n\r\n")[2].split(b"\r\n--")[0].splitlines()]
    assert [line["custom_id"] for line in lines] == ["a", "b", "c"]
    assert lines[0]["url"] == "/v1/chat/completions"
    assert lines[0]["body"] == {
        "model": "m",
        "messages": [{"role": "user", "content": "one"}],
        "temperature": 0,
        "max_tokens": 5,
    }
    made = route.requests[1].json
    assert made == {
        "input_file_id": "file-in", "endpoint": "/v1/chat/completions", "completion_window": "24h", "metadata": {"label": "mine"},
    }  # fmt: skip


def test_a_job_is_never_made_twice(server: Server) -> None:
    """The connection breaks after the batch was asked for: it may have been made, so nobody asks again."""
    route = server.route(plain({"id": "file-in"}), raw(b"", "rst"), plain(CREATED))
    with pytest.raises(TransportError):
        jobs("openai", route).submit(["one"])
    assert paths(route) == ["POST /files", "POST /batches"]
    busy = server.route(plain({"id": "file-in"}), error(429), plain(CREATED))
    assert jobs("openai", busy).submit(["one"]).id == "batch_1"  # refused for sure: asked again
    broken = server.route(error(500), plain({"id": "file-in"}), plain(CREATED))
    assert jobs("openai", broken).submit(["one"]).id == "batch_1"  # an upload costs nothing: tried again


def test_openai_responses_has_its_own_endpoint(server: Server) -> None:
    route = server.route(plain({"id": "file-in"}), plain(CREATED))
    jobs("openai-responses", route).submit(["one"])
    assert route.requests[1].json["endpoint"] == "/v1/responses"


def test_a_failed_validation_is_told(server: Server) -> None:
    failed = {
        **CREATED,
        "status": "failed",
        "errors": {"object": "list", "data": [{"code": "x", "message": "line 3 is bad"}]},
    }
    status = jobs("openai", server.route(plain(failed))).status("batch_1")
    assert (status.state, status.error) == ("failed", "line 3 is bad")


# ---- Anthropic

MESSAGE = {
    "id": "msg_1", "type": "message", "role": "assistant", "model": "claude", "content": [{"type": "text", "text": "Salut."}],
    "stop_reason": "end_turn", "usage": {"input_tokens": 3, "output_tokens": 2},
}  # fmt: skip


def anthropic(state: str = "ended", **counts: int) -> dict[str, Any]:
    all_counts = {"processing": 0, "succeeded": 0, "errored": 0, "canceled": 0, "expired": 0, **counts}
    return {"id": "msgbatch_1", "type": "message_batch", "processing_status": state, "request_counts": all_counts}


def test_anthropic(server: Server) -> None:
    failure = {"type": "error", "error": {"type": "invalid_request_error", "message": "no"}, "request_id": "req_9"}
    route = server.route(
        plain(anthropic("in_progress", processing=4)),
        plain(anthropic(succeeded=1, errored=1, canceled=1, expired=1)),
        plain(jsonl(
            {"custom_id": "3", "result": {"type": "expired"}},
            {"custom_id": "0", "result": {"type": "succeeded", "message": MESSAGE}},
            {"custom_id": "1", "result": {"type": "errored", "error": failure}},
            {"custom_id": "2", "result": {"type": "canceled"}},
        )),
    )  # fmt: skip
    ours = jobs("anthropic", route, max_tokens=5)
    job = ours.submit(["a", "b", "c", "d"])
    results = ours.results(job)
    assert paths(route) == [
        "POST /messages/batches", "GET /messages/batches/msgbatch_1", "GET /messages/batches/msgbatch_1/results",
    ]  # fmt: skip
    assert all(r.headers["anthropic-version"] for r in route.requests)
    sent = route.requests[0].json["requests"]
    assert [r["custom_id"] for r in sent] == ["0", "1", "2", "3"]
    assert sent[0]["params"]["messages"][0]["role"] == "user"
    assert sent[0]["params"]["max_tokens"] == 5
    found = results["0"]
    assert isinstance(found, AIMessage)
    assert (found.text, found.finish_reason) == ("Salut.", "stop")
    assert isinstance(results["1"], BadRequestError)
    assert results["1"].request_id == "req_9"
    assert "canceled" in str(results["2"])
    assert "expired" in str(results["3"])
    with pytest.raises(UsageError, match="letters"):
        ours.submit(["a"], ids=["a b"])


# ---- Google


def google(state: str, **more: Any) -> dict[str, Any]:
    stats = {"requestCount": "2", "successfulRequestCount": "1", "failedRequestCount": "1"}
    return {"name": "batches/b1", "metadata": {"state": f"BATCH_STATE_{state}", "batchStats": stats}, **more}


def test_google(server: Server) -> None:
    said = {"candidates": [{"content": {"parts": [{"text": "4"}], "role": "model"}, "finishReason": "STOP"}],
            "usageMetadata": {"promptTokenCount": 13, "candidatesTokenCount": 1, "totalTokenCount": 14}}  # fmt: skip
    inlined = [
        {"error": {"code": 8, "message": "quota"}, "metadata": {"key": "y"}},
        {"response": said, "metadata": {"key": "x"}},
    ]
    done = google("SUCCEEDED", done=True, response={"inlinedResponses": {"inlinedResponses": inlined}})
    route = server.route(plain(google("PENDING")), plain(google("RUNNING")), plain(done))
    ours = jobs("google", route)
    job = ours.submit(["2 + 2?", "and?"], ids=["x", "y"])
    assert ours.status(job).state == "running"
    results = ours.results(job)
    assert route.requests[0].target.endswith("/v1beta/models/m:batchGenerateContent")
    sent = route.requests[0].json["batch"]["inputConfig"]["requests"]["requests"]
    assert sent[0]["metadata"] == {"key": "x"}
    assert sent[0]["request"]["contents"][0]["parts"] == [{"text": "2 + 2?"}]
    assert route.requests[1].target.endswith("/v1beta/batches/b1")
    found = results["x"]
    assert isinstance(found, AIMessage)
    assert found.text == "4"
    assert isinstance(results["y"], ProviderError)
    assert results["y"].status == 429


# ---- Mistral


def test_mistral(server: Server) -> None:
    line = {"id": "l", "custom_id": "0", "response": {"status_code": 200, "body": answer("Oui.")}, "error": None}
    done = {"id": "j1", "status": "SUCCESS", "total_requests": 2, "succeeded_requests": 1, "failed_requests": 1}
    failure = {"custom_id": "1", "response": {"status_code": 400, "body": {"message": "no", "type": "invalid_request"}}}
    route = server.route(
        plain({"id": "j1", "status": "QUEUED"}),
        plain({**done, "outputs": None, "output_file": "f1", "error_file": "f2"}),
        plain(jsonl(line)),
        plain(jsonl(failure)),
        plain({**done, "status": "CANCELLATION_REQUESTED"}),
    )
    ours = jobs("mistral", route)
    job = ours.submit(["a", "b"])
    sent = route.requests[0].json
    assert (sent["model"], sent["endpoint"]) == ("m", "/v1/chat/completions")
    assert sent["requests"][0] == {"custom_id": "0", "body": {"messages": [{"role": "user", "content": "a"}]}}
    results = ours.results(job)
    assert isinstance(results["0"], AIMessage)
    assert isinstance(results["1"], BadRequestError)
    assert paths(route)[-2:] == ["GET /files/f1/content", "GET /files/f2/content"]
    assert ours.cancel(job).state == "cancelling"


# ---- all of them


def test_waiting_async_and_too_long(server: Server) -> None:
    route = server.route(
        plain(anthropic("in_progress")), plain(anthropic("in_progress")), plain(anthropic(succeeded=1))
    )
    ours = jobs("anthropic", route)
    assert asyncio.run(ours.await_job("msgbatch_1", every=0.01)).state == "done"
    assert len(route.requests) == 3
    slow = jobs("anthropic", server.route(plain(anthropic("in_progress"))))
    with pytest.raises(DeadlineError, match="still running"):
        slow.wait("msgbatch_1", every=0.01, most=0.05)
    with pytest.raises(UsageError, match="has not ended"):
        slow.results("msgbatch_1")


def test_async_is_the_same(server: Server) -> None:
    route = server.route(
        plain(anthropic("in_progress")), plain(anthropic(succeeded=1)), plain(anthropic(succeeded=1)),
        plain(jsonl({"custom_id": "0", "result": {"type": "succeeded", "message": MESSAGE}})), plain(anthropic("canceling")),
    )  # fmt: skip
    ours = jobs("anthropic", route)

    async def go() -> None:
        job = await ours.asubmit(["a"])
        assert (await ours.astatus(job)).ended
        results = await ours.aresults(job)
        assert isinstance(results["0"], AIMessage)
        assert (await ours.acancel(job)).state == "cancelling"

    asyncio.run(go())


@pytest.mark.parametrize("provider", ["openai", "anthropic", "google", "mistral"])
def test_what_is_wrong_is_said_before_anything_is_sent(server: Server, provider: str) -> None:
    route = server.route(plain())
    ours = jobs(provider, route)
    with pytest.raises(UsageError, match="at least one"):
        ours.submit([])
    with pytest.raises(UsageError, match="list of inputs"):
        ours.submit("one")
    with pytest.raises(UsageError, match="two inputs have the id"):
        ours.submit(["a", "b"], ids=["x", "x"])
    with pytest.raises(UsageError, match="1 ids for 2"):
        ours.submit(["a", "b"], ids=["x"])
    if provider == "google":
        with pytest.raises(UsageError, match="bytes"):
            ours.submit(["x" * 21_000_000])
    assert not route.requests
    assert "k-secret" not in repr(ours)


def test_providers_without_a_batch_api() -> None:
    with pytest.raises(UsageError, match=r"no batch API.*openai"):
        Jobs(ChatModel("local"))


@pytest.mark.skipif(not WIRE.exists(), reason="no recorded traffic beside this repository")
def test_recorded_jobs_are_read() -> None:
    """States and results of recorded exchanges: each answer decodes, and every count is known."""
    from chatmodels._call import HTTPResponse
    from chatmodels._jobs import read as read_line
    from chatmodels._jobs_anthropic import line_of as anthropic_line
    from chatmodels._jobs_anthropic import status_of as anthropic_status
    from chatmodels._jobs_apis import APIS
    from chatmodels._jobs_google import GoogleJobs
    from chatmodels._jobs_google import line_of as google_line
    from chatmodels._jobs_mistral import MistralJobs
    from chatmodels._jobs_openai import OpenAIJobs, openai_line
    from chatmodels._jobs_wire import lines_in

    read = 0
    for api in ("openai", "anthropic", "google", "mistral"):
        for text in (WIRE / f"{api}-batch.jsonl").read_text().splitlines():
            record = json.loads(text)
            body = record["response"].get("body") or {"text": record["response"].get("text")}
            if record["host"] == "api.x.ai" or not isinstance(body, dict) or record["status"] != 200:
                continue
            lines: list[Any] = []
            if api == "openai" and body.get("object") == "batch":
                assert OpenAIJobs()._status(body).state in ("pending", "running", "done", "cancelling", "cancelled")
            elif api == "anthropic" and body.get("type") == "message_batch":
                assert anthropic_status(body).total is not None
            elif api == "google":
                assert GoogleJobs()._status(body).total == 2
                output = body.get("response") or body["metadata"].get("output") or {}
                listed = (output.get("inlinedResponses") or {}).get("inlinedResponses") or []
                lines = [google_line(n, one) for n, one in enumerate(listed)]
            elif api == "mistral":
                assert MistralJobs()._status(body).state in ("pending", "running", "done")
                lines = [openai_line(one) for one in body.get("outputs") or []]
            elif "custom_id" in (body.get("text") or ""):
                line_of = openai_line if api == "openai" else anthropic_line
                lines = [line_of(one) for one in lines_in(body["text"].encode())]
            for line in lines:
                assert isinstance(line.response, HTTPResponse)
                if b"embedding" in line.response.body:
                    continue
                name = "openai-responses" if b'"object":"response"' in line.response.body else api
                plan = ChatModel(f"{name}:m", api_key="k")._plan()
                found = read_line(plan, Job(id="j", provider=name, model="m", count=1), line)
                assert not isinstance(found, ChatModelError), found
                assert found.text
                assert found.finish_reason in ("stop", "length")
                assert found.usage is not None
                read += 1
    assert read >= 8
    assert set(APIS) >= {"openai", "anthropic", "google", "mistral"}


@pytest.mark.parametrize(
    ("provider", "pages", "second"),
    [
        (
            "openai",
            [{"data": [{**CREATED, "id": "b2"}], "has_more": True}, {"data": [{**CREATED, "id": "b1"}], "has_more": False}],
            "/batches?limit=100&after=b2",
        ),
        (
            "anthropic",
            [{"data": [{**anthropic(), "id": "b2"}], "has_more": True}, {"data": [{**anthropic(), "id": "b1"}]}],
            "/messages/batches?limit=100&after_id=b2",
        ),
        (
            "google",
            [{"operations": [{**google("RUNNING"), "name": "b2"}], "nextPageToken": "t/2"}, {"operations": [{"name": "b1"}]}],
            "/v1beta/batches?pageSize=100&pageToken=t%2F2",
        ),
        (
            "mistral",
            [{"data": [{"id": "b2", "status": "QUEUED"}] * 100}, {"data": [{"id": "b1", "status": "SUCCESS"}]}],
            "/batch/jobs?page=1&page_size=100",
        ),
    ],
)  # fmt: skip
def test_the_list_is_read_page_by_page(server: Server, provider: str, pages: list[Any], second: str) -> None:
    route = server.route(*(plain(page) for page in pages))
    found = jobs(provider, route).list(limit=1000)
    assert (found[0].id, found[-1].id, len(found)) == ("b2", "b1", 101 if provider == "mistral" else 2)
    assert route.requests[1].target.endswith(second)
    one = server.route(*(plain(page) for page in pages))
    assert [job.id for job in jobs(provider, one).list(limit=1)] == ["b2"]
    assert len(one.requests) == 1
