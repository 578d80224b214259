"""What is told of calls: OpenTelemetry spans, metrics and events; lines; the local log and `chatmodels logs`."""

from __future__ import annotations

import io
import logging
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from chatmodels import (
    ChatModel,
    HumanMessage,
    Image,
    IncompleteStream,
    RateLimitError,
    SystemMessage,
    UsageError,
    telemetry,
    track_usage,
)
from chatmodels._messages import AIMessage, ToolMessage
from chatmodels._parts import ToolCall
from chatmodels.caches import SemanticCache
from chatmodels.cli import main
from chatmodels.layers import everywhere
from chatmodels.telemetry import Seen, watch
from chatmodels.telemetry._book import CallLog
from chatmodels.telemetry._redact import redacted, redacted_data

from .servers import Server, answer, error, plain, serving, sse
from .servers import events as wire_events

KEY = "sk-canary0123456789abcdef"


@pytest.fixture(scope="module")
def server() -> Any:
    with serving() as made:
        yield made


def chat(url: str, **more: Any) -> ChatModel:
    return ChatModel("openai:m", base_url=url, api_key=KEY, **more).with_retry(attempts=2, base=0)


class Notes:
    """An observer that keeps what it is shown."""

    def __init__(self) -> None:
        self.seen: list[Seen] = []

    def begin(self, seen: Seen) -> None:
        seen.of[id(self)] = "begun"

    def end(self, seen: Seen) -> None:
        assert seen.of[id(self)] == "begun"
        self.seen.append(seen)


@pytest.fixture
def notes() -> Iterator[Notes]:
    made = Notes()
    watch(made)
    yield made
    watch(made, on=False)


# ---- watching


async def test_every_way_to_call_is_seen(server: Server, notes: Notes) -> None:
    said, streamed = chat(server.route(plain()).url), chat(server.route(sse(wire_events("a", "b"))).url)
    said("hi")
    await said.ainvoke("hi")
    said.batch(["a", "b"])
    list(streamed.stream("hi"))
    assert [c.text async for c in streamed.astream("hi") if c.text] == ["a", "b"]
    assert [s.streamed for s in notes.seen] == [False] * 4 + [True] * 2
    assert all(s.message is not None and s.message.finish_reason == "stop" and s.error is None for s in notes.seen)
    assert [s.pieces for s in notes.seen] == [0] * 4 + [2] * 2
    last = notes.seen[-1]
    assert last.began < (last.first or 0) <= (last.last or 0) <= (last.ended or 0)


def test_failures_cuts_and_leaving_are_seen(server: Server, notes: Notes) -> None:
    with pytest.raises(RateLimitError):
        chat(server.route(error(429)).url)("hi")
    with pytest.raises(IncompleteStream):
        list(chat(server.route(sse(wire_events("a")[:2])).url).stream("hi"))
    with chat(server.route(sse(wire_events("a", "b"), gap=0.2)).url).stream("hi") as stream:
        assert any(chunk.text for chunk in stream)
    limited, cut, left = notes.seen
    assert isinstance(limited.error, RateLimitError)
    assert (type(cut.error), cut.message and cut.message.text) == (IncompleteStream, "a")
    assert (left.left, left.error, left.message and left.message.text) == (True, None, "a")


def test_an_observer_that_fails_breaks_nothing(server: Server, caplog: pytest.LogCaptureFixture) -> None:
    class Broken(Notes):
        def end(self, seen: Seen) -> None:
            raise RuntimeError("broken")

    broken = Broken()
    watch(broken)
    try:
        assert chat(server.route(plain()).url)("hi").text
    finally:
        watch(broken, on=False)
    assert "Broken.end failed" in caplog.text


def test_nothing_is_in_the_way_when_nobody_watches(server: Server) -> None:
    assert not chat(server.route(plain()).url)._plan().layers
    everywhere(5, None)


# ---- OpenTelemetry


