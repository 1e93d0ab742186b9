"""The package's modules: which need which, which are for direct devices, which for gateways.

A module is named as after `aliyun_iot.`: "device", "gateway.talk"; a package by its folder.
"""

from __future__ import annotations

import ast
import functools
from collections.abc import Iterator
from pathlib import Path

from tools.layout import PACKAGE

GATEWAY = "gateway"
MOVING = "moving"
DIRECT = ("device", "network")
"""What main.py and boot.py name."""


@functools.cache
def sources() -> dict[str, Path]:
    """Module -> its file; the package itself is "__init__"."""
    found = {}
    for path in sorted(PACKAGE.rglob("*.py")):
        parts = path.relative_to(PACKAGE).with_suffix("").parts
        found[".".join(parts[:-1] if parts[-1] == "__init__" and parts[:-1] else parts)] = path
    return found


def _imports(name: str, tree: ast.Module) -> Iterator[tuple[str, bool]]:
    """(module, whether it is loaded for a phase only), as far as they are the package's."""
    is_package = sources()[name].name == "__init__.py"
    here = [] if name == "__init__" else name.split(".")
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.level:
            up = node.level - 1 if is_package else node.level
            base = here[: len(here) - up] if name != "__init__" else []
            base = base + (node.module.split(".") if node.module else [])
            for alias in node.names:
                for candidate in (".".join([*base, alias.name]), ".".join(base)):
                    if candidate in sources():
                        yield candidate, False
                        break
        elif (
            isinstance(node, ast.Call)
            # A gateway's calls are phases, which share a beginning.
            and ast.unparse(node.func) in ("phase", "self._begin")
        ):
            what = node.args[0]  # a text, or one of two
            for each in (what.body, what.orelse) if isinstance(what, ast.IfExp) else (what,):
                if isinstance(each, ast.Constant) and isinstance(each.value, str):
                    yield each.value.rpartition(".")[0], True


@functools.cache
def arrows(name: str) -> dict[str, bool]:
    """The package's modules that this one loads -> whether only for a phase."""
    tree = ast.parse(sources()[name].read_text("utf-8"))
    found: dict[str, bool] = {}
    for module, passing in _imports(name, tree):
        if module != name:
            found[module] = found.get(module, True) and passing
    if name == "registration":  # the one whose phase is named by a setting
        found["registration_mqtt"] = True
    return found


def used_by(*names: str, without: tuple[str, ...] = ()) -> set[str]:
    """The modules themselves and all that they ever load."""
    seen: set[str] = set()
    left = set(names)
    while left:
        module = left.pop()
        seen.add(module)
        left |= set(arrows(module)) - seen - set(without)
    return seen


def direct() -> list[str]:
    """The modules that a direct device registered over HTTPS needs, boot.py's included.

    Not those that only a device loads that opted in, or whose identity is refused.
    """
    without = ("registration_mqtt", *moving())
    return sorted({"__init__"} | used_by(*DIRECT, without=without))


def moving() -> list[str]:
    """The modules of a device that may be moved: bootstrap, places, rotation."""
    return sorted(name for name in sources() if name.split(".")[0] == MOVING)


def gateway() -> list[str]:
    """The modules that a gateway needs beside those of a direct device."""
    return sorted(name for name in sources() if name.split(".")[0] == GATEWAY)


def import_order() -> list[str]:
    """All modules but the package itself, each after those that it needs as it is loaded."""
    order: list[str] = []
    left = {
        name: {module for module, passing in arrows(name).items() if not passing}
        for name in sources()
        if name not in ("__init__", "aio")
    }
    while left:
        ready = [n for n, modules in left.items() if not modules & set(left) - {n}]
        for name in sorted(ready) or sorted(left)[:1]:
            order.append(name)
            del left[name]
    return order
