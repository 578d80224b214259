"""The practice server's batch APIs: OpenAI's files and batches, and Anthropic's message batches; the others' are asked here too. A
batch ends at once.

Source: https://platform.openai.com/docs/api-reference/batch and
https://docs.anthropic.com/en/api/creating-message-batches (2026-11).
"""

from __future__ import annotations

import re
from itertools import count
from typing import Any

from ..._json import dumps_text, loads
from ._jobs_others import Answering, Bedrock, Google, Mistral
from ._words import Body


class Jobs:
    """What was uploaded and submitted, in memory."""

    def __init__(self, answering: Answering) -> None:
        self._answering = answering
        self._files: dict[str, tuple[str, bytes]] = {}
        self._batches: dict[str, Body] = {}
        self._results: dict[str, bytes] = {}
        self._numbers = count(1)
        self._bedrock = Bedrock(answering)
        self._others = (Google(answering), Mistral(answering), self._bedrock)

    def put(self, path: str, data: bytes) -> Any:
        """The answer to a PUT: the bytes of a body, or None."""
        return self._bedrock.put(path, data)

    def post(self, path: str, data: bytes, content_type: str) -> Any:
        """The answer to a POST, or None where the path is of no batch API."""
        if path.endswith("/v1/files"):
            return self._upload(data, content_type)
        if path.endswith("/v1/batches"):
            return self._submit(loads(data))
        if path.endswith("/v1/messages/batches"):
            return self._submit_messages(loads(data))
        return next((made for api in self._others if (made := api.post(path, data)) is not None), None)

    def get(self, path: str) -> Any:
        """The answer to a GET: JSON, or the bytes of a file; None where there is none."""
        for api in self._others:
            if (found := api.get(path)) is not None:
                return found
        if match := re.search(r"/v1/files/([^/]+)/content$", path):
            return self._files[match[1]][1] if match[1] in self._files else None
        if match := re.search(r"/v1/files/([^/]+)$", path):
            return self._file(match[1]) if match[1] in self._files else None
        if match := re.search(r"/v1/messages/batches/([^/]+)/results$", path):
            return self._results.get(match[1])
        if match := re.search(r"/(?:messages/)?batches/([^/]+)$", path):
            return self._batches.get(match[1])
        if path.endswith("batches"):
            kind = "message_batch" if "/messages/" in path else "batch"
            found = [b for b in self._batches.values() if b.get("object", b.get("type")) == kind]
            return {"object": "list", "data": found[::-1], "has_more": False}
        return None

    # -- OpenAI

    def _upload(self, data: bytes, content_type: str) -> Body:
        boundary = b"--" + content_type.partition("boundary=")[2].strip('"').encode()
        parts = [part.partition(b"\r\n\r\n") for part in data.split(boundary)]
        content = next(body.removesuffix(b"\r\n") for head, _, body in parts if b"filename=" in head)
        return self._keep(content, "batch")

    def _keep(self, content: bytes, purpose: str) -> Body:
        name = f"file-{next(self._numbers)}"
        self._files[name] = (purpose, content)
        return self._file(name)

    def _file(self, name: str) -> Body:
        purpose, content = self._files[name]
        return {"id": name, "object": "file", "bytes": len(content), "created_at": 1, "filename": f"{name}.jsonl",
                "purpose": purpose}  # fmt: skip

    def _submit(self, body: Body) -> Body:
        lines = [loads(line) for line in self._files[body["input_file_id"]][1].splitlines()]
        done = [
            {
                "id": f"batch_req_{i}",
                "custom_id": line["custom_id"],
                "response": {
                    "status_code": 200,
                    "request_id": "req_1",
                    "body": self._answering(line["url"], line["body"]),
                },
                "error": None,
            }
            for i, line in enumerate(lines)
        ]
        output = self._keep(_lines(done), "batch_output")
        counts = {"total": len(done), "completed": len(done), "failed": 0}
        batch = {**body, "object": "batch", "created_at": 1, "request_counts": counts, "output_file_id": output["id"]}
        return self._submitted("batch", {**batch, "status": "completed"}) | {"status": "validating"}

    def _submitted(self, name: str, batch: Body) -> Body:
        name = f"{name}_{len(self._batches) + 1}"
        self._batches[name] = {"id": name, **batch}
        return self._batches[name]

    # -- Anthropic

    def _submit_messages(self, body: Body) -> Body:
        done = [
            {
                "custom_id": one["custom_id"],
                "result": {"type": "succeeded", "message": self._answering("/v1/messages", one["params"])},
            }
            for one in body["requests"]
        ]
        counts = {"processing": 0, "succeeded": len(done), "errored": 0, "canceled": 0, "expired": 0}
        date = "2026-11-22T00:00:00Z"
        batch = self._submitted(
            "msgbatch",
            {"type": "message_batch", "processing_status": "ended", "request_counts": counts, "created_at": date,
             "expires_at": date, "ended_at": date},
        )  # fmt: skip
        batch["results_url"] = f"/v1/messages/batches/{batch['id']}/results"
        self._results[batch["id"]] = _lines(done)
        return {**batch, "processing_status": "in_progress"}


def _lines(values: list[Body]) -> bytes:
    return "".join(dumps_text(value) + "\n" for value in values).encode()
