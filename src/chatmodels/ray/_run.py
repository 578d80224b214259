"""A whole batch on a Ray cluster: JSON lines in, JSON lines out, a journal beside them; the same command goes on where it stopped.

The input is cut into shards of so many lines. A shard's answers appear as a whole, or not yet.
"""

from __future__ import annotations

import os
import pickle
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import msgspec

from .._checks import whole
from .._errors import UsageError
from .._json import dumps_text, is_object, loads
from .._model import ChatModel
from ..batch._engine import FATAL
from ._journal import BlockJournal
from ._library import library
from ._limiter import RayLimiter
from ._map import FIELDS, Answers, column_of


class RayRun(msgspec.Struct, frozen=True, kw_only=True):
    """What a run did. `rows` and tokens are of the whole output, earlier runs' included; `seconds` is this run's wall time."""

    folder: str
    rows: int
    succeeded: int
    failed: int
    input_tokens: int
    output_tokens: int
    seconds: float


def run_ray(
    model: ChatModel | str,
    items: str | Path | Iterable[dict[str, Any]],
    out: str | Path,
    *,
    column: str = "messages",
    output: str = "answer",
    settings: dict[str, Any] | None = None,
    shard_size: int = 256,
    max_concurrency: int = 32,
    workers: int | tuple[int, int] = 2,
    limiter: RayLimiter | None = None,
    **ray_options: Any,
) -> RayRun:
    """Answer all items on the Ray cluster that is connected (else a local one), into files under the folder `out`.

    `items`: a file of JSON lines that all workers see, or rows (dicts). `out/answers/part-000000.jsonl` has the lines of the first
    `shard_size` items with what `map_messages` adds to them, and so on, in the input's order. `out/journal` has what was answered
    in shards that have not ended: the same command after a crash, or beside lost workers, calls only what is missing. Failed rows
    are lines with an error; the same command tries just them again. Raises `UsageError` where `out` holds another run, and at once
    what every row would fail with (a wrong key, an unknown model, an empty account). `run_batch(engine="ray")` does the same for
    items and lines of the form that batches have elsewhere; here rows keep their own columns. Further
    options (`num_cpus`, `num_gpus`, ...) go to `Dataset.map_batches`.
    """
    ray, data = library(), library("ray.data")
    folder = Path(out).absolute()
    source = _prepared(folder, items, {"column": column, "output": output, "shard_size": shard_size}, model)
    if not ray.is_initialized():
        ray.init()
    began = time.monotonic()
    todo = [shard for shard in _shards(source, shard_size) if _failed(folder, shard["number"]) != 0]
    if todo:
        answers = Answers.of(model, settings, max_concurrency, limiter)
        given = {"answers": answers, "source": str(source), "folder": str(folder), "column": column, "output": output}
        options = {"concurrency": workers, "batch_size": 1, "batch_format": "numpy", **ray_options}
        shards = data.from_items(todo, override_num_blocks=len(todo))
        for row in shards.map_batches(ShardWorker, fn_constructor_kwargs=given, **options).iter_rows():
            if row["fatal"]:
                raise pickle.loads(row["fatal"])  # noqa: S301 - our own worker's; leaving the loop ends the others
    return _counted(folder, output, time.monotonic() - began)


class ShardWorker:
    """What an actor of the pool holds. It is called with one shard after the other."""

    def __init__(self, *, answers: Answers, source: str, folder: str, column: str, output: str) -> None:
        self._answers, self._source, self._folder = answers, source, Path(folder)
        self._column, self._output = column, output

    def __call__(self, batch: dict[str, Any]) -> dict[str, Any]:
        """Answer the shard, and put its file in place."""
        number, start, end = (int(batch[name][0]) for name in ("number", "start", "end"))
        rows = [_row(line) for line in _piece(self._source, start, end).splitlines() if line.strip()]
        journal = self._folder / "journal" / f"{number:06}.jsonl"
        try:
            records = self._answers.records([row.get(self._column) for row in rows], lambda keys: BlockJournal(journal))
        except FATAL as error:
            return {"fatal": [pickle.dumps(error)]}
        lines = [dumps_text({**row, **self._named(record)}) for row, record in zip(rows, records, strict=True)]
        _put(_part(self._folder, number), "".join(line + "\n" for line in lines))
        failed = sum(record["error"] is not None for record in records)
        _put(self._folder / "journal" / f"{number:06}.failed", str(failed))
        if not failed:
            journal.unlink(missing_ok=True)
        return {"fatal": [b""]}

    def _named(self, record: dict[str, Any]) -> dict[str, Any]:
        return {column_of(self._output, field): record[field] for field in ("text", *FIELDS)}


