"""chatmodels' embedded model, as a user gets it."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

from prompt import STORY

from chatmodels import ChatLocal


class Client:
    def __init__(self, url: str) -> None:
        """`url` is not used: the model runs in this process."""

    def tokens(self, most: int, number: int = 0) -> int:
        """How many tokens an answer of at most `most` had; `number` makes the prompt another one."""
        chat = ChatLocal(max_tokens=most, temperature=0)
        stream = chat.stream(f"{number}. {STORY}")
        for chunk in stream:
            len(chunk.text)
        return stream.message.usage.output_tokens

    def tokens_together(self, most: int, calls: int) -> int:
        with ThreadPoolExecutor(calls) as threads:
            return sum(threads.map(lambda number: self.tokens(most, number), range(calls)))
