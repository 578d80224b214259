"""The local log of calls: one SQLite file of the user's, which can be listed, searched and run again.

Keys are never in it: a call does not hold them, headers are left out, and what looks like a key in settings is masked. What is
not a log of ours is refused and left as it is.
"""

from __future__ import annotations

import atexit
import logging
import os
import sqlite3
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Generator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import msgspec

from .._call import Settings
from .._checks import whole, whole_or_none
from .._errors import UsageError
from .._inputs import from_dict
from .._json import dumps_text, loads
from .._messages import Message
from ._lines import figures
from ._redact import redacted_data
from ._watch import Seen

log = logging.getLogger("chatmodels")

#: Seconds that a reader waits for another process's write; and a call, which may be in an event loop.
PATIENCE, SOON = 5.0, 0.05
#: So many calls wait in memory at most for a file that another process holds.
MOST_WAITING = 10_000

#: Marks the file as ours ("chmd"), and its form.
APPLICATION, VERSION = 0x63686D64, 1
_SCHEMA = """
create table calls (
  id integer primary key, at real not null, provider text not null, model text not null, asked_model text not null,
  seconds real, streamed integer, tries integer, input_tokens integer, output_tokens integer,
  finish_reason text, request_id text, error text,
  messages text not null, settings text not null, tools text, answer text, words text not null
);
create index calls_at on calls (at);
"""
_COLUMNS = (
    "at", "provider", "model", "asked_model", "seconds", "streamed", "tries", "input_tokens", "output_tokens", "finish_reason",
    "request_id", "error", "messages", "settings", "tools", "answer", "words",
)  # fmt: skip
_INSERT = f"insert into calls ({', '.join(_COLUMNS)}) values ({', '.join('?' * len(_COLUMNS))})"  # noqa: S608  (our own names)


_OLDEST = "delete from calls where id <= (select id from calls order by id desc limit 1 offset ?)"
#: A bounded log forgets its oldest calls at every so many writes.
_SWEEP = 100


class Entry(msgspec.Struct, frozen=True, kw_only=True):
    """One call of the log. `at` is in seconds since 1970; `answer` is None where the call failed before one came."""

    id: int
    at: float
    provider: str
    model: str
    asked_model: str
    seconds: float | None
    streamed: bool
    tries: int
    input_tokens: int | None
    output_tokens: int | None
    finish_reason: str | None
    request_id: str | None
    error: str | None
    messages: list[Message]
    settings: Settings
    tools: list[str]
    answer: Message | None


