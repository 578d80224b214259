"""What a newcomer from another library writes first: names that are not ours say what is; and default models that have ended."""

from __future__ import annotations

import pickle
import re
from typing import Any

import pytest

from chatmodels import ChatModel, ChatOpenAI, NotFoundError, Timeouts, UsageError
from chatmodels._names_elsewhere import METHODS, OPTIONS

from .servers import Server, error, plain

GONE = error(404, "The model `gpt-4o-mini` has been deprecated", code="model_not_found")


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("anthropic/claude-sonnet-4-6", "'anthropic:claude-sonnet-4-6'"),
        ("gemini/gemini-3.5-flash", "'google:gemini-3.5-flash'"),
        ("together_ai/meta/llama", "'together:meta/llama'"),
        ("claude-sonnet-4-6", "'anthropic:claude-sonnet-4-6'"),
        ("gemini-3.5-flash", "'google:gemini-3.5-flash'"),
        ("gpt-4o", "'openai:gpt-4o'"),
        ("nobody/knows", "'openai:nobody/knows'"),
    ],
)
def test_a_name_without_a_provider_shows_the_whole_name(written: str, meant: str) -> None:
    with pytest.raises(UsageError, match="does not say which provider") as caught:
        ChatModel(written, api_key="k")
    assert caught.value.argument == "model"
    assert meant in str(caught.value)


@pytest.mark.parametrize(
    ("written", "ours"),
    [
        ("vertex_ai", "vertex"),
        ("google_genai", "google"),
        ("gemini", "google"),
        ("bedrock_converse", "bedrock"),
        ("azure_openai", "azure"),
        ("hosted_vllm", "vllm"),
        ("OpenAI", "openai"),
        ("LM-Studio", "lmstudio"),
        ("llama.cpp", "llamacpp"),
        ("azure_ai", "azure-ai"),
        ("antropic", "anthropic"),
    ],
)
def test_a_providers_name_elsewhere_is_answered_with_ours(written: str, ours: str) -> None:
    with pytest.raises(UsageError, match=rf"did you mean {ours}(\?| or )"):
        ChatModel(f"{written}:m", api_key="k")


def test_a_default_model_that_has_ended_says_that_nobody_named_it(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "k")  # a pickle holds no key
    chat = ChatOpenAI(api_key="k", base_url=server.route(GONE).url)
    for again in (chat, pickle.loads(pickle.dumps(chat)).with_settings(temperature=0)):
        with pytest.raises(NotFoundError, match=r"deprecated.*'gpt-4o-mini' is the default.*model=") as caught:
            again("hi")
        assert caught.value.message == "The model `gpt-4o-mini` has been deprecated"
        assert caught.value.attempts[0].error == str(caught.value)
    with pytest.raises(NotFoundError, match="no model was named"):
        chat.stream("hi").until_done()


def test_a_model_that_was_named_is_the_users_own(server: Server) -> None:
    route = server.route(GONE)
    named = ChatOpenAI("gpt-4o-mini", api_key="k", base_url=route.url)
    for model in (named, named.with_model("gpt-4o"), ChatOpenAI(api_key="k", base_url=route.url).with_model("gpt-4o")):
        with pytest.raises(NotFoundError) as caught:
            model("hi")
        assert "was named" not in str(caught.value)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"api_base": "http://h/v1"}, "base_url="),
        ({"num_retries": 3}, "max_retries="),
        ({"fallbacks": ["gpt-4o"]}, "with_fallback"),
        ({"model_provider": "openai"}, "provider:model"),
        ({"tools": []}, "with_tools"),
        ({"response_model": dict}, "with_output"),
        ({"system": "Be brief."}, "SystemMessage"),
    ],
)
def test_an_option_of_another_library_is_not_sent_but_answered(given: dict[str, Any], said: str) -> None:
    with pytest.raises(UsageError, match=said) as caught:
        ChatOpenAI("gpt-4o", api_key="k", **given)
    assert caught.value.argument == next(iter(given))


def test_another_model_for_one_call_is_with_model(server: Server) -> None:
    route = server.route(plain())
    chat = ChatOpenAI("gpt-4o", api_key="k", base_url=route.url)
    with pytest.raises(UsageError, match="with_model"):
        chat("hi", model="gpt-4o-mini")  # type: ignore[call-arg]
    assert chat("hi", extra_body={"system": "meant so"}).text
    assert route.requests[0].json["system"] == "meant so"


