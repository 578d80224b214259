"""The house's rules: a module imports only from its own storey or lower ones; the pure storeys know no I/O; no cycles."""

from __future__ import annotations

import ast
import subprocess
import sys
from functools import cache
from pathlib import Path

import chatmodels

ROOT = Path(chatmodels.__file__).parent

#: Storey -> what stands on it, by the beginning of the module's name. The first match holds.
STOREYS: list[tuple[int, str]] = [
    (1, """_errors _checks _json _parts _content _usage _messages _inputs _results _events _fold _call _media _schema _tools _output
        _version _secret _mask _pydantic _estimate"""),
    (2, "_framing dialects"),
    (3, """_flow _retry _plan _calls _tries _layers _limits _fallback _breaker _hedge _cache _jobs _quirks _providers _provider_rows
        _auth _outputs _tool_loop"""),
    (4, "_async _http _proxy _tls _local _engine _weights _portal _stream _drive"),
    (5, """_config _credentials _options _model _names _batch _run_tools _tool_stream _typed _tracking __init__ __main__
        chat_models schema callbacks compat cli prompts chains cache caches control history tokens prices telemetry testing layers
        providers jobs batch ray integrations tools"""),
]  # fmt: skip
PURE = (1, 2, 3)
FORBIDDEN = {
    "urllib3", "aiohttp", "httpx", "requests", "asyncio", "threading", "socket", "ssl", "os", "time", "random", "uuid",
    "subprocess", "sqlite3", "trio", "yarl",
}  # fmt: skip


def storey(module: str) -> int:
    """`_http_sync` -> 4."""
    head = module.partition(".")[0]
    for number, names in STOREYS:
        if any(head == n or head.startswith(n + "_") for n in names.split()):
            return number
    raise AssertionError(f"{module} stands on no storey: add it to STOREYS (and to the picture in CONTRIBUTING.md)")


def modules() -> dict[str, Path]:
    return {
        str(p.relative_to(ROOT)).removesuffix(".py").replace("/", ".").removesuffix(".__init__"): p
        for p in sorted(ROOT.rglob("*.py"))
    }


def imports(name: str, path: Path, *, everywhere: bool) -> set[tuple[str, bool]]:
    """(imported module, is it ours) of a file: at import time, or inside functions too. Type checking does not count."""
    found: set[tuple[str, bool]] = set()
    package = name.split(".") if path.name == "__init__.py" else name.split(".")[:-1]
    if name == "__init__":
        package = []

    def visit(node: ast.AST) -> None:
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test):
            return
        if not everywhere and isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            return
        if isinstance(node, ast.Import):
            found.update((a.name.split(".")[0], False) for a in node.names)
        elif isinstance(node, ast.ImportFrom):
            if node.level == 0:
                head, _, rest = (node.module or "").partition(".")
                found.add((rest or "__init__", True) if head == "chatmodels" else (head, False))
            else:
                base = package[: len(package) - node.level + 1]
                if node.module:
                    found.add((".".join([*base, node.module]), True))
                else:
                    found.update((".".join([*base, a.name]), True) for a in node.names)
        for child in ast.iter_child_nodes(node):
            visit(child)

    visit(_parsed(path))
    return found


@cache
def _parsed(path: Path) -> ast.Module:
    return ast.parse(path.read_text())


def test_every_import_goes_down() -> None:
    wrong = [
        f"{name} (storey {storey(name)}) imports {other} (storey {storey(other)})"
        for name, path in modules().items()
        for other, ours in imports(name, path, everywhere=True)
        if ours and storey(other) > storey(name)
    ]
    assert not wrong, "\n".join(wrong)


def test_the_pure_storeys_know_no_io() -> None:
    wrong = [
        f"{name} imports {other}"
        for name, path in modules().items()
        if storey(name) in PURE
        for other, ours in imports(name, path, everywhere=True)
        if not ours and other in FORBIDDEN
    ]
    assert not wrong, "\n".join(wrong)


def test_no_cycles() -> None:
    files = modules()
    edges = {n: {o for o, ours in imports(n, p, everywhere=False) if ours and o in files} for n, p in files.items()}
    done: set[str] = set()

    def walk(name: str, trail: tuple[str, ...]) -> None:
        assert name not in trail, " -> ".join((*trail[trail.index(name) :], name))
        if name in done:
            return
        for other in edges[name]:
            if other != name:
                walk(other, (*trail, name))
        done.add(name)

    for name in files:
        walk(name, ())


def test_importing_the_package_loads_no_heavy_module() -> None:
    code = (
        "import sys, chatmodels\n"
        "from chatmodels import ChatOpenAI, HumanMessage\n"
        "ChatOpenAI(openai_api_key='x')\n"
        "print([m for m in ('urllib3', 'aiohttp', 'asyncio', 'ssl', 'pydantic', 'rich', 'http.client') if m in sys.modules])"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout.strip() == "[]"


def test_files_stay_small() -> None:
    long = [f"{n}: {size}" for n, p in modules().items() if (size := len(p.read_text().splitlines())) > 600]
    assert not long, f"split these: {long}"


def test_public_names() -> None:
    """Removing a name needs an entry of its own in CHANGELOG.md."""
    assert set(chatmodels.__all__) >= {"AIMessage", "ChatModel", "ChatOpenAI", "HumanMessage", "SystemMessage"}
    assert len(chatmodels.__all__) <= 60
    for name in chatmodels.__all__:
        assert getattr(chatmodels, name) is not None
