"""Our streams as pydantic-ai's `StreamedResponse`: events into its manager of parts, which makes its own."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator
from datetime import UTC, datetime
from importlib import import_module
from typing import Any

from chatmodels._errors import ChatModelError
from chatmodels._events import (
    AudioDelta,
    End,
    PartDone,
    PartInfo,
    ReasoningDelta,
    Restarted,
    Start,
    TextDelta,
    ToolCallDelta,
)
from chatmodels._output import Output
from chatmodels._stream import AIMessageChunk, AsyncChatStream

from ._pydantic_ai_messages import details_of, part_of, reason_of, state_of, usage_of

_models: Any = import_module("pydantic_ai.models")
_exceptions: Any = import_module("pydantic_ai.exceptions")
_Base: Any = _models.StreamedResponse


def streamed(
    model: Any, parameters: Any, first: AIMessageChunk | None, stream: AsyncChatStream, output: Output[Any] | None
) -> Any:
    """The stream of one answer; `first` has been read already."""
    made = _Streamed(model_request_parameters=parameters)
    made.hold(model, first, stream, output.name if output is not None else None)
    return made


class _Streamed(_Base):  # type: ignore[misc]
    def hold(self, model: Any, first: AIMessageChunk | None, stream: AsyncChatStream, output: str | None) -> None:
        self._model = model
        self._first = first
        self._stream = stream
        self._output = output
        self._typed: set[int] = set()
        self._given = False
        self._timestamp = datetime.now(UTC)

    @property
    def model_name(self) -> str:
        return self._stream._state.fold.model or str(self._model.model_name)

    @property
    def provider_name(self) -> str:
        return str(self._model.system)

    @property
    def provider_url(self) -> str | None:
        url: str | None = self._model.base_url
        return url

    @property
    def timestamp(self) -> datetime:
        return self._timestamp

    async def close_stream(self) -> None:
        await self._stream.aclose()

    async def _get_event_iterator(self) -> AsyncIterator[Any]:
        try:
            for made in self._events(self._first):
                yield made
            async for chunk in self._stream:
                for made in self._events(chunk):
                    yield made
        except ChatModelError as error:
            raise self._model._error(error) from error

    def _events(self, chunk: AIMessageChunk | None) -> Iterator[Any]:
        event: Any = None if chunk is None else chunk.event
        read = _READ.get(event.__class__)
        if event is None or read is None or getattr(event, "choice", None):
            return
        for made in read(self, event) or ():
            self._given = True
            yield made

    def _start(self, event: Start) -> None:
        if event.id:
            self.provider_response_id = event.id

    def _text(self, event: TextDelta) -> Any:
        return self._parts_manager.handle_text_delta(vendor_part_id=event.index, content=event.text)

    def _reasoning(self, event: ReasoningDelta) -> Any:
        return self._parts_manager.handle_thinking_delta(vendor_part_id=event.index, content=event.text)

    def _info(self, event: PartInfo) -> Any:
        if event.signature is None:
            return None
        return self._parts_manager.handle_thinking_delta(
            vendor_part_id=event.index, signature=event.signature, provider_name=self.provider_name
        )

    def _call(self, event: ToolCallDelta) -> Any:
        if self._output is not None and event.name == self._output:
            self._typed.add(event.index)
        if event.index in self._typed:
            return self._parts_manager.handle_text_delta(vendor_part_id=event.index, content=event.args)
        if event.whole:
            return [
                self._parts_manager.handle_tool_call_part(
                    vendor_part_id=event.index,
                    tool_name=event.name or "",
                    args=event.args,
                    tool_call_id=event.id or None,
                )
            ]
        made = self._parts_manager.handle_tool_call_delta(
            vendor_part_id=event.index, tool_name=event.name, args=event.args or None, tool_call_id=event.id or None
        )
        return None if made is None else [made]

    def _part(self, event: PartDone) -> Any:
        made = part_of(event.part, self.provider_name)
        return None if made is None else [self._parts_manager.handle_part(vendor_part_id=event.index, part=made)]

    def _restarted(self, event: Restarted) -> None:
        if self._given:
            raise _exceptions.ModelAPIError(
                self.model_name, f"the answer began anew on another model ({event.reason}); run it again"
            )

    def _end(self, event: End) -> Any:
        message = self._stream.message
        self._usage = usage_of(message.usage)
        self.finish_reason = reason_of(message)
        self.provider_details = details_of(message)
        for name, value in state_of(message).items():
            setattr(self, name, value)
        heard = [p for p in self._sounds if p]
        return [self._parts_manager.handle_part(vendor_part_id=f"sound {i}", part=p) for i, p in enumerate(heard)]

    @property
    def _sounds(self) -> list[Any]:
        """Sound comes whole, at the end."""
        from chatmodels._parts import Audio

        return [part_of(p, self.provider_name) for p in self._stream.message.parts if isinstance(p, Audio)]


_READ: dict[type[Any], Callable[[_Streamed, Any], Any]] = {
    Start: _Streamed._start,
    TextDelta: _Streamed._text,
    ReasoningDelta: _Streamed._reasoning,
    PartInfo: _Streamed._info,
    ToolCallDelta: _Streamed._call,
    AudioDelta: lambda self, event: None,
    PartDone: _Streamed._part,
    Restarted: _Streamed._restarted,
    End: _Streamed._end,
}