class Exported:
    def __init__(self) -> None:
        from opentelemetry.sdk._logs import LoggerProvider
        from opentelemetry.sdk._logs.export import InMemoryLogRecordExporter, SimpleLogRecordProcessor
        from opentelemetry.sdk.metrics import MeterProvider
        from opentelemetry.sdk.metrics.export import InMemoryMetricReader
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import SimpleSpanProcessor
        from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

        self._spans, self._logs, self.reader = (
            InMemorySpanExporter(),
            InMemoryLogRecordExporter(),
            InMemoryMetricReader(),
        )
        self.tracers = TracerProvider()
        self.tracers.add_span_processor(SimpleSpanProcessor(self._spans))
        self.loggers = LoggerProvider()
        self.loggers.add_log_record_processor(SimpleLogRecordProcessor(self._logs))
        self.meters = MeterProvider(metric_readers=[self.reader])

    def on(self, **more: Any) -> None:
        telemetry.instrument(
            tracer_provider=self.tracers, meter_provider=self.meters, logger_provider=self.loggers, **more
        )

    @property
    def spans(self) -> list[Any]:
        return list(self._spans.get_finished_spans())

    @property
    def events(self) -> list[Any]:
        return [data.log_record for data in self._logs.get_finished_logs()]

    @property
    def metrics(self) -> dict[str, list[Any]]:
        data = self.reader.get_metrics_data()
        return {
            m.name: list(m.data.data_points) for r in data.resource_metrics for s in r.scope_metrics for m in s.metrics
        }


@pytest.fixture
def exported() -> Iterator[Exported]:
    pytest.importorskip("opentelemetry.sdk")
    made = Exported()
    yield made
    telemetry.uninstrument()
    made.meters.shutdown()
    made.loggers.shutdown()
    made.tracers.shutdown()


def test_a_span_says_what_was_asked_and_answered(server: Server, exported: Exported) -> None:
    exported.on()
    url = server.route(error(500), plain(headers={"x-request-id": "r1"})).url
    with exported.tracers.get_tracer("test").start_as_current_span("mine") as mine:
        answer = chat(url, temperature=0.5, max_tokens=9, stop=["x"]).invoke("secret words")
    span = next(s for s in exported.spans if s.name == "chat m")
    assert span.parent.span_id == mine.get_span_context().span_id
    assert span.kind.name == "CLIENT"
    found = dict(span.attributes)
    assert found["gen_ai.operation.name"] == "chat"
    assert found["gen_ai.provider.name"] == "openai"
    assert (found["gen_ai.request.model"], found["gen_ai.response.model"]) == ("m", answer.model)
    assert (found["gen_ai.request.temperature"], found["gen_ai.request.max_tokens"]) == (0.5, 9)
    assert found["gen_ai.request.stop_sequences"] == ("x",)
    assert found["gen_ai.response.finish_reasons"] == ("stop",)
    assert answer.usage is not None
    assert found["gen_ai.usage.input_tokens"] == answer.usage.input_tokens
    assert (found["server.address"], found["server.port"]) == ("127.0.0.1", int(url.split(":")[2].split("/")[0]))
    assert "secret words" not in str(found) + str([e.attributes for e in exported.events])
    assert KEY not in str(found)