class CallLog:
    """A log of calls at `path` (None: `chatmodels/calls.db` in the user's data folder). Safe between threads and processes.

    With `keep` it is bounded: of more calls than that the oldest go, some hundred at a time. A file that is in use elsewhere holds
    up no call: what could not be written waits in memory, for the next call, the next reading, or the end of the process.
    """

    def __init__(self, path: str | Path | None = None, *, keep: int | None = None) -> None:
        self.keep = whole_or_none("keep", keep)
        self._written = 0
        self.path = Path(path) if path is not None else default_path()
        self._abandoned: list[sqlite3.Connection | None] = []
        self._open: sqlite3.Connection | None = None
        self._begin()

    def _begin(self) -> None:
        """In a new process: what another one has open, holds or has yet to write is its own, and is never touched here."""
        self._process = os.getpid()
        self._lock = threading.RLock()
        self._abandoned.append(self._open)
        self._open = None
        self._waiting: deque[list[Any]] = deque()
        self._told = False  # that calls wait

    def __eq__(self, other: object) -> bool:
        return isinstance(other, CallLog) and other.path == self.path

    def __hash__(self) -> int:
        return hash(self.path)

    def __repr__(self) -> str:
        return f"CallLog({str(self.path)!r})"

    # -- as an observer

    def begin(self, seen: Seen) -> None:
        """Nothing is written before the end."""

    def end(self, seen: Seen) -> None:
        """Write the call down."""
        facts = figures(seen)
        texts = [m.text for m in seen.call.messages]
        answer = None if seen.message is None else seen.message.to_json()
        error = None if facts["error"] is None else f"{facts['error']}: {facts['error_text']}"
        settings = msgspec.structs.replace(seen.call.settings, extra_headers=None)
        row: dict[str, Any] = {
            **{
                k: facts[k]
                for k in ("provider", "model", "seconds", "streamed", "tries", "input_tokens", "output_tokens")
            },
            "at": time.time() - seen.seconds,
            "asked_model": f"{seen.plan.dialect.provider}:{seen.call.model}",
            "finish_reason": "left" if seen.left else facts["finish_reason"],
            "request_id": facts["request_id"],
            "error": error,
            "messages": msgspec.json.encode([m.to_dict() for m in seen.call.messages]).decode(),
            "settings": dumps_text(redacted_data(msgspec.to_builtins(settings))),
            "tools": msgspec.json.encode([t.name for t in seen.call.tools]).decode(),
            "answer": answer,
            "words": "\n".join([*texts, "" if seen.message is None else seen.message.text]).casefold(),
        }
        if self._process != os.getpid():
            self._begin()
        self._waiting.append([row[name] for name in _COLUMNS])
        self._write(SOON)

    def check(self) -> None:
        """Open the file, or make it; `UsageError` where that cannot be."""
        with self._reading():
            pass

    def _write(self, patience: float) -> None:
        """Write what waits, if the file is free within so many seconds."""
        if not self._waiting or not self._lock.acquire(timeout=patience):
            return
        rows = list(self._waiting)
        try:
            with self._using(patience) as connection:
                connection.executemany(_INSERT, rows)
                if self.keep is not None and self._written % _SWEEP < len(rows):
                    connection.execute(_OLDEST, [self.keep])
            self._forget(len(rows))
            self._written += len(rows)
            self._told = False
        except (sqlite3.Error, OSError, UsageError) as error:
            self._unwritten(error, len(rows))
        finally:
            self._lock.release()

    def _unwritten(self, error: Exception, count: int) -> None:
        if not _is_busy(error):
            self._forget(count)
            what = "a call" if count == 1 else f"{count} calls"
            log.warning("%s could not be written to the log %s: %s: %s", what, self.path, type(error).__name__, error)
            return
        if not self._told:
            self._told = True
            atexit.register(self._last)
            log.warning("the log %s is in use elsewhere (%s): calls wait in memory to be written", self.path, error)
        over = len(self._waiting) - MOST_WAITING
        if over > 0:
            self._forget(over)
            log.warning("%d calls are lost to the log %s: it has been in use elsewhere for too long", over, self.path)

    def _forget(self, count: int) -> None:
        for _ in range(count):
            self._waiting.popleft()

    def _last(self) -> None:
        """The process ends."""
        atexit.unregister(self._last)
        if self._process != os.getpid():
            return
        self._write(PATIENCE)
        if self._waiting:
            log.warning("%d calls are lost to the log %s: it is in use elsewhere", len(self._waiting), self.path)

    # -- reading

    def entries(self, *, search: str | None = None, limit: int = 20) -> list[Entry]:
        """The newest calls first; with `search`, those whose question or answer holds all of its words."""
        words = (search or "").casefold().split()
        where = " and ".join(["words like ? escape '\\'"] * len(words)) or "1"
        query = f"select * from calls where {where} order by id desc limit ?"  # noqa: S608  (words are parameters)
        with self._reading() as connection:
            return [_entry(row) for row in connection.execute(query, [*(_like(w) for w in words), limit])]

    def entry(self, number: int) -> Entry:
        """The call of that number."""
        with self._reading() as connection:
            row = connection.execute("select * from calls where id = ?", [number]).fetchone()
        if row is None:
            raise UsageError(f"there is no call {number} in the log; `chatmodels logs` lists them", argument="id")
        return _entry(row)

    def prune(self, *, keep: int | None = None, days: float | None = None) -> int:
        """Forget all but the newest `keep` calls, and those older than `days`; the number of calls that went.

        The file is rewritten, so that nothing of them is left in it. (While another process uses it, that waits for the next time.)

        >>> CallLog("calls.db").prune(days=30)  # doctest: +SKIP
        """
        if keep is None and days is None:
            raise UsageError("say what to forget: all but the newest (keep=100), or the old (days=30)", argument="keep")
        if days is not None and not days >= 0:
            raise UsageError(f"days is a number, 0 or more; got {days!r}", argument="days")
        gone = 0
        with self._reading() as connection:
            if keep is not None:
                gone += connection.execute(_OLDEST, [whole("keep", keep, least=0)]).rowcount
            if days is not None:
                gone += connection.execute("delete from calls where at < ?", [time.time() - days * 86400]).rowcount
        with (
            self._reading() as connection,
            suppress(sqlite3.OperationalError),
        ):  # another process uses it: it is only larger
            connection.execute("vacuum")
            connection.execute("pragma wal_checkpoint(truncate)").fetchall()
        return gone

    def close(self) -> None:
        """Close the file; it is opened again when it is needed."""
        with self._lock:
            self._write(PATIENCE)
            if self._open is not None:
                self._open.close()
                self._open = None

    def __del__(self, getpid: Callable[[], int] = os.getpid) -> None:  # at the very end `os` may be gone
        connection = getattr(self, "_open", None)
        if connection is not None and self._process == getpid():
            connection.close()

    @contextmanager
    def _reading(self) -> Generator[sqlite3.Connection]:
        if self._process != os.getpid():
            self._begin()
        self._write(PATIENCE)
        with self._using(PATIENCE) as connection:
            yield connection

    @contextmanager
    def _using(self, patience: float) -> Generator[sqlite3.Connection]:
        with self._lock:
            if self._open is None:
                self._open = self._connect(patience)
            connection = self._open
            connection.execute(f"pragma busy_timeout = {int(patience * 1000)}")
            with connection:
                yield connection

    def _connect(self, patience: float) -> sqlite3.Connection:
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            os.close(os.open(self.path, os.O_RDWR | os.O_CREAT, 0o600))
        except OSError as error:
            raise UsageError(f"the log of calls cannot be at {self.path}: {error.strerror}", argument="path") from error
        connection = sqlite3.connect(self.path, timeout=patience, check_same_thread=False)
        connection.row_factory = sqlite3.Row
        try:
            _prepare(connection, self.path)
        except sqlite3.DatabaseError as error:
            connection.close()
            if getattr(error, "sqlite_errorcode", 0) & 0xFF not in (sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_CORRUPT):
                raise UsageError(f"the log {self.path} cannot be used now: {error}", argument="path") from error
            raise UsageError(
                f"{self.path} is not a log of calls ({error}): move it away, or name another file", argument="path"
            ) from error
        except UsageError:
            connection.close()
            raise
        return connection


