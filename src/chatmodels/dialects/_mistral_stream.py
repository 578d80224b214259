"""A Mistral stream as events: OpenAI's, and content chunks in place of text.

The part that was begun last is the one that goes on; another kind of chunk begins another part, as in the plain answer.
"""

from __future__ import annotations

from typing import Any

from .._events import Event, PartDone, PartInfo, ReasoningDelta, TextDelta
from .._json import loads
from .._schema_walk import is_array, is_object
from ._base import Dialect
from ._errors import make_error, read_error
from ._kept import mapping, text
from ._mistral_content import read_other, read_reference, said_of, steps_data, thinking_of
from ._openai_chat_stream import ChatStream, _State
from ._openai_chat_wire import Body, Delta


class MistralStream(ChatStream):
    """The decoder of one Mistral stream."""

    def __init__(self, dialect: Dialect) -> None:
        super().__init__(dialect)
        #: By choice: the text that the last chunk cited.
        self._cited: dict[int, int] = {}
        #: By choice and part: the steps of thinking chunks that hold more than text, and their signature.
        self._steps: dict[tuple[int, int], list[Any]] = {}
        self._signatures: dict[tuple[int, int], str] = {}

    def _mixed(self, out: list[Event], state: _State, delta: Delta) -> None:
        if not is_array(delta.content):
            super()._mixed(out, state, delta)
            return
        for chunk in delta.content:
            self._chunk(out, state, chunk)

    def _chunk(self, out: list[Event], state: _State, chunk: Any) -> None:
        kind = "text" if isinstance(chunk, str) else text(mapping(chunk).get("type"))
        if kind == "thinking":
            self._thinking(out, state, chunk)
        elif kind == "text":
            said = chunk if isinstance(chunk, str) else text(chunk.get("text"))
            if said:
                out.append(TextDelta(said, state.place("text"), state.number))
        elif kind != "reference" or not self._reference(out, state, chunk):
            self._begin(state)
            out.append(PartDone(read_other(chunk, self.dialect.provider), state.new(), state.number))

    def _begin(self, state: _State) -> None:
        """Something else begins: what comes then is another part."""
        state.kinds.pop("text", None)
        state.kinds.pop("reasoning", None)
        self._cited.pop(state.number, None)

    def _thinking(self, out: list[Event], state: _State, chunk: Any) -> None:
        if state.kinds.get("reasoning") != state.next - 1:
            self._begin(state)
        index = state.place("reasoning")
        steps = thinking_of(chunk)
        said = "".join(said_of(steps))
        key = (state.number, index)
        known = self._steps.get(key)
        if known is None:
            known = self._steps[key] = []
            out.append(ReasoningDelta(said, index, state.number))
        elif said:
            out.append(ReasoningDelta(said, index, state.number))
        known += steps
        signature = text(mapping(chunk).get("signature"))
        if signature:
            self._signatures[key] = signature

    def _reference(self, out: list[Event], state: _State, chunk: Any) -> bool:
        """A citation of the text before it; False where there is none."""
        index = state.kinds.pop("text", None)
        index = self._cited.get(state.number) if index is None else index
        if index is None or index != state.next - 1:
            return False
        self._cited[state.number] = index
        cited = tuple(read_reference(chunk, self.dialect.provider))
        out.append(PartInfo(index=index, choice=state.number, citations=cited))
        return True

    def _last_info(self, out: list[Event], state: _State) -> None:
        for key, steps in self._steps.items():
            number, index = key
            data, signature = steps_data(steps, self.dialect.provider), self._signatures.get(key)
            if number == state.number and (data or signature):
                out.append(PartInfo(index=index, choice=number, signature=signature, provider_data=data))
        super()._last_info(out, state)

    def _odd(self, out: list[Event], name: bytes, payload: bytes, body: Body) -> None:
        whole = loads(payload)
        if is_object(whole) and whole.get("object") == "error":
            message, code, kind = read_error(whole)
            said = message or "the stream broke off with an error"
            raise make_error(self.dialect.provider, said, code=code, kind=kind, body=whole)
        super()._odd(out, name, payload, body)
