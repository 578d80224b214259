"""No secret in a recording: for every provider row, in bodies, addresses, headers and errors; by value, by look and by name."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from chatmodels import ChatModel, ChatModelError
from chatmodels._provider_rows import ROWS
from chatmodels.chat_models import ChatBedrock
from chatmodels.testing import record, replay
from chatmodels.testing._scrub import HIDDEN, Scrubber, secrets_of

from ..servers import Exchange, Server, events, plain, sse
from ..test_providers import OWN

KEY, EXTRA, TOKEN = "plain-looking-canary-77", "header-canary-value", "token-canary-123456"
CANARIES = (KEY, EXTRA, TOKEN, "cookie-canary", "account-canary")


def echoing(exchange: Exchange) -> None:
    """Says back all that it was given, the key among it."""
    said = json.dumps({"headers": exchange.request.headers, "body": exchange.request.body.decode("utf-8", "replace")})
    headers = {"set-cookie": "id=cookie-canary", "openai-organization": "account-canary", "x-request-id": "req-1"}
    plain({"error": {"message": f"Incorrect API key: {KEY}. {said}"}}, 401, headers)(exchange)


@pytest.mark.parametrize("name", [row.name for row in ROWS if row.name != "local"])
def test_every_row(name: str, server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    row = next(row for row in ROWS if row.name == name)
    for variable in (*row.key_env, *row.base_url_env, *row.env.values()):
        monkeypatch.delenv(variable, raising=False)
    tokens = server.route(plain({"access_token": TOKEN, "expires_in": 3600, "expires_at": 9_000_000_000_000}))
    route = server.route(echoing)
    place = {"auth_url": tokens.url + "/oauth"} if row.exchange else {}
    options = {**OWN.get(name, {}), "api_key": KEY, "base_url": route.url, "headers": {"x-secret": EXTRA}, **place}
    model = ChatModel(f"{name}:m", max_retries=1, **options)
    path = tmp_path / "talk.json"
    said: list[str] = []

    def ask() -> None:
        with pytest.raises(ChatModelError) as caught:
            model(f"My key is {KEY}.", extra_headers={"x-api-key": KEY})
        said.append(f"{type(caught.value).__name__} {getattr(caught.value, 'status', None)}")

    with record(path):
        ask()
    assert len(route.requests) == 1
    text = path.read_text()
    assert [c for c in CANARIES if c in text] == []
    assert f"My key is {HIDDEN}." in text
    with replay(path):
        ask()
    assert said[0] == said[1] == "AuthenticationError 401"
    assert len(route.requests) == 1


def test_a_replay_asks_for_no_token_and_no_signature(server: Server, tmp_path: Path) -> None:
    tokens = server.route(plain({"access_token": TOKEN, "expires_at": 9_000_000_000_000}))
    route = server.route(plain())
    model = ChatModel("gigachat:m", credentials=KEY, base_url=route.url, auth_url=tokens.url + "/oauth")
    with record(tmp_path / "a"):
        model("x")
    assert len(tokens.requests) == 1
    text = (tmp_path / "a").read_text()
    assert TOKEN not in text
    assert "oauth" not in text
    fresh = ChatModel("gigachat:m", credentials=KEY, base_url=route.url, auth_url=tokens.url + "/oauth")
    with replay(tmp_path / "a"):
        assert fresh("x").text
    assert (len(tokens.requests), len(route.requests)) == (1, 1)


def test_a_signature_is_not_written(server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("botocore")
    for name in ("AWS_BEARER_TOKEN_BEDROCK", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIACANARY0123456789")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "never-sent")
    monkeypatch.setenv("AWS_SESSION_TOKEN", TOKEN)
    route = server.route(echoing)
    with record(tmp_path / "a"), pytest.raises(ChatModelError):
        ChatBedrock("m", region="eu-west-3", base_url=route.url)("x")
    assert "AKIACANARY" in route.requests[0].headers["authorization"]
    text = (tmp_path / "a").read_text()
    signature = route.requests[0].headers["authorization"].rpartition("Signature=")[2]
    assert [c for c in (*CANARIES[1:], "AKIACANARY", signature) if c in text] == []


def test_a_key_that_two_chunks_share(server: Server, tmp_path: Path) -> None:
    whole = b"".join(events("a", f"the key {KEY} is it"))
    at = whole.index(KEY.encode()) + 5
    model = ChatModel("openai:m", api_key=KEY, base_url=server.route(sse([whole[:at], whole[at:]])).url)
    with record(tmp_path / "a"):
        assert KEY in model.stream("x").until_done().text
    assert KEY not in (tmp_path / "a").read_text()
    with replay(tmp_path / "a"):
        assert model.stream("x").until_done().text == f"athe key {HIDDEN} is it"


@pytest.mark.parametrize(
    "secret",
    [
        "sk-proj-abcdefghi8klmnop", "sk-ant-api03-abcdefghijkl", "AIzaSyA0123456789abcdefghijk", "AKIAIOSFODNN7EXAMPLE",
        "gsk_abcdefg1ijklmnop", "hf_abcdefghijklmno0q", "xai-1bcdefghijklmnop", "ghp_abcdefghijklmnop12", "pplx-abcdefghijklm9",
        "dapi0123456789abcdef0123456789abcdef",
        "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.abcdefghij", "ya29.a0AfB_byC1234567",
        "whsec_1a2b3c4d5e6f7g8h9i0j", "xapp-1-A0123-456-abcdef01", "SG.ngeVfQFYQlKU0ufo8x5d1A.TwL2iGABf9DHoTf-09kqeF8t",
        "110201543:AAHdqTcvCH1vGWJxfSeofSAs0K5PALDsaw1", "pypi-AgEIcHlwaS5vcmcCJGQx01", "GOCSPX-1a2B3c4D5e6F7g8H9i0J",
        "dop_v1_0123456789abcdef0123", "jina_0123456789abcdef0123", "tvly-dev-0123456789abcdef", "shpat_0123456789abcdef0123",
        "dckr_pat_0123456789abcdefghij", "hvs.CAESIAbcdefgh0123456789", "key-0123456789abcdef0123456789abcdef",
        "SK0123456789abcdef0123456789abcdef", "ATATT3xFfGF0abcdefghij0123456789", "AGE-SECRET-KEY-1QQQQQQQQQQQQQQQQQQQQ",
        "xoxb-123456789012-abcdefghijkl", "glpat-0123456789abcdefghij", "lsv2_pt_0123456789abcdef_012345",
    ],
)  # fmt: skip
@pytest.mark.parametrize(
    "where",
    [
        lambda s, t: t.text(f"key={s}, or so"),
        lambda s, t: json.dumps(t.value({"a": [f"Use {s}."]})),
        lambda s, t: t.path(f"/chat?x=1&y={s}"),
        lambda s, t: "".join(t.pieces([f"<{s[:7]}", s[7:], ">"])),
        lambda s, t: t.binary(b"\xff" + s.encode()).decode("latin-1"),
    ],
    ids=["text", "json", "path", "pieces", "binary"],
)
def test_what_looks_like_a_key(secret: str, where: Callable[[str, Scrubber], str]) -> None:
    assert secret not in where(secret, Scrubber())


def test_names_of_secrets_and_what_is_none() -> None:
    scrubber = Scrubber()
    hidden = {
        "api_key": "a",
        "Authorization": "b",
        "client_secret": "c",
        "access_token": "d",
        "password": "e",
        "x-api-key": "f",
    }
    assert scrubber.value(hidden) == dict.fromkeys(hidden, HIDDEN)
    kept = {
        "token": " the",
        "max_tokens": 5,
        "signature": "EqQBCg==",
        "author": "me",
        "key": "value",
        "content": "hf-internal-testing/tiny-random, sk-i",
    }
    assert scrubber.value(kept) == kept
    assert scrubber.path("/v1/m:go?alt=sse&key=short&api-version=2024") == "/v1/m:go?alt=sse&key=***&api-version=2024"
    assert scrubber.pieces(["no ", "secret"]) == ["no ", "secret"]


def test_headers() -> None:
    found = Scrubber().headers(
        {"content-type": "a/b", "set-cookie": "x", "x-ratelimit-remaining-tokens": "9", "server": "s", "date": "d"}
    )
    assert found == {"content-type": "a/b", "x-ratelimit-remaining-tokens": "9"}
    given = {
        "authorization": "Bearer abc123",
        "user-agent": "chatmodels/1",
        "anthropic-version": "2023-06-01",
        "x-team": "blue",
    }
    assert secrets_of(given) == ["Bearer abc123", "abc123"]


@pytest.mark.parametrize(
    "name",
    [
        "aws_secret_access_key", "AccountKey", "connectionString", "aws_session_token", "github_token", "SAS_TOKEN", "secretKey",
        "webhook_secret", "OPENAI_API_KEY", "db_password", "accessKeyId", "x-goog-api-key", "Set-Cookie", "refreshToken",
    ],
)  # fmt: skip
def test_what_stands_under_the_name_of_a_secret(name: str) -> None:
    assert Scrubber().value({"a": [{name: "plain"}]}) == {"a": [{name: HIDDEN}]}


@pytest.mark.parametrize(
    "name", ["token", "next_page_token", "cache_key", "author", "passage", "max_tokens", "secretary"]
)
def test_what_stands_under_another_name(name: str) -> None:
    assert Scrubber().value({name: "plain"}) == {name: "plain"}


def test_what_only_looks_a_little_like_a_secret() -> None:
    text = (
        "gpt-4o-mini-2024-07-18 text-embedding-3-small pa-system key-board SKU1234 12345678:90 pypi-simple call_abc123DEF456 "
        "chatcmpl-B9MBs8CjcvOU2jLn4n570S5qMJKcT resp_0123456789abcdef0123456789abcdef https://x/y?design=abcdefghijklmnopqr123"
    )
    assert Scrubber().text(text) == text
    assert Scrubber().text("https://x/f?se=1&sig=abc123DEF456ghi789JKL%3D") == "https://x/f?se=1&sig=***"
