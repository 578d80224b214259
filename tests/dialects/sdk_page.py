"""The page of the docs that tells how our readings differ from those of the official SDKs: `docs/differences.md`."""

from __future__ import annotations

from .sdk_differences import EXPLAINED, Explanation

HEAD = """# Where we read an answer otherwise than the official SDKs

Some 2,300 recorded answers of real providers and hosts were sent over a loopback socket to each provider's official SDK and to
chatmodels, plain and streamed, sync and async (botocore has no async). Both readings were compared field by field: text,
reasoning, tool calls with ids and arguments, finish reason, every count of the usage, model, id, refusal, number of choices, of
citations and of log probabilities, errors and their status. Beyond that, every text in what the SDK gives is looked for in our
message, so that nothing which an SDK shows is lost.

This page is made by that comparison, which runs with the checks of every commit. A difference that is not in the tables fails it.

```bash
python tests/compare_sdks.py                 # the numbers, each class with its records
python tests/compare_sdks.py --markdown      # this page
```

The SDKs are read as their users read them: with the accumulator that the SDK has (openai, anthropic), else by putting the chunks
together. "Alike" means that no field differs.
"""

BETWEEN = """
## Where a field differs

"Readings" counts plain or streamed, sync and async, one each.
"""

KEPT = """
## What an SDK shows and our message does not hold

Nothing of what the model said. Of what stands around it:
"""


def page(found: list[tuple[str, int, int, dict[str, tuple[int, list[str]]]]]) -> str:
    """The page, from (SDK, readings, alike, classes) of each SDK."""
    lines = [HEAD, "| SDK | readings | alike | share |", "| --- | ---: | ---: | ---: |"]
    lines += [f"| {name} | {n} | {alike} | {_percent(alike, n)} |" for name, n, alike, _ in found]
    fields, around = [e for e in EXPLAINED if not e.kept], [e for e in EXPLAINED if e.kept]
    for head, some in ((BETWEEN, fields), (KEPT, around)):
        lines += [
            head,
            "| what | readings | the SDK gives | we give | right | why |",
            "| --- | --- | --- | --- | --- | --- |",
        ]
        lines += [
            _row(e, [(name, classes[e.name][0]) for name, _, _, classes in found if e.name in classes]) for e in some
        ]
    return "\n".join(lines) + "\n"


def _percent(part: int, whole: int) -> str:
    return f"{100 * part / whole:.1f}%"


def _row(one: Explanation, counts: list[tuple[str, int]]) -> str:
    told = ", ".join(f"{name} {count}" for name, count in counts) or "none now"
    return f"| {one.name} | {told} | {one.theirs} | {one.ours} | {one.right} | {one.why} |"
