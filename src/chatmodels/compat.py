"""Run a script of 2023 unchanged: `python -m chatmodels.compat script.py [arguments]`.

It provides `langchain.chat_models`, `langchain.schema`, `langchain.callbacks`, `langchain.prompts`, `langchain.chains` and what
else of that time chatmodels has, for this process only, also where the real package is installed. Where that is loaded already it
refuses: the two never mix.
"""

from __future__ import annotations

import builtins
import os
import sys
from collections.abc import Callable
from importlib import import_module
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType
from typing import Any

from ._names_gone import remedy

_CALLBACKS = ("callbacks",)
_SCHEMA = ("schema",)
_MODELS = ("chat_models", "testing._names_2023")
_PROMPTS = ("prompts",)
_CHAINS = ("chains",)
_CACHES = ("caches.names_2023",)

#: Module of 2023 -> the modules of ours that have its names.
MODULES: dict[str, tuple[str, ...]] = {
    "langchain": ("prompts", "chains"),
    "langchain.cache": _CACHES,
    "langchain.globals": _CACHES,
    "langchain.chat_models": _MODELS,
    "langchain.chat_models.anthropic": _MODELS,
    "langchain.chat_models.azure_openai": _MODELS,
    "langchain.chat_models.base": _MODELS,
    "langchain.chat_models.bedrock": _MODELS,
    "langchain.chat_models.fake": _MODELS,
    "langchain.chat_models.fireworks": _MODELS,
    "langchain.chat_models.human": _MODELS,
    "langchain.chat_models.jinachat": _MODELS,
    "langchain.chat_models.ollama": _MODELS,
    "langchain.chat_models.openai": _MODELS,
    "langchain.chat_models.vertexai": _MODELS,
    "langchain.schema": _SCHEMA,
    "langchain.schema.messages": _SCHEMA,
    "langchain.schema.output": _SCHEMA,
    "langchain.callbacks": _CALLBACKS,
    "langchain.callbacks.base": _CALLBACKS,
    "langchain.callbacks.manager": _CALLBACKS,
    "langchain.callbacks.streaming_stdout": _CALLBACKS,
    "langchain.schema.output_parser": _CHAINS,
    "langchain.schema.prompt": _PROMPTS,
    "langchain.schema.runnable": _CHAINS,
    "langchain.prompts": _PROMPTS,
    "langchain.prompts.base": _PROMPTS,
    "langchain.prompts.chat": _PROMPTS,
    "langchain.prompts.example_selector": _PROMPTS,
    "langchain.prompts.few_shot": _PROMPTS,
    "langchain.prompts.loading": _PROMPTS,
    "langchain.prompts.prompt": _PROMPTS,
    "langchain.chains": _CHAINS,
    "langchain.chains.llm": _CHAINS,
}

#: Names of 2023 that are called something else now.
_RENAMED = {
    "BaseChatModel": "ChatModel",
    "BasePromptTemplate": "Prompt",
    "BedrockChat": "ChatBedrock",
    "RunnableMap": "RunnableParallel",
    "ChatBedrockConverse": "ChatBedrock",
}


class RealPackageLoaded(ImportError):
    """The real package is loaded: this process has to go on with it."""


def install() -> None:
    """Provide the 2023 modules in this process, in the place of the real package where that is installed. Raises
    `RealPackageLoaded` where it has been imported."""
    loaded = sys.modules.get("langchain")
    if loaded is not None and getattr(loaded, "__chatmodels__", False):
        return
    if loaded is not None:
        raise RealPackageLoaded(
            "the real `langchain` package has been imported here. Call chatmodels.compat.install() before that, or change the "
            "imports: `from chatmodels.chat_models import ChatOpenAI`."
        )
    for name, homes in MODULES.items():
        sys.modules[name] = _module(name, homes)
    for name in MODULES:
        parent, _, child = name.rpartition(".")
        if parent:
            setattr(sys.modules[parent], child, sys.modules[name])
    sys.meta_path.append(_Missing())


