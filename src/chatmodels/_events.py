"""What a stream is made of, in the order in which it comes. Values only; `_fold.py` makes a message of them.

A delta names the part that it belongs to by `index` (its place in the content) and, when n > 1, the `choice`.
A stream ends with one `End`; without it the answer is not complete.
"""

from __future__ import annotations

from typing import Any, TypeAlias

import msgspec

from ._parts import Citation, Part
from ._usage import Usage


class Start(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, repr_omit_defaults=True, tag="start"):
    """The answer begins: its id and model, as soon as they are known (may come again with what was missing)."""

    id: str | None = None
    model: str | None = None
    provider_data: dict[str, Any] | None = None


class TextDelta(msgspec.Struct, frozen=True, gc=False, omit_defaults=True, repr_omit_defaults=True, tag="text"):
    """More text of part `index`."""

    text: str
    index: int = 0
    choice: int = 0


class ReasoningDelta(
    msgspec.Struct, frozen=True, gc=False, omit_defaults=True, repr_omit_defaults=True, tag="reasoning"
):
    """More of the model's working."""

    text: str
    index: int = 0
    choice: int = 0
    summary: bool = False


class RefusalDelta(msgspec.Struct, frozen=True, gc=False, omit_defaults=True, repr_omit_defaults=True, tag="refusal"):
    """More of the text with which the model refuses."""

    text: str
    index: int = 0
    choice: int = 0


class ToolCallDelta(
    msgspec.Struct, frozen=True, gc=False, omit_defaults=True, repr_omit_defaults=True, tag="tool_call"
):
    """More of a tool call: its id and name come once, `args` is a piece of the arguments' text.

    `custom` marks a tool that takes free text; `whole` that `args` is complete JSON and replaces what came before.
    """

    index: int = 0
    id: str | None = None
    name: str | None = None
    args: str = ""
    choice: int = 0
    custom: bool = False
    whole: bool = False


class AudioDelta(msgspec.Struct, frozen=True, gc=False, omit_defaults=True, repr_omit_defaults=True, tag="audio"):
    """More sound: raw bytes and what is said in them."""

    index: int = 0
    data: bytes = b""
    transcript: str = ""
    choice: int = 0
    id: str | None = None
    media_type: str | None = None


class PartDone(msgspec.Struct, frozen=True, omit_defaults=True, repr_omit_defaults=True, tag="part"):
    """A whole part at once (an image, a server tool, an opaque block); it replaces what `index` held."""

    part: Part
    index: int = 0
    choice: int = 0


class PartInfo(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, repr_omit_defaults=True, tag="info"):
    """What comes beside the text of part `index`: signature, encrypted working, citations, provider data."""

    index: int = 0
    choice: int = 0
    signature: str | None = None
    encrypted: str | None = None
    citations: tuple[Citation, ...] = ()
    provider_data: dict[str, Any] | None = None


class LogprobsDelta(msgspec.Struct, frozen=True, omit_defaults=True, repr_omit_defaults=True, tag="logprobs"):
    """More token log probabilities, in the provider's form."""

    content: list[dict[str, Any]]
    choice: int = 0


class MessageInfo(msgspec.Struct, frozen=True, omit_defaults=True, repr_omit_defaults=True, tag="message_info"):
    """Provider data of the whole message; merged key by key."""

    provider_data: dict[str, Any]
    choice: int = 0


class Warned(msgspec.Struct, frozen=True, omit_defaults=True, repr_omit_defaults=True, tag="warning"):
    """Something could not be done as asked, or had to be mended."""

    text: str


class Restarted(msgspec.Struct, frozen=True, omit_defaults=True, repr_omit_defaults=True, tag="restarted"):
    """The answer starts anew on another model: forget what came before. `reason` names the first error."""

    reason: str = ""
    provider: str | None = None
    model: str | None = None


class ChoiceFinish(msgspec.Struct, frozen=True, omit_defaults=True, repr_omit_defaults=True):
    """How one choice ended: the unified reason and the provider's word."""

    reason: str
    raw: str | None = None


class End(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, repr_omit_defaults=True, tag="end"):
    """The answer is complete. `others` has the endings of further choices (n > 1), by choice."""

    finish_reason: str
    raw_finish_reason: str | None = None
    usage: Usage | None = None
    others: dict[int, ChoiceFinish] = {}


class UsageSoFar(msgspec.Struct, frozen=True, omit_defaults=True, repr_omit_defaults=True, tag="usage"):
    """Usage that is known before the end (cumulative: it replaces what came before)."""

    usage: Usage


Event: TypeAlias = (
    Start
    | TextDelta
    | ReasoningDelta
    | RefusalDelta
    | ToolCallDelta
    | AudioDelta
    | PartDone
    | PartInfo
    | LogprobsDelta
    | MessageInfo
    | Warned
    | Restarted
    | UsageSoFar
    | End
)
