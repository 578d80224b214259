"""The model classes: each is its provider's, takes its own keyword arguments, and reaches the wire with them."""

from __future__ import annotations

import json
import pickle
import subprocess
import sys
import textwrap
import typing
from pathlib import Path
from typing import Any

import pytest

from chatmodels import ChatModel, UsageError, chat_models
from chatmodels._errors import MissingKeyError
from chatmodels._provider_rows import ROWS
from chatmodels._providers import provider
from chatmodels.chat_models import (
    AzureChatOpenAI,
    ChatAnthropic,
    ChatBedrock,
    ChatCloudflare,
    ChatCohere,
    ChatDatabricks,
    ChatDeepSeek,
    ChatGoogle,
    ChatGroq,
    ChatMistralAI,
    ChatMoonshot,
    ChatOllama,
    ChatOpenAI,
    ChatOpenRouter,
    ChatPerplexity,
    ChatQwen,
    ChatSnowflake,
    ChatVertexAI,
    ChatZAI,
    GigaChat,
)

KEY = "sk-canary-0123456789"
CLASSES = sorted(
    {getattr(chat_models, name) for name in chat_models.__all__} - {ChatModel}, key=lambda kind: kind.__name__
)


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


def body_of(model: ChatModel, given: Any = "hi", **options: Any) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(model._plan().dialect.encode(model._call(given, **options)).body)
    return found


def url_of(model: ChatModel) -> str:
    plan = model._plan()
    return plan.target.base_url + plan.dialect.encode(model._call("hi")).path


@pytest.mark.parametrize("kind", CLASSES, ids=lambda kind: kind.__name__)
def test_a_class_stands_for_its_row(kind: type[ChatModel]) -> None:
    assert kind.provider_name is not None
    row = provider(kind.provider_name)
    assert row.model_class == f"chatmodels.chat_models:{kind.__name__}"
    assert kind.__doc__
    if row.needs_key and not row.keyless and kind is not GigaChat:
        assert row.key_env[0] in kind.__doc__


@pytest.mark.parametrize(
    ("kind", "options", "fields"),
    [
        (ChatOpenAI, {"openai_api_key": KEY, "model_name": "gpt-4o"}, {"model": "gpt-4o"}),
        (ChatOpenAI, {"api_key": KEY, "api": "responses"}, {"model": "gpt-4o-mini"}),
        (ChatAnthropic, {"anthropic_api_key": KEY, "max_tokens_to_sample": 9}, {"max_tokens": 9}),
        (ChatGoogle, {"google_api_key": KEY, "max_output_tokens": 9}, {"generationConfig": {"maxOutputTokens": 9}}),
        (ChatCohere, {"cohere_api_key": KEY, "top_k": 3}, {"k": 3}),
        (ChatMistralAI, {"mistral_api_key": KEY, "random_seed": 3}, {"random_seed": 3}),
        (ChatGroq, {"api_key": KEY, "model": "m", "reasoning_format": "parsed"}, {"reasoning_format": "parsed"}),
        (ChatDeepSeek, {"api_key": KEY, "thinking": {"type": "disabled"}}, {"thinking": {"type": "disabled"}}),
        (ChatZAI, {"api_key": KEY, "model": "m", "thinking": {"type": "enabled"}}, {"thinking": {"type": "enabled"}}),
        (ChatMoonshot, {"api_key": KEY, "model": "m", "thinking": {"type": "enabled"}}, {"thinking": {"type": "enabled"}}),
        (ChatQwen, {"api_key": KEY, "model": "m", "enable_thinking": False, "top_k": 5}, {"enable_thinking": False, "top_k": 5}),
        (
            ChatOpenRouter,
            {"api_key": KEY, "model": "m", "models": ["a", "b"], "provider": {"sort": "price"}, "reasoning_effort": "low"},
            {"models": ["a", "b"], "provider": {"sort": "price"}, "reasoning": {"effort": "low"}},
        ),
        (
            ChatPerplexity,
            {"api_key": KEY, "search_mode": "academic", "extra_body": {"country": "FR"}},
            {"model": "sonar", "search_mode": "academic", "country": "FR"},
        ),
        (GigaChat, {"credentials": KEY, "profanity_check": False}, {"model": "GigaChat-2", "profanity_check": False}),
    ],
    ids=lambda value: value.__name__ if isinstance(value, type) else "",
)  # fmt: skip
def test_settings_of_its_own(kind: type[ChatModel], options: dict[str, Any], fields: dict[str, Any]) -> None:
    body = body_of(kind(**options))
    assert {name: body.get(name) for name in fields} == fields


def test_by_name_too() -> None:
    model = ChatModel("openrouter:m", api_key=KEY, models=["a"])  # type: ignore[call-arg]
    assert type(model) is ChatOpenRouter
    assert body_of(model)["models"] == ["a"]