class _Missing(MetaPathFinder):
    """Asked for what none of the modules has: says so by name. (`from a import b` looks for a module `a.b` last.)"""

    def find_spec(self, fullname: str, path: Any = None, target: Any = None) -> None:
        """Nothing for other packages; an ImportError for ours."""
        head, _, name = fullname.rpartition(".")
        if fullname.partition(".")[0] != "langchain":
            return
        said = next((found for part in fullname.split(".")[::-1] if (found := remedy(part)) is not None), None)
        if said is not None:
            text = f"chatmodels.compat has no {name} in {head}. Instead, {said}"
            raise ModuleNotFoundError(text, name="langchain", path=fullname)
        modules = [module for module in MODULES if module.count(".") == 1] if head == "langchain" else []
        have = [*modules, *_names(head)]
        text = f"chatmodels.compat has no {name} in {head}; what it has is {', '.join(have)}"
        raise ModuleNotFoundError(text, name="langchain", path=fullname)


class _Root(ModuleType):
    """The package itself: `langchain.llm_cache = InMemoryCache()` sets the cache of every model."""

    @property
    def llm_cache(self) -> Any:
        return _home("caches").get_llm_cache()

    @llm_cache.setter
    def llm_cache(self, cache: Any) -> None:
        _home("caches").set_llm_cache(cache)


def _module(name: str, homes: tuple[str, ...]) -> ModuleType:
    kind = ModuleType if "." in name else _Root
    module = kind(name, f"The names of 2023's `{name}`, from chatmodels.")
    module.__spec__ = ModuleSpec(name, None, origin="chatmodels.compat", is_package=True)
    # A package each, so that a name that is missing is looked for as a module, and `_Missing` is asked.
    module.__path__ = []
    module.__dict__["__chatmodels__"] = True
    module.__dict__["__getattr__"] = _finder(name, homes)
    module.__dict__["__dir__"] = lambda: sorted({*module.__dict__, *_names(name)})
    return module


def _names(module: str) -> list[str]:
    """The names that a 2023 module gives."""
    found = {name for home in MODULES.get(module, ()) for name in _home(home).__all__}
    return sorted(found)


def _home(name: str) -> Any:
    return import_module(f"chatmodels.{name}")


def _finder(name: str, homes: tuple[str, ...]) -> Callable[[str], Any]:
    def find(attribute: str) -> Any:
        if attribute == "__all__" and homes:
            return _names(name)
        wanted = _RENAMED.get(attribute, attribute)
        for home in homes:
            if wanted in _home(home).__all__:
                return getattr(_home(home), wanted)
        raise AttributeError(f"chatmodels.compat has no {name}.{attribute}")

    return find


def main(arguments: list[str] | None = None) -> None:
    """The command: run the script with its own arguments as `__main__`."""
    given = sys.argv[1:] if arguments is None else arguments
    if not given or given[0] in ("-h", "--help"):
        out = sys.stdout if given else sys.stderr
        out.write("usage: python -m chatmodels.compat script.py [arguments]\n\n" + (__doc__ or ""))
        raise SystemExit(0 if given else 2)
    script = Path(given[0]).absolute()
    if not script.is_file():
        sys.stderr.write(f"chatmodels.compat: no script at {given[0]!r}\n")
        raise SystemExit(2)
    try:
        install()
    except RealPackageLoaded as error:
        sys.stderr.write(f"chatmodels.compat: {error}\n")
        raise SystemExit(1) from None
    run(script, given)


def run(script: Path, arguments: list[str]) -> None:
    """Run the file as Python would: as `__main__`, its folder first on the path, its errors shown from its first line on."""
    sys.argv = list(arguments)
    _put_first(str(script.resolve().parent))
    module = ModuleType("__main__")
    module.__file__ = str(script)
    module.__dict__["__builtins__"] = builtins
    sys.modules["__main__"] = module
    try:
        # Bytes, so that a coding line in the script is heeded.
        exec(compile(script.read_bytes(), str(script), "exec", dont_inherit=True), module.__dict__)  # noqa: S102
    except Exception as error:
        ours = error.__traceback__
        error.__traceback__ = ours.tb_next if ours is not None else None
        sys.excepthook(type(error), error, error.__traceback__)
        raise SystemExit(1) from None


def _put_first(folder: str) -> None:
    """The script's folder takes the place of the one that `python -m` put on the path (none, under `-P`)."""
    if sys.flags.safe_path:
        return
    if sys.path and sys.path[0] in ("", os.getcwd()):
        sys.path[0] = folder
    else:
        sys.path.insert(0, folder)


if __name__ == "__main__":
    main()
