"""A loopback Bedrock and S3: files are put and fetched, jobs are made of them, run, listed and stopped; all on one address.

Requests are read, and answers written, by botocore's own service model: what AWS's clients could not have sent, or not read, fails.
"""

from __future__ import annotations

import json
import re
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from ..servers import Server
from .jobs_server import JobsServer, Made, _iso, _jsonl, _text

ARN = "arn:aws:bedrock:eu-west-3:123456789012:model-invocation-job/"
ROLE = "arn:aws:iam::123456789012:role/batches"


class BedrockServer(JobsServer):
    """`files` has what is in S3, by "bucket/key"; `tokens` the jobs by the token that they were asked for with. `judged`: by
    botocore."""

    def __init__(self, server: Server, *, takes: float = 0.0, judged: bool = True) -> None:
        super().__init__(server, "bedrock", takes=takes)
        self.url = self.route.url
        self.made: dict[str, dict[str, Any]] = {}
        self.tokens: dict[str, str] = {}
        self.judged = judged

    def step(self, method: str, target: str) -> str:
        path = target.partition("?")[0].removeprefix(urlsplit(self.url).path)
        if "/model-invocation-job" in path:
            if path.endswith("/stop"):
                return "cancel"
            return "list" if path.endswith("s") else "create" if method == "POST" else "status"
        return {"PUT": "upload", "GET": "content"}.get(method, "live")

    def _path(self, request: Any) -> str:
        return unquote(urlsplit(request.target).path.removeprefix(urlsplit(self.url).path)).lstrip("/")

    def _check(self, name: str, given: dict[str, Any], service: str = "bedrock") -> None:
        if self.judged:
            check(name, given, service)

    def _read(self, name: str, said: dict[str, Any]) -> dict[str, Any]:
        return read(name, said) if self.judged else said

    # -- S3

    def _upload(self, request: Any) -> Any:
        self.files[self._path(request)] = request.body
        return b""

    def _content(self, request: Any) -> Any:
        found = self.files.get(self._path(request))
        if found is None:
            return (404, "<Error><Code>NoSuchKey</Code><Message>The specified key does not exist.</Message></Error>")
        return found

    # -- Bedrock

    def _create(self, request: Any) -> Any:
        given = request.json
        self._check("CreateModelInvocationJob", given)
        token = given["clientRequestToken"]
        if token not in self.tokens:
            data = self.files[given["inputDataConfig"]["s3InputDataConfig"]["s3Uri"].removeprefix("s3://")]
            lines = [json.loads(line) for line in data.splitlines()]
            if given["modelInvocationType"] == "Converse":
                for line in lines[:: max(1, len(lines) - 1)]:
                    self._check("Converse", {"modelId": given["modelId"], **line["modelInput"]}, "bedrock-runtime")
            requests = {line["recordId"]: _text(line["modelInput"]) for line in lines}
            number = next(self._numbers)
            id = self.tokens[token] = f"{ARN}job{number:09d}"
            self.made[id] = given
            self.jobs[id] = Made(number, given["jobName"], requests, self.ending())
        return self._read("CreateModelInvocationJob", {"jobArn": self.tokens[token]})

    def _job(self, request: Any) -> str | None:
        found = re.search(r"/model-invocation-job/([a-z0-9]{12})(/|$)", "/" + self._path(request))
        return ARN + found[1] if found is not None and ARN + found[1] in self.jobs else None

    def _status(self, request: Any) -> Any:
        id = self._job(request)
        if id is None:
            return (404, "no such job")
        return self._read("GetModelInvocationJob", self._shown(id, self.jobs[id]))

    def _cancel(self, request: Any) -> Any:
        made = self.jobs[self._job(request) or ""]
        if made.over:
            return (409, "it has ended")
        made.cancelled = True
        return {}

    def _list(self, request: Any) -> Any:
        query = parse_qs(urlsplit(request.target).query)
        assert query["sortOrder"] == ["Descending"]
        shown = [self._shown(id, made) for id, made in reversed(list(self.jobs.items()))]
        return self._read("ListModelInvocationJobs", {"invocationJobSummaries": shown})

    def _show_bedrock(self, id: str, made: Made) -> Any:
        words = {"completed": "Completed", "failed": "Failed", "cancelled": "Stopped", "expired": "Expired"}
        state = words[made.state] if made.done else "InProgress"
        if made.done and made.state == "completed" and any(how == "expired" for how, _ in made.results.values()):
            state = "PartiallyCompleted"
        given = self.made[id]
        shown = {
            "jobArn": id, "status": state, "submitTime": _iso(made.created), "totalRecordCount": len(made.requests),
            **{k: v for k, v in given.items() if k != "clientRequestToken"},
        }  # fmt: skip
        if made.state == "failed":
            shown["message"] = (self.failing(made) or ("", ""))[1]
        elif made.done:
            self._write(given, id, made)
        return shown

    def _write(self, given: Any, id: str, made: Made) -> None:
        """What is expired or missing has no line; the order is not that of the input."""
        lines = []
        for name, (how, text) in reversed(made.results.items()):
            line: dict[str, Any] = {"recordId": name, "modelInput": {}}
            if how == "ok":
                line["modelOutput"] = self._answer(text)
            elif how == "bad":
                line["error"] = {"errorCode": 400, "errorMessage": "no"}
            else:
                continue
            lines.append(line)
        folder = given["outputDataConfig"]["s3OutputDataConfig"]["s3Uri"].removeprefix("s3://")
        assert folder.endswith("/")
        name = folder + id.rpartition("/")[2]
        if lines:
            self.files[f"{name}/input.jsonl.out"] = _jsonl(lines)
        self.files[f"{name}/manifest.json.out"] = json.dumps({"totalRecordCount": len(made.requests)}).encode()

    def _answer(self, text: str) -> Any:
        return {
            "output": {"message": {"role": "assistant", "content": [{"text": text}]}},
            "stopReason": "end_turn", "usage": {"inputTokens": 8, "outputTokens": 5, "totalTokens": 13},
            "metrics": {"latencyMs": 5},
        }  # fmt: skip


