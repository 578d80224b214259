"""The practice server: every format, whole and streamed, through our own models; its command; guides run as pages."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import pytest

from chatmodels import ChatModel, ChatOpenAI
from chatmodels._schema_validate import validate
from chatmodels.batch import run_batch
from chatmodels.jobs import Jobs
from chatmodels.testing import PracticeServer, practice_server
from chatmodels.testing.practice._words import sample

PROVIDERS = (
    "openai", "openai-responses", "anthropic", "google", "bedrock", "cohere", "ollama", "mistral", "groq", "deepseek", "litellm",
)  # fmt: skip
THINKERS = ("openai-responses", "anthropic", "google", "bedrock", "cohere", "ollama")
MODELS = {
    "anthropic": "claude-sonnet-4-5",
    "bedrock": "eu.anthropic.claude-sonnet-4-5-20250929-v1:0",
    "google": "gemini-3.5-flash",
}


@pytest.fixture(scope="module")
def server() -> Iterator[PracticeServer]:
    with practice_server() as made:
        yield made


@pytest.fixture(autouse=True)
def practising(server: PracticeServer, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in server.environment().items():
        monkeypatch.setenv(name, value)


def model(provider: str, **options: Any) -> ChatModel:
    return ChatModel(
        f"{provider}:{MODELS.get(provider, 'command-a-reasoning-08-2025' if provider == 'cohere' else 'm')}", **options
    )


def weather(city: str) -> str:
    """The weather in a city."""
    return f"22 degrees in {city}"


@dataclass
class City:
    """A city."""

    name: str
    size: Literal["small", "big"]
    people: int
    rivers: list[str]


@pytest.mark.parametrize("provider", PROVIDERS)
def test_every_provider_answers_whole_and_streamed(provider: str) -> None:
    chat = model(provider)
    whole = chat("I love programming.")
    stream = chat.stream("I love programming.")
    pieces = [chunk.text for chunk in stream if chunk.text]
    assert pieces == ["J'aime ", "programmer."]
    for answer in (whole, stream.message, asyncio.run(chat.ainvoke("I love programming."))):
        assert (answer.text, answer.finish_reason) == ("J'aime programmer.", "stop")
        assert answer.usage is not None
        assert (answer.usage.input_tokens, answer.usage.output_tokens) == (28, 6)
        assert answer.warnings == ()


@pytest.mark.parametrize("provider", PROVIDERS)
def test_every_provider_calls_tools(provider: str) -> None:
    chat = model(provider).with_tools(weather)
    streamed = chat.stream("What is the weather in Oslo?").until_done()
    for asked in (chat("What is the weather in Oslo?"), streamed):
        assert [(call.name, call.args) for call in asked.tool_calls] == [("weather", {"city": "Oslo"})]
        assert asked.finish_reason == "tool_calls"
    run = chat.run_tools("What is the weather in Paris?")
    assert (run.text, run.steps) == ("It is 22 degrees in Paris.", 2)


@pytest.mark.parametrize("provider", PROVIDERS)
def test_every_provider_gives_typed_answers(provider: str) -> None:
    typed = model(provider).with_output(City)
    city = typed("Tell me about Lyon.")
    assert (city.name, city.size, type(city.people), city.rivers) == ("Lyon", "small", int, ["Lyon"])
    stream = typed.stream("Tell me about Lyon.")
    assert dict(list(stream)[-1])["rivers"] == ["Lyon"]
    assert stream.value == city


@pytest.mark.parametrize("provider", THINKERS)
def test_reasoning_is_whole_and_streamed(provider: str) -> None:
    options: dict[str, Any] = (
        {"reasoning_budget": 2000} if provider in ("anthropic", "bedrock") else {"reasoning_effort": "low"}
    )
    if provider == "openai-responses":
        options["reasoning_summary"] = "auto"
    chat = model(provider, **options)
    assert chat("I love programming.").reasoning == "The user wants French."
    assert chat.stream("I love programming.").until_done().reasoning == "The user wants French."


def test_what_no_guide_asks_is_told_so() -> None:
    assert ChatOpenAI()("What is the meaning of life?").text.startswith("This is the practice server")


@pytest.mark.parametrize("inner", [
    {"type": "integer", "minimum": 3},
    {"$ref": "#/$defs/A"},
    {"anyOf": [{"type": "null"}, {"type": "number", "exclusiveMinimum": 0}]},
    {"type": "array", "items": {"type": "boolean"}, "minItems": 2},
    {"type": ["string", "null"], "maxLength": 2},
    {"type": "string", "minLength": 20},
    {"const": 5},
    {"type": "object", "properties": {"c": {"type": "null"}}, "required": ["c"]},
])  # fmt: skip
def test_a_sample_fits_its_schema(inner: dict[str, Any]) -> None:
    schema = {"type": "object", "properties": {"a": inner}, "required": ["a"], "$defs": {"A": {"enum": ["x", "y"]}}}
    assert validate(sample(schema, "What about Rome?"), schema) == []


@pytest.mark.parametrize(
    "name",
    [
        "openai:gpt-4o-mini",
        "groq:m",
        "anthropic:claude-haiku-4-5",
        "google:gemini-2.5-flash",
        "mistral:mistral-small-latest",
    ],
)
def test_batch_apis(name: str, tmp_path: Path) -> None:
    items = [{"id": "a", "prompt": "I love programming."}, {"id": "b", "prompt": "Hello."}]
    summary = run_batch(ChatModel(name), items, out=tmp_path / "out.jsonl", via="provider")
    assert (summary.done, summary.failed, summary.jobs) == (2, 0, 1)
    lines = [json.loads(line) for line in (tmp_path / "out.jsonl").read_text().splitlines()]
    assert {line["id"]: line["text"] for line in lines} == {"a": "J'aime programmer.", "b": "Bonjour."}
    jobs = Jobs(ChatModel(name))
    job = jobs.submit(["I love programming."], ids=["x"])
    jobs.wait(job)
    assert jobs.results(job)["x"].text == "J'aime programmer."


def test_the_batch_api_of_bedrock_with_its_files(tmp_path: Path) -> None:
    """It takes no job of fewer than a hundred."""
    place = {"s3": "s3://my-bucket/batches", "role_arn": "arn:aws:iam::123456789012:role/batches"}
    chat, items = ChatModel("bedrock:amazon.nova-lite-v1:0"), [f"Programming, {n}" for n in range(100)]
    summary = run_batch(chat, items, out=tmp_path / "out.jsonl", via="provider", **place)
    assert (summary.done, summary.jobs) == (100, 1)
    jobs = Jobs(chat, **place)
    job = jobs.submit(items)
    assert jobs.wait(job).state == "done"
    assert jobs.results(job)["99"].text == "J'aime programmer."
    assert jobs.list()[0].id == job.id


def test_it_is_on_loopback_and_keeps_the_newest_requests_only(server: PracticeServer) -> None:
    assert server.server_address[0] == "127.0.0.1"
    ChatOpenAI()("I love programming.")
    assert server.seen[-1]["path"] == "/v1/chat/completions"
    assert server.seen[-1]["body"]["messages"][-1]["content"] == "I love programming."
    assert len(server.seen) <= 1000


@pytest.mark.parametrize(("path", "body", "status"), [
    ("/v1/chat/completions", b"{", 400), ("/v1/chat/completions", b"[]", 400), ("/v1/messages", b"{}", 400),
    ("/nowhere", b"{}", 404),
])  # fmt: skip
def test_a_request_it_cannot_read_is_an_error(path: str, body: bytes, status: int, server: PracticeServer) -> None:
    with pytest.raises(HTTPError) as caught:
        urlopen(Request(server.url + path, data=body))
    assert caught.value.code == status
    assert "practice server" in json.loads(caught.value.read())["error"]["message"]
    caught.value.close()


def test_a_client_that_goes_away_is_no_error(server: PracticeServer, capfd: pytest.CaptureFixture[str]) -> None:
    import socket
    import struct

    port = int(server.url.rpartition(":")[2])
    for _ in range(3):
        client = socket.create_connection(("127.0.0.1", port))
        client.sendall(b"POST /v1/chat/completions HTTP/1.1\r\ncontent-length: 9\r\n\r\n{")
        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        client.close()  # with a reset
    assert ChatOpenAI()("Hello").text == "Bonjour."
    assert capfd.readouterr().err == ""


def test_a_port_that_is_taken(server: PracticeServer, tmp_path: Path) -> None:
    (tmp_path / "x.py").write_text("")
    done = command("--port", str(server.server_address[1]), "x.py", cwd=tmp_path)
    assert (done.returncode, "give another one" in done.stderr) == (2, True)


def test_the_environment_reaches_every_provider_that_has_an_address(server: PracticeServer) -> None:
    found = server.environment()
    assert found["OPENAI_API_KEY"] == found["ANTHROPIC_API_KEY"] == "practice"
    assert found["OPENAI_BASE_URL"] == server.base_url
    assert found["GROQ_BASE_URL"] == f"{server.url}/openai/v1"
    assert "WANDB_BASE_URL" not in found  # the address of another server of theirs


def command(*words: str, cwd: Path, **more: str) -> subprocess.CompletedProcess[str]:
    clean = {k: v for k, v in os.environ.items() if not k.endswith(("_API_KEY", "_BASE_URL", "_API_BASE"))}
    return subprocess.run(
        [sys.executable, "-m", "chatmodels", "practice", *words],
        cwd=cwd, capture_output=True, text=True, env={**clean, **more}, check=False, stdin=subprocess.DEVNULL,
    )  # fmt: skip


def test_a_script_and_its_status(tmp_path: Path) -> None:
    code = "import sys\nfrom chatmodels import ChatModel\nprint(ChatModel(sys.argv[1])('I love programming.').text)\nsys.exit(7)\n"
    (tmp_path / "script.py").write_text(code)
    done = command("--delay", "0", "script.py", "anthropic:claude-sonnet-4-6", cwd=tmp_path)
    assert (done.stdout, done.returncode) == ("J'aime programmer.\n", 7)
    assert "its answers are made up" in done.stderr


def test_a_page_is_run_and_compared(tmp_path: Path) -> None:
    code = "from chatmodels import ChatOpenAI\n\nprint(ChatOpenAI()('Hello').text)\n"
    page = "# A page\n\n```python\n" + code + "```\n\n```text\n{}\n```\n"
    (tmp_path / "good.md").write_text(page.format("Bonjour."))
    (tmp_path / "bad.md").write_text(page.format("Salut."))
    good, bad = (command("--delay", "0", name, cwd=tmp_path) for name in ("good.md", "bad.md"))
    assert good.returncode == 0
    assert good.stdout.endswith("# prints\nBonjour.\n\n# good.md: all as the page says\n")
    assert bad.returncode == 1
    assert "# but the page says\nSalut.\n" in bad.stdout


@pytest.mark.parametrize(("words", "says"), [
    (["nothing.py"], "there is no file nothing.py"), (["no-such-program"], "there is no program no-such-program"),
    (["--delay", "-1", "x.py"], "--delay is seconds"), (["--port", "70000", "x.py"], "--port is a number"),
])  # fmt: skip
def test_a_wrong_command(words: list[str], says: str, tmp_path: Path) -> None:
    done = command(*words, cwd=tmp_path)
    assert done.returncode == 2
    assert says in done.stderr
