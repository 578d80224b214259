"""The practice server itself: HTTP on loopback, a thread for each connection. What it says is made in the other modules.

It is bound to 127.0.0.1 only, asks for no key, and keeps nothing but the newest requests.
"""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Generator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, cast
from urllib.parse import unquote, urlsplit

from ..._json import dumps_text, loads
from ..._providers import base_url_names, providers, url_fields
from ._anthropic import MESSAGES
from ._bedrock import CONVERSE
from ._format import Format
from ._google import GENERATE
from ._jobs import Jobs
from ._jobs_others import NO_KEY, Bedrock
from ._openai import CHAT, RESPONSES
from ._others import COHERE, OLLAMA
from ._words import Body, said

FORMATS = (CHAT, RESPONSES, MESSAGES, GENERATE, CONVERSE, COHERE, OLLAMA)
KEY = "practice"
#: How many requests are kept in `seen`.
KEPT = 1000


class PracticeServer(ThreadingHTTPServer):
    """A running stand-in for all providers.

    `url` is its root ("http://127.0.0.1:PORT"); `base_url` is that with "/v1", as OpenAI's clients want it.
    `seen` has the newest requests, each with `path`, `headers` and `body`.
    """

    daemon_threads = True
    request_queue_size = 128

    def __init__(self, port: int = 0, delay: float = 0.0) -> None:
        super().__init__(("127.0.0.1", port), _Handler)
        self.delay = delay
        self.seen: list[dict[str, Any]] = []
        self.jobs = Jobs(answer)
        self.url = f"http://127.0.0.1:{self.server_address[1]}"
        self.base_url = f"{self.url}/v1"

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that goes away in the middle is nothing to tell."""
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)

    def environment(self) -> dict[str, str]:
        """The environment variables that lead every provider's requests here, keys included."""
        found: dict[str, str] = {}
        for row in providers().values():
            if row.transport != "http":
                continue
            found |= dict.fromkeys(row.key_env[:1], KEY)
            if not url_fields(row) or row.base_url_env:
                path = urlsplit(row.base_url).path if not url_fields(row) else ""
                found |= dict.fromkeys(base_url_names(row), self.url + path)
        # Bedrock's batches read and write files, which no key of Bedrock's opens.
        found |= {"AWS_ENDPOINT_URL_S3": self.url + Bedrock.S3.rstrip("/"), "AWS_ENDPOINT_URL_BEDROCK": self.url}
        return found | {"AWS_ACCESS_KEY_ID": KEY, "AWS_SECRET_ACCESS_KEY": KEY, "AWS_REGION": "us-east-1"}


@contextmanager
def practice_server(*, port: int = 0, delay: float = 0.0) -> Generator[PracticeServer]:
    """A stand-in for every provider on 127.0.0.1 until the block ends; `delay` is the seconds between two chunks of a stream.

    It speaks Chat Completions, OpenAI Responses, Anthropic Messages, Gemini, Bedrock Converse, Cohere and Ollama, whole and
    streamed, and the batch APIs of OpenAI, Anthropic, Google, Mistral and Bedrock (with the S3 that it needs). The answers are made
    up and always the same; tools that the question names are called, and an output type gets a value that fits it.

        >>> with practice_server() as server:
        ...     ChatOpenAI(base_url=server.base_url, api_key="practice")("I love programming.").text
        "J'aime programmer."
    """
    server = PracticeServer(port, delay)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def answer(path: str, body: Body) -> Body:
    """The whole answer to a request of that path."""
    form = _form(path)
    if form is None:
        raise ValueError(f"no format of the practice server has the path {path}")
    return form.whole(body, said(form.read(body)))


def _form(path: str) -> Format | None:
    return next((form for form in FORMATS if form.path.search(path)), None)


def _count(path: str, body: Body) -> Body | None:
    """The answer of an endpoint that counts tokens: a token is about four characters."""
    names = {"/count_tokens": "input_tokens", ":countTokens": "totalTokens", "/count-tokens": "inputTokens",
             "/responses/input_tokens": "input_tokens"}  # fmt: skip
    name = next((field for end, field in names.items() if path.endswith(end)), None)
    return None if name is None else {name: 1 + len(dumps_text(body)) // 4}


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1  # the head and the body in one packet

    @property
    def _practice(self) -> PracticeServer:
        return cast("PracticeServer", self.server)

    def log_message(self, format: str, *args: Any) -> None:
        """Quiet."""

    def do_POST(self) -> None:
        data = self.rfile.read(int(self.headers.get("content-length") or 0))
        path = unquote(urlsplit(self.path).path)
        try:
            made = self._practice.jobs.post(path, data, self.headers.get("content-type") or "")
            if made is not None:
                return self._json(made)
            body: Body = loads(data)
            self._note(body)
            return self._answer(path, body)
        except (ValueError, KeyError, TypeError, AttributeError, IndexError) as error:
            return self._json(_error(f"the practice server cannot read this request: {error!r}"), 400)

    def do_PUT(self) -> None:
        data = self.rfile.read(int(self.headers.get("content-length") or 0))
        made = self._practice.jobs.put(unquote(urlsplit(self.path).path), data)
        return self._not_found() if made is None else self._send(200, "application/octet-stream", made)

    def do_GET(self) -> None:
        found = self._practice.jobs.get(unquote(urlsplit(self.path).path))
        if isinstance(found, bytes):
            return self._send(404 if found == NO_KEY else 200, "application/octet-stream", found)
        return self._not_found() if found is None else self._json(found)

    def _note(self, body: Body) -> None:
        self._practice.seen.append({"path": self.path, "headers": dict(self.headers.items()), "body": body})
        del self._practice.seen[:-KEPT]

    def _answer(self, path: str, body: Body) -> None:
        if (count := _count(path, body)) is not None:
            return self._json(count)
        form = _form(path)
        if form is None:
            return self._not_found()
        if form.streams(path, body):
            return self._stream(form.stream_type, form.stream(body, said(form.read(body))))
        return self._json(form.whole(body, said(form.read(body))))

    def _not_found(self) -> None:
        self._json(_error(f"the practice server has nothing at {self.path}"), 404)

    def _json(self, value: Any, status: int = 200) -> None:
        self._send(status, "application/json", dumps_text(value).encode())

    def _send(self, status: int, kind: str, data: bytes) -> None:
        self._head(status, kind, ("Content-Length", str(len(data))))
        self.wfile.write(data)

    def _stream(self, kind: str, frames: list[bytes]) -> None:
        self._head(200, kind, ("Transfer-Encoding", "chunked"))
        for frame in frames:
            self.wfile.write(b"%x\r\n%b\r\n" % (len(frame), frame))
            if self._practice.delay:
                self.wfile.flush()
                time.sleep(self._practice.delay)
        self.wfile.write(b"0\r\n\r\n")

    def _head(self, status: int, kind: str, length: tuple[str, str]) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header(*length)
        self.send_header("x-request-id", "req_1")
        self.end_headers()


def _error(message: str) -> Body:
    """An error in OpenAI's shape, which every dialect reads."""
    return {"error": {"message": message, "type": "invalid_request_error", "code": None}}
