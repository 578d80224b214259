"""Every row: its dialect loads, it is documented, and a call goes to the right address with the key in the right place."""

from __future__ import annotations

import inspect
import json
import pickle
import re
import subprocess
import sys
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

import chatmodels
from chatmodels import ChatModel, UsageError
from chatmodels._errors import MissingKeyError
from chatmodels._provider_rows import ROWS
from chatmodels._providers import Provider, keywords, load, register, url_fields
from chatmodels._quirks import QUIRKS

from .dialects.wire_records import THERE, records

KEY = "sk-canary-0123456789"
BEARER = f"authorization: Bearer {KEY}"
DOCS = Path(__file__).resolve().parents[1] / "docs" / "providers.md"

#: Name -> the whole URL of a call to the model "m/1", and the header with the key ("" where it is exchanged, or there is none).
EXPECTED: dict[str, tuple[str, str]] = {
    "openai": ("https://api.openai.com/v1/chat/completions", BEARER),
    "local": ("local:///chat/completions", ""),
    "openai-responses": ("https://api.openai.com/v1/responses", BEARER),
    "anthropic": ("https://api.anthropic.com/v1/messages", f"x-api-key: {KEY}"),
    "google": ("https://generativelanguage.googleapis.com/v1beta/models/m:generateContent", f"x-goog-api-key: {KEY}"),
    "vertex": (
        "https://aiplatform.googleapis.com/v1/projects/proj/locations/global/publishers/google/models/m:generateContent",
        BEARER,
    ),
    "bedrock": ("https://bedrock-runtime.eu-west-3.amazonaws.com/model/m/converse", BEARER),
    "azure": ("https://res.openai.azure.com/openai/v1/chat/completions", f"api-key: {KEY}"),
    "cohere": ("https://api.cohere.com/v2/chat", BEARER),
    "mistral": ("https://api.mistral.ai/v1/chat/completions", BEARER),
    "ollama": ("http://localhost:11434/api/chat", BEARER),
    "huggingface": ("https://router.huggingface.co/v1/chat/completions", BEARER),
    "groq": ("https://api.groq.com/openai/v1/chat/completions", BEARER),
    "deepseek": ("https://api.deepseek.com/chat/completions", BEARER),
    "xai": ("https://api.x.ai/v1/chat/completions", BEARER),
    "openrouter": ("https://openrouter.ai/api/v1/chat/completions", BEARER),
    "together": ("https://api.together.xyz/v1/chat/completions", BEARER),
    "fireworks": ("https://api.fireworks.ai/inference/v1/chat/completions", BEARER),
    "perplexity": ("https://api.perplexity.ai/chat/completions", BEARER),
    "cerebras": ("https://api.cerebras.ai/v1/chat/completions", BEARER),
    "sambanova": ("https://api.sambanova.ai/v1/chat/completions", BEARER),
    "nvidia": ("https://integrate.api.nvidia.com/v1/chat/completions", BEARER),
    "moonshot": ("https://api.moonshot.ai/v1/chat/completions", BEARER),
    "zai": ("https://api.z.ai/api/paas/v4/chat/completions", BEARER),
    "zhipu": ("https://open.bigmodel.cn/api/paas/v4/chat/completions", BEARER),
    "dashscope": ("https://dashscope-intl.aliyuncs.com/compatible-mode/v1/chat/completions", BEARER),
    "minimax": ("https://api.minimax.io/v1/chat/completions", BEARER),
    "qianfan": ("https://qianfan.baidubce.com/v2/chat/completions", BEARER),
    "hunyuan": ("https://api.hunyuan.cloud.tencent.com/v1/chat/completions", BEARER),
    "volcengine": ("https://ark.cn-beijing.volces.com/api/v3/chat/completions", BEARER),
    "deepinfra": ("https://api.deepinfra.com/v1/openai/chat/completions", BEARER),
    "hyperbolic": ("https://api.hyperbolic.xyz/v1/chat/completions", BEARER),
    "novita": ("https://api.novita.ai/openai/v1/chat/completions", BEARER),
    "nebius": ("https://api.tokenfactory.nebius.com/v1/chat/completions", BEARER),
    "siliconflow": ("https://api.siliconflow.com/v1/chat/completions", BEARER),
    "baseten": ("https://inference.baseten.co/v1/chat/completions", BEARER),
    "friendli": ("https://api.friendli.ai/serverless/v1/chat/completions", BEARER),
    "featherless": ("https://api.featherless.ai/v1/chat/completions", BEARER),
    "chutes": ("https://llm.chutes.ai/v1/chat/completions", BEARER),
    "crusoe": ("https://api.inference.crusoecloud.com/v1/chat/completions", BEARER),
    "avian": ("https://api.avian.io/v1/chat/completions", BEARER),
    "wandb": ("https://api.inference.wandb.ai/v1/chat/completions", BEARER),
    "digitalocean": ("https://inference.do-ai.run/v1/chat/completions", BEARER),
    "ionet": ("https://api.intelligence.io.solutions/api/v1/chat/completions", BEARER),
    "gmi": ("https://api.gmi-serving.com/v1/chat/completions", BEARER),
    "heroku": ("https://us.inference.heroku.com/v1/chat/completions", BEARER),
    "databricks": ("https://dbc-1.cloud.databricks.com/serving-endpoints/chat/completions", BEARER),
    "snowflake": ("https://org-acct.snowflakecomputing.com/api/v2/cortex/v1/chat/completions", BEARER),
    "cloudflare": ("https://api.cloudflare.com/client/v4/accounts/example/ai/v1/chat/completions", BEARER),
    "watsonx": ("https://eu-west-3.ml.cloud.ibm.com/ml/v1/text/chat?version=2025-02-06", ""),
    "sap": ("https://api.ai.example.com/v2/inference/deployments/d1/chat/completions?api-version=2024-10-21", ""),
    "azure-ai": (
        "https://res.services.ai.azure.com/models/chat/completions?api-version=2024-05-01-preview",
        f"api-key: {KEY}",
    ),
    "bedrock-mantle": ("https://bedrock-mantle.eu-west-3.api.aws/v1/chat/completions", BEARER),
    "vercel": ("https://ai-gateway.vercel.sh/v1/chat/completions", BEARER),
    "portkey": ("https://api.portkey.ai/v1/chat/completions", f"x-portkey-api-key: {KEY}"),
    "requesty": ("https://router.requesty.ai/v1/chat/completions", BEARER),
    "helicone": ("https://ai-gateway.helicone.ai/v1/chat/completions", BEARER),
    "litellm": ("http://localhost:4000/v1/chat/completions", BEARER),
    "lmstudio": ("http://localhost:1234/v1/chat/completions", BEARER),
    "vllm": ("http://localhost:8000/v1/chat/completions", BEARER),
    "llamacpp": ("http://localhost:8080/v1/chat/completions", BEARER),
    "llamafile": ("http://localhost:8080/v1/chat/completions", BEARER),
    "sglang": ("http://localhost:30000/v1/chat/completions", BEARER),
    "jina": ("https://deepsearch.jina.ai/v1/chat/completions", BEARER),
    "upstage": ("https://api.upstage.ai/v1/chat/completions", BEARER),
    "writer": ("https://api.writer.com/v1/chat", BEARER),
    "reka": ("https://api.reka.ai/v1/chat/completions", BEARER),
    "venice": ("https://api.venice.ai/api/v1/chat/completions", BEARER),
    "ovh": ("https://oai.endpoints.kepler.ai.cloud.ovh.net/v1/chat/completions", BEARER),
    "scaleway": ("https://api.scaleway.ai/v1/chat/completions", BEARER),
    "gigachat": ("https://gigachat.devices.sberbank.ru/api/v1/chat/completions", ""),
    "yandex": ("https://llm.api.cloud.yandex.net/v1/chat/completions", BEARER),
    "meta": ("https://api.meta.ai/v1/chat/completions", BEARER),
    "poe": ("https://api.poe.com/v1/chat/completions", BEARER),
    "doubleword": ("https://api.doubleword.ai/v1/chat/completions", BEARER),
    "stepfun": ("https://api.stepfun.com/v1/chat/completions", BEARER),
    "inception": ("https://api.inceptionlabs.ai/v1/chat/completions", BEARER),
    "xiaomi": ("https://api.xiaomimimo.com/v1/chat/completions", BEARER),
    "modelscope": ("https://api-inference.modelscope.cn/v1/chat/completions", BEARER),
}

