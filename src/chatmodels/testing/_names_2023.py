"""The models of this package that 2023 had among its chat models, for `chatmodels.chat_models` and `chatmodels.compat`."""

from ._human import HumanInputChatModel
from ._scripted import FakeListChatModel

__all__ = ["FakeListChatModel", "HumanInputChatModel"]
