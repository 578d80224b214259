"""Loopback batch APIs that behave like OpenAI's, Anthropic's, Google's and Mistral's: jobs are made, run, listed, cancelled.

What a job comes to is said beforehand (`fate`). What was answered is counted by the item's text, as a bill would. Plain
Chat Completions and Messages are answered too, for the rest that goes in real time.
"""

from __future__ import annotations

import collections
import itertools
import json
import threading
import time
from collections.abc import Callable
from typing import Any

from ..servers import Exchange, Server, answer, error, plain

Fate = Callable[["Made", str], str]


class Made:
    """One job: its requests by id, and when it ends (on the monotonic clock)."""

    def __init__(self, number: int, label: str | None, requests: dict[str, str], ends: float) -> None:
        self.number, self.label, self.requests = number, label, requests
        self.created, self.ends = time.time(), ends
        self.cancelled = False
        self.state = "completed"
        self.done = False  # and its items are answered
        self.results: dict[str, tuple[str, str]] = {}  # id -> (how it went, text)

    @property
    def over(self) -> bool:
        return self.cancelled or time.monotonic() >= self.ends


class JobsServer:
    """The API of one provider. `fate(job, text)` says how an item goes: "ok", "bad", "expired", "missing", and "down" at OpenAI's;
    `failing(job)` is (code, reason) of one that fails as a whole. `before` and `after` each step may wait, break the connection
    or, before it, give (status, text) of an error."""

    def __init__(self, server: Server, provider: str, *, takes: float = 0.0) -> None:
        self.provider, self.takes = provider, takes
        self.jobs: dict[str, Made] = {}
        self.files: dict[str, bytes] = {}
        self.answered: collections.Counter[str] = collections.Counter()
        self.live: collections.Counter[str] = collections.Counter()
        self.steps: list[str] = []
        self.fate: Fate = lambda job, text: "ok"
        self.failing: Callable[[Made], tuple[str, str] | None] = lambda job: None
        self.before: Callable[[str, Exchange], Any] = lambda step, exchange: None
        self.after: Callable[[str, Exchange], None] = lambda step, exchange: None
        self._numbers = itertools.count(1)
        self._lock = threading.RLock()
        route = server.route(self._script)
        self.route = route
        self.url = route.url if provider in ("openai", "mistral") else route.url.removesuffix("/v1")
        if provider == "google":
            self.url = route.url

    # -- the wire

    def step(self, method: str, target: str) -> str:
        """What a request is for."""
        return _step(method, target)

    def _script(self, exchange: Exchange) -> None:
        step = self.step(exchange.request.method, exchange.request.target)
        refused = self.before(step, exchange)
        if exchange.closed:
            return
        if refused is not None:
            error(*refused)(exchange)
            return
        with self._lock:
            self.steps.append(step)
            said: Any = getattr(self, f"_{step}")(exchange.request)
        self.after(step, exchange)
        if exchange.closed:
            return
        if isinstance(said, tuple):
            error(said[0], said[1])(exchange)
        else:
            plain(said)(exchange)

    def _live(self, request: Any) -> Any:
        text = _text(request.json)
        self.live[text] += 1
        return self._answer(text)

    def _upload(self, request: Any) -> Any:
        name = f"file-{next(self._numbers)}"
        boundary = request.headers["content-type"].partition("boundary=")[2]
        part = request.body.split(f"--{boundary}".encode())[2]
        self.files[name] = part.partition(b"\r\n\r\n")[2]
        return {"id": name, "object": "file"}

    def _content(self, request: Any) -> Any:
        return self.files[request.target.split("/")[-2]]

    def _create(self, request: Any) -> Any:
        given = request.json
        label, requests = getattr(self, f"_read_{self.provider}")(given)
        number = next(self._numbers)
        id = {"google": f"batches/b{number}", "anthropic": f"msgbatch_{number}"}.get(self.provider, f"batch_{number}")
        made = self.jobs[id] = Made(number, label, requests, self.ending())
        return self._shown(id, made)

    def ending(self) -> float:
        """When a job that is made now ends."""
        return time.monotonic() + self.takes

    def _read_openai(self, given: Any) -> Any:
        lines = [json.loads(line) for line in self.files[given["input_file_id"]].splitlines() if line.strip()]
        return given.get("metadata", {}).get("label"), {x["custom_id"]: _text(x["body"]) for x in lines}

    def _read_anthropic(self, given: Any) -> Any:
        return None, {x["custom_id"]: _text(x["params"]) for x in given["requests"]}

    def _read_mistral(self, given: Any) -> Any:
        return given.get("metadata", {}).get("label"), {x["custom_id"]: _text(x["body"]) for x in given["requests"]}

    def _read_google(self, given: Any) -> Any:
        items = given["batch"]["inputConfig"]["requests"]["requests"]
        texts = {x["metadata"]["key"]: x["request"]["contents"][-1]["parts"][0]["text"] for x in items}
        return given["batch"]["displayName"], texts

    def _status(self, request: Any) -> Any:
        id = request.target.partition("/v1")[2].removeprefix("beta/").removeprefix("/v1beta/").strip("/")
        id = id.removeprefix("messages/").removeprefix("batch/jobs/") if self.provider != "google" else _google_id(id)
        id = id if self.provider == "google" else id.split("/")[-1]
        made = self.jobs.get(id)
        return (404, "no such batch") if made is None else self._shown(id, made)

    def _cancel(self, request: Any) -> Any:
        path = request.target.rpartition("/cancel")[0] or request.target.rpartition(":cancel")[0]
        id = _google_id(path) if self.provider == "google" else path.split("/")[-1]
        made = self.jobs[id]
        if made.over:
            return (409, "it has ended")
        made.cancelled = True
        return self._shown(id, made)

    def _results(self, request: Any) -> Any:
        made = self.jobs[request.target.split("/")[-2]]
        lines = []
        for id, (how, text) in made.results.items():
            result: dict[str, Any] = {"type": {"ok": "succeeded", "bad": "errored"}.get(how, "expired")}
            if how == "ok":
                result["message"] = self._answer(text)
            elif how == "bad":
                result["error"] = {"type": "error", "error": {"type": "invalid_request_error", "message": "no"}}
            lines.append({"custom_id": id, "result": result})
        return _jsonl(lines)

    def _list(self, request: Any) -> Any:
        shown = [self._shown(id, made) for id, made in reversed(list(self.jobs.items()))]
        key = "operations" if self.provider == "google" else "data"
        return {key: shown, "has_more": False}

    # -- jobs

    def _ended(self, made: Made) -> None:
        """Answer its items; what that costs is counted."""
        if self.failing(made) is not None:
            made.state = "failed"
            return
        for n, (id, text) in enumerate(made.requests.items()):
            how = self.fate(made, text)
            if made.cancelled and n >= len(made.requests) // 2:  # half of it had been answered
                how = "expired"
            if how == "ok":
                self.answered[text] += 1
            if how != "missing":
                made.results[id] = (how, text)
        if made.cancelled:
            made.state = "cancelled"
        elif made.results and all(how == "expired" for how, _ in made.results.values()):
            made.state = "expired"

    def _shown(self, id: str, made: Made) -> Any:
        if made.over and not made.done:
            self._ended(made)
            made.done = True
        return getattr(self, f"_show_{self.provider}")(id, made)

    def _show_openai(self, id: str, made: Made) -> Any:
        shown: dict[str, Any] = {
            "id": id, "object": "batch", "created_at": int(made.created), "metadata": {"label": made.label},
            "status": made.state if made.done else "in_progress",
            "request_counts": {"total": len(made.requests), "completed": 0, "failed": 0},
        }  # fmt: skip
        if not made.done:
            return shown
        if made.state == "failed":
            code, message = self.failing(made) or ("", "")
            shown["errors"] = {"object": "list", "data": [{"code": code, "message": message}]}
            return shown
        good = [_openai_line(i, how, self._answer(t)) for i, (how, t) in made.results.items() if how == "ok"]
        bad = [_openai_line(i, how, None) for i, (how, t) in made.results.items() if how != "ok"]
        for kind, lines in (("output_file_id", good), ("error_file_id", bad)):
            if lines:
                name = shown[kind] = f"{id}-{kind}"
                self.files[name] = _jsonl(lines)
        return shown

    def _show_mistral(self, id: str, made: Made) -> Any:
        words = {"completed": "SUCCESS", "failed": "FAILED", "cancelled": "CANCELLED", "expired": "TIMEOUT_EXCEEDED"}
        shown: dict[str, Any] = {
            "id": id, "created_at": int(made.created), "metadata": {"label": made.label},
            "status": words[made.state] if made.done else "RUNNING", "total_requests": len(made.requests),
        }  # fmt: skip
        if made.done and made.state == "failed":
            shown["errors"] = [{"message": (self.failing(made) or ("", ""))[1]}]
        elif made.done:
            shown["outputs"] = [
                _openai_line(i, how, self._answer(t) if how == "ok" else None) for i, (how, t) in made.results.items()
            ]
        return shown

    def _show_google(self, id: str, made: Made) -> Any:
        words = {"completed": "SUCCEEDED", "failed": "FAILED", "cancelled": "CANCELLED", "expired": "EXPIRED"}
        about = {
            "displayName": made.label, "createTime": _iso(made.created), "batchStats": {"requestCount": str(len(made.requests))},
            "state": "BATCH_STATE_" + (words[made.state] if made.done else "RUNNING"),
        }  # fmt: skip
        shown: dict[str, Any] = {"name": id, "metadata": about}
        if made.done and made.state == "failed":
            shown["error"] = {"code": 3, "message": (self.failing(made) or ("", ""))[1]}
        elif made.done and made.state == "completed":
            lines = []
            for key, (how, text) in made.results.items():
                one: dict[str, Any] = {"metadata": {"key": key}}
                if how == "ok":
                    one["response"] = self._answer(text)
                elif how == "bad":
                    one["error"] = {"code": 3, "message": "no"}
                else:
                    continue
                lines.append(one)
            shown["response"] = {"inlinedResponses": {"inlinedResponses": lines}}
        return shown

    def _show_anthropic(self, id: str, made: Made) -> Any:
        counts = dict.fromkeys(("processing", "succeeded", "errored", "canceled", "expired"), 0)
        if made.done:
            for how, _ in made.results.values():
                counts[{"ok": "succeeded", "bad": "errored"}.get(how, "expired")] += 1
            counts["errored"] += len(made.requests) - len(made.results)
        else:
            counts["processing"] = len(made.requests)
        return {"id": id, "type": "message_batch", "created_at": _iso(made.created), "request_counts": counts,
                "processing_status": "ended" if made.done else "in_progress"}  # fmt: skip

    def _answer(self, text: str) -> Any:
        if self.provider == "anthropic":
            return {"id": "msg_1", "type": "message", "role": "assistant", "model": "claude-haiku-4-5", "stop_reason": "end_turn",
                    "content": [{"type": "text", "text": text}], "usage": {"input_tokens": 8, "output_tokens": 5}}  # fmt: skip
        if self.provider == "google":
            return {"candidates": [{"content": {"parts": [{"text": text}], "role": "model"}, "finishReason": "STOP"}],
                    "usageMetadata": {"promptTokenCount": 8, "candidatesTokenCount": 5, "totalTokenCount": 13}}  # fmt: skip
        return answer(text)


