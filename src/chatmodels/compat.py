"""Run a script of 2023 unchanged: `python -m chatmodels.compat script.py [arguments]`.

It provides `langchain.chat_models`, `langchain.schema`, `langchain.callbacks` and what else of that time chatmodels has, for this
process only. Where the real package is installed it refuses, so that the two never mix.
"""

from __future__ import annotations

import importlib.util
import runpy
import sys
from collections.abc import Callable
from importlib import import_module
from types import ModuleType
from typing import Any

#: Module of 2023 -> where its names live now: "module" for all of it, or names with their new homes.
MODULES: dict[str, tuple[str, ...]] = {
    "langchain": (),
    "langchain.chat_models": ("chat_models",),
    "langchain.chat_models.openai": ("chat_models",),
    "langchain.chat_models.base": ("chat_models",),
    "langchain.schema": ("schema",),
    "langchain.schema.messages": ("schema",),
    "langchain.schema.output": ("schema",),
    "langchain.callbacks": ("callbacks",),
    "langchain.callbacks.base": ("callbacks",),
    "langchain.callbacks.manager": ("callbacks",),
    "langchain.callbacks.streaming_stdout": ("callbacks",),
}


class RealPackageInstalled(ImportError):
    """The real package is there: scripts should use it, or be run where it is not."""


def install() -> None:
    """Provide the 2023 modules in this process. Raises `RealPackageInstalled` where the real package can be imported."""
    loaded = sys.modules.get("langchain")
    if loaded is not None and getattr(loaded, "__chatmodels__", False):
        return
    if loaded is not None or importlib.util.find_spec("langchain") is not None:
        raise RealPackageInstalled(
            "the real `langchain` package is installed here, and chatmodels.compat does not take its place. "
            "Run this in an environment without it, or change the imports: `from chatmodels.chat_models import ChatOpenAI`."
        )
    for name, homes in MODULES.items():
        sys.modules[name] = _module(name, homes)
    for name in MODULES:
        parent, _, child = name.rpartition(".")
        if parent:
            setattr(sys.modules[parent], child, sys.modules[name])


def _module(name: str, homes: tuple[str, ...]) -> ModuleType:
    module = ModuleType(name, f"The names of 2023's `{name}`, from chatmodels.")
    module.__dict__["__chatmodels__"] = True
    if any(other.startswith(name + ".") for other in MODULES):
        module.__path__ = []
    module.__dict__["__getattr__"] = _finder(name, homes)
    return module


def _finder(name: str, homes: tuple[str, ...]) -> Callable[[str], Any]:
    def find(attribute: str) -> Any:
        if attribute.startswith("__"):
            raise AttributeError(attribute)
        for home in homes:
            found = getattr(import_module(f"chatmodels.{home}"), attribute, None)
            if found is not None:
                return found
        raise AttributeError(f"chatmodels.compat has no {name}.{attribute}")

    return find


def main(arguments: list[str] | None = None) -> None:
    """The command: run the script with its own arguments as `__main__`."""
    given = sys.argv[1:] if arguments is None else arguments
    if not given or given[0] in ("-h", "--help"):
        sys.stdout.write("usage: python -m chatmodels.compat script.py [arguments]\n\n" + (__doc__ or ""))
        raise SystemExit(0 if given else 2)
    try:
        install()
    except RealPackageInstalled as error:
        sys.stderr.write(f"chatmodels.compat: {error}\n")
        raise SystemExit(1) from None
    sys.argv = list(given)
    runpy.run_path(given[0], run_name="__main__")


if __name__ == "__main__":
    main()
