"""The results of the seed page: how they print, what they count, and that they pickle."""

from __future__ import annotations

import pickle

from chatmodels._errors import RateLimitError
from chatmodels._messages import AIMessage
from chatmodels._parts import Text, ToolCall
from chatmodels._results import ChatGeneration, LLMResult, generation_of, result_of
from chatmodels._usage import Usage


def answer(text: str, given: int = 0, made: int = 0, **rest: object) -> AIMessage:
    usage = Usage(input_tokens=given, output_tokens=made) if given else None
    return AIMessage(text, usage=usage, finish_reason="stop", **rest)  # type: ignore[arg-type]


def test_it_prints_as_the_page_shows() -> None:
    result = result_of([answer("J'aime programmer.", 28, 10), answer("J'aime l'intelligence artificielle.", 29, 10)])
    assert repr(result) == (
        'LLMResult(generations=[[ChatGeneration(text="J\'aime programmer.", generation_info=None, '
        'message=AIMessage(content="J\'aime programmer.", additional_kwargs={}))], '
        "[ChatGeneration(text=\"J'aime l'intelligence artificielle.\", generation_info=None, "
        "message=AIMessage(content=\"J'aime l'intelligence artificielle.\", additional_kwargs={}))]], "
        "llm_output={'token_usage': {'prompt_tokens': 57, 'completion_tokens': 20, 'total_tokens': 77}})"
    )
    assert result.llm_output == {"token_usage": {"prompt_tokens": 57, "completion_tokens": 20, "total_tokens": 77}}


def test_generation_info() -> None:
    assert generation_of(answer("x")).generation_info is None
    assert generation_of(AIMessage("made by hand")).generation_info is None
    assert generation_of(AIMessage([ToolCall("c", "f", {})], finish_reason="tool_calls")).generation_info is None
    cut = AIMessage([Text("a"), Text("b")], finish_reason="length", logprobs=[{"token": "a"}])
    assert generation_of(cut) == ChatGeneration(
        text="ab", generation_info={"finish_reason": "length", "logprobs": {"content": [{"token": "a"}]}}, message=cut
    )


def test_several_answers_to_one_prompt() -> None:
    other = AIMessage("b", finish_reason="length")
    first = AIMessage("a", finish_reason="stop", usage=Usage(input_tokens=1, output_tokens=2), alternatives=(other,))
    result = result_of([first])
    assert [g.text for g in result.generations[0]] == ["a", "b"]
    assert result.llm_output == {"token_usage": {"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 3}}


def test_cached_answers_cost_nothing() -> None:
    result = result_of([answer("a", 5, 5), answer("b", 7, 7, from_cache=True), answer("c")])
    assert result.usage == Usage(input_tokens=5, output_tokens=5)
    assert result_of([answer("c")]).llm_output == {"token_usage": {}}
    assert result_of([]).usage is None


def test_failed_items_keep_their_place() -> None:
    error = RateLimitError("slow down", status=429)
    result = result_of([answer("a", 1, 1), error, answer("b", 1, 1)])
    assert [len(g) for g in result.generations] == [1, 0, 1]
    assert result.errors == {1: error}
    assert repr(result).endswith("errors={1: RateLimitError('slow down')})")
    again: LLMResult = pickle.loads(pickle.dumps(result))
    assert again.generations == result.generations
    assert str(again.errors[1]) == "slow down"
