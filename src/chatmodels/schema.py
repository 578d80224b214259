"""Messages and results under their 2023 address: `from chatmodels.schema import AIMessage, HumanMessage, SystemMessage`."""

from __future__ import annotations

from ._inputs import buffer_string as get_buffer_string
from ._inputs import messages_from_dict, messages_to_dict
from ._messages import AIMessage, ChatMessage, FunctionMessage, HumanMessage, Message, SystemMessage, ToolMessage
from ._messages import _Message as BaseMessage
from ._results import ChatGeneration, LLMResult
from ._stream import AIMessageChunk
from .history import from_openai, messages_from_json, messages_to_json, to_openai

ChatResult = LLMResult
Generation = ChatGeneration

__all__ = [
    "AIMessage",
    "AIMessageChunk",
    "BaseMessage",
    "ChatGeneration",
    "ChatMessage",
    "ChatResult",
    "FunctionMessage",
    "Generation",
    "HumanMessage",
    "LLMResult",
    "Message",
    "SystemMessage",
    "ToolMessage",
    "from_openai",
    "get_buffer_string",
    "messages_from_dict",
    "messages_from_json",
    "messages_to_dict",
    "messages_to_json",
    "to_openai",
]
