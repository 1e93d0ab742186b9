"""`.venv/bin/aliyun-iot COMMAND`: one way to all commands, from any folder."""

from __future__ import annotations

import argparse
import importlib
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from tools.command import READER_LEFT, USAGE, reader_left
from tools.makevars import VariableError, options_of
from tools.version import package_version

NAME = "aliyun-iot"


@dataclass(frozen=True)
class Command:
    """module: whose main() does it. words: put before the user's. parser: its name in `where`,
    a module; None for one that makes its own inside main()."""

    about: str
    module: str
    words: tuple[str, ...] = ()
    parser: str | None = None
    where: str | None = None

    def options(self) -> argparse.ArgumentParser | None:
        """The parser of its options, if it can be had."""
        if self.parser is None:
            return None
        make: Callable[[], argparse.ArgumentParser]
        make = getattr(importlib.import_module(self.where or self.module), self.parser)
        return make()

    def run(self, words: Sequence[str]) -> int:
        """Do it: its exit status."""
        sys.argv = [NAME, *self.words, *words]
        status: int = importlib.import_module(self.module).main()
        return status


_DEPLOY, _PROVISION = "tools.deploy.__main__", "tools.provision.__main__"
_DEPLOY_OPTIONS, _PROVISION_OPTIONS = "tools.deploy.arguments", "tools.provision.arguments"
COMMANDS = {
    "deploy": Command(
        "put the package onto a board, follow its log until the application runs",
        _DEPLOY,
        ("deploy",),
        "deploy_parser",
        _DEPLOY_OPTIONS,
    ),
    "monitor": Command(
        "show the log of one board or several",
        _DEPLOY,
        ("monitor",),
        "monitor_parser",
        _DEPLOY_OPTIONS,
    ),
    "reset": Command("start a board anew", _DEPLOY, ("reset",), "reset_parser", _DEPLOY_OPTIONS),
    "identity": Command(
        "show what a board holds, secrets masked",
        _DEPLOY,
        ("identity",),
        "identity_parser",
        _DEPLOY_OPTIONS,
    ),
    "erase-identity": Command(
        "remove a board's identity, after asking",
        _DEPLOY,
        ("erase-identity",),
        "erase_parser",
        _DEPLOY_OPTIONS,
    ),
    "flash": Command(
        "write firmware and files to a chip", "tools.flash.__main__", (), "flash_parser"
    ),
    "image": Command("build a flash image", "tools.image.__main__", (), "image_parser"),
    "provision": Command(
        "write many boards, a row of a CSV each",
        _PROVISION,
        ("provision",),
        "provision_parser",
        _PROVISION_OPTIONS,
    ),
    "preregister": Command(
        "list the boards' DeviceNames for the platform's console",
        _PROVISION,
        ("preregister",),
        "preregister_parser",
        _PROVISION_OPTIONS,
    ),
    "nvs": Command(
        "make an NVS partition with the product certificate",
        _PROVISION,
        ("nvs",),
        "nvs_parser",
        _PROVISION_OPTIONS,
    ),
    "platform": Command(
        "run the local IoT Platform", "tools.iot_platform.__main__", (), "platform_parser"
    ),
    "board": Command("boot a simulated board", "tools.board.__main__", (), "_arguments"),
    "run": Command("show the main job on a simulated board", "tools.story"),
    "run-gateway": Command("show a gateway's main job", "tools.gateway_story"),
    "bench": Command("measure heap, flash, wire, time and scale", "tools.bench.__main__"),
    "faults": Command("try faults of power, network and memory", "tools.faults.__main__"),
    "packaging": Command("write package.json", "tools.packaging"),
    "release": Command(
        "build what a release consists of", "tools.release.__main__", (), "release_parser"
    ),
    "reference": Command(
        "write docs/api.md and the picture of the modules", "tools.reference.__main__"
    ),
}


def _help() -> str:
    width = max(map(len, COMMANDS)) + 2
    lines = [f"  {name:{width}}{command.about}" for name, command in COMMANDS.items()]
    lines.append(f"  {'completion':{width}}print what makes a shell complete this: bash, zsh")
    return "\n".join(
        [
            f"usage: {NAME} COMMAND [options]   ({NAME} COMMAND --help; {NAME} --version)",
            "",
            *lines,
        ]
    )


def _completion(shell: str) -> str:
    """A script for bash; zsh reads it through its own layer for such scripts."""
    cases = []
    for name, command in COMMANDS.items():
        parser = command.options()
        if parser is not None:
            words = [text for action in parser._actions for text in action.option_strings]
            options = " ".join(word for word in words if word.startswith("--"))
            cases.append(f'    {name}) options="{options}" ;;')
    from tools.iot_platform.console.arguments import subcommands  # no other command needs them

    further = [
        f'    "{before}") words="{" ".join(words)}" ;;'
        for before, words in [("completion", ["bash", "zsh"]), *subcommands("platform")]
    ]
    names = " ".join([*COMMANDS, "completion", "--help", "--version"])
    zsh = "autoload -U +X bashcompinit && bashcompinit\n" if shell == "zsh" else ""
    return f"""{zsh}_aliyun_iot() {{
  local word="${{COMP_WORDS[COMP_CWORD]}}" before="${{COMP_WORDS[COMP_CWORD-1]}}"
  local options="" words=""
  COMPREPLY=()
  if [ "$COMP_CWORD" -eq 1 ]; then
    COMPREPLY=($(compgen -W "{names}" -- "$word"))
    return
  fi
  if [ "$before" = --port ]; then
    COMPREPLY=($(compgen -f -- "${{word:-/dev/tty}}"))
    return
  fi
  case "${{COMP_WORDS[1]}}" in
{chr(10).join(cases)}
  esac
  case "${{COMP_WORDS[*]:1:COMP_CWORD-1}}" in
{chr(10).join(further)}
  esac
  case "$word" in
    -*) COMPREPLY=($(compgen -W "$options" -- "$word")) ;;
    *) [ -z "$words" ] || COMPREPLY=($(compgen -W "$words" -- "$word")) ;;
  esac
}}
complete -o default -o bashdefault -F _aliyun_iot {NAME}"""


def main(words: Sequence[str] | None = None) -> int:
    """The command: its exit status. words: its arguments; those of the process by default."""
    try:
        try:
            return _run(list(sys.argv[1:] if words is None else words))
        finally:
            sys.stdout.flush()
    except BrokenPipeError as e:
        if not reader_left(e):
            raise
        return READER_LEFT


def _run(given: list[str]) -> int:
    made = given[:1] == ["--from-make"]  # NAME=VALUE for --name VALUE, see the Makefile
    if made:
        del given[0]
    name = given.pop(0) if given else "--help"
    if name in ("--help", "-h", "help"):
        print(_help())
        return 0
    if name == "--version":
        print(f"{NAME} {package_version()}")
        return 0
    if name == "completion":
        if given[:1] not in (["bash"], ["zsh"]):
            print("error: completion: which shell? Expected bash or zsh", file=sys.stderr)
            return USAGE
        print(_completion(given[0]))
        return 0
    command = COMMANDS.get(name)
    if command is None:
        print(f"error: {name}: no such command; {NAME} --help lists them", file=sys.stderr)
        return USAGE
    try:
        return command.run(options_of(command.options(), name, given) if made else given)
    except VariableError as e:
        print(f"error: {e}", file=sys.stderr)
        return USAGE


if __name__ == "__main__":
    sys.exit(main())
