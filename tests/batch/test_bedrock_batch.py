"""Batches through Amazon Bedrock's batch API, against a stand-in for it and for S3; botocore judges requests and signatures."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from chatmodels import AIMessage, ChatModel, HumanMessage, Image, Text, UsageError
from chatmodels._errors import PermissionDeniedError
from chatmodels.batch import BatchSummary, run_batch
from chatmodels.batch import _provider_job as job_module
from chatmodels.jobs import Jobs

from ..servers import Exchange, Server
from .bedrock_server import ARN, ROLE, BedrockServer

pytest.importorskip("botocore")
KEYS = ("AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY")
PLACE = {"s3": "s3://my-bucket/some/folder", "role_arn": ROLE}


@pytest.fixture
def bedrock(server: Server, monkeypatch: pytest.MonkeyPatch) -> BedrockServer:
    monkeypatch.setattr(job_module, "GRACE", 0.05)
    for name in ("AWS_BEARER_TOKEN_BEDROCK", "AWS_S3_BUCKET_NAME", "AWS_BATCH_ROLE_ARN", "AWS_ENDPOINT_URL_BEDROCK"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", KEYS[0])
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", KEYS[1])
    monkeypatch.setenv("AWS_SESSION_TOKEN", "a-session")
    made = BedrockServer(server, takes=0.02)
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", made.url)
    return made


def model(bedrock: BedrockServer, name: str = "amazon.nova-lite-v1:0", **options: Any) -> ChatModel:
    made = ChatModel(f"bedrock:{name}", base_url=bedrock.url, region="eu-west-3", **options)
    return made.with_retry(attempts=2, base=0)


def run(bedrock: BedrockServer, count: int, out: Path, **options: Any) -> BatchSummary:
    options = {"via": "provider", "poll": 0.02, **PLACE, **options}
    return run_batch(options.pop("model", model(bedrock)), [f"item {n}" for n in range(count)], out=out, **options)


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_jobs_of_at_least_a_hundred(bedrock: BedrockServer, tmp_path: Path) -> None:
    """The last job is not left too small; an error of one item is a record; all requests are signed as AWS signs them."""
    bedrock.fate = lambda job, text: "bad" if text == "item 3" else "ok"
    summary = run(bedrock, 430, tmp_path / "o", job_size=200, ordered=True)
    found = lines(tmp_path / "o")
    assert [f["index"] for f in found] == list(range(430))
    assert all(f["text"] == f"item {f['index']}" for f in found if f["index"] != 3)
    assert found[3]["error"]["type"] == "BadRequestError"
    assert sorted(len(job.requests) for job in bedrock.jobs.values()) == [100, 130, 200]
    assert (summary.done, summary.failed, summary.jobs, summary.resubmitted) == (429, 1, 3, 0)
    assert set(bedrock.answered.values()) == {1}
    for request in bedrock.route.requests:
        assert_signed(bedrock, request)
    assert run(bedrock, 430, tmp_path / "o").called == 0


def assert_signed(bedrock: BedrockServer, request: Any) -> None:
    """As botocore would have signed it."""
    from botocore.auth import S3SigV4Auth, SigV4Auth
    from botocore.awsrequest import AWSRequest
    from botocore.credentials import Credentials

    said = dict(part.strip().split("=", 1) for part in request.headers["authorization"].partition(" ")[2].split(","))
    names = said["SignedHeaders"].split(";")
    assert {"host", "x-amz-date", "x-amz-security-token"} <= set(names)
    service = said["Credential"].split("/")[3]
    assert service == ("s3" if "/my-bucket/" in request.target else "bedrock")
    assert ("x-amz-content-sha256" in names) == (service == "s3")
    parts = urlsplit(bedrock.url)
    made = AWSRequest(
        method=request.method,
        url=f"{parts.scheme}://{parts.netloc}{request.target}",
        headers={name: request.headers[name] for name in names if name != "host"},
        data=request.body,
    )
    made.context["timestamp"] = request.headers["x-amz-date"]
    signer = (S3SigV4Auth if service == "s3" else SigV4Auth)(Credentials(*KEYS), service, "eu-west-3")
    to_sign = signer.string_to_sign(made, signer.canonical_request(made))
    assert said["Signature"] == signer.signature(to_sign, made)


def test_what_makes_no_job_goes_in_real_time_where_that_may_be(bedrock: BedrockServer, tmp_path: Path) -> None:
    """Two items expire in a job, and two are too few for another."""
    gone = set(["item 5", "item 7"])

    def fate(job: Any, text: str) -> str:
        how = "expired" if text == "item 5" else "missing"
        return how if text in gone else "ok"

    bedrock.fate = fate
    stopped = run(bedrock, 120, tmp_path / "o")
    assert (stopped.stopped, stopped.done, stopped.jobs) == ("too_few", 118, 1)
    assert stopped.reason == (
        "2 items are left, and bedrock takes no job of fewer than 100: the same call with via='auto' asks them in real time"
    )
    summary = run(bedrock, 120, tmp_path / "o", via="auto")
    assert (summary.stopped, summary.done, summary.jobs, summary.again) == (None, 120, 0, ())
    assert bedrock.live == {"item 5": 1, "item 7": 1}
    assert len(lines(tmp_path / "o")) == 120
    assert not set(bedrock.answered) & gone
    few = run(bedrock, 3, tmp_path / "few", via="auto")
    assert (few.done, few.jobs) == (3, 0)
    none = run(bedrock, 3, tmp_path / "none")
    assert (none.done, none.stopped) == (0, "too_few")


@pytest.mark.parametrize("left_out", ["s3", "role_arn", "both"])
def test_what_is_missing_is_named_before_anything_is_sent(
    bedrock: BedrockServer, tmp_path: Path, left_out: str
) -> None:
    given = {name: None for name in PLACE if left_out in (name, "both")}
    with pytest.raises(UsageError, match=r"AWS_S3_BUCKET_NAME.*AWS_BATCH_ROLE_ARN.*missing: ") as caught:
        run(bedrock, 100, tmp_path / "o", **given)
    assert caught.value.argument == ("role_arn" if left_out == "role_arn" else "s3")
    with pytest.raises(UsageError, match="AWS_BATCH_ROLE_ARN"):
        Jobs(model(bedrock)).submit(["a"] * 100)
    assert not bedrock.route.requests


def test_the_environment_names_the_place(
    bedrock: BedrockServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_S3_BUCKET_NAME", "just-a-bucket")
    monkeypatch.setenv("AWS_BATCH_ROLE_ARN", ROLE)
    assert run(bedrock, 100, tmp_path / "o", s3=None, role_arn=None).done == 100
    assert all(name.startswith("just-a-bucket/chatmodels-") for name in bedrock.files)


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"s3": "s3://My_Bucket/x"}, "s3 is a bucket"),
        ({"s3": "s3://bucket/a b"}, "s3 is a bucket"),
        ({"s3": 5}, "s3 is a str"),
        ({"role_arn": "batches"}, "role_arn is the ARN"),
        ({"job_size": 150}, "job_size is at least 200"),
        ({"job_size": 60_000}, "job_size is at most 50,000"),
    ],
)
def test_wrong_arguments(bedrock: BedrockServer, tmp_path: Path, given: dict[str, Any], says: str) -> None:
    with pytest.raises(UsageError, match=says):
        run(bedrock, 100, tmp_path / "o", **given)
    assert not bedrock.route.requests


def test_a_bucket_is_for_bedrock_only(tmp_path: Path) -> None:
    openai = ChatModel("openai:gpt-4o-mini", api_key="k")
    with pytest.raises(UsageError, match="openai needs none"):
        run_batch(openai, ["a"], out=tmp_path / "o", via="provider", s3="s3://my-bucket")
    with pytest.raises(UsageError, match="openai needs none"):
        Jobs(openai, role_arn=ROLE)


def tool(city: str) -> str:
    """Tell the weather of a city."""
    return city


def test_tools_go_to_claude_in_its_own_format(bedrock: BedrockServer) -> None:
    """Records of a Converse job with tools fail with 400."""
    claude = model(bedrock, "eu.anthropic.claude-sonnet-4-5-20250929-v1:0").with_tools(tool)
    jobs = Jobs(claude, **PLACE)
    job = jobs.submit([f"item {n}" for n in range(100)], max_tokens=50)
    given = bedrock.made[job.id]
    assert given["modelInvocationType"] == "InvokeModel"
    name = given["inputDataConfig"]["s3InputDataConfig"]["s3Uri"].removeprefix("s3://")
    first = json.loads(bedrock.files[name].splitlines()[0])["modelInput"]
    assert (first["anthropic_version"], first["max_tokens"]) == ("bedrock-2023-05-31", 50)
    assert [t["name"] for t in first["tools"]] == ["tool"]
    assert not {"model", "stream"} & set(first)
    use = {"type": "tool_use", "id": "t1", "name": "tool", "input": {"city": "Paris"}}
    answer = {"type": "message", "role": "assistant", "content": [use], "stop_reason": "tool_use",
              "usage": {"input_tokens": 9, "output_tokens": 4}}  # fmt: skip
    bedrock._answer = lambda text: answer
    jobs.wait(job, every=0.02)
    found = jobs.results(job)["7"]
    assert isinstance(found, AIMessage)
    assert [(c.name, c.args) for c in found.tool_calls] == [("tool", {"city": "Paris"})]
    assert (found.provider, found.usage and found.usage.input_tokens) == ("bedrock", 9)


def test_tools_of_other_models_are_refused_before_anything_is_sent(bedrock: BedrockServer, tmp_path: Path) -> None:
    nova = model(bedrock).with_tools(tool)
    with pytest.raises(UsageError, match="of Claude only"):
        Jobs(nova, **PLACE).submit(["a"] * 100)
    with pytest.raises(UsageError, match="of Claude only"):
        run(bedrock, 100, tmp_path / "o", model=nova)
    assert not bedrock.route.requests
    summary = run(bedrock, 100, tmp_path / "o", model=nova, via="auto")
    assert (summary.done, summary.jobs, bedrock.live.total()) == (100, 0, 100)


def test_the_list_and_stopping(bedrock: BedrockServer) -> None:
    bedrock.takes = 1000.0
    jobs = Jobs(model(bedrock), **PLACE)
    job = jobs.submit([f"item {n}" for n in range(100)], label="mine")
    assert job.id == ARN + "job000000001"
    (info,) = jobs.list()
    assert (info.id, info.label, info.count, info.state) == (job.id, "mine", 100, "running")
    assert jobs.cancel(job).state == "cancelled"
    assert len(jobs.results(job)) == 50  # what was answered by then
    with pytest.raises(UsageError, match="at least 100"):
        jobs.submit(["a"])
    with pytest.raises(UsageError, match="label"):
        jobs.submit(["a"] * 100, label="a label")


def test_a_job_with_no_output_is_harvested_too(bedrock: BedrockServer) -> None:
    """S3 refuses to say that a file is not there to who may not list the folder."""
    bedrock.takes = 1000.0
    jobs = Jobs(model(bedrock), **PLACE)
    job = jobs.submit(["a"] * 100)
    bedrock.fate = lambda made, text: "missing"
    jobs.cancel(job)
    assert jobs.results(job) == {}
    bedrock.before = lambda step, exchange: (
        (403, "<Error><Code>AccessDenied</Code></Error>") if step == "content" else None
    )
    assert jobs.results(job) == {}


def test_a_full_queue_is_waited_for_and_a_refusal_is_of_no_item(bedrock: BedrockServer, tmp_path: Path) -> None:
    kind = {"x-amzn-errortype": "ServiceQuotaExceededException:http://internal.amazon.com/coral/com.amazon.bedrock/"}
    told = [(400, "too many jobs", kind), (429, "slower")]

    def before(step: str, exchange: Exchange) -> Any:
        return told.pop() if step == "create" and told else None

    bedrock.before = before
    assert run(bedrock, 100, tmp_path / "o").done == 100
    assert not told

    def wrong(step: str, exchange: Exchange) -> Any:
        return (400, "ValidationException") if step == "create" else None

    bedrock.before = wrong
    summary = run(bedrock, 100, tmp_path / "p")
    assert (summary.stopped, summary.done, summary.failed) == ("fatal", 0, 0)
    bedrock.before = lambda step, exchange: (403, "AccessDenied") if step == "upload" else None
    summary = run(bedrock, 100, tmp_path / "p")
    assert (summary.stopped, summary.failed) == ("fatal", 0)
    assert "s3://my-bucket/some/folder" in str(summary.reason)
    moved = "<Error><Code>PermanentRedirect</Code><Message>The bucket is elsewhere.</Message></Error>"
    bedrock.before = lambda step, exchange: (301, moved) if step == "upload" else None
    summary = run(bedrock, 100, tmp_path / "p")
    assert (summary.stopped, summary.failed) == ("fatal", 0)
    assert "The bucket is elsewhere. (PermanentRedirect)" in str(summary.reason)
    bedrock.before = lambda step, exchange: None
    assert run(bedrock, 100, tmp_path / "p").done == 100


def test_a_submission_whose_answer_is_lost_is_asked_for_again_under_its_token(
    bedrock: BedrockServer, tmp_path: Path
) -> None:
    lost = [1]

    def after(step: str, exchange: Exchange) -> None:
        if step == "create" and lost:
            lost.pop()
            exchange.rst()

    bedrock.after = after
    summary = run(bedrock, 100, tmp_path / "o")
    assert (summary.done, len(bedrock.jobs), bedrock.steps.count("create")) == (100, 1, 2)


def test_a_key_from_a_function_makes_jobs_too(bedrock: BedrockServer) -> None:
    jobs = Jobs(model(bedrock, api_key=lambda: "fresh"), **PLACE)
    jobs.submit(["a"] * 100)
    assert [r.headers["authorization"][:12] for r in bedrock.route.requests] == ["AWS4-HMAC-SH", "Bearer fresh"]


def test_media_in_s3_are_refused(bedrock: BedrockServer) -> None:
    """A job reads them from the folder of its input only."""
    image = HumanMessage([Text('"s3Location" in words is none'), Image("s3://my-bucket/cat.png")])
    jobs = Jobs(model(bedrock), **PLACE)
    with pytest.raises(UsageError, match="s3:// address"):
        jobs.submit([[image]] * 100)
    assert not bedrock.route.requests
    jobs.submit(['"s3Location" and "toolConfig"'] * 100)


def test_s3_takes_no_key_of_bedrock(bedrock: BedrockServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The jobs themselves go with it."""
    monkeypatch.setenv("AWS_BEARER_TOKEN_BEDROCK", "bedrock-key")
    assert run(bedrock, 100, tmp_path / "o").done == 100
    kinds = {
        bedrock.step(r.method, r.target): r.headers["authorization"].partition(" ")[0] for r in bedrock.route.requests
    }
    assert kinds == {k: "AWS4-HMAC-SHA256" if k in ("upload", "content") else "Bearer" for k in kinds}
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
    summary = run(bedrock, 100, tmp_path / "p")
    assert summary.stopped == "fatal"
    assert "S3, which takes no Bedrock API key" in str(summary.reason)