def test_the_names_are_those_of_the_conventions(server: Server, exported: Exported) -> None:
    names = pytest.importorskip("opentelemetry.semconv._incubating.attributes.gen_ai_attributes")
    known = {v for k, v in vars(names).items() if k.startswith("GEN_AI") and isinstance(v, str)}
    exported.on(content=True)
    chat(server.route(plain()).url, n=2, seed=1, top_p=1, temperature=0).with_tools(
        {"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}
    )([("system", "s"), ("user", "u")])
    list(chat(server.route(sse(wire_events("a", "b"))).url).stream("hi"))
    used = {k for s in exported.spans for k in s.attributes} | {k for e in exported.events for k in e.attributes}
    assert {u for u in used if u.startswith("gen_ai.")} <= known
    metrics = pytest.importorskip("opentelemetry.semconv._incubating.metrics.gen_ai_metrics")
    assert set(exported.metrics) <= {v for k, v in vars(metrics).items() if k.startswith("GEN_AI")}


def test_an_error_is_on_the_span(server: Server, exported: Exported) -> None:
    exported.on()
    with pytest.raises(RateLimitError):
        chat(server.route(error(429, f"wrong key {KEY}", code="rate_limit_exceeded")).url)("hi")
    with pytest.raises(IncompleteStream):
        list(chat(server.route(sse(wire_events("a")[:1])).url).stream("hi"))
    limited, cut = exported.spans
    assert limited.attributes["error.type"] == "rate_limit_exceeded"
    assert limited.status.status_code.name == "ERROR"
    assert KEY not in str(limited.status.description)
    assert cut.attributes["error.type"] == "IncompleteStream"
    assert cut.attributes["gen_ai.response.finish_reasons"] == ("error",)


def test_metrics(server: Server, exported: Exported) -> None:
    exported.on()
    answer = chat(server.route(plain()).url)("hi")
    list(chat(server.route(sse(wire_events("a", "b", "c"))).url).stream("hi"))
    found = exported.metrics
    assert sum(p.count for p in found["gen_ai.client.operation.duration"]) == 2
    assert sum(p.count for p in found["gen_ai.client.operation.time_to_first_chunk"]) == 1
    assert sum(p.count for p in found["gen_ai.client.operation.time_per_output_chunk"]) == 2  # each after the first
    counted = {p.attributes["gen_ai.token.type"]: p.sum for p in found["gen_ai.client.token.usage"]}
    assert answer.usage is not None
    assert counted["input"] >= (answer.usage.input_tokens or 0) > 0


def test_the_tokens_of_an_answer_are_on_one_span(server: Server, exported: Exported) -> None:
    exported.on()
    model = chat(server.route(plain()).url).with_cache(SemanticCache(lambda text: [1.0, 0.0]))
    for words in ("hi", "hi", "hello"):
        model(words)
    asked, hit, similar = (dict(s.attributes) for s in exported.spans)
    assert asked["gen_ai.usage.input_tokens"] == 8
    assert "chatmodels.from_cache" not in asked
    for found in (hit, similar):
        assert found["chatmodels.from_cache"] is True
        assert not [name for name in found if name.startswith("gen_ai.usage")]
    assert (hit.get("chatmodels.cache.similarity"), similar["chatmodels.cache.similarity"]) == (None, 1.0)


@pytest.mark.parametrize("number", [1, 3])
@pytest.mark.parametrize("kind", ["function", "coroutine"])
def test_what_tools_ask_belongs_to_the_span_and_the_tracking_around_them(
    server: Server, exported: Exported, number: int, kind: str
) -> None:
    exported.on()
    inner = chat(server.route(plain()).url).with_model("inner")

    def ask(question: str) -> str:
        return inner(question).text

    async def aask(question: str) -> str:
        return (await inner.ainvoke(question)).text

    function = {"name": "ask" if kind == "function" else "aask", "arguments": '{"question": "why?"}'}
    calls = [{"id": f"c{n}", "type": "function", "function": function} for n in range(number)]
    asks = {"message": {"role": "assistant", "content": None, "tool_calls": calls}, "finish_reason": "tool_calls"}
    route = server.route(plain(answer(choices=[{"index": 0, **asks}])), plain())
    with exported.tracers.get_tracer("test").start_as_current_span("mine") as mine, track_usage() as spent:
        chat(route.url).with_tools(ask if kind == "function" else aask).run_tools("go")
    asked = [s for s in exported.spans if s.name == "chat inner"]
    assert len(asked) == number
    tools = {s.context.span_id: s for s in exported.spans if s.name.startswith("execute_tool ")}
    assert {s.parent and s.parent.span_id for s in asked} == set(tools)
    (agent,) = [s for s in exported.spans if s.name == "invoke_agent"]
    assert {s.parent and s.parent.span_id for s in tools.values()} == {agent.context.span_id}
    assert agent.parent.span_id == mine.get_span_context().span_id
    assert spent.calls == number + 2


@pytest.mark.parametrize(
    ("content", "variable", "in_span", "in_event"),
    [(None, "", False, False), ("span", "", True, False), ("event", "", False, True), (True, "", True, True),
     (None, "SPAN_AND_EVENT", True, True), (None, "true", True, True), (False, "true", False, False)],
)  # fmt: skip
def test_content_goes_only_where_it_was_asked_for(
    server: Server, exported: Exported, monkeypatch: pytest.MonkeyPatch,
    content: Any, variable: str, in_span: bool, in_event: bool,
) -> None:  # fmt: skip
    monkeypatch.setenv("OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT", variable)
    exported.on(content=content)
    chat(server.route(plain()).url)([SystemMessage("be brief"), HumanMessage("the question")])
    assert ("the question" in str(exported.spans[0].attributes)) == in_span
    assert ("the question" in str(exported.events[0].attributes)) == in_event
    assert exported.events[0].event_name == "gen_ai.client.inference.operation.details"


def test_content_in_the_form_of_the_conventions() -> None:
    from chatmodels.telemetry._content import input_of, output_of, system_of

    call = ToolCall("c1", "f", {"a": 1})
    messages = [
        SystemMessage("be brief"),
        HumanMessage(
            ["look", Image(data=b"\x89PNG\r\n\x1a\n", media_type="image/png"), Image(url="https://x.example/a.png")]
        ),
        AIMessage([call]),
        ToolMessage("22", tool_call_id="c1"),
    ]
    assert system_of(messages) == [{"type": "text", "content": "be brief"}]
    user, ai, tool = input_of(messages)
    assert [p["type"] for p in user["parts"]] == ["text", "blob", "uri"]
    assert user["parts"][1]["content"] == "iVBORw0KGgo="
    assert ai["parts"] == [{"type": "tool_call", "id": "c1", "name": "f", "arguments": {"a": 1}}]
    assert tool == {"role": "tool", "parts": [{"type": "tool_call_response", "id": "c1", "response": "22"}]}
    answer = AIMessage([call], finish_reason="tool_calls")
    assert output_of(answer)[0]["finish_reason"] == "tool_call"


def test_what_is_wrong_is_said_at_once() -> None:
    pytest.importorskip("opentelemetry")
    with pytest.raises(UsageError, match="content"):
        telemetry.instrument(content="everywhere")


# ---- lines


def test_a_line_for_each_call(server: Server, caplog: pytest.LogCaptureFixture) -> None:
    logger = logging.getLogger("test.chatmodels")
    telemetry.log_calls(logger)
    try:
        with caplog.at_level(logging.INFO, logger.name):
            chat(server.route(error(500), plain(headers={"x-request-id": "r1"})).url)("my secret")
            with pytest.raises(RateLimitError):
                chat(server.route(error(429, f"no {KEY}")).url)("my secret")
            with pytest.raises(RateLimitError):
                chat(server.route(error(429, "no more of 'my secret'")).url)("my secret")
    finally:
        telemetry.log_calls(logger, on=False)
    good, bad, echo = caplog.records
    assert echo.getMessage().endswith("tries, RateLimitError")
    assert (good.levelname, bad.levelname) == ("INFO", "WARNING")
    assert "2 tries" in good.getMessage()
    assert "request r1" in good.getMessage()
    assert good.chatmodels["finish_reason"] == "stop"  # type: ignore[attr-defined]
    assert "RateLimitError" in bad.getMessage()
    assert "my secret" not in caplog.text
    assert KEY not in caplog.text


def test_lines_with_content_are_masked_and_cut(server: Server, caplog: pytest.LogCaptureFixture) -> None:
    logger = logging.getLogger("test.chatmodels")
    telemetry.log_calls(logger, content=True)
    try:
        with caplog.at_level(logging.INFO, logger.name):
            chat(server.route(plain()).url)(f"my key is {KEY} " + "x" * 1000)
    finally:
        telemetry.log_calls(logger, on=False)
    assert "my key is [hidden]" in caplog.text
    assert KEY not in caplog.text
    assert "x" * 501 not in caplog.text


@pytest.mark.parametrize(
    "secret",
    ["ya29.a0AfH6SMBabcdefghijklmnop", "sk-proj-abcdefghijklmnopqrst", "AIzaSyA1234567890abcdefghij", "gsk_abcdefghijklmnopqrstuv",
     "ghp_abcdefghijklmnopqrstuv", "ghs_abcdefghijklmnopqrstuv", "npm_abcdefghijklmnopqrstuv",
     "dapi0123456789abcdef0123456789abcdef",
     "lsv2_pt_0123456789abcdef0123456789abcdef", "sk_live_0123456789abcdef",
     "-----BEGIN PRIVATE KEY-----\nMIIEvQ\n-----END PRIVATE KEY-----",
     "AKIAIOSFODNN7EXAMPLE1234", "eyJhbGciOiJI.eyJzdWIiOiIx.SflKxwRJSMeKKF2QT4f"],
)  # fmt: skip
def test_what_looks_like_a_key_is_masked(secret: str) -> None:
    assert redacted(f"before {secret} after") == "before [hidden] after"
    assert (
        redacted("https://user:pass@host/x, plain words, key-value")
        == "https://[hidden]@host/x, plain words, key-value"
    )


@pytest.mark.parametrize(
    "before",
    [
        "api-key: ",
        "X-Api-Key:",
        "https://h/v1?key=",
        "access_token=",
        '{"api_key": "',
        '{"password":"',
        "bearer ",
        "Basic ",
        "Authorization: ",
        "https://h/x?sv=2024&sig=",
        "aws_secret_access_key=",
        "redis_password=",
    ],
)
def test_what_follows_the_name_of_a_key_is_masked(before: str) -> None:
    assert redacted(f"{before}0123456789abcdef0123456789abcdef") == f"{before}[hidden]"


@pytest.mark.parametrize(
    "text",
    [
        "unknown key: response_format_of_the_answer",
        "basic understanding of bearer authentication",
        "max_tokens=1234567890",
        "sk-learn-is-a-library-for-machine-learning, key-value-stores-are-a-thing-here",
        "hf_transformers_model_loading and fw_update-2024-version-notes",
        "password: correct horse battery staple",
        "claude-3-5-sonnet-20241022, gpt-4o-mini-2024-07-18",
    ],
)
def test_plain_words_are_not_masked(text: str) -> None:
    assert redacted(text) == text


@pytest.mark.parametrize("evil", ["sk-", "password=", "://a:", "Bearer ", "-----BEGIN PRIVATE KEY", "eyJ", "a."])
def test_masking_takes_time_in_proportion_to_the_text(evil: str) -> None:
    """A model may answer anything: no text may hold up the program that writes it down."""
    began = time.process_time()
    redacted_data(evil * 5000)
    assert time.process_time() - began < 0.5
    assert redacted("redis://:pa55word@host") == "redis://[hidden]@host"
    assert redacted("x" * 490 + " sk-canary-0123456789").endswith(" [hidden]")


# ---- the local log


def test_the_log_holds_each_call(server: Server, tmp_path: Path) -> None:
    book = telemetry.log_to(tmp_path / "calls.db")
    try:
        chat(server.route(plain()).url, temperature=0.25)(
            [("system", "be brief"), ("user", "Why 100% blue? Müßte Strasse")]
        )
        with pytest.raises(RateLimitError):
            chat(server.route(error(429, f"no {KEY}")).url, extra_headers={"x-key": KEY})("again")
    finally:
        telemetry.log_to(tmp_path / "calls.db", on=False)
    failed, good = book.entries()
    assert [m.text for m in good.messages] == ["be brief", "Why 100% blue? Müßte Strasse"]
    assert (good.asked_model, good.settings.temperature, good.tries) == ("openai:m", 0.25, 1)
    assert good.answer is not None
    assert good.answer.text
    assert (failed.answer, failed.error and failed.error.split(":")[0]) == (None, "RateLimitError")
    assert [e.id for e in book.entries(search="100% BLUE")] == [good.id]
    assert not book.entries(search="10% blue")
    assert [e.id for e in book.entries(search="MÜSSTE straße")] == [
        good.id
    ]  # in any letters: SQLite alone knows A to Z
    book.close()
    assert KEY.encode() not in b"".join(p.read_bytes() for p in tmp_path.iterdir())
    assert (tmp_path / "calls.db").stat().st_mode & 0o077 == 0


def test_secrets_in_settings_are_not_in_the_log(server: Server, tmp_path: Path) -> None:
    """Gateways take keys in the body, and headers of other names."""
    book = telemetry.log_to(tmp_path / "calls.db")
    body = {
        "api_key": "canary-in-a-body",
        "routes": [{"token": "canary-below", "note": f"with {KEY}"}],
        "max_tokens": 7,
    }
    try:
        chat(server.route(plain()).url, extra_body=body, extra_headers={"x-team": "canary-header"})("hi")
    finally:
        telemetry.log_to(tmp_path / "calls.db", on=False)
    (entry,) = book.entries()
    hidden = {"api_key": "[hidden]", "routes": [{"token": "[hidden]", "note": "with [hidden]"}], "max_tokens": 7}
    assert entry.settings.extra_body == hidden
    book.close()
    written = b"".join(p.read_bytes() for p in tmp_path.iterdir())
    assert b"canary" not in written
    assert KEY.encode() not in written


def test_where_no_log_can_be_is_said_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    (tmp_path / "file").write_text("not a folder")
    with pytest.raises(UsageError, match="cannot be at") as caught:
        telemetry.log_to(tmp_path / "file" / "calls.db")
    assert caught.value.argument == "path"
    with pytest.raises(UsageError, match="not a log of calls"):
        telemetry.log_to(tmp_path / "file")
    assert (tmp_path / "file").read_text() == "not a folder"
    monkeypatch.setenv("CHATMODELS_LOGS", str(tmp_path / "file"))
    assert main(["hi"]) == 2
    assert capsys.readouterr().err.count("\n") == 1


def test_a_file_that_is_held_elsewhere_holds_up_no_call_and_loses_none(
    server: Server, tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("chatmodels.telemetry._book.MOST_WAITING", 3)
    book = telemetry.log_to(tmp_path / "calls.db")
    monkeypatch.setattr("chatmodels.telemetry._book.PATIENCE", 600.0)  # who waits for it is never done
    model = chat(server.route(plain()).url)
    other = sqlite3.connect(tmp_path / "calls.db", isolation_level=None)
    try:
        model("0")
        other.execute("begin immediate")
        for number in range(1, 5):
            assert model(str(number)).text
        other.execute("rollback")
        model("5")
        model("6")
    finally:
        telemetry.log_to(tmp_path / "calls.db", on=False)
        other.close()
    assert [e.messages[0].text for e in book.entries()] == ["6", "5", "4", "3", "2", "0"]
    book.close()
    told = [r.getMessage() for r in caplog.records]
    assert len(told) == 2
    assert "database is locked" in told[0]
    assert told[1].startswith("1 calls are lost to the log")
    assert all(r.exc_info is None for r in caplog.records)


def test_what_waits_is_written_when_the_process_ends_and_not_by_a_child(server: Server, tmp_path: Path) -> None:
    path = tmp_path / "calls.db"
    code = (
        "import sys, os, sqlite3, chatmodels\n"
        "from chatmodels import telemetry\n"
        "path, url = sys.argv[1:]\n"
        "book = telemetry.log_to(path)\n"
        "model = chatmodels.ChatModel('openai:m', base_url=url, api_key='k')\n"
        "other = sqlite3.connect(path, isolation_level=None)\n"
        "other.execute('begin immediate')\n"
        "model('of the parent')\n"
        "child = os.fork()\n"
        "if not child:\n"
        "    sys.exit()\n"
        "os.waitpid(child, 0)\n"
        "other.execute('rollback')\n"
    )
    command = [sys.executable, "-W", "ignore", "-c", code, str(path), server.route(plain()).url]
    subprocess.run(command, check=True, timeout=60)
    assert [e.messages[0].text for e in CallLog(path).entries()] == ["of the parent"]


def test_what_is_no_log_is_left_alone(tmp_path: Path) -> None:
    text, other = tmp_path / "text", tmp_path / "other.db"
    text.write_text("not a database, but long enough to be read as one " * 20)
    with sqlite3.connect(other) as connection:
        connection.execute("create table mine (a)")
    connection.close()
    for path in (text, other):
        before = path.read_bytes()
        with pytest.raises(UsageError, match="not a log of calls"):
            CallLog(path).entries()
        assert path.read_bytes() == before


def test_the_command(server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    path = tmp_path / "calls.db"
    monkeypatch.setattr(sys, "stdin", io.StringIO())
    monkeypatch.setenv("CHATMODELS_LOGS", str(path))
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    monkeypatch.setenv("OPENAI_BASE_URL", server.route(plain()).url)
    try:
        assert main(["-m", "openai:m", "--no-stream", "-o", "temperature=0", "Why is the sky blue?"]) == 0
    finally:
        telemetry.log_to(path, on=False)
    capsys.readouterr()
    assert main(["logs"]) == 0
    line = capsys.readouterr().out
    assert "openai:m" in line
    assert "Why is the sky blue?" in line
    assert main(["logs", "nothing like it"]) == 0
    assert capsys.readouterr().out == ""
    assert main(["logs", "--show", "1"]) == 0
    assert "Why is the sky blue?" in capsys.readouterr().out
    monkeypatch.setenv("OPENAI_BASE_URL", server.route(sse(wire_events("new ", "answer"))).url)
    assert main(["logs", "--rerun", "1"]) == 0
    assert capsys.readouterr().out == "new answer\n"
    assert main(["logs", "--show", "99"]) == 2
    assert "no call 99" in capsys.readouterr().err


def test_calls_can_be_forgotten(server: Server, tmp_path: Path, capsys: Any) -> None:
    path = tmp_path / "calls.db"
    telemetry.log_to(path)
    try:
        for n in range(5):
            chat(server.route(plain()).url)(f"question {n} canary{n}")
    finally:
        telemetry.log_to(path, on=False)
    assert main(["logs", "--file", str(path), "--prune", "--days", "1"]) == 0
    assert main(["logs", "--file", str(path), "--prune", "--keep", "2"]) == 0
    assert capsys.readouterr().out == "0 calls forgotten\n3 calls forgotten\n"
    book = CallLog(path)
    assert [e.id for e in book.entries()] == [5, 4]
    book.close()
    left = b"".join(p.read_bytes() for p in tmp_path.iterdir())
    assert [n for n in range(5) if b"canary%d" % n in left] == [3, 4]
    assert book.prune(days=0) == 2
    assert not book.entries()
    book.close()


def test_what_to_forget_must_be_said(server: Server, tmp_path: Path, capsys: Any) -> None:
    path = tmp_path / "calls.db"
    CallLog(path).entries()
    for wrong in ([], ["--keep", "-1"], ["--days", "-1"], ["--days", "nan"]):
        assert main_ends(["logs", "--file", str(path), "--prune", *wrong]) == 2
    assert main_ends(["logs", "--file", str(path), "--keep", "3"]) == 2
    assert "go with --prune" in capsys.readouterr().err
    assert main_ends(["logs", "--file", str(path), "-n", "-1"]) == 2
    with pytest.raises(UsageError, match="keep"):
        telemetry.log_to(path, keep=0)


def main_ends(arguments: list[str]) -> Any:
    try:
        return main(arguments)
    except SystemExit as left:  # of the parser
        return left.code


def test_a_bounded_log_keeps_the_newest(server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("chatmodels.telemetry._book._SWEEP", 1)
    book = telemetry.log_to(tmp_path / "calls.db", keep=2)
    try:
        for n in range(4):
            chat(server.route(plain()).url)(f"question {n}")
    finally:
        telemetry.log_to(tmp_path / "calls.db", on=False)
    assert [e.messages[0].text for e in book.entries()] == ["question 3", "question 2"]
    book.close()


def test_without_a_log_the_command_says_how_to_keep_one(tmp_path: Path, capsys: Any) -> None:
    assert main(["logs", "--file", str(tmp_path / "none.db")]) == 2
    assert "CHATMODELS_LOGS=1" in capsys.readouterr().err
    assert not (tmp_path / "none.db").exists()
