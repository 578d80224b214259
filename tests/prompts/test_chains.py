"""LLMChain: the names and shapes of 2023."""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from chatmodels import BatchError, ChatOpenAI, ChatPromptTemplate, LLMResult, PromptTemplate, UsageError
from chatmodels.chains import Chain, LLMChain, StrOutputParser
from chatmodels.prompts import AIMessagePromptTemplate, SystemMessagePromptTemplate
from chatmodels.testing import PracticeServer, practice_server

PROMPT = PromptTemplate.from_template("Translate to {to}: I love {thing}.")
CODE, MIND = {"to": "French", "thing": "programming"}, {"to": "French", "thing": "artificial intelligence"}
SAID, SAID_MIND = "J'aime programmer.", "J'aime l'intelligence artificielle."


@pytest.fixture(scope="module")
def page() -> Iterator[PracticeServer]:
    with practice_server() as server:
        yield server


@pytest.fixture(scope="module")
def chat(page: PracticeServer) -> ChatOpenAI:
    return ChatOpenAI(openai_api_key="sk-x", base_url=page.base_url)


@pytest.fixture
def chain(chat: ChatOpenAI) -> LLMChain:
    return LLMChain(llm=chat, prompt=PROMPT)


async def test_one_input_under_every_name(chain: LLMChain, page: PracticeServer) -> None:
    assert chain.run(CODE) == chain.run(**CODE) == chain.predict(**CODE) == SAID
    assert await chain.arun(CODE) == await chain.arun(**CODE) == await chain.apredict(**CODE) == SAID
    assert (
        chain(CODE)
        == chain.invoke(CODE)
        == await chain.acall(CODE)
        == await chain.ainvoke(CODE)
        == {**CODE, "text": SAID}
    )
    assert chain(CODE, return_only_outputs=True) == {"text": SAID}
    assert page.seen[-1]["body"]["messages"] == [
        {"role": "user", "content": "Translate to French: I love programming."}
    ]


def test_one_value_goes_alone(chat: ChatOpenAI) -> None:
    chain = LLMChain(llm=chat, prompt=ChatPromptTemplate.from_template("I love {thing}."), output_key="french")
    assert chain.run("programming") == SAID
    assert chain("programming") == {"thing": "programming", "french": SAID}
    assert (chain.input_keys, chain.output_keys, chain.llm) == (["thing"], ["french"], chat)


async def test_many_inputs(chain: LLMChain) -> None:
    texts = [{"text": SAID}, {"text": SAID_MIND}]
    assert chain.apply([CODE, MIND]) == await chain.aapply([CODE, MIND]) == texts
    for result in (chain.generate([CODE, MIND]), await chain.agenerate([CODE, MIND])):
        assert isinstance(result, LLMResult)
        assert [g[0].text for g in result.generations] == [SAID, SAID_MIND]
        usage = {"prompt_tokens": 57, "completion_tokens": 20, "total_tokens": 77}  # as the seed page shows
        assert result.llm_output == {"token_usage": usage}
    assert chain.apply([]) == []


async def test_missing_values_are_named_and_more_columns_are_not_the_prompts(chain: LLMChain) -> None:
    with pytest.raises(UsageError, match="missing: 'thing'"):
        chain.run(to="French")
    with pytest.raises(UsageError, match="missing: 'thing'"):
        await chain.aapply([CODE, {"to": "French"}])
    assert chain({**CODE, "id": 7}) == {**CODE, "id": 7, "text": SAID}
    assert chain.apply([{**CODE, "id": 7}]) == [{"text": SAID}]
    with pytest.raises(UsageError, match="one value, or keywords"):
        chain.run("a", "b")
    with pytest.raises(UsageError, match="takes a dict of them, not str"):
        chain.run("programming")
    with pytest.raises(UsageError, match="list of dicts"):
        chain.apply(CODE)  # type: ignore[arg-type]


async def test_batches(chain: LLMChain) -> None:
    rows: list[Any] = [{**CODE, "id": 1}, {"to": "French"}, MIND]
    for made in (chain.batch(rows, errors="return"), await chain.abatch(rows, errors="return")):
        assert (made[0], made[2]) == ({**CODE, "id": 1, "text": SAID}, {**MIND, "text": SAID_MIND})
        assert isinstance(made[1], UsageError)
    with pytest.raises(BatchError):
        chain.batch(rows)
    assert (Chain([chain]) | (lambda row: row["text"])).batch([CODE, MIND]) == [SAID, SAID_MIND]