# ---- botocore's word


def _operation(name: str, service: str) -> Any:
    from botocore.session import get_session

    return _model(get_session, service).operation_model(name)


_MODELS: dict[str, Any] = {}


def _model(session: Any, service: str) -> Any:
    if service not in _MODELS:
        _MODELS[service] = session().get_service_model(service)
    return _MODELS[service]


def check(name: str, given: dict[str, Any], service: str = "bedrock") -> None:
    """The input of an operation, held against the service's model: names, types, lengths, patterns."""
    from botocore.validate import ParamValidator

    shape = _operation(name, service).input_shape
    report = ParamValidator().validate(given, shape)
    assert not report.has_errors(), report.generate_report()
    unknown = set(given) - set(shape.members)
    assert not unknown, f"{name} has no {unknown}"
    _patterns(given, shape)


def _patterns(given: Any, shape: Any) -> None:
    if shape.type_name == "structure" and isinstance(given, dict):
        for name, value in given.items():
            if name in shape.members:
                _patterns(value, shape.members[name])
    elif isinstance(given, str):
        pattern = shape.metadata.get("pattern")
        assert pattern is None or re.fullmatch(pattern, given), f"{shape.name}: {given!r}"
        assert len(given) <= shape.metadata.get("max", len(given)), f"{shape.name}: {given!r} is too long"
    elif isinstance(given, int) and not isinstance(given, bool):
        assert shape.metadata.get("min", given) <= given <= shape.metadata.get("max", given)


def read(name: str, said: dict[str, Any]) -> dict[str, Any]:
    """An answer that AWS's own client can read without losing a field."""
    from botocore.parsers import create_parser

    parser = create_parser("rest-json")
    raw = {"status_code": 200, "headers": {}, "body": json.dumps(said).encode()}
    found = parser.parse(raw, _operation(name, "bedrock").output_shape)
    assert set(said) <= set(found), f"{name}: {set(said) - set(found)} would not be read"
    return said
