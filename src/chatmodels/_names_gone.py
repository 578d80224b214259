"""What 2023's library had and this one has not: what to write instead. Knows names and sentences only."""

from __future__ import annotations

_MEMORY = (
    'keep the messages in a list of your own, give them to the prompt as the value of MessagesPlaceholder("history"), and cut '
    "the list with chatmodels.history.trim_messages or summarize_messages (docs/migrate/langchain-2023.md, Memory)"
)
_TYPED = "ask for a typed answer: model.with_output(T), where T is a dataclass, a pydantic model, a list[str], ..."
_SEQUENCE = "join the steps by bars: prompt | model | StrOutputParser() | (lambda text: {...}) | next_prompt | model"
_AGENT = "give functions to the model: model.with_tools(f, g).run_tools(...)"
_TEXT_MODEL = "take a chat model, e.g. ChatOpenAI(); `.predict(text)` takes a text and gives one"
_EMBEDDINGS = "give an example selector or a semantic cache any function from a list of texts to vectors"
_ADD_UP = "add prompts up (`first + second`), or put one ChatPromptTemplate among the messages of another"
_SELECT = (
    "take LengthBasedExampleSelector or SemanticSimilarityExampleSelector, or an object with select_examples(values)"
)
_ELSEWHERE = (
    "it is no part of chatmodels: take a library of its own for it, and give the texts that it finds to the prompt"
)

#: Module, or the end of a class's name -> what to do instead. The first that fits holds.
_REMEDIES = {
    "PipelinePromptTemplate": _ADD_UP,
    "FewShotPromptWithTemplates": _ADD_UP,
    "ExampleSelector": _SELECT,
    "memory": _MEMORY,
    "Memory": _MEMORY,
    "ChatMessageHistory": _MEMORY,
    "ConversationChain": _MEMORY,
    "ListOutputParser": _TYPED,
    "OutputParser": _TYPED,
    "OutputFixingParser": _TYPED,
    "RetryWithErrorOutputParser": _TYPED,
    "ResponseSchema": _TYPED,
    "output_parsers": _TYPED,
    "openai_functions": _TYPED,
    "agents": _AGENT,
    "tools": _AGENT,
    "AgentExecutor": _AGENT,
    "SequentialChain": _SEQUENCE,
    "TransformChain": _SEQUENCE,
    "llms": _TEXT_MODEL,
    "OpenAI": _TEXT_MODEL,
    "Anthropic": _TEXT_MODEL,
    "Cohere": _TEXT_MODEL,
    "HuggingFaceHub": _TEXT_MODEL,
    "embeddings": _EMBEDDINGS,
    "Embeddings": _EMBEDDINGS,
    "document_loaders": _ELSEWHERE,
    "text_splitter": _ELSEWHERE,
    "vectorstores": _ELSEWHERE,
    "retrievers": _ELSEWHERE,
    "indexes": _ELSEWHERE,
    "RetrievalQA": _ELSEWHERE,
    "RetrievalChain": _ELSEWHERE,
    "QAChain": _ELSEWHERE,
}


def remedy(name: str) -> str | None:
    """What to do instead of a module or a class of 2023; None for a name that is not known.

    >>> remedy("ConversationBufferMemory") == remedy("memory")
    True
    """
    return next((said for end, said in _REMEDIES.items() if name.endswith(end)), None)
