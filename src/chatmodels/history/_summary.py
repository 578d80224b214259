"""Older turns told in a few words by a model, in place of the turns themselves."""

from __future__ import annotations

from typing import Any

import msgspec

from .._checks import whole
from .._errors import OutputError
from .._inputs import buffer_string, messages_of
from .._messages import AIMessage, HumanMessage, Message, SystemMessage
from ._turns import groups_of, is_system, opens_turn

PROMPT = (
    "Summarise the conversation below for the assistant that will go on with it. Keep facts, names, numbers, decisions and "
    "open questions; leave out greetings. Write only the summary."
)
HEAD = "Summary of the conversation so far:\n"
#: Where the mark of a summary stands in `provider_data`; no provider has this name, so it is never sent.
MARK = "chatmodels"


class _Job(msgspec.Struct, frozen=True):
    """What to ask the model, and what to put its answer between."""

    question: list[Message]
    before: list[Message]
    after: list[Message]

    def done(self, answer: AIMessage) -> list[Message]:
        if answer.finish_reason == "length" or not answer.text.strip():
            said = "was cut by a length limit: raise max_tokens" if answer.text.strip() else "is empty"
            raise OutputError(
                f"the summary {said}", truncated=answer.finish_reason == "length", partial=answer,
                provider=answer.provider, model=answer.model, attempts=answer.attempts,
            )  # fmt: skip
        summary = SystemMessage(HEAD + answer.text.strip(), provider_data={MARK: {"summary": True}})
        return [*self.before, summary, *self.after]


def summarize_messages(messages: Any, model: Any, *, keep_turns: int = 2, prompt: str = PROMPT) -> list[Message]:
    """The conversation with all but the newest `keep_turns` turns told by `model` in one system message.

    System messages stay; an earlier summary is told anew. When there are no more turns than that, nothing is asked and the
    messages come back as they are. Raises what the model raises, and `OutputError` for a summary that was cut off or is empty.
    """
    job = _job(messages, keep_turns, prompt)
    return messages_of(messages) if job is None else job.done(model(job.question))


async def asummarize_messages(messages: Any, model: Any, *, keep_turns: int = 2, prompt: str = PROMPT) -> list[Message]:
    """`summarize_messages` in the async world."""
    job = _job(messages, keep_turns, prompt)
    return messages_of(messages) if job is None else job.done(await model.ainvoke(job.question))


def _job(messages: Any, keep_turns: int, prompt: str) -> _Job | None:
    whole("keep_turns", keep_turns, least=0)
    given = messages_of(messages)
    starts = [g.places[0] for g in groups_of(given) if opens_turn(given[g.places[0]])]
    if len(starts) <= keep_turns:
        return None
    cut = starts[len(starts) - keep_turns] if keep_turns else len(given)
    fixed = [m for m in given[:cut] if is_system(m) and not _is_summary(m)]
    old = [m for m in given[:cut] if not is_system(m) or _is_summary(m)]
    question: list[Message] = [SystemMessage(prompt), HumanMessage(_told(old))]
    return _Job(question, fixed, given[cut:])


def _is_summary(message: Message) -> bool:
    return bool((message.provider_data or {}).get(MARK, {}).get("summary"))


def _told(messages: list[Message]) -> str:
    """The conversation as text, the tool calls with it."""
    lines: list[str] = []
    for message in messages:
        lines.append(buffer_string([message]))
        if isinstance(message, AIMessage):
            lines += [f"AI calls {c.name}: {c.args_text}" for c in message.tool_calls]
    return "\n".join(lines)
