"""Signature Version 4: the example of AWS's own documentation, and botocore's signatures where it is
installed.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest

from chatmodels._call import HTTPRequest
from chatmodels._errors import UsageError
from chatmodels.dialects._sigv4 import sign

NOW = datetime(2026, 11, 22, 10, 11, 12, tzinfo=UTC)
REQUEST = HTTPRequest(
    path="/model/x/converse",
    body='{"x": "é"}'.encode(),
    headers={"Content-Type": "application/json", "X-Trace": "  a   b ", "User-Agent": "not signed"},
)


def signed(request: HTTPRequest, url: str, token: str | None = None, now: datetime = NOW) -> dict[str, str]:
    return sign(
        request,
        url=url,
        region="us-east-1",
        service="bedrock",
        access_key="AKID",
        secret_key="SECRET",
        session_token=token,
        now=now,
    )


def test_example_of_the_documentation() -> None:
    """docs.aws.amazon.com, "Examples of the complete Signature Version 4 signing process" (IAM ListUsers)."""
    found = sign(
        HTTPRequest(
            path="/",
            method="GET",
            headers={"content-type": "application/x-www-form-urlencoded; charset=utf-8"},
        ),
        url="https://iam.amazonaws.com/?Action=ListUsers&Version=2010-05-08",
        region="us-east-1",
        service="iam",
        access_key="AKIDEXAMPLE",
        secret_key="wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY",
        session_token=None,
        now=datetime(2015, 8, 30, 12, 36, 0, tzinfo=UTC),
    )
    assert found == {
        "x-amz-date": "20150830T123600Z",
        "authorization": "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/iam/aws4_request, "
        "SignedHeaders=content-type;host;x-amz-date, "
        "Signature=5d672d79c15b13162d9279b0855cfba6789a8edb4c82c400e06b5924a6f2b5d7",
    }


@pytest.mark.parametrize("token", [None, "TOK=/+"])
@pytest.mark.parametrize(
    "url",
    [
        "https://bedrock-runtime.us-east-1.amazonaws.com/model/us.amazon.nova-lite-v1%3A0/converse",
        "https://h.example:8443/model/arn%3Aaws%3Abedrock%3A%2Fx/converse-stream?b=2&a=1&c=&d=%20+x",
        "http://127.0.0.1:9/r/x//y/../z/./converse/",
        "https://h.example:443",
        "http://[::1]:80/a~b_c",
    ],
)
def test_same_as_botocore(url: str, token: str | None) -> None:
    auth = pytest.importorskip("botocore.auth")
    awsrequest = pytest.importorskip("botocore.awsrequest")
    credentials = pytest.importorskip("botocore.credentials")
    theirs = awsrequest.AWSRequest(method="POST", url=url, data=REQUEST.body, headers=dict(REQUEST.headers))
    signer = auth.SigV4Auth(credentials.Credentials("AKID", "SECRET", token), "bedrock", "us-east-1")
    # The steps of `add_auth`, which takes no time as an argument.
    theirs.context["timestamp"] = NOW.strftime("%Y%m%dT%H%M%SZ")
    signer._modify_request_before_signing(theirs)
    canonical = signer.canonical_request(theirs)
    signature = signer.signature(signer.string_to_sign(theirs, canonical), theirs)
    signer._inject_signature_to_request(theirs, signature)
    ours = signed(REQUEST, url, token)
    assert ours["authorization"] == theirs.headers["Authorization"]
    assert ours["x-amz-date"] == theirs.headers["X-Amz-Date"]
    assert ours.get("x-amz-security-token") == theirs.headers.get("X-Amz-Security-Token")


def test_the_time_zone_does_not_matter_but_must_be_known() -> None:
    url = "https://h.example/"
    elsewhere = NOW.astimezone(timezone(timedelta(hours=9)))
    assert signed(REQUEST, url, now=elsewhere) == signed(REQUEST, url)
    with pytest.raises(UsageError) as caught:
        signed(REQUEST, url, now=NOW.replace(tzinfo=None))
    assert caught.value.argument == "now"


def test_every_byte_is_signed() -> None:
    url = "https://h.example/"
    changed = HTTPRequest(path="/", body=REQUEST.body + b" ", headers=REQUEST.headers)
    assert signed(changed, url)["authorization"] != signed(REQUEST, url)["authorization"]
    agent = HTTPRequest(path="/", body=REQUEST.body, headers={**REQUEST.headers, "User-Agent": "another"})
    assert signed(agent, url) == signed(REQUEST, url)
