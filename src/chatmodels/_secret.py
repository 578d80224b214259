"""A key that never shows: not in a repr, a log, an error, a pickle or a comparison's output."""

from __future__ import annotations

from typing import NoReturn


class Hidden(str):
    """A str for a header or an address with a secret in it: as it is to whoever uses it, and nothing in a repr.

    So it does not show where a dict or the local variables of a traceback are written out.
    """

    __slots__ = ()

    def __repr__(self) -> str:
        return "'...'"


class HiddenBytes(bytes):
    """The same for a body that is a secret: a form with which a key is exchanged for a token."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "b'...'"


def hidden(headers: dict[str, str]) -> dict[str, str]:
    """The headers with values that do not show."""
    return {name: Hidden(value) for name, value in headers.items()}


class Secret:
    """Holds a key; `reveal()` is the only way to it."""

    __slots__ = ("__value",)

    def __init__(self, value: str) -> None:
        self.__value = value

    def reveal(self) -> str:
        """The key itself."""
        return self.__value

    def __repr__(self) -> str:
        return "Secret(...)"

    __str__ = __repr__

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and other.reveal() == self.__value

    def __hash__(self) -> int:
        return hash(("chatmodels.Secret", self.__value))

    def __bool__(self) -> bool:
        return bool(self.__value)

    def __reduce__(self) -> NoReturn:
        raise TypeError("a secret is not pickled; it is read again from the environment")
