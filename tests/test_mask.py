"""What `_mask` takes out of errors, and what it leaves."""

from __future__ import annotations

import pickle

import pytest

from chatmodels import AuthenticationError, ChatModelError, RateLimitError
from chatmodels._mask import mask
from chatmodels._secret import Hidden
from chatmodels._usage import Attempt
from chatmodels.chat_models import AzureChatOpenAI, ChatWatsonx

from .conftest import chat
from .servers import Server, plain, sse
from .servers import error as refuse

KEY = "sk-canary-0123456789"


def error(headers: dict[str, str]) -> RateLimitError:
    body = {"error": {"message": f"bad key {KEY}", KEY: [KEY, 1, None]}}
    made = RateLimitError(f"no: {KEY}", message=f"bad key {KEY}", status=429, code=KEY, body=body, headers={"x": KEY})
    made.attempts = (Attempt(number=1),)
    mask(made, headers)
    return made


def test_a_key_is_taken_out_of_all_that_a_provider_says() -> None:
    for header in (f"Bearer {KEY}", KEY):
        found = error({"authorization": Hidden(header), "x-team": "a-team-of-ours"})
        assert KEY not in f"{found} {found!r} {found.args} {vars(found)}"
        assert (found.text, found.body) == ("no: ...", {"error": {"message": "bad key ...", "...": ["...", 1, None]}})
        assert (found.status, len(found.attempts)) == (429, 1)


@pytest.mark.parametrize(
    "body", [f"no JSON {KEY}".encode(), KEY.encode() + b"\xff", b"data: " + KEY.encode() + b"\n\n"]
)
@pytest.mark.parametrize("streamed", [False, True])
def test_a_key_is_taken_out_of_what_a_reader_of_json_keeps(server: Server, body: bytes, streamed: bool) -> None:
    """Its error has the whole text, which a report of errors shows, and a pickle holds."""
    model = chat(server.route(sse([body]) if streamed else plain(body)), max_retries=0)
    with pytest.raises(ChatModelError) as caught:
        list(model.stream("hi")) if streamed else model("hi")
    found: BaseException | None = caught.value
    assert KEY.encode() not in pickle.dumps(found)
    while found is not None:
        assert KEY not in f"{found} {found!r} {found.args} {vars(found)}"
        found = found.__cause__


def test_what_is_no_secret_stays() -> None:
    assert KEY in str(error({"x-team": KEY}))  # shown wherever headers are
    short = RateLimitError("the k in knock")
    mask(short, {"authorization": Hidden("Bearer k")})
    assert short.text == "the k in knock"


def said(model: object, *secrets: str) -> ChatModelError:
    """The error of a call, in which no secret stands."""
    with pytest.raises(ChatModelError) as caught:
        model("hi")  # type: ignore[operator]
    shown = f"{caught.value} {caught.value!r} {vars(caught.value)}"
    assert [s for s in secrets if s in shown] == []
    return caught.value


def test_keys_that_are_exchanged_and_the_tokens_that_come_for_them(server: Server) -> None:
    token = "token-canary-0123456789"
    bad = server.route(refuse(401, f"no such key: {KEY}"))
    good = server.route(plain({"access_token": token, "expires_in": 3600}))
    chats = server.route(refuse(401, f"no such token: {token}"))
    place = {"api_key": KEY, "base_url": chats.url, "max_retries": 1}
    for tokens in (bad, good):
        found = said(ChatWatsonx("m", project_id="p", auth_url=f"{tokens.url}/oauth", **place), KEY, token)
        assert isinstance(found, AuthenticationError)
        assert "..." in str(found)
    azure = AzureChatOpenAI("m", base_url=chats.url, azure_ad_token_provider=lambda: token, max_retries=1)
    assert "no such token: ..." in str(said(azure, token))


@pytest.mark.parametrize("streamed", [False, True])
def test_secrets_in_headers_of_the_callers_own(server: Server, streamed: bool) -> None:
    given = {
        "x-gateway": "gateway-canary-0123",
        "cookie": "sid=cookie-canary-0123; lang=en-canary-9876",
        "x-team-auth": "Token team-canary-0123",
        "anthropic-beta": "beta-of-2026-01",
    }
    words = "gateway-canary-0123, cookie-canary-0123, en-canary-9876, team-canary-0123"
    told = refuse(403, f"not for {words} ({given['x-team-auth']}); no such beta: beta-of-2026-01")
    route = server.route(told)
    for model, settings in (
        (chat(route, max_retries=2).with_retry(on=ChatModelError, base=0).with_settings(extra_headers=given), {}),
        (chat(route, max_retries=0, headers=given), {}),
        (chat(route, max_retries=0), {"extra_headers": given}),
    ):
        with pytest.raises(ChatModelError) as caught:
            list(model.stream("hi", **settings)) if streamed else model("hi", **settings)
        found = caught.value
        assert "canary" not in f"{found} {found!r} {vars(found)}"
        assert "beta-of-2026-01" in str(found)
    assert route.requests[-1].headers["x-gateway"] == "gateway-canary-0123"
