"""Mistral's chat API: OpenAI's Chat Completions, and what differs: content chunks with thinking and references.

Source: docs.mistral.ai/api and the types of mistralai 3.7, checked 2026-11, and recorded traffic. Pure.
"""

from __future__ import annotations

from typing import Any

from chatmodels._call import Call, HTTPRequest, HTTPResponse
from chatmodels._events import Event, PartDone, PartInfo, ReasoningDelta, TextDelta
from chatmodels._json import dumps_text, loads
from chatmodels._messages import AIMessage, with_body
from chatmodels._parts import Part
from chatmodels._schema_walk import is_array, is_object

from ._base import Quirk, StreamDecoder, make_error, read_error
from ._kept import items, mapping, text, text_or_none
from ._mistral_content import join_steps, read_chunks, read_other, read_reference, thinking_of
from ._mistral_parse import parse_request
from ._mistral_request import MistralEncoder
from ._openai_chat_request import body_bytes
from ._openai_chat_stream import ChatStream, _State
from ._openai_chat_wire import Body, Delta
from .openai_chat import OpenAIChat
