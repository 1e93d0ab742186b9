"""Whether a board needs the package's gateway: most do not, and it is the greater part of it.

The gateway is the sub-package aliyun_iot.gateway, below one folder on the board.
"""

from __future__ import annotations

import ast
from collections.abc import Mapping, Sequence
from typing import TypeVar

FOLDER = "/lib/aliyun_iot/gateway/"
_MODULE = "aliyun_iot.gateway"
_Content = TypeVar("_Content")


def imports_gateway(source: bytes) -> bool:
    """Whether this application imports aliyun_iot.gateway, anywhere in its text.

    source: of main.py; one that only MicroPython can read counts by its text.
    """
    try:
        tree = ast.parse(source)
    except (SyntaxError, ValueError):
        return _MODULE.encode() in source or b"from aliyun_iot import gateway" in source
    for node in ast.walk(tree):
        names: Sequence[object]
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names = [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
        elif isinstance(node, ast.Call) and ast.unparse(node.func) == "__import__":
            names = [a.value for a in node.args if isinstance(a, ast.Constant)][:1]
        else:
            continue
        if any(name == _MODULE or str(name).startswith(_MODULE + ".") for name in names):
            return True
    return False


def without_gateway(files: Mapping[str, _Content]) -> dict[str, _Content]:
    """The files of a board (absolute path -> content) but those of the gateway."""
    return {path: content for path, content in files.items() if not path.startswith(FOLDER)}


def chosen(files: Mapping[str, bytes], wanted: bool | None) -> dict[str, bytes]:
    """The files of a board, with or without the gateway.

    wanted: True or False as an option says; None: whether /main.py imports it.
    """
    if wanted is None:
        wanted = imports_gateway(files.get("/main.py", b""))
    return dict(files) if wanted else without_gateway(files)
