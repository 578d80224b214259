"""LangChain's `Runnable.batch`: a pool of threads."""

from __future__ import annotations

from pathlib import Path

from batchers.files import KEY, MODEL, prompts, write_answers


def work(url: str, source: Path, out: Path, concurrency: int) -> None:
    from langchain_openai import ChatOpenAI

    model = ChatOpenAI(model=MODEL, api_key=KEY, base_url=url)
    items = list(prompts(source))
    answers = model.batch([text for _, text in items], config={"max_concurrency": concurrency})
    write_answers(out, ((number, a.content) for (number, _), a in zip(items, answers, strict=True)))
