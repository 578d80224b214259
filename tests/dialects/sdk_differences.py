"""Every class of difference between our reading of a recorded answer and an official SDK's: when it applies, what each does,
who is right and why. `docs/differences.md` is made from this table; what no class explains fails `compare_sdks.py`.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from chatmodels import ChatModelError, IncompleteStream


@dataclass
class Case:
    """One difference: a field of the readings; "raises", where one of the two raised; or "kept", a text that is lost."""

    sdk: str
    record: dict[str, Any]
    data: bytes
    field: str
    ours: Any
    theirs: Any
    our_reading: dict[str, Any] = field(default_factory=dict)

    def same_error(self) -> bool:
        """Do both raise, with the same HTTP status?"""
        both = isinstance(self.ours, Exception) and isinstance(self.theirs, Exception)
        return both and status(self.ours) == status(self.theirs)

    def has(self, text: str) -> bool:
        """Is the text on the wire, spaces aside?"""
        return text in self.data.decode("utf-8", "replace").replace(" ", "")

    def __str__(self) -> str:
        kind = "stream" if self.record["stream"] else "plain"
        said = f"{self.record['id']} {self.record['host']} {kind} {self.field}"
        return f"{said}\n    ours   {self.ours!r:.300}\n    theirs {self.theirs!r:.300}"


def status(error: Any) -> int | None:
    """The HTTP status that an error of ours or of an SDK has."""
    for name in ("status", "status_code", "code"):
        found = getattr(error, name, None)
        if isinstance(found, int):
            return found
    answer = getattr(error, "response", None)
    return answer.get("ResponseMetadata", {}).get("HTTPStatusCode") if isinstance(answer, dict) else None


@dataclass(frozen=True)
class Explanation:
    """A class of difference. `right` is "ours", "theirs" or "both" (neither is wrong)."""

    name: str
    applies: Callable[[Case], bool]
    theirs: str
    ours: str
    right: str
    why: str
    #: Is it about texts around the answer that our message does not hold, and not about a field?
    kept: bool = False


def explain(case: Case) -> Explanation | None:
    """The class that the difference belongs to; None where none fits."""
    return next((e for e in EXPLAINED if e.applies(case)), None)


def _lost(*paths: str) -> Callable[[Case], bool]:
    pattern = re.compile("|".join(paths))
    return lambda c: c.field == "kept" and pattern.search(c.theirs[0]) is not None


def _ours_raises(case: Case) -> bool:
    return case.field == "raises" and isinstance(case.ours, ChatModelError) and not isinstance(case.theirs, Exception)


def _theirs_breaks(case: Case) -> bool:
    broken = (AttributeError, TypeError, AssertionError, KeyError, IndexError)
    return case.field == "raises" and isinstance(case.theirs, broken) and not isinstance(case.ours, Exception)


def _bare(calls: Any) -> Any:
    return [c[1:] for c in calls]


def _usage(case: Case) -> bool:
    return case.field == "usage" and bool(case.ours) and bool(case.theirs)


def _two_answers(case: Case) -> bool:
    starts = case.data.count(b'"type":"response.created"') + case.data.count(b'"type":"message_start"')
    return case.record["stream"] and starts > 1


CLIENT_TOOLS = {"shell", "local_shell", "apply_patch", "tool_search", "computer"}

EXPLAINED = (
    Explanation(
        "several answers in one stream",
        _two_answers,
        "the last of them, or a mixture of both",
        "the first of them, or a mixture of both",
        "both",
        "fixtures that hold two answers one after the other: no provider sends that, and no reading of it is right",
    ),
    Explanation(
        "an error inside a 200",
        lambda c: _ours_raises(c) and not isinstance(c.ours, IncompleteStream),
        "an empty or half answer",
        "raise the provider's error, with the status that it names",
        "ours",
        "the body says that the answer failed",
    ),
    Explanation(
        "a stream that ends early",
        lambda c: _ours_raises(c) and isinstance(c.ours, IncompleteStream),
        "the part that came, as if it were the answer",
        "raise IncompleteStream, with the part that came",
        "ours",
        "no finish reason came: the answer is not whole",
    ),
    Explanation(
        "the status of an error in mid-stream",
        lambda c: c.field == "raises" and isinstance(c.ours, ChatModelError) and status(c.theirs) is None,
        "an error without a status",
        "the same error with the status that the event names, and of the class that goes with it",
        "ours",
        "the event has the code, and a retry hangs on it",
    ),
    Explanation(
        "the SDK cannot read it",
        lambda c: _theirs_breaks(c) or type(c.theirs).__name__ == "ResponseParserError",
        "raise AttributeError, TypeError or a parser's error",
        "the answer",
        "ours",
        "null for a list, numbers for names, calls without an index, a member beside a block's kind: odd, but all is there",
    ),
    Explanation(
        "an empty string",
        lambda c: c.ours is None and c.theirs == "",
        'an id, finish reason or refusal of ""',
        "None",
        "ours",
        "Snowflake writes an empty string for what there is not",
    ),
    Explanation(
        "the first chunk names nothing",
        lambda c: c.field in ("id", "model") and c.theirs == "" and bool(c.ours),
        'the id and model of the first chunk: ""',
        "the first that are given",
        "ours",
        "Azure begins with the filters' findings on the prompt and Copilot with an empty chunk; the name comes in the next",
    ),
    Explanation(
        "reasoning tokens left out of the output",
        lambda c: _usage(c) and c.ours[4:] == c.theirs[4:] != (0,) and c.ours[1] == c.theirs[1] + c.ours[4],
        "the host's completion_tokens",
        "the same and the reasoning tokens",
        "ours",
        "x.ai counts them apart, though its own total has them in and it bills them as output",
    ),
    Explanation(
        "cached tokens under another name",
        lambda c: _usage(c) and c.ours[:2] == c.theirs[:2] and bool(c.ours[2]) and not c.theirs[2],
        "no cached tokens",
        "those that the host tells",
        "ours",
        "Moonshot and DeepSeek write them under names of their own",
    ),
    Explanation(
        "usage is overwritten",
        lambda c: c.field == "usage" and c.record["stream"] and bool(c.ours) and c.theirs is None,
        "no usage: a later chunk without any wipes it out",
        "the last that came",
        "ours",
        "the chunk after it says null, or nothing",
    ),
    Explanation(
        "a count that the last chunk leaves out",
        lambda c: _usage(c) and c.sdk == "google-genai" and c.record["stream"] and c.ours[1] > c.theirs[1],
        "the last chunk's usage alone",
        "counts are kept until a later chunk gives others",
        "ours",
        "Gemini's last chunk can leave out candidatesTokenCount, though an earlier one gave it",
    ),
    Explanation(
        "usage without counts",
        lambda c: c.field == "usage" and c.ours is None and c.theirs is not None and not any(c.theirs),
        "an object without numbers",
        "None",
        "both",
        "a blocked prompt is told the kind of traffic and no tokens",
    ),
    Explanation(
        "a blocked prompt",
        lambda c: c.field in ("finish", "choices") and c.sdk == "google-genai" and c.has('"blockReason"'),
        "no candidate; the reason stands in prompt_feedback",
        'an empty answer with finish_reason "content_filter" and the reason in raw_finish_reason',
        "both",
        "one place for every provider's refusal to answer",
    ),
    Explanation(
        "content that is an object",
        lambda c: c.field == "text" and isinstance(c.theirs, dict),
        "a dict in a field of type str",
        "its JSON text",
        "ours",
        "Cloudflare gives JSON answers as an object",
    ),
    Explanation(
        "a call in the manner of 2023",
        lambda c: c.field == "calls" and not c.theirs and c.has('"function_call":{'),
        "function_call, beside the tool calls",
        "one of the tool calls",
        "both",
        "the caller has to run it all the same",
    ),
    Explanation(
        "two calls under one index",
        lambda c: c.field == "calls" and c.sdk == "openai (chat)" and len(c.ours) > len(c.theirs) > 0,
        "one call: names, ids and arguments are run together",
        "two calls",
        "ours",
        "Cerebras gives every call the index 0; a new id with a name is a new call",
    ),
    Explanation(
        "pieces of a call",
        lambda c: c.field == "calls" and len(c.theirs) > len(c.ours) > 0 and c.sdk in ("mistralai", "google-genai"),
        "each chunk is a call of its own, with a piece of the arguments",
        "they are put together",
        "ours",
        "these two SDKs have no accumulator; Gemini streams arguments when asked to, other hosts of Mistral's models always do",
    ),
    Explanation(
        "calls without an id",
        lambda c: c.field == "calls" and _bare(c.ours) == _bare(c.theirs) and all(t[0] is None for t in c.theirs),
        "no id (Gemini's older models send none; ollama's types have no field for it)",
        "the one on the wire, else one that we make (`call_0`)",
        "both",
        "a result has to name its call on the other providers",
    ),
    Explanation(
        "tools that the caller runs",
        lambda c: c.field == "calls" and c.sdk == "openai (responses)" and {x[1] for x in c.ours} <= CLIENT_TOOLS,
        "items of types of their own (shell, computer, apply_patch, tool_search)",
        "tool calls, with the item beside them",
        "both",
        "the caller has to run them and to send their results back",
    ),
    Explanation(
        "the last event has no items",
        lambda c: (
            c.field in ("text", "calls", "reasoning") and c.record["stream"] and c.has('"output":[]') and bool(c.ours)
        ),
        "an empty answer",
        "what the events said",
        "ours",
        "ChatGPT's own backend ends with a response whose output is empty",
    ),
    Explanation(
        "parts of a summary",
        lambda c: c.field == "reasoning" and c.ours.replace("\n\n", "") == c.theirs.replace("\n\n", ""),
        "a list of parts",
        "one text, with a blank line between the parts",
        "both",
        "they are paragraphs",
    ),
    Explanation(
        "the plan before tool calls",
        lambda c: c.field == "reasoning" and c.sdk == "cohere" and c.ours == c.our_reading.get("plan", "") + c.theirs,
        "tool_plan, beside the content",
        "reasoning",
        "both",
        "it is the model's working before it calls",
    ),
    Explanation(
        "names of kinds",
        _lost(r"(^|\.)(type|object|role|status|channel|source_type)$", r"\.delta\.name$"),
        "a word on each object that names its kind, its speaker or its state",
        "the class of the part; the state is in finish_reason",
        "both",
        "nothing is said by it that the class does not say",
        kept=True,
    ),
    Explanation(
        "padding and clocks",
        _lost(r"obfuscation$", r"created_at$", r"expires_at$", r"padding$"),
        "random padding; the server's clock on every chunk, in the SDK's own spelling",
        "not kept, or as the wire writes it",
        "both",
        "it is not part of the answer",
        kept=True,
    ),
    Explanation(
        "the transport's headers",
        _lost(r"sdk_http_response", r"ResponseMetadata"),
        "a copy of all headers on each chunk",
        "request_id on the message",
        "both",
        "headers are not the answer's",
        kept=True,
    ),
    Explanation(
        "the request, repeated",
        _lost(
            r"^(\.response)?\.(tools|text|instructions|tool_choice|prompt\w*|truncation|reasoning|metadata|safety_identifier|user)(\.|\[|$)",
            r"__verbose",
        ),
        "what was asked, once more (tools, schema, instructions, effort; llama.cpp's `__verbose`)",
        "not kept; a plain answer has it in `.raw`",
        "both",
        "the caller sent it",
        kept=True,
    ),
    Explanation(
        "states on the way",
        lambda c: (
            c.field == "kept" and c.record["stream"] and (c.theirs[0].startswith(_ON_THE_WAY) or c.theirs[0] == ".id")
        ),
        "each event, with the ids and the unfinished items of that moment",
        "the item as the last event gives it",
        "both",
        "later events replace it: other ids (OpenRouter, GitHub), encrypted reasoning without its end",
        kept=True,
    ),
    Explanation(
        "paths of partial arguments",
        _lost(r"partial_args\[\]\.json_path$"),
        "the place of each piece of an argument",
        "the arguments, put together",
        "both",
        "the pieces have arrived",
        kept=True,
    ),
)
_ON_THE_WAY = (".item", ".response.id", ".response.output", ".delta", ".part")
