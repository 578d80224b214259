"""Where cloud credentials come from: the environment first, then the cloud's own library (an extra, imported here only)."""

from __future__ import annotations

import os
import uuid
from base64 import b64encode
from collections.abc import Callable
from datetime import UTC, datetime
from importlib import import_module
from typing import Any
from urllib.parse import urlencode, urlsplit

import msgspec

from ._auth import AWSCredentials, Exchange, Signature, Token, TokenSource
from ._call import HTTPRequest
from ._errors import MissingKeyError, UsageError
from ._flow import Target, Timeouts
from ._json import decode_as
from ._secret import Hidden, HiddenBytes, Secret


def aws_credentials(profile: str | None = None) -> AWSCredentials:
    """From AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY (and AWS_SESSION_TOKEN), else as botocore finds them."""
    access, secret = os.environ.get("AWS_ACCESS_KEY_ID"), os.environ.get("AWS_SECRET_ACCESS_KEY")
    if access and secret and not profile:
        token = os.environ.get("AWS_SESSION_TOKEN") or None
        return AWSCredentials(access_key=access, secret_key=secret, session_token=token)
    session = _botocore_session(profile)
    found = session.get_credentials()
    if found is None:
        raise MissingKeyError(
            "no AWS credentials: set AWS_BEARER_TOKEN_BEDROCK or pass api_key= (a Bedrock API key), or set "
            "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or configure a profile",
            argument="api_key",
            provider="bedrock",
        )
    frozen = found.get_frozen_credentials()
    expiry = getattr(found, "_expiry_time", None)
    return AWSCredentials(
        access_key=frozen.access_key,
        secret_key=frozen.secret_key,
        session_token=frozen.token,
        expires=expiry.timestamp() if expiry is not None else None,
    )


def _botocore_session(profile: str | None) -> Any:
    try:
        session = import_module("botocore.session")
    except ImportError as error:
        raise MissingKeyError(
            "no AWS credentials in the environment: set AWS_BEARER_TOKEN_BEDROCK or pass api_key= (a Bedrock API key), or set "
            "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or `pip install 'chatmodels[aws]'` to use profiles and roles",
            argument="api_key",
            provider="bedrock",
        ) from error
    return session.Session(profile=profile)


def aws_region(given: str | None) -> str:
    """The region: given, or AWS_REGION, or AWS_DEFAULT_REGION."""
    region = given or os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION")
    if not region:
        raise UsageError("bedrock needs a region: give region=, or set AWS_REGION", argument="region")
    return region


def signature(options: dict[str, Any], base_url: str, headers: dict[str, str]) -> Signature:
    """Signature V4 for Bedrock."""
    profile = options.get("profile")
    return Signature(
        lambda: aws_credentials(profile),
        region=aws_region(options.get("region")),
        service="bedrock",
        base_url=base_url,
        headers=headers,
    )


def google_token() -> Token:
    """Application Default Credentials, through google-auth."""
    return Token(_google_source())


def _google_source() -> TokenSource:
    holder: list[Any] = []

    def fetch() -> tuple[str, float | None]:
        try:
            auth, transport = import_module("google.auth"), import_module("google.auth.transport.urllib3")
        except ImportError as error:
            raise MissingKeyError(
                "vertex needs a token: pass api_key= (an access token), or `pip install 'chatmodels[google]'` "
                "to use Application Default Credentials",
                argument="api_key",
                provider="vertex",
            ) from error
        import urllib3

        if not holder:
            holder.append(auth.default(scopes=["https://www.googleapis.com/auth/cloud-platform"])[0])
        credentials = holder[0]
        credentials.refresh(transport.Request(urllib3.PoolManager()))
        expiry: datetime | None = credentials.expiry  # in UTC, and naive
        return credentials.token, None if expiry is None else expiry.replace(tzinfo=UTC).timestamp()

    return fetch


def azure_token() -> Token:
    """A token for Azure OpenAI: AZURE_OPENAI_AD_TOKEN, else azure-identity's default."""
    given = os.environ.get("AZURE_OPENAI_AD_TOKEN")
    return Token(lambda: (given, None)) if given else Token(_azure_source())