#: What each row with keyword arguments of its own is given.
OWN: dict[str, dict[str, Any]] = {
    "vertex": {"project": "proj"},
    "bedrock": {"region": "eu-west-3"},
    "bedrock-mantle": {"region": "eu-west-3"},
    "azure": {"azure_endpoint": "https://res.openai.azure.com/"},
    "azure-ai": {"endpoint": "https://res.services.ai.azure.com/models/"},
    "databricks": {"workspace": "https://dbc-1.cloud.databricks.com/"},
    "snowflake": {"account": "org-acct"},
    "cloudflare": {"account_id": "example"},
    "watsonx": {"region": "eu-west-3", "project_id": "p1"},
    "sap": {
        "deployment_url": "https://api.ai.example.com/v2/inference/deployments/d1",
        "client_id": "c1",
        "auth_url": "https://auth.example.com",
    },
}

NAMES = [row.name for row in ROWS]


@pytest.fixture(autouse=True)
def no_keys_from_outside(monkeypatch: pytest.MonkeyPatch) -> None:
    for row in ROWS:
        for name in (*row.key_env, *row.base_url_env, *row.env.values()):
            monkeypatch.delenv(name, raising=False)
    for name in (
        "OLLAMA_HOST",
        "GOOGLE_CLOUD_PROJECT",
        "GOOGLE_CLOUD_LOCATION",
        "AWS_DEFAULT_REGION",
        "OPENAI_API_VERSION",
    ):
        monkeypatch.delenv(name, raising=False)


