"""Where cloud credentials come from: the environment first, then the cloud's own library (an extra, imported here only)."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

from ._auth import AWSCredentials, Signature, Token, TokenSource
from ._errors import MissingKeyError, UsageError


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
        from botocore.session import Session
    except ImportError as error:
        raise MissingKeyError(
            "no AWS credentials in the environment: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY (or "
            "AWS_BEARER_TOKEN_BEDROCK), or `pip install 'chatmodels[aws]'` to use profiles and roles",
            argument="api_key",
            provider="bedrock",
        ) from error
    return Session(profile=profile)


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
            import google.auth
            from google.auth.transport.urllib3 import Request
        except ImportError as error:
            raise MissingKeyError(
                "vertex needs a token: pass api_key= (an access token), or `pip install 'chatmodels[google]'` "
                "to use Application Default Credentials",
                argument="api_key",
                provider="vertex",
            ) from error
        import urllib3

        if not holder:
            holder.append(google.auth.default(scopes=["https://www.googleapis.com/auth/cloud-platform"])[0])
        credentials = holder[0]
        credentials.refresh(Request(urllib3.PoolManager()))
        expiry = credentials.expiry
        return credentials.token, None if expiry is None else expiry.timestamp()

    return fetch


def azure_token(provider: Callable[[], str] | None) -> Token:
    """A token for Azure OpenAI: from the given callable, else DefaultAzureCredential through azure-identity."""
    if provider is not None:
        return Token(lambda: (provider(), 0.0))  # the callable caches by itself: it is asked each time
    return Token(_azure_source())


def _azure_source() -> TokenSource:
    holder: list[Any] = []

    def fetch() -> tuple[str, float | None]:
        try:
            from azure.identity import DefaultAzureCredential
        except ImportError as error:
            raise MissingKeyError(
                "azure needs a key: set AZURE_OPENAI_API_KEY or pass api_key=, or `pip install 'chatmodels[azure]'` "
                "to use Entra ID",
                argument="api_key",
                provider="azure",
            ) from error
        if not holder:
            holder.append(DefaultAzureCredential())
        found = holder[0].get_token("https://cognitiveservices.azure.com/.default")
        return found.token, float(found.expires_on)

    return fetch
