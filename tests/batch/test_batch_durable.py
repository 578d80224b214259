"""What `chatmodels batch` promises to the shell: killed, interrupted or on a full disk, the same command finishes the work."""

from __future__ import annotations

import json
import random
import resource
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from chatmodels.cli import main

from ..servers import Server, error
from .kills import Counting, check, command, environment, one_batch, write_items


@pytest.fixture(autouse=True)
def key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-canary")


def test_killed_at_random_points(server: Server, tmp_path: Path) -> None:
    found = one_batch(server, tmp_path, random.Random(5), items=80, kills=2, ordered=True)
    assert found["kills"] >= 1


def test_ctrl_c_lets_calls_in_flight_end_and_the_rest_waits(server: Server, tmp_path: Path) -> None:
    counting = Counting(server, after=0.01)
    write_items(tmp_path, 200)
    run = subprocess.Popen(command(tmp_path, counting.route.url), env=environment(), stderr=subprocess.PIPE, text=True)
    counting.route.wait_for_requests(30, 20)
    run.send_signal(signal.SIGINT)
    said = run.communicate(timeout=20)[1]
    assert run.returncode == 130
    assert "no more calls are sent" in said
    written = (tmp_path / "out.jsonl").read_text().count("\n")
    assert written == counting.answered.total() < 200  # nothing that was paid for is lost
    assert main(command(tmp_path, counting.route.url, "--quiet")[3:]) == 0
    assert check(tmp_path, counting, 200, False, 0, set()) == set()


def _full(size: int) -> Any:
    """Files of this process cannot grow beyond that; the system says so as it does of a full disk."""

    def limit() -> None:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))

    return limit


def test_a_full_disk(server: Server, tmp_path: Path) -> None:
    counting = Counting(server)
    write_items(tmp_path, 200)
    run = subprocess.run(
        command(tmp_path, counting.route.url, "--quiet"), env=environment(), capture_output=True, text=True,
        preexec_fn=_full(150_000), check=False,
    )  # fmt: skip
    assert run.returncode == 1
    assert "could not be written" in run.stderr or "File too large" in run.stderr
    assert "Traceback" not in run.stderr
    before = counting.answered.total()
    assert 0 < before < 200
    assert main(command(tmp_path, counting.route.url, "--quiet")[3:]) == 0
    check(tmp_path, counting, 200, False, 1, set(range(200)))


def test_exit_statuses(server: Server, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    counting = Counting(server)
    write_items(tmp_path, 20)
    words = command(tmp_path, counting.route.url)[3:]
    assert main(words) == 0
    assert "20 items: 20 done, 0 failed" in capsys.readouterr().err
    with (tmp_path / "in.jsonl").open("a") as more:
        more.write('{"prompt": 5}\n')
    assert main([*words, "--report", str(tmp_path / "r.html")]) == 1
    assert "21 items: 20 done, 1 failed, 21 from an earlier run" not in capsys.readouterr().err
    assert "UsageError" in (tmp_path / "r.html").read_text()
    assert main([*words, "--option", "temperature=0"]) == 2
    assert "journal of another batch" in capsys.readouterr().err
    assert main(["-m", "local", "batch"]) == 2
    refused = server.route(error(401, "no"))
    stopped = command(tmp_path, refused.url)[3:]
    assert main([*stopped, "--journal", str(tmp_path / "j"), "-o", str(tmp_path / "o2")]) == 3
    assert "stopped (fatal)" in capsys.readouterr().err


def test_standard_input_to_standard_output(server: Server, tmp_path: Path) -> None:
    counting = Counting(server)
    given = b'"one"\n{"id": 7, "prompt": "two"}\n'
    words = [sys.executable, "-m", "chatmodels", "batch", "-", "-m", "openai:gpt-4o-mini", "--base-url",
             counting.route.url, "--ordered", "--quiet"]  # fmt: skip
    run = subprocess.run(words, input=given, env=environment(), capture_output=True, check=False)
    assert run.returncode == 0, run.stderr
    assert [json.loads(line)["text"] for line in run.stdout.splitlines()] == ["one", "two"]
    assert run.stderr == b""