def row_of(name: str) -> Provider:
    return next(row for row in ROWS if row.name == name)


def made(name: str, model: str = "m", **options: Any) -> ChatModel:
    return ChatModel(f"{name}:{model}", **{"api_key": KEY, **OWN.get(name, {}), **options})


def sent(model: ChatModel) -> tuple[str, dict[str, str], dict[str, Any]]:
    """(URL, headers, body) of a call, before anything is authorised."""
    plan = model._plan()
    request = plan.dialect.encode(model._call("hi"))
    return plan.target.base_url + request.path, {**plan.target.headers, **request.headers}, json.loads(request.body)


def test_every_row_is_expected_once() -> None:
    assert len(set(NAMES)) == len(NAMES) >= 45
    assert set(EXPECTED) == set(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_where_a_call_goes(name: str) -> None:
    url, header = EXPECTED[name]
    found, headers, body = sent(made(name))
    assert found == url
    shown = [f"{k}: {str.__str__(v)}" for k, v in headers.items() if KEY in v]
    assert shown == ([header] if header else [])
    assert "hi" in json.dumps(body)


@pytest.mark.parametrize("row", ROWS, ids=NAMES)
def test_a_row_is_whole(row: Provider) -> None:
    assert inspect.isclass(load(row.dialect))
    assert row.docs.startswith("https://")
    assert re.fullmatch(r"20\d\d-\d\d", row.checked)
    assert all(q in QUIRKS for q in row.quirks)
    assert row.auth in ("bearer", "none") or row.auth.startswith("header:")
    assert row.keyless in ("", "aws", "google", "azure")
    assert row.exchange in ("", "ibm", "gigachat", "sap")
    assert not row.needs_key or row.key_env
    assert not row.base_url.endswith("/") or row.name == "local"
    assert set(row.env) <= {*url_fields(row), *row.takes}
    if row.model_class is not None:
        assert issubclass(load(row.model_class), ChatModel)
        assert load(row.model_class).provider_name == row.name or row.name == "openai-responses"


@pytest.mark.parametrize("row", ROWS, ids=NAMES)
def test_the_page_has_the_row(row: Provider) -> None:
    lines = [line for line in DOCS.read_text().splitlines() if line.startswith(f"| `{row.name}` |")]
    assert len(lines) == 1
    (line,) = lines
    assert row.docs in line
    assert row.checked in line
    assert row.base_url.removeprefix("https://") in line or row.name == "vertex"
    assert not row.key_env or f"`{row.key_env[0]}`" in line
    kind = row.model_class.partition(":")[2] if row.model_class else "ChatModel"
    assert f"`{kind}`" in line


def test_the_page_has_no_other_rows() -> None:
    named = re.findall(r"^\| `([a-z0-9-]+)` \| `\w+` \|", DOCS.read_text(), re.MULTILINE)
    assert sorted(named) == sorted(NAMES)


@pytest.mark.parametrize("name", [n for n in NAMES if n != "local"])
def test_the_key_does_not_show(name: str) -> None:
    model = made(name)
    plan = model._plan()
    body = repr((model, model._config, plan, plan.target, plan.target.authorise))
    assert KEY not in body
    assert KEY.encode() not in pickle.dumps(model)
    again = pickle.loads(pickle.dumps(model))
    assert (again.provider, again.model) == (model.provider, model.model)


@pytest.mark.parametrize("row", [r for r in ROWS if r.needs_key and not r.keyless], ids=lambda r: r.name)
def test_a_missing_key_names_the_variable_and_the_parameter(row: Provider) -> None:
    with pytest.raises(MissingKeyError) as caught:
        made(row.name, api_key=None)
    assert isinstance(caught.value, ValueError)
    assert row.key_env[0] in str(caught.value)
    assert "api_key" in str(caught.value)
    assert caught.value.provider == row.name


@pytest.mark.parametrize("row", [r for r in ROWS if r.key_env and r.name != "local"], ids=lambda r: r.name)
def test_the_key_comes_from_each_variable(row: Provider, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in row.key_env:
        with monkeypatch.context() as patch:
            patch.setenv(name, KEY)
            made(row.name, api_key=None)
            patch.setenv(name, " ")  # an empty variable counts as missing
            if row.needs_key and not row.keyless:
                with pytest.raises(MissingKeyError):
                    made(row.name, api_key=None)


#: Vertex's host follows from the location, so that nobody is asked for it.
ASKED = [r for r in ROWS if url_fields(r) and r.name != "vertex"]


@pytest.mark.parametrize("row", ASKED, ids=lambda r: r.name)
def test_a_field_of_the_address_is_asked_for(row: Provider, monkeypatch: pytest.MonkeyPatch) -> None:
    (field,) = url_fields(row)
    rest = {k: v for k, v in OWN[row.name].items() if k not in (field, "azure_endpoint")}
    with pytest.raises(UsageError, match=row.env[field]) as caught:
        ChatModel(f"{row.name}:m", api_key=KEY, **rest)
    assert caught.value.argument == field
    monkeypatch.setenv(row.env[field], "https://from.example/")
    assert "from.example" in ChatModel(f"{row.name}:m", api_key=KEY, **rest)._plan().target.base_url


@pytest.mark.parametrize("name", [n for n in NAMES if n != "local"])
def test_another_address(name: str) -> None:
    options = {"base_url": "http://127.0.0.1:9/base/"}
    plan = made(name, **options)._plan()
    assert plan.target.base_url == "http://127.0.0.1:9/base"


@pytest.mark.parametrize("row", [r for r in ROWS if r.base_url_env], ids=lambda r: r.name)
def test_the_address_from_the_environment(row: Provider, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(row.base_url_env[0], "http://127.0.0.1:9/base/")
    assert made(row.name)._plan().target.base_url == "http://127.0.0.1:9/base"


def test_an_unknown_provider_has_a_hint() -> None:
    with pytest.raises(UsageError, match="mistral"):
        ChatModel("mistrall:x")
    with pytest.raises(UsageError, match="no provider"):
        ChatModel("zzz:x")


def test_a_row_that_is_registered_first_hides_no_other() -> None:
    code = (
        "from chatmodels.providers import Provider, provider, providers, register\n"
        "register(Provider(name='mine', base_url='https://mine.example/v1'))\n"
        "print(provider('openai').name, provider('mine').base_url, len(providers()) > 70)"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout.split() == ["openai", "https://mine.example/v1", "True"]


def test_what_is_registered_is_a_row() -> None:
    with pytest.raises(UsageError, match="Provider"):
        register({"name": "mine"})  # type: ignore[arg-type]


def test_rows_can_be_listed() -> None:
    assert set(NAMES) <= set(chatmodels._providers.providers())
    assert keywords(row_of("watsonx")) == {"region", "project_id", "space_id", "version", "auth_url"}


# ---- what is special about a row


def test_watsonx_names_the_model_and_the_project() -> None:
    model = made("watsonx", "ibm/granite-4-h-small").with_tools(
        {"name": "f", "parameters": {"type": "object"}}, tool_choice="auto"
    )
    body = sent(model)[2]
    assert (body["model_id"], body["project_id"], body["tool_choice_option"]) == ("ibm/granite-4-h-small", "p1", "auto")
    assert not {"model", "stream", "stream_options", "tool_choice"} & set(body)
    plan = model._plan()
    streamed = plan.dialect.encode(model._call("hi", stream=True))
    assert streamed.path == "/ml/v1/text/chat_stream?version=2025-02-06"
    assert not {"stream", "stream_options"} & set(json.loads(streamed.body))


def test_watsonx_wants_one_place(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UsageError, match="WATSONX_PROJECT_ID"):
        ChatModel("watsonx:m", api_key=KEY, region="us-south")._plan()
    with pytest.raises(UsageError, match="one of them"):
        made("watsonx", space_id="s1")._plan()
    monkeypatch.setenv("WATSONX_PROJECT_ID", "from-env")
    assert sent(ChatModel("watsonx:m", api_key=KEY, region="us-south"))[2]["project_id"] == "from-env"


def test_gigachat_calls_functions() -> None:
    from chatmodels import AIMessage, HumanMessage, ToolMessage
    from chatmodels._parts import ToolCall

    weather = {"name": "weather", "description": "The weather", "parameters": {"type": "object", "properties": {}}}
    model = made("gigachat").with_tools(weather, tool_choice="weather")
    talk = [
        HumanMessage(content="Rain?"),
        AIMessage(content=[ToolCall(id="c1", name="weather", args={"city": "Omsk"})]),
        ToolMessage(content="sunny", tool_call_id="c1"),
    ]
    request = model._plan().dialect.encode(model._call(talk))
    body = json.loads(request.body)
    assert body["functions"] == [weather]
    assert body["function_call"] == {"name": "weather"}
    assert not {"tools", "tool_choice", "stream_options"} & set(body)
    assert body["messages"][1]["function_call"] == {"name": "weather", "arguments": {"city": "Omsk"}}
    assert body["messages"][2] == {"role": "function", "name": "weather", "content": '{"result":"sunny"}'}


def test_gigachat_answers_come_back_as_calls() -> None:
    from chatmodels._call import HTTPResponse

    said = {
        "choices": [
            {
                "index": 0,
                "finish_reason": "function_call",
                "message": {
                    "role": "assistant",
                    "content": "",
                    "function_call": {"name": "weather", "arguments": {"city": "Omsk"}},
                },
            }
        ],
        "model": "GigaChat-2:1",
        "usage": {"prompt_tokens": 3, "completion_tokens": 4, "total_tokens": 7},
    }
    model = made("gigachat")
    answer = model._plan().dialect.decode(HTTPResponse(status=200, body=json.dumps(said).encode()))
    assert [(c.name, c.args) for c in answer.tool_calls] == [("weather", {"city": "Omsk"})]
    assert answer.finish_reason == "tool_calls"
    body = json.loads(model._plan().dialect.encode(model._call([answer])).body)
    assert body["messages"][0]["function_call"] == {"name": "weather", "arguments": {"city": "Omsk"}}


def test_sap_has_a_resource_group() -> None:
    assert sent(made("sap"))[1]["ai-resource-group"] == "default"
    assert sent(made("sap", headers={"AI-Resource-Group": "mine"}))[1]["ai-resource-group"] == "mine"


def test_deepseek_is_asked_for_json_in_words() -> None:
    from chatmodels._output import Output

    model = made("deepseek")
    call = model._call("hi")
    output = Output.of({"type": "object", "title": "Answer", "properties": {"n": {"type": "integer"}}})
    import msgspec

    body = json.loads(model._plan().dialect.encode(msgspec.structs.replace(call, output=output)).body)
    assert body["response_format"] == {"type": "json_object"}
    assert "JSON" in body["messages"][0]["content"]


@pytest.mark.parametrize(
    ("name", "field"),
    [("deepseek", "reasoning_content"), ("xai", "reasoning_content"), ("zai", "reasoning_content"), ("cerebras", "reasoning"),
     ("groq", "reasoning"), ("crusoe", "reasoning"), ("avian", "reasoning_content"), ("doubleword", "reasoning_content")],
)  # fmt: skip
def test_reasoning_goes_back_where_it_came_from(name: str, field: str) -> None:
    """As recorded clients sent it back to these hosts."""
    from chatmodels._call import HTTPResponse

    message = {"role": "assistant", "content": "42", field: "6 times 7"}
    said = {"choices": [{"index": 0, "finish_reason": "stop", "message": message}]}
    model = made(name)
    dialect = model._plan().dialect
    answer = dialect.decode(HTTPResponse(status=200, body=json.dumps(said).encode()))
    assert answer.reasoning == "6 times 7"
    body = json.loads(dialect.encode(model._call([answer, ("human", "sure?")])).body)
    assert body["messages"][0] == message


@pytest.mark.parametrize("model", ["o3", "gpt-5-mini", "gpt-5.6-sol", "gpt-6-luna", "gpt-6.1-terra"])
def test_reasoning_models_of_openai(model: str) -> None:
    body = sent(made("openai", model, max_tokens=5, temperature=0.5))[2]
    assert body["max_completion_tokens"] == 5
    assert not {"max_tokens", "temperature"} & set(body)


def test_reasoning_models_of_openai_over_responses() -> None:
    answer = made("openai-responses", "gpt-6-luna", temperature=0.5, reasoning_effort="low")
    request = answer._plan().dialect.encode(answer._call("hi"))
    assert "temperature" not in json.loads(request.body)
    assert any("temperature" in warning for warning in request.warnings)
    unreasoned = sent(made("openai-responses", "gpt-6-luna", temperature=0.5, reasoning_effort="none"))[2]
    assert unreasoned["temperature"] == 0.5
    assert sent(made("openai-responses", "gpt-4o-mini", temperature=0.5))[2]["temperature"] == 0.5


@pytest.mark.parametrize("model", ["gpt-4o-mini", "gpt-5-chat-latest"])
def test_other_models_of_openai(model: str) -> None:
    body = sent(made("openai", model, max_tokens=5, temperature=0.5))[2]
    assert (body["max_tokens"], body["temperature"]) == (5, 0.5)


@pytest.mark.skipif(not THERE, reason="the recorded traffic does not lie beside the repository")
def test_the_addresses_are_those_that_recorded_clients_used() -> None:
    """For each host of which a client's request was recorded, one went to the path that ours go to."""
    seen: dict[str, set[str]] = {}
    for api in (
        "openai-chat",
        "openai-responses",
        "anthropic-messages",
        "cohere-chat-v2",
        "mistral-chat",
        "huggingface-chat",
    ):
        for record in records(api):
            if record["request"]:
                seen.setdefault(record["host"], set()).add(record["request"]["path"].split("?")[0])
    checked = []
    for name, (url, _) in EXPECTED.items():
        parts = urlsplit(url)
        if parts.hostname in seen and name not in ("google", "vertex"):  # their paths name the model
            assert parts.path in seen[parts.hostname], name
            checked.append(name)
    assert len(checked) >= 20
