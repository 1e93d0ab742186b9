"""Pictures of the package's modules, from their imports, as Mermaid flowcharts."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

from tools.layout import PACKAGE, ROOT

BEGIN = "<!-- house: written by make reference -->"
END = "<!-- end of house -->"
PARTS = ("moving", "gateway")
"""Packages below the first, which get a picture each."""


def pictures() -> str:
    """A device's modules, then those of each of `PARTS`.

    Solid arrows: imports, which stay. Dashed: what `phase` loads for one call.
    """
    paths = {_name(path): path for path in sorted(PACKAGE.rglob("*.py"))}
    paths.pop("")
    solid: set[tuple[str, str]] = set()
    dashed: set[tuple[str, str]] = set()
    for script in ("boot", "main"):
        tree = ast.parse((ROOT / f"{script}.py").read_text("utf-8"))
        solid |= {(f"{script}.py", name) for name in _imports(tree, "", paths)}
        dashed |= {(f"{script}.py", name) for name in _phases(tree, "", paths)}
    for name, path in paths.items():
        tree = ast.parse(path.read_text("utf-8"))
        folder = name if path.name == "__init__.py" else name.rpartition(".")[0]
        solid |= {(name, other) for other in _imports(tree, folder, paths) if other != name}
        dashed |= {(name, other) for other in _phases(tree, folder, paths) if other != name}
    charts = []
    for part in ("", *PARTS):
        some = [edge for edge in sorted(solid) if _part(edge[0]) == part]
        more = [edge for edge in sorted(dashed - solid) if _part(edge[0]) == part]
        if some or more:
            charts.append("\n".join(["```mermaid", "flowchart TD", *_lines(some, more), "```"]))
    return "\n\n".join(charts)


def _part(name: str) -> str:
    """The picture that a module's arrows are in: that of its package, or "" for the device's."""
    package = name.partition(".")[0]
    return package if package in PARTS else ""


def _name(path: Path) -> str:
    """ "gateway.online" of lib/aliyun_iot/gateway/online.py, "" of the package itself."""
    parts = path.relative_to(PACKAGE).with_suffix("").parts
    return ".".join(part for part in parts if part != "__init__")


def _imports(tree: ast.Module, folder: str, paths: dict[str, Path]) -> Iterator[str]:
    """The modules that a module imports, wherever in it; but the packages that it lies in, which
    all modules below import, are left out."""
    for node in ast.walk(tree):
        if not isinstance(node, ast.ImportFrom):
            continue
        if node.level:
            up = folder.split(".") if folder else []
            base = ".".join(up[: len(up) - (node.level - 1)])
        elif node.module and node.module.split(".")[0] == "aliyun_iot":
            base = ""
        else:
            continue
        module = (node.module or "").removeprefix("aliyun_iot").removeprefix(".")
        base = ".".join(part for part in (base, module) if part)
        if base in paths and base != folder:
            yield base
        for alias in node.names:
            below = f"{base}.{alias.name}" if base else alias.name
            if below in paths:
                yield below


def _phases(tree: ast.Module, folder: str, paths: dict[str, Path]) -> Iterator[str]:
    """The modules that a module loads for one call: texts that name a module and its function."""
    loads = any(
        isinstance(node, ast.Call) and ast.unparse(node.func) == "phase" for node in ast.walk(tree)
    )
    for node in ast.walk(tree) if loads else ():
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            module, _, function = node.value.rpartition(".")
            for name in {module, f"{folder}.{module}"} & set(paths):
                if re.search(rf"(?m)^def {function}\(", paths[name].read_text("utf-8")):
                    yield name
        elif isinstance(node, ast.Assign) and isinstance(node.value, ast.IfExp):
            # `module = "one" if ... else "other"`, for phase(module + ".function")
            for part in (node.value.body, node.value.orelse):
                if isinstance(part, ast.Constant) and part.value in paths:
                    yield str(part.value)


def _lines(solid: list[tuple[str, str]], dashed: list[tuple[str, str]]) -> Iterator[str]:
    for one, other in solid:
        yield f"    {_node(one)} --> {_node(other)}"
    for one, other in dashed:
        yield f"    {_node(one)} -.-> {_node(other)}"


def _node(name: str) -> str:
    plain = name.replace(".", "_")
    return name if plain == name else f"{plain}[{name}]"


def placed(text: str) -> str | None:
    """The text of a file with the picture between its marks, None where it has none."""
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        return None
    return f"{before}{BEGIN}\n\n{pictures()}\n\n{END}{after}"
