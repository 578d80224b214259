"""litellm's `batch_completion`: a pool of threads."""

from __future__ import annotations

from pathlib import Path

from batchers.files import KEY, MODEL, prompts, write_answers


def work(url: str, source: Path, out: Path, concurrency: int) -> None:
    import litellm

    items = list(prompts(source))
    answers = litellm.batch_completion(
        model=f"openai/{MODEL}", messages=[[{"role": "user", "content": text}] for _, text in items],
        api_base=url, api_key=KEY, max_workers=concurrency,
    )  # fmt: skip
    write_answers(out, ((n, a.choices[0].message.content) for (n, _), a in zip(items, answers, strict=True)))
