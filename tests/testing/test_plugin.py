"""The pytest plug-in: recording and replaying a user's tests, and what it costs those who do not use it."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from ..servers import Server, either

pytest_plugins = ("pytester",)

TEST = """
import pytest
from chatmodels import ChatOpenAI

@pytest.mark.parametrize("word", ["a b", "c"])
def test_it(chatmodels_cassette, word):
    assert ChatOpenAI(base_url={url!r})(word).text == "yes"

class TestIn:
    @pytest.mark.chatmodels_cassette("mine.json", ignore=("user",))
    def test_own_place(self, chatmodels_cassette):
        chat = ChatOpenAI(base_url={url!r})
        assert chat("x", user=str(id(chat))).text == "yes"

def test_none(chatmodels_cassette):
    assert chatmodels_cassette.unused == []
"""


def test_record_once_then_replay_without_a_key(
    pytester: pytest.Pytester, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    route = server.route(either("yes"))
    pytester.makepyfile(test_mine=TEST.format(url=route.url))
    monkeypatch.setenv("OPENAI_API_KEY", "sk-canary-0123456789")
    pytester.makeini("[pytest]\nasyncio_default_fixture_loop_scope = function\n")
    options = ("-q", "-p", "no:cacheprovider", "-p", "no:randomly")
    first = pytester.runpytest_inprocess(*options, "--chatmodels-record=once")
    first.assert_outcomes(passed=4)
    assert len(route.requests) == 3
    files = sorted(str(p.relative_to(pytester.path)) for p in pytester.path.rglob("*.json"))
    assert files == ["cassettes/test_mine/test_it_a_b.json", "cassettes/test_mine/test_it_c.json", "mine.json"]
    assert all("canary" not in (pytester.path / name).read_text() for name in files)
    monkeypatch.delenv("OPENAI_API_KEY")
    pytester.runpytest_inprocess(*options).assert_outcomes(passed=4)
    assert len(route.requests) == 3


def test_a_changed_test_fails_with_the_difference(
    pytester: pytest.Pytester, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    route = server.route(either("yes"))
    one = "from chatmodels import ChatOpenAI\ndef test_it(chatmodels_cassette):\n    ChatOpenAI(base_url={url!r})({said!r})\n"
    monkeypatch.setenv("OPENAI_API_KEY", "k")
    pytester.makeini("[pytest]\nchatmodels_record = once\nasyncio_default_fixture_loop_scope = function\n")
    pytester.makepyfile(test_mine=one.format(url=route.url, said="Hello"))
    pytester.runpytest_inprocess("-q").assert_outcomes(passed=1)
    pytester.makepyfile(test_mine=one.format(url=route.url, said="Goodbye"))
    result = pytester.runpytest_inprocess("-q")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(['*-*"content": "Hello"*', '*+*"content": "Goodbye"*'])
    pytester.runpytest_inprocess("-q", "--chatmodels-record=new").assert_outcomes(passed=1)
    found = json.loads((pytester.path / "cassettes" / "test_mine" / "test_it.json").read_text())
    assert len(found["exchanges"]) == 2
    assert len(route.requests) == 2


SHARED = """
import pytest
from chatmodels import ChatOpenAI

@pytest.mark.chatmodels_cassette("shared.json")
@pytest.mark.parametrize("word", [str(n) for n in range(6)])
def test_one(chatmodels_cassette, word):
    assert ChatOpenAI(base_url={url!r})(word).text == "yes"
"""


@pytest.mark.parametrize("mode", ["once", "all"])
def test_tests_that_share_a_file(
    mode: str, pytester: pytest.Pytester, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    route = server.route(either("yes"))
    monkeypatch.setenv("OPENAI_API_KEY", "sk-canary-0123456789")
    pytester.makeini("[pytest]\nasyncio_default_fixture_loop_scope = function\n")
    pytester.makepyfile(test_mine=SHARED.format(url=route.url))
    options = ("-q", "-p", "no:cacheprovider", "-p", "no:randomly")
    pytester.runpytest_inprocess(*options, f"--chatmodels-record={mode}").assert_outcomes(passed=6)
    assert len(json.loads((pytester.path / "shared.json").read_text())["exchanges"]) == 6
    pytester.runpytest_inprocess(*options).assert_outcomes(passed=6)
    assert len(route.requests) == 6
    assert not list(pytester.path.glob("shared.json.*"))


def test_names_of_files_do_not_meet(pytester: pytest.Pytester, server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    route = server.route(either("yes"))
    monkeypatch.setenv("OPENAI_API_KEY", "sk-canary-0123456789")
    pytester.makeini("[pytest]\nasyncio_default_fixture_loop_scope = function\n")
    pytester.makepyfile(test_mine=TEST.replace('["a b", "c"]', '["a/b", "a?b", "x" * 300]').format(url=route.url))
    pytester.runpytest_inprocess("-q", "-k", "test_it", "--chatmodels-record=once").assert_outcomes(
        passed=3, deselected=2
    )
    names = [p.name for p in (pytester.path / "cassettes" / "test_mine").iterdir()]
    assert len(names) == len(route.requests) == 3
    assert max(map(len, names)) < 130


def test_it_loads_next_to_nothing() -> None:
    code = (
        "import sys, pytest\nbefore = set(sys.modules)\nimport chatmodels.testing.plugin\n"
        "print(sorted(set(sys.modules) - before))"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert out.strip() == "['chatmodels', 'chatmodels._version', 'chatmodels.testing', 'chatmodels.testing.plugin']"


def test_the_names_are_there() -> None:
    from chatmodels import testing

    assert [getattr(testing, name).__name__ for name in testing.__all__ if name != "CUT"]
    assert set(testing.__all__) <= set(dir(testing))
    with pytest.raises(AttributeError, match="no attribute 'Chat'"):
        _ = testing.Chat
