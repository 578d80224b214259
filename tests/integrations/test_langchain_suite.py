"""The published standard suites of `langchain-tests`, unit and integration, over the adapter: over Chat Completions, over
Anthropic's Messages (both spoken by a loopback server) and over the embedded engine.

Each class declares what is true of the model behind it, and all tests that this selects pass.
"""

from __future__ import annotations

import os
import struct
import zlib
from collections.abc import Iterator
from typing import Any

import pytest

pytest.importorskip("langchain_tests")
pytest.importorskip("langchain_core")

import httpx
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage
from langchain_tests.integration_tests import ChatModelIntegrationTests
from langchain_tests.unit_tests import ChatModelUnitTests

from chatmodels.integrations.langchain import LangChainChatModel

from .brain import Brain

pytestmark = [
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::langchain_core._api.beta_decorator.LangChainBetaWarning"),
    pytest.mark.filterwarnings("ignore:LANGCHAIN_TESTS_USER_AGENT"),
    pytest.mark.filterwarnings("ignore:Pydantic serializer warnings"),
]


def _png() -> bytes:
    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    head = struct.pack(">IIBBBBB", 1, 1, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(b"\0\xff\0\0")) + chunk(b"IEND", b"")
    )


@pytest.fixture(autouse=True)
def _no_downloads(monkeypatch: pytest.MonkeyPatch) -> None:
    """The suite fetches its samples from the web: here they are made on the spot."""

    def get(url: str, **options: Any) -> httpx.Response:
        return httpx.Response(200, content=_png() if url.endswith((".png", ".jpg")) else b"%PDF-1.4\n%%EOF\n")

    monkeypatch.setattr(httpx, "get", get)


_held: dict[str, Brain] = {}


@pytest.fixture(scope="session", autouse=True)
def _hold(brain: Brain) -> Iterator[None]:
    """The suite's parameters are properties, which cannot take a fixture."""
    _held["brain"] = brain
    yield
    _held.clear()


class _OpenAI:
    @property
    def chat_model_class(self) -> type[BaseChatModel]:
        return LangChainChatModel

    @property
    def chat_model_params(self) -> dict[str, Any]:
        return {"model": "openai:brain-1", "base_url": _held["brain"].url, "api_key": "k"}

    supports_json_mode = True
    supports_image_inputs = True
    supports_image_urls = True
    supports_pdf_inputs = True
    supports_audio_inputs = True
    supports_image_tool_message = True
    supports_pdf_tool_message = True
    supports_anthropic_inputs = True
    model_override_value = "brain-2"

    @property
    def supported_usage_metadata_details(self) -> Any:
        kinds = ["audio_input", "audio_output", "cache_read_input", "reasoning_output"]
        return {"invoke": kinds, "stream": kinds}


class TestOpenAIUnit(_OpenAI, ChatModelUnitTests):
    @property
    def standard_chat_model_params(self) -> dict[str, Any]:
        return {"temperature": 0, "max_tokens": 100, "timeout": 60, "stop": [], "max_retries": 2}

    @property
    def init_from_env_params(self) -> Any:
        return {"OPENAI_API_KEY": "k"}, {"model": "openai:gpt-test"}, {"model": "gpt-test"}


def _asked(model: BaseChatModel, stream: bool) -> AIMessage:
    if not stream:
        return model.invoke("Hello")
    whole: Any = None
    for chunk in model.stream("Hello"):
        whole = chunk if whole is None else whole + chunk
    return whole


class _Details:
    def invoke_with_cache_read_input(self, *, stream: bool = False) -> AIMessage:
        return _asked(self.chat_model_class(**self.chat_model_params), stream)

    invoke_with_reasoning_output = invoke_with_cache_read_input
    invoke_with_cache_creation_input = invoke_with_cache_read_input
    invoke_with_audio_input = invoke_with_cache_read_input
    invoke_with_audio_output = invoke_with_cache_read_input


class TestOpenAI(_Details, _OpenAI, ChatModelIntegrationTests):
    pass


class _Anthropic:
    @property
    def chat_model_class(self) -> type[BaseChatModel]:
        return LangChainChatModel

    @property
    def chat_model_params(self) -> dict[str, Any]:
        return {"model": "anthropic:brain-1", "base_url": _held["brain"].url, "api_key": "k"}

    supports_image_inputs = True
    supports_image_urls = True
    supports_pdf_inputs = True
    supports_image_tool_message = True
    supports_pdf_tool_message = True
    supports_anthropic_inputs = True
    model_override_value = "brain-2"

    @property
    def supported_usage_metadata_details(self) -> Any:
        kinds = ["cache_read_input", "cache_creation_input"]
        return {"invoke": kinds, "stream": kinds}


class TestAnthropicUnit(_Anthropic, ChatModelUnitTests):
    @property
    def standard_chat_model_params(self) -> dict[str, Any]:
        return {"temperature": 0, "max_tokens": 100, "timeout": 60, "stop": [], "max_retries": 2}

    @property
    def init_from_env_params(self) -> Any:
        return {"ANTHROPIC_API_KEY": "k"}, {"model": "anthropic:claude-test"}, {"model": "claude-test"}


class TestAnthropic(_Details, _Anthropic, ChatModelIntegrationTests):
    pass


@pytest.mark.skipif("CHATMODELS_SUITES" not in os.environ, reason="set CHATMODELS_SUITES=1: it takes seconds")
class TestEmbedded(ChatModelIntegrationTests):
    """The embedded engine, and the small model in it, which talks and no more."""

    @property
    def chat_model_class(self) -> type[BaseChatModel]:
        return LangChainChatModel

    @property
    def standard_chat_model_params(self) -> dict[str, Any]:
        return {"temperature": 0, "max_tokens": 16, "stop": []}

    @property
    def chat_model_params(self) -> dict[str, Any]:
        return {"model": "local"}

    has_tool_calling = False
    has_tool_choice = False
    has_structured_output = False
    supports_model_override = False
