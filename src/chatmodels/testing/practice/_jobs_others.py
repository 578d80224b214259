"""The practice server's batch APIs of Google, Mistral and Bedrock, the last with as much of S3 as its files need.

A batch ends at once.

Source: https://ai.google.dev/api/batch-api, https://docs.mistral.ai/api/endpoint/batch and
https://docs.aws.amazon.com/bedrock/latest/userguide/batch-inference.html (2026-11).
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from ..._json import dumps_text, loads
from ._words import Body

#: Answers one request of a batch: (the path, its body) -> the answer's body.
Answering = Callable[[str, Body], Body]

DATE = "2026-11-22T00:00:00Z"
NO_KEY = b"<Error><Code>NoSuchKey</Code><Message>The specified key does not exist.</Message></Error>"


class Google:
    """`models/X:batchGenerateContent`, its operation, and the list."""

    def __init__(self, answering: Answering) -> None:
        self._answering = answering
        self._operations: dict[str, Body] = {}

    def post(self, path: str, data: bytes) -> Any:
        if not path.endswith(":batchGenerateContent"):
            return {} if re.search(r"/batches/[^/]+:cancel$", path) else None
        batch = loads(data)["batch"]
        requests = batch["inputConfig"]["requests"]["requests"]
        one = path.replace(":batchGenerateContent", ":generateContent")
        done = [{"response": self._answering(one, r["request"]), "metadata": r.get("metadata")} for r in requests]
        name = f"batches/practice-{len(self._operations) + 1}"
        about = {
            "displayName": batch.get("displayName"), "createTime": DATE,
            "batchStats": {"requestCount": str(len(done)), "successfulRequestCount": str(len(done))},
        }  # fmt: skip
        self._operations[name] = {
            "name": name, "done": True, "metadata": {**about, "state": "BATCH_STATE_SUCCEEDED"},
            "response": {"inlinedResponses": {"inlinedResponses": done}},
        }  # fmt: skip
        return {"name": name, "metadata": {**about, "state": "BATCH_STATE_PENDING"}}

    def get(self, path: str) -> Any:
        if path.endswith("/v1beta/batches"):
            return {"operations": list(self._operations.values())[::-1]}
        match = re.search(r"/v1beta/(batches/[^/]+)$", path)
        return None if match is None else self._operations.get(match[1])


class Mistral:
    """`/v1/batch/jobs` with the requests in it."""

    def __init__(self, answering: Answering) -> None:
        self._answering = answering
        self._jobs: dict[str, Body] = {}

    def post(self, path: str, data: bytes) -> Any:
        if match := re.search(r"/v1/batch/jobs/([^/]+)/cancel$", path):
            return self._jobs.get(match[1])
        if not path.endswith("/v1/batch/jobs"):
            return None
        given = loads(data)
        done = [
            {
                "custom_id": one["custom_id"],
                "response": {
                    "status_code": 200,
                    "body": self._answering(given["endpoint"], {"model": given["model"], **one["body"]}),
                },
                "error": None,
            }
            for one in given["requests"]
        ]
        name = f"practice-{len(self._jobs) + 1}"
        about = {k: given.get(k) for k in ("model", "endpoint", "metadata")}
        counts = {"total_requests": len(done), "succeeded_requests": len(done), "failed_requests": 0}
        job: Body = {"id": name, "object": "batch", **about, **counts, "errors": [], "created_at": 1}
        self._jobs[name] = {**job, "status": "SUCCESS", "outputs": done}
        return {**job, "status": "QUEUED"}

    def get(self, path: str) -> Any:
        if path.endswith("/v1/batch/jobs"):
            found = [{k: v for k, v in job.items() if k != "outputs"} for job in self._jobs.values()]
            return {"object": "list", "data": found[::-1], "total": len(found)}
        match = re.search(r"/v1/batch/jobs/([^/]+)$", path)
        return None if match is None else self._jobs.get(match[1])


class Bedrock:
    """`/model-invocation-job`, and the files that it reads and writes. Only jobs of Converse."""

    #: What stands before a bucket's name in the path of a file.
    S3 = "/s3/"

    def __init__(self, answering: Answering) -> None:
        self._answering = answering
        self._files: dict[str, bytes] = {}
        self._jobs: dict[str, Body] = {}

    def put(self, path: str, data: bytes) -> Any:
        """Keep a file."""
        if not path.startswith(self.S3):
            return None
        self._files[path.removeprefix(self.S3)] = data
        return b""

    def post(self, path: str, data: bytes) -> Any:
        if re.search(r"/model-invocation-job/[^/]+/stop$", path):
            return {}
        return self._submit(loads(data)) if path.endswith("/model-invocation-job") else None

    def get(self, path: str) -> Any:
        if path.startswith(self.S3):
            return self._files.get(path.removeprefix(self.S3), NO_KEY)
        if path.endswith("/model-invocation-jobs"):
            return {"invocationJobSummaries": list(self._jobs.values())[::-1]}
        match = re.search(r"/model-invocation-job/([^/]+)$", path)
        return None if match is None else self._jobs.get(match[1])

    def _submit(self, given: Body) -> Body:
        if given.get("modelInvocationType") != "Converse":
            raise ValueError("the practice server has jobs of Converse only")
        source = given["inputDataConfig"]["s3InputDataConfig"]["s3Uri"].removeprefix("s3://")
        records = [loads(line) for line in self._files[source].splitlines()]
        path = f"/model/{given['modelId']}/converse"
        done = [{**record, "modelOutput": self._answering(path, record["modelInput"])} for record in records]
        name = f"practice{len(self._jobs) + 1:04d}"
        folder = given["outputDataConfig"]["s3OutputDataConfig"]["s3Uri"].removeprefix("s3://").rstrip("/")
        counts = {"totalRecordCount": len(done), "successRecordCount": len(done), "errorRecordCount": 0}
        output = "".join(dumps_text(line) + "\n" for line in done)
        self._files[f"{folder}/{name}/{source.rpartition('/')[2]}.out"] = output.encode()
        self._files[f"{folder}/{name}/manifest.json.out"] = dumps_text(counts).encode()
        arn = f"arn:aws:bedrock:us-east-1:123456789012:model-invocation-job/{name}"
        self._jobs[name] = {**given, **counts, "jobArn": arn, "status": "Completed", "submitTime": DATE}
        return {"jobArn": arn}