def test_a_job_that_fails_says_why(bedrock: BedrockServer, tmp_path: Path) -> None:
    bedrock.failing = lambda made: ("", "the role may not read the bucket")
    summary = run(bedrock, 100, tmp_path / "o")
    assert (summary.done, summary.failed, len(bedrock.jobs)) == (0, 100, 1)
    assert "the role may not read the bucket" in lines(tmp_path / "o")[7]["error"]["message"]


def test_no_error_of_s3_shows_a_secret(bedrock: BedrockServer) -> None:
    """S3 repeats the request that it could not verify, token and all."""
    told = "<Error><Code>SignatureDoesNotMatch</Code><Message>x-amz-security-token:a-session</Message></Error>"
    bedrock.before = lambda step, exchange: (403, told)
    with pytest.raises(PermissionDeniedError) as caught:
        Jobs(model(bedrock), **PLACE).submit(["a"] * 100)
    error = caught.value
    assert "SignatureDoesNotMatch" in str(error)
    assert "a-session" not in f"{error} {error!r} {error.body} {error.message} {error.__cause__!r} {vars(error)}"


def test_a_cap_below_the_smallest_job_stops_before_it(bedrock: BedrockServer, tmp_path: Path) -> None:
    summary = run(bedrock, 300, tmp_path / "o", max_tokens=50)
    assert (summary.stopped, summary.done, bedrock.route.requests) == ("max_tokens", 0, [])
    assert "a job has 100 items at least" in str(summary.reason)
    assert run(bedrock, 300, tmp_path / "o").done == 300
    assert len(bedrock.jobs) == 1


