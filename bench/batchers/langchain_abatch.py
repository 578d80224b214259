"""LangChain's `Runnable.abatch`."""

from __future__ import annotations

import asyncio
from pathlib import Path

from batchers.files import KEY, MODEL, prompts, write_answers

#: Its client belongs to the event loop of the first call: a second `asyncio.run` fails with "Event loop is closed".
WARM = False


def work(url: str, source: Path, out: Path, concurrency: int) -> None:
    from langchain_openai import ChatOpenAI

    model = ChatOpenAI(model=MODEL, api_key=KEY, base_url=url)
    items = list(prompts(source))
    answers = asyncio.run(model.abatch([text for _, text in items], config={"max_concurrency": concurrency}))
    write_answers(out, ((number, a.content) for (number, _), a in zip(items, answers, strict=True)))