def _step(method: str, target: str) -> str:
    path = target.partition("?")[0]
    ends = (
        ("/cancel", "cancel"), (":cancel", "cancel"), ("/content", "content"), ("/results", "results"), ("/files", "upload"),
        ("/chat/completions", "live"), (":generateContent", "live"), ("/v1/messages", "live"),
        (":batchGenerateContent", "create"),
    )  # fmt: skip
    for end, step in ends:
        if path.endswith(end):
            return step
    if path.endswith(("/batches", "/batch/jobs")):
        return "create" if method == "POST" else "list"
    return "status"


def _google_id(path: str) -> str:
    return "batches/" + path.rpartition("batches/")[2]


def _text(body: Any) -> str:
    found = (body.get("messages") or body.get("contents"))[-1]
    content = found.get("content") or found["parts"]
    return content if isinstance(content, str) else content[0]["text"]


def _iso(seconds: float) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds)) + ".123456789Z"


def _jsonl(lines: list[Any]) -> bytes:
    return b"".join(json.dumps(line).encode() + b"\n" for line in lines)


def _openai_line(id: str, how: str, body: Any) -> Any:
    if how == "ok":
        return {"custom_id": id, "response": {"status_code": 200, "request_id": "r", "body": body}, "error": None}
    if how == "bad":
        said = {"error": {"message": "no", "type": "invalid_request_error", "code": "bad_thing"}}
        return {"custom_id": id, "response": {"status_code": 400, "request_id": "r", "body": said}, "error": None}
    if how == "down":
        return {
            "custom_id": id,
            "response": {"status_code": 503, "body": {"error": {"message": "down"}}},
            "error": None,
        }
    return {"custom_id": id, "response": None, "error": {"code": "batch_expired", "message": "not in time"}}