def _prepare(connection: sqlite3.Connection, path: Path) -> None:
    with connection:
        connection.execute("begin immediate")
        ours, version = (
            connection.execute(f"pragma {name}").fetchone()[0] for name in ("application_id", "user_version")
        )
        tables = connection.execute("select count(*) from sqlite_master").fetchone()[0]
        if tables == 0 and ours == 0:
            for statement in _SCHEMA.split(";"):
                connection.execute(statement)
            connection.execute(f"pragma application_id = {APPLICATION}")
            connection.execute(f"pragma user_version = {VERSION}")
        elif ours != APPLICATION or version != VERSION:
            raise UsageError(
                f"{path} is not a log of calls of this version: move it away, or name another file", argument="path"
            )
    connection.execute("pragma journal_mode = wal")
    connection.execute("pragma synchronous = normal")


def _is_busy(error: BaseException | None) -> bool:
    """Is it that another connection holds the file?"""
    if isinstance(error, UsageError):
        error = error.__cause__
    return getattr(error, "sqlite_errorcode", 0) & 0xFF in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)


def _like(word: str) -> str:
    for special in "\\%_":
        word = word.replace(special, "\\" + special)
    return f"%{word}%"


def _entry(row: sqlite3.Row) -> Entry:
    fields: dict[str, Any] = {name: row[name] for name in row.keys()}  # noqa: SIM118  (a Row iterates over values)
    del fields["words"]
    answer = fields["answer"]
    fields["streamed"] = bool(fields["streamed"])
    fields["messages"] = [from_dict(m) for m in loads(fields["messages"])]
    fields["settings"] = msgspec.json.decode(fields["settings"], type=Settings)
    fields["tools"] = loads(fields["tools"] or "[]")
    fields["answer"] = None if answer is None else from_dict(loads(answer))
    return Entry(**fields)


def default_path() -> Path:
    """Where the log lies unless told otherwise: CHATMODELS_LOGS where that is a path, else the user's data folder."""
    named = os.environ.get("CHATMODELS_LOGS", "")
    if named not in ("", "0", "1"):
        return Path(named).expanduser()
    if sys.platform == "win32":
        home = Path(os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local")
    elif sys.platform == "darwin":
        home = Path.home() / "Library" / "Application Support"
    else:
        home = Path(os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share")
    return home / "chatmodels" / "calls.db"