def test_addresses(monkeypatch: pytest.MonkeyPatch) -> None:
    from chatmodels._config_jobs import _bucket_url, _control_url

    monkeypatch.delenv("AWS_ENDPOINT_URL_BEDROCK", raising=False)
    region = "eu-west-3"
    for runtime, control in {
        "https://bedrock-runtime.eu-west-3.amazonaws.com": "https://bedrock.eu-west-3.amazonaws.com",
        "https://bedrock-runtime-fips.us-east-1.amazonaws.com": "https://bedrock-fips.us-east-1.amazonaws.com",
        "https://vpce-0a1.bedrock-runtime.eu-west-3.vpce.amazonaws.com": "https://bedrock.eu-west-3.amazonaws.com",
        "https://gateway.example/aws": "https://gateway.example/aws",
    }.items():
        assert _control_url(runtime, region) == control
    monkeypatch.setenv("AWS_ENDPOINT_URL_BEDROCK", "https://mine.example/")
    assert _control_url("https://bedrock-runtime.eu-west-3.amazonaws.com", region) == "https://mine.example"
    assert _bucket_url(None, "b-1", region) == ("https://b-1.s3.eu-west-3.amazonaws.com", "")
    assert _bucket_url(None, "b.1", region) == ("https://s3.eu-west-3.amazonaws.com", "/b.1")
    assert _bucket_url(None, "b-1", "cn-north-1")[0] == "https://b-1.s3.cn-north-1.amazonaws.com.cn"
    assert _bucket_url("http://127.0.0.1:9000/", "b-1", region) == ("http://127.0.0.1:9000", "/b-1")
