"""Which examples to show for an input: by length, by similarity, or by similarity and variety.

Embeddings come from any callable; vectors are lists of numbers. Choosing is one generator for sync and async: it yields texts
and is sent their vectors. Knows nothing of messages.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
from inspect import isawaitable, iscoroutine, iscoroutinefunction
from typing import Any, Protocol, Self, cast

from chatmodels._checks import whole
from chatmodels._errors import UsageError

Example = dict[str, Any]
Vector = Sequence[float]
#: Texts -> a vector for each; an async function does as well. Objects as LangChain has them are taken too, see `_Embeddings`.
Embed = Callable[[list[str]], Any]


class ExampleSelector(Protocol):
    """What few-shot templates need of a selector; one of your own needs only this. `aselect_examples` may be there too."""

    def select_examples(self, input_variables: Mapping[str, Any], /) -> list[Example]:
        """The examples for these values, in the order to show them."""
        ...


class LengthBasedExampleSelector:
    """As many examples, in their order, as fit beside the input into `max_length`.

    `get_text_length` measures a text; words by default. `example_prompt` is how an example is written.

    >>> from chatmodels.prompts import PromptTemplate
    >>> shown = PromptTemplate.from_template("{word} {opposite}")
    >>> selector = LengthBasedExampleSelector([{"word": "up", "opposite": "down"}], shown, max_length=3)
    >>> selector.select_examples({"word": "left"}), selector.select_examples({"word": "very far left"})
    ([{'word': 'up', 'opposite': 'down'}], [])
    """

    def __init__(
        self,
        examples: Iterable[Example],
        example_prompt: Any,
        max_length: int = 2048,
        get_text_length: Callable[[str], int] | None = None,
    ) -> None:
        whole("max_length", max_length, least=0)
        self.example_prompt = example_prompt
        self.max_length = max_length
        self.get_text_length = get_text_length or _words
        self.examples: list[Example] = []
        self._lengths: list[int] = []
        for example in examples:
            self.add_example(example)

    def add_example(self, example: Example) -> None:
        """Put one more example behind the others."""
        self._lengths.append(self.get_text_length(_written(self.example_prompt, example)))
        self.examples.append(dict(example))

    def select_examples(self, input_variables: Mapping[str, Any], /) -> list[Example]:
        """The first examples that fit."""
        room = self.max_length - self.get_text_length(" ".join(str(v) for v in input_variables.values()))
        chosen: list[Example] = []
        for example, length in zip(self.examples, self._lengths, strict=True):
            room -= length
            if room < 0:
                break
            chosen.append(example)
        return chosen


def _words(text: str) -> int:
    return len(re.split(r"[ \n]", text)) if text else 0


def _written(prompt: Any, example: Example) -> str:
    values = {k: v for k, v in example.items() if k in prompt.input_variables}
    if hasattr(prompt, "format_messages"):
        return "\n".join(m.text for m in prompt.format_messages(**values))
    return str(prompt.format(**values))


class SemanticSimilarityExampleSelector:
    """The `k` examples whose meaning is nearest to the input's (cosine of the vectors), nearest first.

    `embed` takes a list of texts and gives a vector for each; an async function works with the async calls, and an object with
    `embed_documents` and `embed_query` (and `aembed_...`), as LangChain's embeddings are, does as well. `input_keys` names the
    values that are compared, of the input and of the examples; all of them otherwise. `threshold` leaves out what is less
    near (-1 to 1). An example is embedded once, at the first use.
    """

    def __init__(
        self,
        examples: Iterable[Example],
        embed: Any,
        *,
        k: int = 4,
        input_keys: Sequence[str] | None = None,
        threshold: float | None = None,
    ) -> None:
        whole("k", k)
        self.examples: list[Example] = [dict(e) for e in examples]
        self.k = k
        self.input_keys = list(input_keys) if input_keys is not None else None
        self.threshold = threshold
        self._embed = _embedding(embed)
        self._vectors: list[list[float]] = []

    @classmethod
    def from_examples(
        cls, examples: Iterable[Example], embeddings: Any, vectorstore_cls: Any = None, **options: Any
    ) -> Self:
        """The same as the class, under the name of 2023. There is no vector store: the vectors are kept in memory."""
        if vectorstore_cls is not None:
            raise UsageError("leave vectorstore_cls out: the vectors are kept in memory", argument="vectorstore_cls")
        return cls(examples, embeddings, **options)

    def add_example(self, example: Example) -> None:
        """Put one more example beside the others."""
        self.examples.append(dict(example))

    def select_examples(self, input_variables: Mapping[str, Any], /) -> list[Example]:
        """The nearest examples."""
        asking = self._choose(input_variables)
        texts = next(asking)
        while True:
            vectors = self._embed(texts)
            if isawaitable(vectors):
                if iscoroutine(vectors):
                    vectors.close()
                raise UsageError(
                    "the embedding is async: use the async calls (ainvoke, aformat_messages)", argument="embed"
                )
            try:
                texts = asking.send(_vectors(vectors, len(texts)))
            except StopIteration as done:
                return cast("list[Example]", done.value)

    async def aselect_examples(self, input_variables: Mapping[str, Any], /) -> list[Example]:
        """`select_examples` in the async world; an embedding that is not async runs in a thread."""
        from chatmodels._async import in_thread

        embed: Any = self._embed
        if isinstance(embed, _Embeddings) and embed.is_async:
            embed = embed.later
        asking = self._choose(input_variables)
        texts = next(asking)
        while True:
            if iscoroutinefunction(embed):
                vectors = await embed(texts)
            else:
                vectors = await in_thread(embed, texts)
                if isawaitable(vectors):
                    vectors = await vectors
            try:
                texts = asking.send(_vectors(vectors, len(texts)))
            except StopIteration as done:
                return cast("list[Example]", done.value)

    def _choose(self, values: Mapping[str, Any]) -> Generator[list[str], list[list[float]], list[Example]]:
        examples, known = list(self.examples), self._vectors
        texts = [self._text(example) for example in examples[len(known) :]]
        made = yield [*texts, self._text(values)]
        vectors, query = [*known, *made[:-1]], made[-1]
        odd = next((v for v in vectors if len(v) != len(query)), None)
        if odd is not None:
            raise UsageError(
                f"the embedding gave vectors of {len(odd)} and of {len(query)} numbers: all must be alike",
                argument="embed",
            )
        if len(vectors) > len(self._vectors):
            self._vectors = vectors
        scores = [_dot(v, query) for v in vectors]
        near = sorted(range(len(examples)), key=lambda i: -scores[i])
        if self.threshold is not None:
            near = [i for i in near if scores[i] >= self.threshold]
        return [examples[i] for i in self._pick(near, scores, vectors)]

    def _pick(self, near: list[int], scores: list[float], vectors: list[list[float]]) -> list[int]:
        return near[: self.k]

    def _text(self, values: Mapping[str, Any]) -> str:
        """The compared values in the order of their names, so that the order of a dict changes nothing."""
        names = self.input_keys if self.input_keys is not None else sorted(values)
        missing = [n for n in names if n not in values]
        if missing:
            raise UsageError(
                f"no {missing[0]!r} to compare by: there is {', '.join(sorted(values))}", argument=missing[0]
            )
        return " ".join(str(values[n]) for n in names)


class MaxMarginalRelevanceExampleSelector(SemanticSimilarityExampleSelector):
    """`k` examples that are near to the input and unlike each other (maximal marginal relevance; Carbonell and Goldstein, 1998).

    They are picked from the `fetch_k` nearest. `lambda_mult`: 1 looks at nearness alone, 0 at variety alone.
    """

    def __init__(
        self, examples: Iterable[Example], embed: Any, *, fetch_k: int = 20, lambda_mult: float = 0.5, **options: Any
    ) -> None:
        if not 0 <= lambda_mult <= 1:
            raise UsageError(f"lambda_mult is between 0 and 1, not {lambda_mult}", argument="lambda_mult")
        super().__init__(examples, embed, **options)
        self.fetch_k = fetch_k
        self.lambda_mult = lambda_mult

    def _pick(self, near: list[int], scores: list[float], vectors: list[list[float]]) -> list[int]:
        left, picked = near[: max(self.fetch_k, self.k)], list[int]()
        while left and len(picked) < self.k:
            best = max(left, key=lambda i: self._worth(i, picked, scores, vectors))
            left.remove(best)
            picked.append(best)
        return picked

    def _worth(self, index: int, picked: list[int], scores: list[float], vectors: list[list[float]]) -> float:
        same = max((_dot(vectors[index], vectors[p]) for p in picked), default=0.0)
        return self.lambda_mult * scores[index] - (1 - self.lambda_mult) * same


class _Embeddings:
    """An object with `embed_documents` and, maybe, `embed_query`, as a function of texts, the last of which is the query."""

    def __init__(self, given: Any) -> None:
        self.given = given
        self.is_async = hasattr(given, "aembed_documents")

    def __call__(self, texts: list[str]) -> list[Any]:
        if not hasattr(self.given, "embed_query"):
            return list(self.given.embed_documents(texts))
        known = list(self.given.embed_documents(texts[:-1])) if len(texts) > 1 else []
        return [*known, self.given.embed_query(texts[-1])]

    async def later(self, texts: list[str]) -> list[Any]:
        """The same through `aembed_documents` and `aembed_query`."""
        if not hasattr(self.given, "aembed_query"):
            return list(await self.given.aembed_documents(texts))
        known = list(await self.given.aembed_documents(texts[:-1])) if len(texts) > 1 else []
        return [*known, await self.given.aembed_query(texts[-1])]


def _embedding(given: Any) -> Embed:
    if hasattr(given, "embed_documents"):
        return _Embeddings(given)
    if not callable(given):
        raise UsageError(
            f"embed is a function from a list of texts to a vector for each, not {type(given).__name__}",
            argument="embed",
        )
    return cast(Embed, given)


def _vectors(given: Any, count: int) -> list[list[float]]:
    """Vectors of length 1, from whatever rows of numbers the embedding gave."""
    try:
        rows = [[float(x) for x in row] for row in cast("Iterable[Any]", given)]
    except (TypeError, ValueError) as error:
        raise UsageError(f"the embedding gave no vectors of numbers: {error}", argument="embed") from error
    if len(rows) != count:
        raise UsageError(f"the embedding gave {len(rows)} vectors for {count} texts", argument="embed")
    return [_unit(row) for row in rows]


def _unit(vector: list[float]) -> list[float]:
    length = math.hypot(*vector)
    if not math.isfinite(length):
        raise UsageError("the embedding gave numbers that are not finite", argument="embed")
    return [x / length for x in vector] if length else vector


def _dot(a: list[float], b: list[float]) -> float:
    return math.fsum(x * y for x, y in zip(a, b, strict=True))