def test_a_field_given_twice() -> None:
    with pytest.raises(UsageError, match="twice"):
        ChatDeepSeek(api_key=KEY, thinking={}, extra_body={"thinking": {}})
    with pytest.raises(UsageError, match="credentials"):
        GigaChat(api_key=KEY, credentials=KEY)


@pytest.mark.parametrize("kind", CLASSES, ids=lambda kind: kind.__name__)
def test_an_editor_sees_the_keyword_arguments(kind: type[ChatModel]) -> None:
    hints = typing.get_type_hints(kind.__init__)
    assert "model" in hints
    options = typing.get_args(hints["options"])[0]
    named = set(typing.get_type_hints(options)) | set(hints)
    assert {"temperature", "max_tokens", "api_key", "base_url", "timeout"} <= named
    mine = set(getattr(kind, "body_options", ())) | set(kind.own_options)
    assert mine <= named


# ---- addresses


def test_azure_v1_and_dated(monkeypatch: pytest.MonkeyPatch) -> None:
    v1 = "https://res.openai.azure.com/openai/v1/chat/completions"
    dated = "https://res.openai.azure.com/openai/deployments/my%20gpt/chat/completions?api-version=2024-10-21"
    for endpoint in (
        "https://res.openai.azure.com",
        "https://res.openai.azure.com/",
        "https://res.openai.azure.com/openai/v1/",
    ):
        assert url_of(AzureChatOpenAI("my gpt", azure_endpoint=endpoint, api_key=KEY)) == v1
        old = AzureChatOpenAI(azure_deployment="my gpt", azure_endpoint=endpoint, api_version="2024-10-21", api_key=KEY)
        assert url_of(old) == dated
    assert (
        url_of(AzureChatOpenAI("m", azure_endpoint="https://res.openai.azure.com", api_version="v1", api_key=KEY)) == v1
    )
    monkeypatch.setenv("AZURE_OPENAI_ENDPOINT", "https://res.openai.azure.com/")
    monkeypatch.setenv("AZURE_OPENAI_API_KEY", KEY)
    assert url_of(ChatModel("azure:my gpt")) == v1
    assert url_of(AzureChatOpenAI(deployment_name="my gpt", openai_api_version="2024-10-21")) == dated
    monkeypatch.setenv("OPENAI_API_VERSION", "2024-10-21")
    assert url_of(ChatModel("azure:my gpt")) == dated


def test_azure_behind_a_gateway() -> None:
    model = AzureChatOpenAI("m", base_url="https://gw.example/deployments/m", api_version="2024-10-21", api_key=KEY)
    assert url_of(model) == "https://gw.example/deployments/m/chat/completions?api-version=2024-10-21"


def test_azure_without_an_endpoint() -> None:
    with pytest.raises(UsageError, match="AZURE_OPENAI_ENDPOINT"):
        AzureChatOpenAI("m", api_key=KEY)


def test_vertex_places(monkeypatch: pytest.MonkeyPatch) -> None:
    model = ChatVertexAI("m", project="p", location="europe-west4", api_key=KEY)
    end = "v1/projects/p/locations/europe-west4/publishers/google/models/m:generateContent"
    assert url_of(model) == f"https://europe-west4-aiplatform.googleapis.com/{end}"
    monkeypatch.setenv("GOOGLE_CLOUD_PROJECT", "p")
    monkeypatch.setenv("GOOGLE_CLOUD_LOCATION", "europe-west4")
    assert url_of(ChatModel("vertex:m", api_key=KEY)) == f"https://europe-west4-aiplatform.googleapis.com/{end}"


def test_bedrock_regions(monkeypatch: pytest.MonkeyPatch) -> None:
    assert url_of(ChatBedrock("m", region="us-east-1", api_key=KEY)).startswith("https://bedrock-runtime.us-east-1.")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-central-1")
    assert url_of(ChatModel("bedrock:m", api_key=KEY)).startswith("https://bedrock-runtime.eu-central-1.")
    monkeypatch.setenv("AWS_REGION", "eu-west-1")
    assert url_of(ChatModel("bedrock:m", api_key=KEY)).startswith("https://bedrock-runtime.eu-west-1.")


