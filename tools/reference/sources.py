"""The package's modules and their type stubs, read as syntax trees and compared.

stubtest would import the package, which only MicroPython can: names, parameters, defaults and
kinds of functions are compared here instead.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tools.layout import PACKAGE, ROOT

TYPINGS = ROOT / "typings" / "aliyun_iot"

# Not for applications, though the names look as if they were: what the package's other modules
# use. Module -> functions, methods and classes. Of modules that are not here, most is internal.
INTERNAL = {
    "aliyun_iot": {"loads", "log"},
    "aliyun_iot.aio": {"Session.drive"},
    "aliyun_iot.device": {"Device.connected", "Device.prepare"},
    "aliyun_iot.gateway": {"Gateway.marks", "drop"},
    "aliyun_iot.hmac": set[str](),
    "aliyun_iot.session": {
        "Session.connecting",
        "Session.drop",
        "Session.publishing",
        "Session.receive",
        "Session.run",
        "Session.subscribing",
        "Session.waiting",
    },
    "aliyun_iot.sign": set[str](),
    "aliyun_iot.urlencode": set[str](),
}
Function = ast.FunctionDef | ast.AsyncFunctionDef


@dataclass
class Module:
    """A module or its stub. text: the source's lines."""

    name: str
    tree: ast.Module
    lines: list[str]

    @property
    def doc(self) -> str:
        return ast.get_docstring(self.tree) or ""


def module_name(path: Path, folder: Path) -> str:
    """ "aliyun_iot.gateway" of gateway/__init__.pyi."""
    parts = path.relative_to(folder).with_suffix("").parts
    return ".".join(("aliyun_iot", *(part for part in parts if part != "__init__")))


def read(path: Path, folder: Path) -> Module:
    """Parse a module."""
    text = path.read_text("utf-8")
    return Module(module_name(path, folder), ast.parse(text), text.splitlines())


def stubs() -> list[Module]:
    """The stubs of the modules that exist, the package itself first."""
    return [
        read(path, TYPINGS)
        for path in sorted(TYPINGS.rglob("*.pyi"), key=lambda p: (p.name != "__init__.pyi", p))
        if source_path(path).exists()
    ]


def source_path(stub: Path) -> Path:
    """The module that a stub is of."""
    return PACKAGE / stub.relative_to(TYPINGS).with_suffix(".py")


def source_of(stub: Module) -> Module:
    """The module that a stub is of, parsed."""
    below = stub.name.split(".")[1:]
    path = PACKAGE.joinpath(*below)
    file = path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
    return read(file, PACKAGE)


def definitions(body: list[ast.stmt], prefix: str = "") -> Iterator[tuple[str, ast.stmt]]:
    """Path and node of what a module defines, members of classes included."""
    for node in body:
        if isinstance(node, Function | ast.ClassDef):
            yield prefix + node.name, node
            if isinstance(node, ast.ClassDef):
                yield from definitions(node.body, f"{node.name}.")
        elif isinstance(node, ast.AnnAssign):
            yield prefix + ast.unparse(node.target), node
        elif isinstance(node, ast.Assign):
            for target in node.targets:
                yield prefix + ast.unparse(target), node
        elif isinstance(node, ast.ImportFrom) and not prefix:
            for alias in node.names:
                if alias.asname == alias.name:  # "as" marks what is handed on
                    yield alias.name, node


def real_definitions(source: Module) -> dict[str, ast.stmt]:
    """Path -> node of what a module offers; what it hands on is looked up where it is defined."""
    found = dict(definitions(source.tree.body))
    for path, node in found.items():
        if isinstance(node, ast.ImportFrom):
            file = PACKAGE / (f"{node.module}.py" if node.module else "__init__.py")
            found[path] = dict(definitions(read(file, PACKAGE).tree.body))[path]
    return found


def _set_in_init(tree: ast.Module) -> Iterator[str]:
    """ "Session.topics" for `self.topics = ...` in a class's `__init__`."""
    for node in tree.body:
        if not isinstance(node, ast.ClassDef):
            continue
        for method in node.body:
            if isinstance(method, Function) and method.name == "__init__":
                for part in ast.walk(method):
                    if isinstance(part, ast.Attribute) and isinstance(part.ctx, ast.Store):
                        yield f"{node.name}.{part.attr}"


def _parameters(node: Function) -> list[tuple[str, str | None]]:
    """Name and default of each parameter; a default that a stub leaves open is "..."."""
    spec = node.args
    names = [argument.arg for argument in [*spec.posonlyargs, *spec.args]]
    defaults = [None] * (len(names) - len(spec.defaults)) + [ast.unparse(d) for d in spec.defaults]
    found: list[tuple[str, str | None]] = list(zip(names, defaults, strict=True))
    if spec.vararg:
        found.append(("*" + spec.vararg.arg, None))
    for argument, default in zip(spec.kwonlyargs, spec.kw_defaults, strict=True):
        found.append((argument.arg, ast.unparse(default) if default else None))
    return found


def differences(stub: Module, source: Module) -> list[str]:
    """What a stub says that its module does not, or the other way round; a line each."""
    said = dict(definitions(stub.tree.body))
    there = real_definitions(source)
    attributes = set(_set_in_init(source.tree))
    found = []
    for path, node in said.items():
        where = f"{stub.name}: {path}"
        real = there.get(path)
        if isinstance(node, Function):
            if isinstance(real, ast.Assign | None):
                if not isinstance(real, ast.Assign) and path not in attributes:
                    found.append(f"{where}: no such function")
            elif not isinstance(real, Function) or type(real) is not type(node):
                found.append(f"{where}: a coroutine here, a function there")
            elif not _same(_parameters(node), _parameters(real)):
                found.append(f"{where}: other parameters: {ast.unparse(real.args)}")
        elif isinstance(node, ast.AnnAssign):
            inherited = path.split(".")[-1] in ("server", "port", "keepalive")
            if real is None and path not in attributes and not inherited:
                found.append(f"{where}: no such attribute")
        elif real is None and not isinstance(node, ast.Assign):  # a type has a name only here
            found.append(f"{where}: not there")
    for path, node in there.items() if stub.name in INTERNAL else ():
        known = path in said or path in INTERNAL.get(stub.name, ())
        hidden = any(part.startswith("_") for part in path.split("."))
        if isinstance(node, Function | ast.ClassDef) and not hidden and not known:
            found.append(f"{stub.name}: {path}: public, but not in typings/")
    for path in INTERNAL.get(stub.name, ()):
        if path not in there:
            found.append(f"{stub.name}: {path}: INTERNAL names it, but it is gone")
    return found


def _same(said: list[tuple[str, str | None]], real: list[tuple[str, str | None]]) -> bool:
    if [name for name, _ in said] != [name for name, _ in real]:
        return False
    pairs = zip(said, real, strict=True)
    return all(a == b or (a == "..." and b is not None) for (_, a), (_, b) in pairs)
