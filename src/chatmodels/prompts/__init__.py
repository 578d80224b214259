"""Prompts: messages with variables. `ChatPromptTemplate.from_messages([("system", "..."), ("human", "{text}")])`.

A field of a template is a name and nothing more, and a value is never parsed. See docs/prompts.md.
"""

from __future__ import annotations

from chatmodels._names_gone import remedy

from ._base import Prompt
from ._chat import ChatPromptTemplate
from ._data import from_dict
from ._few_shot import FewShotChatMessagePromptTemplate, FewShotPromptTemplate
from ._files import load_prompt
from ._messages import (
    AIMessagePromptTemplate,
    ChatMessagePromptTemplate,
    HumanMessagePromptTemplate,
    MessagesPlaceholder,
    SystemMessagePromptTemplate,
)
from ._parallel import RunnableLambda, RunnableParallel, RunnablePassthrough
from ._pipe import Chain
from ._selectors import (
    ExampleSelector,
    LengthBasedExampleSelector,
    MaxMarginalRelevanceExampleSelector,
    SemanticSimilarityExampleSelector,
)
from ._strings import PromptTemplate
from ._values import ChatPromptValue, PromptValue, StringPromptValue

__all__ = [
    "AIMessagePromptTemplate",
    "Chain",
    "ChatMessagePromptTemplate",
    "ChatPromptTemplate",
    "ChatPromptValue",
    "ExampleSelector",
    "FewShotChatMessagePromptTemplate",
    "FewShotPromptTemplate",
    "HumanMessagePromptTemplate",
    "LengthBasedExampleSelector",
    "MaxMarginalRelevanceExampleSelector",
    "MessagesPlaceholder",
    "Prompt",
    "PromptTemplate",
    "PromptValue",
    "RunnableLambda",
    "RunnableParallel",
    "RunnablePassthrough",
    "SemanticSimilarityExampleSelector",
    "StringPromptValue",
    "SystemMessagePromptTemplate",
    "from_dict",
    "load_prompt",
]


def __getattr__(name: str) -> object:
    said = remedy(name)
    if said is not None:
        raise ImportError(f"chatmodels has no {name}. Instead, {said}", name=__name__)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
