"""What a prompt needs, what it has, and what it is given: the check that names missing and extra variables, and partials.

Knows names and values only.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, cast

import msgspec

from chatmodels._errors import UsageError

NONE: frozenset[str] = frozenset()


class VariablesError(UsageError, KeyError):
    """The values do not fit the prompt's variables. A KeyError too, as in 2023."""


class Variables(msgspec.Struct, frozen=True):
    """The variables of a prompt. `partials` are values that are there already, or functions that give them at each use."""

    required: frozenset[str] = NONE
    optional: frozenset[str] = NONE
    partials: dict[str, Any] = {}

    @property
    def open(self) -> frozenset[str]:
        """What must still be given."""
        return self.required.difference(self.partials)

    @property
    def known(self) -> frozenset[str]:
        """All names that mean something here."""
        return self.required | self.optional

    def fill(self, given: Mapping[str, Any]) -> Mapping[str, Any]:
        """The values of one use: the given ones over the partials. Raises UsageError naming what is missing or extra."""
        partials = self.partials
        if not partials:
            if len(given) == len(self.required) and self.required.issuperset(given):
                return given
            values = given
        else:
            values = {**{k: _now(v) for k, v in partials.items() if k not in given}, **given}
        names = values.keys()
        if self.required - names or names - self.required - self.optional:
            raise self._mismatch(names)
        return values

    def select(self, given: Mapping[str, Any]) -> dict[str, Any]:
        """Of some values those that have a place here."""
        return {k: v for k, v in given.items() if k in self.required or k in self.optional}

    def with_partials(self, values: Mapping[str, Any]) -> Variables:
        """The same with more values in place."""
        unknown = sorted(values.keys() - self.known)
        if unknown:
            raise UsageError(
                f"no such variable in this prompt: {_listed(unknown)}; it has {_listed(sorted(self.known))}",
                argument=unknown[0],
            )
        return msgspec.structs.replace(self, partials={**self.partials, **values})

    def _mismatch(self, names: Iterable[str]) -> VariablesError:
        have = set(names)
        missing, extra = sorted(self.required - have), sorted(have - self.known)
        said: list[str] = []
        if missing:
            said.append(f"missing: {_listed(missing)}")
        if extra:
            said.append(f"extra: {_listed(extra)}")
        takes = _listed(sorted(self.open)) + (
            f", and optionally {_listed(sorted(self.optional))}" if self.optional else ""
        )
        return VariablesError(
            f"the prompt's variables do not fit. {'; '.join(said)}. It takes {takes}", argument=(missing or extra)[0]
        )


def check_declared(declared: Iterable[str] | None, variables: Variables) -> None:
    """Raises UsageError where `input_variables` was given and says something else than the template."""
    if declared is None:
        return
    if isinstance(declared, str):
        raise UsageError("input_variables is a list of names", argument="input_variables")
    names = set(declared)
    lacking, unknown = sorted(variables.open - names), sorted(names - variables.known)
    if lacking or unknown:
        said = [f"does not name {_listed(lacking)}"] if lacking else []
        said += [f"names {_listed(unknown)}, which is not in the template"] if unknown else []
        raise UsageError(
            f"input_variables {' and '.join(said)}; leave it out, it is found in the template",
            argument="input_variables",
        )


def _now(value: Any) -> Any:
    return cast("Callable[[], Any]", value)() if callable(value) else value


def _listed(names: Iterable[str]) -> str:
    return ", ".join(repr(n) for n in names) or "none"