def test_stop_words_among_the_values(chain: LLMChain, page: PracticeServer) -> None:
    chain.run({**CODE, "stop": ["\n"]})
    assert page.seen[-1]["body"]["stop"] == ["\n"]
    chain.generate([CODE], stop=["!"])
    assert page.seen[-1]["body"]["stop"] == ["!"]
    chain.apply([{**CODE, "stop": ["?"]}])
    assert page.seen[-1]["body"]["stop"] == ["?"]
    with pytest.raises(UsageError, match="same stop words"):
        chain.apply([CODE, {**CODE, "stop": ["?"]}])


def test_parsers(chat: ChatOpenAI) -> None:
    class Words:
        def parse(self, text: str) -> list[str]:
            return text.split()

    for parser in (Words(), str.split):
        chain = LLMChain(llm=chat, prompt=PROMPT, output_parser=parser)
        assert chain.run(CODE) == ["J'aime", "programmer."]
        assert chain.apply([CODE]) == [{"text": ["J'aime", "programmer."]}]
    assert LLMChain(llm=chat, prompt=PROMPT, output_parser=StrOutputParser()).run(CODE) == SAID


def test_what_is_no_chain(chat: ChatOpenAI) -> None:
    wrong: list[tuple[dict[str, Any], str]] = [
        ({"prompt": PROMPT}, "llm=, a chat model"),
        ({"llm": chat}, "prompt=, a ChatPromptTemplate"),
        ({"llm": chat, "prompt": "Hi {x}"}, "prompt=, a ChatPromptTemplate"),
        ({"llm": chat, "prompt": PROMPT, "output_parser": 42}, "output_parser is a function"),
    ]
    for options, said in wrong:
        with pytest.raises(UsageError, match=said):
            LLMChain(**options)


def test_verbose_prints_the_prompt(chat: ChatOpenAI, capsys: pytest.CaptureFixture[str]) -> None:
    LLMChain(llm=chat, prompt=PROMPT, verbose=True).run(CODE)
    assert capsys.readouterr().out == "Prompt after formatting:\nTranslate to French: I love programming.\n"


def test_callbacks_hear_of_the_call(chain: LLMChain) -> None:
    class Handler:
        def __init__(self) -> None:
            self.heard: list[str] = []

        def on_llm_end(self, response: Any, **more: Any) -> None:
            self.heard.append(response.generations[0][0].text)

    handler = Handler()
    chain.run(CODE, callbacks=[handler])
    chain.invoke(CODE, {"callbacks": [handler]})
    chain.predict([handler], **CODE)
    assert handler.heard == [SAID] * 3


SCRIPT_2023 = """
from langchain import LLMChain, PromptTemplate
from langchain.chains import LLMChain
from langchain.chains.llm import LLMChain
from langchain.chat_models import ChatOpenAI
from langchain.prompts import (
    ChatPromptTemplate, FewShotChatMessagePromptTemplate, FewShotPromptTemplate, HumanMessagePromptTemplate,
    LengthBasedExampleSelector, MessagesPlaceholder, PromptTemplate, SemanticSimilarityExampleSelector, load_prompt,
)
from langchain.prompts.chat import (
    AIMessagePromptTemplate, ChatPromptTemplate, HumanMessagePromptTemplate, SystemMessagePromptTemplate,
)
from langchain.prompts.base import BasePromptTemplate
from langchain.prompts.example_selector import LengthBasedExampleSelector
from langchain.prompts.few_shot import FewShotPromptTemplate
from langchain.prompts.prompt import PromptTemplate
from langchain.schema.output_parser import StrOutputParser

template = "You are a helpful assistant that translates {input_language} to {output_language}."
system_message_prompt = SystemMessagePromptTemplate.from_template(template)
human_message_prompt = HumanMessagePromptTemplate.from_template("{text}")
chat_prompt = ChatPromptTemplate.from_messages([system_message_prompt, human_message_prompt])
chat = ChatOpenAI(temperature=0)
values = dict(input_language="English", output_language="French", text="I love programming.")
print(chat(chat_prompt.format_prompt(**values).to_messages()))
print(LLMChain(llm=chat, prompt=chat_prompt).run(**values))
prompt = PromptTemplate(template=template, input_variables=["input_language", "output_language"])
print(SystemMessagePromptTemplate(prompt=prompt).format(input_language="A", output_language="B"))
print((chat_prompt | chat | StrOutputParser()).invoke(values), isinstance(chat_prompt, BasePromptTemplate))
"""


