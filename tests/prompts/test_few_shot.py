"""Examples in prompts, and the selectors that pick them."""

from __future__ import annotations

import pickle
from collections import Counter
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chatmodels import AIMessage, ChatPromptTemplate, HumanMessage, PromptTemplate, SystemMessage, UsageError
from chatmodels.prompts import (
    FewShotChatMessagePromptTemplate,
    FewShotPromptTemplate,
    HumanMessagePromptTemplate,
    LengthBasedExampleSelector,
    MaxMarginalRelevanceExampleSelector,
    SemanticSimilarityExampleSelector,
)

PAIR = ChatPromptTemplate.from_messages([("human", "{input}"), ("ai", "{output}")])
SUMS = [{"input": "2+2", "output": "4"}, {"input": "2+{3}", "output": "5"}]
ANIMALS = [
    {"input": "cat cat", "output": "meow"},
    {"input": "dog dog", "output": "woof"},
    {"input": "cat dog", "output": "both"},
    {"input": "cow", "output": "moo"},
]


class Embedding:
    """Counts of a few words; `calls` lists what was asked."""

    def __init__(self) -> None:
        self.calls: list[list[str]] = []

    def __call__(self, texts: list[str]) -> list[list[float]]:
        self.calls.append(texts)
        return [[float(Counter(t.split())[w]) for w in ("cat", "dog", "cow")] for t in texts]


def test_fixed_examples() -> None:
    prompt = ChatPromptTemplate.from_messages(
        [
            ("system", "Sums."),
            FewShotChatMessagePromptTemplate(examples=SUMS, example_prompt=PAIR),
            ("human", "{input}"),
        ]
    )
    assert prompt.input_variables == ["input"]
    assert prompt.format_messages(input="{1}+1") == [
        SystemMessage("Sums."),
        HumanMessage("2+2"),
        AIMessage("4"),
        HumanMessage("2+{3}"),
        AIMessage("5"),
        HumanMessage("{1}+1"),
    ]
    one = FewShotChatMessagePromptTemplate(
        examples=SUMS, example_prompt=HumanMessagePromptTemplate.from_template("{input}")
    )
    assert one.format() == "Human: 2+2\nHuman: 2+{3}"
    assert pickle.loads(pickle.dumps(prompt)) == prompt


def test_examples_must_fit_their_prompt() -> None:
    with pytest.raises(UsageError, match=r"examples\[1\] has no 'output'"):
        FewShotChatMessagePromptTemplate(examples=[*SUMS[:1], {"input": "x"}], example_prompt=PAIR)
    wide = [{**SUMS[0], "source": "a book"}]  # what else an example holds is not the prompt's
    assert len(FewShotChatMessagePromptTemplate(examples=wide, example_prompt=PAIR).format_messages()) == 2
    with pytest.raises(UsageError, match="one of the two"):
        FewShotChatMessagePromptTemplate(example_prompt=PAIR)
    with pytest.raises(UsageError, match="select_examples"):
        FewShotChatMessagePromptTemplate(example_selector=[], example_prompt=PAIR)
    with pytest.raises(UsageError, match="example_prompt is a ChatPromptTemplate"):
        FewShotChatMessagePromptTemplate(examples=SUMS, example_prompt="{input}")


def test_examples_by_length() -> None:
    selector = LengthBasedExampleSelector(SUMS, PAIR, max_length=5)
    prompt = ChatPromptTemplate.from_messages(
        [FewShotChatMessagePromptTemplate(example_selector=selector, example_prompt=PAIR), ("human", "{input}")]
    )
    assert [m.text for m in prompt.format_messages(input="short")] == ["2+2", "4", "2+{3}", "5", "short"]
    assert [m.text for m in prompt.format_messages(input="three words now")] == ["2+2", "4", "three words now"]
    assert len(prompt.format_messages(input="one two three four")) == 1
    selector.add_example({"input": "9", "output": "9"})
    assert selector.select_examples({})[1:] == SUMS[1:]  # room for two
    letters = LengthBasedExampleSelector(SUMS, PromptTemplate.from_template("{input}"), 3, len)
    assert letters.select_examples({}) == SUMS[:1]
    with pytest.raises(UsageError, match="max_length"):
        LengthBasedExampleSelector(SUMS, PAIR, max_length=-1)


@given(st.lists(st.integers(1, 9), max_size=8), st.integers(0, 30), st.integers(0, 9))
def test_what_is_chosen_by_length_fits_and_is_the_longest_beginning(lengths: list[int], most: int, used: int) -> None:
    examples = [{"t": "x" * n} for n in lengths]
    selector = LengthBasedExampleSelector(examples, PromptTemplate.from_template("{t}"), most, len)
    chosen = selector.select_examples({"input": "y" * used})
    assert chosen == examples[: len(chosen)]
    assert not chosen or sum(lengths[: len(chosen)]) + used <= most
    assert len(chosen) == len(examples) or sum(lengths[: len(chosen) + 1]) + used > most


