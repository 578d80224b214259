"""`run_tools` and `stream_tools` over a socket: parallel calls, errors fed back, approval, the step limit, in both worlds."""

from __future__ import annotations

import json
import threading
from dataclasses import dataclass
from typing import Any

import pytest

from chatmodels import AIMessage, ChatModel, IncompleteStream, OutputError, ToolMessage, UsageError
from chatmodels._tool_loop import ToolRun
from chatmodels._tool_loop_typed import TypedRun

from .conftest import World
from .servers import DONE, Server, answer, event, plain, serving, sse


@pytest.fixture(scope="module")
def server() -> Any:
    with serving() as made:
        yield made


def add(a: int, b: int) -> int:
    """The sum.

    Args:
        a: one number
        b: another
    """
    return a + b


def fail(why: str) -> str:
    """Always fails."""
    raise RuntimeError(why)


def called(*calls: tuple[str, str, dict[str, Any] | str]) -> list[dict[str, Any]]:
    return [
        {
            "id": i,
            "type": "function",
            "function": {"name": name, "arguments": args if isinstance(args, str) else json.dumps(args)},
        }
        for i, name, args in calls
    ]


def asks(*calls: tuple[str, str, dict[str, Any] | str]) -> Any:
    body = answer("")
    body["choices"][0]["message"]["tool_calls"] = called(*calls)
    body["choices"][0]["finish_reason"] = "tool_calls"
    return plain(body)


def asks_streamed(*calls: tuple[str, str, dict[str, Any]]) -> Any:
    pieces = [event({"tool_calls": [{"index": n, **one}]}) for n, one in enumerate(called(*calls))]
    return sse([event({"content": "Let me see. "}), *pieces, event({}, "tool_calls"), DONE])


def chat(url: str, *tools: Any) -> ChatModel:
    return ChatModel("openai:m", base_url=url, api_key="k").with_tools(*tools)


def sent(route: Any) -> list[dict[str, Any]]:
    messages: list[dict[str, Any]] = route.requests[-1].json["messages"]
    return messages


def ran_in(world: World, model: ChatModel, given: Any, **options: Any) -> ToolRun:
    if world.name == "sync":
        return model.run_tools(given, **options)

    async def go() -> ToolRun:
        return await model.arun_tools(given, **options)

    run: ToolRun = world.run(go)
    return run


def test_calls_are_run_and_their_results_fed_back(server: Server, world: World) -> None:
    route = server.route(
        asks(("1", "add", {"a": 3, "b": 4}), ("2", "add", {"a": 1, "b": 1})), plain(answer("7 and 2."))
    )
    model = chat(route.url, add)
    run = ran_in(world, model, "add")
    assert (run.text, run.steps, run.stopped) == ("7 and 2.", 2, False)
    assert [m["content"] for m in sent(route) if m["role"] == "tool"] == ["7", "2"]
    assert [m["tool_call_id"] for m in sent(route) if m["role"] == "tool"] == ["1", "2"]
    assert [m.role for m in run.messages] == ["user", "assistant", "tool", "tool", "assistant"]
    assert run.usage is not None
    assert run.usage.total_tokens == 2 * run.message.usage.total_tokens  # type: ignore[union-attr]


def test_what_cannot_be_run_goes_back_as_an_error(server: Server, world: World) -> None:
    route = server.route(
        asks(
            ("1", "fail", {"why": "no luck"}),
            ("2", "nope", {}),
            ("3", "add", '{"a": 1'),
            ("4", "add", {"a": "x", "b": 1}),
        ),
        plain(answer("sorry")),
    )
    run = ran_in(world, chat(route.url, add, fail), "go")
    results = [m for m in run.messages if isinstance(m, ToolMessage)]
    assert all(m.is_error for m in results)
    assert [m.tool_call_id for m in results] == ["1", "2", "3", "4"]
    assert "no luck" in results[0].text
    assert "nope" in results[1].text
    assert "a" in results[3].text


