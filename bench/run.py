"""The benchmark: chatmodels and its peers side by side, in one run, as ratios.

    python bench/setup_envs.py                       # once
    python bench/run.py                              # all works, all peers: about twenty minutes
    python bench/run.py --quick                      # a rough look: about two
    python bench/run.py --only call-sync chunk-sync --peers openai urllib3
    python bench/run.py --render                     # the last results again, as Markdown

Exit status: 0 if every measured requirement is met, 1 if one is missed, 2 if the tree cannot be installed.
"""

from __future__ import annotations

import argparse
import datetime
import json
import os
import platform
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import setup_envs
from harness.bench import Bench
from harness.connections import leaving, reuse
from harness.fresh import first_answer, importing
from harness.local import local
from harness.peers import PEERS
from harness.processes import SERVER_CPU, Server, WorkerError, versions
from harness.rows import Outcome, Row
from harness.table import missed, render
from harness.works import BURSTS, batch, long_stream, streams

RESULTS = setup_envs.BENCH / "results"
WORKS: dict[str, Callable[[Bench], Outcome]] = {
    "import": importing,
    "first-answer": first_answer,
    **{burst.name: burst.run for burst in BURSTS},
    "streams": streams,
    "batch": batch,
    "long": long_stream,
    "reuse": reuse,
    "leaving": leaving,
    "local": local,
}
CHOICE = [name for name, peer in PEERS.items() if not peer.local and name != "ours"]


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False
    )
    parser.add_argument("--only", nargs="+", metavar="WORK", choices=list(WORKS), help=f"of {', '.join(WORKS)}")
    parser.add_argument("--skip", nargs="+", metavar="WORK", choices=list(WORKS), default=[])
    parser.add_argument("--peers", nargs="*", metavar="PEER", choices=CHOICE, help=f"of {', '.join(CHOICE)}")
    parser.add_argument("--subject", default="ours", choices=["ours", *CHOICE], help="whom the peers are compared to")
    parser.add_argument("--rounds", type=int, default=None, help="default 7, quick 3")
    parser.add_argument("--quick", action="store_true", help="fewer rounds, shorter slots, smaller works")
    parser.add_argument("--no-install", action="store_true", help="measure the chatmodels that is installed already")
    parser.add_argument("--keep", action="store_true", help="keep the other works' rows of the last results")
    parser.add_argument("--render", nargs="?", const=str(RESULTS / "latest.json"), metavar="FILE")
    parser.add_argument("--out", type=Path, default=None, help="write the Markdown there too")
    parser.add_argument(
        "--priority", action="store_true", help="run ahead of other programs (needs the right to), for a busy machine"
    )
    parser.add_argument("--verbose", action="store_true", help="show what the measured processes print")
    return parser.parse_args()


def machine() -> dict[str, Any]:
    model = platform.processor() or platform.machine()
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            model = line.partition(":")[2].strip()
            break
    return {
        "python": f"{platform.python_implementation()} {platform.python_version()}",
        "cpus": os.cpu_count(),
        "model": model,
        "load": os.getloadavg()[0],
    }


def all_versions(names: list[str]) -> dict[str, str]:
    found: dict[str, str] = {}
    for name in names:
        peer = PEERS[name]
        try:
            # The bare environment is shared, and what its clients decode with matters as much as they do.
            found |= versions(peer.env, [peer.package, *(["msgspec"] if peer.env == "bare" else [])])
        except WorkerError as error:
            print(f"{name}: {error}", file=sys.stderr)
    return found


def make_ready(subject: str, install: bool) -> None:
    if subject == "ours" and install and not setup_envs.ours_is_current():
        print("installing the current tree ...", file=sys.stderr)
        setup_envs.make("ours")


def measure(options: argparse.Namespace) -> dict[str, Any]:
    peers = CHOICE if options.peers is None else options.peers
    works = [name for name in WORKS if name in (options.only or WORKS) and name not in options.skip]
    results: dict[str, Any] = {
        "date": datetime.datetime.now().astimezone().isoformat(timespec="minutes"),
        "machine": machine(),
        "subject": options.subject,
        "quick": options.quick,
        "rounds": options.rounds or (3 if options.quick else 7),
        "rows": [],
        "failures": {},
        "server_share": {},
        "strangers": {},
    }
    if options.priority:
        os.setpriority(os.PRIO_PROCESS, 0, -15)  # the server and the clients inherit it
    # The harness itself stays off the measured processor.
    os.sched_setaffinity(0, [SERVER_CPU])
    server = Server()
    bench = Bench(
        server=server,
        subject=options.subject,
        peers=[name for name in peers if name != options.subject],
        rounds=results["rounds"],
        quick=options.quick,
        slot=0.08 if options.quick else 0.25,
        errors=sys.stderr.buffer if options.verbose else None,
    )
    results["versions"] = all_versions([*bench.everyone, *(["xllamacpp"] if "local" in works else [])])
    try:
        for work in works:
            print(f"{work} ...", end=" ", file=sys.stderr, flush=True)
            start = time.monotonic()
            outcome = WORKS[work](bench)
            print(f"{time.monotonic() - start:.0f} s", file=sys.stderr, flush=True)
            results["rows"] += [row.to_dict() for row in outcome.rows]
            if outcome.failures:
                results["failures"][work] = outcome.failures
            if outcome.server_share:
                results["server_share"][work] = outcome.server_share
            if outcome.strangers:
                results["strangers"][work] = outcome.strangers
    finally:
        server.close()
    return results


def with_kept(results: dict[str, Any], path: Path) -> dict[str, Any]:
    """The new results, and the last run's for the works that were not run now (ratios never mix two runs)."""
    if not path.exists():
        return results
    last = json.loads(path.read_text())
    if last["subject"] != results["subject"]:
        return results
    done = {row["work"] for row in results["rows"]}
    rows = [*results["rows"], *(row for row in last["rows"] if row["work"] not in done)]
    order = list(dict.fromkeys([row["name"] for row in last["rows"]] + [row["name"] for row in rows]))
    results["rows"] = sorted(rows, key=lambda row: order.index(row["name"]))
    for part in ("failures", "server_share", "strangers"):
        results[part] = {**{work: v for work, v in last.get(part, {}).items() if work not in done}, **results[part]}
    results["versions"] = {**last["versions"], **results["versions"]}
    return results


def save(results: dict[str, Any], path: Path) -> None:
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(results, indent=1) + "\n")


def main() -> int:
    options = arguments()
    latest = RESULTS / "latest.json"
    if options.render:
        results = json.loads(Path(options.render).read_text())
    else:
        try:
            make_ready(options.subject, install=not options.no_install)
        except subprocess.CalledProcessError as error:
            print(f"the current tree could not be installed: {error}", file=sys.stderr)
            return 2
        results = measure(options)
        if options.keep:
            results = with_kept(results, latest)
        save(results, latest)
    report = render(results)
    print(report)
    if options.out:
        options.out.write_text(report + "\n")
    rows = [Row.from_dict(row) for row in results["rows"]]
    return 1 if missed(rows, results["subject"]) else 0


if __name__ == "__main__":
    sys.exit(main())