def test_what_changed_nothing_in_2023_is_not_sent(server: Server) -> None:
    route = server.route(plain())
    with pytest.warns(UserWarning, match="'verbose' has no effect here"):
        chat = ChatOpenAI("gpt-4o", api_key="k", base_url=route.url, verbose=True)  # type: ignore[call-arg]
    chat("hi")
    assert "verbose" not in route.requests[0].json


def test_a_method_of_another_library_names_ours() -> None:
    chat = ChatOpenAI("gpt-4o", api_key="k")
    with pytest.raises(AttributeError, match="with_fallback"):
        chat.with_fallbacks  # noqa: B018
    with pytest.raises(AttributeError, match=r"no attribute 'strem'") as caught:
        chat.strem  # noqa: B018
    assert (caught.value.name, caught.value.obj) == (
        "strem",
        chat,
    )  # so that a traceback says "Did you mean: 'stream'?"


def test_every_method_that_a_hint_names_is_there() -> None:
    chat = ChatOpenAI("gpt-4o", api_key="k")
    said = " ".join((*METHODS.values(), *OPTIONS.values()))
    named = set(re.findall(r"model\.(\w+)\(", said))
    assert len(named) > 10
    assert not [name for name in named if not hasattr(chat, name)]
    assert not [name for name in METHODS if hasattr(chat, name)]


def test_structured_output_as_langchain_has_it() -> None:
    chat = ChatOpenAI("gpt-4o", api_key="k")
    assert chat.with_structured_output(dict, method="function_calling").output.name
    with pytest.raises(UsageError, match=r"\.typed\("):
        chat.with_structured_output(dict, include_raw=True)
    with pytest.raises(UsageError, match="method is"):
        chat.with_structured_output(dict, method="magic")


# ---- keys and addresses as people paste them


@pytest.mark.parametrize(
    "name", ["aws_secret_access_key", "aws_session_token", "groq_api_key", "credentials", "password"]
)
def test_what_is_named_like_a_key_goes_into_no_body_and_no_repr(name: str) -> None:
    options: dict[str, Any] = {name: "canary-key-123"}
    with pytest.raises(UsageError, match="keys are never sent in a body") as caught:
        ChatModel("bedrock:m", region="eu-west-3", **options)
    assert caught.value.argument == name
    assert "canary" not in str(caught.value)


@pytest.mark.parametrize("end", ["/chat/completions", "/chat/completions/", "/responses"])
def test_an_address_with_the_path_of_a_call_is_answered_with_the_right_one(end: str) -> None:
    with pytest.raises(UsageError, match=r"give 'https://h\.example/v1'$") as caught:
        ChatOpenAI("m", api_key="k", base_url="https://h.example/v1" + end)
    assert caught.value.argument == "base_url"


def test_an_address_without_a_path_is_named_when_nothing_is_found_there(server: Server) -> None:
    url = server.route(error(404, "Not Found")).url
    bare = url[: url.index("/", len("http://"))]
    chat = ChatOpenAI("m", api_key="k", base_url=url)
    with pytest.raises(NotFoundError) as caught:
        chat("hi")
    assert "has no path" not in str(caught.value)
    assert "has no path" in ChatOpenAI("m", api_key="k", base_url=bare)._plan().not_found
    assert ChatModel("anthropic:m", api_key="k", base_url=bare)._plan().not_found == ""


def test_an_azure_resource_behind_a_plain_gateway(server: Server) -> None:
    route = server.route(plain())
    chat = ChatModel("azure:d", api_key="k", azure_endpoint=route.url)
    assert chat("hi").text
    assert route.requests[0].target.endswith("/openai/v1/chat/completions")


def test_a_server_of_ones_own_without_a_key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    with pytest.raises(UsageError, match="api_key='none'"):
        ChatOpenAI("m", base_url="http://127.0.0.1:9/v1")


def test_a_timeout_of_httpx_is_read() -> None:
    httpx = pytest.importorskip("httpx")
    chat = ChatOpenAI("m", api_key="k", timeout=httpx.Timeout(30, connect=4, pool=None))
    assert chat._config.timeouts == Timeouts(connect=4.0, first_token=30.0, idle=30.0)


def test_the_concurrency_of_a_config_is_kept(server: Server) -> None:
    route = server.route(plain())
    chat = ChatOpenAI("m", api_key="k", base_url=route.url)
    chat.batch(["hi"] * 6, config={"max_concurrency": 1})
    assert len({request.connection for request in route.requests}) == 1  # one after the other, over one connection
    with pytest.raises(UsageError, match="max_concurrency"):
        chat.batch(["hi"], config={"max_concurrency": 0})
