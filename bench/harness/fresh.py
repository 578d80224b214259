"""Works in fresh processes: the import, and the way from nothing to the first answer."""

from __future__ import annotations

from server import ANSWER

from harness.bench import Bench, alternate_able
from harness.peers import PEERS
from harness.processes import WorkerError, run_fresh
from harness.rows import Outcome, Row, Sample, fill

UNWANTED = (
    "urllib3",
    "aiohttp",
    "httpx",
    "httpx2",
    "requests",
    "http.client",
    "asyncio",
    "ssl",
    "pydantic",
    "rich",
)


def importing(bench: Bench) -> Outcome:
    """Wall time of an import in a fresh process, less that of the same interpreter doing nothing."""
    row = Row("import", "import", "import, over a bare interpreter", "ms")
    names = Row("import-names", "import", "import of the class that makes calls", "ms")
    loads = Row("import-loads", "import", "HTTP, asyncio, ssl, pydantic or rich modules loaded by import", "")
    outcome = Outcome([row, names, loads])
    able: list[str] = []
    for name in bench.everyone:
        peer = PEERS[name]
        if not peer.importing:
            continue
        code = f"{peer.importing}\nimport sys\nprint(len([m for m in {UNWANTED!r} if m in sys.modules]))"
        try:
            run_fresh(peer.env, peer.naming)  # from a cold disk it would be another measurement
            loads.values[name] = float(run_fresh(peer.env, code)[1])
            able.append(name)
        except WorkerError as error:
            outcome.failures[name] = error.last_line

    def slot(name: str, _: int) -> Sample:
        peer = PEERS[name]
        bare, full, named = (
            min(run_fresh(peer.env, code)[0] for _ in range(2)) for code in ("pass", peer.importing, peer.naming)
        )
        return {"import": (full - bare) * 1e3, "names": (named - bare) * 1e3}

    taken = alternate_able(bench, outcome, able, slot)
    fill(row, "import", taken)
    fill(names, "names", taken)
    return outcome


def first_answer(bench: Bench) -> Outcome:
    """Wall time of a fresh process that imports, makes one call, prints the answer and ends."""
    row = Row("first-answer", "first-answer", "fresh process to first answer", "ms")
    outcome = Outcome([row])
    url = bench.server.url("json/0")

    def answer(name: str) -> float:
        peer = PEERS[name]
        wall, printed = run_fresh(peer.env, peer.first_answer.format(url=url))
        if printed.strip() != ANSWER:
            raise WorkerError(f"wrong answer: {printed!r}")
        return wall

    able: list[str] = []
    for name in bench.everyone:
        if PEERS[name].first_answer:
            try:
                answer(name)
                able.append(name)
            except WorkerError as error:
                outcome.failures[name] = error.last_line

    def slot(name: str, _: int) -> Sample:
        return {"wall": min(answer(name) for _ in range(2)) * 1e3}

    fill(row, "wall", alternate_able(bench, outcome, able, slot))
    return outcome
