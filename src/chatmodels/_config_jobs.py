"""The batch API of a model: which it is, and, for Bedrock, the addresses, the signatures, the bucket and the role.

Reads the environment; sends nothing.
"""

from __future__ import annotations

import os
import re
from functools import cache
from typing import Any
from urllib.parse import urlsplit

import msgspec

from ._auth import AWSCredentials, Signature
from ._call import Call
from ._config import Config
from ._credentials import aws_credentials, aws_region, signature
from ._errors import MissingKeyError, UsageError
from ._flow import Target
from ._jobs import JobsAPI
from ._jobs_apis import APIS, api_of
from ._jobs_bedrock import BedrockJobs, Place, has_tools, no_tools, takes_tools
from ._jobs_s3 import S3, S3Signature, location
from ._messages import HumanMessage
from ._plan import Plan

#: Where the bucket and the role are read from when they are not given (LiteLLM's names for them).
BUCKET, ROLE = "AWS_S3_BUCKET_NAME", "AWS_BATCH_ROLE_ARN"
_ROLE = re.compile(r"arn:aws(-[^:]+)?:iam::([0-9]{12})?:role/.+")


def jobs_api(config: Config, plan: Plan, s3: Any = None, role_arn: Any = None, *, submits: bool = True) -> JobsAPI:
    """The batch API of a model's provider. A UsageError names the providers that have one; and, where it `submits` to Bedrock, what
    is missing for that (else a submission says so)."""
    if config.provider != "bedrock":
        for name, value in (("s3", s3), ("role_arn", role_arn)):
            if value is not None:
                raise UsageError(
                    f"{name}= is for Amazon Bedrock, whose jobs read files in S3; {config.provider} needs none",
                    argument=name,
                )
        return api_of(config.provider)
    _place(s3, role_arn, needed=submits)
    if submits and not takes_tools(config.model) and _has_tools(config, plan):
        raise no_tools()
    return _bedrock(config, plan, s3, role_arn)


def has_jobs(config: Config, plan: Plan, s3: Any = None, role_arn: Any = None) -> bool:
    """Can jobs be submitted? At Bedrock only with a bucket and a role, and not with each model's tools."""
    if config.provider == "bedrock":
        there = _place(s3, role_arn, needed=False) is not None
        return there and (takes_tools(config.model) or not _has_tools(config, plan))
    return config.provider in APIS


def _has_tools(config: Config, plan: Plan) -> bool:
    """Do this model's calls have tools on the wire, its own or one that an output type is asked for with?"""
    if not config.tools and config.output is None:
        return False
    return has_tools(
        plan.dialect.encode(
            Call(
                model=config.model,
                messages=(HumanMessage("any"),),
                settings=config.settings,
                tools=config.tools,
                output=config.output,
            )
        ).body
    )


def _place(s3: Any, role_arn: Any, *, needed: bool) -> Place | None:
    for name, value in (("s3", s3), ("role_arn", role_arn)):
        if value is not None and not isinstance(value, str):
            raise UsageError(f"{name} is a str, not {type(value).__name__}", argument=name)
    folder, role = s3 or os.environ.get(BUCKET), role_arn or os.environ.get(ROLE)
    if folder and role:
        if _ROLE.fullmatch(role) is None:
            raise UsageError(
                f"role_arn is the ARN of a role, such as 'arn:aws:iam::123456789012:role/batches'; got {role!r}",
                argument="role_arn",
            )
        return Place(location(folder, "s3"), role)
    if needed:
        raise UsageError(
            "Bedrock's jobs read their input from S3 and write their output there: give s3='s3://bucket/folder' (or set "
            f"{BUCKET}) and role_arn='arn:aws:iam::...' (or set {ROLE}), a role in whose name Bedrock may read and write "
            "that folder; missing: " + " and ".join(n for n, v in (("s3", folder), ("role_arn", role)) if not v),
            argument="role_arn" if folder else "s3",
        )
    return None


def _bedrock(config: Config, plan: Plan, s3: str | None, role_arn: str | None) -> BedrockJobs:
    target, options = plan.target, config.provider_options
    region = aws_region(options.get("region") or _region_in(target.base_url))
    control = _control_url(target.base_url, region)
    signs = target.authorise
    if isinstance(signs, Signature):  # else a key of Bedrock, which is good for the control plane too
        signs = signature({**options, "region": region}, control, target.headers)
    return BedrockJobs(
        lambda: _place(s3, role_arn, needed=True),
        msgspec.structs.replace(target, base_url=control, authorise=signs),
        _s3(target, region, options.get("profile")),
    )


def _region_in(url: str) -> str | None:
    found = re.search(r"\bbedrock-runtime(?:-fips)?\.([a-z0-9-]+)\.", urlsplit(url).hostname or "")
    return found[1] if found else None


def _control_url(runtime: str, region: str) -> str:
    """The control plane beside this address of the runtime; a private one of AWS says nothing of it: then the public one."""
    given = os.environ.get("AWS_ENDPOINT_URL_BEDROCK")
    if given:
        return given.rstrip("/")
    host = urlsplit(runtime).hostname or ""
    if host.startswith("bedrock-runtime"):
        return runtime.replace("//bedrock-runtime", "//bedrock", 1)
    return f"https://bedrock.{region}.amazonaws.com" if host.endswith(".amazonaws.com") else runtime


def _s3(target: Target, region: str, profile: str | None) -> S3:
    """S3 takes AWS credentials only, also where the model is asked with a key of Bedrock."""
    given = os.environ.get("AWS_ENDPOINT_URL_S3")
    headers = {k: v for k, v in target.headers.items() if k in ("user-agent", "accept-encoding")}

    @cache
    def at(bucket: str) -> tuple[Target, str]:
        base, before = _bucket_url(given, bucket, region)
        signs = S3Signature(
            lambda: _s3_credentials(profile), region=region, service="s3", base_url=base, headers=headers
        )
        return Target(base, headers, target.timeouts, target.transport, signs), before

    return S3(at)


def _bucket_url(given: str | None, bucket: str, region: str) -> tuple[str, str]:
    """(the address, what stands before a key). A certificate of S3 does not cover a bucket's name with dots in it."""
    if given:
        return given.rstrip("/"), f"/{bucket}"
    host = f"s3.{region}.amazonaws.com" + (".cn" if region.startswith("cn-") else "")
    return (f"https://{host}", f"/{bucket}") if "." in bucket else (f"https://{bucket}.{host}", "")


def _s3_credentials(profile: str | None) -> AWSCredentials:
    try:
        return aws_credentials(profile)
    except MissingKeyError as error:
        raise MissingKeyError(
            "no AWS credentials for S3, which takes no Bedrock API key: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or "
            "`pip install 'chatmodels[aws]'` and configure a profile",
            argument="profile",
            provider="bedrock",
        ) from error