@pytest.mark.parametrize(
    ("host", "url"),
    [
        ("127.0.0.1", "http://127.0.0.1:11434"),
        ("0.0.0.0:8000", "http://127.0.0.1:8000"),
        ("http://box.example", "http://box.example"),
        ("https://box.example:8443/sub/", "https://box.example:8443/sub"),
        ("[::1]:9", "http://[::1]:9"),
    ],
)  # fmt: skip
def test_ollama_host(host: str, url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OLLAMA_HOST", host)
    assert url_of(ChatOllama("m")) == url_of(ChatModel("ollama:m")) == f"{url}/api/chat"
    assert url_of(ChatOllama("m", base_url="http://other:1")) == "http://other:1/api/chat"


def test_typed_fields_of_addresses() -> None:
    assert "dbc-9." in url_of(ChatDatabricks("m", workspace="dbc-9.cloud.databricks.com", api_key=KEY))
    assert "//acct." in url_of(ChatSnowflake("m", account="acct", api_key=KEY))
    assert "/accounts/a1/" in url_of(ChatCloudflare("m", account_id="a1", api_key=KEY))


def test_a_token_that_was_given_is_not_pickled(monkeypatch: pytest.MonkeyPatch) -> None:
    model = AzureChatOpenAI("m", azure_endpoint="https://res.openai.azure.com", azure_ad_token=KEY)
    assert KEY not in repr(model._config)
    data = pickle.dumps(model)
    assert KEY.encode() not in data
    ask = pickle.loads(data)._config.provider_options["azure_ad_token_provider"]
    monkeypatch.delenv("AZURE_OPENAI_AD_TOKEN", raising=False)
    with pytest.raises(MissingKeyError, match="AZURE_OPENAI_AD_TOKEN"):
        ask()
    monkeypatch.setenv("AZURE_OPENAI_AD_TOKEN", "from-env")
    assert ask() == "from-env"


# ---- plug-ins

SAMPLE = Path(__file__).parent / "plugin_sample"


def install(folder: Path, entry_points: str, source: Path | None = None) -> None:
    """What an installer leaves of a package: its module and its metadata."""
    if source is not None:
        (folder / source.name).write_text(source.read_text())
    info = folder / "chatmodels_sample-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: chatmodels-sample\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(entry_points)


def run(folder: Path, code: str) -> subprocess.CompletedProcess[str]:
    lines = f"import sys; sys.path.insert(0, {str(folder)!r})\n{textwrap.dedent(code)}"
    return subprocess.run([sys.executable, "-c", lines], capture_output=True, text=True, check=False, timeout=60)


def declared() -> str:
    """The entry points of the sample's pyproject.toml, as an installer writes them."""
    import tomllib

    groups = tomllib.loads((SAMPLE / "pyproject.toml").read_text())["project"]["entry-points"]
    return "".join(f"[{g}]\n" + "".join(f"{k} = {v}\n" for k, v in points.items()) for g, points in groups.items())


def test_a_plug_in_brings_a_row_and_a_dialect(tmp_path: Path) -> None:
    install(tmp_path, declared(), SAMPLE / "src" / "chatmodels_sample.py")
    done = run(
        tmp_path,
        """
        import http.server, json, threading
        from chatmodels import ChatModel

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self):
                asked = json.loads(self.rfile.read(int(self.headers["content-length"])))
                said = json.dumps({"said": asked["ask"].upper(), "path": self.path, "key": self.headers["x-sample-key"]}).encode()
                self.send_response(200)
                self.send_header("content-length", str(len(said)))
                self.end_headers()
                self.wfile.write(said)

            def log_message(self, *args):
                pass

        server = http.server.HTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        model = ChatModel("sample:x", api_key="k", base_url=f"http://127.0.0.1:{server.server_port}")
        answer = model("hi")
        print(type(model).__name__, model.model, answer.text, answer.provider, answer.raw["path"], answer.raw["key"])
        print("".join(chunk.text for chunk in model.stream("ho")))
        try:
            ChatModel("sample:x")
        except ValueError as error:
            print(error)
        """,
    )
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert lines[0] == "ChatModel x HI sample /ask k"
    assert lines[1] == "HO"
    assert "SAMPLE_API_KEY" in lines[2]


def test_a_plug_in_cannot_take_the_place_of_a_row(tmp_path: Path) -> None:
    (tmp_path / "greedy.py").write_text(
        "from chatmodels._providers import Provider\nrow = Provider(name='openai', base_url='https://evil.example')\n"
    )
    install(tmp_path, "[chatmodels.providers]\ngreedy = greedy:row\n")
    done = run(
        tmp_path,
        """
        from chatmodels._providers import provider, providers
        print(providers()["openai"].base_url, provider("openai").base_url)
        """,
    )
    assert done.stdout.split() == ["https://api.openai.com/v1"] * 2, done.stderr


@pytest.mark.parametrize(
    ("module", "said"),
    [
        ("raise RuntimeError('out of order')\n", "RuntimeError('out of order')"),
        ("row = 'no row'\n", "gives no Provider but str"),
        ("def row():\n    return [1]\n", "gives no Provider but int"),
    ],
    ids=["raises", "a str", "a list"],
)
def test_a_broken_plug_in_is_named(module: str, said: str, tmp_path: Path) -> None:
    (tmp_path / "broken.py").write_text(module)
    install(tmp_path, "[chatmodels.providers]\nbroken = broken:row\n")
    done = run(
        tmp_path,
        """
        from chatmodels import ChatModel, ChatOpenAI, UsageError
        ChatOpenAI(openai_api_key="k")  # our own rows do not need it
        try:
            ChatModel("broken:x")
        except UsageError as error:
            print(error)
        """,
    )
    assert done.returncode == 0, done.stderr
    assert "the plug-in 'broken' (broken:row)" in done.stdout
    assert said in done.stdout
