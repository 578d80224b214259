"""Checks the built site: all public names and all methods of ChatModel are in the reference, and no page asks another host.

Also that links lead to a place that is there. `zensical build --strict && python .ci/site.py`.
"""

from __future__ import annotations

import inspect
import re
import sys
from importlib import import_module
from pathlib import Path
from urllib.parse import unquote

SITE = Path(__file__).resolve().parents[1] / "build" / "site"
MODULES = [
    "chatmodels",
    "chatmodels.chat_models",
    "chatmodels.schema",
    "chatmodels.prompts",
    "chatmodels.chains",
    "chatmodels.caches",
    "chatmodels.history",
    "chatmodels.control",
    "chatmodels.tokens",
    "chatmodels.prices",
    "chatmodels.telemetry",
    "chatmodels.callbacks",
    "chatmodels.batch",
    "chatmodels.jobs",
    "chatmodels.ray",
    "chatmodels.testing",
    "chatmodels.testing.conformance",
    "chatmodels.providers",
    "chatmodels.dialects",
    "chatmodels.layers",
    "chatmodels.integrations.langchain",
    "chatmodels.integrations.pydantic_ai",
    "chatmodels.integrations.openai",
]
ASKED = re.compile(r"""<(?:script|img|iframe|source)[^>]+src="?(https?:[^"\s>]+)|<link[^>]+href="?(https?:[^"\s>]+)""")


def missing(ids: set[str]) -> list[str]:
    """Public names that have no place in the reference under any of their addresses."""
    places: dict[int, list[str]] = {}
    for module in MODULES:
        found = import_module(module)
        for name in found.__all__:
            if not name.startswith("__"):
                places.setdefault(id(getattr(found, name)), []).append(f"{module}.{name}")
    model = import_module("chatmodels").ChatModel
    for name, value in inspect.getmembers(model, lambda value: callable(value) or isinstance(value, property)):
        if not name.startswith("_"):
            places.setdefault(id(value), []).append(f"chatmodels.ChatModel.{name}")
    return sorted(names[0] for names in places.values() if not ids.intersection(names))


def broken(pages: dict[Path, str]) -> list[str]:
    """Links inside of the site that lead nowhere: to no file, or to no place on its page."""
    places = {page: set(re.findall(r'\bid="?([^"\s>]+)', text)) for page, text in pages.items()}
    found: set[str] = set()
    for page, text in pages.items():
        for link in re.findall(r'href="?([^"\s>]+)', text) if page.name != "404.html" else ():
            address, _, place = unquote(link).partition("#")
            target = (page.parent / address).resolve() if address else page
            target = target / "index.html" if target.is_dir() else target
            here = ":" in address or (target.exists() and (not place or place in places.get(target, {place})))
            if not here and not place.startswith("__"):
                found.add(f"{page.relative_to(SITE)}: {link}")
    return sorted(found)


def main() -> int:
    pages = {page: page.read_text() for page in SITE.rglob("*.html")}
    if not pages:
        print("there is no site: zensical build --strict", file=sys.stderr)
        return 1
    lost = missing({name for text in pages.values() for name in re.findall(r'id="?(chatmodels\.[\w.]+)', text)})
    foreign = sorted({"".join(found) for text in pages.values() for found in ASKED.findall(text)})
    for name in lost:
        print(f"not in the reference: {name}", file=sys.stderr)
    for address in foreign:
        print(f"a page asks another host: {address}", file=sys.stderr)
    dead = broken(pages)
    for link in dead:
        print(f"leads nowhere: {link}", file=sys.stderr)
    print(f"{len(pages)} pages")
    return 1 if lost or foreign or dead else 0


if __name__ == "__main__":
    sys.exit(main())
