"""The package's modules: which need which, which are for direct devices, which for gateways."""

from __future__ import annotations

import ast
import functools

from tools.layout import PACKAGE

GATEWAY = "gateway"
DIRECT = "device"


@functools.cache
def needs() -> dict[str, set[str]]:
    """Module -> the package's modules that it imports, anywhere in its text."""
    names = {path.stem for path in PACKAGE.glob("*.py")} - {"__init__"}
    found: dict[str, set[str]] = {}
    for name in sorted(names):
        found[name] = set()
        for node in ast.walk(ast.parse((PACKAGE / f"{name}.py").read_text("utf-8"))):
            if isinstance(node, ast.ImportFrom) and node.level == 1:
                listed = [node.module] if node.module else [alias.name for alias in node.names]
                found[name] |= {module for module in listed if module in names}
    return found


def used_by(name: str) -> set[str]:
    """The module itself and all that it ever imports."""
    seen: set[str] = set()
    left = {name}
    while left:
        module = left.pop()
        seen.add(module)
        left |= needs()[module] - seen
    return seen


def direct() -> list[str]:
    """The modules that a directly connected device needs, boot.py's included."""
    return sorted(used_by(DIRECT) | used_by("wifi"))


def gateway() -> list[str]:
    """The modules that a gateway needs beside those of a direct device."""
    return sorted(set(needs()) - set(direct()))


def import_order() -> list[str]:
    """All modules, each after those that it needs (as far as that can be)."""
    order: list[str] = []
    left = {name: set(modules) for name, modules in needs().items()}
    while left:
        ready = [n for n, modules in left.items() if not modules & set(left) - {n}]
        for name in sorted(ready) or sorted(left)[:1]:
            order.append(name)
            del left[name]
    return order
