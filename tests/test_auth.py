"""Keys that do not stand in a fixed header: tokens that are renewed or exchanged, and signatures."""

from __future__ import annotations

import base64
import json
import re
import sys
import time
from datetime import UTC, datetime
from types import ModuleType
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from chatmodels import AIMessage, ChatModel, UsageError
from chatmodels import _credentials as credentials
from chatmodels._auth import MARGIN, AWSCredentials, Exchange, Signature, Token, authorised
from chatmodels._call import HTTPRequest, HTTPResponse
from chatmodels._errors import AuthenticationError, MissingKeyError
from chatmodels._flow import Ask, Send, Target, Timeouts, WallClock
from chatmodels._secret import Secret
from chatmodels.chat_models import AzureChatOpenAI, ChatBedrock, ChatSAP, ChatVertexAI, ChatWatsonx, GigaChat

from .conftest import World
from .servers import Route, Server, answer, error, plain

SECRET = "secret-canary-42"
REQUEST = HTTPRequest(path="/x", body=b"{}")
CONVERSE = {
    "output": {"message": {"role": "assistant", "content": [{"text": "Oui."}]}},
    "stopReason": "end_turn",
    "usage": {"inputTokens": 1, "outputTokens": 2, "totalTokens": 3},
}


class Driver:
    """Drives a flow by hand: the clock stands where it is put, and sending is answered from a list."""

    def __init__(self, *answers: HTTPResponse) -> None:
        self.now = 1_000_000.0
        self.answers = list(answers)
        self.sent: list[Send] = []

    def __call__(self, flow: Any) -> Any:
        value: Any = None
        try:
            effect = next(flow)
            while True:
                if isinstance(effect, WallClock):
                    value = self.now
                elif isinstance(effect, Ask):
                    value = effect.function(*effect.args)
                else:
                    assert isinstance(effect, Send)
                    self.sent.append(effect)
                    value = self.answers.pop(0)
                effect = flow.send(value)
        except StopIteration as done:
            return done.value


@pytest.fixture(autouse=True)
def no_cloud_outside(monkeypatch: pytest.MonkeyPatch) -> None:
    import os

    for name in list(os.environ):
        if name.startswith(("AWS_", "AZURE_", "GOOGLE_", "WATSONX_", "AICORE_", "GIGACHAT_", "VERTEX_")):
            monkeypatch.delenv(name)


@pytest.fixture
def missing(monkeypatch: pytest.MonkeyPatch) -> None:
    """None of the clouds' own libraries is installed."""
    for name in list(sys.modules):
        if name.partition(".")[0] in ("botocore", "azure") or name.startswith("google.auth"):
            monkeypatch.delitem(sys.modules, name)
    for name in ("botocore", "botocore.session", "google.auth", "azure", "azure.identity"):
        monkeypatch.setitem(sys.modules, name, None)


# ---- tokens


def test_a_token_is_renewed_before_it_ends() -> None:
    drive = Driver()
    made: list[float] = []

    def source() -> tuple[str, float | None]:
        made.append(drive.now)
        return f"t{len(made)}", drive.now + 1000

    token = Token(source)
    assert drive(token(REQUEST)) == {"authorization": "Bearer t1"}
    drive.now += 1000 - MARGIN  # exactly at the margin it is still good
    assert drive(token(REQUEST)) == {"authorization": "Bearer t1"}
    drive.now += 1
    assert drive(token(REQUEST)) == {"authorization": "Bearer t2"}
    assert len(made) == 2


def test_a_token_without_an_end_is_kept() -> None:
    drive = Driver()
    made: list[int] = []
    token = Token(lambda: (f"t{len(made)}", made.append(1)))  # type: ignore[func-returns-value]
    first = drive(token(REQUEST))
    drive.now += 10**9
    assert drive(token(REQUEST)) == first
    assert len(made) == 1


def test_a_failing_source_is_asked_again() -> None:
    drive = Driver()
    outcomes: list[Any] = [OSError("no network"), ("t", None)]

    def source() -> tuple[str, float | None]:
        found = outcomes.pop(0)
        if isinstance(found, Exception):
            raise found
        return found  # type: ignore[no-any-return]

    token = Token(source)
    with pytest.raises(OSError, match="no network"):
        drive(token(REQUEST))
    assert drive(token(REQUEST)) == {"authorization": "Bearer t"}