def test_the_hook_for_approval(server: Server, world: World) -> None:
    ran: list[str] = []

    def delete(what: str) -> str:
        """Deletes."""
        ran.append(what)
        return "gone"

    route = server.route(asks(("1", "delete", {"what": "x"}), ("2", "delete", {"what": "y"})), plain(answer("ok")))
    decide = {"x": "ask me later", "y": True}
    run = ran_in(world, chat(route.url, delete), "go", approve=lambda call: decide[call.args["what"]])
    results = [m for m in run.messages if isinstance(m, ToolMessage)]
    assert ran == ["y"]
    assert "ask me later" in results[0].text
    assert results[1].text == "gone"


def test_the_step_limit_ends_the_run_and_says_so(server: Server, world: World) -> None:
    route = server.route(asks(("1", "add", {"a": 3, "b": 4})))
    run = ran_in(world, chat(route.url, add), "go", max_steps=3)
    assert (run.steps, run.stopped) == (3, True)
    assert len(route.requests) == 3


def test_calls_of_one_answer_run_in_parallel(server: Server, world: World) -> None:
    both = threading.Barrier(2, timeout=5)

    def meet(who: str) -> str:
        """Waits for the other one."""
        both.wait()
        return who

    route = server.route(asks(("1", "meet", {"who": "a"}), ("2", "meet", {"who": "b"})), plain(answer("met")))
    run = ran_in(world, chat(route.url, meet), "go")
    assert [m.text for m in run.messages if isinstance(m, ToolMessage)] == ["a", "b"]


def test_without_tools_it_says_what_to_give(server: Server) -> None:
    route = server.route(plain())
    model = ChatModel("openai:m", base_url=route.url, api_key="k")
    with pytest.raises(UsageError, match="with_tools"):
        model.run_tools("go")
    with pytest.raises(UsageError, match="with_tools"):
        model.stream_tools("go")
    with pytest.raises(UsageError, match="only a definition"):
        model.with_tools({"type": "function", "function": {"name": "f", "parameters": {}}}).stream_tools("go")
    assert not route.requests


# ---- streamed


def streamed(server: Server) -> Any:
    last = sse([event({"content": "It is "}), event({"content": "7."}), event({}, "stop"), DONE])
    return server.route(asks_streamed(("1", "add", {"a": 3, "b": 4})), last)


def shown(items: list[Any]) -> list[str]:
    return [f"tool: {i.text}" if isinstance(i, ToolMessage) else i.text for i in items if i.text]


def test_a_streamed_run(server: Server) -> None:
    route = streamed(server)
    with chat(route.url, add).stream_tools("3 + 4?") as stream:
        assert shown(list(stream)) == ["Let me see. ", "tool: 7", "It is ", "7."]
    assert (stream.run.text, stream.run.steps) == ("It is 7.", 2)
    assert [m.role for m in stream.run.messages] == ["user", "assistant", "tool", "assistant"]


async def test_a_streamed_run_async(server: Server) -> None:
    route = streamed(server)
    async with chat(route.url, add).astream_tools("3 + 4?") as stream:
        assert shown([item async for item in stream]) == ["Let me see. ", "tool: 7", "It is ", "7."]
    assert (stream.run.text, stream.run.steps) == ("It is 7.", 2)
    assert (await chat(streamed(server).url, add).astream_tools("3 + 4?").until_done()).text == "It is 7."


def test_a_streamed_run_that_is_left_runs_no_tool(server: Server) -> None:
    ran: list[int] = []

    def note(a: int, b: int) -> int:
        """Notes."""
        ran.append(a)
        return a

    note.__name__ = "add"
    stream = chat(streamed(server).url, note).stream_tools("3 + 4?")
    assert any(item.text for item in stream)
    stream.close()
    assert list(stream) == []
    assert not ran
    assert stream.message.text == "Let me see. "
    with pytest.raises(UsageError, match="has not ended"):
        _ = stream.run


def test_a_streamed_run_that_is_cut_raises(server: Server) -> None:
    route = server.route(sse([event({"content": "Let"})]))
    with pytest.raises(IncompleteStream) as caught:
        list(chat(route.url, add).with_retry(attempts=1).stream_tools("3 + 4?"))
    assert isinstance(caught.value.partial, AIMessage)
    assert caught.value.partial.text == "Let"


# ---- a person's approval, a run that is taken up again, a value at the end


