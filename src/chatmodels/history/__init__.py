"""Conversations as values: trim, validate, repair, merge, summarise, and to and from plain data."""

from __future__ import annotations

from .._inputs import buffer_string as get_buffer_string
from .._inputs import messages_from_dict, messages_to_dict
from ._data import from_openai, messages_from_json, messages_to_json, to_openai
from ._repair import merge_messages, repair_messages
from ._summary import asummarize_messages, summarize_messages
from ._trim import trim_messages
from ._turns import Problem, validate_messages

__all__ = [
    "Problem",
    "asummarize_messages",
    "from_openai",
    "get_buffer_string",
    "merge_messages",
    "messages_from_dict",
    "messages_from_json",
    "messages_to_dict",
    "messages_to_json",
    "repair_messages",
    "summarize_messages",
    "to_openai",
    "trim_messages",
    "validate_messages",
]