def test_authorisation_adds_to_the_request() -> None:
    drive = Driver()
    plain_target = Target("http://h", {}, Timeouts(), None)
    request = HTTPRequest(path="/x", headers={"a": "b"})
    assert authorised(plain_target, request).__class__.__name__ == "generator"
    assert drive(authorised(plain_target, request)) is request
    target = Target("http://h", {}, Timeouts(), None, Token(lambda: ("t", None)))
    assert drive(authorised(target, request)).headers == {"a": "b", "authorization": "Bearer t"}


def test_nothing_shows() -> None:
    drive = Driver()
    token = Token(lambda: (SECRET, None))
    signature = Signature(
        lambda: AWSCredentials(access_key="AK", secret_key=SECRET, session_token=SECRET),
        region="r", service="s", base_url="http://h", headers={},
    )  # fmt: skip
    exchange = credentials.exchange("ibm", Secret(SECRET), {}, Timeouts(), None)
    headers = drive(token(REQUEST))
    drive(signature(REQUEST))
    for thing in (token, signature, exchange, headers, AWSCredentials(access_key="AK", secret_key=SECRET)):
        assert SECRET not in repr(thing)
        assert SECRET not in str(thing)


# ---- keys that are exchanged


def token_body(**fields: Any) -> HTTPResponse:
    return HTTPResponse(status=200, body=json.dumps({"access_token": "at1", **fields}).encode())


def test_an_exchange_is_renewed() -> None:
    drive = Driver(token_body(expires_in=600), token_body(access_token="at2", expires_in=600))
    exchange = credentials.exchange("ibm", Secret(SECRET), {}, Timeouts(), None)
    assert drive(exchange(REQUEST)) == {"authorization": "Bearer at1"}
    drive.now += 600 - MARGIN
    assert drive(exchange(REQUEST)) == {"authorization": "Bearer at1"}
    drive.now += 1
    assert drive(exchange(REQUEST)) == {"authorization": "Bearer at2"}
    assert len(drive.sent) == 2


def test_an_exchange_reads_milliseconds() -> None:
    drive = Driver(token_body(expires_at=1_001_800_000))  # GigaChat's: 1,800 s after the driver's clock
    exchange = credentials.exchange("gigachat", Secret(SECRET), {}, Timeouts(), None)
    drive(exchange(REQUEST))
    drive.now += 1800 - MARGIN
    drive(exchange(REQUEST))
    assert len(drive.sent) == 1


def form(sent: Send) -> dict[str, list[str]]:
    assert sent.target.headers["content-type"] == "application/x-www-form-urlencoded"
    return parse_qs(sent.request.body.decode())


def test_what_ibm_is_asked() -> None:
    drive = Driver(token_body(expires_in=3600))
    drive(credentials.exchange("ibm", Secret(SECRET), {}, Timeouts(), None)(REQUEST))
    (sent,) = drive.sent
    assert sent.target.base_url + sent.request.path == "https://iam.cloud.ibm.com/identity/token"
    assert form(sent) == {"grant_type": ["urn:ibm:params:oauth:grant-type:apikey"], "apikey": [SECRET]}


