"""Prompts in files: JSON, YAML (the extra `yaml`) and TOML, by the file's ending; and template files of 2023.

Data only. A file names other files (as those of 2023 could) only within its own folder.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from chatmodels._errors import UsageError
from chatmodels._json import is_object

from ._data import from_2023, from_dict
from ._toml import toml_text

if TYPE_CHECKING:
    from ._base import Prompt

#: A prompt is read by people; a file beyond this (bytes) is something else.
MOST = 5_000_000
#: Objects and lists within one another, and files that name others: no prompt has more.
DEEPEST, MOST_FILES = 100, 5


def load_prompt(path: str | Path, *, jinja: bool = False) -> Prompt:
    """The prompt that a .json, .yaml or .toml file holds, as `prompt.save(path)`, 2023's `save` or LangChain's `dumps` wrote it.

    `jinja` allows templates in Jinja's language, which can loop for long. Raises UsageError for what is no prompt, and OSError
    where the file cannot be read.
    """
    file = Path(path)
    data = _read(file)
    if not is_object(data):
        raise UsageError(f"{file.name} holds no prompt: a prompt is an object", argument="path")
    try:
        if "v" in data or "lc" in data:
            return from_dict(data, jinja=jinja)
        return from_2023(_with_files(data, file.resolve().parent), jinja=jinja)
    except UsageError as error:
        raise UsageError(f"{file.name}: {error.text}", argument=error.argument) from error


def write_prompt(prompt: Prompt, path: str | Path) -> None:
    """Write the prompt to the file, in the format of its ending."""
    file, data = Path(path), prompt.to_dict()
    kind = _kind(file)
    if kind == "json":
        text = json.dumps(data, ensure_ascii=False, indent=2, allow_nan=False) + "\n"
    elif kind == "toml":
        text = toml_text(data)
    else:
        text = _yaml().safe_dump(data, sort_keys=False, allow_unicode=True, width=120)
    file.write_text(text, encoding="utf-8")


def _kind(file: Path) -> str:
    kind = {".json": "json", ".yaml": "yaml", ".yml": "yaml", ".toml": "toml"}.get(file.suffix.lower())
    if kind is None:
        raise UsageError(f"a prompt's file ends in .json, .yaml or .toml, not {file.suffix!r}", argument="path")
    return kind


def _read(file: Path) -> Any:
    kind, text = _kind(file), _text(file)
    if kind == "yaml":
        return _from_yaml(text, file.name)
    try:
        if kind == "json":
            return json.loads(text, object_pairs_hook=_object)
        import tomllib

        return tomllib.loads(text)
    except _Twice as error:
        raise UsageError(f"{file.name}: {error}", argument="path") from error
    except (ValueError, RecursionError) as error:
        raise UsageError(f"{file.name} is not {kind.upper()}: {error}", argument="path") from error


class _Twice(ValueError):
    def __init__(self, name: object) -> None:
        super().__init__(f"the field {name!r} stands twice in one object")


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """JSON's object. Of two equal fields one would be lost: which, depends on who reads."""
    made = dict(pairs)
    if len(made) < len(pairs):
        raise _Twice(_first_twice([name for name, _ in pairs]))
    return made


def _first_twice(names: list[Any]) -> Any:
    return next(name for place, name in enumerate(names) if name in names[:place])


def _text(file: Path) -> str:
    with file.open("rb") as opened:
        data = opened.read(MOST + 1)
    if len(data) > MOST:
        raise UsageError(f"{file.name} is larger than {MOST} bytes: no prompt is", argument="path")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise UsageError(f"{file.name} is not UTF-8: {error}", argument="path") from error


def _yaml() -> Any:
    try:
        return import_module("yaml")
    except ImportError as error:
        raise UsageError("YAML files need pyyaml: pip install 'chatmodels[yaml]'", argument="path") from error


def _from_yaml(text: str, name: str) -> Any:
    yaml = _yaml()
    reader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # the first is there where pyyaml was built with libyaml
    try:
        _check_yaml(yaml, yaml.parse(text, Loader=reader))
        loader = reader(text)
        try:
            node = loader.get_single_node()
            return None if node is None else loader.construct_document(_without_twins(yaml, node))
        finally:
            loader.dispose()
    except (UsageError, _Twice) as error:
        raise UsageError(f"{name}: {error}", argument="path") from error
    except (yaml.YAMLError, ValueError) as error:
        raise UsageError(f"{name} is not YAML: {error}", argument="path") from error


def _check_yaml(yaml: Any, events: Iterable[Any]) -> None:
    """Refuses what takes much more to read than to write, before it is read. Aliases can make gigabytes of one page."""
    depth = 0
    for event in events:
        if isinstance(event, yaml.AliasEvent):
            raise UsageError("YAML aliases (*name) are not read", argument="path")
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1
        if depth > DEEPEST:
            raise UsageError(f"the file is nested more than {DEEPEST} levels deep", argument="path")


def _without_twins(yaml: Any, node: Any) -> Any:
    """The node; an error where a mapping in it has the same key twice."""
    if isinstance(node, yaml.MappingNode):
        names = [key.value for key, _ in node.value if isinstance(key, yaml.ScalarNode)]
        if len(set(names)) < len(names):
            raise _Twice(_first_twice(names))
        for _, value in node.value:
            _without_twins(yaml, value)
    elif isinstance(node, yaml.SequenceNode):
        for value in node.value:
            _without_twins(yaml, value)
    return node


# ---- files of 2023, which could name others


def _with_files(data: dict[str, Any], folder: Path, depth: int = 0) -> dict[str, Any]:
    """The data with the named files' contents in their places."""
    if depth > MOST_FILES:
        raise UsageError("the files name one another without end", argument="example_prompt_path")
    out = dict(data)
    for key in ("template", "prefix", "suffix"):
        named = out.pop(f"{key}_path", None)
        if named is not None:
            out[key] = _text(_within(named, folder, f"{key}_path"))
    named = out.pop("example_prompt_path", None)
    if named is not None:
        out["example_prompt"] = _read(_within(named, folder, "example_prompt_path"))
    if isinstance(out.get("examples"), str):
        out["examples"] = _read(_within(out["examples"], folder, "examples"))
    inner = out.get("example_prompt")
    if is_object(inner):
        out["example_prompt"] = _with_files(inner, folder, depth + 1)
    return out


def _within(named: Any, folder: Path, argument: str) -> Path:
    if not isinstance(named, str):
        raise UsageError(f"{argument} is a path, not {type(named).__name__}", argument=argument)
    found = (folder / named).resolve()
    if not found.is_relative_to(folder):
        raise UsageError(f"{argument} leads out of the prompt's folder: {named!r}", argument=argument)
    return found
