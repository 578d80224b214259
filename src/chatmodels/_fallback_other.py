"""Another model in place of the one that was called: its plan, and the call as it is put to it. Pure.

What the user asks of this call goes along; what belongs to a model (its temperature, its extra fields) is each model's own.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

import msgspec

from ._call import Call, Settings
from ._json import is_object
from ._plan import Plan
from ._usage import Attempt

if TYPE_CHECKING:
    from ._config import Config

#: Settings that say what the answer shall look like: the call's, whichever model gives it.
OF_THE_CALL = (
    "stop", "n", "tool_choice", "parallel_tool_calls", "response_format", "modalities", "logprobs", "top_logprobs",
)  # fmt: skip


class Other(msgspec.Struct, frozen=True):
    """A model that may be asked instead. `base` are the settings of the model that it stands in for, as they were then: what
    a call has besides them, the user has asked for."""

    model: Any
    base: Settings

    def plan(self, like: Plan) -> Plan:
        """Its own plan; the callbacks are those of the call, and so are the layers that go along (budgets)."""
        own: Plan = self.model._own_plan()
        along = tuple(one for one in like.tries if one.goes_along and one not in own.tries)
        around = getattr(like.target.transport, "around", None)  # a recording is of every model that is asked
        target = own.target if around is None else around(own.target)
        return msgspec.structs.replace(own, target=target, handlers=like.handlers, tries=(*along, *own.tries))

    def call(self, call: Call, plan: Plan) -> Call:
        """The call as it is put to this model."""
        config: Config = self.model._config
        return msgspec.structs.replace(
            call,
            model=config.model,
            settings=carried(call.settings, self.base, config.settings),
            stream=call.stream or plan.stream_calls,
        )


def carried(asked: Settings, base: Settings, own: Settings) -> Settings:
    """A model's own settings, with those of the call in them."""
    changes: dict[str, Any] = {}
    for name in Settings.__struct_fields__:
        value, before = getattr(asked, name), getattr(base, name)
        if value != before:
            changes[name] = _merged(value, before, getattr(own, name))
        elif name in OF_THE_CALL and value is not None:
            changes[name] = value
    return msgspec.structs.replace(own, **changes) if changes else own


def _merged(value: Any, before: Any, own: Any) -> Any:
    """A setting that the call has changed; of a mapping, only the entries that it has changed."""
    if not is_object(value):
        return value
    old = cast("dict[str, Any]", before or {})
    new = {k: v for k, v in value.items() if k not in old or old[k] != v}
    return {**cast("dict[str, Any]", own or {}), **new}


def with_total(plan: Plan, first: Plan, gone: float) -> Plan | None:
    """The plan with what is left of the first one's total deadline; None when nothing is left."""
    total = first.target.timeouts.total
    if total is None or not gone:
        return plan
    left = total - gone
    if left <= 0:
        return None
    timeouts = plan.target.timeouts
    if timeouts.total is not None and timeouts.total <= left:
        return plan
    timeouts = msgspec.structs.replace(timeouts, total=left)
    return msgspec.structs.replace(plan, target=msgspec.structs.replace(plan.target, timeouts=timeouts))


def renumbered(earlier: tuple[Attempt, ...], later: tuple[Attempt, ...]) -> tuple[Attempt, ...]:
    """The tries of several models as one ledger."""
    return tuple(
        one if one.number == number else msgspec.structs.replace(one, number=number)
        for number, one in enumerate((*earlier, *later), 1)
    )