def test_what_gigachat_is_asked() -> None:
    drive = Driver(token_body(expires_at=1), token_body(expires_at=1))
    exchange = credentials.exchange("gigachat", Secret(SECRET), {"scope": "GIGACHAT_API_B2B"}, Timeouts(), None)
    drive(exchange(REQUEST))
    drive(exchange(REQUEST))
    one, two = drive.sent
    assert one.target.base_url + one.request.path == "https://ngw.devices.sberbank.ru:9443/api/v2/oauth"
    assert form(one) == {"scope": ["GIGACHAT_API_B2B"]}
    assert one.target.headers["authorization"] == f"Basic {SECRET}"
    assert re.fullmatch(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", one.request.headers["rquid"])
    assert one.request.headers["rquid"] != two.request.headers["rquid"]


@pytest.mark.parametrize("address", ["https://me.auth.example.com", "https://me.auth.example.com/oauth/token/"])
def test_what_sap_is_asked(address: str) -> None:
    drive = Driver(token_body(expires_in=43199))
    drive(
        credentials.exchange("sap", Secret(SECRET), {"client_id": "me", "auth_url": address}, Timeouts(), None)(REQUEST)
    )
    (sent,) = drive.sent
    assert sent.target.base_url + sent.request.path == "https://me.auth.example.com/oauth/token"
    assert form(sent) == {"grant_type": ["client_credentials"]}
    pair = sent.target.headers["authorization"].removeprefix("Basic ")
    assert base64.b64decode(pair).decode() == f"me:{SECRET}"


def test_sap_asks_for_what_it_needs() -> None:
    with pytest.raises(UsageError, match="AICORE_CLIENT_ID"):
        credentials.exchange("sap", Secret(SECRET), {"auth_url": "https://x"}, Timeouts(), None)
    with pytest.raises(UsageError, match="AICORE_AUTH_URL"):
        credentials.exchange("sap", Secret(SECRET), {"client_id": "me"}, Timeouts(), None)


def test_a_refused_exchange_is_the_providers_error() -> None:
    said = HTTPResponse(status=401, body=b'{"errorCode":"BXNIM0415E","errorMessage":"no such key"}')
    with pytest.raises(AuthenticationError) as caught:
        Driver(said)(credentials.exchange("ibm", Secret(SECRET), {}, Timeouts(), None)(REQUEST))
    assert caught.value.provider == "ibm"
    assert SECRET not in str(caught.value)


def test_an_exchange_answers_what_it_likes() -> None:
    def read(data: bytes, now: float) -> tuple[str, float]:
        return data.decode(), now + 1000

    exchange = Exchange("x", Target("http://h", {}, Timeouts(), None), lambda: REQUEST, read)
    assert Driver(HTTPResponse(status=200, body=b"tt"))(exchange(REQUEST)) == {"authorization": "Bearer tt"}


@pytest.mark.parametrize("kind", ["watsonx", "sap", "gigachat"])
def test_a_call_with_an_exchanged_key(kind: str, server: Server, world: World) -> None:
    tokens = server.route(plain({"access_token": "at1", "expires_in": 3600, "expires_at": (time.time() + 1800) * 1000}))
    chats = server.route(plain(answer("Oui.")))
    place: dict[str, Any] = {"api_key": SECRET, "base_url": chats.url, "auth_url": tokens.url + "/oauth"}
    models: dict[str, Any] = {
        "watsonx": lambda: ChatWatsonx("m", project_id="p", **place),
        "sap": lambda: ChatSAP("m", client_id="c", **place),
        "gigachat": lambda: GigaChat("m", **place),
    }
    model: ChatModel = models[kind]()
    for found in world.calls(model, 3):
        assert isinstance(found, AIMessage), found
        assert found.text == "Oui."
    assert len(tokens.requests) == 1
    assert [r.headers["authorization"] for r in chats.requests] == ["Bearer at1"] * 3
    assert "rquid" not in chats.requests[0].headers


def test_a_refused_exchange_ends_the_call(server: Server, world: World) -> None:
    tokens = server.route(error(401, "no such key"))
    chats = server.route(plain(answer("Oui.")))
    model = GigaChat("m", credentials=SECRET, base_url=chats.url, auth_url=tokens.url + "/oauth")
    (found,) = world.calls(model, 1)
    assert isinstance(found, AuthenticationError)
    assert chats.requests == []


# ---- Azure


def azure(route: Route, **options: Any) -> AzureChatOpenAI:
    return AzureChatOpenAI("m", base_url=route.url, **options)


def test_azures_token_provider_is_asked_each_time(
    server: Server, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AZURE_OPENAI_API_KEY", "not-this-one")  # what is given outweighs the environment
    asked: list[str] = []

    def provider() -> str:
        asked.append(f"t{len(asked) + 1}")
        return asked[-1]

    route = server.route()
    for found in world.calls(azure(route, azure_ad_token_provider=provider), 2):
        assert isinstance(found, AIMessage), found
    assert asked == ["t1", "t2"]
    assert [r.headers["authorization"] for r in route.requests] == ["Bearer t1", "Bearer t2"]
    assert "api-key" not in route.requests[0].headers


def test_azures_key_and_token(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    route = server.route()
    azure(route, api_key=SECRET)("hi")
    azure(route, azure_ad_token="mine")("hi")
    monkeypatch.setenv("AZURE_OPENAI_AD_TOKEN", "from-env")
    azure(route)("hi")
    first, second, third = route.requests
    assert first.headers["api-key"] == SECRET
    assert "authorization" not in first.headers
    assert second.headers["authorization"] == "Bearer mine"
    assert third.headers["authorization"] == "Bearer from-env"


def test_azures_identity(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    """With azure-identity in place of which a module stands that gives what it would: a token and when it ends."""
    asked: list[str] = []

    class DefaultAzureCredential:
        def get_token(self, scope: str) -> Any:
            asked.append(scope)
            return type("AccessToken", (), {"token": f"t{len(asked)}", "expires_on": int(time.time()) + 3600})()

    module = ModuleType("azure.identity")
    module.DefaultAzureCredential = DefaultAzureCredential  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "azure", ModuleType("azure"))
    monkeypatch.setitem(sys.modules, "azure.identity", module)
    route = server.route()
    model = azure(route)
    model("hi")
    model("hi")
    assert asked == ["https://cognitiveservices.azure.com/.default"]
    assert [r.headers["authorization"] for r in route.requests] == ["Bearer t1"] * 2


# ---- Google


def test_googles_default_credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    google_auth = pytest.importorskip("google.auth")
    refreshed: list[float] = []

    class Credentials:
        token: str | None = None
        expiry: datetime | None = None

        def refresh(self, request: Any) -> None:
            refreshed.append(time.time())
            self.token = f"t{len(refreshed)}"
            self.expiry = datetime.fromtimestamp(1_003_600, UTC).replace(
                tzinfo=None
            )  # in UTC, naive, as google-auth has it

    asked: list[Any] = []

    def default(scopes: Any = None) -> Any:
        asked.append(scopes)
        return Credentials(), "proj"

    monkeypatch.setattr(google_auth, "default", default)
    monkeypatch.setenv("TZ", "Pacific/Kiritimati")
    time.tzset()
    try:
        drive, token = Driver(), credentials.google_token()
        assert drive(token(REQUEST)) == {"authorization": "Bearer t1"}
        drive.now += 3600 - MARGIN
        assert drive(token(REQUEST)) == {"authorization": "Bearer t1"}
        drive.now += 1
        assert drive(token(REQUEST)) == {"authorization": "Bearer t2"}
    finally:
        monkeypatch.delenv("TZ")
        time.tzset()
    assert asked == [["https://www.googleapis.com/auth/cloud-platform"]]


# ---- AWS


def signed_by_botocore(route: Route, session_token: str | None) -> str:
    """The authorization that botocore gives for the request that came, at the time that it names."""
    auth = pytest.importorskip("botocore.auth")
    awsrequest = pytest.importorskip("botocore.awsrequest")
    keys = pytest.importorskip("botocore.credentials")
    (seen,) = route.requests
    names = re.search(r"SignedHeaders=([^,]+)", seen.headers["authorization"])
    assert names is not None
    kept = {name: seen.headers[name] for name in names[1].split(";")}
    parts = urlsplit(route.url)
    theirs = awsrequest.AWSRequest("POST", f"http://{parts.netloc}{seen.target}", data=seen.body, headers=kept)
    theirs.context["timestamp"] = seen.headers["x-amz-date"]
    signer = auth.SigV4Auth(keys.Credentials("AK", SECRET, session_token), "bedrock", "eu-west-3")
    scope = signer.scope(theirs)
    signature = signer.signature(signer.string_to_sign(theirs, signer.canonical_request(theirs)), theirs)
    return f"AWS4-HMAC-SHA256 Credential={scope}, SignedHeaders={names[1]}, Signature={signature}"


@pytest.mark.parametrize("session_token", [None, "session-canary"])
@pytest.mark.parametrize("model", ["amazon.nova-lite-v1:0", "arn:aws:bedrock:eu-west-3:1:inference-profile/x y"])
def test_a_signed_request(
    session_token: str | None, model: str, server: Server, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AK")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRET)
    if session_token:
        monkeypatch.setenv("AWS_SESSION_TOKEN", session_token)
    route = server.route(plain(CONVERSE))
    found = world.call(ChatBedrock(model, region="eu-west-3", base_url=route.url))
    assert found.text == "Oui."
    (seen,) = route.requests
    assert seen.headers.get("x-amz-security-token") == session_token
    assert (
        abs(datetime.strptime(seen.headers["x-amz-date"] + "+0000", "%Y%m%dT%H%M%SZ%z").timestamp() - time.time()) < 60
    )
    assert seen.headers["authorization"] == signed_by_botocore(route, session_token)


def test_credentials_are_found_again_before_they_end() -> None:
    drive = Driver()
    found: list[int] = []

    def source() -> AWSCredentials:
        found.append(1)
        return AWSCredentials(access_key=f"AK{len(found)}", secret_key=SECRET, expires=drive.now + 900)

    signature = Signature(source, region="r", service="bedrock", base_url="http://h", headers={})
    assert "Credential=AK1/" in drive(signature(REQUEST))["authorization"]
    drive.now += 900 - MARGIN
    assert "Credential=AK1/" in drive(signature(REQUEST))["authorization"]
    drive.now += 1
    assert "Credential=AK2/" in drive(signature(REQUEST))["authorization"]


def test_a_profile(server: Server, monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> None:
    pytest.importorskip("botocore.session")
    file = tmp_path / "credentials"
    file.write_text(f"[work]\naws_access_key_id = AK\naws_secret_access_key = {SECRET}\n")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(file))
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_BEARER_TOKEN_BEDROCK", "not-this-one")  # what is given outweighs the environment
    route = server.route(plain(CONVERSE))
    ChatBedrock("m", region="eu-west-3", profile="work", base_url=route.url)("hi")
    assert route.requests[0].headers["authorization"] == signed_by_botocore(route, None)


def test_a_bedrock_key_needs_no_signature(server: Server) -> None:
    route = server.route(plain(CONVERSE))
    ChatBedrock("m", region="eu-west-3", base_url=route.url, api_key=SECRET)("hi")
    assert route.requests[0].headers["authorization"] == f"Bearer {SECRET}"
    assert "x-amz-date" not in route.requests[0].headers


# ---- without the clouds' libraries


@pytest.mark.usefixtures("missing")
@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: ChatVertexAI("m", project="p"), "pip install 'chatmodels[google]'"),
        (lambda: AzureChatOpenAI("m", azure_endpoint="https://x.example"), "pip install 'chatmodels[azure]'"),
        (lambda: ChatBedrock("m", region="eu-west-3"), "pip install 'chatmodels[aws]'"),
    ],
    ids=["google", "azure", "aws"],
)
def test_the_error_says_what_to_install(make: Any, said: str, world: World) -> None:
    (found,) = world.calls(make(), 1)
    assert isinstance(found, MissingKeyError), found
    assert said in str(found)
    assert "api_key" in str(found)


def test_bedrock_needs_a_region() -> None:
    with pytest.raises(UsageError, match="AWS_REGION"):
        ChatBedrock("m", api_key=SECRET)


# ---- a key that a function gives


class Vault:
    """Gives a key that changes with each request."""

    def __init__(self) -> None:
        self.asked = 0

    def __call__(self) -> str:
        self.asked += 1
        return f"{SECRET}-{self.asked}"


async def from_a_service() -> str:
    return SECRET


def test_a_key_may_change_while_the_program_runs(server: Server, world: World) -> None:
    route = server.route(error(401, f"Incorrect API key {SECRET}-1 provided"), error(503, "later"), plain())
    vault = Vault()
    model = ChatModel("openai:m", api_key=vault, base_url=route.url).with_retry(base=0.001)
    with pytest.raises(AuthenticationError) as refused:
        world.call(model)
    assert SECRET not in str(refused.value) + repr(vars(refused.value))
    assert world.call(model).text
    keys = [request.headers["authorization"] for request in route.requests]
    assert keys == [f"Bearer {SECRET}-{n}" for n in (1, 2, 3)]  # each try asks anew
    assert SECRET not in repr((model._config, model._plan()))


def test_an_async_function_gives_the_key_in_both_worlds(server: Server, world: World) -> None:
    route = server.route(plain({"content": [{"type": "text", "text": "Oui."}], "stop_reason": "end_turn"}))
    model = ChatModel("anthropic:claude-sonnet-4-6", api_key=from_a_service, base_url=route.url)
    assert world.call(model).text == "Oui."
    assert route.requests[0].headers["x-api-key"] == SECRET


@pytest.mark.parametrize(
    ("given", "said"), [("", "gave no key"), (None, "gave NoneType"), ("a\nb", "no header can carry")]
)
def test_a_function_that_gives_no_key(server: Server, given: Any, said: str) -> None:
    route = server.route(plain())
    with pytest.raises(UsageError, match=said) as caught:
        ChatModel("openai:m", api_key=lambda: given, base_url=route.url)("hi")
    assert caught.value.argument == "api_key"
    assert not route.requests


def test_a_function_where_a_key_is_exchanged_is_refused() -> None:
    with pytest.raises(UsageError, match="watsonx takes no function as api_key"):
        ChatWatsonx("m", api_key=lambda: "k", region="eu-de", project_id="p")


def test_an_azure_token_provider_may_be_async(server: Server, world: World) -> None:
    route = server.route(plain())
    model = AzureChatOpenAI("d", base_url=route.url, azure_ad_token_provider=from_a_service)
    assert world.call(model).text
    assert route.requests[0].headers["authorization"] == f"Bearer {SECRET}"
