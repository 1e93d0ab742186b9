"""All commands: .venv/bin/aliyun-iot from any folder, and the make targets that call it."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tools.cli import COMMANDS
from tools.deploy.arguments import deploy_parser
from tools.layout import ROOT
from tools.makevars import VariableError, options_of, variables
from tools.provision.arguments import provision_parser
from tools.version import package_version

COMMAND = Path(sys.executable).with_name("aliyun-iot")
WITH_OPTIONS = [name for name, command in COMMANDS.items() if command.parser]


def call(*words: str | Path, cwd: Path = ROOT) -> subprocess.CompletedProcess[str]:
    environment = {k: v for k, v in os.environ.items() if k not in ("PYTHONPATH", "MAKEFLAGS")}
    return subprocess.run(
        list(map(str, words)),
        cwd=cwd,
        env=environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


# --- the console command


def test_the_command_works_from_any_folder_and_through_a_link(tmp_path: Path) -> None:
    link = tmp_path / "iot"
    link.symlink_to(COMMAND)
    for command in (COMMAND, link):
        done = call(command, "--version", cwd=tmp_path)
        assert done.stdout == f"aliyun-iot {package_version()}\n", done.stderr


def test_a_module_of_the_same_name_in_the_folder_is_not_imported(tmp_path: Path) -> None:
    for name in ("tools.py", "mpremote.py"):
        (tmp_path / name).write_text("raise SystemExit('the wrong one')\n")
    done = call(COMMAND, "identity", "--port", "id:0001", cwd=tmp_path)
    assert "no board has the serial number 0001" in done.stderr


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_is_listed_and_has_help(name: str) -> None:
    assert re.search(rf"^  {name} ", call(COMMAND).stdout, re.MULTILINE)
    done = call(COMMAND, name, "--help")
    assert (done.returncode, done.stderr) == (0, "")
    assert "usage:" in done.stdout


def test_an_unknown_command_is_reported_in_one_sentence() -> None:
    done = call(COMMAND, "deplo")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "error: deplo: no such command; aliyun-iot --help lists them\n"


@pytest.mark.parametrize("words", [["fish"], []])
def test_completion_refuses_an_unsupported_shell(words: list[str]) -> None:
    done = call(COMMAND, "completion", *words)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "error: completion: which shell? Expected bash or zsh\n"


@pytest.mark.parametrize(
    "words", ["platform --list-behaviour", "deploy --help", "completion bash", "--help"]
)
def test_a_closed_pipe_is_no_error(words: str) -> None:
    done = call("bash", "-c", f"set -o pipefail; '{COMMAND}' {words} | :")
    assert done.stderr == ""


@pytest.mark.parametrize(
    "words",
    [["platform", "nonsense"], ["platform", "device", "add"], ["platform", "fault", "on", "x"]],
)
def test_the_usage_names_the_command_that_was_typed(words: list[str]) -> None:
    done = call(COMMAND, *words)
    assert done.returncode == 2
    assert "usage: aliyun-iot platform " in done.stderr
    assert "python -m" not in done.stderr


@pytest.mark.parametrize("word", ["nonsense", "devices"])
def test_an_unknown_platform_command_is_named(word: str) -> None:
    done = call(COMMAND, "platform", word)
    assert done.stderr.endswith(
        f"{word}: no such command; expected status, product, device, publish, fault or events\n"
    )


@pytest.mark.parametrize(
    ("line", "offers"),
    [
        (("aliyun-iot", "erase"), ["erase-identity"]),
        (("aliyun-iot", "deploy", "--no-sh"), ["--no-shipped-roots"]),
        (("aliyun-iot", "provision", "--rel"), ["--release"]),
        (("aliyun-iot", "completion", ""), ["bash", "zsh"]),
        (("aliyun-iot", "platform", "dev"), ["device"]),
        (("aliyun-iot", "platform", "device", "un"), ["unbind"]),
        (("aliyun-iot", "platform", "fault", "o"), ["on", "off"]),
    ],
)
def test_a_shell_completes_commands_and_options(line: tuple[str, ...], offers: list[str]) -> None:
    script = call(COMMAND, "completion", "bash").stdout
    words = " ".join(f"'{word}'" for word in line)
    ask = f"COMP_WORDS=({words}); COMP_CWORD={len(line) - 1}; _aliyun_iot; echo ${{COMPREPLY[@]}}"
    done = call("bash", "-c", f"{script}\n{ask}")
    assert done.stdout.split() == offers, done.stderr


# --- make


@pytest.mark.parametrize("name", WITH_OPTIONS)
def test_every_option_is_a_variable_and_make_help_lists_it(name: str) -> None:
    parser = COMMANDS[name].options()
    assert parser is not None
    wanted = set(variables(parser))
    if "PORTS" in wanted:
        wanted.discard("PORT")
    listed = re.search(
        rf"^{name} +((?:[A-Z_]+ ?)+(?:\n +(?:[A-Z_]+ ?)+)*)$", call("make", "help").stdout, re.M
    )
    assert listed is not None
    assert set(listed[1].split()) == wanted


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (["PORT=/dev/x", "NO_FOLLOW=1"], ["--port=/dev/x", "--no-follow"]),
        (["ROOT=a.pem b.pem"], ["--root", "a.pem", "--root", "b.pem"]),
        (["MAIN=my app.py"], ["--main=my app.py"]),
        (["GATEWAY=1"], ["--gateway"]),
        (["GATEWAY=0"], ["--no-gateway"]),
        (["NO_FOLLOW=0", "PRODUCT=", "PYTHON=python3.12"], []),
    ],
)
def test_make_variables_become_options(given: list[str], words: list[str]) -> None:
    assert options_of(deploy_parser(), "deploy", given) == words


def test_ports_and_the_list_are_variables_too() -> None:
    given = ["CSV=devices.csv", "PORTS=/dev/a /dev/b", "WATCH=yes"]
    words = ["devices.csv", "--port", "/dev/a", "--port", "/dev/b", "--watch"]
    assert options_of(provision_parser(), "provision", given) == words


def test_a_misspelt_variable_is_refused() -> None:
    with pytest.raises(
        VariableError, match="PRODUCTS: make deploy has no such variable; did you mean P"
    ):
        options_of(deploy_parser(), "deploy", ["PRODUCTS=p.json"])


def test_make_passes_on_values_with_spaces(tmp_path: Path) -> None:
    done = call("make", "deploy", f"MAIN={tmp_path}/my app.py")
    assert f"{tmp_path}/my app.py: No such file" in done.stderr


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["flash"], "which firmware?"),
        (["flash", "FIRMWARE="], "which firmware?"),
        (["provision"], "which units?"),
        (["provision", "CSV="], "which units?"),
    ],
)
def test_a_missing_argument_is_asked_for(words: list[str], says: str) -> None:
    done = call("make", *words)
    assert done.returncode == 2
    assert done.stderr.startswith(f"error: {says}")


@pytest.mark.parametrize("words", [("flash", "--firmware", ""), ("provision", "")])
def test_an_empty_file_name_is_not_a_folder(words: tuple[str, ...]) -> None:
    done = call(COMMAND, *words)
    assert done.returncode == 2
    assert "expected a file name, got an empty word" in done.stderr


# --- the documents


def pages() -> list[Path]:
    return [*ROOT.glob("*.md"), *ROOT.glob("docs/*.md"), *ROOT.glob("firmware/**/*.md")]


@pytest.mark.parametrize("page", pages(), ids=lambda page: page.name)
def test_the_commands_in_the_documents_work_as_printed(page: Path) -> None:
    text = page.read_text("utf-8")
    text = re.sub(r"<!-- .*? -->", "", text)
    assert not re.search(r"(?<!bin/)python -m tools", text), "fails outside the environment"
    for name in re.findall(r"\.venv/bin/aliyun-iot ([a-z-]+)", text):
        assert name in (*COMMANDS, "completion"), name
    for block in re.findall(r"^```(?:\w*)\n(.*?)^```", text, re.MULTILINE | re.DOTALL):
        for line in block.splitlines():
            assert not re.match(r"(\$ )?(aliyun-iot|esptool|mpremote)\b", line), line
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    for target in re.findall(r"^(?:\$ )?make ([a-z][a-z-]*)", text, re.MULTILINE):
        assert target in targets, target
    for name in re.findall(r"`make ([a-z-]+)", text):
        assert name in targets, name
