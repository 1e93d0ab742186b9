"""Fields of Behaviour as text: NAME=VALUE on the command line."""

from __future__ import annotations

import json
from dataclasses import fields
from typing import Any, Literal, get_args, get_origin, get_type_hints

from tools.iot_platform.rules.behaviour import Behaviour


class SettingError(Exception):
    """A --behaviour option is not as expected."""


def change_behaviour(behaviour: Behaviour, setting: str) -> None:
    """Sets one field from NAME=VALUE; the value is JSON or plain text. Raises SettingError."""
    name, equals, text = setting.partition("=")
    hints = get_type_hints(Behaviour)
    if not equals or name not in hints:
        raise SettingError(f"{setting!r}: expected FIELD=VALUE; --list-behaviour lists the fields")
    try:
        value: Any = json.loads(text)
    except ValueError:
        value = text
    if isinstance(value, list):
        value = tuple(value)
    if not _fits(value, hints[name]):
        raise SettingError(f"{name}: {text!r} does not fit {_type_name(hints[name])}")
    setattr(behaviour, name, value)


def behaviour_help() -> str:
    """One line for each field: name, type, default."""
    hints = get_type_hints(Behaviour)
    default = Behaviour()
    return "\n".join(
        f"{f.name}={json.dumps(getattr(default, f.name))}  ({_type_name(hints[f.name])})"
        for f in fields(Behaviour)
    )


def _fits(value: Any, hint: Any) -> bool:
    origin, inner = get_origin(hint), get_args(hint)
    if origin is Literal:
        return value in inner
    if origin is tuple:
        return isinstance(value, tuple) and all(type(item) is int for item in value)
    if inner:  # X | None
        return any(_fits(value, choice) for choice in inner)
    if hint is float:
        return type(value) in (int, float)
    return type(value) is hint


def _type_name(hint: Any) -> str:
    if get_origin(hint) is Literal:
        return " or ".join(json.dumps(choice) for choice in get_args(hint))
    return hint.__name__ if isinstance(hint, type) and not get_args(hint) else str(hint)
