"""What `_mask` takes out of errors, and what it leaves."""

from __future__ import annotations

from chatmodels import RateLimitError
from chatmodels._mask import mask
from chatmodels._secret import Hidden
from chatmodels._usage import Attempt

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


def test_what_is_no_secret_stays() -> None:
    assert KEY in str(error({"x-team": KEY}))  # shown wherever headers are
    short = RateLimitError("the k in knock")
    mask(short, {"authorization": Hidden("Bearer k")})
    assert short.text == "the k in knock"
