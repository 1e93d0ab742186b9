"""Reads members of a request, each with the error that names it."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import Any

from tools.iot_platform.console.errors import ApiError

Body = Mapping[str, Any]


def only(body: Mapping[str, Any], *names: str) -> None:
    """Raises ApiError when there is a member of another name: it would do nothing."""
    for name in body:
        if name not in names:
            expected = ", ".join(names) or "none"
            raise ApiError(400, f"not a field of this request; expected {expected}", name[:64])


def whole_characters(path: str, given: Mapping[str, Any]) -> None:
    """Raises ApiError where half of a character (a lone surrogate, as "\\ud800" in JSON or a byte
    that is not UTF-8 on a command line makes it) would fail to be stored or sent later."""
    for name, value in (("", path), *given.items()):
        try:
            name.encode()
            if isinstance(value, str):
                value.encode()
        except UnicodeEncodeError:
            raise ApiError(400, "expected whole characters (UTF-8)", name[:64] or None) from None


def text(body: Body, name: str, default: str | None = None) -> str:
    """A text; without a default it must be there and not be empty."""
    if default is not None and body.get(name) is None:
        return default
    value = body.get(name)
    if not isinstance(value, str) or (not value and default is None):
        kind = "a non-empty string" if default is None else "a string"
        raise ApiError(400, f"expected {kind}", name)
    return value


def optional(body: Body, name: str) -> str | None:
    """A text that may be left out or null."""
    return None if body.get(name) is None else text(body, name)


def flag(body: Body, name: str, default: bool | None = None) -> bool:
    """true or false."""
    value = body.get(name, default)
    if not isinstance(value, bool):
        raise ApiError(400, "expected true or false", name)
    return value


def whole(body: Body, name: str, default: int | None, least: int, most: int) -> int | None:
    """A whole number or, when it is left out or null, the default."""
    value = body.get(name, default)
    if value is None and (default is None or name in body):
        return None
    if type(value) is not int or not least <= value <= most:
        raise ApiError(400, f"expected a whole number from {least} to {most}", name)
    return value


def number(body: Body, name: str, default: float, least: float, most: float) -> float:
    """A number."""
    value = body.get(name, default)
    if type(value) not in (int, float) or not least <= value <= most:
        raise ApiError(400, f"expected a number from {least:g} to {most:g}", name)
    return float(value)


def choice(body: Body, name: str, among: Collection[str], default: str | None = None) -> str:
    """One of some texts."""
    value = default if body.get(name) is None else body[name]
    if not isinstance(value, str) or value not in among:
        raise ApiError(400, f"expected {one_of(among)}", name)
    return value


def checked(name: str, check: Callable[[str], None], value: str) -> str:
    """A value that `check` lets pass; its ValueError ("Name: what was expected") becomes ours."""
    try:
        check(value)
    except ValueError as error:
        raise ApiError(400, str(error).partition(": ")[2] or str(error), name) from None
    return value


def one_of(among: Collection[str]) -> str:
    """ "a", "a or b", "a, b or c"."""
    *first, last = among
    return f"{', '.join(first)} or {last}" if first else last


# Of a query, where everything is text


def query_number(query: Mapping[str, str], name: str, default: int, most: int) -> int:
    """A number from 0 to `most`."""
    value = query.get(name)
    if value is None:
        return default
    # Longer ones are never in range; int() refuses very long ones by itself.
    if not (value.isascii() and value.isdecimal() and len(value) < 16 and int(value) <= most):
        raise ApiError(400, f"expected a number from 0 to {most}", name)
    return int(value)


def query_flag(query: Mapping[str, str], name: str) -> bool | None:
    """true, false, or None when it is not given."""
    value = query.get(name)
    if value is None:
        return None
    if value not in ("true", "false"):
        raise ApiError(400, "expected true or false", name)
    return value == "true"


def query_choice(query: Mapping[str, str], name: str, among: Collection[str]) -> str | None:
    """One of some texts, or None when it is not given."""
    value = query.get(name)
    if value is not None and value not in among:
        raise ApiError(400, f"expected {one_of(among)}", name)
    return value
