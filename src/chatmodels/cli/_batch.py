"""`chatmodels batch IN -o OUT -m MODEL`: many items from a file, resumable. Its parser, and what its end means for the shell."""

from __future__ import annotations

import argparse
import sys
from typing import Any

from .._errors import UsageError
from .._json import is_object, loads
from ._args import model_of
from ._signals import ended_by_sigterm

_DESCRIPTION = """\
Ask a model about every item of a file: JSON lines, CSV or Parquet (compressed or not), or - for standard input. Each
item ends as a line of OUT, with an answer or an error. A journal beside OUT (OUT.journal) makes it safe: after a crash,
a reboot or Ctrl-C the same command goes on, and asks nothing again that was answered."""
_EPILOG = """\
exit status: 0 every item has an answer; 1 some have errors, or the disk failed; 2 wrong use; 3 stopped before the end
(a cap, a wrong key, an outage, too many failures); 130 Ctrl-C. After 3 and 130 the same command goes on with the rest."""

#: The exit status of a batch that was stopped, and can go on.
STOPPED = 3


def batch_parser() -> argparse.ArgumentParser:
    """The parser of `chatmodels batch`."""
    made = argparse.ArgumentParser(
        prog="chatmodels batch",
        description=_DESCRIPTION,
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    made.add_argument("items", metavar="IN", help="items: .jsonl, .csv, .parquet, these with .gz, or -")
    made.add_argument("-o", "--out", metavar="OUT", default="-", help="where the lines go (default: standard output)")
    made.add_argument("-m", "--model", metavar="MODEL", help="provider:model, e.g. openai:gpt-4o-mini, or local")
    made.add_argument("-s", "--system", help="a system message for every item")
    made.add_argument(
        "--prompt", metavar="TEXT",
        help="what to ask of each row or object, with its fields in braces, e.g. 'Classify: {text}'",
    )  # fmt: skip
    made.add_argument(
        "--schema", metavar="FILE",
        help="a JSON schema that each answer must fit; its value is the line's output, and what does not fit is an error",
    )  # fmt: skip
    made.add_argument(
        "--option", action="append", default=[], metavar="NAME=VALUE",
        help="a setting of every call, e.g. temperature=0 (repeat for more); the value is JSON or text",
    )  # fmt: skip
    made.add_argument("--base-url", metavar="URL", help="another address for the provider")
    made.add_argument("--timeout", type=float, metavar="SECONDS", help="the limit for each call (default: 900)")
    made.add_argument(
        "--format", choices=("jsonl", "csv", "parquet"), help="the format of IN, where its name does not say"
    )
    made.add_argument("--journal", metavar="FILE", help="the journal (default: OUT.journal)")
    made.add_argument("--no-journal", action="store_true", help="keep none: a crash loses what is not written yet")
    made.add_argument("--ordered", action="store_true", help="lines in the order of the items")
    made.add_argument("--max-concurrency", type=int, default=50, metavar="N", help="calls in flight (default: 50)")
    made.add_argument(
        "--no-group-prefixes",
        action="store_true",
        help="items in line as they come, also where some share a long beginning",
    )
    made.add_argument("--requests-per-minute", type=int, metavar="N", help="at most so many calls a minute")
    made.add_argument("--tokens-per-minute", type=int, metavar="N", help="at most so many tokens a minute")
    made.add_argument("--max-cost", type=float, metavar="DOLLARS", help="stop when so much is spent")
    made.add_argument(
        "--max-total-tokens", type=int, metavar="N", help="stop when so many tokens are spent, in and out"
    )
    made.add_argument("--retry-failed", action="store_true", help="ask again what failed in earlier runs")
    made.add_argument("--report", metavar="FILE", help="write an HTML report")
    made.add_argument(
        "--metrics-file", metavar="FILE", help="keep metrics in FILE, in Prometheus' text format (name.prom)"
    )
    made.add_argument("--metrics-port", type=int, metavar="N", help="show them at http://127.0.0.1:N/metrics")
    made.add_argument(
        "--via", choices=("provider", "auto"),
        help="through the provider's batch API (half the price, within a day); auto: if that pays and --within allows",
    )  # fmt: skip
    made.add_argument("--within", type=float, metavar="HOURS", help="with --via auto: all must be there by then")
    made.add_argument("--job-size", type=int, metavar="N", help="with --via: items in one job (default: 10000)")
    made.add_argument("--max-jobs", type=int, metavar="N", help="with --via: jobs at once (default: 4)")
    made.add_argument("--poll", type=float, metavar="SECONDS", help="with --via: look at a job so often (default: 60)")
    made.add_argument("--s3", metavar="s3://BUCKET/FOLDER", help="with --via, of Bedrock: where jobs read and write")
    made.add_argument("--role-arn", metavar="ARN", help="with --via, of Bedrock: the role in whose name they do so")
    made.add_argument("--engine", choices=("ray",), help="run on a Ray cluster (RAY_ADDRESS, else a local one)")
    made.add_argument("--workers", type=int, metavar="N", help="with --engine ray: worker processes (default: 2)")
    made.add_argument("--estimate", action="store_true", help="only ask a sample, and reckon what all would take")
    made.add_argument("--sample", type=int, metavar="N", help="with --estimate: ask so many items (default: 20)")
    made.add_argument("--quiet", action="store_true", help="no progress, and no summary")
    return made


@ended_by_sigterm
def batch(given: argparse.Namespace) -> int:
    """Run it; the exit status."""
    from ..batch import run_batch

    model = _typed(_limited(model_of(given), given), given.schema)
    calls: dict[str, Any] = {
        "system": given.system, "prompt": given.prompt, "max_concurrency": given.max_concurrency, "format": given.format,
    }  # fmt: skip
    if given.estimate:
        return _estimate(model, given.items, {**calls, **_via(given)}, given.sample)
    if given.sample is not None:
        raise UsageError("--sample goes with --estimate", argument="--sample")
    if given.no_journal and given.journal:
        raise UsageError("--journal and --no-journal exclude each other", argument="--journal")
    calls["engine"] = _engine(given)
    calls["group_prefixes"] = not given.no_group_prefixes
    calls.update(_via(given))
    summary = run_batch(
        model,
        given.items,
        out=given.out,
        journal=False if given.no_journal else given.journal,
        ordered=given.ordered,
        progress=not given.quiet,
        max_cost=given.max_cost,
        max_tokens=given.max_total_tokens,
        retry_failed=given.retry_failed,
        report=given.report,
        metrics=[one for one in (given.metrics_file, given.metrics_port) if one is not None] or None,
        **calls,
    )
    if not given.quiet:
        sys.stderr.write(f"chatmodels: {summary}\n")
    if summary.stopped is not None:
        return STOPPED
    return 1 if summary.failed else 0


def _via(given: argparse.Namespace) -> dict[str, Any]:
    within = None if given.within is None else 3600 * given.within
    options = {
        "via": given.via, "within": within, "job_size": given.job_size, "max_jobs": given.max_jobs, "poll": given.poll,
        "s3": given.s3, "role_arn": given.role_arn,
    }  # fmt: skip
    return {name: value for name, value in options.items() if value is not None}


def _engine(given: argparse.Namespace) -> Any:
    if given.engine is None:
        if given.workers is not None:
            raise UsageError("--workers goes with --engine ray", argument="--workers")
        return None
    from ..ray import RayEngine

    return RayEngine() if given.workers is None else RayEngine(workers=given.workers)


def _limited(model: Any, given: argparse.Namespace) -> Any:
    if given.requests_per_minute is None and given.tokens_per_minute is None:
        return model
    return model.with_limits(requests_per_minute=given.requests_per_minute, tokens_per_minute=given.tokens_per_minute)


def _typed(model: Any, path: str | None) -> Any:
    if path is None:
        return model
    from pathlib import Path

    try:
        schema = loads(Path(path).read_bytes())
    except OSError as error:
        raise UsageError(f"--schema: {path} cannot be read: {error.strerror}", argument="--schema") from error
    except ValueError as error:
        raise UsageError(f"--schema: {path} is not JSON: {error}", argument="--schema") from error
    if not is_object(schema):
        raise UsageError(f"--schema: {path} is no JSON schema: that is an object", argument="--schema")
    return model.with_output(schema)


def _estimate(model: Any, items: str, calls: dict[str, Any], sample: int | None) -> int:
    from pathlib import Path

    from ..batch import estimate_batch

    size = 20 if sample is None else sample
    found = estimate_batch(model, items if items == "-" else Path(items), sample=size, **calls)
    sys.stdout.write(f"{found}\n")
    return 0