def test_a_script_of_2023(page: PracticeServer, tmp_path: Path) -> None:
    (tmp_path / "script.py").write_text(SCRIPT_2023)
    done = subprocess.run(
        [sys.executable, "-m", "chatmodels.compat", "script.py"],
        check=False, capture_output=True, text=True, cwd=tmp_path, timeout=60,
        env={**os.environ, "OPENAI_API_KEY": "sk-2023", "OPENAI_API_BASE": page.base_url},
    )  # fmt: skip
    assert done.stdout.splitlines() == [
        """AIMessage(content="J'aime programmer.", additional_kwargs={})""",
        SAID,
        "SystemMessage(content='You are a helpful assistant that translates A to B.', additional_kwargs={})",
        f"{SAID} True",
    ], done.stderr


def test_what_else_a_chain_of_2023_took(chat: ChatOpenAI, page: PracticeServer) -> None:
    class Handler:
        def __init__(self) -> None:
            self.heard = 0

        def on_llm_end(self, response: Any, **more: Any) -> None:
            self.heard += 1

    handler = Handler()
    chain = LLMChain(
        llm=chat,
        prompt=PROMPT,
        output_parser=str.split,
        callbacks=[handler],
        llm_kwargs={"temperature": 0.5},
        tags=["a"],
    )
    said = SAID.split()
    assert chain.run(CODE, tags=["t"]) == chain.predict_and_parse(**CODE) == said
    assert chain(CODE, tags=["t"], metadata={"k": "v"}) == {**CODE, "text": said}
    assert chain.apply_and_parse([CODE]) == [said]
    assert handler.heard == 4
    assert page.seen[-1]["body"]["temperature"] == 0.5
    assert LLMChain.from_string(chat, "I love {tags}.").run(tags="programming") == SAID
    assert (LLMChain(llm=chat, prompt=PROMPT) | (lambda row: row["text"])).invoke(CODE) == SAID
    with pytest.raises(UsageError, match="MessagesPlaceholder") as caught:
        LLMChain(llm=chat, prompt=PROMPT, memory=[])  # type: ignore[arg-type]
    assert caught.value.argument == "memory"


def test_a_missing_value_is_a_key_error_as_in_2023(chain: LLMChain) -> None:
    with pytest.raises(KeyError) as caught:
        chain.run(to="French")
    assert str(caught.value).startswith("the prompt's variables do not fit. missing: 'thing'")
    assert str(pickle.loads(pickle.dumps(caught.value))) == str(caught.value)
    with pytest.raises(KeyError):
        ChatPromptTemplate.from_template("{x}").format_messages()


def test_other_ways_to_make_prompts_in_2023() -> None:
    shots = PromptTemplate.from_examples(["1 -> one", "2 -> two"], "{n} ->", ["n"], "\n", prefix="Count.")
    assert shots.format(n=3) == "Count.\n1 -> one\n2 -> two\n3 ->"
    prompt = ChatPromptTemplate.from_strings(
        [(SystemMessagePromptTemplate, "To {to}."), (AIMessagePromptTemplate, "Oui")]
    )
    assert prompt == ChatPromptTemplate.from_messages([("system", "To {to}."), ("ai", "Oui")])
    with pytest.raises(UsageError, match="input_variables"):
        PromptTemplate(template="{a}", input_variables=["b"], validate_template=True)
    assert PromptTemplate(template="{a}", input_variables=["b"], validate_template=False).input_variables == ["a"]


def test_names_and_arguments_of_2023_that_are_gone_say_what_to_write() -> None:
    with pytest.raises(ImportError, match="add prompts up"):
        exec("from chatmodels.prompts import PipelinePromptTemplate", {})
    with pytest.raises(ImportError, match="select_examples"):
        exec("from chatmodels.prompts import NGramOverlapExampleSelector", {})
    with pytest.raises(ImportError, match="cannot import name 'PointlessName'"):
        exec("from chatmodels.prompts import PointlessName", {})
    parser: Any = StrOutputParser()
    with pytest.raises(UsageError, match=r"prompt \| model \| parser"):
        PromptTemplate("{a}", output_parser=parser)
    made = ChatPromptTemplate([("human", "{a}")], input_variables=["b"], validate_template=False)
    assert made.input_variables == ["a"]