def _azure_source() -> TokenSource:
    holder: list[Any] = []

    def fetch() -> tuple[str, float | None]:
        try:
            identity = import_module("azure.identity")
        except ImportError as error:
            raise MissingKeyError(
                "azure needs a key: set AZURE_OPENAI_API_KEY or pass api_key=, or `pip install 'chatmodels[azure]'` "
                "to use Entra ID",
                argument="api_key",
                provider="azure",
            ) from error
        if not holder:
            holder.append(identity.DefaultAzureCredential())
        found = holder[0].get_token("https://cognitiveservices.azure.com/.default")
        return found.token, float(found.expires_on)

    return fetch


# ---- keys that are exchanged for a token at another address


class _Answer(msgspec.Struct):
    """What token services answer: `expires_in` in seconds (OAuth 2.0), or `expires_at` in milliseconds since 1970."""

    access_token: str
    expires_in: float | None = None
    expires_at: float | None = None


_answer = msgspec.json.Decoder(_Answer)


def exchange(kind: str, key: Secret, options: dict[str, Any], timeouts: Timeouts, transport: Any) -> Exchange:
    """The exchange that a row names: "ibm" (IAM), "gigachat" or "sap" (OAuth client credentials)."""
    base_url, path, headers, form = _EXCHANGES[kind](key, options)
    fixed = {"content-type": "application/x-www-form-urlencoded", "accept": "application/json", **headers}
    target = Target(base_url, fixed, timeouts, transport)
    body = HiddenBytes(urlencode(form).encode())

    def make() -> HTTPRequest:
        named = {"rquid": str(uuid.uuid4())} if kind == "gigachat" else {}
        return HTTPRequest(path=path, body=body, headers=named)

    def read(data: bytes, now: float) -> tuple[str, float]:
        found = decode_as(_answer, data, f"{kind}: the token")
        if found.expires_at is not None:
            return found.access_token, found.expires_at / 1000
        return found.access_token, now + (600.0 if found.expires_in is None else found.expires_in)

    return Exchange(kind, target, make, read, key.reveal())


_Asked = tuple[str, str, dict[str, str], dict[str, str]]


def _ibm(key: Secret, options: dict[str, Any]) -> _Asked:
    form = {"grant_type": "urn:ibm:params:oauth:grant-type:apikey", "apikey": key.reveal()}
    return _given(options, "auth_url", "WATSONX_IAM_URL") or "https://iam.cloud.ibm.com", "/identity/token", {}, form


def _gigachat(key: Secret, options: dict[str, Any]) -> _Asked:
    address = _given(options, "auth_url", "GIGACHAT_AUTH_URL") or "https://ngw.devices.sberbank.ru:9443/api/v2/oauth"
    scope = _given(options, "scope", "GIGACHAT_SCOPE") or "GIGACHAT_API_PERS"
    base, path = _split_url(address)
    return base, path, {"authorization": Hidden(f"Basic {key.reveal()}")}, {"scope": scope}


def _sap(key: Secret, options: dict[str, Any]) -> _Asked:
    client, address = _given(options, "client_id", "AICORE_CLIENT_ID"), _given(options, "auth_url", "AICORE_AUTH_URL")
    for name, variable, value in (("client_id", "AICORE_CLIENT_ID", client), ("auth_url", "AICORE_AUTH_URL", address)):
        if not value:
            raise UsageError(f"sap needs {name}=: give it to the model, or set {variable}", argument=name)
    base, path = _split_url(str(address).removesuffix("/oauth/token") + "/oauth/token")
    pair = b64encode(f"{client}:{key.reveal()}".encode()).decode()
    return base, path, {"authorization": Hidden(f"Basic {pair}")}, {"grant_type": "client_credentials"}


def _given(options: dict[str, Any], name: str, variable: str) -> str | None:
    found = options.get(name) or os.environ.get(variable)
    return str(found).rstrip("/") if found else None


def _split_url(address: str) -> tuple[str, str]:
    parts = urlsplit(address)
    return f"{parts.scheme}://{parts.netloc}", parts.path


_EXCHANGES: dict[str, Callable[[Secret, dict[str, Any]], _Asked]] = {"ibm": _ibm, "gigachat": _gigachat, "sap": _sap}