def test_examples_by_similarity() -> None:
    embed = Embedding()
    selector = SemanticSimilarityExampleSelector(ANIMALS, embed, k=2, input_keys=["input"])
    prompt = ChatPromptTemplate.from_messages(
        [FewShotChatMessagePromptTemplate(example_selector=selector, example_prompt=PAIR), ("human", "{tone} {input}")]
    )
    assert prompt.input_variables == ["input", "tone"]
    assert [m.text for m in prompt.format_messages(input="cat", tone="dog")] == [
        "cat cat",
        "meow",
        "cat dog",
        "both",
        "dog cat",
    ]
    assert prompt.format_messages(input="cow", tone="")[0].text == "cow"
    assert embed.calls == [["cat cat", "dog dog", "cat dog", "cow", "cat"], ["cow"]]  # each example once
    selector.add_example({"input": "cow cow cat", "output": "x"})
    assert [e["input"] for e in selector.select_examples({"input": "cow"})] == ["cow", "cow cow cat"]
    assert embed.calls[2] == ["cow cow cat", "cow"]


def test_similarity_over_all_values_and_with_a_threshold() -> None:
    examples = [{"a": "cat", "b": "dog"}, {"a": "cow", "b": "cow"}]
    selector = SemanticSimilarityExampleSelector.from_examples(examples, Embedding(), k=5, threshold=0.5)
    assert selector.select_examples({"b": "cat", "a": "dog"}) == examples[:1]
    assert selector.select_examples({"x": "bird"}) == []  # like nothing
    with pytest.raises(UsageError, match="leave vectorstore_cls out"):
        SemanticSimilarityExampleSelector.from_examples(examples, Embedding(), dict, k=1)
    only = SemanticSimilarityExampleSelector(examples, Embedding(), input_keys=["a"])
    with pytest.raises(UsageError, match="no 'a' to compare by: there is b"):
        only.select_examples({"b": "x"})


def test_near_and_unlike_each_other() -> None:
    examples = [{"t": "cat"}, {"t": "cat cat"}, {"t": "cat dog"}, {"t": "dog"}]
    near = SemanticSimilarityExampleSelector(examples, Embedding(), k=2)
    varied = MaxMarginalRelevanceExampleSelector(examples, Embedding(), k=2, lambda_mult=0.3)
    assert [e["t"] for e in near.select_examples({"t": "cat"})] == ["cat", "cat cat"]
    assert [e["t"] for e in varied.select_examples({"t": "cat"})] == ["cat", "dog"]
    among = MaxMarginalRelevanceExampleSelector(examples, Embedding(), k=2, lambda_mult=0.3, fetch_k=2)
    assert [e["t"] for e in among.select_examples({"t": "cat"})] == ["cat", "cat cat"]
    with pytest.raises(UsageError, match="lambda_mult"):
        MaxMarginalRelevanceExampleSelector(examples, Embedding(), lambda_mult=2)


@given(
    st.lists(st.text("cat dow", max_size=12), min_size=1, max_size=6),
    st.text("cat dow", max_size=12),
    st.integers(1, 4),
)
def test_relevance_alone_is_similarity(texts: list[str], query: str, k: int) -> None:
    examples = [{"t": t, "i": i} for i, t in enumerate(texts)]
    both = [
        cls(examples, Embedding(), k=k, input_keys=["t"], **more).select_examples({"t": query})
        for cls, more in (
            (SemanticSimilarityExampleSelector, {}),
            (MaxMarginalRelevanceExampleSelector, {"lambda_mult": 1.0}),
        )
    ]
    assert both[0] == both[1]
    assert len(both[0]) == min(k, len(texts))


class Documents:
    """An embedding in LangChain's shape."""

    def embed_documents(self, texts: list[str]) -> list[list[float]]:
        return Embedding()(texts)


async def test_embeddings_of_every_kind() -> None:
    async def embed(texts: list[str]) -> list[list[float]]:
        return Embedding()(texts)

    class Object:
        async def __call__(self, texts: list[str]) -> list[list[float]]:
            return Embedding()(texts)

    for kind in (embed, Object(), Embedding(), Documents()):
        selector = SemanticSimilarityExampleSelector(ANIMALS, kind, k=1, input_keys=["input"])
        assert await selector.aselect_examples({"input": "dog"}) == ANIMALS[1:2]
        few = FewShotChatMessagePromptTemplate(example_selector=selector, example_prompt=PAIR)
        prompt = ChatPromptTemplate.from_messages([ChatPromptTemplate.from_messages([few]), ("human", "{input}")])
        assert [m.text for m in await prompt.aformat_messages(input="dog")] == ["dog dog", "woof", "dog"]
        assert [m.text for m in await few.aformat_messages(input="cow")] == ["cow", "moo"]
    lazy = SemanticSimilarityExampleSelector(ANIMALS, embed, k=1)
    with pytest.raises(UsageError, match="the embedding is async"):
        lazy.select_examples({"input": "dog"})