def _prepared(folder: Path, items: Any, about: dict[str, Any], model: ChatModel | str) -> Path:
    """The file of items; rows are written into one. The folder is made, or is seen to hold this very run."""
    whole("shard_size", about["shard_size"])
    source = Path(items).absolute() if isinstance(items, (str, Path)) else folder / "items.jsonl"
    if isinstance(items, (str, Path)) and not source.is_file():
        raise UsageError(f"there is no file {source}", argument="items")
    named = model if isinstance(model, str) else f"{model.provider}:{model.model}"
    folder.mkdir(parents=True, exist_ok=True)
    about = {**about, "model": named, "source": str(source)}
    manifest = folder / "run.json"
    if not manifest.exists():
        if any(folder.iterdir()):
            raise UsageError(f"{folder} holds other files: name a new folder", argument="out")
        if not isinstance(items, (str, Path)):
            _put(source, "".join(dumps_text(row) + "\n" for row in items))
        _put(manifest, dumps_text({**about, "size": source.stat().st_size}))
        return source
    before = loads(manifest.read_bytes())
    if not isinstance(items, (str, Path)):
        _same_rows(source, items, folder)
    about["size"] = source.stat().st_size
    other = {name: before.get(name) for name, value in about.items() if before.get(name) != value}
    if other:
        raise UsageError(f"{folder} holds a run with {other}: name a new folder", argument="out")
    return source


def _same_rows(source: Path, items: Iterable[dict[str, Any]], folder: Path) -> None:
    if source.read_text(encoding="utf-8") != "".join(dumps_text(row) + "\n" for row in items):
        raise UsageError(f"{folder} holds a run over other rows: name a new folder", argument="out")


def _shards(source: Path, size: int) -> Iterator[dict[str, int]]:
    """Where each shard of `size` lines begins and ends in the file, in bytes."""
    number = start = position = lines = 0
    with source.open("rb") as file:
        for line in file:
            position += len(line)
            lines += bool(line.strip())
            if lines == size:
                yield {"number": number, "start": start, "end": position}
                number, start, lines = number + 1, position, 0
    if lines:
        yield {"number": number, "start": start, "end": position}


def _piece(source: str, start: int, end: int) -> bytes:
    with open(source, "rb") as file:
        file.seek(start)
        return file.read(end - start)


def _row(line: bytes) -> dict[str, Any]:
    """A line's row; one that is none is answered with an error, as every other wrong row."""
    try:
        row = loads(line)
    except ValueError:
        row = None
    return row if is_object(row) else {"line": line.decode("utf-8", "replace")}


def _part(folder: Path, number: int) -> Path:
    return folder / "answers" / f"part-{number:06}.jsonl"


def _failed(folder: Path, number: int) -> int | None:
    """How many rows of a shard failed; None where it has not ended."""
    try:
        text = (folder / "journal" / f"{number:06}.failed").read_text()
    except FileNotFoundError:
        return None
    return int(text) if _part(folder, number).exists() else None


def _put(path: Path, text: str) -> None:
    """The whole file, or none of it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(f"{path.name}.{os.getpid()}.new")
    with beside.open("w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    beside.replace(path)


def _counted(folder: Path, output: str, seconds: float) -> RayRun:
    rows = failed = given = made = 0
    for part in sorted((folder / "answers").glob("part-*.jsonl")):
        with part.open("rb") as lines:
            for line in lines:
                row = loads(line)
                rows += 1
                failed += row.get(f"{output}_error") is not None
                given += row.get(f"{output}_input_tokens") or 0
                made += row.get(f"{output}_output_tokens") or 0
    return RayRun(
        folder=str(folder),
        rows=rows,
        succeeded=rows - failed,
        failed=failed,
        input_tokens=given,
        output_tokens=made,
        seconds=seconds,
    )
