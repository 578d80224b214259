"""For tests of code that calls models: scripted, function and human models, record and replay, a server that stands in for every
provider, the conformance kit.

Names are imported at their first use: the pytest plug-in is loaded in every run of whoever has this library installed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ._cassette import NotRecorded
    from ._human import ChatHuman, HumanInputChatModel
    from ._record import cassette, record, replay
    from ._scripted import CUT, ChatFunction, ChatScripted, FakeListChatModel
    from .practice import PracticeServer, practice_server

_HOMES = {
    "_cassette": "NotRecorded",
    "_human": "ChatHuman HumanInputChatModel",
    "_record": "cassette record replay",
    "_scripted": "CUT ChatFunction ChatScripted FakeListChatModel",
    "practice": "PracticeServer practice_server",
}
_HOME_OF = {name: home for home, names in _HOMES.items() for name in names.split()}

__all__ = [
    "CUT",
    "ChatFunction",
    "ChatHuman",
    "ChatScripted",
    "FakeListChatModel",
    "HumanInputChatModel",
    "NotRecorded",
    "PracticeServer",
    "cassette",
    "practice_server",
    "record",
    "replay",
]


def __getattr__(name: str) -> object:
    home = _HOME_OF.get(name)
    if home is None:
        raise AttributeError(f"module 'chatmodels.testing' has no attribute {name!r}")
    from importlib import import_module

    value = getattr(import_module(f".{home}", __name__), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
