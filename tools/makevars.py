"""Every option of a command as a variable of make: --no-follow is NO_FOLLOW=1, and so on."""

from __future__ import annotations

import argparse
import difflib
from collections.abc import Sequence

_OF_MAKE = ("PYTHON", "VENV", "PY", "PIP", "MAKEFLAGS", "MAKEOVERRIDES")
_OFF = ("0", "no", "false", "off")


class VariableError(Exception):
    """A variable that the command does not have, or a value that it does not take."""


def variables(parser: argparse.ArgumentParser) -> dict[str, argparse.Action]:
    """Name of the variable -> the option, or the positional argument, that it stands for."""
    found = {}
    for action in parser._actions:
        if isinstance(action, argparse._HelpAction):
            continue
        option = next((text for text in action.option_strings if text.startswith("--")), "")
        name = (option.lstrip("-") or action.dest).replace("-", "_").upper()
        found[name] = action
        if name == "PORT" and isinstance(action, argparse._AppendAction):
            found["PORTS"] = action
    return found


def options_of(
    parser: argparse.ArgumentParser | None, command: str, given: Sequence[str]
) -> list[str]:
    """The words of a command line for what was given to make as NAME=VALUE.

    An empty value counts as none; 0 and no as not chosen; an option that may be repeated takes
    several values with blanks between. Raises VariableError.
    """
    known = variables(parser) if parser is not None else {}
    words: list[str] = []
    for text in given:
        name, _, value = text.partition("=")
        if name in _OF_MAKE or not value.strip():
            continue
        action = known.get(name)
        if action is None:
            near = difflib.get_close_matches(name, known, 1)
            names = ", ".join(known) or "none"
            hint = f"did you mean {near[0]}? Its variables" if near else "its variables"
            raise VariableError(f"{name}: make {command} has no such variable; {hint}: {names}")
        words += _words(action, value)
    return words


def _words(action: argparse.Action, value: str) -> list[str]:
    option = next((text for text in action.option_strings if text.startswith("--")), "")
    off = value.strip().lower() in _OFF
    if isinstance(action, argparse.BooleanOptionalAction):
        return [action.option_strings[1] if off else option]
    if action.nargs == 0:
        return [] if off else [option]
    if not option:
        return [value]
    if isinstance(action, argparse._AppendAction):
        return [word for each in value.split() for word in (option, each)]
    return [f"{option}={value}"]