async def asks_a_person(call: Any) -> bool | str:
    return True if call.args["a"] == 1 else "not today"


def test_approval_may_be_async(server: Server, world: World) -> None:
    route = server.route(asks(("c1", "add", {"a": 1, "b": 2}), ("c2", "add", {"a": 9, "b": 9})), plain(answer("3")))
    run = ran_in(world, chat(route.url, add), "What is it?", approve=asks_a_person)
    assert run.text == "3"
    assert [m["content"] for m in sent(route)[2:]] == ["3", "[error] Error: not today"]


def test_a_stopped_run_goes_on_from_its_stored_messages(server: Server, world: World) -> None:
    from chatmodels.history import messages_from_json, messages_to_json

    route = server.route(asks(("c1", "add", {"a": 1, "b": 2}), ("c2", "add", {"a": 3, "b": 4})), plain(answer("3, 7")))
    model = chat(route.url, add)
    first = ran_in(world, model, "Add.", max_steps=1)
    assert (first.stopped, [c.id for c in first.message.tool_calls]) == (True, ["c1", "c2"])
    again = messages_from_json(messages_to_json(first.messages))
    run = ran_in(world, model, again, approve=lambda call: call.id == "c2")
    assert (run.text, run.steps, run.stopped) == ("3, 7", 1, False)
    assert [m.get("content") for m in sent(route)[2:]] == ["[error] Error: the user did not allow this call", "7"]


def test_calls_that_have_a_result_are_not_run_again(server: Server) -> None:
    route = server.route(plain(answer("ok")))
    asked = AIMessage("", tool_calls=[{"id": i, "name": "add", "args": {"a": 1, "b": 1}} for i in ("c1", "c2")])
    given = ["Add.", asked, ToolMessage("by hand", tool_call_id="c1")]
    with chat(route.url, add).stream_tools(given) as stream:
        assert next(stream).tool_call_id == "c2"  # type: ignore[union-attr]
        stream.until_done()
    assert [m["content"] for m in sent(route)[2:]] == ["by hand", "2"]


@dataclass
class Total:
    value: int


def test_a_typed_answer_after_tools(server: Server, world: World) -> None:
    route = server.route(asks(("c1", "add", {"a": 1, "b": 2})), plain(answer("three")), plain(answer('{"value": 3}')))
    model = chat(route.url).with_output(Total).with_tools(add)

    async def go() -> TypedRun[Total]:
        return await model.arun_tools("Add.")

    run: TypedRun[Total] = model.run_tools("Add.") if world.name == "sync" else world.run(go)
    assert (run.value, run.steps, run.stopped) == (Total(3), 3, False)
    assert all(request.json["response_format"]["type"] == "json_schema" for request in route.requests)
    assert sent(route)[2]["content"] == "3"
    assert "cannot be used" in sent(route)[4]["content"]


def test_no_value_before_the_last_step_is_an_error(server: Server) -> None:
    route = server.route(asks(("c1", "add", {"a": 1, "b": 2})))
    with pytest.raises(OutputError, match="still wants to call tools; give more max_steps") as caught:
        chat(route.url, add).with_output(Total).run_tools("Add.", max_steps=2)
    assert len(route.requests) == 2
    assert caught.value.message is not None


def test_a_forced_call_is_the_value(server: Server) -> None:
    use = {"type": "tool_use", "id": "t1", "name": "add", "input": {"a": 1, "b": 2}}
    gives = {"type": "tool_use", "id": "t2", "name": "Total", "input": {"value": 3}}
    route = server.route(*(plain({"id": "m", "type": "message", "role": "assistant", "model": "m", "content": [part],
                                  "stop_reason": "tool_use", "usage": {"input_tokens": 1, "output_tokens": 1}})
                           for part in (use, gives)))  # fmt: skip
    model = ChatModel("anthropic:claude-3-haiku-20240307", base_url=route.url, api_key="k").with_tools(add)
    run = model.with_output(Total).run_tools("Add.")
    assert (run.value, run.steps, [m.role for m in run.messages]) == (
        Total(3),
        2,
        ["user", "assistant", "tool", "assistant"],
    )