@pytest.mark.parametrize(
    ("embed", "said"),
    [
        (lambda texts: [[1.0]], "1 vectors for 5 texts"),
        (lambda texts: [[1.0] * (1 + len(t)) for t in texts], "all must be alike"),
        (lambda texts: [[float("nan")] for _ in texts], "not finite"),
        ("model-name", "embed is a function"),
    ],
)
def test_embeddings_that_cannot_be(embed: Any, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        SemanticSimilarityExampleSelector(ANIMALS, embed).select_examples({"input": "x"})


async def test_a_selector_of_ones_own() -> None:
    class Last:
        def select_examples(self, values: dict[str, Any]) -> list[dict[str, str]]:
            return [{"input": f"seen {sorted(values)}", "output": "ok"}]

    few = FewShotChatMessagePromptTemplate(example_selector=Last(), example_prompt=PAIR)
    prompt = ChatPromptTemplate.from_messages([few, ("human", "{a}{b}")])
    assert prompt.format_messages(a="1", b="2")[0].text == "seen ['a', 'b']"
    assert (await prompt.aformat_messages(a="1", b="2"))[0].text == "seen ['a', 'b']"
    declared = FewShotChatMessagePromptTemplate(example_selector=Last(), example_prompt=PAIR, input_variables=["b"])
    assert declared.input_variables == ["b"]
    assert declared.format_messages(b="2")[0].text == "seen ['b']"


async def test_examples_as_one_text() -> None:
    prompt = FewShotPromptTemplate(
        examples=SUMS,
        example_prompt=PromptTemplate.from_template("Q: {input}\nA: {output}"),
        prefix="Answer {how}.",
        suffix="Q: {question}\nA:",
        input_variables=["how", "question"],
    )
    text = "Answer well.\n\nQ: 2+2\nA: 4\n\nQ: 2+{3}\nA: 5\n\nQ: {x}\nA:"
    assert prompt.format(how="well", question="{x}") == text
    assert (await prompt.aformat_prompt(how="well", question="{x}")).to_string() == text
    assert pickle.loads(pickle.dumps(prompt)).format(how="well", question="{x}") == text
    assert prompt.partial(how="well").format(question="{x}") == text
    with pytest.raises(UsageError, match="missing: 'how'"):
        prompt.format(question="x")


class Embeddings:
    """As LangChain's are: queries have a method of their own."""

    def __init__(self) -> None:
        self.asked: list[Any] = []

    def embed_documents(self, texts: list[str]) -> list[list[float]]:
        self.asked.append(texts)
        return [[float(len(text)), 1.0] for text in texts]

    def embed_query(self, text: str) -> list[float]:
        self.asked.append(text)
        return [float(len(text)), 1.0]


class AsyncEmbeddings(Embeddings):
    async def aembed_documents(self, texts: list[str]) -> list[list[float]]:
        self.asked.append("async")
        return self.embed_documents(texts)

    async def aembed_query(self, text: str) -> list[float]:
        return self.embed_query(text)


async def test_an_object_that_embeds_queries_in_a_way_of_their_own() -> None:
    examples = [{"q": "a"}, {"q": "long one"}]
    embed = Embeddings()
    selector = SemanticSimilarityExampleSelector(examples, embed, k=1)
    assert selector.select_examples({"q": "a long one"}) == [{"q": "long one"}]
    assert await selector.aselect_examples({"q": "b"}) == [{"q": "a"}]
    assert embed.asked == [["a", "long one"], "a long one", "b"]
    later = AsyncEmbeddings()
    assert await SemanticSimilarityExampleSelector(examples, later, k=1).aselect_examples({"q": "b"}) == [{"q": "a"}]
    assert later.asked == ["async", ["a", "long one"], "b"]


@pytest.mark.parametrize(("given_", "said"), [(None, "no vectors of numbers"), (["abc"], "no vectors of numbers")])
def test_an_embedding_that_gives_no_vectors_is_named(given_: Any, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        SemanticSimilarityExampleSelector([], lambda texts: given_).select_examples({"q": "a"})
    with pytest.raises(UsageError, match="k is"):
        SemanticSimilarityExampleSelector([], lambda texts: given_, k="2")  # type: ignore[arg-type]
